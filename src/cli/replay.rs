//! `replay`: a stretch of the hub, delivered once more to one sink.

use std::time::Duration;

use clap::Args;

use super::configured::{Configured, VARIABLES};
use super::exit::{Exit, Failure};
use super::redrive::unknown_sink;
use super::{counted, say, shutdown_on_signals};
use crate::app::{App, AtStart, Summary};
use crate::config::Config;
use crate::event::PartitionId;
use crate::receiver::StartPosition;
use crate::replay::{End, Replay};
use crate::route::{self, Filter};
use crate::{checkpoint, http, sink};

/// Deliver a stretch of the hub once more, to one sink
///
/// Reads every partition of the configured hubs from one position to another and delivers what the filter
/// lets through to the sink, marked as a replay: the member "replay" of the message document, and the
/// header dataverse-listener-replay of webhooks. The checkpoints of the daemon are neither read nor
/// changed, and it may run meanwhile; but a sink of type file cannot be written to by both at once.
///
/// Events that cannot be decoded are passed over unless --where says undecodable=true. What the sink
/// refuses is named in the log and passed over; exit code 65 says so.
#[derive(Debug, Args)]
#[command(after_long_help = VARIABLES)]
pub(super) struct Again {
    #[command(flatten)]
    configured: Configured,

    /// The sink to deliver to, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    sink: String,

    /// Where to begin in each partition: earliest, offset:X (after it), sequence:N (at it),
    /// time:2026-01-31T12:00:00Z, or so long ago: -2h, -30m, -1d
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    from: StartPosition,

    /// Where to end: offset:X, sequence:N, time:..., or so long ago; with that event or the last one
    /// before [default: the last event there is]
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    to: Option<End>,

    /// Only what matches, as in message=Update,table=account|contact; != excludes. The keys are those of
    /// a route; columns are attribute.NAME, properties property.NAME
    #[arg(long = "where", value_name = "FILTER", value_parser = Filter::parse_where)]
    filter: Option<Filter>,

    /// Only this event hub, where the configuration has several
    #[arg(long, value_name = "NAME")]
    hub: Option<String>,

    /// Only this partition; may be given several times
    #[arg(long = "partition", value_name = "N")]
    partitions: Vec<PartitionId>,
}

/// How long what is under way may take after a signal.
const GRACE: Duration = Duration::from_secs(20);

impl Again {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let name = self.sink.clone();
        let config = self.config()?;
        let shutdown = shutdown_on_signals(GRACE)?;
        let summary = App::new(config, AtStart::Fail, shutdown.clone())
            .run(|_| ())
            .await
            .map_err(|error| Failure::of_app("replay", &error))?;
        say(&told(&summary, &name));
        Ok(match summary {
            Summary {
                closed_sink: Some(_),
                ..
            } => Exit::InputOutput,
            _ if shutdown.is_stopped() => Exit::TryAgain,
            Summary { totals, .. } if totals.skipped > 0 => Exit::Data,
            _ => Exit::Fine,
        })
    }

    /// The configuration of the daemon, less what a replay must not touch.
    fn config(self) -> Result<Config, Failure> {
        let mut config = self.configured.load()?;
        let names: Vec<String> = config.sinks.iter().map(|sink| sink.name.clone()).collect();
        config.sinks.retain(|sink| sink.name == self.sink);
        if config.sinks.is_empty() {
            return Err(unknown_sink(&self.sink, &names));
        }
        if let Some(hub) = &self.hub {
            config
                .hubs
                .retain(|config| config.event_hub.eq_ignore_ascii_case(hub));
        }
        if config.hubs.is_empty() {
            let text = "the configuration has no event hub of that name";
            return Err(Failure::plain(Exit::Usage, text));
        }
        for hub in &mut config.hubs {
            hub.start = self.from.clone();
            hub.starts.clear();
            // The daemon may be reading.
            hub.owner_level = None;
        }
        let chosen = route::Config::to(self.filter.unwrap_or_default(), &self.sink);
        Ok(Config {
            partitions: self.partitions,
            checkpoint: checkpoint::Config::default(),
            dead_letter: sink::DeadLetterConfig {
                sink: None,
                otherwise: sink::Otherwise::Skip,
            },
            duplicates: None,
            http: http::Config::none(),
            routes: vec![chosen, route::Config::rest()],
            replay: Some(Replay {
                from: self.from,
                to: self.to,
            }),
            ..config
        })
    }
}

/// What a finished replay did, for a person.
fn told(summary: &Summary, sink: &str) -> String {
    let matched = summary.totals.received - summary.totals.unrouted.min(summary.totals.received);
    let delivered = matched - (summary.totals.skipped + summary.left_behind).min(matched);
    let mut text = format!(
        "{} read, {delivered} delivered to \"{sink}\"",
        counted(summary.totals.received, "event")
    );
    if summary.totals.skipped > 0 {
        text.push_str(&format!(", {} refused", summary.totals.skipped));
    }
    if summary.left_behind > 0 {
        text.push_str(&format!(", {} left behind", summary.left_behind));
    }
    text
}
