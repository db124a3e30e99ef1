//! The figures of a proof.

use std::fmt;
use std::time::Instant;

use crate::faults::{Answered, Fault};
use crate::oracle::{Bound, Repeats};
use crate::proof::Scale;

/// What was done, and what came of it.
#[derive(Debug)]
pub(crate) struct Report {
    since: Instant,
    pub(crate) kills: usize,
    pub(crate) stops: usize,
    lines: Vec<(String, String)>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            kills: 0,
            stops: 0,
            lines: Vec::new(),
        }
    }
}

impl Report {
    fn line(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.lines.push((name.into(), value.into()));
    }

    pub(crate) fn scale(&mut self, scale: Scale, bound: Bound, all: usize) {
        let took = self.since.elapsed().as_secs_f64();
        self.line("seed", scale.seed.to_string());
        self.line("events", format!("{} in {took:.0} s", scale.events));
        self.line(
            "ends",
            format!("{} by SIGKILL, {} by SIGTERM", self.kills, self.stops),
        );
        let Bound { in_flight, unsaved } = bound;
        self.line(
            "repeats allowed",
            format!("{in_flight} + {unsaved} for each partition after each kill, {all} for each sink in all"),
        );
    }

    /// `again` are those that came twice in one run.
    pub(crate) fn sink(&mut self, name: &str, events: usize, repeats: &Repeats, again: usize) {
        let Repeats { total, most, .. } = repeats;
        let more = match again {
            0 => String::new(),
            again => format!(", {again} within a run"),
        };
        let text =
            format!("{events} events; {total} repeats after kills, at most {most} at once{more}");
        self.line(name, text);
    }

    pub(crate) fn faults(&mut self, done: &[Fault], answered: &Answered, has_disk: bool) {
        let count = |fault| done.iter().filter(|known| **known == fault).count();
        let hub = format!(
            "{} resets, {} closes, {} detached links, {} freezes, {} refusals",
            count(Fault::Drop),
            count(Fault::Close),
            count(Fault::Detach),
            count(Fault::Freeze),
            count(Fault::Refuse)
        );
        self.line("faults of the hub", hub);
        let Answered {
            errors,
            busy,
            never,
            resets,
            late,
        } = answered;
        let webhook = format!(
            "{errors} of 500 and 503, {busy} of 429, {never} without an answer, {resets} resets, {late} late answers"
        );
        self.line("faults of the webhook", webhook);
        let disk = match has_disk {
            true => format!("full {} times", count(Fault::Fill)),
            false => "not filled: the short form mounts nothing".to_owned(),
        };
        self.line("faults of the disk", disk);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.lines {
            writeln!(f, "{name:<22} {value}")?;
        }
        Ok(())
    }
}
