//! The queue between the dispatcher and the worker of a sink: bounded in events and in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::delivery::Delivery;
use super::refusal::OnRefusal;
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
    pub(super) on_refusal: OnRefusal,
    /// Changes when files are to be opened anew and what was paused is to be tried again.
    pub(super) reopen: watch::Receiver<u64>,
    pub(super) counts: Arc<Counts>,
    pub(super) force: CancellationToken,
    pub(super) closed: CancellationToken,
}

/// The sending end of a sink's queue. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SinkHandle {
    pub(crate) name: Arc<str>,
    deliveries: mpsc::Sender<Delivery>,
    room: Arc<Semaphore>,
    bytes: u32,
    pub(crate) counts: Arc<Counts>,
    pub(crate) closed: CancellationToken,
}

/// What a sink has done since it was started.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    accepted: AtomicU64,
    dead_lettered: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
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

    pub(super) fn add_accepted(&self, events: usize) {
        self.accepted.fetch_add(events as u64, Relaxed);
    }

    pub(super) fn add_dead_lettered(&self) {
        self.dead_lettered.fetch_add(1, Relaxed);
    }

    pub(super) fn add_skipped(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }

    pub(super) fn add_failed(&self) {
        self.failed.fetch_add(1, Relaxed);
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
    on_refusal: OnRefusal,
    orders: Orders,
) -> (SinkHandle, Queue) {
    let (sender, deliveries) = mpsc::channel(limit.events);
    let closed = CancellationToken::new();
    let name: Arc<str> = name.into();
    let counts = Arc::<Counts>::default();
    let bytes = u32::try_from(limit.bytes).unwrap_or(u32::MAX).max(1);
    let handle = SinkHandle {
        name: Arc::clone(&name),
        deliveries: sender,
        room: Arc::new(Semaphore::new(bytes as usize)),
        bytes,
        counts: Arc::clone(&counts),
        closed: closed.clone(),
    };
    let queue = Queue {
        name,
        deliveries,
        on_refusal,
        reopen: orders.reopen,
        counts,
        force: orders.force,
        closed,
    };
    (handle, queue)
}

impl SinkHandle {
    /// Puts a message in line where there is room for it now, or gives it back.
    pub(crate) fn try_send(&self, mut delivery: Delivery) -> Result<(), Delivery> {
        let weight = self.weight(&delivery);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(weight) else {
            return Err(delivery);
        };
        delivery.room = Some(room);
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
        delivery.room = Arc::clone(&self.room).acquire_many_owned(weight).await.ok();
        if self.deliveries.send(delivery).await.is_err() {
            self.closed.cancel();
        }
    }

    fn weight(&self, delivery: &Delivery) -> u32 {
        let size = u32::try_from(delivery.message().size()).unwrap_or(u32::MAX);
        size.min(self.bytes)
    }
}
