//! How each partition stands.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use time::OffsetDateTime;

use super::family::{Family, Value};
use crate::standing::{LinkState, LossKind, Snapshot, Standings};

/// The partitions that the process reads, or has read.
#[derive(Debug)]
pub(super) struct Partitions {
    pub(super) standings: Arc<Standings>,
    pub(super) clock: fn() -> OffsetDateTime,
}

type Gauge = (Family, fn(&Snapshot, OffsetDateTime) -> Option<Value>);
type Counter = (Family, fn(&Snapshot) -> u64);

static GAUGES: &[Gauge] = &[
    (
        Family::of(
            "partition_events_behind",
            "Events that were not delivered to every sink, as far as the service has said.",
        ),
        |it, _| it.behind.map(Value::count),
    ),
    (
        Family::seconds(
            "partition_behind",
            "How old the oldest event is that was not delivered to every sink.",
        ),
        |it, now| {
            let behind = it.time_behind(now)?;
            Some(Value::Real(behind.as_seconds_f64()))
        },
    ),
    (
        Family::of(
            "partition_received_sequence_number",
            "Sequence number of the last event received.",
        ),
        |it, _| it.received.map(|number| Value::Whole(number.0)),
    ),
    (
        Family::of(
            "partition_completed_sequence_number",
            "Sequence number up to which every event was delivered to every sink.",
        ),
        |it, _| it.completed.map(|number| Value::Whole(number.0)),
    ),
    (
        Family::of(
            "partition_last_enqueued_sequence_number",
            "Sequence number of the last event that the service is known to have.",
        ),
        |it, _| it.last_enqueued.map(|number| Value::Whole(number.0)),
    ),
    (
        Family::seconds(
            "partition_last_enqueued_as_of_timestamp",
            "When the service last said which its last event is.",
        ),
        |it, _| it.as_of.map(Value::time),
    ),
    (
        Family::seconds(
            "partition_received_enqueued_timestamp",
            "When the service took the last event received.",
        ),
        |it, _| it.received_enqueued.map(Value::time),
    ),
    (
        Family::seconds(
            "partition_oldest_enqueued_timestamp",
            "When the service took the oldest event that was not delivered to every sink.",
        ),
        |it, _| it.oldest.map(Value::time),
    ),
    (
        Family::seconds(
            "partition_progress_timestamp",
            "When an event was last delivered to every sink.",
        ),
        |it, _| it.progressed.map(Value::time),
    ),
    (
        Family::of("partition_link_up", "1 while the link is attached, else 0."),
        |it, _| Some(Value::fact(it.link.state == LinkState::Attached)),
    ),
    (
        Family::of(
            "partition_in_flight_events",
            "Events that were received and that no checkpoint may pass yet.",
        ),
        |it, _| Some(Value::count(it.in_flight.events)),
    ),
    (
        Family::bytes(
            "partition_in_flight",
            "Bytes of memory taken by events that were received and not delivered to every sink.",
        ),
        |it, _| Some(Value::count(it.in_flight.bytes)),
    ),
];

static COUNTERS: &[Counter] = &[
    (
        Family::of("partition_events_received", "Events received."),
        |it| it.events,
    ),
    (
        Family::of(
            "partition_reconnects",
            "How often the link was attached again.",
        ),
        |it| it.reconnects,
    ),
    (
        Family::of("partition_checkpoint_writes", "Checkpoints written."),
        |it| it.checkpoints.written,
    ),
    (
        Family::of(
            "partition_checkpoint_failures",
            "Checkpoints that the store did not take.",
        ),
        |it| it.checkpoints.failed,
    ),
];

static LOSSES: Family = Family::of(
    "partition_link_losses",
    "How often the link was lost, or could not be opened, by reason.",
);

impl Collector for Partitions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = (self.clock)();
        let mut all = self.standings.snapshot();
        // Of a partition that is read anew the last standing counts: two of a name would be refused.
        all.reverse();
        all.dedup_by(|older, newer| labels(older) == labels(newer));
        all.reverse();
        for (family, value) in GAUGES {
            let samples = all
                .iter()
                .filter_map(|one| Some((labels(one), value(one, now)?)));
            family.gauges(&mut encoder, samples)?;
        }
        for (family, value) in COUNTERS {
            let samples = all.iter().map(|one| (labels(one), value(one)));
            family.counters(&mut encoder, samples)?;
        }
        let losses = all.iter().flat_map(|one| {
            LossKind::ALL.map(|kind| {
                (
                    (labels(one), [("reason", kind.as_str())]),
                    one.losses.of(kind),
                )
            })
        });
        LOSSES.counters(&mut encoder, losses)
    }
}

fn labels(one: &Snapshot) -> [(&'static str, &str); 4] {
    [
        ("namespace", &one.source.namespace),
        ("eventhub", &one.source.event_hub),
        ("consumer_group", &one.source.consumer_group),
        ("partition", one.partition.as_str()),
    ]
}
