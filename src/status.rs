//! How a daemon stands, as a document: what `/status` answers and what the command `status` reads. Pure.
//!
//! Names and meanings of the members are stable: others may come to them. Times are RFC 3339 in UTC. What is not
//! known is null.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::health::{Phase, Report, Verdict};
use crate::sink::Reading;
use crate::standing::{LinkState, Snapshot};

/// A name out of a small set, given by us or read from a document.
pub(crate) type Name = Cow<'static, str>;

/// How a daemon stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The version of the program.
    pub version: Name,
    /// When it began.
    #[serde(with = "rfc3339")]
    pub started_at: OffsetDateTime,
    /// When all this was so.
    #[serde(with = "rfc3339")]
    pub as_of: OffsetDateTime,
    /// `starting` until every partition has had its link, `running`, or `stopping`.
    pub phase: Name,
    /// What `/livez` says: false where a partition is stuck.
    pub live: bool,
    /// What `/readyz` says: true while every partition is being read.
    pub ready: bool,
    /// Events of all partitions that were not delivered to every sink.
    pub behind: Option<u64>,
    /// Hub by hub, and by the partitions' numbers.
    pub partitions: Vec<Partition>,
    /// In the order of the configuration.
    pub sinks: Vec<Sink>,
    /// Since the daemon began.
    pub totals: Totals,
}

/// How a partition stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partition {
    /// The namespace's host.
    pub namespace: String,
    /// The event hub.
    pub event_hub: String,
    /// The consumer group.
    pub consumer_group: String,
    /// The partition's id.
    pub partition: String,
    /// The sequence number of the last event received by this process.
    pub received: Option<i64>,
    /// That of the last event up to which every one was delivered to every sink.
    pub completed: Option<i64>,
    /// That of the last event of the partition that is known of.
    pub last_enqueued: Option<i64>,
    /// When the service last said how far the partition goes.
    #[serde(with = "rfc3339::option")]
    pub last_enqueued_as_of: Option<OffsetDateTime>,
    /// Events that were not delivered to every sink.
    pub behind: Option<u64>,
    /// How old the oldest of them is at least.
    pub seconds_behind: Option<f64>,
    /// When the service took it.
    #[serde(with = "rfc3339::option")]
    pub oldest: Option<OffsetDateTime>,
    /// When an event was last delivered to every sink.
    #[serde(with = "rfc3339::option")]
    pub progressed: Option<OffsetDateTime>,
    /// `connecting`, `attached`, `waiting` (it was lost and will be tried again), or `ended`.
    pub link: Name,
    /// Since when it is that.
    #[serde(with = "rfc3339")]
    pub since: OffsetDateTime,
    /// How often the link was attached again.
    pub reconnects: u64,
    /// The last trouble with the link.
    pub last_loss: Option<Trouble>,
    /// What to think of it: `fine`, `held` (by a sink), `lost`, `stuck`, or `ended`.
    pub verdict: Name,
    /// The same for a person, with since when and why.
    pub remark: String,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// Why, as the log says it.
    pub reason: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: OffsetDateTime,
}

/// How a sink stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sink {
    /// Its name in the configuration.
    pub name: String,
    /// The kind of sink: `file`, `stdout`, `webhook`.
    #[serde(rename = "type")]
    pub kind: Name,
    /// `delivering`; `retrying` (the last attempt failed); `waiting` (after failures, or because the server asked for
    /// it, nothing is sent for a while); `probing` (one attempt at a time finds out); `paused` (until SIGHUP or a
    /// restart); or `closed`.
    pub state: Name,
    /// Events that are safe with it.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Attempts that were made again because the one before had failed.
    pub retried: u64,
    /// Events that it refused and that went to the dead-letter sink.
    pub dead_lettered: u64,
    /// Events that it refused and that were given up, as the configuration wants.
    pub skipped: u64,
    /// What waits for it or is under way.
    pub queue: Queue,
    /// Why an attempt last failed.
    pub last_failure: Option<Trouble>,
}

/// What waits for a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queue {
    /// Events, those under way included.
    pub events: u64,
    /// How many may wait.
    pub events_limit: u64,
    /// Bytes of memory that they take.
    pub bytes: u64,
    /// How many they may take.
    pub bytes_limit: u64,
}

/// What has passed since the daemon began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Events received.
    pub received: u64,
    /// Of them, events of somebody else; an older daemon does not know these.
    #[serde(default)]
    pub foreign: u64,
    /// Of them, events whose body could not be decoded.
    pub undecodable: u64,
    /// Of them, events that no route matched.
    pub unrouted: u64,
    /// Of them, events that repeat another one, where somebody looks for these.
    pub duplicates: u64,
    /// Events that went to the dead-letter sink.
    pub dead_lettered: u64,
    /// Events that were given up, as the configuration wants.
    pub skipped: u64,
}

impl Status {
    /// How everything stands at `now`.
    pub(crate) fn new(
        report: &Report,
        sinks: impl Iterator<Item = Reading>,
        totals: Totals,
        started_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Self {
        let partitions = report.partitions.iter();
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            started_at,
            as_of: now,
            phase: match report.phase {
                Phase::Starting => "starting",
                Phase::Running => "running",
                Phase::Stopping => "stopping",
            }
            .into(),
            live: report.is_live(),
            ready: report.is_ready(),
            behind: report.behind(),
            partitions: partitions
                .map(|(snapshot, verdict)| Partition::new(snapshot, verdict, now))
                .collect(),
            sinks: sinks.map(Sink::from).collect(),
            totals,
        }
    }
}

impl Partition {
    fn new(snapshot: &Snapshot, verdict: &Verdict, now: OffsetDateTime) -> Self {
        let source = &snapshot.source;
        let behind = snapshot.time_behind(now);
        Self {
            namespace: source.namespace.clone(),
            event_hub: source.event_hub.clone(),
            consumer_group: source.consumer_group.clone(),
            partition: snapshot.partition.to_string(),
            received: snapshot.received.map(|number| number.0),
            completed: snapshot.completed.map(|number| number.0),
            last_enqueued: snapshot.last_enqueued.map(|number| number.0),
            last_enqueued_as_of: snapshot.as_of,
            behind: snapshot.behind,
            seconds_behind: behind
                .map(|behind| (behind.as_seconds_f64() * 1000.0).round() / 1000.0),
            oldest: snapshot.oldest,
            progressed: snapshot.progressed,
            link: match snapshot.link.state {
                LinkState::Connecting => "connecting",
                LinkState::Attached => "attached",
                LinkState::Waiting { .. } => "waiting",
                LinkState::Ended { .. } => "ended",
            }
            .into(),
            since: snapshot.link.since,
            reconnects: snapshot.reconnects,
            last_loss: snapshot.last_loss.as_ref().map(|loss| Trouble {
                reason: loss.reason.to_string(),
                at: loss.at,
            }),
            verdict: match verdict {
                Verdict::Fine => "fine",
                Verdict::Held => "held",
                Verdict::Lost { .. } => "lost",
                Verdict::Stuck { .. } => "stuck",
                Verdict::Ended => "ended",
            }
            .into(),
            remark: verdict.to_string(),
        }
    }
}

impl From<Reading> for Sink {
    fn from(reading: Reading) -> Self {
        Self {
            name: reading.name.to_string(),
            kind: reading.kind.into(),
            state: reading.state.name().into(),
            delivered: reading.accepted,
            failed_attempts: reading.failed,
            retried: reading.retried,
            dead_lettered: reading.dead_lettered,
            skipped: reading.skipped,
            queue: Queue {
                events: reading.events,
                events_limit: reading.limit.events as u64,
                bytes: reading.bytes,
                bytes_limit: reading.limit.bytes as u64,
            },
            last_failure: reading.last_failure.map(|failure| Trouble {
                reason: failure.reason,
                at: failure.at,
            }),
        }
    }
}
