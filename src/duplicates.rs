//! The duplicate window: posts that Dataverse repeats are counted, marked or suppressed.
//!
//! Off where the `[duplicates]` table is absent. Only events that Dataverse itself gave an identity are
//! looked at, and only those that some sink is to have.

mod kept;
mod window;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::causes::Causes;
use crate::message::{Message, Place};
use crate::settings::{Mistake, Settings};
use kept::Unfit;
use window::{Key, Met, Sighting, Window};

/// The `[duplicates]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// What becomes of a duplicate.
    pub action: Action,
    /// How many events are remembered.
    pub events: usize,
    /// The file in which they are remembered when the daemon is not running.
    pub path: Option<PathBuf>,
}

/// What becomes of a duplicate, beside being counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Action {
    /// It is delivered like any other event.
    #[default]
    Count,
    /// It is delivered, and says where the event was met first.
    Mark,
    /// It is not delivered.
    Suppress,
}

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Deliver it.
    Deliver,
    /// The same event is delivered already, or is on its way: do not deliver it.
    Suppress,
}

/// The events met last, and how many came once more.
#[derive(Debug)]
pub(crate) struct Duplicates(Option<Seen>);

#[derive(Debug)]
struct Seen {
    action: Action,
    path: Option<PathBuf>,
    window: Mutex<Window>,
    found: AtomicU64,
    /// Held while the file is written.
    writing: Mutex<()>,
}

/// How often the file is written.
const INTERVAL: Duration = Duration::from_secs(60);

/// So many events are taken out of the window at once: whoever meets one has to wait for that.
const PART: usize = 4096;

/// How many events are remembered where nothing is said, and at most.
const EVENTS: i64 = 100_000;
const MOST_EVENTS: i64 = 10_000_000;

impl Config {
    /// Reads the `[duplicates]` table; where it is absent, nobody looks for duplicates.
    pub(crate) fn read(settings: Option<Settings>) -> (Option<Self>, Vec<Mistake>) {
        let Some(mut settings) = settings else {
            return (None, Vec::new());
        };
        if !settings.has("action") {
            settings.mistake("action", "is missing; give count, mark or suppress");
        }
        let action = settings.choice("action").unwrap_or_default();
        let events: i64 = settings.with_default("events", EVENTS);
        if !(1..=MOST_EVENTS).contains(&events) {
            settings.mistake("events", format!("must be from 1 to {MOST_EVENTS}"));
        }
        let path: Option<PathBuf> = settings.optional("path");
        if path
            .as_deref()
            .is_some_and(|path| path.file_name().is_none())
        {
            settings.mistake("path", "must name a file");
        }
        let config = Self {
            action,
            events: usize::try_from(events).unwrap_or_default(),
            path,
        };
        (Some(config), settings.finish())
    }
}

impl Duplicates {
    /// Remembers what the file has. One that cannot be used is told, and never a reason to stop.
    pub(crate) fn open(config: Option<Config>) -> Self {
        Self(config.map(|config| {
            let has_path = config.path.is_some();
            let (window, path) = match config.path {
                None => (Window::new(config.events), None),
                Some(path) => open_window(path, config.events),
            };
            // A file that is left as it is may be read again one day, and would then know nothing of
            // what was suppressed meanwhile: an event and its copy could suppress each other.
            let is_left = has_path && path.is_none();
            let action = match config.action {
                Action::Suppress if is_left => Action::Count,
                action => action,
            };
            Seen {
                action,
                path,
                window: Mutex::new(window),
                found: AtomicU64::new(0),
                writing: Mutex::new(()),
            }
        }))
    }

    /// Takes in a message that is to be delivered, and marks it where that is wanted.
    pub(crate) fn check(&self, message: &mut Message) -> Verdict {
        let Some(seen) = &self.0 else {
            return Verdict::Deliver;
        };
        let identity = message.identity();
        if !identity.is_of_dataverse {
            return Verdict::Deliver;
        }
        let here = sighting(message);
        let Met::Again(first) = seen.window().meet(Key::of(&identity), here) else {
            return Verdict::Deliver;
        };
        seen.found.fetch_add(1, Relaxed);
        let (first, event) = (first.place, &message.event);
        tracing::debug!(
            partition = %event.partition,
            sequence_number = %event.sequence_number,
            first_partition = %first.partition,
            first_sequence_number = %first.sequence_number,
            is_suppressed = seen.action == Action::Suppress,
            "duplicate event"
        );
        match seen.action {
            Action::Count => Verdict::Deliver,
            Action::Mark => {
                message.duplicate_of = Some(first);
                Verdict::Deliver
            }
            Action::Suppress => Verdict::Suppress,
        }
    }

    /// Duplicates found.
    pub(crate) fn found(&self) -> u64 {
        self.0.as_ref().map_or(0, |seen| seen.found.load(Relaxed))
    }

    /// Writes the file once a minute; ends only with whoever waits for it.
    pub(crate) async fn keep_always(self: &Arc<Self>) -> Infallible {
        let mut interval = interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.keep().await;
        }
    }

    /// Writes the file where there is one and something has changed; that it cannot is told.
    ///
    /// Whoever stops waiting does not stop it: it is ended in the background.
    pub(crate) async fn keep(self: &Arc<Self>) {
        let duplicates = Arc::clone(self);
        let kept = tokio::task::spawn_blocking(move || {
            if let Some(seen) = &duplicates.0 {
                seen.keep();
            }
        });
        if let Err(error) = kept.await {
            tracing::error!(error = %Causes(&error), "duplicates not kept");
        }
    }
}

impl Seen {
    fn window(&self) -> MutexGuard<'_, Window> {
        // A window is whole between two statements: whoever panicked left nothing half done.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self) {
        let Some(path) = &self.path else { return };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(range) = self.window().begin_keeping() else {
            return;
        };
        let parts = range.clone().step_by(PART).map(|from| {
            let part = from..range.end.min(from + PART);
            self.window().records(part)
        });
        let written = kept::replace(path, range.len(), parts);
        self.window().end_keeping(written.is_ok());
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "duplicates not kept: after a restart, those of the newest events would not be found");
        }
    }
}

/// The window that the file at `path` has, and the path where it may be written.
fn open_window(path: PathBuf, events: usize) -> (Window, Option<PathBuf>) {
    match kept::load(&path, events) {
        Ok(Some(kept)) => {
            let window = Window::with_kept(events, kept.records, kept.is_whole);
            (window, Some(path))
        }
        Ok(None) => (Window::new(events), Some(path)),
        Err(unfit) => {
            let is_replaced = matches!(unfit, Unfit::Damaged);
            tell(&path, &unfit, is_replaced);
            (Window::new(events), is_replaced.then_some(path))
        }
    }
}

fn tell(path: &Path, unfit: &Unfit, is_replaced: bool) {
    let consequence = match is_replaced {
        true => "it is written anew",
        false => {
            "it is left as it is, nothing is kept and nothing suppressed; let [duplicates] path name another file"
        }
    };
    tracing::warn!(path = %path.display(), reason = %Causes(unfit), "duplicates of earlier runs are not known: {consequence}");
}

fn sighting(message: &Message) -> Sighting {
    let event = &message.event;
    let time = event.enqueued_time;
    Sighting {
        place: Place {
            partition: event.partition.clone(),
            sequence_number: event.sequence_number,
        },
        enqueued: time.unix_timestamp() * 1000 + i64::from(time.millisecond()),
    }
}

#[cfg(test)]
mod tests;
