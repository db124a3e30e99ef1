//! Where the next link to a partition begins: after the last event taken, by its offset and, where
//! the service refuses that, by its number; before the first event, at the start position.

use time::OffsetDateTime;

use super::position::StartPosition;
use super::seam::Selector;
use crate::event::{Event, Offset, SequenceNumber};

/// How far one partition has been read.
#[derive(Debug)]
pub(crate) struct Resume {
    start: StartPosition,
    /// The start position once it is resolved: what "latest" or "two hours ago" meant stays meant.
    pinned: Option<Selector>,
    last: Option<(SequenceNumber, Offset)>,
    /// True when the service has refused the offset of `last`.
    by_number: bool,
}

/// Where to open a link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At events that the selector lets through.
    At(Selector),
    /// After the last event there is; the engine asks for its number.
    End,
}

impl Resume {
    /// Nothing has been read yet.
    pub(crate) fn new(start: StartPosition) -> Self {
        Self {
            start,
            pinned: None,
            last: None,
            by_number: false,
        }
    }

    /// Where to open the next link. A look-back reaches back from `now` the first time only.
    pub(crate) fn place(&mut self, now: OffsetDateTime) -> Place {
        if let Some((number, offset)) = &self.last {
            return Place::At(if self.by_number {
                Selector::after_sequence(*number)
            } else {
                Selector::after_offset(offset)
            });
        }
        if let Some(selector) = &self.pinned {
            return Place::At(selector.clone());
        }
        let selector = match &self.start {
            StartPosition::Latest => return Place::End,
            StartPosition::Earliest => Selector::earliest(),
            StartPosition::Offset(offset) => Selector::after_offset(offset),
            StartPosition::Sequence(number) => Selector::from_sequence(*number),
            StartPosition::EnqueuedTime(time) => Selector::from_time(*time),
            StartPosition::LookBack(span) => Selector::from_time(earlier(now, *span)),
        };
        Place::At(self.pin(selector))
    }

    /// Remembers what the start position has come to mean.
    pub(crate) fn pin(&mut self, selector: Selector) -> Selector {
        self.pinned.insert(selector).clone()
    }

    /// An event was taken.
    pub(crate) fn take(&mut self, event: &Event) {
        self.last = Some((event.sequence_number, event.offset.clone()));
        self.by_number = false;
    }

    /// The service refuses the place; true where there is another to try.
    pub(crate) fn refused(&mut self) -> bool {
        self.last.is_some() && !std::mem::replace(&mut self.by_number, true)
    }

    /// The number of the last event taken.
    pub(crate) fn last(&self) -> Option<SequenceNumber> {
        self.last.as_ref().map(|(number, _)| *number)
    }

    /// The position as a user would write it.
    pub(crate) fn describe(&self) -> String {
        match &self.last {
            Some((number, offset)) => format!("offset {offset} or sequence number {number}"),
            None => self.start.to_string(),
        }
    }
}

fn earlier(now: OffsetDateTime, span: std::time::Duration) -> OffsetDateTime {
    time::Duration::try_from(span)
        .ok()
        .and_then(|span| now.checked_sub(span))
        .filter(|time| *time > OffsetDateTime::UNIX_EPOCH)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;
    use crate::event::{Body, PartitionId, Properties};

    const NOW: OffsetDateTime = datetime!(2026-01-31 12:00 UTC);

    fn event(number: i64, offset: &str) -> Event {
        Event {
            partition: PartitionId::new("0"),
            sequence_number: SequenceNumber(number),
            offset: Offset::new(offset),
            enqueued_time: NOW,
            partition_key: None,
            content_type: None,
            properties: Properties::default(),
            body: Body::Bytes(bytes::Bytes::new()),
        }
    }

    fn at(place: Place) -> String {
        match place {
            Place::At(selector) => selector.as_str().to_owned(),
            Place::End => "end".to_owned(),
        }
    }

    #[test]
    fn a_start_position_becomes_a_selector() {
        let check = |start: &str, expected: &str| {
            let mut resume = Resume::new(start.parse().unwrap());
            assert_eq!(at(resume.place(NOW)), expected, "{start}");
        };
        check("earliest", "amqp.annotation.x-opt-offset > '-1'");
        check("latest", "end");
        check("offset:70", "amqp.annotation.x-opt-offset > '70'");
        check("sequence:7", "amqp.annotation.x-opt-sequence-number >= '7'");
        check(
            "time:1970-01-01T00:00:01Z",
            "amqp.annotation.x-opt-enqueued-time > '999'",
        );
        check(
            "-999999999999d",
            "amqp.annotation.x-opt-enqueued-time > '-1'",
        );
    }

    #[test]
    fn what_latest_and_look_back_meant_stays_meant() {
        let mut latest = Resume::new(StartPosition::Latest);
        assert_eq!(latest.place(NOW), Place::End);
        latest.pin(Selector::after_sequence(SequenceNumber(41)));
        assert_eq!(
            at(latest.place(NOW)),
            "amqp.annotation.x-opt-sequence-number > '41'"
        );

        let mut back = Resume::new(StartPosition::LookBack(Duration::from_secs(60)));
        let first = at(back.place(NOW));
        assert_eq!(at(back.place(NOW + Duration::from_secs(3_600))), first);
    }

    #[test]
    fn after_an_event_its_offset_leads_and_its_number_stands_in() {
        let mut resume = Resume::new(StartPosition::Latest);
        assert!(!resume.refused(), "a start position has no stand-in");
        resume.take(&event(4, "400"));
        assert_eq!(
            at(resume.place(NOW)),
            "amqp.annotation.x-opt-offset > '400'"
        );
        assert!(resume.refused());
        assert_eq!(
            at(resume.place(NOW)),
            "amqp.annotation.x-opt-sequence-number > '4'"
        );
        assert!(!resume.refused(), "there is no third way");
        resume.take(&event(5, "500"));
        assert_eq!(
            at(resume.place(NOW)),
            "amqp.annotation.x-opt-offset > '500'"
        );
    }
}
