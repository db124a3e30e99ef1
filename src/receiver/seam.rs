//! The narrow seam between receiving and the AMQP engine behind it.
//!
//! An engine opens an authorised connection, asks it for partition ids and for a partition's last
//! sequence number, attaches a link at a [`Selector`], hands over one [`Event`] after the other, each when
//! its [`Head`] was looked at, and closes. It reports every trouble as a [`Failure`] and judges none: what to do about
//! it is decided once, above the seam. Neither its types nor its tasks are seen from here.

use std::io;

use time::OffsetDateTime;

use crate::event::{Event, Offset, Position, SequenceNumber};
use crate::standing::LossKind;

/// What went wrong, as the wire tells it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection came about: name resolution, TCP, a proxy, TLS or a WebSocket.
    Unreachable(io::Error),
    /// The service said no, in AMQP's terms.
    Condition {
        /// The error's symbol, `amqp:not-found`.
        condition: String,
        /// The error's text, with its tracking tail.
        description: String,
    },
    /// A node, `$cbs` or `$management`, has turned a question down, which says nothing of links and of positions.
    Answer {
        /// The error's symbol, or what the answer's status stands for.
        condition: String,
        /// The answer's text.
        description: String,
    },
    /// The connection ended without the service saying why, or an answer did not come in time.
    Lost {
        /// How it came to an end.
        kind: LossKind,
        /// In words.
        reason: String,
    },
    /// A message came that has no readable position, or no sound encoding.
    Malformed(String),
}

impl Failure {
    /// The connection ended, of which no more is known.
    pub(crate) fn lost(reason: impl Into<String>) -> Self {
        Self::Lost {
            kind: LossKind::ConnectionLost,
            reason: reason.into(),
        }
    }

    /// Nothing was heard for too long, or an answer did not come in time.
    pub(crate) fn silence(reason: impl Into<String>) -> Self {
        Self::Lost {
            kind: LossKind::IdleTimeout,
            reason: reason.into(),
        }
    }

    /// The service ended the link, the session or the connection and said nothing.
    pub(crate) fn detached(reason: impl Into<String>) -> Self {
        Self::Lost {
            kind: LossKind::Detached,
            reason: reason.into(),
        }
    }

    /// True when a node is too busy to answer. Of links and their events that says nothing.
    pub(crate) fn is_throttled(&self) -> bool {
        matches!(self, Self::Answer { condition, .. } if condition == "com.microsoft:server-busy")
    }

    /// True when the service refuses the position rather than the reader.
    pub(crate) fn is_position_refused(&self) -> bool {
        matches!(self, Self::Condition { condition, .. }
            if condition == "com.microsoft:argument-error"
                || condition == "com.microsoft:georeplication:invalid-offset")
    }
}

/// What an event says of itself before it is taken: enough to judge whether it is the next one.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Where it lies.
    pub position: Position,
    /// When the service took it, in UTC.
    pub enqueued_time: OffsetDateTime,
}

impl Head {
    /// That of an event which was made already.
    pub(crate) fn of(event: &Event) -> Self {
        Self {
            position: event.position(),
            enqueued_time: event.enqueued_time,
        }
    }
}

/// A condition on the annotations of events, which says where a link begins.
///
/// Source: the filter `apache.org:selector-filter:string` in the AMQP protocol guide for Event Hubs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector(String);

impl Selector {
    /// From the oldest event that is still kept.
    pub(crate) fn earliest() -> Self {
        Self("amqp.annotation.x-opt-offset > '-1'".to_owned())
    }

    /// After an offset. Quotes in it are doubled, for it is not ours to read.
    pub(crate) fn after_offset(offset: &Offset) -> Self {
        let offset = offset.as_str().replace('\'', "''");
        Self(format!("amqp.annotation.x-opt-offset > '{offset}'"))
    }

    /// After a sequence number.
    pub(crate) fn after_sequence(number: SequenceNumber) -> Self {
        Self(format!(
            "amqp.annotation.x-opt-sequence-number > '{number}'"
        ))
    }

    /// After the last event that a partition has had: where it had none, that is its beginning.
    pub(crate) fn after_last(number: SequenceNumber) -> Self {
        if number.0 < 0 {
            Self::earliest()
        } else {
            Self::after_sequence(number)
        }
    }

    /// From a sequence number on.
    pub(crate) fn from_sequence(number: SequenceNumber) -> Self {
        Self(format!(
            "amqp.annotation.x-opt-sequence-number >= '{number}'"
        ))
    }

    /// From a time on: the service compares milliseconds, and understands `>` alone for times.
    pub(crate) fn from_time(time: OffsetDateTime) -> Self {
        let milliseconds = (time.unix_timestamp_nanos() / 1_000_000).saturating_sub(1);
        Self(format!(
            "amqp.annotation.x-opt-enqueued-time > '{milliseconds}'"
        ))
    }

    /// The condition as it goes over the wire.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_selector_names_the_annotation_and_quotes_its_value() {
        let check = |selector: Selector, expected: &str| assert_eq!(selector.as_str(), expected);
        check(Selector::earliest(), "amqp.annotation.x-opt-offset > '-1'");
        check(
            Selector::after_offset(&Offset::new("1'2")),
            "amqp.annotation.x-opt-offset > '1''2'",
        );
        check(
            Selector::after_sequence(SequenceNumber(7)),
            "amqp.annotation.x-opt-sequence-number > '7'",
        );
        check(
            Selector::from_sequence(SequenceNumber(7)),
            "amqp.annotation.x-opt-sequence-number >= '7'",
        );
        check(
            Selector::from_time(datetime!(2023-11-14 22:13:20.0015 UTC)),
            "amqp.annotation.x-opt-enqueued-time > '1700000000000'",
        );
    }
}
