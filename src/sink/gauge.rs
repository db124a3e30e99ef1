//! How a sink stands, for whoever asks while it works.

use std::sync::Arc;

use prometheus_client::metrics::histogram::Histogram;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::queue::{Counts, QueueLimit};

/// Reads what a sink has done and what waits for it; holds nothing open.
#[derive(Debug, Clone)]
pub(crate) struct Gauge {
    pub(super) name: Arc<str>,
    pub(super) kind: &'static str,
    pub(super) counts: Arc<Counts>,
    pub(super) limit: QueueLimit,
    pub(super) ended: CancellationToken,
}

/// How a sink stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Its name.
    pub name: Arc<str>,
    /// The name of its kind.
    pub kind: &'static str,
    /// What it does.
    pub state: State,
    /// Events that are safe with it.
    pub accepted: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that were made again because the one before had failed.
    pub retried: u64,
    /// Events that it refused and that went to the dead-letter sink.
    pub dead_lettered: u64,
    /// Events that it refused and that were skipped, as the configuration wants.
    pub skipped: u64,
    /// Events that it has, in its queue or under way.
    pub events: u64,
    /// Bytes of memory that they take.
    pub bytes: u64,
    /// How much may wait in its queue.
    pub limit: QueueLimit,
    /// Why an attempt last failed; none where none has.
    pub last_failure: Option<Failure>,
}

/// What a sink does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// What comes is delivered.
    Delivering,
    /// The last attempt failed; others are being made.
    Retrying,
    /// After failures, or because the server asked for it, nothing is sent until a pause is over.
    Waiting,
    /// After such a pause, one attempt at a time finds out.
    Probing,
    /// Nothing is sent until SIGHUP or a restart.
    Paused,
    /// It takes nothing any more.
    Closed,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Why, as the log says it.
    pub reason: String,
    /// When, in UTC.
    pub at: OffsetDateTime,
}

impl State {
    /// All there are.
    pub(crate) const ALL: [Self; 6] = [
        Self::Delivering,
        Self::Retrying,
        Self::Waiting,
        Self::Probing,
        Self::Paused,
        Self::Closed,
    ];

    /// The state that `state as u8` gives.
    pub(super) fn of(number: u8) -> Self {
        let found = Self::ALL.into_iter().find(|state| *state as u8 == number);
        found.unwrap_or(Self::Delivering)
    }

    /// Its name in documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delivering => "delivering",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Probing => "probing",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

impl Gauge {
    /// How the sink stands now.
    pub(crate) fn read(&self) -> Reading {
        let counts = &self.counts;
        Reading {
            name: Arc::clone(&self.name),
            kind: self.kind,
            state: match self.ended.is_cancelled() {
                true => State::Closed,
                false => counts.state(),
            },
            accepted: counts.accepted(),
            failed: counts.failed(),
            retried: counts.retried(),
            dead_lettered: counts.dead_lettered(),
            skipped: counts.skipped(),
            events: counts.waiting(),
            bytes: counts.waiting_bytes(),
            limit: self.limit,
            last_failure: counts.last_failure(),
        }
    }

    /// How long attempts took, in seconds.
    pub(crate) fn attempts(&self) -> &Histogram {
        self.counts.attempts.histogram()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_known_by_its_number() {
        for state in State::ALL {
            assert_eq!(State::of(state as u8), state);
        }
    }
}
