//! What became of events before they were given to sinks.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use super::family::Family;
use crate::context::WireFormat;
use crate::dispatcher::{Outcome, Tally};

static DECODED: Family = Family::of(
    "events_decoded",
    "Events whose body was read, by its format, and by what came of it.",
);
static UNROUTED: Family = Family::of("events_unrouted", "Events that no route matched.");
static DUPLICATE: Family = Family::of(
    "events_duplicate",
    "Events that repeat another one; always 0 where nobody looks for them.",
);
static UNDELIVERABLE: Family = Family::of(
    "events_undeliverable",
    "Events that cannot be decoded and that no route takes, by what became of them.",
);

/// No labels at all.
const NONE: [(&str, &str); 0] = [];

pub(super) fn encode(tally: &Tally, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let decoded = tally.decoded().map(|(format, outcome, count)| {
        let format = format.map_or("unknown", WireFormat::as_str);
        let outcome = match outcome {
            Outcome::Context => "context",
            Outcome::Foreign => "foreign",
            Outcome::Undecodable => "failure",
        };
        ([("format", format), ("outcome", outcome)], count)
    });
    // What has no format cannot have a context, and only JSON is taken from somebody else.
    let decoded = decoded.filter(|([(_, format), (_, outcome)], _)| {
        !matches!(
            (*format, *outcome),
            ("unknown", "context") | ("unknown" | "xml", "foreign")
        )
    });
    DECODED.counters(encoder, decoded)?;
    UNROUTED.counters(encoder, [(NONE, tally.unrouted())])?;
    DUPLICATE.counters(encoder, [(NONE, tally.duplicates())])?;
    let undeliverable = tally.undeliverable();
    let undeliverable = undeliverable.map(|(outcome, count)| ([("outcome", outcome)], count));
    UNDELIVERABLE.counters(encoder, undeliverable)
}
