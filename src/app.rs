//! From a configuration to a running daemon: who talks to whom, in one screen.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::ack::Limit;
use crate::backoff::Backoff;
use crate::checkpoint::{CheckpointError, CheckpointStore};
use crate::config::Config;
use crate::dispatcher::Dispatcher;
use crate::event::PartitionId;
use crate::partition::{Ended, Partition};
use crate::receiver::{EventHub, ReceiverError, Retry, StartPosition};
use crate::route::Routes;
use crate::shutdown::Shutdown;
use crate::sink::{self, SinkWorker};

/// What each partition may have received and not yet delivered to every sink.
const IN_FLIGHT: Limit = Limit {
    events: 2048,
    bytes: 4 << 20,
};

/// What to do when a hub cannot be reached at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtStart {
    /// End with the reason: somebody is looking.
    Fail,
    /// Try again: the network may come up after the daemon.
    Wait,
}

/// A daemon, ready to run.
#[derive(Debug)]
pub struct App {
    config: Config,
    at_start: AtStart,
    shutdown: Shutdown,
}

/// What a finished run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
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
pub enum AppError {
    /// A sink could not be opened.
    #[error("cannot open sink \"{name}\"")]
    Sink {
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
    Panicked(#[source] tokio::task::JoinError),
}

/// The partitions at work.
struct Running {
    partitions: JoinSet<Ended>,
    /// Hears once from each partition that its link is attached.
    attaching: mpsc::Receiver<()>,
    unattached: usize,
}

impl App {
    /// A daemon that ends when `shutdown` says so.
    pub fn new(config: Config, at_start: AtStart, shutdown: Shutdown) -> Self {
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
    /// When a sink cannot be opened, or a hub or partition cannot be read and waiting would not help.
    pub async fn run(
        mut self,
        ready: impl FnOnce(&[(EventHub, Vec<PartitionId>)]) + Send,
    ) -> Result<Summary, AppError> {
        let Some(hubs) = self.find_partitions().await? else {
            return Ok(Summary::default());
        };
        let partitions: usize = hubs.iter().map(|(_, partitions)| partitions.len()).sum();
        let (dispatcher, workers) = self.start_sinks(partitions)?;
        let running = self.start_partitions(&hubs, &dispatcher).await?;
        let mut summary = Summary::default();
        let supervised = self
            .supervise(running, &dispatcher, &mut summary, || ready(&hubs))
            .await;
        summary.received = dispatcher.received();
        summary.undecodable = dispatcher.undecodable();
        summary.unrouted = dispatcher.unrouted();
        // With the dispatcher the queues close: each worker finishes what it has, or is forced.
        drop(dispatcher);
        self.finish(workers).await?;
        supervised.map(|()| summary)
    }

    /// Asks each hub for its partitions; none when stopped while waiting for one.
    async fn find_partitions(&self) -> Result<Option<Vec<(EventHub, Vec<PartitionId>)>>, AppError> {
        let mut hubs = Vec::new();
        for config in &self.config.hubs {
            let hub = EventHub::new(config.clone());
            let found = tokio::select! {
                () = self.shutdown.stopped() => return Ok(None),
                found = self.partitions_of(&hub) => found?,
            };
            let wanted = choose(&hub, found, &self.config.partitions)?;
            hubs.push((hub, wanted));
        }
        Ok(Some(hubs))
    }

    async fn partitions_of(&self, hub: &EventHub) -> Result<Vec<PartitionId>, ReceiverError> {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        loop {
            let error = match hub.partitions().await {
                Ok(partitions) => return Ok(partitions),
                Err(error) => error,
            };
            let delay = match error.retry() {
                _ if self.at_start == AtStart::Fail => return Err(error),
                Retry::Never => return Err(error),
                Retry::Now => backoff.next_delay(fastrand::f64()),
                Retry::After(least) => backoff.next_delay(fastrand::f64()).max(least),
            };
            tracing::warn!(%error, retry_in = ?delay, "event hub not reached");
            tokio::time::sleep(delay).await;
        }
    }

    fn start_sinks(
        &mut self,
        partitions: usize,
    ) -> Result<(Arc<Dispatcher>, Vec<SinkWorker>), AppError> {
        let names: Vec<&str> = self
            .config
            .sinks
            .iter()
            .map(|sink| sink.name.as_str())
            .collect();
        let routes = Routes::new(&self.config.routes, &names);
        let (mut handles, mut workers) = (Vec::new(), Vec::new());
        for config in std::mem::take(&mut self.config.sinks) {
            // Room for all that the partitions may have in flight, so that dispatching never waits
            // for a slow sink: the partitions' windows are the bound.
            let capacity = partitions.max(1) * IN_FLIGHT.events;
            let (handle, queue) = sink::queue(&config.name, capacity, self.shutdown.force_token());
            workers.push(config.kind.start(queue).map_err(|source| AppError::Sink {
                name: config.name,
                source,
            })?);
            handles.push(handle);
        }
        Ok((Arc::new(Dispatcher::new(routes, handles)), workers))
    }

    async fn start_partitions(
        &self,
        hubs: &[(EventHub, Vec<PartitionId>)],
        dispatcher: &Arc<Dispatcher>,
    ) -> Result<Running, AppError> {
        let (attached, attaching) = mpsc::channel(1);
        let checkpoints: Arc<dyn CheckpointStore> = self.config.checkpoint.open().into();
        let mut partitions_running = JoinSet::new();
        for ((hub, partitions), config) in hubs.iter().zip(&self.config.hubs) {
            for partition in partitions {
                let start = start_of(hub, partition, &config.start, &*checkpoints).await?;
                let receiver = hub.receiver(partition.clone(), start);
                let source = Arc::clone(hub.source());
                let partition = Partition::new(
                    source,
                    receiver,
                    Arc::clone(dispatcher),
                    Arc::clone(&checkpoints),
                    IN_FLIGHT,
                );
                partitions_running.spawn(partition.run(self.shutdown.clone(), attached.clone()));
            }
        }
        Ok(Running {
            unattached: partitions_running.len(),
            partitions: partitions_running,
            attaching,
        })
    }

    /// Waits for the partitions; the first that ends by itself, or a sink that closes, stops the rest.
    async fn supervise(
        &self,
        mut running: Running,
        dispatcher: &Dispatcher,
        summary: &mut Summary,
        ready: impl FnOnce() + Send,
    ) -> Result<(), AppError> {
        let mut ready = Some(ready);
        let mut failure = None;
        loop {
            if running.unattached == 0 {
                ready.take().into_iter().for_each(|ready| ready());
            }
            let ended = tokio::select! {
                ended = running.partitions.join_next() => ended,
                Some(()) = running.attaching.recv() => {
                    running.unattached -= 1;
                    continue;
                }
                sink = dispatcher.sink_closed(), if !self.shutdown.is_stopped() => {
                    summary.closed_sink = Some(sink);
                    self.shutdown.stop();
                    continue;
                }
            };
            match ended {
                None => break,
                Some(Ok(Ended { left_behind, error })) => {
                    summary.left_behind += left_behind as u64;
                    failure = failure.or_else(|| error.map(AppError::Receiver));
                }
                Some(Err(panic)) => failure = Some(AppError::Panicked(panic)),
            }
            self.shutdown.stop();
        }
        failure.map_or(Ok(()), Err)
    }

    /// Waits for the workers until the grace period is over.
    async fn finish(&self, workers: Vec<SinkWorker>) -> Result<(), AppError> {
        let finished = futures_util::future::try_join_all(workers);
        tokio::select! {
            finished = finished => finished.map(drop).map_err(AppError::Panicked),
            () = self.shutdown.expired() => {
                self.shutdown.force();
                Ok(())
            }
        }
    }
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

/// Behind the last checkpoint, or the configured start where there is none.
async fn start_of(
    hub: &EventHub,
    partition: &PartitionId,
    configured: &StartPosition,
    checkpoints: &dyn CheckpointStore,
) -> Result<StartPosition, AppError> {
    match checkpoints.load(hub.source(), partition).await {
        Ok(Some(position)) => Ok(StartPosition::Offset(position.offset)),
        Ok(None) => Ok(configured.clone()),
        Err(source) => Err(AppError::Checkpoint {
            partition: partition.clone(),
            source,
        }),
    }
}
