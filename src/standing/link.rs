//! The link to a partition: what it does, and why it was lost, in words for people and in a few kinds that can be
//! counted.

use std::sync::Arc;

use time::OffsetDateTime;

/// The link to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it does.
    pub state: LinkState,
    /// Since when, in UTC.
    pub since: OffsetDateTime,
}

/// What a link does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It is being opened.
    Connecting,
    /// Events can come.
    Attached,
    /// It was lost, or could not be opened, and will be tried again.
    Waiting {
        /// Why, as the log says it.
        reason: Arc<str>,
    },
    /// Nobody reads the partition any more.
    Ended {
        /// Why, where nobody asked for it.
        reason: Option<Arc<str>>,
    },
}

/// The loss of a link, or an attempt to open one that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What kind it is of.
    pub kind: LossKind,
    /// Why, as the log says it.
    pub reason: Arc<str>,
    /// When, in UTC.
    pub at: OffsetDateTime,
}

/// Why a link was lost, or could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// No connection came about: name resolution, TCP, a proxy, TLS or a WebSocket.
    Unreachable,
    /// The connection ended without a word, failed, or was not spoken on as AMQP wants.
    ConnectionLost,
    /// Nothing was heard for too long, or an answer did not come in time.
    IdleTimeout,
    /// The service ended the link, the session or the connection.
    Detached,
    /// Another reader holds the partition, with an owner level.
    Stolen,
    /// The consumer group has its five readers on the partition.
    Quota,
    /// The service asks to be left alone for a while.
    Throttled,
    /// The credential is not accepted.
    Unauthorized,
    /// There is no such hub, consumer group or partition.
    NotFound,
    /// The service turns the request down, the position where to go on among others.
    Refused,
    /// A message came that cannot be read.
    Malformed,
    /// Events are missing, came again or came out of order; or the hub is another one under the old name.
    OutOfSequence,
    /// The service has events that do not come.
    Stuck,
}

impl Link {
    pub(super) fn new(state: LinkState, since: OffsetDateTime) -> Self {
        Self { state, since }
    }
}

impl LossKind {
    /// All there are, in the order of their places in [`Losses`].
    pub const ALL: [Self; 13] = [
        Self::Unreachable,
        Self::ConnectionLost,
        Self::IdleTimeout,
        Self::Detached,
        Self::Stolen,
        Self::Quota,
        Self::Throttled,
        Self::Unauthorized,
        Self::NotFound,
        Self::Refused,
        Self::Malformed,
        Self::OutOfSequence,
        Self::Stuck,
    ];

    /// The short name: `idle_timeout`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::ConnectionLost => "connection_lost",
            Self::IdleTimeout => "idle_timeout",
            Self::Detached => "detached",
            Self::Stolen => "stolen",
            Self::Quota => "quota",
            Self::Throttled => "throttled",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::OutOfSequence => "out_of_sequence",
            Self::Stuck => "stuck",
        }
    }
}

/// How many losses there were of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses([u64; LossKind::ALL.len()]);

impl Losses {
    /// How many of this kind.
    pub fn of(&self, kind: LossKind) -> u64 {
        self.0[kind as usize]
    }

    pub(super) fn add(&mut self, kind: LossKind) {
        self.0[kind as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_place_and_a_name_of_its_own() {
        let mut losses = Losses::default();
        for (place, kind) in LossKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{kind:?}");
            losses.add(kind);
            assert_eq!(losses.of(kind), 1, "{kind:?}");
            let others = LossKind::ALL.iter().filter(|other| **other != kind);
            let mut names = others.map(|other| other.as_str());
            assert!(!names.any(|name| name == kind.as_str()), "{kind:?}");
        }
    }
}
