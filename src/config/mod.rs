//! The configuration as the daemon uses it. Each part defines its own settings; here they are gathered.

mod decode;
mod delivery;
mod file;
mod hub;
mod lines;
mod opening;

use crate::checkpoint;
use crate::decoder;
use crate::duplicates;
use crate::event::PartitionId;
use crate::health;
use crate::http;
use crate::otlp;
use crate::receiver;
use crate::replay::Replay;
use crate::route;
use crate::settings::{Fingerprint, Mistake};
use crate::sink;
use crate::telemetry;

pub(crate) use decode::dictionary;
pub(crate) use delivery::Delivery;
pub(crate) use file::{load, load_and_show, load_http, load_log};
pub(crate) use opening::{CredentialKind, identity};

/// The schema of the configuration file as JSON: draft 2020-12, complete in one text.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// Everything that a daemon needs to know.
#[derive(Debug)]
pub(crate) struct Config {
    /// The `[[hub]]` tables: what to read.
    pub hubs: Vec<receiver::Config>,
    /// The partitions to read, of every hub; all of them where none is named.
    pub partitions: Vec<PartitionId>,
    /// The `[decode]` table: how bodies are decoded.
    pub decode: decoder::Decoder,
    /// The `[delivery]` table: how much may be in flight.
    pub delivery: Delivery,
    /// The `[dead_letter]` table: what becomes of what cannot be delivered.
    pub dead_letter: sink::DeadLetterConfig,
    /// The `[duplicates]` table: what becomes of events that come more than once; none where nobody asks.
    pub duplicates: Option<duplicates::Config>,
    /// The `[health]` table: when a partition is given up.
    pub health: health::Config,
    /// The `[http]` table: where it is told how the daemon does.
    pub http: http::Config,
    /// The `[otlp]` table: where spans and measurements go; none where nobody asks.
    pub otlp: Option<otlp::Config>,
    /// The `[checkpoint]` table: where it is kept how far was delivered.
    pub checkpoint: checkpoint::Config,
    /// The `[log]` table: what is logged, and how. Only the daemon heeds it.
    pub log: telemetry::Config,
    /// The `[[sink]]` tables: where to deliver.
    pub sinks: Vec<sink::Config>,
    /// The `[[route]]` tables: what goes where.
    pub routes: Vec<route::Config>,
    /// What the file and the variables said, to compare it with what they say later.
    pub fingerprint: Fingerprint,
    /// What is read once more instead of what is new. Only a command sets it, never a file.
    pub replay: Option<Replay>,
}

/// Everything that is wrong with a configuration, at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct ConfigError {
    /// One entry for each thing to correct.
    pub mistakes: Vec<Mistake>,
}
