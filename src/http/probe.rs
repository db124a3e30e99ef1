//! What probes answer; pure.

use std::fmt::Write;

use crate::health::{Phase, Report, Verdict};
use crate::standing::{LinkState, Snapshot};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// Whether the process should go on: where not, a new one does better.
    Live,
    /// Whether every partition is being read.
    Ready,
    /// Whether every partition has had its link.
    Startup,
}

/// So many reasons stand on one line.
const REASONS: usize = 3;

impl Probe {
    fn name(self) -> &'static str {
        match self {
            Self::Live => "livez",
            Self::Ready => "readyz",
            Self::Startup => "startupz",
        }
    }

    /// True where the answer is yes.
    pub(super) fn is_passed(self, report: &Report) -> bool {
        match self {
            Self::Live => report.is_live(),
            Self::Ready => report.is_ready(),
            Self::Startup => report.is_started(),
        }
    }

    /// "ok", or why not, on one line.
    pub(super) fn line(self, report: &Report) -> String {
        if self.is_passed(report) {
            return "ok\n".to_owned();
        }
        let mut reasons = Vec::new();
        match report.phase {
            Phase::Starting if self != Self::Live => reasons.push("starting".to_owned()),
            Phase::Stopping => reasons.push("stopping".to_owned()),
            _ => {}
        }
        let failed = report
            .partitions
            .iter()
            .filter(|one| !self.is_fine(report, one));
        reasons.extend(failed.map(remark));
        let more = reasons.len().saturating_sub(REASONS);
        reasons.truncate(REASONS);
        let mut line = reasons.join("; ");
        if more > 0 {
            // It goes to a String: that cannot fail.
            write!(line, "; and {more} more").ok();
        }
        line.push('\n');
        line
    }

    /// A line for each partition, and what comes of all.
    pub(super) fn lines(self, report: &Report) -> String {
        let sign = |is_fine: bool| if is_fine { "[+]" } else { "[-]" };
        let phase = match report.phase {
            Phase::Starting => (self == Self::Live, "starting"),
            Phase::Running => (true, "running"),
            Phase::Stopping => (self != Self::Ready, "stopping"),
        };
        let mut text = format!("{}{}\n", sign(phase.0), phase.1);
        for one in &report.partitions {
            text.push_str(sign(self.is_fine(report, one)));
            text.push_str(&remark(one));
            text.push('\n');
        }
        let end = match self.is_passed(report) {
            true => "passed",
            false => "failed",
        };
        text.push_str(&format!("{} check {end}\n", self.name()));
        text
    }

    fn is_fine(self, report: &Report, (snapshot, verdict): &(Snapshot, Verdict)) -> bool {
        match self {
            Self::Live => {
                report.phase == Phase::Stopping || !matches!(verdict, Verdict::Stuck { .. })
            }
            Self::Ready => verdict.is_ready(),
            Self::Startup => report.is_started() || snapshot.link.state == LinkState::Attached,
        }
    }
}

/// The partition as the files of checkpoints name it, and what to think of it; on one line, whatever somebody else
/// has said.
fn remark((snapshot, verdict): &(Snapshot, Verdict)) -> String {
    let source = &snapshot.source;
    let text = format!(
        "{}/{}/{}/{} {verdict}",
        source.namespace, source.event_hub, source.consumer_group, snapshot.partition
    );
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests;
