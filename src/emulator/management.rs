//! `$management`: tells about the hub and its partitions.
//!
//! Source: the operation READ of the entity types `com.microsoft:eventhub` and
//! `com.microsoft:partition` as Microsoft's SDKs ask for them; each key is one that some SDK needs.

use super::access::Access;
use super::condition::{Refusal, quoted};
use super::encode::Encoder;
use super::hub::Hub;
use super::request::{Request, Response};

/// Answers one request.
pub(crate) fn answer(request: &Request<'_>, access: &Access, hub: &Hub, now: i64) -> Response {
    if request.property("operation") != Some("READ") {
        return Response::new(
            501,
            "NotImplemented: The only operation of $management is READ.",
        );
    }
    if hub.conduct.throttles_management() {
        let refusal = Refusal::server_busy(&hub.name);
        return Response::new(503, format!("ServerBusy: {}", refusal.description));
    }
    let name = request.property("name").unwrap_or_default();
    if !hub.is_named(name) {
        let text = format!(
            "The messaging entity '{}' could not be found.",
            quoted(name)
        );
        return Response::new(404, text);
    }
    if !access.concerns(name, now) {
        let text = format!(
            "Unauthorized access. 'Listen' claim(s) are required to read '{}'.",
            hub.name
        );
        return Response::new(401, text);
    }
    match request.property("type") {
        Some("com.microsoft:eventhub") => Response::ok(|out| write_hub(hub, out)),
        Some("com.microsoft:partition") => partition(request, hub, now),
        _ => Response::new(
            400,
            "BadRequest: The type is neither an event hub nor a partition.",
        ),
    }
}

fn write_hub(hub: &Hub, out: &mut Encoder) {
    let ids: Vec<_> = (0..hub.partitions()).map(|id| id.to_string()).collect();
    out.map(6, |map| {
        map.string("name");
        map.string(&hub.name);
        map.string("type");
        map.string("com.microsoft:eventhub");
        map.string("created_at");
        map.timestamp(hub.created());
        map.string("partition_count");
        map.int(i32::from(hub.partitions()));
        map.string("georeplication_factor");
        map.int(1);
        map.string("partition_ids");
        map.array_of_strings(ids.iter().map(String::as_str));
    });
}

fn partition(request: &Request<'_>, hub: &Hub, now: i64) -> Response {
    let id = request.property("partition").unwrap_or_default();
    match hub.partition(id) {
        Some(number) => Response::ok(|out| write_partition(hub, number, now, out)),
        None => {
            let refusal = Refusal::partition_out_of_range(hub.partitions());
            Response::new(404, refusal.description)
        }
    }
}

fn write_partition(hub: &Hub, number: u16, now: i64, out: &mut Encoder) {
    let snapshot = hub.log().snapshot(number);
    out.map(11, |map| {
        map.string("name");
        map.string(&hub.name);
        map.string("type");
        map.string("com.microsoft:partition");
        map.string("partition");
        map.string(&number.to_string());
        map.string("begin_sequence_number");
        map.long(snapshot.begin_sequence_number);
        map.string("begin_sequence_number_epoch");
        map.int(-1);
        map.string("last_enqueued_sequence_number");
        map.long(snapshot.last_sequence_number);
        map.string("last_enqueued_sequence_number_epoch");
        map.int(-1);
        map.string("last_enqueued_offset");
        map.string(&snapshot.last_offset);
        map.string("last_enqueued_time_utc");
        map.timestamp(snapshot.last_enqueued);
        map.string("runtime_info_retrieval_time_utc");
        map.timestamp(now);
        map.string("is_partition_empty");
        map.boolean(snapshot.is_empty);
    });
}
