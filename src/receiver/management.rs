//! What is asked of `$management`, and what its answers tell.
//!
//! Source: the READ operations of the AMQP protocol guide for Azure Event Hubs.

use fe2o3_amqp::types::primitives::Value;
use time::OffsetDateTime;

use super::answer::Answer;
use super::seam::Failure;
use super::{Extent, LastEvent};
use crate::event::{Offset, PartitionId, Position, SequenceNumber};

/// The node that knows hubs and partitions.
pub(super) const NODE: &str = "$management";

/// The question about a hub.
pub(super) fn about_hub(event_hub: &str) -> [(&str, &str); 3] {
    [
        ("operation", "READ"),
        ("name", event_hub),
        ("type", "com.microsoft:eventhub"),
    ]
}

/// The question about a partition.
pub(super) fn about_partition<'a>(
    event_hub: &'a str,
    partition: &'a PartitionId,
) -> [(&'a str, &'a str); 4] {
    [
        ("operation", "READ"),
        ("name", event_hub),
        ("type", "com.microsoft:partition"),
        ("partition", partition.as_str()),
    ]
}

/// The ids of a hub's partitions, unsorted.
pub(super) fn partition_ids(answer: &Answer) -> Result<Vec<String>, Failure> {
    let ids: Vec<String> = match answer.member("partition_ids") {
        Some(Value::Array(ids)) => ids.iter().filter_map(as_text).collect(),
        Some(Value::List(ids)) => ids.iter().filter_map(as_text).collect(),
        _ => Vec::new(),
    };
    if ids.is_empty() {
        return Err(Failure::lost("$management named no partitions"));
    }
    Ok(ids)
}

/// The last event in a partition, none where nothing is kept there.
pub(super) fn last_event(answer: &Answer) -> Result<Option<LastEvent>, Failure> {
    let is_empty = matches!(answer.member("is_partition_empty"), Some(Value::Bool(true)));
    let sequence_number = last_number(answer)?;
    if is_empty || sequence_number.0 < 0 {
        return Ok(None);
    }
    let offset = answer.member("last_enqueued_offset").and_then(as_text);
    let time = time(answer, "last_enqueued_time_utc");
    let (offset, enqueued_time) = offset
        .zip(time)
        .ok_or_else(|| Failure::lost("$management named no last offset or no last time"))?;
    Ok(Some(LastEvent {
        position: Position {
            sequence_number,
            offset: Offset::new(&offset),
        },
        enqueued_time,
    }))
}

/// What a partition holds, and when the service says so.
pub(super) fn extent(answer: &Answer) -> Result<Extent, Failure> {
    Ok(Extent {
        first: number(answer, "begin_sequence_number")?,
        last_number: last_number(answer)?,
        last: last_event(answer)?,
        asked: time(answer, "runtime_info_retrieval_time_utc"),
    })
}

/// The number of the last event in a partition, -1 where there was none yet.
pub(super) fn last_number(answer: &Answer) -> Result<SequenceNumber, Failure> {
    number(answer, "last_enqueued_sequence_number")
}

fn number(answer: &Answer, member: &str) -> Result<SequenceNumber, Failure> {
    match answer.member(member) {
        Some(Value::Long(number)) => Ok(SequenceNumber(*number)),
        Some(Value::Int(number)) => Ok(SequenceNumber(i64::from(*number))),
        _ => Err(Failure::lost(format!("$management named no {member}"))),
    }
}

fn time(answer: &Answer, member: &str) -> Option<OffsetDateTime> {
    let Some(Value::Timestamp(time)) = answer.member(member) else {
        return None;
    };
    let nanoseconds = i128::from(time.milliseconds()).checked_mul(1_000_000)?;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
