//! Whether every partition is being read, and whether the process should go on: told from how they stand. Pure.
//!
//! A partition is judged by its progress, never by its connection. An idle one has nothing to do, one that is lost is
//! tried again, one that a sink holds up waits for that sink: a new process would do no better. One is stuck whose loop
//! does not turn, or to which nothing comes although the service has more and there is room for it. Only that is
//! cured by a new process; the receiver's own supervision comes first, and ends the process by itself.
//!
//! Time is what has passed since the process began, by a clock that does not jump. Between two looks that are far
//! apart the process itself may have been stopped: then everybody gets their time anew.

use core::time::Duration;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::event::{PartitionId, Source};
use crate::settings::{Mistake, Settings};
use crate::standing::{LinkState, Snapshot};

/// How patient one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    /// A partition without progress that should make some is stuck after this.
    pub stuck_after: Duration,
}

/// The receiver needs less than this to find out that a third connection does no better than the first.
const STUCK_AFTER: Duration = Duration::from_secs(5 * 60);
/// The loops of partitions beat every five seconds.
const SHORTEST: Duration = Duration::from_secs(10);
/// A partition that is lost for less is as good as read: the service ends links as it pleases.
const HICCUP: Duration = Duration::from_secs(30);

impl Default for Config {
    fn default() -> Self {
        Self {
            stuck_after: STUCK_AFTER,
        }
    }
}

impl Config {
    /// Reads the `[health]` table.
    pub(crate) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let stuck_after = settings.with_default("stuck_after", STUCK_AFTER);
        if stuck_after < SHORTEST {
            settings.mistake("stuck_after", "must be at least 10s");
        }
        (Self { stuck_after }, settings.finish())
    }
}

/// How far the process has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not every partition has had its link yet.
    #[default]
    Starting,
    /// Every one has.
    Running,
    /// It was asked to stop, and delivers what it has.
    Stopping,
}

/// What to think of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is read, or there is nothing to read.
    Fine,
    /// Its link is being opened, or will be.
    Lost {
        /// For how long.
        since: Duration,
        /// Why, where that is known.
        reason: Option<Arc<str>>,
    },
    /// A sink has not taken what was received: nothing more is.
    Held,
    /// It makes no progress, and should.
    Stuck {
        /// For how long.
        since: Duration,
        /// What does not go on.
        what: &'static str,
    },
    /// It is not read any more.
    Ended,
}

/// How everything stood at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// How far the process has come.
    pub phase: Phase,
    /// Each partition, and what to think of it.
    pub partitions: Vec<(Snapshot, Verdict)>,
}

/// Watches over all partitions.
#[derive(Debug)]
pub(crate) struct Health {
    config: Config,
    seen: HashMap<(Arc<Source>, PartitionId), Seen>,
    looked: Option<Duration>,
}

/// What was seen of a partition, and when it was last otherwise.
#[derive(Debug)]
struct Seen {
    last: Trace,
    /// When anything was.
    turned: Duration,
    /// When an event came, or none was to come.
    came: Duration,
    /// Since when it has no link.
    lost: Option<Duration>,
}

/// What changes while a partition's loop turns.
#[derive(Debug, PartialEq)]
struct Trace {
    received: Option<i64>,
    completed: Option<i64>,
    beats: u64,
    link: crate::standing::Link,
}

impl Health {
    /// Nothing was seen yet.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            seen: HashMap::new(),
            looked: None,
        }
    }

    /// Looks at all partitions, `now` after the process began.
    pub(crate) fn look(&mut self, phase: Phase, snapshots: Vec<Snapshot>, now: Duration) -> Report {
        let gap = self.looked.map(|before| now.saturating_sub(before));
        if gap.is_some_and(|gap| gap > self.config.stuck_after / 2) {
            self.seen.clear();
        }
        self.looked = Some(now);
        let partitions = snapshots.into_iter().map(|snapshot| {
            let verdict = self.judge(&snapshot, now);
            (snapshot, verdict)
        });
        Report {
            phase,
            partitions: partitions.collect(),
        }
    }

    fn judge(&mut self, snapshot: &Snapshot, now: Duration) -> Verdict {
        let key = (Arc::clone(&snapshot.source), snapshot.partition.clone());
        let trace = Trace::of(snapshot);
        let seen = self.seen.entry(key).or_insert_with(|| Seen {
            last: Trace::of(snapshot),
            turned: now,
            came: now,
            lost: None,
        });
        let is_attached = snapshot.link.state == LinkState::Attached;
        let has_more = snapshot.last_enqueued > snapshot.received && !snapshot.is_drained;
        let is_awaited = has_more && snapshot.has_room;
        if trace.received != seen.last.received
            || trace.link != seen.last.link
            || !(is_attached && is_awaited)
        {
            seen.came = now;
        }
        if trace != seen.last {
            (seen.last, seen.turned) = (trace, now);
        }
        seen.lost = match is_attached {
            true => None,
            false => seen.lost.or(Some(now)),
        };
        seen.judge(snapshot, now, self.config.stuck_after)
    }
}

impl Trace {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            received: snapshot.received.map(|number| number.0),
            completed: snapshot.completed.map(|number| number.0),
            beats: snapshot.beats,
            link: snapshot.link.clone(),
        }
    }
}

impl Seen {
    fn judge(&self, snapshot: &Snapshot, now: Duration, stuck_after: Duration) -> Verdict {
        let still = now.saturating_sub(self.turned);
        let (reason, is_opening) = match &snapshot.link.state {
            LinkState::Ended { .. } => return Verdict::Ended,
            LinkState::Waiting { reason } => (Some(Arc::clone(reason)), false),
            LinkState::Connecting => (None, true),
            LinkState::Attached => return self.judge_attached(snapshot, now, still, stuck_after),
        };
        if is_opening && still >= stuck_after {
            // Each step of opening has an end of its own.
            return Verdict::Stuck {
                since: still,
                what: "its link is being opened and neither opens nor fails",
            };
        }
        let loss = snapshot.last_loss.as_ref();
        Verdict::Lost {
            since: self
                .lost
                .map_or(Duration::ZERO, |lost| now.saturating_sub(lost)),
            reason: reason.or_else(|| loss.map(|loss| Arc::clone(&loss.reason))),
        }
    }

    fn judge_attached(
        &self,
        snapshot: &Snapshot,
        now: Duration,
        still: Duration,
        stuck_after: Duration,
    ) -> Verdict {
        if still >= stuck_after {
            return Verdict::Stuck {
                since: still,
                what: "its loop does not turn",
            };
        }
        let waits = now.saturating_sub(self.came);
        if waits >= stuck_after {
            return Verdict::Stuck {
                since: waits,
                what: "the service has events that do not come",
            };
        }
        match snapshot.has_room {
            true => Verdict::Fine,
            false => Verdict::Held,
        }
    }
}

impl Report {
    /// True unless a partition is stuck: then a new process does better.
    pub(crate) fn is_live(&self) -> bool {
        self.phase == Phase::Stopping || self.stuck().next().is_none()
    }

    /// True once every partition has had its link.
    pub(crate) fn is_started(&self) -> bool {
        self.phase != Phase::Starting
    }

    /// True while every partition is being read: it has its link, or has only just lost it.
    pub(crate) fn is_ready(&self) -> bool {
        self.phase == Phase::Running
            && self
                .partitions
                .iter()
                .all(|(_, verdict)| verdict.is_ready())
    }

    /// The partitions that are stuck.
    pub(crate) fn stuck(&self) -> impl Iterator<Item = &(Snapshot, Verdict)> {
        let is_stuck = |one: &&(Snapshot, Verdict)| matches!(one.1, Verdict::Stuck { .. });
        self.partitions.iter().filter(is_stuck)
    }

    /// Events of all partitions that were not delivered to every sink; none where it is not known of each, or not yet
    /// which partitions there are.
    pub(crate) fn behind(&self) -> Option<u64> {
        let is_known = self.is_started() && !self.partitions.is_empty();
        let partitions = self.partitions.iter().map(|(one, _)| one.behind);
        is_known.then(|| partitions.sum()).flatten()
    }
}

impl Verdict {
    /// True while the partition is being read: it has its link, or has only just lost it.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Fine | Self::Held | Self::Ended => true,
            Self::Lost { since, .. } => *since < HICCUP,
            Self::Stuck { .. } => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine => f.write_str("read"),
            Self::Held => f.write_str("held up by a sink"),
            Self::Ended => f.write_str("not read any more"),
            Self::Lost { since, reason } => {
                write!(f, "no link for {} s", since.as_secs())?;
                match reason {
                    Some(reason) => write!(f, ": {reason}"),
                    None => Ok(()),
                }
            }
            Self::Stuck { since, what } => write!(f, "stuck for {} s: {what}", since.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests;
