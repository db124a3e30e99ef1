//! Measurements: how many events come, how long they take, and how far behind the partitions are.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use time::OffsetDateTime;

use super::SCOPE;
use super::spans::place;
use crate::standing::{Snapshot, Standings};

/// Seconds; from a sink that is a file to one that is away for a while. The first are those of the conventions.
const BOUNDS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 60.0, 600.0,
];

/// What is counted with every event.
#[derive(Debug)]
pub(super) struct Measures {
    pub(super) consumed: Counter<u64>,
    pub(super) process: Histogram<f64>,
    pub(super) operation: Histogram<f64>,
}

/// What exports measurements again and again.
pub(super) fn provider(
    exporter: MetricExporter,
    interval: Duration,
    resource: Resource,
) -> SdkMeterProvider {
    let reader = PeriodicReader::builder(exporter).with_interval(interval);
    SdkMeterProvider::builder()
        .with_reader(reader.build())
        .with_resource(resource)
        .build()
}

impl Measures {
    /// Those of events, and what is asked of `standings` with every export.
    pub(super) fn new(provider: &SdkMeterProvider, standings: &Arc<Standings>) -> Self {
        let meter = provider.meter(SCOPE);
        gauge(
            &meter,
            standings,
            "dataverse_listener.partition.events_behind",
            "{event}",
            "Events of the partition that were not delivered to every sink, as far as is known.",
            |one| one.behind.map(|events| events as f64),
        );
        gauge(
            &meter,
            standings,
            "dataverse_listener.partition.time_behind",
            "s",
            "How old the oldest event is that was not delivered to every sink.",
            |one| {
                let behind = one.time_behind(OffsetDateTime::now_utc());
                behind.map(|behind| behind.as_seconds_f64())
            },
        );
        let histogram = |name: &'static str, description: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s");
            let histogram = histogram.with_description(description);
            histogram.with_boundaries(BOUNDS.to_vec()).build()
        };
        Self {
            consumed: meter
                .u64_counter("messaging.client.consumed.messages")
                .with_unit("{message}")
                .with_description("Events received.")
                .build(),
            process: histogram(
                "messaging.process.duration",
                "From the receipt of an event until every sink has accepted it.",
            ),
            operation: histogram(
                "messaging.client.operation.duration",
                "One attempt to deliver an event to a sink.",
            ),
        }
    }
}

/// A value of each partition, where it is known.
fn gauge(
    meter: &Meter,
    standings: &Arc<Standings>,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    value: fn(&Snapshot) -> Option<f64>,
) {
    let standings = Arc::clone(standings);
    // What is built lives as long as the provider.
    meter
        .f64_observable_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |observer| {
            for one in standings.snapshot() {
                if let Some(value) = value(&one) {
                    observer.observe(value, &place(&one.source, &one.partition));
                }
            }
        })
        .build();
}

/// `attributes`, and the kind of failure where there was one.
pub(super) fn with_failure(
    attributes: &[KeyValue],
    more: impl IntoIterator<Item = KeyValue>,
    failure: Option<&'static str>,
) -> Vec<KeyValue> {
    let failure = failure.map(|failure| KeyValue::new("error.type", failure));
    attributes
        .iter()
        .cloned()
        .chain(more)
        .chain(failure)
        .collect()
}
