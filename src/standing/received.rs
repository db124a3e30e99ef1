//! What was received of a partition: written for every event, and so without a lock or a locked instruction.
//!
//! One writes, the receiver, and whoever reads may find an event's number and the time of the one behind it: nobody
//! acts on that.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use time::OffsetDateTime;

use super::Mark;
use crate::event::SequenceNumber;

/// In the place of a number where there is none.
const NONE: i64 = i64::MIN;

/// The last event and how many there were.
#[derive(Debug)]
pub(super) struct Received {
    number: AtomicI64,
    /// When the service took it, in milliseconds since the epoch.
    enqueued_time: AtomicI64,
    events: AtomicU64,
    is_drained: AtomicBool,
}

/// The same at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// The last event, by its number and its time.
    pub last: Option<Mark>,
    /// How many were received.
    pub events: u64,
    /// True when the service had nothing that had not come, and nothing has come since.
    pub is_drained: bool,
}

impl Received {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            number: AtomicI64::new(NONE),
            enqueued_time: AtomicI64::new(0),
            events: AtomicU64::new(0),
            is_drained: AtomicBool::new(false),
        }
    }

    /// One more event.
    #[inline]
    pub(super) fn add(&self, event: Mark) {
        let time = event.enqueued_time;
        let milliseconds = time.unix_timestamp() * 1000 + i64::from(time.millisecond());
        // Nobody else writes: a sum of one's own needs no lock on the memory.
        self.events
            .store(self.events.load(Relaxed).wrapping_add(1), Relaxed);
        self.enqueued_time.store(milliseconds, Relaxed);
        self.is_drained.store(false, Relaxed);
        self.number.store(event.sequence_number.0, Release);
    }

    /// Whether everything that is wanted of the partition has come.
    pub(super) fn set_drained(&self, is_drained: bool) {
        self.is_drained.store(is_drained, Relaxed);
    }

    /// The last event means nothing any more; how many there were stays.
    pub(super) fn begin_anew(&self) {
        self.number.store(NONE, Release);
        self.set_drained(false);
    }

    /// What was received by now.
    pub(super) fn seen(&self) -> Seen {
        let number = self.number.load(Acquire);
        let milliseconds = self.enqueued_time.load(Relaxed);
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000);
        let last = Mark {
            sequence_number: SequenceNumber(number),
            enqueued_time: time.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        };
        Seen {
            last: (number != NONE).then_some(last),
            events: self.events.load(Relaxed),
            is_drained: self.is_drained.load(Relaxed),
        }
    }
}

impl Seen {
    /// The number of the last event.
    pub(super) fn number(&self) -> Option<SequenceNumber> {
        self.last.map(|event| event.sequence_number)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_event_of_any_time_is_dated_to_the_millisecond() {
        let received = Received::new();
        assert_eq!(received.seen().last, None);
        let times = [
            datetime!(2026-01-31 12:00:00.123 UTC),
            datetime!(1970-01-01 00:00 UTC),
            datetime!(1969-12-31 23:59:59.5 UTC),
            datetime!(9999-12-31 23:59:59.999 UTC),
            datetime!(-9999-01-01 00:00 UTC),
        ];
        for (number, enqueued_time) in (1..).zip(times) {
            let mark = Mark {
                sequence_number: SequenceNumber(number - 3),
                enqueued_time,
            };
            received.add(mark);
            let seen = received.seen();
            assert_eq!((seen.last, seen.events), (Some(mark), number as u64));
        }
    }

    #[test]
    fn what_comes_ends_being_drained_and_a_new_beginning_keeps_the_count() {
        let received = Received::new();
        let mark = Mark {
            sequence_number: SequenceNumber(7),
            enqueued_time: OffsetDateTime::UNIX_EPOCH,
        };
        received.set_drained(true);
        assert!(received.seen().is_drained);
        received.add(mark);
        assert!(!received.seen().is_drained);
        received.begin_anew();
        let seen = received.seen();
        assert_eq!((seen.number(), seen.events), (None, 1));
    }
}
