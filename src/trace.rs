//! The trace that an event is part of: where its sender began it, and who follows the event from here on.
//!
//! Neutral: whoever receives, dispatches and delivers knows these and no exporter. Where nobody follows events, what
//! the sender said is passed on as it came.
//!
//! Source: W3C Trace Context, `traceparent` and `tracestate`; Azure SDKs, the application property `Diagnostic-Id`.

use std::fmt::Debug;

use crate::event::{Event, Properties, Source};

/// A place in a trace: which trace it is, and the span in it that what comes next belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span; never 0.
    pub span_id: u64,
    /// Flags; the lowest bit says that the trace is recorded.
    pub flags: u8,
    /// What the tracing systems on the way have to say, as it came.
    pub state: Option<String>,
}

/// The properties that are looked at.
const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
const DIAGNOSTIC_ID: &str = "Diagnostic-Id";

/// Longer ones may be dropped, says the specification.
const LONGEST_STATE: usize = 512;

impl TraceContext {
    /// What the sender of an event says of its trace: `traceparent` with `tracestate`, else `Diagnostic-Id`. None
    /// where neither is there and sound.
    pub(crate) fn of(properties: &Properties) -> Option<Self> {
        let text = |name| properties.get(name)?.as_str();
        if let Some(context) = text(PARENT).and_then(Self::parse) {
            let state = text(STATE).filter(|state| is_state(state));
            return Some(Self {
                state: state.map(str::to_owned),
                ..context
            });
        }
        // Before there was a standard, it had a form of its own, which names no trace.
        text(DIAGNOSTIC_ID).and_then(Self::parse)
    }

    /// Reads `00-TRACE-SPAN-FLAGS`; what later versions put behind it is not known and left out.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version, trace_id, span_id, flags] =
            [2, 32, 16, 2].map(|digits| parts.next().filter(|part| is_hex(part, digits)));
        let version = version.filter(|version| *version != "ff")?;
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace_id?, 16).ok()?,
            span_id: u64::from_str_radix(span_id?, 16).ok()?,
            flags: u8::from_str_radix(flags?, 16).ok()?,
            state: None,
        };
        (context.trace_id != 0 && context.span_id != 0).then_some(context)
    }

    /// As a `traceparent`.
    pub(crate) fn parent(&self) -> String {
        let Self {
            trace_id,
            span_id,
            flags,
            ..
        } = self;
        format!("00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

/// In small letters: others are not sound.
fn is_hex(text: &str, digits: usize) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(is_digit)
}

/// True for what a header may carry and nobody has to cut.
fn is_state(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain && (1..=LONGEST_STATE).contains(&text.len())
}

/// Follows events on their way.
pub(crate) trait Tracer: Debug + Send + Sync {
    /// An event of `source` was received.
    fn received(&self, source: &Source, event: &Event) -> Box<dyn Journey>;
}

/// The way of one event, from its receipt until every sink has it.
pub(crate) trait Journey: Debug + Send + Sync {
    /// An attempt to deliver it begins.
    fn attempt(&self, destination: Destination<'_>) -> Box<dyn Attempt>;

    /// It is over: every sink has accepted the event, or one has let go of it.
    fn ended(self: Box<Self>, is_delivered: bool);
}

/// One attempt to deliver one event to one sink.
pub(crate) trait Attempt: Debug + Send + Sync {
    /// What the sink may pass on; none where only what the sender said can be.
    fn context(&self) -> Option<TraceContext>;

    /// A server has answered with this HTTP status.
    fn answered(&self, status: u16);

    /// It is over: `failure` is the kind of failure, of which there are few; none where the sink accepted the event.
    fn ended(self: Box<Self>, failure: Option<&'static str>);
}

/// Where an attempt goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Destination<'a> {
    /// The name of the sink.
    pub sink: &'a str,
    /// The server that is asked over HTTP; none where there is none.
    pub server: Option<Server<'a>>,
    /// How many events are delivered together.
    pub events: usize,
}

/// A server, without anything that may be a secret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server<'a> {
    /// Its name or address.
    pub host: &'a str,
    /// Its port.
    pub port: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

    fn read(properties: &[(&str, &str)]) -> Option<(String, Option<String>)> {
        let properties = properties.iter();
        let properties: Properties = properties
            .map(|(name, value)| (*name, serde_json::Value::from(*value)))
            .collect();
        let context = TraceContext::of(&properties)?;
        Some((context.parent(), context.state))
    }

    #[test]
    fn what_a_sender_says_of_its_trace_is_read_as_it_stands() {
        let long = "a=1,".repeat(200);
        for (properties, parent, state) in [
            (&[("traceparent", PARENT)][..], PARENT, None),
            (&[("TraceParent", PARENT)], PARENT, None),
            (&[("Diagnostic-Id", PARENT)], PARENT, None),
            (
                &[("traceparent", PARENT), ("Diagnostic-Id", OTHER)],
                PARENT,
                None,
            ),
            (
                &[("traceparent", "00-xyz"), ("Diagnostic-Id", OTHER)],
                OTHER,
                None,
            ),
            (
                &[("traceparent", PARENT), ("tracestate", "rojo=00f0")],
                PARENT,
                Some("rojo=00f0"),
            ),
            (
                &[("traceparent", PARENT), ("tracestate", "a=1\r\nx: y")],
                PARENT,
                None,
            ),
            (
                &[("traceparent", PARENT), ("tracestate", &long)],
                PARENT,
                None,
            ),
            (
                &[("Diagnostic-Id", PARENT), ("tracestate", "a=1")],
                PARENT,
                None,
            ),
            (
                &[("traceparent", &format!("cc{}-more", &PARENT[2..]))],
                PARENT,
                None,
            ),
        ] {
            let expected = Some((parent.to_owned(), state.map(str::to_owned)));
            assert_eq!(read(properties), expected, "{properties:?}");
        }
    }

    #[test]
    fn what_is_no_trace_begins_none() {
        for text in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01",
            "|4bf92f3577b34da6a3ce929d0e0e4736.00f067aa0ba902b7.1.",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx: y",
        ] {
            for name in ["traceparent", "Diagnostic-Id"] {
                assert_eq!(read(&[(name, text)]), None, "{name} {text:?}");
            }
        }
        assert_eq!(read(&[("tracestate", "a=1")]), None);
    }
}
