//! The worker of a sink that takes one batch after the other, in the order of its queue.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::aside::Aside;
use super::delivery::Delivery;
use super::gauge::State;
use super::heir::inheritance;
use super::queue::Queue;
use super::refusal::Held;
use super::trouble::Trouble;
use super::{DeliveryError, Progress, Sink, SinkConfig, SinkWorker};
use crate::backoff::{Backoff, wait_until};
use crate::causes::Causes;
use crate::trace::Destination;

/// At most that many messages are handed to a sink at once.
const BATCH: usize = 256;

/// How often a sink without messages is looked after.
const TEND: Duration = Duration::from_secs(1);

/// Starts the worker of a sink: takes messages from its queue, in order, until each is accepted.
pub(crate) fn spawn(sink: impl Sink, queue: Queue) -> SinkWorker {
    let ends = Ends::of(&queue);
    let worker = Worker {
        sink,
        queue,
        trouble: Trouble::default(),
        aside: Aside::default(),
        inherited: VecDeque::new(),
        is_failing: false,
    };
    start(ends, worker.work())
}

/// When a worker begins and ends, and who hears of its end.
pub(super) struct Ends {
    force: CancellationToken,
    closed: CancellationToken,
    ended: CancellationToken,
    after: Vec<CancellationToken>,
}

/// How a worker ended that was not forced to.
pub(super) enum End {
    /// Its queue is closed, and everything in it is settled.
    Drained,
    /// The sink takes nothing any more.
    Closed,
}

impl Ends {
    pub(super) fn of(queue: &Queue) -> Self {
        Self {
            force: queue.force.clone(),
            closed: queue.closed.clone(),
            ended: queue.ended.clone(),
            after: queue.after.clone(),
        }
    }
}

/// Starts the task of a worker: `force` ends it, and when it has ended before its queue, its sink counts as closed.
pub(super) fn start(
    ends: Ends,
    work: impl Future<Output = io::Result<End>> + Send + 'static,
) -> SinkWorker {
    #[expect(
        clippy::disallowed_methods,
        reason = "one of the places where tasks start: a worker per sink"
    )]
    tokio::spawn(async move {
        let Ends {
            force,
            closed,
            ended,
            after,
        } = ends;
        // However it ends, a panic included.
        let _ended = ended.drop_guard();
        let closed = closed.drop_guard();
        let work = async {
            all_cancelled(&after).await;
            work.await
        };
        let end = force.run_until_cancelled(work).await;
        if let Some(Ok(End::Drained)) = end {
            closed.disarm();
        }
        end.map_or(Ok(()), |end| end.map(drop))
    })
}

/// Opens a sink and starts its worker when those have ended that must end before: they may have open what it is to
/// open. A sink that cannot be opened then counts as closed.
pub(crate) fn start_behind(kind: Box<dyn SinkConfig>, queue: Queue) -> SinkWorker {
    let ends = Ends::of(&queue);
    #[expect(
        clippy::disallowed_methods,
        reason = "one of the places where tasks start: a worker per sink"
    )]
    tokio::spawn(async move {
        let ended = ends.ended.drop_guard();
        let closed = ends.closed.drop_guard();
        let opened = async {
            all_cancelled(&ends.after).await;
            // A file system may keep us waiting.
            let opening = tokio::task::spawn_blocking(move || kind.start(queue));
            opening.await.map_err(io::Error::other)?
        };
        let Some(opened) = ends.force.run_until_cancelled(opened).await else {
            return Ok(());
        };
        let worker = opened?;
        ended.disarm();
        closed.disarm();
        worker.await.map_err(io::Error::other)?
    })
}

async fn all_cancelled(tokens: &[CancellationToken]) {
    for token in tokens {
        token.cancelled().await;
    }
}

struct Worker<S> {
    sink: S,
    queue: Queue,
    trouble: Trouble,
    /// What waits behind refused deliveries.
    aside: Aside,
    /// What comes before what is in the queue.
    inherited: VecDeque<Delivery>,
    /// True when the last attempt has failed.
    is_failing: bool,
}

enum Turn {
    Reopen,
    Due,
    Received,
    Over,
    Idle,
}

impl<S: Sink> Worker<S> {
    async fn work(mut self) -> io::Result<End> {
        let (_, none) = inheritance();
        let inherited = std::mem::replace(&mut self.queue.inherited, none);
        self.inherited = inherited.get().await.into();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let is_stuck = !batch.is_empty() || !self.aside.is_empty();
            if is_stuck && self.queue.heir.is_there() {
                return self.leave(batch).await;
            }
            let delivered = match self.turn(&mut batch).await {
                Turn::Over => return self.sink.close().await.map(|()| End::Drained),
                Turn::Reopen => {
                    self.reopen().await;
                    Ok(())
                }
                Turn::Idle => {
                    self.sink.tend().await;
                    Ok(())
                }
                Turn::Due => self.deliver_held(&mut batch).await,
                Turn::Received => {
                    self.aside.follow(&mut batch);
                    self.deliver_all(&mut batch).await
                }
            };
            match delivered {
                Ok(()) => {}
                Err(DeliveryError::Failed(error)) => return Err(error),
                Err(_) => return Ok(End::Closed),
            }
        }
    }

    /// What is next; what was received is in `batch`. While deliveries are held, it is never over.
    async fn turn(&mut self, batch: &mut Vec<Delivery>) -> Turn {
        let Queue {
            deliveries,
            reopen,
            heir,
            ..
        } = &mut self.queue;
        if !self.inherited.is_empty() {
            let count = self.inherited.len().min(BATCH);
            batch.extend(self.inherited.drain(..count));
            return Turn::Received;
        }
        let due = self.aside.due();
        let is_ended = deliveries.is_closed() && deliveries.is_empty();
        tokio::select! {
            biased;
            Ok(()) = reopen.changed() => Turn::Reopen,
            () = heir.named(), if due.is_some() => Turn::Idle,
            () = wait_until(due) => Turn::Due,
            count = deliveries.recv_many(batch, BATCH), if !is_ended || due.is_none() => match count {
                0 if due.is_none() => Turn::Over,
                0 => Turn::Idle,
                _ => Turn::Received,
            },
            () = tokio::time::sleep(TEND) => Turn::Idle,
        }
    }

    async fn reopen(&mut self) {
        self.sink.reopen().await;
        self.aside.wake(Instant::now());
    }

    /// Tries a partition again that waits behind a refused delivery.
    async fn deliver_held(&mut self, batch: &mut Vec<Delivery>) -> Result<(), DeliveryError> {
        let Some((partition, held)) = self.aside.take(Instant::now(), BATCH) else {
            return Ok(());
        };
        *batch = held;
        self.queue.counts.add_retried();
        self.deliver_all(batch).await?;
        if !batch.is_empty() {
            return Ok(());
        }
        if let Some(mut trouble) = self.aside.done(&partition, Instant::now()) {
            trouble.over(&self.queue.name);
        }
        Ok(())
    }

    /// Leaves everything to the heir, `batch` first.
    async fn leave(mut self, batch: Vec<Delivery>) -> io::Result<End> {
        let rest = batch.into_iter().chain(self.aside.take_all());
        let rest: Vec<Delivery> = rest.chain(self.inherited.drain(..)).collect();
        self.queue.leave(rest).await;
        self.sink.close().await.map(|()| End::Drained)
    }

    /// Delivers a batch, trying again for as long as it takes, until the sink has closed or failed. What fails while
    /// there is an heir stays in the batch.
    async fn deliver_all(&mut self, batch: &mut Vec<Delivery>) -> Result<(), DeliveryError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        while !batch.is_empty() {
            if self.is_failing && self.queue.heir.is_there() {
                return Ok(());
            }
            self.begin_attempts(batch);
            let begun = Instant::now();
            let Progress { accepted, error } = self.sink.deliver(batch).await;
            self.queue.counts.attempts.add(begun.elapsed());
            end_attempts(batch, accepted, error.as_ref());
            batch.drain(..accepted).for_each(Delivery::accept);
            self.queue.counts.add_accepted(accepted);
            if accepted > 0 {
                backoff.reset();
            }
            self.is_failing = false;
            match error {
                None => {
                    self.queue.counts.works();
                    self.trouble.over(&self.queue.name);
                }
                Some(error @ (DeliveryError::Failed(_) | DeliveryError::Closed)) => {
                    return Err(error);
                }
                Some(DeliveryError::Refused(reason) | DeliveryError::Unfit(reason)) => {
                    self.refuse(batch, reason).await
                }
                Some(error) => {
                    let reason = Causes(&error).to_string();
                    self.wait(&reason, &error, &mut backoff).await;
                }
            }
        }
        Ok(())
    }

    fn begin_attempts(&self, batch: &mut [Delivery]) {
        let destination = Destination {
            sink: &self.queue.name,
            server: None,
            events: batch.len(),
        };
        for delivery in batch {
            delivery.begin_attempt(destination);
        }
    }

    /// The first message of `batch` was refused: what becomes of it, the configuration says. Where it is to be
    /// held, its partition is set aside.
    async fn refuse(&mut self, batch: &mut Vec<Delivery>, reason: String) {
        let refused = batch.remove(0);
        let Queue {
            name,
            on_refusal,
            counts,
            ..
        } = &self.queue;
        let on_refusal = on_refusal.now();
        let settled = on_refusal.settle(refused, name, reason, counts).await;
        let Err(Held { delivery, reason }) = settled else {
            return;
        };
        let reason = format!(
            "{delivery} is refused and holds its partition, for there is no dead-letter sink: {reason}"
        );
        counts.add_failed(&reason);
        let held = self
            .aside
            .hold(delivery, batch, Instant::now(), fastrand::f64());
        let (delay, trouble) = held;
        trouble.failed(name, &reason, Some(delay));
    }

    /// Waits before the next attempt, at most until files are to be opened anew.
    async fn wait(&mut self, reason: &str, error: &DeliveryError, backoff: &mut Backoff) {
        self.is_failing = true;
        self.queue.counts.add_failed(reason);
        let drawn = backoff.next_delay(fastrand::f64());
        let delay = error.delay(drawn);
        self.queue.counts.set_state(match delay {
            Some(_) => State::Waiting,
            None => State::Paused,
        });
        self.trouble.failed(&self.queue.name, &reason, delay);
        tokio::select! {
            () = wait_until(delay.and_then(|delay| Instant::now().checked_add(delay))) => {}
            Ok(()) = self.queue.reopen.changed() => self.reopen().await,
            () = self.queue.heir.named() => {}
        }
        self.queue.counts.set_state(State::Delivering);
        self.queue.counts.add_retried();
    }
}

/// So many messages of `batch` were accepted; the one behind them failed for itself where it was refused, else all did.
/// Where none failed, the sink took no more at once, and the attempts of the others go on.
fn end_attempts(batch: &mut [Delivery], accepted: usize, error: Option<&DeliveryError>) {
    for (index, delivery) in batch.iter_mut().enumerate() {
        let failure = match error {
            _ if index < accepted => None,
            None => break,
            Some(error) if index == accepted || !error.is_of_one() => Some(error.kind()),
            Some(_) => Some("not_attempted"),
        };
        delivery.end_attempt(failure);
    }
}

#[cfg(test)]
mod tests;
