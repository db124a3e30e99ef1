//! A stretch of every partition, read once more: where it begins and where it ends; pure.

use std::str::FromStr;

use time::{Duration, OffsetDateTime};

use crate::event::{Event, Offset, SequenceNumber};
use crate::receiver::{LastEvent, PositionError, StartPosition};

/// What is read once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replay {
    /// Where it begins, in each partition.
    pub from: StartPosition,
    /// Where it ends; none for the last event there is at the start.
    pub to: Option<End>,
}

/// Where a replay ends; never behind the last event that there is when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With the event of this number.
    Sequence(SequenceNumber),
    /// With the event at this offset.
    Offset(Offset),
    /// With the last event that the service took at this time or before.
    Time(OffsetDateTime),
    /// So long before the replay begins.
    LookBack(Duration),
}

/// A text that names no end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    /// It is no position at all.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// It is one where nothing can end.
    #[error("a replay cannot end there; leave it out to end with the last event there is")]
    NoEnd,
}

impl FromStr for End {
    type Err = EndError;

    fn from_str(text: &str) -> Result<Self, EndError> {
        Ok(match text.parse()? {
            StartPosition::Sequence(number) => Self::Sequence(number),
            StartPosition::Offset(offset) => Self::Offset(offset),
            StartPosition::EnqueuedTime(time) => Self::Time(time),
            StartPosition::LookBack(span) => {
                Self::LookBack(Duration::try_from(span).map_err(|_| EndError::NoEnd)?)
            }
            StartPosition::Earliest | StartPosition::Latest => return Err(EndError::NoEnd),
        })
    }
}

/// How far one partition is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Until {
    last: SequenceNumber,
    to: Option<To>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Offset(Offset),
    Time(OffsetDateTime),
}

/// Where an event lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// It is to be delivered.
    Yes,
    /// The same, and nothing behind it is.
    Last,
    /// It is not to be delivered, nor is anything behind it.
    No,
}

impl Replay {
    /// How far a partition is read whose last event is `last` at the time `now`; none where there is
    /// nothing to read, so that nobody waits for an event that may never come.
    pub(crate) fn until(&self, last: Option<&LastEvent>, now: OffsetDateTime) -> Option<Until> {
        let last = last?;
        let is_behind = match &self.from {
            StartPosition::Earliest => false,
            StartPosition::Latest => true,
            StartPosition::Offset(offset) => *offset == last.position.offset,
            StartPosition::Sequence(number) => *number > last.position.sequence_number,
            StartPosition::EnqueuedTime(time) => *time > last.enqueued_time,
            StartPosition::LookBack(span) => now - *span > last.enqueued_time,
        };
        let newest = last.position.sequence_number;
        let (last, to) = match &self.to {
            None => (newest, None),
            Some(End::Sequence(number)) => (newest.min(*number), None),
            Some(End::Offset(offset)) => (newest, Some(To::Offset(offset.clone()))),
            Some(End::Time(time)) => (newest, Some(To::Time(*time))),
            Some(End::LookBack(span)) => (newest, Some(To::Time(now - *span))),
        };
        (!is_behind).then_some(Until { last, to })
    }
}

impl Until {
    /// Where `event` lies, which follows all that were judged before.
    pub(crate) fn judge(&self, event: &Event) -> Within {
        let is_beyond = match &self.to {
            Some(To::Time(time)) => event.enqueued_time > *time,
            _ => false,
        };
        let is_named = matches!(&self.to, Some(To::Offset(offset)) if *offset == event.offset);
        if event.sequence_number > self.last || is_beyond {
            Within::No
        } else if event.sequence_number == self.last || is_named {
            Within::Last
        } else {
            Within::Yes
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::event::Position;
    use crate::message::samples;

    const NOW: OffsetDateTime = datetime!(2026-01-31 12:00 UTC);

    fn last() -> LastEvent {
        LastEvent {
            position: Position {
                sequence_number: SequenceNumber(9),
                offset: Offset::new("900"),
            },
            enqueued_time: datetime!(2026-01-31 11:00 UTC),
        }
    }

    fn event(number: i64, minute: u8) -> Event {
        let mut event = samples::event("?");
        event.sequence_number = SequenceNumber(number);
        event.offset = Offset::new(&(number * 100).to_string());
        event.enqueued_time = datetime!(2026-01-31 10:00 UTC)
            .replace_minute(minute)
            .unwrap();
        event
    }

    fn replay(from: &str, to: Option<&str>) -> Replay {
        Replay {
            from: from.parse().unwrap(),
            to: to.map(|to| to.parse().unwrap()),
        }
    }

    #[test]
    fn where_nothing_is_to_be_read_nobody_waits() {
        for (from, is_read) in [
            ("earliest", true),
            ("latest", false),
            ("sequence:9", true),
            ("sequence:10", false),
            ("offset:800", true),
            ("offset:900", false),
            ("time:2026-01-31T11:00:00Z", true),
            ("time:2026-01-31T11:00:01Z", false),
            ("-2h", true),
            ("-30m", false),
        ] {
            let until = replay(from, None).until(Some(&last()), NOW);
            assert_eq!(until.is_some(), is_read, "{from}");
        }
        assert_eq!(replay("earliest", None).until(None, NOW), None);
    }

    #[test]
    fn it_ends_where_it_is_told_to_or_with_the_last_event() {
        use Within::{Last, No, Yes};
        for (to, number, minute, expected) in [
            (None, 8, 0, Yes),
            (None, 9, 0, Last),
            (None, 10, 0, No),
            (Some("sequence:5"), 4, 0, Yes),
            (Some("sequence:5"), 5, 0, Last),
            (Some("sequence:5"), 6, 0, No),
            (Some("sequence:50"), 9, 0, Last),
            (Some("offset:300"), 2, 0, Yes),
            (Some("offset:300"), 3, 0, Last),
            (Some("time:2026-01-31T10:30:00Z"), 3, 30, Yes),
            (Some("time:2026-01-31T10:30:00Z"), 4, 31, No),
            (Some("-90m"), 4, 31, No),
        ] {
            let until = replay("earliest", to).until(Some(&last()), NOW).unwrap();
            assert_eq!(
                until.judge(&event(number, minute)),
                expected,
                "{to:?} {number}"
            );
        }
    }

    #[test]
    fn nothing_ends_at_the_latest_or_the_earliest() {
        for text in ["latest", "earliest"] {
            assert!(
                matches!(text.parse::<End>(), Err(EndError::NoEnd)),
                "{text}"
            );
        }
        assert!(matches!(
            "nowhere".parse::<End>(),
            Err(EndError::Position(_))
        ));
    }
}
