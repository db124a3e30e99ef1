//! What keeps a partition from being read, sorted by who must act, and the verdict on trying again.
//!
//! Source: "AMQP errors in Azure Event Hubs" and the conditions that Microsoft's clients retry.

use std::io;
use std::time::Duration;

use super::seam::Failure;
use crate::standing::LossKind;

/// Why receiving failed. No text of it holds a key or a token.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The credential is wrong, has expired, or lacks the right to listen: its owner must act.
    #[error("{object} refuses the credential: {reason}")]
    Unauthorized {
        /// What was asked for.
        object: String,
        /// The service's words.
        reason: String,
    },
    /// There is no such hub, consumer group or partition: whoever configured it must act.
    #[error("{object} does not exist: {reason}")]
    NotFound {
        /// What was asked for.
        object: String,
        /// The service's words.
        reason: String,
    },
    /// Another reader holds the partition with an owner level (epoch), and this one has none.
    #[error(
        "{object} is held by a reader with an owner level, which shuts out every reader without one: {reason}"
    )]
    Stolen {
        /// What was asked for.
        object: String,
        /// The service's words.
        reason: String,
    },
    /// Another reader holds the partition with the same owner level (epoch) or a higher one.
    #[error(
        "{object} is held by a reader whose owner level is as high as this one's ({level}) or higher: {reason}"
    )]
    Outranked {
        /// What was asked for.
        object: String,
        /// The owner level asked for.
        level: i64,
        /// The service's words.
        reason: String,
    },
    /// The consumer group has its five readers on this partition already.
    #[error("{object} has as many readers as the service allows: {reason}")]
    Quota {
        /// What was asked for.
        object: String,
        /// The service's words.
        reason: String,
    },
    /// The service turns the request down, and would do so again: disabled, not allowed, and such.
    #[error("{object} refuses the request: {reason}")]
    Refused {
        /// What was asked for.
        object: String,
        /// The service's words.
        reason: String,
    },
    /// The partition cannot be read from there: the position is beyond its end, or not a position.
    #[error("{object} cannot be read from {position}: {reason}")]
    InvalidPosition {
        /// What was asked for.
        object: String,
        /// The position as a user writes it.
        position: String,
        /// The service's words.
        reason: String,
    },
    /// The next event is not kept any more, or the hub is another one, and the configuration wants to stop then.
    #[error(
        "{object} cannot go on: {reason}; decide where, with `checkpoint set` or another `lost_position`"
    )]
    PositionLost {
        /// What was asked for.
        object: String,
        /// What became of the position.
        reason: String,
    },
    /// A message came that has no readable position, twice.
    #[error("{object} delivered a message that cannot be read: {reason}")]
    Malformed {
        /// What was asked for.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The service has events that do not come, over one connection after the other.
    #[error("{object} has {behind} events that do not come, over one connection after the other")]
    Stuck {
        /// What was asked for.
        object: String,
        /// How many events wait, as far as is known.
        behind: u64,
    },
    /// No connection came about: name resolution, TCP, a proxy, TLS or a WebSocket.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// The service asks to be left alone for a while.
    #[error("{object} is busy: {reason}")]
    Busy {
        /// What was asked for.
        object: String,
        /// The service's words.
        reason: String,
    },
    /// The connection or the link ended, or an answer did not come in time.
    #[error("the connection to {object} failed: {reason}")]
    Disconnected {
        /// What was asked for.
        object: String,
        /// Why it ended.
        reason: String,
        /// The same, of a few kinds.
        kind: LossKind,
    },
}

/// Whether, and when, the same thing may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once, with some jitter.
    Now,
    /// Not before this long has passed.
    After(Duration),
    /// Not at all: somebody must change something first.
    Never,
}

impl Retry {
    /// How long to wait where the backoff says `delay`; none where waiting does not help.
    pub fn wait(self, delay: Duration) -> Option<Duration> {
        match self {
            Self::Now => Some(delay),
            // Those who were refused together do not come back together.
            Self::After(least) => Some(delay.max(least + delay.min(least / 4))),
            Self::Never => None,
        }
    }
}

/// How long a throttled client stays away, at least.
const BUSY_DELAY: Duration = Duration::from_secs(4);
/// How often to look again for what worked before and is refused now.
const REFUSED_DELAY: Duration = Duration::from_secs(30);

impl ReceiverError {
    /// The verdict for a caller that has not got through yet.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::Stolen { .. }
            | Self::Outranked { .. }
            | Self::Quota { .. }
            | Self::Refused { .. }
            | Self::InvalidPosition { .. }
            | Self::PositionLost { .. }
            | Self::Stuck { .. }
            | Self::Malformed { .. } => Retry::Never,
            Self::Busy { .. } => Retry::After(BUSY_DELAY),
            Self::Unreachable { .. } | Self::Disconnected { .. } => Retry::Now,
        }
    }

    /// The verdict for a receiver that has worked: keys are rotated, hubs are recreated and other readers come and
    /// go while it runs, so that only a lost position ends it.
    pub(crate) fn retry_once_worked(&self) -> Retry {
        match self {
            Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::Stolen { .. }
            | Self::Outranked { .. }
            | Self::Quota { .. }
            | Self::Refused { .. } => Retry::After(REFUSED_DELAY),
            other => other.retry(),
        }
    }

    /// What kind of loss it is, for whoever counts them.
    pub(crate) fn kind(&self) -> LossKind {
        match self {
            Self::Unauthorized { .. } => LossKind::Unauthorized,
            Self::NotFound { .. } => LossKind::NotFound,
            Self::Stolen { .. } | Self::Outranked { .. } => LossKind::Stolen,
            Self::Quota { .. } => LossKind::Quota,
            Self::Refused { .. } | Self::InvalidPosition { .. } => LossKind::Refused,
            Self::PositionLost { .. } => LossKind::OutOfSequence,
            Self::Malformed { .. } => LossKind::Malformed,
            Self::Stuck { .. } => LossKind::Stuck,
            Self::Unreachable { .. } => LossKind::Unreachable,
            Self::Busy { .. } => LossKind::Throttled,
            Self::Disconnected { kind, .. } => *kind,
        }
    }

    /// An answer did not come in time, says the simulator.
    #[cfg(feature = "emulator")]
    pub(crate) fn silent(object: String, reason: String) -> Self {
        Self::Disconnected {
            object,
            reason,
            kind: LossKind::IdleTimeout,
        }
    }

    /// Sorts what an engine reports about `object`, which was dialled at `address`.
    pub(crate) fn judge(failure: Failure, object: &str, address: &str) -> Self {
        let object = object.to_owned();
        match failure {
            Failure::Unreachable(source) => Self::Unreachable {
                address: address.to_owned(),
                source,
            },
            Failure::Lost { kind, reason } => Self::Disconnected {
                object,
                reason,
                kind,
            },
            Failure::Malformed(reason) => Self::Malformed { object, reason },
            Failure::Condition {
                condition,
                description,
            }
            | Failure::Answer {
                condition,
                description,
            } => Self::of_condition(&condition, reason(&condition, &description), object),
        }
    }

    fn of_condition(condition: &str, reason: String, object: String) -> Self {
        match condition {
            "amqp:unauthorized-access" | "com.microsoft:auth-failed" => {
                Self::Unauthorized { object, reason }
            }
            "amqp:not-found" | "com.microsoft:argument-out-of-range" => {
                Self::NotFound { object, reason }
            }
            "amqp:link:stolen" => Self::Stolen { object, reason },
            "amqp:resource-limit-exceeded" => Self::Quota { object, reason },
            "com.microsoft:server-busy" => Self::Busy { object, reason },
            "com.microsoft:entity-disabled"
            | "com.microsoft:argument-error"
            | "com.microsoft:georeplication:invalid-offset"
            | "amqp:not-allowed"
            | "amqp:not-implemented"
            | "amqp:invalid-field"
            | "amqp:link:redirect" => Self::Refused { object, reason },
            _ => Self::Disconnected {
                object,
                reason,
                kind: LossKind::Detached,
            },
        }
    }
}

/// The longest piece of a peer's text that is repeated, in characters.
const MAX_REASON: usize = 400;

/// The service's words without the tail that only its operators can use, on one line, with their
/// condition. A peer must not fill a log or smuggle a signature into it.
fn reason(condition: &str, description: &str) -> String {
    let text = plain(description);
    let condition: String = condition
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    if text.is_empty() {
        condition
    } else {
        format!("{text} ({condition})")
    }
}

/// The same without the condition.
pub(super) fn plain(description: &str) -> String {
    let tail = ["TrackingId:", "Reference:", "SystemTracker:"];
    let end = tail
        .iter()
        .filter_map(|t| description.find(t))
        .min()
        .unwrap_or(description.len());
    let words: Vec<&str> = description[..end].split_whitespace().map(mask).collect();
    let text: String = words
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_REASON)
        .collect();
    text.trim_end_matches([' ', '.', ',', ';']).to_owned()
}

fn mask(word: &str) -> &str {
    if word.contains("sig=") { "***" } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(condition: &str, description: &str) -> ReceiverError {
        let failure = Failure::Condition {
            condition: condition.to_owned(),
            description: description.to_owned(),
        };
        ReceiverError::judge(failure, "partition 0", "ns:5671")
    }

    fn check(condition: &str, expected: &str, first: Retry, later: Retry) {
        let error = judged(condition, "text");
        let variant = format!("{error:?}");
        assert!(variant.starts_with(expected), "{condition}: {variant}");
        assert_eq!(error.retry(), first, "{condition}");
        assert_eq!(error.retry_once_worked(), later, "{condition}");
    }

    #[test]
    fn a_condition_has_its_variant_and_its_verdicts() {
        use Retry::{After, Never, Now};
        let slow = After(Duration::from_secs(30));
        let busy = After(Duration::from_secs(4));
        for (condition, variant, first, later) in [
            ("amqp:unauthorized-access", "Unauthorized", Never, slow),
            ("com.microsoft:auth-failed", "Unauthorized", Never, slow),
            ("amqp:not-found", "NotFound", Never, slow),
            (
                "com.microsoft:argument-out-of-range",
                "NotFound",
                Never,
                slow,
            ),
            ("amqp:link:stolen", "Stolen", Never, slow),
            ("amqp:resource-limit-exceeded", "Quota", Never, slow),
            ("com.microsoft:entity-disabled", "Refused", Never, slow),
            ("com.microsoft:argument-error", "Refused", Never, slow),
            ("amqp:not-allowed", "Refused", Never, slow),
            ("com.microsoft:server-busy", "Busy", busy, busy),
            ("com.microsoft:timeout", "Disconnected", Now, Now),
            (
                "com.microsoft:operation-cancelled",
                "Disconnected",
                Now,
                Now,
            ),
            ("com.microsoft:container-close", "Disconnected", Now, Now),
            ("amqp:link:detach-forced", "Disconnected", Now, Now),
            ("amqp:connection:forced", "Disconnected", Now, Now),
            ("amqp:internal-error", "Disconnected", Now, Now),
            (
                "amqp:link:transfer-limit-exceeded",
                "Disconnected",
                Now,
                Now,
            ),
            ("amqp:connection:framing-error", "Disconnected", Now, Now),
            ("something:new", "Disconnected", Now, Now),
        ] {
            check(condition, variant, first, later);
        }
    }

    #[test]
    fn what_the_wire_reports_is_tried_again_and_what_cannot_be_read_is_not() {
        let judge = |failure| ReceiverError::judge(failure, "partition 0", "ns:5671");
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let unreachable = judge(Failure::Unreachable(refused));
        assert_eq!(unreachable.to_string(), "ns:5671 cannot be reached");
        assert_eq!(unreachable.retry(), Retry::Now);
        assert_eq!(judge(Failure::lost("x")).retry(), Retry::Now);
        assert_eq!(
            judge(Failure::Malformed("x".into())).retry_once_worked(),
            Retry::Never
        );
    }

    #[test]
    fn a_loss_is_of_the_kind_that_its_cause_is() {
        for (condition, kind) in [
            ("amqp:unauthorized-access", LossKind::Unauthorized),
            ("amqp:not-found", LossKind::NotFound),
            ("amqp:link:stolen", LossKind::Stolen),
            ("amqp:resource-limit-exceeded", LossKind::Quota),
            ("com.microsoft:server-busy", LossKind::Throttled),
            ("com.microsoft:entity-disabled", LossKind::Refused),
            ("amqp:link:detach-forced", LossKind::Detached),
            ("something:new", LossKind::Detached),
        ] {
            assert_eq!(judged(condition, "text").kind(), kind, "{condition}");
        }
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        for (failure, kind) in [
            (Failure::Unreachable(refused), LossKind::Unreachable),
            (Failure::lost("x"), LossKind::ConnectionLost),
            (Failure::silence("x"), LossKind::IdleTimeout),
            (Failure::detached("x"), LossKind::Detached),
            (Failure::Malformed("x".into()), LossKind::Malformed),
        ] {
            let error = ReceiverError::judge(failure, "partition 0", "ns:5671");
            assert_eq!(error.kind(), kind, "{error}");
        }
    }

    #[test]
    fn the_words_of_the_service_lose_their_tracking_tail() {
        let text = "Unauthorized access. 'Listen' claim(s) are required to perform this operation. \
                    Resource: 'sb://ns/eh1'. TrackingId:1b2_G4, SystemTracker:ns:eventhub:eh1, \
                    Timestamp:2026-01-01T00:00:00";
        assert_eq!(
            judged("amqp:unauthorized-access", text).to_string(),
            "partition 0 refuses the credential: Unauthorized access. 'Listen' claim(s) are required \
             to perform this operation. Resource: 'sb://ns/eh1' (amqp:unauthorized-access)"
        );
    }

    #[test]
    fn a_peer_can_neither_fill_the_log_nor_break_its_lines_nor_put_a_signature_there() {
        let text = format!("bad\ntoken sr=x&sig=abc {}", "é".repeat(5000));
        let shown = judged("x:y", &text).to_string();
        assert!(shown.contains("bad token *** é"), "{shown}");
        assert!(
            shown.chars().count() < 500 && !shown.contains("sig="),
            "{shown}"
        );
        assert!(judged("x:y", "").to_string().ends_with(": x:y"));
    }
}
