//! From a configuration to a running daemon: who talks to whom, in one screen.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::ack::Limit;
use crate::backoff::Backoff;
use crate::causes::Causes;
use crate::checkpoint::{CheckpointError, CheckpointStore};
use crate::config::Config;
use crate::dispatcher::Dispatcher;
use crate::event::PartitionId;
use crate::partition::{Ended, Partition};
use crate::receiver::{self, EventHub, Receiver, ReceiverError, StartPosition};
use crate::route::Routes;
use crate::shutdown::Shutdown;
use crate::sink::{self, SinkWorker};

/// What a partition may have received and not yet delivered to every sink, at the most.
const IN_FLIGHT: Limit = Limit {
    events: 2048,
    bytes: 4 << 20,
};

/// What all partitions together may have so, in bytes: many partitions get less each.
const ALL_IN_FLIGHT: usize = 32 << 20;

/// What the service may send ahead of the partitions, of all of them together.
const ALL_PREFETCHED: usize = 64 << 20;

/// However many partitions there are, each may take in so much.
const LEAST: usize = 1 << 20;

/// Room in the queue of a sink for all that may be in flight, so that dispatching never waits for a
/// slow sink: the partitions' windows are the bound. No hub has more partitions than this is for.
const QUEUE: usize = 1024 * IN_FLIGHT.events;

/// What to do when a hub cannot be reached at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtStart {
    /// End with the reason: somebody is looking.
    Fail,
    /// Try again: the network may come up after the daemon.
    Wait,
}

/// A daemon, ready to run.
#[derive(Debug)]
pub(crate) struct App {
    config: Config,
    at_start: AtStart,
    shutdown: Shutdown,
}

/// What a finished run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Events received.
    pub received: u64,
    /// Of them, events whose body could not be decoded.
    pub undecodable: u64,
    /// Of them, events that no route matched.
    pub unrouted: u64,
    /// Of them, events that were not delivered to every sink: they will be received again.
    pub left_behind: u64,
    /// The sink that closed and so ended the run.
    pub closed_sink: Option<Arc<str>>,
}

/// Why the daemon did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    /// A sink could not be opened.
    #[error("cannot open sink \"{name}\"")]
    Sink {
        /// The sink's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A sink gave up: output cannot be written.
    #[error("cannot write to sink \"{name}\"")]
    SinkFailed {
        /// The sink's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A hub or a partition cannot be read, and waiting would not help.
    #[error(transparent)]
    Receiver(#[from] ReceiverError),
    /// It is not known how far a partition was delivered; starting elsewhere would skip or repeat events.
    #[error("cannot read the checkpoint of partition {partition}")]
    Checkpoint {
        /// The partition.
        partition: PartitionId,
        /// What the store said.
        source: CheckpointError,
    },
    /// A partition was asked for that the hub does not have.
    #[error("event hub \"{event_hub}\" has no partition {partition}; it has {existing}")]
    NoSuchPartition {
        /// The hub.
        event_hub: String,
        /// The partition asked for.
        partition: PartitionId,
        /// Those there are.
        existing: String,
    },
    /// A task ended in a panic: a fault of this program.
    #[error("internal error")]
    Panicked(#[source] JoinError),
}

/// What is under way while the daemon runs.
struct Running<'a> {
    /// The hubs that are being asked for their partitions, by their place in the configuration.
    finding: FuturesUnordered<BoxFuture<'a, (usize, Found)>>,
    partitions: JoinSet<Ended>,
    /// Hears once from each partition that its link is attached.
    attaching: mpsc::Receiver<()>,
    attached: mpsc::Sender<()>,
    unattached: usize,
    found: Vec<(EventHub, Vec<PartitionId>)>,
}

type Found = Result<Vec<PartitionId>, ReceiverError>;

/// What can happen next.
enum Turn {
    Found(usize, Found),
    Attached,
    Ended(Result<Ended, JoinError>),
    SinkClosed(Arc<str>),
    Stopped,
    Over,
}

/// The sinks at work.
struct Workers {
    running: Vec<(Arc<str>, SinkWorker)>,
    /// Ends them where they stand.
    end: CancellationToken,
}

impl App {
    /// A daemon that ends when `shutdown` says so.
    pub(crate) fn new(config: Config, at_start: AtStart, shutdown: Shutdown) -> Self {
        Self {
            config,
            at_start,
            shutdown,
        }
    }

    /// Reads every partition of every hub until it is asked to stop, then drains.
    ///
    /// `ready` is called once, with what was found, when every partition is attached.
    ///
    /// # Errors
    /// When a sink cannot be opened or fails for good, or a hub or partition cannot be read and waiting
    /// would not help.
    pub(crate) async fn run(
        mut self,
        ready: impl FnOnce(&[(EventHub, Vec<PartitionId>)]) + Send,
    ) -> Result<Summary, AppError> {
        let (dispatcher, workers) = self.start_sinks()?;
        let mut summary = Summary::default();
        let supervised = self.supervise(&dispatcher, &mut summary, ready).await;
        summary.received = dispatcher.received();
        summary.undecodable = dispatcher.undecodable();
        summary.unrouted = dispatcher.unrouted();
        // With the dispatcher the queues close: each worker finishes what it has, or is ended.
        drop(dispatcher);
        let finished = self.finish(workers).await;
        if summary.left_behind > 0 && self.at_start == AtStart::Wait {
            tracing::warn!(
                events = summary.left_behind,
                "left behind: received and not delivered to every sink; they will be received again"
            );
        }
        supervised.and(finished).map(|()| summary)
    }

    fn start_sinks(&mut self) -> Result<(Arc<Dispatcher>, Workers), AppError> {
        let sinks = std::mem::take(&mut self.config.sinks);
        let names: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
        let routes = Routes::new(&self.config.routes, &names);
        let end = self.shutdown.force_token().child_token();
        let (mut handles, mut running) = (Vec::new(), Vec::new());
        for config in sinks {
            let (handle, queue) = sink::queue(&config.name, QUEUE, end.clone());
            let worker = config.kind.start(queue).map_err(|source| AppError::Sink {
                name: config.name,
                source,
            })?;
            running.push((Arc::clone(&handle.name), worker));
            handles.push(handle);
        }
        let dispatcher = Arc::new(Dispatcher::new(routes, handles));
        Ok((dispatcher, Workers { running, end }))
    }

    /// Finds the partitions, starts them and waits for them. The first that ends by itself, or a sink
    /// that closes, stops the rest.
    async fn supervise(
        &self,
        dispatcher: &Arc<Dispatcher>,
        summary: &mut Summary,
        ready: impl FnOnce(&[(EventHub, Vec<PartitionId>)]) + Send,
    ) -> Result<(), AppError> {
        let checkpoints: Arc<dyn CheckpointStore> = self.config.checkpoint.open().into();
        let mut running = self.find_partitions();
        let mut ready = Some(ready);
        let mut outcome = Ok(());
        loop {
            let turn = running.turn(dispatcher, &self.shutdown).await;
            let ended = match turn {
                Turn::Over => return outcome,
                Turn::Found(index, found) => match found {
                    Ok(found) => {
                        self.start_hub(index, found, &mut running, dispatcher, &checkpoints)
                            .await
                    }
                    Err(error) => Err(error.into()),
                },
                Turn::Attached => {
                    running.unattached -= 1;
                    if running.unattached == 0 && running.finding.is_empty() {
                        ready
                            .take()
                            .into_iter()
                            .for_each(|ready| ready(&running.found));
                    }
                    Ok(())
                }
                Turn::Ended(ended) => {
                    self.shutdown.stop();
                    end_partition(ended, summary)
                }
                Turn::SinkClosed(sink) => {
                    summary.closed_sink = Some(sink);
                    self.shutdown.stop();
                    Ok(())
                }
                Turn::Stopped => {
                    running.finding.clear();
                    Ok(())
                }
            };
            if ended.is_err() {
                self.shutdown.stop();
            }
            outcome = outcome.and(ended);
        }
    }

    /// Asks every hub for its partitions, all at once: one that is away does not hold up the others.
    fn find_partitions(&self) -> Running<'_> {
        let (attached, attaching) = mpsc::channel(1);
        let ask = |(index, config): (usize, &receiver::Config)| {
            let hub = EventHub::new(config.clone());
            async move { (index, self.partitions_of(&hub).await) }.boxed()
        };
        Running {
            finding: self.config.hubs.iter().enumerate().map(ask).collect(),
            partitions: JoinSet::new(),
            attaching,
            attached,
            unattached: 0,
            found: Vec::new(),
        }
    }

    async fn partitions_of(&self, hub: &EventHub) -> Found {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        loop {
            let error = match hub.partitions().await {
                Ok(partitions) => return Ok(partitions),
                Err(error) => error,
            };
            let delay = error.retry().wait(backoff.next_delay(fastrand::f64()));
            let Some(delay) = delay.filter(|_| self.at_start == AtStart::Wait) else {
                return Err(error);
            };
            tracing::warn!(error = %Causes(&error), retry_in = ?delay, "event hub not reached");
            tokio::time::sleep(delay).await;
        }
    }

    /// Starts the partitions of one hub.
    async fn start_hub(
        &self,
        index: usize,
        found: Vec<PartitionId>,
        running: &mut Running<'_>,
        dispatcher: &Arc<Dispatcher>,
        checkpoints: &Arc<dyn CheckpointStore>,
    ) -> Result<(), AppError> {
        let config = &self.config.hubs[index];
        let sharing = found.len().max(1) * self.config.hubs.len();
        let hub = EventHub::new(receiver::Config {
            prefetch_bytes: share(ALL_PREFETCHED, sharing, config.prefetch_bytes),
            ..config.clone()
        });
        let limit = Limit {
            bytes: share(ALL_IN_FLIGHT, sharing, IN_FLIGHT.bytes),
            ..IN_FLIGHT
        };
        let wanted = choose(&hub, found, &self.config.partitions)?;
        for partition in &wanted {
            let receiver = receiver_of(&hub, partition, &config.start, &**checkpoints).await?;
            let source = Arc::clone(hub.source());
            let partition = Partition::new(
                source,
                receiver,
                Arc::clone(dispatcher),
                Arc::clone(checkpoints),
                limit,
            );
            running.unattached += 1;
            running
                .partitions
                .spawn(partition.run(self.shutdown.clone(), running.attached.clone()));
        }
        running.found.push((hub, wanted));
        Ok(())
    }

    /// Waits for the workers until the grace period is over.
    async fn finish(&self, workers: Workers) -> Result<(), AppError> {
        let ended = workers
            .running
            .into_iter()
            .map(|(name, worker)| async move {
                match worker.await {
                    Ok(result) => result.map_err(|source| AppError::SinkFailed {
                        name: name.to_string(),
                        source,
                    }),
                    Err(panic) => Err(AppError::Panicked(panic)),
                }
            });
        tokio::select! {
            ended = try_join_all(ended) => ended.map(drop),
            () = self.shutdown.expired() => {
                workers.end.cancel();
                Ok(())
            }
        }
    }
}

impl Running<'_> {
    async fn turn(&mut self, dispatcher: &Dispatcher, shutdown: &Shutdown) -> Turn {
        if self.finding.is_empty() && self.partitions.is_empty() {
            return Turn::Over;
        }
        let is_finding = !self.finding.is_empty();
        tokio::select! {
            // Whoever was asked to stop does not hear of sinks that close because of it.
            biased;
            () = shutdown.stopped(), if is_finding => Turn::Stopped,
            Some((index, found)) = self.finding.next() => Turn::Found(index, found),
            Some(ended) = self.partitions.join_next() => Turn::Ended(ended),
            Some(()) = self.attaching.recv() => Turn::Attached,
            sink = dispatcher.sink_closed(), if !shutdown.is_stopped() => match shutdown.is_stopped() {
                true => Turn::Stopped,
                false => Turn::SinkClosed(sink),
            },
        }
    }
}

/// What each of so many gets of a whole, within what each may have.
fn share(whole: usize, sharing: usize, most: usize) -> usize {
    (whole / sharing).max(LEAST).min(most)
}

fn end_partition(ended: Result<Ended, JoinError>, summary: &mut Summary) -> Result<(), AppError> {
    let Ended { left_behind, error } = ended.map_err(AppError::Panicked)?;
    summary.left_behind += left_behind as u64;
    error.map_or(Ok(()), |error| Err(error.into()))
}

/// Those of `found` that are `wanted`; all of them where nothing is said.
fn choose(
    hub: &EventHub,
    found: Vec<PartitionId>,
    wanted: &[PartitionId],
) -> Result<Vec<PartitionId>, AppError> {
    if wanted.is_empty() {
        return Ok(found);
    }
    match wanted.iter().find(|partition| !found.contains(partition)) {
        None => Ok(found
            .into_iter()
            .filter(|partition| wanted.contains(partition))
            .collect()),
        Some(missing) => Err(AppError::NoSuchPartition {
            event_hub: hub.source().event_hub.clone(),
            partition: missing.clone(),
            existing: found
                .iter()
                .map(PartitionId::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// A receiver that begins behind the last checkpoint, or at the configured start where there is none.
async fn receiver_of(
    hub: &EventHub,
    partition: &PartitionId,
    start: &StartPosition,
    checkpoints: &dyn CheckpointStore,
) -> Result<Receiver, AppError> {
    match checkpoints.load(hub.source(), partition).await {
        Ok(Some(position)) => Ok(hub.receiver_after(partition.clone(), position)),
        Ok(None) => Ok(hub.receiver(partition.clone(), start.clone())),
        Err(source) => Err(AppError::Checkpoint {
            partition: partition.clone(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_partitions_share_what_all_may_have() {
        for (sharing, expected) in [
            (1, 4 << 20),
            (8, 4 << 20),
            (16, 2 << 20),
            (32, 1 << 20),
            (1000, 1 << 20),
        ] {
            assert_eq!(
                share(ALL_IN_FLIGHT, sharing, IN_FLIGHT.bytes),
                expected,
                "{sharing}"
            );
        }
    }
}
