//! Spans: one of each event, from its receipt until every sink has it, and in it one of each attempt to deliver it.
//!
//! An event has a span of its own, and no batch has one: events come one by one over a link, each has a sender's
//! trace to go on with, and is over when the slowest of its sinks has it. Of what an event says nothing is in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Instant;

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::measures::{Measures, with_failure};
use crate::event::{Event, PartitionId, Source};
use crate::trace::{Attempt, Destination, Journey, TraceContext, Tracer};

/// Follows events with spans, with measurements, or with both.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) tracer: Option<SdkTracer>,
    pub(super) measures: Option<Arc<Measures>>,
}

/// Which partition it is about, in the words of the conventions.
pub(super) fn place(source: &Source, partition: &PartitionId) -> [KeyValue; 5] {
    [
        KeyValue::new("messaging.system", "eventhubs"),
        KeyValue::new("messaging.destination.name", source.event_hub.clone()),
        KeyValue::new(
            "messaging.destination.partition.id",
            partition.as_str().to_owned(),
        ),
        KeyValue::new(
            "messaging.consumer.group.name",
            source.consumer_group.clone(),
        ),
        KeyValue::new("server.address", source.namespace.clone()),
    ]
}

impl Tracer for Follower {
    fn received(&self, source: &Source, event: &Event) -> Box<dyn Journey> {
        let place = place(source, &event.partition);
        if let Some(measures) = &self.measures {
            let operation = KeyValue::new("messaging.operation.name", "receive");
            let attributes = with_failure(&place, [operation], None);
            measures.consumed.add(1, &attributes);
        }
        let traced = self.tracer.as_ref().map(|tracer| {
            let parent = parent(&event.properties);
            Traced {
                tracer: tracer.clone(),
                span: process(tracer, &parent, &place, source, event),
            }
        });
        Box::new(Followed {
            begun: Instant::now(),
            place,
            traced,
            measures: self.measures.clone(),
        })
    }
}

/// What the sender of an event said of its trace, as a parent; without any, a trace begins.
fn parent(properties: &crate::event::Properties) -> Context {
    let parent = TraceContext::of(properties).map(|context| {
        let state = context.state.and_then(|state| state.parse().ok());
        SpanContext::new(
            TraceId::from(context.trace_id),
            SpanId::from(context.span_id),
            TraceFlags::new(context.flags),
            true,
            state.unwrap_or(TraceState::NONE),
        )
    });
    match parent {
        Some(parent) => Context::new().with_remote_span_context(parent),
        None => Context::new(),
    }
}

fn process(
    tracer: &SdkTracer,
    parent: &Context,
    place: &[KeyValue],
    source: &Source,
    event: &Event,
) -> Span {
    let own = [
        KeyValue::new("messaging.operation.name", "process"),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new(
            "messaging.eventhubs.message.enqueued_time",
            event.enqueued_time.unix_timestamp(),
        ),
        KeyValue::new(
            "messaging.message.body.size",
            i64::try_from(event.body.bytes().len()).unwrap_or(i64::MAX),
        ),
        // By this an event is known in the log and in the hub.
        KeyValue::new(
            "dataverse_listener.sequence_number",
            event.sequence_number.0,
        ),
    ];
    tracer
        .span_builder(format!("process {}", source.event_hub))
        .with_kind(SpanKind::Consumer)
        .with_attributes(place.iter().cloned().chain(own).collect::<Vec<_>>())
        .start_with_context(tracer, parent)
}

/// An event on its way.
#[derive(Debug)]
struct Followed {
    begun: Instant,
    place: [KeyValue; 5],
    traced: Option<Traced>,
    measures: Option<Arc<Measures>>,
}

#[derive(Debug)]
struct Traced {
    tracer: SdkTracer,
    span: Span,
}

impl Journey for Followed {
    fn attempt(&self, destination: Destination<'_>) -> Box<dyn Attempt> {
        let span = self
            .traced
            .as_ref()
            .map(|traced| traced.deliver(destination));
        let sink = KeyValue::new("dataverse_listener.sink", destination.sink.to_owned());
        Box::new(Attempted {
            begun: Instant::now(),
            status: AtomicU16::new(0),
            span,
            measured: self.measures.as_ref().map(|measures| Measured {
                measures: Arc::clone(measures),
                place: self.place.clone(),
                sink,
            }),
        })
    }

    fn ended(self: Box<Self>, is_delivered: bool) {
        // It will be received again.
        let failure = (!is_delivered).then_some("left_behind");
        if let Some(Traced { mut span, .. }) = self.traced {
            end(&mut span, failure);
        }
        if let Some(measures) = &self.measures {
            let operation = KeyValue::new("messaging.operation.name", "process");
            let attributes = with_failure(&self.place, [operation], failure);
            let took = self.begun.elapsed().as_secs_f64();
            measures.process.record(took, &attributes);
        }
    }
}

impl Traced {
    fn deliver(&self, destination: Destination<'_>) -> Span {
        let Destination {
            sink,
            server,
            events,
        } = destination;
        let mut attributes = vec![KeyValue::new("dataverse_listener.sink", sink.to_owned())];
        if events > 1 {
            let events = i64::try_from(events).unwrap_or(i64::MAX);
            attributes.push(KeyValue::new("messaging.batch.message_count", events));
        }
        let kind = match server {
            Some(_) => SpanKind::Client,
            None => SpanKind::Internal,
        };
        // Host and port alone: the rest of the URL may be a secret.
        if let Some(server) = server {
            attributes.push(KeyValue::new("http.request.method", "POST"));
            attributes.push(KeyValue::new("server.address", server.host.to_owned()));
            let port = server.port.map(i64::from);
            attributes.extend(port.map(|port| KeyValue::new("server.port", port)));
        }
        let parent = self.span.span_context().clone();
        self.tracer
            .span_builder(format!("deliver {sink}"))
            .with_kind(kind)
            .with_attributes(attributes)
            .start_with_context(
                &self.tracer,
                &Context::new().with_remote_span_context(parent),
            )
    }
}

/// An attempt that is under way.
#[derive(Debug)]
struct Attempted {
    begun: Instant,
    /// The server's answer; 0 where there was none.
    status: AtomicU16,
    span: Option<Span>,
    measured: Option<Measured>,
}

#[derive(Debug)]
struct Measured {
    measures: Arc<Measures>,
    place: [KeyValue; 5],
    sink: KeyValue,
}

impl Attempt for Attempted {
    fn context(&self) -> Option<TraceContext> {
        let context = self.span.as_ref()?.span_context();
        let state = context.trace_state().header();
        context.is_valid().then(|| TraceContext {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
            state: (!state.is_empty()).then_some(state),
        })
    }

    fn answered(&self, status: u16) {
        self.status.store(status, Relaxed);
    }

    fn ended(self: Box<Self>, failure: Option<&'static str>) {
        let status = self.status.load(Relaxed);
        let status =
            (status != 0).then(|| KeyValue::new("http.response.status_code", i64::from(status)));
        if let Some(mut span) = self.span {
            span.set_attributes(status.clone());
            end(&mut span, failure);
        }
        if let Some(measured) = &self.measured {
            let operation = KeyValue::new("messaging.operation.name", "deliver");
            let more = [operation, measured.sink.clone()].into_iter().chain(status);
            let attributes = with_failure(&measured.place, more, failure);
            let took = self.begun.elapsed().as_secs_f64();
            measured.measures.operation.record(took, &attributes);
        }
    }
}

/// Ends a span, as failed where it has: the kind says enough, and the reason is in the log.
fn end(span: &mut Span, failure: Option<&'static str>) {
    if let Some(failure) = failure {
        span.set_attribute(KeyValue::new("error.type", failure));
        span.set_status(Status::error(failure));
    }
    span.end();
}
