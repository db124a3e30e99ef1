//! When the checkpoint of a partition is written: not for every event, and never long behind.

use std::time::Duration;

use tokio::time::Instant;

use crate::ack::Limit;
use crate::causes::Causes;
use crate::checkpoint::{Cadence, CheckpointError};
use crate::event::{PartitionId, Position};

/// How far a partition was delivered, and how much of that the store does not know yet.
#[derive(Debug)]
pub(super) struct Progress {
    cadence: Cadence,
    /// The newest position that the store does not have.
    unsaved: Option<Position>,
    /// The events up to there, since the position that the store has.
    events: usize,
    /// The position that is being written, and the events up to there.
    saving: Option<(Position, usize)>,
    begun: Instant,
    /// When the store was last asked to write.
    asked: Option<Instant>,
    /// Nothing is written before this, after a failure.
    not_before: Option<Instant>,
    /// True when every position is to be written at once: at the end.
    is_hurried: bool,
    failures: u64,
    told: Option<Instant>,
}

/// Failures that go on are told so often, and the store is asked again so soon.
const TELL_EVERY: Duration = Duration::from_secs(60);
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Progress {
    pub(super) fn new(cadence: Cadence, now: Instant) -> Self {
        Self {
            cadence,
            unsaved: None,
            events: 0,
            saving: None,
            begun: now,
            asked: None,
            not_before: None,
            is_hurried: false,
            failures: 0,
            told: None,
        }
    }

    /// `events` more are delivered, up to `position`.
    pub(super) fn advance(&mut self, position: Position, events: usize) {
        self.unsaved = Some(position);
        self.events += events;
    }

    /// True when another event may be received beside `in_flight` others: what a crash would deliver
    /// again stays bounded, even while the store fails.
    pub(super) fn allows(&self, in_flight: usize, limit: Limit) -> bool {
        let being_saved = self.saving.as_ref().map_or(0, |(_, events)| *events);
        in_flight + self.events + being_saved < limit.events + self.cadence.events
    }

    /// When the next checkpoint is to be written, where there is something to write.
    pub(super) fn due(&self) -> Option<Instant> {
        self.unsaved.as_ref()?;
        let interval = self.asked.map(|asked| asked + self.cadence.interval);
        let due = match interval {
            Some(due) if !self.is_hurried && self.events < self.cadence.events => due,
            // Long ago.
            _ => self.begun,
        };
        Some(self.not_before.map_or(due, |time| time.max(due)))
    }

    /// The position to write, where it is time at `now`.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Position> {
        if self.due()? > now {
            return None;
        }
        let position = self.unsaved.take()?;
        self.saving = Some((position.clone(), std::mem::take(&mut self.events)));
        self.asked = Some(now);
        Some(position)
    }

    /// The store has answered. A position that it could not write is written with the next one.
    pub(super) fn saved(
        &mut self,
        partition: &PartitionId,
        result: Result<(), CheckpointError>,
        now: Instant,
    ) {
        let saving = self.saving.take();
        let Err(error) = result else {
            if self.failures > 0 {
                tracing::info!(%partition, failures = self.failures, "checkpoint written again");
            }
            (self.failures, self.told, self.not_before) = (0, None, None);
            return;
        };
        if let Some((position, events)) = saving {
            self.unsaved.get_or_insert(position);
            self.events += events;
        }
        self.failures += 1;
        self.not_before = Some(now + RETRY_AFTER);
        if self.told.is_none_or(|told| now - told >= TELL_EVERY) {
            self.told = Some(now);
            tracing::warn!(%partition, failures = self.failures, error = %Causes(&error), "checkpoint not written");
        }
    }

    /// From now on every position is written at once.
    pub(super) fn hurry(&mut self) {
        self.is_hurried = true;
        self.not_before = None;
    }

    /// Nothing is written before `time`.
    pub(super) fn postpone(&mut self, time: Instant) {
        self.not_before = Some(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Offset, SequenceNumber};

    fn position(number: i64) -> Position {
        Position {
            sequence_number: SequenceNumber(number),
            offset: Offset::new("0"),
        }
    }

    fn progress() -> Progress {
        let cadence = Cadence {
            interval: Duration::from_secs(10),
            events: 100,
        };
        Progress::new(cadence, Instant::now())
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn number(position: Option<Position>) -> Option<i64> {
        position.map(|position| position.sequence_number.0)
    }

    fn failure() -> Result<(), CheckpointError> {
        Err(CheckpointError::NotKept)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_written_at_once_and_the_next_after_the_interval() {
        let (mut progress, now) = (progress(), Instant::now());
        assert_eq!(progress.due(), None);
        progress.advance(position(1), 2);
        assert_eq!(number(progress.take_due(now)), Some(1));
        progress.saved(&PartitionId::new("0"), Ok(()), now);
        progress.advance(position(5), 4);
        assert_eq!(number(progress.take_due(now + 9 * SECOND)), None);
        assert_eq!(progress.due(), Some(now + 10 * SECOND));
        assert_eq!(number(progress.take_due(now + 10 * SECOND)), Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn many_events_do_not_wait_for_the_interval() {
        let (mut progress, now) = (progress(), Instant::now());
        progress.advance(position(1), 2);
        progress.take_due(now);
        progress.saved(&PartitionId::new("0"), Ok(()), now);
        progress.advance(position(101), 100);
        assert_eq!(number(progress.take_due(now)), Some(101));
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_written_is_written_with_the_next() {
        let (mut progress, now) = (progress(), Instant::now());
        progress.advance(position(1), 2);
        progress.take_due(now);
        progress.advance(position(3), 2);
        progress.saved(&PartitionId::new("0"), failure(), now);
        assert_eq!(progress.events, 4);
        assert_eq!(number(progress.take_due(now)), None, "not at once");
        progress.hurry();
        assert_eq!(number(progress.take_due(now)), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn receiving_stops_when_too_much_would_be_delivered_again() {
        let (mut progress, now) = (progress(), Instant::now());
        let limit = Limit {
            events: 10,
            bytes: 10,
        };
        progress.advance(position(99), 100);
        assert!(progress.allows(9, limit) && !progress.allows(10, limit));
        progress.take_due(now);
        assert!(!progress.allows(10, limit), "being written is not written");
        progress.saved(&PartitionId::new("0"), Ok(()), now);
        assert!(progress.allows(10, limit));
    }
}
