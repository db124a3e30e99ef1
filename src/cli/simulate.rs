//! `simulate`: posts contexts to a hub, as Dataverse would.

use std::path::PathBuf;

use clap::Args;

use super::connection::Connection;
use super::exit::{Exit, Failure};
use super::listen::GRACE;
use super::{say, shutdown_on_signals};
use crate::simulator::{self, Options, SimulateError};

/// Post execution contexts to a hub, as Dataverse would
///
/// Without FILE it makes them up: rows of a small fictitious company are created, updated, assigned,
/// closed, associated and deleted, with images, parent contexts, custom APIs and CreateMultiple. The
/// same seed gives the same bytes. With FILE it posts these bodies as they are.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    #[command(flatten)]
    connection: Connection,

    /// How many to post [default: 10, or each FILE once]
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Which events are made up: the same seed, the same bytes
    #[arg(long, value_name = "S", default_value_t = simulator::DEFAULT_SEED)]
    seed: u64,

    /// The format of the made-up bodies
    #[arg(long, value_name = "FORMAT", default_value = "mixed")]
    format: simulator::Format,

    /// At most that many a second [default: as fast as the hub takes them]
    #[arg(long, value_name = "R/s", value_parser = rate)]
    rate: Option<f64>,

    /// The partition to post to [default: the hub takes them in turn]
    #[arg(long, value_name = "N")]
    partition: Option<String>,

    /// Bodies to post instead of made-up ones
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A rate that somebody can mean: above nothing, and finite.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text
        .trim_end_matches("/s")
        .parse()
        .map_err(|_| "not a number".to_owned())?;
    if rate.is_finite() && rate > 0.0 {
        Ok(rate)
    } else {
        Err("must be more than 0".to_owned())
    }
}

impl Simulate {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let transport = self.connection.transport()?;
        let connection_string = self.connection.connection_string(&transport)?;
        let event_hub = connection_string
            .event_hub_or(self.connection.hub.as_deref())
            .map_err(|error| Failure::new(Exit::Usage, "simulate", &error))?;
        let shutdown = shutdown_on_signals(GRACE)?;
        let count = match (self.count, self.files.is_empty()) {
            (None, true) => Some(simulator::DEFAULT_COUNT),
            (count, _) => count,
        };
        let options = Options {
            count,
            rate: self.rate,
            seed: self.seed,
            format: self.format,
            start: None,
            files: self.files,
            partition: self.partition,
        };
        let name = event_hub.clone();
        let hub = simulator::Hub {
            connection_string,
            event_hub,
            transport,
        };
        let summary = simulator::simulate(hub, options, shutdown.stop_token())
            .await
            .map_err(|error| failure(&error))?;
        let events = match summary.posted {
            1 => "1 event".to_owned(),
            posted => format!("{posted} events"),
        };
        say(&format!(
            "posted {events}, {} bytes, to \"{name}\"",
            summary.bytes
        ));
        Ok(Exit::Fine)
    }
}

pub(super) fn failure(error: &SimulateError) -> Failure {
    let exit = match error {
        SimulateError::File { .. } => Exit::NoInput,
        SimulateError::FileTooLarge { .. } | SimulateError::Rejected { .. } => Exit::Data,
        SimulateError::Rate { .. } => Exit::Usage,
        _ => Exit::Unavailable,
    };
    Failure::new(exit, "simulate", error)
}
