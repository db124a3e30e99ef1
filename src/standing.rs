//! How each partition stands: what was received of it and delivered, how far behind that is, and how its link does.
//! Plain data; pure.
//!
//! The receiver and the partition loop write, each what it knows; whoever tells it, in a log, a metric or a page, takes
//! a [`Snapshot`], which asks the service nothing. An event that is received takes no lock, unless the service says
//! something new beside it, and a batch of deliveries takes a short one; neither allocates.
//!
//! How far a partition goes is what the service said last: with each event, where it speaks the receiver runtime
//! metric, and when it was asked after a silence. So it is fresh while events come, and at most a quarter of an hour old
//! while none does: of an idle link nothing is to be learnt that would not have come as an event. Of a link that is
//! lost it is as old as the loss; [`Snapshot::as_of`] tells.

mod link;
mod received;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::{Duration, OffsetDateTime};

use crate::event::{PartitionId, SequenceNumber, Source};

use received::{Received, Seen};

pub use link::{Link, LinkState, Loss, LossKind, Losses};

/// How one partition stands.
#[derive(Debug)]
pub struct Standing {
    source: Arc<Source>,
    partition: PartitionId,
    state: Mutex<State>,
    /// What was received: said with every event, by the receiver alone.
    received: Received,
    /// Events and bytes: said with every event, and read by nobody who would act on it.
    in_flight: (AtomicUsize, AtomicUsize),
}

#[derive(Debug)]
struct State {
    /// By whomever: after a restart the checkpoint's, whose time is not known.
    completed: Option<(SequenceNumber, Option<OffsetDateTime>)>,
    progressed: Option<OffsetDateTime>,
    first_open: Option<Mark>,
    last_enqueued: Option<LastEnqueued>,
    as_of: Option<OffsetDateTime>,
    link: Link,
    /// How often it was attached.
    attached: u64,
    last_loss: Option<Loss>,
    beats: u64,
    has_room: bool,
    losses: Losses,
    checkpoints: Checkpoints,
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

/// How often the checkpoint was to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkpoints {
    /// How often it was.
    pub written: u64,
    /// How often the store failed.
    pub failed: u64,
}

/// What was received and not delivered to every sink, or waits for such an event before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Events, those delivered behind an open one among them.
    pub events: usize,
    /// Bytes of memory that those take which are not delivered.
    pub bytes: usize,
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
    /// When the service took that event, in UTC.
    pub received_enqueued: Option<OffsetDateTime>,
    /// How many events were received by this process.
    pub events: u64,
    /// What is in flight.
    pub in_flight: InFlight,
    /// The last event up to which every one was delivered to every sink; at the start the one of the checkpoint.
    pub completed: Option<SequenceNumber>,
    /// The last event of the partition that is known of.
    pub last_enqueued: Option<SequenceNumber>,
    /// True when everything that is wanted of the partition had come the last time the service was asked, and nothing
    /// has come since. The last event known of may have come to another process then, or be none that is wanted.
    pub is_drained: bool,
    /// When the service last said how far the partition goes, in UTC.
    pub as_of: Option<OffsetDateTime>,
    /// Events of the partition that were not delivered to every sink, as far as is known; none where it is not.
    pub behind: Option<u64>,
    /// When the service took the oldest of them, in UTC; the time of the last one delivered where it has not come yet.
    pub oldest: Option<OffsetDateTime>,
    /// When an event was last delivered to every sink by this process, in UTC.
    pub progressed: Option<OffsetDateTime>,
    /// What became of checkpoints.
    pub checkpoints: Checkpoints,
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
    /// How often there was trouble with it, attempts to open it that failed among that.
    pub losses: Losses,
}

/// All partitions that the process reads, or has read.
#[derive(Debug, Default)]
pub struct Standings(Mutex<Vec<Arc<Standing>>>);

impl Standing {
    /// A partition that is about to be read.
    pub fn new(source: Arc<Source>, partition: PartitionId, now: OffsetDateTime) -> Self {
        let state = State {
            completed: None,
            progressed: None,
            first_open: None,
            last_enqueued: None,
            as_of: None,
            link: Link::new(LinkState::Connecting, now),
            attached: 0,
            last_loss: None,
            beats: 0,
            has_room: true,
            losses: Losses::default(),
            checkpoints: Checkpoints::default(),
        };
        Self {
            source,
            partition,
            state: Mutex::new(state),
            received: Received::new(),
            in_flight: <_>::default(),
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
    pub fn waits(&self, kind: LossKind, reason: &str, now: OffsetDateTime) {
        let mut state = self.lock();
        let reason = state.lost(kind, reason, now);
        state.link = Link::new(LinkState::Waiting { reason }, now);
    }

    /// The link was lost, or could not be opened, and is tried again at once, in another way.
    pub fn tries_again(&self, kind: LossKind) {
        self.lock().losses.add(kind);
    }

    /// Nobody reads the partition any more: because of that, or because it was asked for. What was said first stays.
    pub fn ended(&self, reason: Option<(LossKind, &str)>, now: OffsetDateTime) {
        let mut state = self.lock();
        if !matches!(state.link.state, LinkState::Ended { .. }) {
            let reason = reason.map(|(kind, reason)| state.lost(kind, reason, now));
            state.link = Link::new(LinkState::Ended { reason }, now);
        }
    }

    /// An event was received, and the service may have said how far the partition goes. Only one calls it at a time.
    #[inline]
    pub fn received(&self, event: Mark, last_enqueued: Option<LastEnqueued>) {
        self.received.add(event);
        if let Some(last) = last_enqueued {
            self.lock().learned(last);
        }
    }

    /// The service was asked for the last event it has: none where it keeps none. `is_drained` where everything that
    /// is wanted of the partition has come.
    pub fn asked(&self, last: Option<Mark>, is_drained: bool, now: OffsetDateTime) {
        let mut state = self.lock();
        self.received.set_drained(is_drained);
        state.as_of = Some(now);
        if let Some(mark) = last {
            state.learned(LastEnqueued { mark, as_of: now });
        }
    }

    /// The hub is another one under the old name, or reading goes on elsewhere: numbers before mean nothing any more.
    pub fn begins_anew(&self) {
        let mut state = self.lock();
        self.received.begin_anew();
        state.completed = None;
        state.last_enqueued = None;
        state.as_of = None;
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

    /// So much is in flight now.
    pub fn holds(&self, in_flight: InFlight) {
        self.in_flight.0.store(in_flight.events, Relaxed);
        self.in_flight.1.store(in_flight.bytes, Relaxed);
    }

    /// The checkpoint was to be written, and was or was not.
    pub fn checkpointed(&self, is_written: bool) {
        let counts = &mut self.lock().checkpoints;
        counts.written += u64::from(is_written);
        counts.failed += u64::from(!is_written);
    }

    /// How many events of the partition have not been received yet, as far as is known.
    pub fn to_come(&self) -> Option<u64> {
        let state = self.lock();
        let last = state.last_enqueued?.mark.sequence_number;
        let received = self.received.seen().number()?;
        u64::try_from(last.0.checked_sub(received.0)?).ok()
    }

    /// How it stands now.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let seen = self.received.seen();
        let behind = state.behind(&seen);
        Snapshot {
            source: Arc::clone(&self.source),
            partition: self.partition.clone(),
            received: seen.number(),
            received_enqueued: seen.last.map(|event| event.enqueued_time),
            events: seen.events,
            in_flight: InFlight {
                events: self.in_flight.0.load(Relaxed),
                bytes: self.in_flight.1.load(Relaxed),
            },
            completed: state.completed.map(|(number, _)| number),
            last_enqueued: state.last_number(&seen),
            is_drained: seen.is_drained,
            as_of: state.as_of,
            behind,
            oldest: state.oldest(behind),
            progressed: state.progressed,
            checkpoints: state.checkpoints,
            link: state.link.clone(),
            reconnects: state.attached.saturating_sub(1),
            last_loss: state.last_loss.clone(),
            beats: state.beats,
            has_room: state.has_room,
            losses: state.losses,
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

    fn lost(&mut self, kind: LossKind, reason: &str, at: OffsetDateTime) -> Arc<str> {
        let reason: Arc<str> = reason.into();
        self.losses.add(kind);
        self.last_loss = Some(Loss {
            kind,
            reason: Arc::clone(&reason),
            at,
        });
        reason
    }

    /// An event that was received is one that there is, whatever was said before.
    fn last_number(&self, seen: &Seen) -> Option<SequenceNumber> {
        let said = self.last_enqueued?.mark.sequence_number;
        Some(seen.number().map_or(said, |received| received.max(said)))
    }

    /// Unknown too where numbers of two hubs meet: then the difference would be less than none.
    fn behind(&self, seen: &Seen) -> Option<u64> {
        if seen.is_drained && self.first_open.is_none() {
            return Some(0);
        }
        let done = match self.first_open {
            Some(first) => first.sequence_number.0.checked_sub(1)?,
            None => self.completed?.0.0,
        };
        u64::try_from(self.last_number(seen)?.0.checked_sub(done)?).ok()
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

    /// Events of all partitions that were not delivered to every sink; none where it is not known of each, or no
    /// partition is known.
    pub fn behind(&self) -> Option<u64> {
        let partitions = self.snapshot();
        let is_known = !partitions.is_empty();
        is_known
            .then(|| partitions.iter().map(|one| one.behind).sum())
            .flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Standing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
