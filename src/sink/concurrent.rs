//! The worker of a sink that may have several deliveries under way at once, with order where it matters.

mod keys;
mod pace;
mod shipping;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::adaptive::Places;
use super::breaker::{Allowed, Breaker};
use super::delivery::Delivery;
use super::gauge::State;
use super::heir::inheritance;
use super::lanes::Lanes;
use super::queue::Queue;
use super::trouble::Trouble;
use super::worker::{End, Ends, start};
use super::{DeliveryError, SinkWorker};
use crate::backoff::wait_until;
use crate::causes::Causes;
use crate::trace::Server;
use shipping::{Batch, Outcome, Shipping};

pub(crate) use pace::Pace;

/// Takes messages to one place, several at once.
///
/// An implementation does not queue, wait or try again: it attempts once and says what came of it.
pub(crate) trait Service: Send + Sync + 'static {
    /// One attempt to deliver a batch: all of it, or nothing that counts.
    fn attempt(&self, batch: &[Delivery])
    -> impl Future<Output = Result<(), DeliveryError>> + Send;

    /// The server that is asked over HTTP; none where there is none.
    fn server(&self) -> Option<Server<'_>> {
        None
    }
}

/// Starts the worker of a sink.
pub(super) fn spawn(service: impl Service, pace: Pace, queue: Queue) -> SinkWorker {
    let ends = Ends::of(&queue);
    start(ends, Worker::new(service, pace, queue).work())
}

/// As many messages as are looked through for some whose lane is free.
const LOOKAHEAD: usize = 4096;

struct Worker<S> {
    shipping: Arc<Shipping<S>>,
    pace: Pace,
    queue: Queue,
    /// False when the queue is closed: nothing more comes in.
    is_open: bool,
    /// True when nothing begins here any more: what is left goes to the heir.
    is_leaving: bool,
    lanes: Lanes<Queued>,
    under_way: JoinSet<Outcome>,
    /// Batches that failed, by when they may be tried again.
    resting: BTreeMap<(Instant, u64), Batch>,
    rests: u64,
    /// Batches that may be tried again.
    rested: VecDeque<Batch>,
    /// True when a new batch is to begin before one that has rested.
    is_turn_of_new: bool,
    places: Places,
    breaker: Breaker,
    trouble: Trouble,
}

/// A message in line, and since when.
#[derive(Debug)]
struct Queued {
    delivery: Delivery,
    since: Instant,
}

enum Turn {
    Reopen,
    Finished(Box<Result<Outcome, JoinError>>),
    Received(Option<Delivery>),
    /// It is time to look again at what may begin.
    Due,
}

/// Why nothing begins now.
enum Wait {
    Until(Instant),
    /// Until something else happens.
    Event,
}

impl<S: Service> Worker<S> {
    fn new(service: S, pace: Pace, queue: Queue) -> Self {
        Self {
            places: Places::new(pace.concurrency.get(), pace.is_adaptive),
            breaker: Breaker::new(&pace.retry),
            shipping: Arc::new(Shipping::new(service, &queue, &pace)),
            pace,
            queue,
            is_open: true,
            is_leaving: false,
            lanes: Lanes::new(),
            under_way: JoinSet::new(),
            resting: BTreeMap::new(),
            rests: 0,
            rested: VecDeque::new(),
            is_turn_of_new: false,
            trouble: Trouble::default(),
        }
    }

    async fn work(mut self) -> io::Result<End> {
        let (_, none) = inheritance();
        let inherited = std::mem::replace(&mut self.queue.inherited, none);
        for delivery in inherited.get().await {
            self.line_up(delivery);
        }
        loop {
            let wait = self.begin();
            if self.is_done() {
                return Ok(End::Drained);
            }
            if self.is_leaving && self.under_way.is_empty() {
                return self.leave().await;
            }
            match self.turn(wait).await {
                Turn::Reopen => self.resume(),
                Turn::Finished(finished) => match *finished {
                    Ok(outcome) => self.finish(outcome),
                    // A fault of this program ends it as one.
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(cancelled) => return Err(io::Error::other(cancelled)),
                    },
                },
                Turn::Received(Some(delivery)) => self.line_up(delivery),
                Turn::Received(None) => self.is_open = false,
                Turn::Due => {}
            }
        }
    }

    async fn turn(&mut self, wait: Wait) -> Turn {
        let is_receiving = self.is_open && !self.is_leaving && self.lanes.len() < LOOKAHEAD;
        let rested = self.resting.keys().next().map(|(time, _)| *time);
        let due = match wait {
            Wait::Until(time) => Some(rested.map_or(time, |rested| rested.min(time))),
            Wait::Event => rested,
        };
        tokio::select! {
            // Finish before starting.
            biased;
            Ok(()) = self.queue.reopen.changed() => Turn::Reopen,
            Some(finished) = self.under_way.join_next() => Turn::Finished(Box::new(finished)),
            () = self.queue.heir.named(), if !self.is_leaving && self.is_stuck() => Turn::Due,
            delivery = self.queue.deliveries.recv(), if is_receiving => Turn::Received(delivery),
            () = wait_until(due) => Turn::Due,
        }
    }

    fn is_done(&self) -> bool {
        !self.is_open
            && self.lanes.len() == 0
            && self.under_way.is_empty()
            && self.resting.is_empty()
            && self.rested.is_empty()
    }

    fn line_up(&mut self, delivery: Delivery) {
        let keys = keys::of(delivery.message(), self.pace.order);
        let since = Instant::now();
        self.lanes.push(keys, Queued { delivery, since });
    }

    /// True when something cannot be delivered now.
    fn is_stuck(&self) -> bool {
        !self.resting.is_empty() || self.breaker.allowed(Instant::now()) != Allowed::All
    }

    /// Leaves everything to the heir: first what was under way, of whose lanes nothing was taken behind it.
    async fn leave(mut self) -> io::Result<End> {
        let batches = self.resting.into_values().chain(self.rested);
        let rest = batches.flat_map(Batch::into_deliveries);
        let waiting = self.lanes.into_values().map(|queued| queued.delivery);
        let rest: Vec<Delivery> = rest.chain(waiting).collect();
        self.queue.leave(rest).await;
        Ok(End::Drained)
    }

    /// Begins as many attempts as may begin now.
    fn begin(&mut self) -> Wait {
        self.is_leaving = self.is_leaving || (self.queue.heir.is_there() && self.is_stuck());
        if self.is_leaving {
            return Wait::Event;
        }
        // What is in line goes into one batch with what came just before it.
        while self.is_open && self.lanes.len() < LOOKAHEAD {
            let Ok(delivery) = self.queue.deliveries.try_recv() else {
                break;
            };
            self.line_up(delivery);
        }
        loop {
            let now = Instant::now();
            self.wake(now);
            let allowed = self.breaker.allowed(now);
            self.queue.counts.set_state(state(allowed));
            let is_room = match allowed {
                Allowed::Paused => return Wait::Event,
                Allowed::NotBefore(time) => return Wait::Until(time),
                Allowed::One => self.under_way.is_empty(),
                Allowed::All => self.places.has_room(self.under_way.len()),
            };
            if !is_room {
                return Wait::Event;
            }
            let batch = match self.next(now) {
                Ok(batch) => batch,
                Err(wait) => return wait,
            };
            self.under_way.spawn(Arc::clone(&self.shipping).ship(batch));
        }
    }

    /// The next batch: one that has rested and a new one by turns, or those that fail again and again would keep
    /// the others out.
    fn next(&mut self, now: Instant) -> Result<Batch, Wait> {
        let is_turn_of_new = self.is_turn_of_new && !self.rested.is_empty();
        if is_turn_of_new && let Ok(batch) = self.next_batch(now) {
            self.is_turn_of_new = false;
            return Ok(batch);
        }
        match self.rested.pop_front() {
            Some(batch) => {
                self.is_turn_of_new = true;
                self.queue.counts.add_retried();
                Ok(batch)
            }
            None => self.next_batch(now),
        }
    }

    /// The next new batch, where one is full or has waited long enough.
    fn next_batch(&mut self, now: Instant) -> Result<Batch, Wait> {
        let most = self.pace.batch_events.get();
        let since = self.lanes.next().ok_or(Wait::Event)?.since;
        let full_at = since + self.pace.batch_wait;
        if most > 1 && self.is_open && self.lanes.len() < most && full_at > now {
            return Err(Wait::Until(full_at));
        }
        let (mut events, mut bytes) = (0, 0);
        let taken = self.lanes.take(|queued| {
            events += 1;
            bytes += queued.delivery.message().event.size();
            events <= most && bytes <= self.pace.batch_bytes
        });
        let (queued, held) = taken.ok_or(Wait::Event)?;
        let deliveries = queued.into_iter().map(|queued| queued.delivery).collect();
        Ok(Batch::new(deliveries, held, self.pace.retry.backoff()))
    }

    fn finish(&mut self, outcome: Outcome) {
        let under_way = self.under_way.len() + 1;
        if let Some(took) = outcome.answered {
            self.breaker.succeeded();
            self.places.answered(took, under_way);
        }
        self.lanes.release(outcome.done);
        match outcome.error {
            Some(error) => self.rest(outcome.left, &error),
            None if outcome.answered.is_some() => {
                self.queue.counts.works();
                self.trouble.over(&self.queue.name);
            }
            None => {}
        }
    }

    /// Lets what is left of a batch rest, and everything else with it where the failure is the server's.
    fn rest(&mut self, mut left: Option<Batch>, error: &DeliveryError) {
        let now = Instant::now();
        let drawn = left.as_mut().map_or(Duration::ZERO, Batch::next_delay);
        let delay = match error {
            DeliveryError::Paused(_) => {
                self.breaker.pause();
                None
            }
            DeliveryError::Busy { after, .. } => {
                let after = (*after).min(self.pace.retry.limit);
                self.breaker.wait(now, after);
                self.places.failed();
                Some(drawn.max(after))
            }
            // Only its own message: the others may go on.
            DeliveryError::Refused(_) | DeliveryError::Unfit(_) => Some(drawn),
            _ => {
                self.places.failed();
                let pause = self.breaker.failed(now, fastrand::f64());
                Some(drawn.max(pause.unwrap_or_default()))
            }
        };
        let reason = Causes(error).to_string();
        self.queue.counts.add_failed(&reason);
        self.trouble.failed(&self.queue.name, &reason, delay);
        let Some(batch) = left else { return };
        match delay {
            Some(delay) => {
                self.rests += 1;
                self.resting.insert((now + delay, self.rests), batch);
            }
            None => self.rested.push_back(batch),
        }
    }

    /// Moves the batches that have rested for long enough.
    fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.resting.first_entry() {
            if entry.key().0 > now {
                return;
            }
            self.rested.push_back(entry.remove());
        }
    }

    /// Somebody says to go on: whatever waits is tried now.
    fn resume(&mut self) {
        let resting = std::mem::take(&mut self.resting);
        self.rested.extend(resting.into_values());
        if self.breaker.resume() {
            self.rested.iter_mut().for_each(Batch::forget_failures);
        }
    }
}

/// What the sink does while so much may begin.
fn state(allowed: Allowed) -> State {
    match allowed {
        Allowed::All => State::Delivering,
        Allowed::One => State::Probing,
        Allowed::NotBefore(_) => State::Waiting,
        Allowed::Paused => State::Paused,
    }
}

#[cfg(test)]
mod tests;
