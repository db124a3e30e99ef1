//! How each partition stands: what was received of it and delivered, how far behind that is, and how its link does.
//! Plain data; pure.
//!
//! The receiver and the partition loop write, each what it knows; whoever tells it, in a log, a metric or a page, takes
//! a [`Snapshot`], which asks the service nothing. One short lock is taken for an event and one for a batch of
//! deliveries, and neither allocates.
//!
//! How far a partition goes is what the service said last: with each event, where it speaks the receiver runtime
//! metric, and when it was asked after a silence. So it is fresh while events come, and at most a quarter of an hour old
//! while none does: of an idle link nothing is to be learnt that would not have come as an event. Of a link that is
//! lost it is as old as the loss; [`Snapshot::as_of`] tells.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::{Duration, OffsetDateTime};

use crate::event::{PartitionId, SequenceNumber, Source};

/// How one partition stands.
#[derive(Debug)]
pub struct Standing {
    source: Arc<Source>,
    partition: PartitionId,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    received: Option<SequenceNumber>,
    /// By whomever: after a restart the checkpoint's, whose time is not known.
    completed: Option<(SequenceNumber, Option<OffsetDateTime>)>,
    progressed: Option<OffsetDateTime>,
    first_open: Option<Mark>,
    last_enqueued: Option<LastEnqueued>,
    as_of: Option<OffsetDateTime>,
    /// True when the service had nothing that had not come, and nothing has come since.
    is_drained: bool,
    link: Link,
    /// How often it was attached.
    attached: u64,
    last_loss: Option<Loss>,
    beats: u64,
    has_room: bool,
}

/// An event, by its number and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its number in its partition.
    pub sequence_number: SequenceNumber,
    /// When the service took it, in UTC.
    pub enqueued_time: OffsetDateTime,
}

/// The last event of a partition, as the service says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastEnqueued {
    /// Which it is.
    pub mark: Mark,
    /// When that was so, in UTC, by the clock of whoever said it.
    pub as_of: OffsetDateTime,
}

/// The link to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it does.
    pub state: LinkState,
    /// Since when, in UTC.
    pub since: OffsetDateTime,
}

/// What a link does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It is being opened.
    Connecting,
    /// Events can come.
    Attached,
    /// It was lost, or could not be opened, and will be tried again.
    Waiting {
        /// Why, as the log says it.
        reason: Arc<str>,
    },
    /// Nobody reads the partition any more.
    Ended {
        /// Why, where nobody asked for it.
        reason: Option<Arc<str>>,
    },
}

/// The loss of a link, or an attempt to open one that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Why, as the log says it.
    pub reason: Arc<str>,
    /// When, in UTC.
    pub at: OffsetDateTime,
}

/// How a partition stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The hub and the consumer group.
    pub source: Arc<Source>,
    /// The partition.
    pub partition: PartitionId,
    /// The last event received by this process.
    pub received: Option<SequenceNumber>,
    /// The last event up to which every one was delivered to every sink; at the start the one of the checkpoint.
    pub completed: Option<SequenceNumber>,
    /// The last event of the partition that is known of.
    pub last_enqueued: Option<SequenceNumber>,
    /// When the service last said how far the partition goes, in UTC.
    pub as_of: Option<OffsetDateTime>,
    /// Events of the partition that were not delivered to every sink, as far as is known; none where it is not.
    pub behind: Option<u64>,
    /// When the service took the oldest of them, in UTC; the time of the last one delivered where it has not come yet.
    pub oldest: Option<OffsetDateTime>,
    /// When an event was last delivered to every sink by this process, in UTC.
    pub progressed: Option<OffsetDateTime>,
    /// The link.
    pub link: Link,
    /// How often the link was attached again.
    pub reconnects: u64,
    /// The last trouble with the link.
    pub last_loss: Option<Loss>,
    /// How often its loop has said, since it began, that it waits for something: every few seconds while nothing comes.
    pub beats: u64,
    /// True when more could be received, the last time it said so: no sink holds it up.
    pub has_room: bool,
}

/// All partitions that the process reads, or has read.
#[derive(Debug, Default)]
pub struct Standings(Mutex<Vec<Arc<Standing>>>);

impl Standing {
    /// A partition that is about to be read.
    pub fn new(source: Arc<Source>, partition: PartitionId, now: OffsetDateTime) -> Self {
        let state = State {
            received: None,
            completed: None,
            progressed: None,
            first_open: None,
            last_enqueued: None,
            as_of: None,
            is_drained: false,
            link: Link::new(LinkState::Connecting, now),
            attached: 0,
            last_loss: None,
            beats: 0,
            has_room: true,
        };
        Self {
            source,
            partition,
            state: Mutex::new(state),
        }
    }

    /// Everything up to this event was delivered before, by another process perhaps.
    pub fn goes_on_after(&self, number: SequenceNumber) {
        self.lock().completed = Some((number, None));
    }

    /// The link is being opened.
    pub fn connecting(&self, now: OffsetDateTime) {
        self.lock().link = Link::new(LinkState::Connecting, now);
    }

    /// The link is attached.
    pub fn attached(&self, now: OffsetDateTime) {
        let mut state = self.lock();
        state.attached += 1;
        state.link = Link::new(LinkState::Attached, now);
    }

    /// The link was lost, or could not be opened, and will be tried again.
    pub fn waits(&self, reason: &str, now: OffsetDateTime) {
        let mut state = self.lock();
        let reason = state.lost(reason, now);
        state.link = Link::new(LinkState::Waiting { reason }, now);
    }

    /// Nobody reads the partition any more: because of that, or because it was asked for. What was said first stays.
    pub fn ended(&self, reason: Option<&str>, now: OffsetDateTime) {
        let mut state = self.lock();
        if !matches!(state.link.state, LinkState::Ended { .. }) {
            let reason = reason.map(|reason| state.lost(reason, now));
            state.link = Link::new(LinkState::Ended { reason }, now);
        }
    }

    /// An event was received, and the service may have said how far the partition goes.
    pub fn received(&self, number: SequenceNumber, last_enqueued: Option<LastEnqueued>) {
        let mut state = self.lock();
        state.received = Some(number);
        state.is_drained = false;
        if let Some(last) = last_enqueued {
            state.learned(last);
        }
    }

    /// The service was asked for the last event it has: none where it keeps none. `is_drained` where everything that
    /// is wanted of the partition has come.
    pub fn asked(&self, last: Option<Mark>, is_drained: bool, now: OffsetDateTime) {
        let mut state = self.lock();
        state.is_drained = is_drained;
        state.as_of = Some(now);
        if let Some(mark) = last {
            state.learned(LastEnqueued { mark, as_of: now });
        }
    }

    /// The hub is another one under the old name, or reading goes on elsewhere: numbers before mean nothing any more.
    pub fn begins_anew(&self) {
        let mut state = self.lock();
        state.received = None;
        state.completed = None;
        state.last_enqueued = None;
        state.as_of = None;
        state.is_drained = false;
    }

    /// An event was taken in, while none was in flight.
    pub fn took_in(&self, first: Mark) {
        self.lock().first_open = Some(first);
    }

    /// Every event up to this one was delivered to every sink; `first_open` is the first that was not, of those in
    /// flight.
    pub fn delivered(&self, completed: Mark, first_open: Option<Mark>, now: OffsetDateTime) {
        let mut state = self.lock();
        state.completed = Some((completed.sequence_number, Some(completed.enqueued_time)));
        state.first_open = first_open;
        state.progressed = Some(now);
    }

    /// Its loop waits for something, and has or has not room for more.
    pub fn beat(&self, has_room: bool) {
        let mut state = self.lock();
        state.beats += 1;
        state.has_room = has_room;
    }

    /// How many events of the partition have not been received yet, as far as is known.
    pub fn to_come(&self) -> Option<u64> {
        let state = self.lock();
        let last = state.last_enqueued?.mark.sequence_number;
        u64::try_from(last.0.checked_sub(state.received?.0)?).ok()
    }

    /// How it stands now.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let behind = state.behind();
        Snapshot {
            source: Arc::clone(&self.source),
            partition: self.partition.clone(),
            received: state.received,
            completed: state.completed.map(|(number, _)| number),
            last_enqueued: state.last_number(),
            as_of: state.as_of,
            behind,
            oldest: state.oldest(behind),
            progressed: state.progressed,
            link: state.link.clone(),
            reconnects: state.attached.saturating_sub(1),
            last_loss: state.last_loss.clone(),
            beats: state.beats,
            has_room: state.has_room,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub by its names, and the partition by its number.
    fn order(&self) -> ([&str; 3], (u64, &str)) {
        let Source {
            namespace,
            event_hub,
            consumer_group,
        } = &*self.source;
        let hub = [&**namespace, &**event_hub, &**consumer_group];
        (hub, self.partition.numeric_first())
    }
}

impl State {
    fn learned(&mut self, last: LastEnqueued) {
        self.as_of = Some(last.as_of);
        self.last_enqueued = Some(last);
    }

    fn lost(&mut self, reason: &str, at: OffsetDateTime) -> Arc<str> {
        let reason: Arc<str> = reason.into();
        self.last_loss = Some(Loss {
            reason: Arc::clone(&reason),
            at,
        });
        reason
    }

    /// An event that was received is one that there is, whatever was said before.
    fn last_number(&self) -> Option<SequenceNumber> {
        let said = self.last_enqueued.map(|last| last.mark.sequence_number);
        said.map(|said| self.received.map_or(said, |received| received.max(said)))
    }

    /// Unknown too where numbers of two hubs meet: then the difference would be less than none.
    fn behind(&self) -> Option<u64> {
        if self.is_drained && self.first_open.is_none() {
            return Some(0);
        }
        let done = match self.first_open {
            Some(first) => first.sequence_number.0.checked_sub(1)?,
            None => self.completed?.0.0,
        };
        u64::try_from(self.last_number()?.0.checked_sub(done)?).ok()
    }

    fn oldest(&self, behind: Option<u64>) -> Option<OffsetDateTime> {
        if let Some(first) = self.first_open {
            return Some(first.enqueued_time);
        }
        match behind? {
            0 => None,
            1 => Some(self.last_enqueued?.mark.enqueued_time),
            // It has not come: all that is known is that it is younger than the one before it.
            _ => self.completed?.1,
        }
    }
}

impl Link {
    fn new(state: LinkState, since: OffsetDateTime) -> Self {
        Self { state, since }
    }
}

impl Snapshot {
    /// How old the oldest event is that was not delivered to every sink; none where it is not known.
    pub fn time_behind(&self, now: OffsetDateTime) -> Option<Duration> {
        if self.behind == Some(0) {
            return Some(Duration::ZERO);
        }
        self.oldest.map(|oldest| (now - oldest).max(Duration::ZERO))
    }
}

impl Standings {
    /// One more partition.
    pub fn add(&self, standing: Arc<Standing>) {
        let mut all = self.lock();
        let place = all.partition_point(|other| other.order() <= standing.order());
        all.insert(place, standing);
    }

    /// How all stand now: hub by hub, and by the partitions' numbers.
    pub fn snapshot(&self) -> Vec<Snapshot> {
        self.lock().iter().map(|one| one.snapshot()).collect()
    }

    /// Events of all partitions that were not delivered to every sink; none where it is not known of each.
    pub fn behind(&self) -> Option<u64> {
        self.snapshot().iter().map(|one| one.behind).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Standing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
