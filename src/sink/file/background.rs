//! The thread that looks after archives: one at a time, beside the deliveries.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::archiver::Upkeep;
use crate::causes::Causes;

/// Looks after the archives of a sink.
#[derive(Debug)]
pub(super) struct Background {
    /// None where there are no archives.
    upkeep: Option<Arc<Upkeep>>,
    /// The files whose archives are to be looked after.
    due: BTreeSet<Arc<str>>,
    running: Option<JoinHandle<Failures>>,
    /// Tells what is running to end early.
    is_over: Arc<AtomicBool>,
    /// After a failure, nothing is tried before.
    not_before: Option<Instant>,
}

type Failures = Vec<(Arc<str>, io::Error)>;

/// So many files wait, at the most. Those that find no room are seen to when they are next rotated.
const MOST: usize = 1000;

/// What failed is tried again after this time.
const AGAIN: Duration = Duration::from_secs(60);

impl Background {
    pub(super) fn new(upkeep: Option<Upkeep>) -> Self {
        Self {
            upkeep: upkeep.map(Arc::new),
            due: BTreeSet::new(),
            running: None,
            is_over: Arc::default(),
            not_before: None,
        }
    }

    /// Takes in files whose archives are to be looked after.
    pub(super) fn add(&mut self, paths: Vec<Arc<str>>) {
        let room = MOST.saturating_sub(self.due.len());
        if self.upkeep.is_some() {
            self.due.extend(paths.into_iter().take(room));
        }
    }

    /// Tries at once what failed before.
    pub(super) fn retry(&mut self) {
        self.not_before = None;
    }

    /// Goes on: hears what has ended, and begins what is due. Waits for nothing.
    pub(super) async fn drive(&mut self) {
        if let Some(ended) = self.running.take_if(|running| running.is_finished()) {
            self.hear(ended.await.unwrap_or_default());
        }
        let now = Instant::now();
        let is_early = self.not_before.is_some_and(|time| now < time);
        if self.running.is_some() || self.due.is_empty() || is_early {
            return;
        }
        if let Some(upkeep) = self.upkeep.clone() {
            let due = std::mem::take(&mut self.due);
            let is_over = Arc::clone(&self.is_over);
            self.running = Some(tokio::task::spawn_blocking(move || {
                look_after(&upkeep, due, &is_over)
            }));
        }
    }

    /// Ends what is running. What it has not finished is finished after the next start.
    pub(super) async fn stop(&mut self) {
        self.is_over.store(true, Relaxed);
        if let Some(running) = self.running.take() {
            self.hear(running.await.unwrap_or_default());
        }
    }

    fn hear(&mut self, failures: Failures) {
        for (path, error) in failures {
            tracing::warn!(error = %Causes(&error), "an archive stays as it is; this is tried again");
            self.due.insert(path);
            self.not_before = Some(Instant::now() + AGAIN);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
    }
}

fn look_after(upkeep: &Upkeep, due: BTreeSet<Arc<str>>, is_over: &AtomicBool) -> Failures {
    let failed = |path: Arc<str>| {
        upkeep
            .look_after(&path, is_over)
            .err()
            .map(|error| (path, error))
    };
    due.into_iter().filter_map(failed).collect()
}
