//! What each sink has done, and what waits for it.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;

use super::family::{Family, Value};
use crate::sink::{self, Reading, SinkState};

type Gauge = (Family, fn(&Reading) -> Value);
type Counter = (Family, fn(&Reading) -> u64);

static COUNTERS: &[Counter] = &[
    (
        Family::of(
            "sink_events_delivered",
            "Events that are safe with the sink.",
        ),
        |it| it.accepted,
    ),
    (
        Family::of(
            "sink_events_dead_lettered",
            "Events that the sink refused and that went to the dead-letter sink.",
        ),
        |it| it.dead_lettered,
    ),
    (
        Family::of(
            "sink_events_skipped",
            "Events that the sink refused and that were given up.",
        ),
        |it| it.skipped,
    ),
    (
        Family::of("sink_attempts_failed", "Attempts to deliver that failed."),
        |it| it.failed,
    ),
    (
        Family::of(
            "sink_attempts_retried",
            "Attempts to deliver what an attempt before had not delivered.",
        ),
        |it| it.retried,
    ),
];

static GAUGES: &[Gauge] = &[
    (
        Family::of(
            "sink_queue_events",
            "Events that wait for the sink or are on their way to it.",
        ),
        |it| Value::count(it.events),
    ),
    (
        Family::bytes(
            "sink_queue",
            "Bytes of memory that events take which wait for the sink or are on their way to it.",
        ),
        |it| Value::count(it.bytes),
    ),
    (
        Family::of(
            "sink_queue_limit_events",
            "How many events may wait for the sink, beside those that it has taken up.",
        ),
        |it| Value::count(it.limit.events),
    ),
    (
        Family::bytes(
            "sink_queue_limit",
            "Bytes of memory that events may take which wait for the sink.",
        ),
        |it| Value::count(it.limit.bytes),
    ),
];

static STATE: Family = Family::of(
    "sink_state",
    "1 for what the sink does: delivering; retrying, after an attempt that failed; waiting, after more of them or \
     because it was asked to; probing, with one attempt; paused until SIGHUP or a restart; closed.",
);

static ATTEMPTS: Family = Family::seconds(
    "sink_attempt_duration",
    "How long an attempt took: one request of a webhook, one batch of another sink.",
);

pub(super) fn encode(gauges: &[sink::Gauge], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    if gauges.is_empty() {
        return Ok(());
    }
    let sinks: Vec<Reading> = gauges.iter().map(sink::Gauge::read).collect();
    for (family, value) in COUNTERS {
        family.counters(
            encoder,
            sinks.iter().map(|sink| (labels(sink), value(sink))),
        )?;
    }
    for (family, value) in GAUGES {
        family.gauges(
            encoder,
            sinks.iter().map(|sink| (labels(sink), value(sink))),
        )?;
    }
    let states = sinks.iter().flat_map(|sink| {
        let labels = |state: SinkState| (labels(sink), [("state", state.name())]);
        SinkState::ALL.map(|state| (labels(state), Value::fact(state == sink.state)))
    });
    STATE.gauges(encoder, states)?;
    let Family { name, unit, help } = &ATTEMPTS;
    let mut attempts =
        encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
    for (sink, gauge) in sinks.iter().zip(gauges) {
        let labels = labels(sink);
        gauge.attempts().encode(attempts.encode_family(&labels)?)?;
    }
    Ok(())
}

fn labels(sink: &Reading) -> [(&'static str, &str); 1] {
    [("sink", &sink.name)]
}
