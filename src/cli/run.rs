//! `run`: the daemon.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::configured::{Configured, VARIABLES};
use super::exit::{Exit, Failure};
use crate::app::{App, AtStart, ReloadSource, Summary};
use crate::event::PartitionId;
use crate::receiver::EventHub;
use crate::shutdown::Shutdown;
use crate::systemd;
use crate::telemetry::Telemetry;

/// Run as a daemon, as a configuration file says
///
/// Reads every partition of the configured hubs and delivers to the configured sinks until SIGTERM or
/// SIGINT; then it delivers what it has received and ends with exit code 0. A second signal ends it at
/// once. SIGHUP opens files anew, lets a paused sink go on, and reads the configuration again: other sinks,
/// routes, dead letters and log settings count from the next event on.
#[derive(Debug, Args)]
#[command(after_long_help = VARIABLES)]
pub(super) struct Run {
    #[command(flatten)]
    configured: Configured,

    /// How many seconds deliveries may take after a signal
    #[arg(long, value_name = "SECONDS", default_value_t = GRACE)]
    grace: u32,

    /// How many threads receive, decode and deliver; files are written by others
    ///
    /// One does some tens of thousands of events a second, and takes less time of the processors for each
    /// event than several do.
    #[arg(long, value_name = "COUNT", default_value_t = super::THREADS,
          value_parser = clap::value_parser!(u16).range(1..=512))]
    threads: u16,
}

/// Shorter than the 90 s after which systemd kills, and than the 30 s after which Kubernetes does.
const GRACE: u32 = 20;

impl Run {
    /// As many as it was told.
    pub(super) fn threads(&self) -> u16 {
        self.threads
    }

    pub(super) async fn execute(self, telemetry: Arc<Telemetry>) -> Result<Exit, Failure> {
        let shutdown = Shutdown::new(Duration::from_secs(self.grace.into()));
        // Before the file is read: what changes in it from here on is not missed.
        let wanted = shutdown.reload();
        shutdown
            .on_signals_of_a_daemon()
            .map_err(|error| Failure::new(Exit::System, "wait for signals", &error))?;
        let config = self.configured.load().inspect_err(|_| {
            // It is told as its [log] table says.
            if let Some(log) = self.configured.load_log() {
                telemetry.apply(&log).ok();
            }
        })?;
        telemetry
            .apply(&config.log)
            .map_err(|error| Failure::new(Exit::Software, "start logging", &error))?;
        let reload = ReloadSource {
            load: Arc::new(self.configured.loader()),
            wanted,
            telemetry,
        };
        let app = App::new(config, AtStart::Wait, shutdown.clone()).reloading(reload);
        let vitals = Arc::clone(app.vitals());
        let ready = CancellationToken::new();
        let telling = systemd::keep_telling(|| vitals.report(), &shutdown, ready.clone());
        let running = app.run(|hubs| {
            listening(hubs);
            ready.cancel();
        });
        let summary = tokio::select! {
            // That it stops is told before it has stopped.
            biased;
            never = telling => match never {},
            summary = running => summary.map_err(|error| Failure::of_app("run", &error))?,
        };
        if let Some(sink) = &summary.closed_sink {
            tracing::error!(
                sink = &**sink,
                "stopped because the sink is closed: nobody reads its output"
            );
        }
        tracing::info!(
            received = summary.totals.received,
            foreign = summary.totals.foreign,
            undecodable = summary.totals.undecodable,
            unrouted = summary.totals.unrouted,
            duplicates = summary.totals.duplicates,
            dead_lettered = summary.totals.dead_lettered,
            skipped = summary.totals.skipped,
            behind = summary.behind,
            "stopped"
        );
        Ok(match summary {
            _ if shutdown.is_forced() && summary.left_behind > 0 => Exit::TryAgain,
            Summary {
                closed_sink: Some(_),
                ..
            } => Exit::InputOutput,
            _ => Exit::Fine,
        })
    }
}

/// Says what is read, now that all of it is.
fn listening(hubs: &[(EventHub, Vec<PartitionId>)]) {
    for (hub, partitions) in hubs {
        let source = hub.source();
        tracing::info!(
            namespace = source.namespace,
            event_hub = source.event_hub,
            consumer_group = source.consumer_group,
            partitions = partitions.len(),
            "listening"
        );
    }
}
