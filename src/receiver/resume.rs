//! Where the next link to a partition begins: after the last event taken, by its offset and, where
//! the service refuses that, by its number, and where it knows neither any more, at the beginning;
//! before the first event, at the start position.

use time::OffsetDateTime;

use super::LastEvent;
use super::position::StartPosition;
use super::seam::{Head, Selector};
use crate::event::{Offset, Position, SequenceNumber};

/// How far one partition has been read.
#[derive(Debug)]
pub(crate) struct Resume {
    start: StartPosition,
    /// The start position once it is resolved: what "latest" or "two hours ago" meant stays meant.
    pinned: Option<Selector>,
    last: Option<(SequenceNumber, Offset)>,
    /// When the service took the last event, where it was read by this process.
    last_time: Option<OffsetDateTime>,
    by: By,
}

/// How the place after the last event is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By its offset, where it has one to go by.
    Offset,
    /// By its number: the service has refused the offset.
    Number,
    /// Not at all: the hub was made anew, and has no such place.
    Nothing,
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
            last_time: None,
            by: By::Offset,
        }
    }

    /// Where to open the next link. A look-back reaches back from `now` the first time only.
    pub(crate) fn place(&mut self, now: OffsetDateTime) -> Place {
        // Asked of the last event of a link, and not of each.
        if self.by == By::Offset
            && let Some((_, offset)) = &self.last
        {
            self.by = best(offset);
        }
        match (&self.last, self.by) {
            (_, By::Nothing) => return Place::At(Selector::earliest()),
            (Some((_, offset)), By::Offset) => return Place::At(Selector::after_offset(offset)),
            // Another hub may have such a number too: the last event comes once more, as proof.
            (Some((number, _)), By::Number) if self.last_time.is_some() => {
                return Place::At(Selector::from_sequence(*number));
            }
            (Some((number, _)), By::Number) => return Place::At(Selector::after_sequence(*number)),
            (None, By::Offset | By::Number) => {}
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
    pub(crate) fn take(&mut self, event: &Head) {
        self.go_on_after(event.position.clone());
        self.last_time = Some(event.enqueued_time);
    }

    /// Whether this event is the last one that was taken, asked for once more because the service has refused its
    /// offset: true where it is, false where it is another one of that number, none where that was not asked.
    pub(crate) fn proves(&self, event: &Head) -> Option<bool> {
        let (number, _) = self.last.as_ref().filter(|_| self.by == By::Number)?;
        let time = self.last_time?;
        (event.position.sequence_number == *number).then_some(event.enqueued_time == time)
    }

    /// A failure had nothing to do with the place: what was found out about it may be wrong by now.
    pub(crate) fn forget_refusals(&mut self) {
        if let (Some(_), By::Number) = (&self.last, self.by) {
            self.by = By::Offset;
        }
    }

    /// The event at `position` was taken, now or before.
    pub(crate) fn go_on_after(&mut self, position: Position) {
        self.by = By::Offset;
        self.last = Some((position.sequence_number, position.offset));
        self.last_time = None;
    }

    /// The service refuses the place; how to name it now, where there is another way. `worked` tells
    /// whether a start position has been good before: then the hub is another one since. The end of a
    /// partition always was.
    pub(crate) fn refused(&mut self, worked: bool) -> Option<By> {
        let was_good = worked || matches!(self.start, StartPosition::Latest);
        self.by = match (&self.last, self.by) {
            (_, By::Nothing) => return None,
            (Some(_), By::Offset) => By::Number,
            (Some(_), By::Number) => By::Nothing,
            (None, _) if was_good => By::Nothing,
            (None, _) => return None,
        };
        Some(self.by)
    }

    /// The hub was made anew: the last event tells nothing about it.
    pub(crate) fn restart(&mut self) {
        self.by = By::Nothing;
    }

    /// Whatever was read before, reading begins at `start` now.
    pub(crate) fn begin_at(&mut self, start: StartPosition) {
        *self = Self::new(start);
    }

    /// How many events should have come, or 1 where that is not known, when the service has `last` and had `before`
    /// when it was first asked.
    pub(crate) fn behind(&self, last: &LastEvent, before: Option<SequenceNumber>) -> u64 {
        let number = last.position.sequence_number;
        let is_expected = match (&self.last, &self.start) {
            _ if self.by == By::Nothing => true,
            (Some((taken, _)), _) => return u64::try_from(number.0 - taken.0).unwrap_or(0),
            (None, StartPosition::Earliest) => true,
            (None, StartPosition::Sequence(first)) => number >= *first,
            (None, StartPosition::EnqueuedTime(time)) => last.enqueued_time >= *time,
            (None, _) => before.is_some_and(|before| number > before),
        };
        u64::from(is_expected)
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

/// How a place is named that nobody has refused. The service would take an empty offset for the beginning.
fn best(offset: &Offset) -> By {
    let text = offset.as_str();
    match text.is_empty() || text.contains(char::is_control) {
        true => By::Number,
        false => By::Offset,
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
    const NOW: OffsetDateTime = datetime!(2026-01-31 12:00 UTC);

    fn event(number: i64, offset: &str) -> Head {
        Head {
            position: Position {
                sequence_number: SequenceNumber(number),
                offset: Offset::new(offset),
            },
            enqueued_time: NOW,
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
        let mut resume = Resume::new("sequence:4".parse().unwrap());
        assert_eq!(
            resume.refused(false),
            None,
            "a start position has no stand-in"
        );
        resume.take(&event(4, "400"));
        assert_eq!(
            at(resume.place(NOW)),
            "amqp.annotation.x-opt-offset > '400'"
        );
        assert_eq!(resume.refused(true), Some(By::Number));
        assert_eq!(
            at(resume.place(NOW)),
            "amqp.annotation.x-opt-sequence-number >= '4'"
        );
        assert_eq!(resume.refused(true), Some(By::Nothing));
        assert_eq!(at(resume.place(NOW)), "amqp.annotation.x-opt-offset > '-1'");
        assert_eq!(
            resume.refused(true),
            None,
            "there is nothing before the beginning"
        );
        resume.take(&event(5, "500"));
        assert_eq!(
            at(resume.place(NOW)),
            "amqp.annotation.x-opt-offset > '500'"
        );
    }

    #[test]
    fn after_a_hub_was_made_anew_nothing_is_measured_by_the_old_one() {
        let last = |number| LastEvent {
            position: event(number, "0").position,
            enqueued_time: NOW,
        };
        let mut resume = Resume::new(StartPosition::Latest);
        assert_eq!(resume.behind(&last(7), Some(SequenceNumber(7))), 0);
        resume.take(&event(500, "50000"));
        assert_eq!(resume.behind(&last(503), None), 3);
        resume.restart();
        assert_eq!(resume.behind(&last(3), Some(SequenceNumber(500))), 1);
        resume.take(&event(0, "0"));
        assert_eq!(resume.behind(&last(3), Some(SequenceNumber(500))), 3);
    }

    #[test]
    fn an_empty_offset_is_never_given_back() {
        let by_number = "amqp.annotation.x-opt-sequence-number >= '4'";
        let mut resume = Resume::new(StartPosition::Earliest);
        resume.take(&event(4, ""));
        assert_eq!(at(resume.place(NOW)), by_number);
        resume.forget_refusals();
        assert_eq!(at(resume.place(NOW)), by_number);
        assert_eq!(resume.proves(&event(4, "")), Some(true));
        assert_eq!(resume.refused(true), Some(By::Nothing));
        resume.take(&event(5, "500"));
        assert_eq!(
            at(resume.place(NOW)),
            "amqp.annotation.x-opt-offset > '500'"
        );
    }

    #[test]
    fn a_start_position_that_was_good_gives_way_to_the_beginning() {
        for (start, worked) in [("sequence:4", true), ("offset:4", true), ("latest", false)] {
            let mut resume = Resume::new(start.parse().unwrap());
            resume.pin(Selector::after_sequence(SequenceNumber(3)));
            assert_eq!(resume.refused(worked), Some(By::Nothing), "{start}");
            assert_eq!(at(resume.place(NOW)), "amqp.annotation.x-opt-offset > '-1'");
            assert_eq!(resume.refused(worked), None, "{start}");
        }
    }
}
