//! Gives a message to every sink that its routes name, and keeps count. Which those are may change between two
//! messages.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use futures_util::future::{BoxFuture, join_all, select_all};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::context::WireFormat;
use crate::duplicates::{Duplicates, Verdict};
use crate::message::{Content, Message};
use crate::route::{Routed, Routes};
use crate::sink::{self, DeadLetter, Delivery, OnRefusal, Receipt, Shipment, SinkHandle, Told};

/// What goes where, and what has passed so far.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    plan: RwLock<Plan>,
    /// Counts how often the plan has changed.
    changes: watch::Sender<u64>,
    duplicates: Arc<Duplicates>,
    counts: Arc<Counts>,
}

/// Tells what has passed a [`Dispatcher`], also when that is gone.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    counts: Arc<Counts>,
    duplicates: Arc<Duplicates>,
    sinks: Vec<Arc<sink::Counts>>,
}

/// What goes where, by the configuration in force.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Which messages go to which sinks.
    pub routes: Routes,
    /// The queue of each sink.
    pub sinks: Vec<SinkHandle>,
    /// What becomes of an event that no route can take.
    pub on_undeliverable: OnRefusal,
    /// What each sink has done, those among them that are no more.
    pub counts: Vec<Arc<sink::Counts>>,
    /// By the name of a sink what is cancelled when it takes nothing any more; of those too that have something left
    /// of earlier configurations.
    pub closed: Vec<(Arc<str>, CancellationToken)>,
}

/// How far dispatching came.
pub(crate) enum Dispatched {
    /// The message is in the queue of each of its sinks, or needs none.
    Done,
    /// The queue of a sink is full; this completes when the message is in all of them.
    Waiting(BoxFuture<'static, ()>),
    /// Nobody may take the message, and it is not to be skipped: it holds its partition.
    Held(Delivery),
}

/// What has passed a [`Dispatcher`] since it was made.
#[derive(Debug, Default)]
struct Counts {
    /// By format, and by what came of it.
    decoded: [[AtomicU64; Outcome::ALL.len()]; FORMATS.len()],
    unrouted: AtomicU64,
    dead_lettered: AtomicU64,
    skipped: AtomicU64,
    held: AtomicU64,
    /// When it was last told that an event was given up.
    told: Told,
}

/// What came of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An execution context.
    Context,
    /// The event of somebody else.
    Foreign,
    /// It could not be decoded.
    Undecodable,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Context, Self::Foreign, Self::Undecodable];
}

/// The formats that bodies are counted by; the last are those that have none.
const FORMATS: [Option<WireFormat>; 4] = [
    Some(WireFormat::Json),
    Some(WireFormat::Xml),
    Some(WireFormat::Binary),
    None,
];

impl Counts {
    fn add(&self, content: &Content) {
        let (format, outcome) = match content {
            Content::Context { decoded, .. } => (Some(decoded.format), Outcome::Context),
            Content::Foreign(foreign) => (Some(foreign.format), Outcome::Foreign),
            Content::Undecodable { format, .. } => (*format, Outcome::Undecodable),
        };
        let place = FORMATS.iter().position(|known| *known == format);
        let place = place.unwrap_or(FORMATS.len() - 1);
        self.decoded[place][outcome as usize].fetch_add(1, Relaxed);
    }
}

impl Dispatcher {
    pub(crate) fn new(plan: Plan, duplicates: Arc<Duplicates>) -> Self {
        Self {
            plan: RwLock::new(plan),
            changes: watch::Sender::new(0),
            duplicates,
            counts: Arc::default(),
        }
    }

    /// Does from the next message on as `plan` says, and gives back the one before.
    pub(crate) fn change(&self, plan: Plan) -> Plan {
        let mut now = self.plan.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *now, plan);
        drop(now);
        self.changes.send_modify(|times| *times += 1);
        old
    }

    /// Hears of every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn plan(&self) -> RwLockReadGuard<'_, Plan> {
        // A plan is replaced as a whole: whoever panicked left nothing half done.
        self.plan.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `message` into the queue of each of its sinks; whom `receipt` tells hears when all have accepted it, at
    /// once when no route matches it or it is a duplicate that is not to be delivered.
    pub(crate) fn dispatch(&self, message: Message, receipt: Receipt) -> Dispatched {
        self.count(&message);
        self.place(Shipment { message, receipt })
    }

    /// Does the same with a message that was held, for somebody may take it by now.
    pub(crate) fn dispatch_again(&self, held: Delivery) -> Dispatched {
        match held.into_shipment() {
            Ok(shipment) => self.place(shipment),
            Err(held) => Dispatched::Held(held),
        }
    }

    fn place(&self, shipment: Shipment) -> Dispatched {
        let plan = self.plan();
        let Shipment {
            mut message,
            receipt,
        } = shipment;
        match plan.routes.route(&message) {
            Routed::Sinks(sinks) => {
                // Not before the routes: what none of them takes must not stand for what one does.
                if self.duplicates.check(&mut message) == Verdict::Suppress {
                    drop(receipt.owed_by(0));
                    return Dispatched::Done;
                }
                let receipt = receipt.owed_by(sinks.len());
                let shipment = Arc::new(Shipment { message, receipt });
                let sinks = sinks.iter().map(|sink| &plan.sinks[sink]);
                send(sinks.map(|sink| (sink, Delivery::new(Arc::clone(&shipment)))))
            }
            Routed::Unmatched => {
                self.counts.unrouted.fetch_add(1, Relaxed);
                tracing::debug!(partition = %message.event.partition, sequence_number = %message.event.sequence_number, "no route matches the event");
                drop(receipt.owed_by(0));
                Dispatched::Done
            }
            Routed::Undeliverable => {
                let shipment = Arc::new(Shipment { message, receipt });
                self.give_up(shipment, &plan.on_undeliverable)
            }
        }
    }

    /// Settles a message that cannot be decoded and that no route takes.
    fn give_up(&self, shipment: Arc<Shipment>, on_undeliverable: &OnRefusal) -> Dispatched {
        let message = &shipment.message;
        let Content::Undecodable { reason, .. } = &message.content else {
            return Dispatched::Held(Delivery::new(shipment));
        };
        let reason = format!("it cannot be decoded: {reason}");
        let (partition, number) = (&message.event.partition, &message.event.sequence_number);
        match on_undeliverable {
            OnRefusal::DeadLetter(dead_letters) => {
                let dead_lettered = self.counts.dead_lettered.fetch_add(1, Relaxed) + 1;
                if self.counts.told.is_time() {
                    tracing::warn!(%partition, sequence_number = %number, %reason, dead_lettered, "event goes to the dead-letter sink");
                }
                let dead = DeadLetter {
                    sink: None,
                    reason,
                    time: OffsetDateTime::now_utc(),
                };
                let delivery = Delivery::new(shipment).into_dead_letter(dead);
                send(std::iter::once((dead_letters, delivery)))
            }
            OnRefusal::Skip => {
                let skipped = self.counts.skipped.fetch_add(1, Relaxed) + 1;
                if self.counts.told.is_time() {
                    tracing::error!(%partition, sequence_number = %number, %reason, skipped, "event skipped: it is not delivered");
                } else {
                    tracing::debug!(%partition, sequence_number = %number, %reason, "event skipped: it is not delivered");
                }
                Delivery::new(shipment).accept();
                Dispatched::Done
            }
            OnRefusal::Hold => {
                self.counts.held.fetch_add(1, Relaxed);
                tracing::error!(%partition, sequence_number = %number, %reason, "partition held by an event that nobody takes: give [dead_letter] a sink, let a route take it with undecodable = true, or set otherwise = \"skip\"");
                Dispatched::Held(Delivery::new(shipment))
            }
        }
    }

    fn count(&self, message: &Message) {
        let Message { event, content, .. } = message;
        self.counts.add(content);
        if let Content::Undecodable { reason, .. } = content {
            tracing::debug!(partition = %event.partition, sequence_number = %event.sequence_number, %reason, "undecodable event");
        }
    }

    /// What has passed, and will have; of the sinks of now, and of those before them.
    pub(crate) fn tally(&self) -> Tally {
        Tally {
            counts: Arc::clone(&self.counts),
            duplicates: Arc::clone(&self.duplicates),
            sinks: self.plan().counts.clone(),
        }
    }

    /// Completes with the name of a sink when one has closed.
    pub(crate) async fn sink_closed(&self) -> Arc<str> {
        let mut changes = self.changes();
        loop {
            let closed = self.plan().closed.clone();
            let waiting = closed
                .iter()
                .map(|(_, closed)| Box::pin(closed.cancelled()));
            // None can be waited for where there is none.
            let never: BoxFuture<'_, ()> = Box::pin(std::future::pending());
            let waiting = waiting.map(|closed| -> BoxFuture<'_, ()> { closed });
            tokio::select! {
                ((), index, _) = select_all(waiting.chain([never])) => return Arc::clone(&closed[index].0),
                Ok(()) = changes.changed() => {}
            }
        }
    }
}

impl Tally {
    /// Events by their format, where they have one, and by what came of them.
    pub(crate) fn decoded(&self) -> impl Iterator<Item = (Option<WireFormat>, Outcome, u64)> {
        let cells = FORMATS.iter().zip(&self.counts.decoded);
        cells.flat_map(|(format, counts)| {
            Outcome::ALL.map(|outcome| {
                let count = counts[outcome as usize].load(Relaxed);
                (*format, outcome, count)
            })
        })
    }

    /// Events that cannot be decoded and that no route takes, by what became of them.
    pub(crate) fn undeliverable(&self) -> [(&'static str, u64); 3] {
        let Counts {
            dead_lettered,
            skipped,
            held,
            ..
        } = &*self.counts;
        let outcomes = [
            ("dead_lettered", dead_lettered),
            ("skipped", skipped),
            ("held", held),
        ];
        outcomes.map(|(outcome, count)| (outcome, count.load(Relaxed)))
    }

    /// Events received, whatever became of them.
    pub(crate) fn received(&self) -> u64 {
        self.decoded().map(|(_, _, count)| count).sum()
    }

    /// Events of somebody else.
    pub(crate) fn foreign(&self) -> u64 {
        self.ended(Outcome::Foreign)
    }

    /// Events whose body could not be decoded.
    pub(crate) fn undecodable(&self) -> u64 {
        self.ended(Outcome::Undecodable)
    }

    fn ended(&self, so: Outcome) -> u64 {
        let decoded = self.decoded().filter(|(_, outcome, _)| *outcome == so);
        decoded.map(|(_, _, count)| count).sum()
    }

    /// Events that no route matched: completed without a delivery.
    pub(crate) fn unrouted(&self) -> u64 {
        self.counts.unrouted.load(Relaxed)
    }

    /// Events that repeat another one, whatever became of them.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates.found()
    }

    /// Events that went to the dead-letter sink, from here or from a sink that refused them.
    pub(crate) fn dead_lettered(&self) -> u64 {
        let refused = self.sinks.iter().map(|sink| sink.dead_lettered());
        self.counts.dead_lettered.load(Relaxed) + refused.sum::<u64>()
    }

    /// Events that were given up, as the configuration wants, here or by a sink.
    pub(crate) fn skipped(&self) -> u64 {
        let refused = self.sinks.iter().map(|sink| sink.skipped());
        self.counts.skipped.load(Relaxed) + refused.sum::<u64>()
    }
}

/// Puts deliveries in line, now where there is room, else as soon as there is.
fn send<'a>(deliveries: impl Iterator<Item = (&'a SinkHandle, Delivery)>) -> Dispatched {
    let mut waiting = Vec::new();
    for (sink, delivery) in deliveries {
        if let Err(delivery) = sink.try_send(delivery) {
            waiting.push((sink.clone(), delivery));
        }
    }
    if waiting.is_empty() {
        return Dispatched::Done;
    }
    Dispatched::Waiting(Box::pin(async move {
        // All at once: one that takes nothing does not keep the message from another.
        let sending = waiting
            .into_iter()
            .map(|(sink, delivery)| async move { sink.send(delivery).await });
        join_all(sending).await;
    }))
}

impl Dispatched {
    /// What is to be waited for; none where all is done.
    pub(crate) fn unfinished(self) -> Option<Self> {
        match self {
            Self::Done => None,
            unfinished => Some(unfinished),
        }
    }
}

impl fmt::Debug for Dispatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "Done",
            Self::Waiting(_) => "Waiting",
            Self::Held(held) => return write!(f, "Held({held})"),
        })
    }
}
