//! From a configuration to a running daemon: who talks to whom, in one screen.

mod error;
mod reload;
mod sinks;
mod unreached;
mod vitals;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::backoff::Backoff;
use crate::budget::Budget;
use crate::causes::Causes;
use crate::checkpoint::{Checkpoint, CheckpointStore};
use crate::config::Config;
use crate::dispatcher::Dispatcher;
use crate::duplicates::Duplicates;
use crate::event::PartitionId;
use crate::http;
use crate::otlp::Otlp;
use crate::partition::{Ended, Partition, Terms};
use crate::receiver::{self, EventHub, Receiver, ReceiverError, StartPosition};
use crate::shutdown::Shutdown;
use crate::status::Totals;
use crate::trace::Tracer;
use reload::Reloads;
use sinks::Sinks;
use unreached::Unreached;

pub(crate) use error::AppError;
pub(crate) use reload::Source as ReloadSource;
pub(crate) use vitals::Vitals;

/// What the service may send ahead of the partitions, of all of them together, in bytes.
const ALL_PREFETCHED: usize = 32 << 20;

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
    vitals: Arc<Vitals>,
    /// Who follows events, where the configuration wants that.
    tracer: Option<Arc<dyn Tracer>>,
    /// Where its configuration is read again from; none where it never is.
    reload: Option<ReloadSource>,
}

/// What a finished run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// What has passed.
    pub totals: Totals,
    /// Of the events received, those that were not delivered to every sink: they will be received again.
    pub left_behind: u64,
    /// Events that the partitions had and that were not delivered to every sink, as far as the service has said; none
    /// where it has not said it of each.
    pub behind: Option<u64>,
    /// The sink that closed and so ended the run.
    pub closed_sink: Option<Arc<str>>,
}

/// What is under way while the daemon runs.
struct Running<'a> {
    shared: Shared,
    /// The hubs that are being asked for their partitions, by their place in the configuration.
    finding: FuturesUnordered<BoxFuture<'a, (usize, Found)>>,
    partitions: JoinSet<Ended>,
    /// Hears once from each partition that its link is attached.
    attaching: mpsc::Receiver<()>,
    attached: mpsc::Sender<()>,
    unattached: usize,
    found: Vec<(EventHub, Vec<PartitionId>)>,
    /// The hubs that will be asked whether they have more partitions by now.
    growing: FuturesUnordered<BoxFuture<'a, (usize, Found)>>,
    /// The partitions that each hub has had, by its place in the configuration.
    known: Vec<Vec<PartitionId>>,
}

/// What all partitions share, whichever are read and of whatever hubs.
struct Shared {
    checkpoints: Arc<dyn CheckpointStore>,
    dispatcher: Arc<Dispatcher>,
    /// What the service has sent ahead of them, in bytes.
    prefetched: Arc<Budget>,
    /// What they have in flight, in bytes.
    in_flight: Arc<Budget>,
}

type Found = Result<Vec<PartitionId>, ReceiverError>;

/// What can happen next.
enum Turn {
    Found(usize, Found),
    Grown(usize, Found),
    Attached,
    Ended(Result<Ended, JoinError>),
    SinkClosed(Arc<str>),
    Stopped,
    Over,
}

impl App {
    /// A daemon that ends when `shutdown` says so.
    pub(crate) fn new(config: Config, at_start: AtStart, shutdown: Shutdown) -> Self {
        Self {
            vitals: Arc::new(Vitals::new(config.health, shutdown.clone())),
            config,
            at_start,
            shutdown,
            tracer: None,
            reload: None,
        }
    }

    /// The same, whose configuration is read again while it runs.
    pub(crate) fn reloading(self, source: ReloadSource) -> Self {
        Self {
            reload: Some(source),
            ..self
        }
    }

    /// How it does, for whoever asks while it runs.
    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
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
        // Before the sinks: where another daemon has it, they are that one's too.
        let checkpoints = self.config.checkpoint.open().map_err(AppError::Store)?;
        let listener = http::listen(&self.config.http)
            .await
            .map_err(|source| AppError::Http {
                address: self.config.http.listen.to_string(),
                source,
            })?;
        let otlp = self.config.otlp.as_ref();
        let otlp = otlp.map(|config| Otlp::start(config, self.vitals.standings()));
        let otlp = otlp.transpose().map_err(AppError::Otlp)?;
        self.tracer = otlp.as_ref().map(Otlp::tracer);
        let vitals = Arc::clone(self.vitals());
        let shutdown = self.shutdown.clone();
        let delivering = async {
            let summary = self.deliver(checkpoints.into(), ready).await;
            if let Some(otlp) = otlp {
                tokio::select! {
                    () = otlp.flush() => {}
                    () = shutdown.expired() => {}
                }
            }
            summary
        };
        // It answers while hubs are reached and while what is left is delivered, and holds up neither.
        let serving = async {
            match listener {
                Some(listener) => listener.serve(vitals).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            summary = delivering => summary,
            never = serving => match never {},
        }
    }

    /// Receives and delivers, from opening the sinks to closing them.
    async fn deliver(
        mut self,
        checkpoints: Arc<dyn CheckpointStore>,
        ready: impl FnOnce(&[(EventHub, Vec<PartitionId>)]) + Send,
    ) -> Result<Summary, AppError> {
        let mut reloads = Reloads::new(
            self.reload.take(),
            &self.config,
            &self.shutdown,
            Arc::clone(&self.vitals),
        );
        let mut sinks = Sinks::new(&self.shutdown);
        let configs = std::mem::take(&mut self.config.sinks);
        let dead_letter = std::mem::take(&mut self.config.dead_letter);
        let prepared = sinks.prepare(configs, dead_letter).await?;
        let plan = sinks.apply(prepared, &self.config.routes);
        let duplicates = Arc::new(Duplicates::open(self.config.duplicates.take()));
        let dispatcher = Arc::new(Dispatcher::new(plan, Arc::clone(&duplicates)));
        self.vitals.delivers(dispatcher.tally(), sinks.gauges());
        let mut summary = Summary::default();
        let supervised = tokio::select! {
            supervised = self.supervise(checkpoints, Arc::clone(&dispatcher), &mut summary, ready) => supervised,
            never = duplicates.keep_always() => match never {},
            never = self.vitals.keep_looking() => match never {},
            never = reloads.serve(&mut sinks, &dispatcher) => match never {},
        };
        let forced = self.shutdown.force_token();
        forced.run_until_cancelled(duplicates.keep()).await;
        summary.behind = self.vitals.standings().behind();
        summary.totals = self.vitals.totals();
        // With the dispatcher the queues close: each worker finishes what it has, or is ended.
        drop(dispatcher);
        let finished = sinks.finish(&self.shutdown).await;
        if summary.left_behind > 0 && self.at_start == AtStart::Wait {
            tracing::warn!(
                events = summary.left_behind,
                "left behind: received and not delivered to every sink; they will be received again"
            );
        }
        supervised.and(finished).map(|()| summary)
    }

    /// Finds the partitions, starts them and waits for them. The first that ends by itself, or a sink
    /// that closes, stops the rest.
    async fn supervise(
        &self,
        checkpoints: Arc<dyn CheckpointStore>,
        dispatcher: Arc<Dispatcher>,
        summary: &mut Summary,
        ready: impl FnOnce(&[(EventHub, Vec<PartitionId>)]) + Send,
    ) -> Result<(), AppError> {
        let mut running = self.find_partitions(checkpoints, dispatcher);
        let mut ready = Some(ready);
        let mut outcome = Ok(());
        loop {
            let turn = running.turn(&self.shutdown).await;
            let ended = match turn {
                Turn::Over => return outcome,
                Turn::Found(index, found) => match found {
                    Ok(found) => tokio::select! {
                        started = self.start_hub(index, found, &mut running) => started,
                        // A store that hangs does not keep the process.
                        () = self.shutdown.expired() => Ok(()),
                    },
                    Err(error) => Err(error.into()),
                },
                Turn::Grown(index, found) => tokio::select! {
                    started = self.grow_hub(index, found, &mut running) => started,
                    () = self.shutdown.expired() => Ok(()),
                },
                Turn::Attached => {
                    running.unattached -= 1;
                    if running.unattached == 0 && running.finding.is_empty() {
                        self.vitals.started();
                        ready
                            .take()
                            .into_iter()
                            .for_each(|ready| ready(&running.found));
                    }
                    Ok(())
                }
                Turn::Ended(ended) => {
                    if !ended.as_ref().is_ok_and(|ended| ended.is_finished) {
                        self.shutdown.stop();
                    }
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
    fn find_partitions(
        &self,
        checkpoints: Arc<dyn CheckpointStore>,
        dispatcher: Arc<Dispatcher>,
    ) -> Running<'_> {
        let (attached, attaching) = mpsc::channel(1);
        let ask = |(index, config): (usize, &receiver::Config)| {
            let hub = EventHub::new(config.clone());
            async move { (index, self.partitions_of(&hub).await) }.boxed()
        };
        Running {
            shared: Shared {
                checkpoints,
                dispatcher,
                prefetched: Budget::new(ALL_PREFETCHED),
                in_flight: Budget::new(self.config.delivery.total_bytes),
            },
            finding: self.config.hubs.iter().enumerate().map(ask).collect(),
            partitions: JoinSet::new(),
            attaching,
            attached,
            unattached: 0,
            found: Vec::new(),
            growing: FuturesUnordered::new(),
            known: vec![Vec::new(); self.config.hubs.len()],
        }
    }

    async fn partitions_of(&self, hub: &EventHub) -> Found {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let mut unreached = Unreached::default();
        loop {
            let error = match hub.partitions().await {
                Ok(partitions) => return Ok(partitions),
                Err(error) => error,
            };
            let delay = error.retry().wait(backoff.next_delay(fastrand::f64()));
            let Some(delay) = delay.filter(|_| self.at_start == AtStart::Wait) else {
                return Err(error);
            };
            unreached.tell(&hub.source().event_hub, &error, delay);
            tokio::time::sleep(delay).await;
        }
    }

    /// Starts the partitions of one hub.
    async fn start_hub<'a>(
        &'a self,
        index: usize,
        found: Vec<PartitionId>,
        running: &mut Running<'a>,
    ) -> Result<(), AppError> {
        let config = &self.config.hubs[index];
        running.known[index].clone_from(&found);
        let hub = EventHub::new(config.clone()).within(&running.shared.prefetched);
        for partition in config.starts.keys() {
            must_exist(&hub, partition, &found)?;
        }
        let wanted = choose(&hub, found, &self.config.partitions)?;
        let mut partitions = Vec::new();
        for partition in &wanted {
            let start = config.start_of(partition);
            partitions.extend(
                self.partition(&hub, partition, start, &running.shared)
                    .await?,
            );
        }
        // None before all of them share: what the first may have sent ahead cannot be taken back from it.
        self.start(partitions, running);
        running.found.push((hub, wanted));
        if self.config.partitions.is_empty() && self.config.replay.is_none() {
            self.look_again(index, running);
        }
        Ok(())
    }

    /// Asks a hub for its partitions again, after a while.
    fn look_again<'a>(&'a self, index: usize, running: &Running<'a>) {
        let config = &self.config.hubs[index];
        let hub = EventHub::new(config.clone());
        running.growing.push(
            async move {
                tokio::time::sleep(config.partition_check).await;
                (index, hub.partitions().await)
            }
            .boxed(),
        );
    }

    /// Starts the partitions that a hub has got meanwhile.
    async fn grow_hub<'a>(
        &'a self,
        index: usize,
        found: Found,
        running: &mut Running<'a>,
    ) -> Result<(), AppError> {
        self.look_again(index, running);
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                // What keeps them from being read is told by those that are read.
                tracing::debug!(error = %Causes(&error), "event hub not asked for new partitions");
                return Ok(());
            }
        };
        let known = &running.known[index];
        let is_new = |partition: &&PartitionId| !known.contains(partition);
        let new: Vec<PartitionId> = found.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let hub = EventHub::new(self.config.hubs[index].clone()).within(&running.shared.prefetched);
        // The service may need a moment for them, which the others are not ended for.
        let hub = hub.that_has_worked();
        // Whoever wants what comes from now on wants all of what came since they were added.
        let start = match &self.config.hubs[index].start {
            start @ StartPosition::EnqueuedTime(_) => start.clone(),
            _ => StartPosition::Earliest,
        };
        for partition in &new {
            let event_hub = &hub.source().event_hub;
            tracing::info!(%partition, event_hub, "a partition was added to the event hub");
            let partition = self
                .partition(&hub, partition, &start, &running.shared)
                .await?;
            self.start(partition, running);
        }
        running.known[index].extend(new);
        Ok(())
    }

    /// One partition of a hub; none where nothing is to be read from it.
    async fn partition(
        &self,
        hub: &EventHub,
        partition: &PartitionId,
        start: &StartPosition,
        shared: &Shared,
    ) -> Result<Option<Partition>, AppError> {
        let until = match &self.config.replay {
            Some(replay) => {
                let last = hub.last_event(partition).await?;
                let Some(until) = replay.until(last.as_ref(), OffsetDateTime::now_utc()) else {
                    return Ok(None);
                };
                Some(until)
            }
            None => None,
        };
        let receiver = receiver_of(hub, partition, start, &*shared.checkpoints).await?;
        self.vitals.standings().add(Arc::clone(receiver.standing()));
        Ok(Some(Partition::new(
            Arc::clone(hub.source()),
            receiver,
            Arc::clone(&shared.dispatcher),
            Arc::clone(&shared.checkpoints),
            Terms {
                decode: self.config.decode.clone(),
                limit: self.config.delivery.in_flight,
                all: Arc::clone(&shared.in_flight),
                cadence: self.config.checkpoint.cadence,
                until,
                tracer: self.tracer.clone(),
            },
        )))
    }

    fn start(&self, partitions: impl IntoIterator<Item = Partition>, running: &mut Running<'_>) {
        for partition in partitions {
            running.unattached += 1;
            running
                .partitions
                .spawn(partition.run(self.shutdown.clone(), running.attached.clone()));
        }
    }
}

impl Running<'_> {
    async fn turn(&mut self, shutdown: &Shutdown) -> Turn {
        if self.finding.is_empty() && self.partitions.is_empty() {
            return Turn::Over;
        }
        let is_finding = !self.finding.is_empty();
        tokio::select! {
            // Whoever was asked to stop does not hear of sinks that close because of it.
            biased;
            () = shutdown.stopped(), if is_finding => Turn::Stopped,
            Some((index, found)) = self.finding.next() => Turn::Found(index, found),
            Some((index, found)) = self.growing.next(), if !shutdown.is_stopped() => Turn::Grown(index, found),
            Some(ended) = self.partitions.join_next() => Turn::Ended(ended),
            Some(()) = self.attaching.recv() => Turn::Attached,
            sink = self.shared.dispatcher.sink_closed(), if !shutdown.is_stopped() => match shutdown.is_stopped() {
                true => Turn::Stopped,
                false => Turn::SinkClosed(sink),
            },
        }
    }
}

fn end_partition(ended: Result<Ended, JoinError>, summary: &mut Summary) -> Result<(), AppError> {
    let Ended {
        left_behind, error, ..
    } = ended.map_err(AppError::Panicked)?;
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
    for partition in wanted {
        must_exist(hub, partition, &found)?;
    }
    Ok(found
        .into_iter()
        .filter(|partition| wanted.contains(partition))
        .collect())
}

/// Fails where `partition`, which the configuration names, is not among those that were found.
fn must_exist(
    hub: &EventHub,
    partition: &PartitionId,
    found: &[PartitionId],
) -> Result<(), AppError> {
    if found.contains(partition) {
        return Ok(());
    }
    let existing: Vec<&str> = found.iter().map(PartitionId::as_str).collect();
    Err(AppError::NoSuchPartition {
        event_hub: hub.source().event_hub.clone(),
        partition: partition.clone(),
        existing: existing.join(", "),
    })
}

/// A receiver that begins behind the last checkpoint, or at the configured start where there is none.
async fn receiver_of(
    hub: &EventHub,
    partition: &PartitionId,
    start: &StartPosition,
    checkpoints: &dyn CheckpointStore,
) -> Result<Receiver, AppError> {
    match checkpoints.load(hub.source(), partition).await {
        Ok(Some(Checkpoint::After(position))) => {
            Ok(hub.receiver_after(partition.clone(), position))
        }
        Ok(Some(Checkpoint::From(start))) => Ok(hub.receiver(partition.clone(), start)),
        Ok(None) => Ok(hub.receiver(partition.clone(), start.clone())),
        Err(source) => Err(AppError::Checkpoint {
            partition: partition.clone(),
            source,
        }),
    }
}

#[cfg(feature = "emulator")]
#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::config;
    use crate::emulator::{Emulator, Options};
    use crate::event::SequenceNumber;
    use crate::http::Watched;
    use crate::standing::{LinkState, Snapshot};

    /// A daemon that reads this hub from its beginning into a file.
    fn app(emulator: &Emulator, folder: &std::path::Path, shutdown: &Shutdown) -> App {
        let text = format!(
            "[[hub]]\nconnection_string = \"{}\"\nstart = \"earliest\"\n\
             [[sink]]\nname = \"out\"\ntype = \"file\"\n\
             directory = \"{}\"\npath = \"out.jsonl\"\n",
            emulator.connection_string(),
            folder.display()
        );
        let path = folder.join("config.toml");
        std::fs::write(&path, text).unwrap();
        let config = config::load(&path, []).unwrap();
        App::new(config, AtStart::Fail, shutdown.clone())
    }

    #[tokio::test]
    async fn how_its_partitions_stand_is_told_while_it_runs_and_afterwards() {
        let options = Options {
            partitions: 2,
            ..Options::default()
        };
        let emulator = Emulator::start(options).await.unwrap();
        for _ in 0..10 {
            emulator.append_body(0, b"{}").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let shutdown = Shutdown::new(Duration::from_secs(5));
        let app = app(&emulator, folder.path(), &shutdown);
        let standings = Arc::clone(app.vitals.standings());
        let all_is_delivered = async {
            loop {
                let all = standings.snapshot();
                let is_attached = |one: &Snapshot| one.link.state == LinkState::Attached;
                let is_done = all.first().is_some_and(|one| one.behind == Some(0));
                if is_done && all.iter().all(is_attached) {
                    shutdown.stop();
                    return all;
                }
                tokio::task::yield_now().await;
            }
        };
        let all_is_delivered = timeout(Duration::from_secs(30), all_is_delivered);
        let (summary, all) = tokio::join!(app.run(|_| ()), all_is_delivered);
        let all = all.unwrap();
        let ids: Vec<&str> = all.iter().map(|one| one.partition.as_str()).collect();
        assert_eq!(ids, ["0", "1"]);
        let last = Some(SequenceNumber(9));
        let busy = &all[0];
        assert_eq!(busy.received, last);
        assert_eq!(busy.completed, last);
        assert_eq!(busy.last_enqueued, last);
        assert!(busy.progressed.is_some() && busy.oldest.is_none());
        let idle = &all[1];
        assert_eq!(
            (idle.received, idle.completed, idle.behind),
            (None, None, None)
        );
        assert_eq!(
            summary.unwrap().behind,
            None,
            "it is not known of the idle one"
        );
        let ended = LinkState::Ended { reason: None };
        for one in standings.snapshot() {
            assert_eq!(one.link.state, ended, "{}", one.partition);
        }
    }

    const CREATE: &[u8] = br#"{"MessageName":"Create"}"#;

    /// Creations go to a file, nothing else does, and there are dead letters.
    fn app_with_routes(emulator: &Emulator, folder: &std::path::Path, shutdown: &Shutdown) -> App {
        let sink = |name: &str| {
            let folder = folder.display();
            format!(
                "[[sink]]\nname = \"{name}\"\ntype = \"file\"\ndirectory = \"{folder}/{name}\"\n"
            )
        };
        let text = format!(
            "[[hub]]\nconnection_string = \"{}\"\n[dead_letter]\nsink = \"dead\"\n{}{}\
             [[route]]\nmessage = \"Create\"\nsinks = [\"out\"]\n\
             [[route]]\ndefault = true\nsinks = []\n",
            emulator.connection_string(),
            sink("out"),
            sink("dead"),
        );
        let path = folder.join("config.toml");
        std::fs::write(&path, text).unwrap();
        App::new(
            config::load(&path, []).unwrap(),
            AtStart::Fail,
            shutdown.clone(),
        )
    }

    #[tokio::test]
    async fn what_prometheus_is_told_is_what_has_happened() {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        for body in [CREATE, br#"{"MessageName":"Update"}"#, b"?", CREATE] {
            emulator.append_body(0, body).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let shutdown = Shutdown::new(Duration::from_secs(5));
        let app = app_with_routes(&emulator, folder.path(), &shutdown);
        let vitals = Arc::clone(app.vitals());
        let standings = vitals.standings();
        let told = || vitals.metrics(None).unwrap().1;
        let before = told();
        assert!(
            !before.contains("partition=") && !before.contains("sink="),
            "{before}"
        );
        let delivered = async |number: i64| {
            let is_done = |one: &Snapshot| {
                one.completed == Some(SequenceNumber(number)) && one.checkpoints.written > 0
            };
            while !standings.snapshot().first().is_some_and(is_done) {
                tokio::task::yield_now().await;
            }
        };
        let meanwhile = async {
            delivered(3).await;
            emulator.drop_connections();
            emulator.append_body(0, CREATE).unwrap();
            delivered(4).await;
            let running = told();
            shutdown.stop();
            running
        };
        let meanwhile = timeout(Duration::from_secs(30), meanwhile);
        let (summary, running) = tokio::join!(app.run(|_| ()), meanwhile);
        assert_eq!(summary.unwrap().totals.received, 5);
        let (running, ended) = (running.unwrap(), told());
        let source = Arc::clone(&standings.snapshot()[0].source);
        let partition = format!(
            "{{namespace=\"{}\",eventhub=\"{}\",consumer_group=\"$Default\",partition=\"0\"",
            source.namespace, source.event_hub
        );
        let says = |text: &str, line: &str| {
            let line = line.replace("{0", &partition);
            assert!(
                text.contains(&format!("\ndataverse_listener_{line}\n")),
                "{line} is not in {text}"
            );
        };
        says(&running, "sink_state{sink=\"out\",state=\"delivering\"} 1");
        says(&ended, "sink_state{sink=\"out\",state=\"closed\"} 1");
        says(&running, "partition_link_up{0} 1");
        says(&ended, "partition_link_up{0} 0");
        for line in [
            "partition_events_behind{0} 0",
            "partition_behind_seconds{0} 0.0",
            "partition_received_sequence_number{0} 4",
            "partition_completed_sequence_number{0} 4",
            "partition_last_enqueued_sequence_number{0} 4",
            "partition_events_received_total{0} 5",
            "partition_in_flight_events{0} 0",
            "partition_in_flight_bytes{0} 0",
            "partition_reconnects_total{0} 1",
            "partition_link_losses_total{0,reason=\"connection_lost\"} 1",
            "partition_link_losses_total{0,reason=\"stolen\"} 0",
            "partition_checkpoint_failures_total{0} 0",
            "events_decoded_total{format=\"json\",outcome=\"context\"} 4",
            "events_decoded_total{format=\"unknown\",outcome=\"failure\"} 1",
            "events_unrouted_total 1",
            "events_undeliverable_total{outcome=\"dead_lettered\"} 1",
            "sink_events_delivered_total{sink=\"out\"} 3",
            "sink_events_delivered_total{sink=\"dead\"} 1",
            "sink_attempts_failed_total{sink=\"out\"} 0",
            "sink_attempt_duration_seconds_count{sink=\"dead\"} 1",
            "sink_queue_events{sink=\"out\"} 0",
            "sink_queue_bytes{sink=\"out\"} 0",
            "sink_state{sink=\"out\",state=\"paused\"} 0",
        ] {
            says(&running, line);
            says(&ended, line);
        }
    }
}
