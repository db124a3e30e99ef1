//! How the daemon does, for whoever asks while it runs: the service manager, a probe, a scrape.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::dispatcher::Tally;
use crate::health::{self, Health, Phase, Report};
use crate::http::Watched;
use crate::metrics::{Form, Metrics};
use crate::shutdown::Shutdown;
use crate::sink::Gauge;
use crate::standing::Standings;
use crate::status::{Status, Totals};

/// A stretch without progress is measured no more finely than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How the partitions of a daemon stand, and what to think of it.
#[derive(Debug)]
pub(crate) struct Vitals {
    standings: Arc<Standings>,
    metrics: Metrics,
    shutdown: Shutdown,
    begun: Instant,
    started_at: OffsetDateTime,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    health: Health,
    is_started: bool,
}

impl Vitals {
    pub(super) fn new(config: health::Config, shutdown: Shutdown) -> Self {
        let standings = Arc::<Standings>::default();
        Self {
            metrics: Metrics::new(Arc::clone(&standings)),
            standings,
            shutdown,
            begun: Instant::now(),
            started_at: OffsetDateTime::now_utc(),
            state: Mutex::new(State {
                health: Health::new(config),
                is_started: false,
            }),
        }
    }

    /// How its partitions stand; those that are found later join them.
    pub(crate) fn standings(&self) -> &Arc<Standings> {
        &self.standings
    }

    /// Every partition has had its link.
    pub(super) fn started(&self) {
        self.lock().is_started = true;
    }

    /// There are sinks, or others than before, and from now on events go to them.
    pub(super) fn delivers(&self, tally: Tally, gauges: Vec<Gauge>) {
        self.metrics.follow(tally, gauges);
    }

    /// What has passed since the daemon began.
    pub(super) fn totals(&self) -> Totals {
        let followed = self.metrics.followed();
        followed
            .map(|(tally, _)| totals(&tally))
            .unwrap_or_default()
    }

    /// How everything stands now.
    pub(crate) fn report(&self) -> Report {
        let mut state = self.lock();
        let phase = match state.is_started {
            _ if self.shutdown.is_stopped() => Phase::Stopping,
            true => Phase::Running,
            false => Phase::Starting,
        };
        let snapshots = self.standings.snapshot();
        state.health.look(phase, snapshots, self.begun.elapsed())
    }

    /// Looks again and again, so that it is known since when something is as it is, whoever else looks.
    pub(super) async fn keep_looking(&self) -> Infallible {
        let mut told = HashSet::new();
        loop {
            let report = self.report();
            let mut stuck = HashSet::new();
            for (snapshot, verdict) in report.stuck() {
                let key = (Arc::clone(&snapshot.source), snapshot.partition.clone());
                if !told.contains(&key) {
                    let event_hub = &snapshot.source.event_hub;
                    tracing::error!(event_hub, partition = %snapshot.partition, "partition {verdict}");
                }
                stuck.insert(key);
            }
            told = stuck;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched for Vitals {
    fn metrics(&self, accept: Option<&str>) -> Result<(&'static str, String), fmt::Error> {
        let form = Form::of_accept(accept);
        Ok((form.content_type(), self.metrics.encode(form)?))
    }

    fn report(&self) -> Report {
        self.report()
    }

    fn status(&self) -> Status {
        let report = self.report();
        let (totals, gauges) = match self.metrics.followed() {
            Some((tally, gauges)) => (totals(&tally), gauges),
            None => Default::default(),
        };
        Status::new(
            &report,
            gauges.iter().map(Gauge::read),
            totals,
            self.started_at,
            OffsetDateTime::now_utc(),
        )
    }
}

fn totals(tally: &Tally) -> Totals {
    Totals {
        received: tally.received(),
        foreign: tally.foreign(),
        undecodable: tally.undecodable(),
        unrouted: tally.unrouted(),
        duplicates: tally.duplicates(),
        dead_lettered: tally.dead_lettered(),
        skipped: tally.skipped(),
    }
}
