//! `listen`: the local-debugging form of "start listening": a connection string in, events on standard output.

use std::time::Duration;

use clap::Args;

use super::connection::Connection;
use super::dictionary::Strings;
use super::exit::{Exit, Failure};
use super::{say, shutdown_on_signals};
use crate::app::{App, AtStart, Summary};
use crate::config::{Config, Delivery};
use crate::decoder::Decoder;
use crate::event::PartitionId;
use crate::health;
use crate::http;
use crate::receiver::{self, ConnectionString, EventHub, StartPosition};
use crate::settings::Fingerprint;
use crate::{checkpoint, sink, telemetry};

/// Print the events of a hub as they arrive
///
/// No configuration and no checkpoint: it reads every partition from the given position on, takes
/// nothing away from other readers, and forgets where it was when it ends. Ctrl-C ends it.
#[derive(Debug, Args)]
pub(super) struct Listen {
    #[command(flatten)]
    connection: Connection,

    /// Where to begin: latest, earliest, offset:X (after it), sequence:N (at it),
    /// time:2026-01-31T12:00:00Z, or so long ago: -2h, -30m, -1d
    #[arg(
        long,
        value_name = "POSITION",
        default_value = "latest",
        allow_hyphen_values = true
    )]
    from: StartPosition,

    /// Only this partition; may be given several times
    #[arg(long = "partition", value_name = "N")]
    partitions: Vec<PartitionId>,

    /// The consumer group to read as
    #[arg(long, value_name = "NAME", default_value = "$Default")]
    consumer_group: String,

    /// How an event is printed [default: pretty on a terminal, json elsewhere]
    #[arg(long, value_name = "FORMAT")]
    format: Option<sink::StdoutFormat>,

    #[command(flatten)]
    strings: Strings,

    /// End after that many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
}

impl Listen {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let transport = self.connection.transport()?;
        let hub = receiver_config(
            self.connection.connection_string(&transport)?,
            self.connection.hub.as_deref(),
            &self.consumer_group,
            self.from,
        )?;
        let hub = receiver::Config { transport, ..hub };
        let shutdown = shutdown_on_signals(GRACE)?;
        let format = self.format.unwrap_or_else(sink::StdoutFormat::detect);
        let dictionary = self.strings.read()?;
        let mut config = config(hub, self.partitions, format, self.events);
        config.decode.dictionary = dictionary;
        let summary = App::new(config, AtStart::Fail, shutdown)
            .run(announce)
            .await
            .map_err(|error| Failure::of_app("listen", &error))?;
        // Whoever closed the pipe has seen enough, and wants to hear no more.
        if summary.closed_sink.is_none() || self.events.is_some() {
            say(&sentence(&summary));
        }
        Ok(Exit::Fine)
    }
}

/// A terminal takes what is left quickly, or has gone.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// What to read, from what was given on the command line.
pub(super) fn receiver_config(
    connection_string: ConnectionString,
    hub: Option<&str>,
    consumer_group: &str,
    start: StartPosition,
) -> Result<receiver::Config, Failure> {
    receiver::Config::new(connection_string, hub, consumer_group, start)
        .map_err(|error| Failure::new(Exit::Usage, "listen", &error))
}

/// A configuration that prints the events of one hub, on a terminal or wherever somebody watches.
pub(super) fn config(
    hub: receiver::Config,
    partitions: Vec<PartitionId>,
    format: sink::StdoutFormat,
    events: Option<u64>,
) -> Config {
    let stdout = sink::Stdout {
        format,
        color: sink::Color::detect(),
        events,
        is_watched: true,
        ..sink::Stdout::default()
    };
    Config {
        hubs: vec![hub],
        partitions,
        decode: Decoder::default(),
        delivery: Delivery::default(),
        dead_letter: sink::DeadLetterConfig::default(),
        duplicates: None,
        checkpoint: checkpoint::Config::default(),
        log: telemetry::Config::default(),
        sinks: vec![sink::Config {
            name: "stdout".to_owned(),
            type_name: "stdout",
            queue: sink::QueueLimit::default(),
            kind: Box::new(stdout),
            fingerprint: Fingerprint::default(),
        }],
        routes: Vec::new(),
        health: health::Config::default(),
        http: http::Config::none(),
        otlp: None,
        fingerprint: Fingerprint::default(),
        replay: None,
    }
}

fn announce(hubs: &[(EventHub, Vec<PartitionId>)]) {
    for (hub, partitions) in hubs {
        let source = hub.source();
        let count = match partitions.len() {
            1 => "1 partition".to_owned(),
            several => format!("{several} partitions"),
        };
        say(&format!(
            "listening to \"{}\" of {} as {}: {count}; Ctrl-C stops it",
            source.event_hub, source.namespace, source.consumer_group
        ));
    }
}

/// What a finished run did, for a person.
pub(super) fn sentence(summary: &Summary) -> String {
    let delivered = summary.totals.received - summary.left_behind.min(summary.totals.received);
    let mut sentence = match delivered {
        1 => "1 event".to_owned(),
        events => format!("{events} events"),
    };
    if summary.totals.foreign > 0 {
        sentence.push_str(&format!(", {} foreign", summary.totals.foreign));
    }
    sentence.push_str(&match summary.totals.undecodable {
        0 => ", none undecodable".to_owned(),
        some => format!(", {some} undecodable"),
    });
    sentence
}
