//! The loop: receive, decode, dispatch, complete, checkpoint; and the drain at the end.
//!
//! The only place that moves a checkpoint. Back-pressure is one idea: no room, no receive.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::ack::{Limit, Window};
use crate::backoff::Backoff;
use crate::causes::Causes;
use crate::checkpoint::CheckpointStore;
use crate::dispatcher::Dispatcher;
use crate::event::{Event, Position, Source};
use crate::message::Message;
use crate::receiver::{Receiver, ReceiverError};
use crate::shutdown::Shutdown;
use crate::sink::Settled;

/// One partition of one event hub, from its receiver to its checkpoint.
#[derive(Debug)]
pub(crate) struct Partition {
    source: Arc<Source>,
    receiver: Receiver,
    dispatcher: Arc<Dispatcher>,
    checkpoints: Arc<dyn CheckpointStore>,
    limit: Limit,
    window: Window,
    /// The newest position not yet kept by the store.
    unsaved: Option<Position>,
}

/// How a partition ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Events received and not completed: they will be received again.
    pub left_behind: usize,
    /// Why it ended by itself, where nobody asked it to.
    pub error: Option<ReceiverError>,
}

enum Next {
    Settled,
    Stopped,
    Received(Event),
}

impl Partition {
    pub(crate) fn new(
        source: Arc<Source>,
        receiver: Receiver,
        dispatcher: Arc<Dispatcher>,
        checkpoints: Arc<dyn CheckpointStore>,
        limit: Limit,
    ) -> Self {
        Self {
            source,
            receiver,
            dispatcher,
            checkpoints,
            limit,
            window: Window::new(limit),
            unsaved: None,
        }
    }

    /// Runs until `shutdown` or an error that waiting cannot cure, then drains. `attached` hears when
    /// the receiver has its link.
    pub(crate) async fn run(mut self, shutdown: Shutdown, attached: mpsc::Sender<()>) -> Ended {
        // As many tickets as there can be events in flight: reporting one never waits.
        let (settle, mut settled) = mpsc::channel(self.limit.events);
        let error = self
            .receive_all(&mut settled, &settle, attached, &shutdown)
            .await
            .err();
        drop(settle);
        self.drain(&mut settled, &shutdown).await;
        // Who is forced does not even say goodbye: the service notices the end of the connection.
        let forced = shutdown.force_token();
        forced.run_until_cancelled(self.receiver.close()).await;
        Ended {
            left_behind: self.window.len(),
            error,
        }
    }

    /// The loop itself, until something asks to stop.
    async fn receive_all(
        &mut self,
        settled: &mut mpsc::Receiver<Settled>,
        settle: &mpsc::Sender<Settled>,
        attached: mpsc::Sender<()>,
        shutdown: &Shutdown,
    ) -> Result<(), ReceiverError> {
        tokio::select! {
            biased;
            () = shutdown.stopped() => return Ok(()),
            result = self.receiver.attach() => result?,
        }
        // It can only fail when nobody waits for it any more.
        attached.send(()).await.ok();
        let mut batch = Vec::new();
        loop {
            let next = tokio::select! {
                // Finish before starting: completions must not queue up behind new events.
                biased;
                _ = settled.recv_many(&mut batch, self.limit.events) => Next::Settled,
                () = shutdown.stopped() => Next::Stopped,
                event = self.receiver.receive(), if self.window.has_room() => Next::Received(event?),
            };
            match next {
                Next::Settled => self.complete(&mut batch).await,
                Next::Stopped => return Ok(()),
                Next::Received(event) => self.begin(event, settle).await,
            }
        }
    }

    async fn begin(&mut self, event: Event, settle: &mpsc::Sender<Settled>) {
        tracing::trace!(partition = %event.partition, sequence_number = %event.sequence_number, "event received");
        let ticket = self.window.begin(event.position(), event.size());
        let message = Message::decode(Arc::clone(&self.source), event);
        self.dispatcher.dispatch(message, ticket, settle).await;
    }

    async fn complete(&mut self, batch: &mut Vec<Settled>) {
        for settled in batch.drain(..) {
            match settled {
                Settled::Accepted(ticket) => {
                    self.unsaved = self.window.complete(ticket).or_else(|| self.unsaved.take())
                }
                Settled::Abandoned(ticket) => self.window.abandon(ticket),
            }
        }
        if let Err(error) = self.save().await {
            // Kept in `unsaved`: the next completion, or the drain, tries again.
            tracing::warn!(partition = %self.receiver.partition(), error = %Causes(&error), "checkpoint not written");
        }
    }

    async fn save(&mut self) -> Result<(), crate::checkpoint::CheckpointError> {
        let Some(position) = &self.unsaved else {
            return Ok(());
        };
        let partition = self.receiver.partition();
        self.checkpoints
            .save(&self.source, partition, position.clone())
            .await?;
        self.unsaved = None;
        Ok(())
    }

    /// Waits for what is in flight and writes the last checkpoint, until the grace period is over.
    async fn drain(&mut self, settled: &mut mpsc::Receiver<Settled>, shutdown: &Shutdown) {
        let expired = shutdown.expired();
        tokio::pin!(expired);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut batch = Vec::new();
        while !self.window.is_settled() || self.unsaved.is_some() {
            let is_waiting = !self.window.is_settled();
            // A delay is drawn when it is waited for: it grows with saves that failed, with nothing else.
            let delayed = async { tokio::time::sleep(backoff.next_delay(fastrand::f64())).await };
            tokio::select! {
                biased;
                _ = settled.recv_many(&mut batch, self.limit.events), if is_waiting => {}
                () = &mut expired => return,
                () = delayed, if !is_waiting => {}
            }
            self.complete(&mut batch).await;
        }
    }
}
