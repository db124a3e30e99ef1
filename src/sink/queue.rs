//! The queue between the dispatcher and the worker of a sink: bounded in events and in bytes.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::attempts::Attempts;
use super::delivery::Delivery;
use super::gauge::{Failure, Gauge, State};
use super::heir::{self, Heir, HeirSwitch, Inheritance, Inherited};
use super::refusal::RefusalRule;
use super::trouble::Told;

/// How much may wait for a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueLimit {
    /// Events.
    pub events: usize,
    /// Bytes of memory that they take. A larger event may wait alone.
    pub bytes: usize,
}

/// As much as all partitions together may have in flight by default: their windows are the bound, unless
/// a sink asks for less.
impl Default for QueueLimit {
    fn default() -> Self {
        Self {
            events: 100_000,
            bytes: 32 << 20,
        }
    }
}

impl QueueLimit {
    /// No queue may be longer: a semaphore counts the bytes in 32 bits.
    pub(super) const MOST: Self = Self {
        events: 1_000_000,
        bytes: u32::MAX as usize,
    };
}

/// The receiving end of a sink's queue, and what its worker must know.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) name: Arc<str>,
    pub(super) deliveries: mpsc::Receiver<Delivery>,
    /// What becomes of an event that the sink refuses for good.
    pub(super) on_refusal: RefusalRule,
    /// Changes when files are to be opened anew and what was paused is to be tried again.
    pub(super) reopen: watch::Receiver<u64>,
    pub(super) counts: Arc<Counts>,
    pub(super) force: CancellationToken,
    /// Cancelled when the worker has ended before its queue did.
    pub(super) closed: CancellationToken,
    /// Cancelled when the worker has ended, whatever ended it.
    pub(super) ended: CancellationToken,
    /// Nothing is delivered before all of these are cancelled.
    pub(super) after: Vec<CancellationToken>,
    /// What is delivered first.
    pub(super) inherited: Inherited,
    /// Who gets what cannot be delivered.
    pub(super) heir: Arc<Heir>,
}

/// What a queue takes over from those that its sink had before, under other configurations.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// What was done: it is counted on.
    pub counts: Arc<Counts>,
    /// Each is cancelled when a worker has ended that must have ended before anything is delivered.
    pub ended: Vec<CancellationToken>,
}

/// The sending end of a sink's queue. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SinkHandle {
    pub(crate) name: Arc<str>,
    deliveries: mpsc::Sender<Delivery>,
    room: Arc<Semaphore>,
    bytes: u32,
    pub(crate) counts: Arc<Counts>,
    /// Cancelled when its worker has ended before the queue did: it will take nothing any more.
    pub(crate) closed: CancellationToken,
    /// Cancelled when its worker has ended, whatever ended it.
    pub(crate) ended: CancellationToken,
}

/// What a sink has done since it was started, under whatever configuration.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    accepted: AtomicU64,
    dead_lettered: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    /// Of the attempts that failed, those since one went well.
    failing: AtomicU64,
    retried: AtomicU64,
    waiting: AtomicU64,
    waiting_bytes: AtomicU64,
    /// A [`State`].
    state: AtomicU8,
    last_failure: Mutex<Option<Failure>>,
    /// How long attempts took.
    pub(super) attempts: Attempts,
    /// When it was last told that an event was refused.
    pub(super) told: Told,
}

impl Counts {
    /// Events that are safe with the sink.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Events that it refused and that went to the dead-letter sink.
    pub(crate) fn dead_lettered(&self) -> u64 {
        self.dead_lettered.load(Relaxed)
    }

    /// Events that it refused and that were skipped, as the configuration wants.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Relaxed)
    }

    /// Attempts that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Attempts that were made again because the one before had failed.
    pub(crate) fn retried(&self) -> u64 {
        self.retried.load(Relaxed)
    }

    /// Events that the sink has, in its queue or under way.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Bytes of memory that they take.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes.load(Relaxed)
    }

    /// What it does, as far as its worker knows.
    pub(super) fn state(&self) -> State {
        match State::of(self.state.load(Relaxed)) {
            State::Delivering if self.failing.load(Relaxed) > 0 => State::Retrying,
            state => state,
        }
    }

    /// Why an attempt last failed, and when.
    pub(super) fn last_failure(&self) -> Option<Failure> {
        let last = self.last_failure.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add_accepted(&self, events: usize) {
        self.accepted.fetch_add(events as u64, Relaxed);
    }

    /// An attempt went well: whatever failed before is over.
    pub(super) fn works(&self) {
        self.failing.store(0, Relaxed);
    }

    pub(super) fn add_dead_lettered(&self) {
        self.dead_lettered.fetch_add(1, Relaxed);
    }

    pub(super) fn add_skipped(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }

    pub(super) fn add_failed(&self, reason: &str) {
        self.failed.fetch_add(1, Relaxed);
        self.failing.fetch_add(1, Relaxed);
        let failure = Failure {
            reason: reason.to_owned(),
            at: OffsetDateTime::now_utc(),
        };
        let last = self.last_failure.lock();
        *last.unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    pub(super) fn add_retried(&self) {
        self.retried.fetch_add(1, Relaxed);
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.store(state as u8, Relaxed);
    }
}

/// The place of a delivery in the bounds of a queue; dropped, it is free again.
#[derive(Debug)]
pub(super) struct Place {
    counts: Arc<Counts>,
    bytes: u64,
    room: Option<OwnedSemaphorePermit>,
}

impl Place {
    fn new(counts: &Arc<Counts>, bytes: u32, room: OwnedSemaphorePermit) -> Self {
        let bytes = bytes.into();
        counts.waiting.fetch_add(1, Relaxed);
        counts.waiting_bytes.fetch_add(bytes, Relaxed);
        Self {
            counts: Arc::clone(counts),
            bytes,
            room: Some(room),
        }
    }

    /// Frees the place, though the delivery still waits for the sink of that name.
    pub(super) fn vacate(&mut self) {
        self.room = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.waiting.fetch_sub(1, Relaxed);
        self.counts.waiting_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// What the workers of all sinks hear.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// Ends a worker where it stands.
    pub force: CancellationToken,
    /// Changes when files are to be opened anew.
    pub reopen: watch::Receiver<u64>,
}

/// A queue for the sink `name`.
pub(crate) fn queue(
    name: &str,
    limit: QueueLimit,
    on_refusal: impl Into<RefusalRule>,
    orders: Orders,
) -> (SinkHandle, Queue) {
    let (handle, queue, _) = queue_behind(name, limit, on_refusal, orders, Before::default());
    (handle, queue)
}

/// A queue for the sink `name`, of which nothing is delivered until others have ended, and until it is known what it
/// inherits.
pub(crate) fn queue_behind(
    name: &str,
    limit: QueueLimit,
    on_refusal: impl Into<RefusalRule>,
    orders: Orders,
    Before {
        counts,
        ended: after,
    }: Before,
) -> (SinkHandle, Queue, Inheritance) {
    let (inheritance, inherited) = heir::inheritance();
    let (sender, deliveries) = mpsc::channel(limit.events);
    let closed = CancellationToken::new();
    let ended = CancellationToken::new();
    let name: Arc<str> = name.into();
    let bytes = u32::try_from(limit.bytes).unwrap_or(u32::MAX).max(1);
    let handle = SinkHandle {
        name: Arc::clone(&name),
        deliveries: sender,
        room: Arc::new(Semaphore::new(bytes as usize)),
        bytes,
        counts: Arc::clone(&counts),
        closed: closed.clone(),
        ended: ended.clone(),
    };
    let queue = Queue {
        name,
        deliveries,
        on_refusal: on_refusal.into(),
        reopen: orders.reopen,
        counts,
        force: orders.force,
        closed,
        ended,
        after,
        inherited,
        heir: Arc::default(),
    };
    (handle, queue, inheritance)
}

impl Queue {
    /// Names who gets what cannot be delivered.
    pub(crate) fn heir(&self) -> HeirSwitch {
        self.heir.switch()
    }

    /// Takes everything out of it until it is closed, to be left to the heir with `rest` before it.
    pub(super) async fn leave(&mut self, rest: impl IntoIterator<Item = Delivery>) {
        let mut rest: Vec<Delivery> = rest.into_iter().map(heir::let_go).collect();
        while let Some(delivery) = self.deliveries.recv().await {
            rest.push(heir::let_go(delivery));
        }
        tracing::info!(
            sink = &*self.name,
            events = rest.len(),
            "left to the new configuration of the sink: what could not be delivered by the old one"
        );
        self.heir.leave(rest);
    }
}

impl SinkHandle {
    /// Tells how the sink stands, also when this handle and all others are gone.
    pub(crate) fn gauge(&self, kind: &'static str) -> Gauge {
        Gauge {
            name: Arc::clone(&self.name),
            kind,
            counts: Arc::clone(&self.counts),
            limit: QueueLimit {
                events: self.deliveries.max_capacity(),
                bytes: self.bytes as usize,
            },
            ended: self.ended.clone(),
        }
    }

    /// Puts a message in line where there is room for it now, or gives it back.
    pub(crate) fn try_send(&self, mut delivery: Delivery) -> Result<(), Delivery> {
        let weight = self.weight(&delivery);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(weight) else {
            return Err(delivery);
        };
        delivery.room = Some(Place::new(&self.counts, weight, room));
        match self.deliveries.try_send(delivery) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(mut delivery)) => {
                delivery.room = None;
                Err(delivery)
            }
            Err(TrySendError::Closed(_)) => {
                self.closed.cancel();
                Ok(())
            }
        }
    }

    /// Puts a message in line when there is room for it; a closed sink leaves it undelivered.
    pub(crate) async fn send(&self, mut delivery: Delivery) {
        let weight = self.weight(&delivery);
        // It is never closed.
        let room = Arc::clone(&self.room).acquire_many_owned(weight).await.ok();
        delivery.room = room.map(|room| Place::new(&self.counts, weight, room));
        if self.deliveries.send(delivery).await.is_err() {
            self.closed.cancel();
        }
    }

    fn weight(&self, delivery: &Delivery) -> u32 {
        let size = u32::try_from(delivery.message().size()).unwrap_or(u32::MAX);
        size.min(self.bytes)
    }
}
