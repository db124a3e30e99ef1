//! The configuration, read again while the daemon runs: what can change does, and the links to the partitions stay.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::sinks::{Changes, Sinks};
use super::{AppError, Vitals};
use crate::causes::Causes;
use crate::config::{self, Config, ConfigError};
use crate::decoder;
use crate::dispatcher::Dispatcher;
use crate::duplicates;
use crate::receiver;
use crate::settings::Fingerprint;
use crate::shutdown::Shutdown;
use crate::telemetry::Telemetry;

/// Where the configuration is read again from, and when.
pub(crate) struct Source {
    /// Reads it as it was read at the start.
    pub load: Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>,
    /// Changes whenever it is to be read again.
    pub wanted: watch::Receiver<u64>,
    /// Where the `[log]` table counts.
    pub telemetry: Arc<Telemetry>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

/// Keeps a running daemon as its configuration says.
pub(super) struct Reloads {
    source: Option<Source>,
    shutdown: Shutdown,
    vitals: Arc<Vitals>,
    /// What was said when the daemon started: some of it counts until it ends.
    started: Fingerprint,
    /// What was said when the configuration was last applied.
    applied: Fingerprint,
    hubs: Vec<receiver::Config>,
    decode: decoder::Decoder,
    delivery: config::Delivery,
    duplicates: Option<duplicates::Config>,
}

/// Tables that count from the start to the end of the process.
const LASTING: [&str; 8] = [
    "hub",
    "checkpoint",
    "decode",
    "delivery",
    "duplicates",
    "health",
    "http",
    "otlp",
];

/// What came of a reload.
enum Outcome {
    /// The process is about to stop.
    Stopping,
    /// Nothing is said otherwise that can be applied.
    Unchanged,
    Applied {
        sinks: Changes,
        /// Other tables that say something else.
        tables: Vec<&'static str>,
        routes: usize,
    },
}

/// Why the configuration in force stays.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("it has mistakes")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    App(#[from] AppError),
}

impl Reloads {
    /// For a daemon that starts with `config`.
    pub(super) fn new(
        source: Option<Source>,
        config: &Config,
        shutdown: &Shutdown,
        vitals: Arc<Vitals>,
    ) -> Self {
        Self {
            vitals,
            source,
            shutdown: shutdown.clone(),
            started: config.fingerprint.clone(),
            applied: config.fingerprint.clone(),
            hubs: config.hubs.clone(),
            decode: config.decode.clone(),
            delivery: config.delivery,
            duplicates: config.duplicates.clone(),
        }
    }

    /// Reads the configuration again whenever that is wanted, and looks after what is left of earlier ones.
    pub(super) async fn serve(&mut self, sinks: &mut Sinks, dispatcher: &Dispatcher) -> Infallible {
        loop {
            let wanted = async {
                let Some(source) = &mut self.source else {
                    return std::future::pending().await;
                };
                // It can only fail when nobody can want it any more.
                if source.wanted.changed().await.is_err() {
                    return std::future::pending().await;
                }
                *source.wanted.borrow_and_update()
            };
            tokio::select! {
                times = wanted => {
                    self.reload(sinks, dispatcher).await;
                    self.shutdown.has_reloaded(times);
                }
                () = sinks.one_drained() => {}
            }
        }
    }

    /// A reload begins and ends here, whatever comes of it.
    async fn reload(&mut self, sinks: &mut Sinks, dispatcher: &Dispatcher) {
        match self.apply(sinks, dispatcher).await {
            Ok(outcome) => outcome.tell(),
            Err(refused) => refused.tell(),
        }
    }

    async fn apply(
        &mut self,
        sinks: &mut Sinks,
        dispatcher: &Dispatcher,
    ) -> Result<Outcome, Refused> {
        let Some(source) = &self.source else {
            return Ok(Outcome::Unchanged);
        };
        if self.shutdown.is_stopped() {
            return Ok(Outcome::Stopping);
        }
        let load = Arc::clone(&source.load);
        // A file system may keep us waiting.
        let loading = tokio::task::spawn_blocking(move || load());
        let mut config = loading.await.map_err(AppError::Panicked)??;
        let mut tables = changed_tables(&self.applied, &config.fingerprint);
        let mut changes = Changes::default();
        if !tables.is_empty() {
            let configs = std::mem::take(&mut config.sinks);
            let dead_letter = std::mem::take(&mut config.dead_letter);
            let prepared = sinks.prepare(configs, dead_letter).await?;
            changes.clone_from(&prepared.changes);
            // From here on nothing is waited for: all of it counts for the next event.
            let plan = sinks.apply(prepared, &config.routes);
            // What is left in the old queues is delivered, and with their last handle they close.
            drop(dispatcher.change(plan));
            self.vitals.delivers(dispatcher.tally(), sinks.gauges());
            // What was held may be taken now.
            self.shutdown.reopen_all();
            if !log_is_other(&source.telemetry, &config) {
                tables.retain(|table| *table != "log");
            }
        }
        if self.take_over_secrets(&config) {
            tables.push("hub");
        }
        self.tell_lasting(&config);
        self.applied = config.fingerprint;
        if tables.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        tables.retain(|table| *table != "sink");
        Ok(Outcome::Applied {
            sinks: changes,
            tables,
            routes: config.routes.len(),
        })
    }

    /// Lets the hubs be opened by the connection strings that stand in the configuration now. True where one is new.
    fn take_over_secrets(&mut self, config: &Config) -> bool {
        let mut is_new = false;
        for (number, (hub, new)) in self.hubs.iter().zip(&config.hubs).enumerate() {
            let key = format!("hub[{number}].connection_string");
            let differences = self.started.differences(&config.fingerprint);
            if differences.contains(key.as_str())
                && hub.event_hub == new.event_hub
                && hub
                    .connection_string
                    .take_over(&new.connection_string, &hub.event_hub)
            {
                is_new = true;
                self.started.adopt(&key, &config.fingerprint);
            }
        }
        is_new
    }

    /// Tells what is said otherwise than when the daemon started and counts until it ends.
    fn tell_lasting(&self, config: &Config) {
        let is_same = |table: &str| match table {
            "decode" => config.decode == self.decode,
            "delivery" => config.delivery == self.delivery,
            "duplicates" => config.duplicates == self.duplicates,
            _ => false,
        };
        let differences = self.started.differences(&config.fingerprint);
        let lasting: Vec<&str> = differences
            .into_iter()
            .filter(|key| LASTING.contains(&table_of(key)) && !is_same(table_of(key)))
            .collect();
        if !lasting.is_empty() {
            let keys = lasting.join(", ");
            tracing::warn!(
                keys,
                "the configuration has other values for keys that count from the start: that needs a restart"
            );
        }
    }
}

/// Logs as the configuration says. True where that changes anything, and the command line does not say otherwise.
fn log_is_other(telemetry: &Telemetry, config: &Config) -> bool {
    telemetry.apply(&config.log).unwrap_or_else(|error| {
        tracing::error!(error = %Causes(&error), "the [log] table is not applied");
        false
    })
}

/// The tables that the two do not have alike and that can be applied, each once.
fn changed_tables(before: &Fingerprint, after: &Fingerprint) -> Vec<&'static str> {
    const APPLICABLE: [&str; 4] = ["dead_letter", "log", "route", "sink"];
    let tables = before.differences(after);
    let tables: BTreeSet<&str> = tables.into_iter().map(table_of).collect();
    APPLICABLE
        .into_iter()
        .filter(|table| tables.contains(table))
        .collect()
}

/// The table that a key is in: `sink` of `sink[0].type`.
fn table_of(key: &str) -> &str {
    key.split(['.', '[']).next().unwrap_or(key)
}

impl Outcome {
    fn tell(self) {
        match self {
            Self::Stopping => {
                tracing::info!("the configuration is not read again: the daemon is stopping");
            }
            Self::Unchanged => tracing::info!("configuration unchanged"),
            Self::Applied {
                sinks,
                tables,
                routes,
            } => tracing::info!(
                added = list(&sinks.added),
                removed = list(&sinks.removed),
                changed = list(&sinks.changed),
                tables = list(&tables),
                routes,
                "configuration applied"
            ),
        }
    }
}

/// Names with commas; none where there are none.
fn list(names: &[impl AsRef<str>]) -> Option<String> {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

impl Refused {
    fn tell(self) {
        match self {
            Self::Config(error) => {
                for mistake in &error.mistakes {
                    tracing::error!("the configuration is wrong: {mistake}");
                }
            }
            Self::App(error) => {
                tracing::error!(error = %Causes(&error), "the configuration cannot be applied");
            }
        }
        tracing::warn!("nothing has changed: the configuration of before stays in force");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn what_is_said_otherwise_is_known_by_its_table() {
        let fingerprint = |toml: &str| Settings::of_toml("", toml).fingerprint(|_| false);
        let before = fingerprint("[[hub]]\nname = \"a\"\n[[sink]]\nname = \"b\"\n");
        for (after, expected) in [
            ("[[hub]]\nname = \"a\"\n[[sink]]\nname = \"b\"\n", &[][..]),
            ("[[hub]]\nname = \"x\"\n[[sink]]\nname = \"b\"\n", &[]),
            ("[[hub]]\nname = \"a\"\n[[sink]]\nname = \"x\"\n", &["sink"]),
            (
                "[log]\n[[hub]]\nname = \"a\"\n[[sink]]\nname = \"b\"\n[[route]]\n[dead_letter]\n",
                &["dead_letter", "log", "route"],
            ),
        ] {
            assert_eq!(
                changed_tables(&before, &fingerprint(after)),
                expected,
                "{after}"
            );
        }
    }
}
