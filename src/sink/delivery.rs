//! A message on its way to its sinks: who still has to accept it, and what became of it.
//!
//! Unresolved means not delivered. A delivery that is dropped by anybody, for whatever reason, leaves its
//! message undelivered; only [`Delivery::accept`] says otherwise.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};

use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::queue::Place;
use crate::ack::Ticket;
use crate::message::{CloudEvent, Message};
use crate::trace::{Attempt, Destination, Journey, TraceContext};

/// A message on its way to one sink. Dropped before the sink's worker has it
/// accepted, it was not delivered.
#[derive(Debug)]
pub(crate) struct Delivery {
    shipment: Arc<Shipment>,
    dead: Option<Box<DeadLetter>>,
    /// Its place in the bounds of the queue it is in.
    pub(super) room: Option<Place>,
    /// Since when the sink has failed to take it; none where it has not.
    pub(super) failing: Option<Instant>,
    /// The attempt that is under way, where somebody follows the event.
    attempt: Option<Box<dyn Attempt>>,
}

/// A message and those who still have to accept it.
#[derive(Debug)]
pub(crate) struct Shipment {
    pub(crate) message: Message,
    pub(crate) receipt: Receipt,
}

/// Why a message comes to the dead-letter sink instead of the sinks of its routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    /// The sink that refused it; none where it could not be decoded and so had no route.
    pub sink: Option<Arc<str>>,
    /// Why, as a fragment without record data: `the server answered 422`.
    pub reason: String,
    /// When it was given up.
    pub time: OffsetDateTime,
}

/// Tells the message's partition when the last of its sinks has accepted it, or that one never will.
#[derive(Debug)]
pub(crate) struct Receipt {
    outstanding: AtomicUsize,
    ticket: Ticket,
    settled: mpsc::Sender<Settled>,
    /// Where somebody follows the event.
    journey: Option<Box<dyn Journey>>,
}

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Every sink has accepted it.
    Accepted(Ticket),
    /// A sink has let go of it without accepting it.
    Abandoned(Ticket),
}

impl Receipt {
    /// A receipt that `sinks` sinks must sign; with none it counts as accepted when it is dropped.
    pub(crate) fn new(sinks: usize, ticket: Ticket, settled: mpsc::Sender<Settled>) -> Self {
        Self {
            outstanding: sinks.into(),
            ticket,
            settled,
            journey: None,
        }
    }

    /// The same for an event that somebody follows.
    pub(crate) fn followed(mut self, journey: Option<Box<dyn Journey>>) -> Self {
        self.journey = journey;
        self
    }

    /// The same, signed by none yet of so many sinks.
    pub(crate) fn owed_by(mut self, sinks: usize) -> Self {
        *self.outstanding.get_mut() = sinks;
        self
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let settled = match *self.outstanding.get_mut() {
            0 => Settled::Accepted(self.ticket),
            _ => Settled::Abandoned(self.ticket),
        };
        if let Some(journey) = self.journey.take() {
            journey.ended(matches!(settled, Settled::Accepted(_)));
        }
        // The channel has room for every event that a partition may have in flight; it can only be
        // closed, and then the partition has given up waiting.
        if self.settled.try_send(settled).is_err() {
            tracing::debug!("a delivery was settled after its partition had stopped");
        }
    }
}

impl Delivery {
    pub(crate) fn new(shipment: Arc<Shipment>) -> Self {
        Self {
            shipment,
            dead: None,
            room: None,
            failing: None,
            attempt: None,
        }
    }

    /// The message and its receipt, to be given to other sinks instead; itself where they have it as well.
    pub(crate) fn into_shipment(self) -> Result<Shipment, Self> {
        Arc::try_unwrap(self.shipment).map_err(Self::new)
    }

    /// What to deliver.
    pub(crate) fn message(&self) -> &Message {
        &self.shipment.message
    }

    /// Why it comes here, where this is the dead-letter sink.
    pub(crate) fn dead_letter(&self) -> Option<&DeadLetter> {
        self.dead.as_deref()
    }

    /// The same message with the same obligation, for the dead-letter sink.
    pub(crate) fn into_dead_letter(self, dead: DeadLetter) -> Self {
        Self {
            shipment: self.shipment,
            dead: Some(Box::new(dead)),
            room: None,
            failing: None,
            attempt: None,
        }
    }

    /// An attempt begins, unless one goes on.
    pub(super) fn begin_attempt(&mut self, destination: Destination<'_>) {
        if self.attempt.is_none() {
            let journey = self.shipment.receipt.journey.as_ref();
            self.attempt = journey.map(|journey| journey.attempt(destination));
        }
    }

    /// The attempt is over: `failure` is the kind of failure, none where the sink accepted the message.
    pub(super) fn end_attempt(&mut self, failure: Option<&'static str>) {
        if let Some(attempt) = self.attempt.take() {
            attempt.ended(failure);
        }
    }

    /// A server has answered the attempt with this HTTP status.
    pub(super) fn answered(&self, status: u16) {
        if let Some(attempt) = &self.attempt {
            attempt.answered(status);
        }
    }

    /// The trace to pass on: the attempt in it where somebody follows the event, else what its sender said.
    pub(super) fn trace(&self) -> Option<TraceContext> {
        let attempt = self.attempt.as_ref().and_then(|attempt| attempt.context());
        attempt.or_else(|| TraceContext::of(&self.message().event.properties))
    }

    /// The message as a CloudEvent, in its trace.
    pub(super) fn cloud_event(&self) -> CloudEvent<'_> {
        self.message().cloud_event(self.trace())
    }

    /// The message is safe with this sink.
    pub(crate) fn accept(self) {
        self.shipment.receipt.outstanding.fetch_sub(1, AcqRel);
    }
}

/// Names the event in a log: its place, and nothing of what it says.
impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = &self.message().event;
        write!(
            f,
            "partition {} sequence number {}",
            event.partition, event.sequence_number
        )
    }
}
