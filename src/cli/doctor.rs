//! `doctor`: everything that `run` and `listen` need, tried step by step.

mod checkpoints;
mod lines;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::connection::Connection;
use super::exit::{Exit, Failure};
use super::listen::receiver_config;
use super::{configured, print};
use crate::checkpoint;
use crate::event::{PartitionId, Source};
use crate::receiver::{self, EventHub, Extent, Finding, Outcome, StartPosition};
use crate::sink::Color;
use checkpoints::Kept;
use lines::{Line, Lines, Verdict};

/// Check step by step whether a hub can be read, and say what is wrong
///
/// Takes the way of `run` and `listen`, by the same code: name, TCP, proxy, TLS, WebSocket, AMQP, the token,
/// the hub, its partitions, the consumer group, and a link to each partition. Tells of each step how long it
/// took and what became known; of one that fails, the cause and the cure. No event is read and no checkpoint
/// is changed. A link is without an owner level: it takes no partition from any reader.
///
/// Exit code 0 when all is well, and else that of `run` and `listen` for the first thing that is wrong.
#[derive(Debug, Args)]
#[command(after_long_help = configured::VARIABLES)]
pub(super) struct Doctor {
    /// Check every hub of this configuration file, and how far its checkpoints are behind; it goes before a
    /// connection string
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "connection_string_file", "hub", "consumer_group",
            "transport", "endpoint", "ca_file", "proxy", "proxy_user", "proxy_password_file",
        ]
    )]
    config: Option<PathBuf>,

    #[command(flatten)]
    connection: Connection,

    /// The consumer group to read as
    #[arg(long, value_name = "NAME", default_value = "$Default")]
    consumer_group: String,

    /// How the steps are printed: columns for a person, or one JSON document a line
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Pretty,
    Json,
}

impl Doctor {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let lines = match self.output {
            Output::Pretty => Lines::for_a_person(Color::detect() == Color::Always),
            Output::Json => Lines::for_programs(),
        };
        let (hubs, checkpoints) = self.patients()?;
        let mut visit = Visit {
            lines,
            written: Ok(()),
            exit: Exit::Fine,
        };
        for hub in hubs {
            visit.check(hub, &checkpoints).await;
            visit.written = visit.written.and_then(|()| print(&visit.lines.end()));
            // Whoever closed the pipe has seen enough; what cannot be written is of no use to go on with.
            if visit.written.is_err() {
                break;
            }
        }
        visit.written.map(|()| visit.exit)
    }

    /// The hubs to check, and where their checkpoints are kept.
    fn patients(self) -> Result<(Vec<receiver::Config>, checkpoint::Config), Failure> {
        if let Some(path) = &self.config {
            let config = configured::load(path)?;
            return Ok((config.hubs, config.checkpoint));
        }
        let transport = self.connection.transport()?;
        let hub = receiver_config(
            self.connection.connection_string(&transport)?,
            self.connection.hub.as_deref(),
            &self.consumer_group,
            StartPosition::Latest,
        )?;
        let hub = receiver::Config { transport, ..hub };
        Ok((vec![hub], checkpoint::Config::default()))
    }
}

/// What came of it so far.
struct Visit {
    lines: Lines,
    written: Result<(), Failure>,
    /// The first that is not well.
    exit: Exit,
}

impl Visit {
    async fn check(&mut self, config: receiver::Config, store: &checkpoint::Config) {
        let hub = EventHub::new(config.clone());
        let source = hub.source();
        let head = self.lines.head(source);
        self.write(&head);
        let mut extents: Vec<(PartitionId, Extent)> = Vec::new();
        hub.checkup(&mut |finding| {
            if let Some((partition, extent)) =
                finding.partition.as_ref().zip(finding.extent.as_ref())
            {
                extents.push((partition.clone(), extent.clone()));
            }
            self.tell(source, &line(finding));
        })
        .await;
        let Some(kept) = Kept::in_store(store, source) else {
            return;
        };
        for line in kept.lines(&config, &extents) {
            self.tell(source, &line);
        }
    }

    fn tell(&mut self, source: &Source, line: &Line) {
        if let Verdict::Failed { exit, .. } = line.verdict
            && self.exit == Exit::Fine
        {
            self.exit = exit;
        }
        let text = self.lines.line(source, line);
        self.write(&text);
    }

    fn write(&mut self, text: &str) {
        if self.written.is_ok() {
            self.written = print(text);
        }
    }
}

fn line(finding: Finding) -> Line {
    Line {
        step: finding.step.to_string(),
        partition: finding.partition,
        took: finding.took,
        fact: finding.fact,
        extent: finding.extent,
        verdict: match finding.outcome {
            Outcome::Passed => Verdict::Passed,
            Outcome::Skipped { why } => Verdict::Skipped { why },
            Outcome::Failed { error, cause, cure } => Verdict::Failed {
                exit: Failure::exit_of(&error),
                cause,
                cure,
            },
        },
    }
}
