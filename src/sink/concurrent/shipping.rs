//! One batch on its way: attempts, refusals, and what is left when the server fails.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::DeliveryError;
use super::super::delivery::Delivery;
use super::super::lanes::{self, Key};
use super::super::queue::{Counts, Queue};
use super::super::refusal::{Held, OnRefusal, RefusalRule};
use super::pace::Order;
use super::{Pace, Service, keys};
use crate::backoff::Backoff;
use crate::causes::Causes;
use crate::trace::Destination;

/// The service of a sink, with what every batch needs.
#[derive(Debug)]
pub(super) struct Shipping<S> {
    service: S,
    name: Arc<str>,
    on_refusal: RefusalRule,
    counts: Arc<Counts>,
    order: Order,
    /// A message that has failed for that long counts as refused.
    give_up: Option<Duration>,
}

/// Messages that are delivered together, and the lanes that they hold.
#[derive(Debug)]
pub(super) struct Batch {
    deliveries: VecDeque<Delivery>,
    lanes: lanes::Held,
    backoff: Backoff,
    /// True when one of them was refused: one after the other shows which.
    is_single: bool,
    /// So many, from the first on, stay: they are held, or behind one that is.
    staying: usize,
    /// The keys of those.
    blocked: HashSet<Key>,
}

/// How a batch came back.
#[derive(Debug)]
pub(super) struct Outcome {
    /// How long the last answer took, where the server answered as it should, be it with a refusal.
    pub answered: Option<Duration>,
    /// Why an attempt failed, or a message is held.
    pub error: Option<DeliveryError>,
    /// The lanes to free: nothing of what is left needs them.
    pub done: lanes::Held,
    /// What is not settled.
    pub left: Option<Batch>,
}

impl Batch {
    pub(super) fn new(
        deliveries: VecDeque<Delivery>,
        lanes: lanes::Held,
        backoff: Backoff,
    ) -> Self {
        Self {
            deliveries,
            lanes,
            backoff,
            is_single: false,
            staying: 0,
            blocked: HashSet::new(),
        }
    }

    /// Its messages, which nobody delivers here any more.
    pub(super) fn into_deliveries(self) -> VecDeque<Delivery> {
        self.deliveries
    }

    /// How long it rests after a failure.
    pub(super) fn next_delay(&mut self) -> Duration {
        self.backoff.next_delay(fastrand::f64())
    }

    /// The time until now does not count as failing.
    pub(super) fn forget_failures(&mut self) {
        for delivery in &mut self.deliveries {
            delivery.failing = None;
        }
    }

    /// The messages of the next attempt: none when all are settled or stay.
    fn next(&mut self, order: Order) -> &mut [Delivery] {
        while let Some(delivery) = self.deliveries.get(self.staying)
            && !self.blocked.is_empty()
        {
            let keys = keys::of(delivery.message(), order);
            if !keys.iter().any(|key| self.blocked.contains(key)) {
                break;
            }
            self.blocked.extend(keys);
            self.staying += 1;
        }
        let most = if self.is_single { 1 } else { usize::MAX };
        let rest = &mut self.deliveries.make_contiguous()[self.staying..];
        let count = rest.len().min(most);
        &mut rest[..count]
    }

    /// Takes out the next `count` messages: they are settled.
    fn take(&mut self, count: usize) -> impl Iterator<Item = Delivery> {
        let end = self.deliveries.len().min(self.staying + count);
        self.deliveries.drain(self.staying..end)
    }

    /// The next `count` messages failed together, in an attempt that began at `begun`.
    fn has_failed(&mut self, count: usize, begun: Instant) {
        for delivery in self.deliveries.iter_mut().skip(self.staying).take(count) {
            delivery.failing.get_or_insert(begun);
        }
    }

    /// Holds a message in the place where it was; what must wait for it stays too.
    fn hold(&mut self, delivery: Delivery, order: Order) {
        self.blocked.extend(keys::of(delivery.message(), order));
        self.deliveries.insert(self.staying, delivery);
        self.staying += 1;
    }

    /// What is left, with its lanes; and the other lanes.
    fn split(mut self, order: Order) -> (Option<Self>, lanes::Held) {
        if self.deliveries.is_empty() {
            return (None, self.lanes);
        }
        let keys = self.deliveries.iter();
        let keys = keys.flat_map(|delivery| keys::of(delivery.message(), order));
        let done = self.lanes.split_off(&keys.collect());
        self.staying = 0;
        self.blocked.clear();
        (Some(self), done)
    }
}

impl<S: Service> Shipping<S> {
    pub(super) fn new(service: S, queue: &Queue, pace: &Pace) -> Self {
        Self {
            service,
            name: Arc::clone(&queue.name),
            on_refusal: queue.on_refusal.clone(),
            counts: Arc::clone(&queue.counts),
            order: pace.order,
            give_up: pace.retry.give_up,
        }
    }

    /// Attempts until everything in the batch is settled or held, or the server fails.
    pub(super) async fn ship(self: Arc<Self>, mut batch: Batch) -> Outcome {
        let mut answered = None;
        let error = self.attempt_all(&mut batch, &mut answered).await;
        let (left, done) = batch.split(self.order);
        Outcome {
            answered,
            error,
            done,
            left,
        }
    }

    async fn attempt_all(
        &self,
        batch: &mut Batch,
        answered: &mut Option<Duration>,
    ) -> Option<DeliveryError> {
        let mut failed = None;
        loop {
            let next = batch.next(self.order);
            let count = next.len();
            let destination = Destination {
                sink: &self.name,
                server: self.service.server(),
                events: count,
            };
            if count == 0 {
                return failed;
            }
            for delivery in &mut *next {
                delivery.begin_attempt(destination);
            }
            let begun = Instant::now();
            let result = self.service.attempt(next).await;
            self.counts.attempts.add(begun.elapsed());
            let failure = result.as_ref().err().map(DeliveryError::kind);
            for delivery in next {
                delivery.end_attempt(failure);
            }
            if matches!(result, Ok(()) | Err(DeliveryError::Refused(_))) {
                *answered = Some(begun.elapsed());
            }
            let reason = match result {
                Ok(()) => {
                    batch.backoff.reset();
                    batch.take(count).for_each(Delivery::accept);
                    self.counts.add_accepted(count);
                    continue;
                }
                Err(DeliveryError::Refused(reason) | DeliveryError::Unfit(reason)) => reason,
                Err(error) => {
                    batch.has_failed(count, begun);
                    if !self.is_over(batch, &error, begun) {
                        return Some(error);
                    }
                    let reason = format!("given up: {}", Causes(&error));
                    if matches!(error, DeliveryError::Busy { .. }) {
                        // It wants nothing now, and none of them is to blame for that.
                        while self.is_over(batch, &error, begun) {
                            self.refuse(batch, reason.clone()).await;
                        }
                        return Some(error);
                    }
                    failed = Some(error);
                    reason
                }
            };
            if count > 1 {
                batch.is_single = true;
                continue;
            }
            failed = failed.or(self.refuse(batch, reason).await);
        }
    }

    /// True where the next message of `batch` has failed with such errors for too long.
    fn is_over(&self, batch: &Batch, error: &DeliveryError, now: Instant) -> bool {
        let is_tried_again = matches!(
            error,
            DeliveryError::Unavailable(_) | DeliveryError::Busy { .. } | DeliveryError::Held(_)
        );
        let next = batch.deliveries.get(batch.staying);
        let failing = next.and_then(|delivery| delivery.failing);
        is_tried_again
            && self
                .give_up
                .zip(failing)
                .is_some_and(|(give_up, failing)| now - failing >= give_up)
            // What is held when it is refused is tried again either way.
            && !matches!(self.on_refusal.now(), OnRefusal::Hold)
    }

    /// The next message of `batch` was refused: what becomes of it, the configuration says. Returns why
    /// it is held, where it is.
    async fn refuse(&self, batch: &mut Batch, reason: String) -> Option<DeliveryError> {
        let refused = batch.take(1).next()?;
        let on_refusal = self.on_refusal.now();
        let settled = on_refusal
            .settle(refused, &self.name, reason, &self.counts)
            .await;
        let Err(Held { delivery, reason }) = settled else {
            batch.backoff.reset();
            return None;
        };
        let reason =
            format!("{delivery} holds its partition, for no dead-letter sink takes it: {reason}");
        batch.hold(delivery, self.order);
        Some(DeliveryError::Refused(reason))
    }
}
