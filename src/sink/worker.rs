//! The worker of a sink that takes one batch after the other, in the order of its queue.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::aside::Aside;
use super::delivery::Delivery;
use super::gauge::State;
use super::queue::Queue;
use super::refusal::Held;
use super::trouble::Trouble;
use super::{DeliveryError, Progress, Sink, SinkWorker};
use crate::backoff::{Backoff, wait_until};
use crate::causes::Causes;

/// At most that many messages are handed to a sink at once.
const BATCH: usize = 256;

/// How often a sink without messages is looked after.
const TEND: Duration = Duration::from_secs(1);

/// Starts the worker of a sink: takes messages from its queue, in order, until each is accepted.
pub(crate) fn spawn(sink: impl Sink, queue: Queue) -> SinkWorker {
    let ends = (queue.force.clone(), queue.closed.clone());
    let worker = Worker {
        sink,
        queue,
        trouble: Trouble::default(),
        aside: Aside::default(),
    };
    start(ends, worker.work())
}

/// Starts the task of a worker: `force` ends it, and when it has ended, its sink counts as closed.
pub(super) fn start(
    (force, closed): (CancellationToken, CancellationToken),
    work: impl Future<Output = io::Result<()>> + Send + 'static,
) -> SinkWorker {
    #[expect(
        clippy::disallowed_methods,
        reason = "one of the places where tasks start: a worker per sink"
    )]
    tokio::spawn(async move {
        // However it ends, a panic included.
        let _closed = closed.drop_guard();
        force.run_until_cancelled(work).await.unwrap_or(Ok(()))
    })
}

struct Worker<S> {
    sink: S,
    queue: Queue,
    trouble: Trouble,
    /// What waits behind refused deliveries.
    aside: Aside,
}

enum Turn {
    Reopen,
    Due,
    Received,
    Over,
    Idle,
}

impl<S: Sink> Worker<S> {
    async fn work(mut self) -> io::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let delivered = match self.turn(&mut batch).await {
                Turn::Over => return self.sink.close().await,
                Turn::Reopen => {
                    self.reopen().await;
                    Ok(())
                }
                Turn::Idle => {
                    self.sink.tend().await;
                    Ok(())
                }
                Turn::Due => self.deliver_held().await,
                Turn::Received => {
                    self.aside.follow(&mut batch);
                    self.deliver_all(&mut batch).await
                }
            };
            match delivered {
                Ok(()) => {}
                Err(DeliveryError::Failed(error)) => return Err(error),
                Err(_) => return Ok(()),
            }
        }
    }

    /// What is next; what was received is in `batch`. While deliveries are held, it is never over.
    async fn turn(&mut self, batch: &mut Vec<Delivery>) -> Turn {
        let Queue {
            deliveries, reopen, ..
        } = &mut self.queue;
        let due = self.aside.due();
        let is_ended = deliveries.is_closed() && deliveries.is_empty();
        tokio::select! {
            biased;
            Ok(()) = reopen.changed() => Turn::Reopen,
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
    async fn deliver_held(&mut self) -> Result<(), DeliveryError> {
        let Some((partition, mut batch)) = self.aside.take(Instant::now(), BATCH) else {
            return Ok(());
        };
        self.queue.counts.add_retried();
        self.deliver_all(&mut batch).await?;
        if let Some(mut trouble) = self.aside.done(&partition, Instant::now()) {
            trouble.over(&self.queue.name);
        }
        Ok(())
    }

    /// Delivers a batch, trying again for as long as it takes, until the sink has closed or failed.
    async fn deliver_all(&mut self, batch: &mut Vec<Delivery>) -> Result<(), DeliveryError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        while !batch.is_empty() {
            let Progress { accepted, error } = self.sink.deliver(batch).await;
            batch.drain(..accepted).for_each(Delivery::accept);
            self.queue.counts.add_accepted(accepted);
            if accepted > 0 {
                backoff.reset();
            }
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
        }
        self.queue.counts.set_state(State::Delivering);
        self.queue.counts.add_retried();
    }
}
