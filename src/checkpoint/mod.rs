//! How far each partition has been delivered, and where that is kept.
//!
//! Only the partition loop moves a checkpoint, see [`crate::ack`] for when; and the people who have to,
//! by the commands. If a partition is missing from a store, none of its events has been delivered.

mod file;
mod lock;
mod memory;
mod name;
mod record;

use std::fmt::{self, Debug};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::event::{PartitionId, Position, Source};
use crate::receiver::StartPosition;
use crate::settings::{Mistake, Settings, unknown};

pub(crate) use record::Record;

/// Every kind of store. To add one: its file and its line here.
const KINDS: &[(&str, Parse)] = &[("file", file::parse), ("memory", memory::parse)];

type Parse = fn(&mut Settings) -> Option<Arc<dyn StoreConfig>>;

/// Keeps the checkpoint of each partition.
///
/// An implementation keeps and finds; when to write, and trying again, are the partition loop's.
pub(crate) trait CheckpointStore: Debug + Send + Sync {
    /// Where a partition goes on, or none where nothing was kept.
    fn load<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
    ) -> BoxFuture<'a, Result<Option<Checkpoint>, CheckpointError>>;

    /// Keeps where a partition goes on. What fails leaves the checkpoint as it was.
    fn save<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'a, Result<(), CheckpointError>>;

    /// Forgets a partition, so that it begins where the configuration says.
    fn remove<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
    ) -> BoxFuture<'a, Result<(), CheckpointError>>;
}

/// Where a partition goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// After the last event that was delivered.
    After(Position),
    /// At a place that somebody set; nothing is known of the event before it.
    From(StartPosition),
}

/// A place that would be another one tomorrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} means another place each time; give sequence:N, offset:X, time:... or earliest")]
pub(crate) struct MovingPlace(&'static str);

impl TryFrom<StartPosition> for Checkpoint {
    type Error = MovingPlace;

    fn try_from(start: StartPosition) -> Result<Self, MovingPlace> {
        match start {
            StartPosition::Latest => Err(MovingPlace("latest")),
            StartPosition::LookBack(_) => Err(MovingPlace("a look-back")),
            StartPosition::Earliest
            | StartPosition::Offset(_)
            | StartPosition::Sequence(_)
            | StartPosition::EnqueuedTime(_) => Ok(Self::From(start)),
        }
    }
}

impl From<Position> for Checkpoint {
    fn from(position: Position) -> Self {
        Self::After(position)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(Position {
                sequence_number,
                offset,
            }) => write!(
                f,
                "after sequence number {sequence_number}, offset {offset}"
            ),
            Self::From(start) => write!(f, "from {start}"),
        }
    }
}

/// A partition that a store knows, and what it knows of it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Whose partition it is.
    pub source: Source,
    /// Which one it is.
    pub partition: PartitionId,
    /// Its checkpoint, or why that cannot be read.
    pub found: Result<Record, CheckpointError>,
}

/// How often the checkpoint of a partition is written: not before the interval is over, unless so many events are
/// delivered meanwhile; and always at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cadence {
    /// The interval.
    pub interval: Duration,
    /// So many events do not wait for it.
    pub events: usize,
}

impl Default for Cadence {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            events: 1000,
        }
    }
}

/// Why a checkpoint was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    /// Another process works with the store.
    #[error(
        "{} is in use by {}; two at once would overwrite each other's checkpoints: stop that one first",
        path.display(), Holder(*pid)
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process, where it has left word.
        pid: Option<u32>,
    },
    /// The store could not be reached or refused; trying again may help.
    #[error("{} cannot be used", path.display())]
    Unavailable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the store holds is no checkpoint of the partition. Beginning elsewhere would skip or repeat
    /// events, so somebody has to say where.
    #[error(
        "{} {reason}; say where to go on with `dataverse-listener checkpoint set`, or let the partition \
         begin at `start` with `dataverse-listener checkpoint reset`",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, to follow its path.
        reason: String,
    },
    /// The store keeps nothing for others to see.
    #[error(
        "checkpoints are kept in memory and end with the process; give the configuration \
         [checkpoint] store = \"file\", path = DIRECTORY"
    )]
    NotKept,
}

impl CheckpointError {
    fn unavailable(path: &Path, source: io::Error) -> Self {
        Self::Unavailable {
            path: path.to_owned(),
            source,
        }
    }
}

struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

/// The settings of one kind of store, read and checked; nothing is opened yet.
pub(crate) trait StoreConfig: Debug + Send + Sync {
    /// Opens the store, for this process alone.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be used.
    fn open(&self) -> Result<Box<dyn CheckpointStore>, CheckpointError>;

    /// Fails as [`Self::open`] would where another process has the store open, and changes nothing.
    ///
    /// # Errors
    /// When another process has it open, or that cannot be found out.
    fn check_free(&self) -> Result<(), CheckpointError>;

    /// Every partition that the store knows, in the order of their names, also while another process has
    /// it open. Changes nothing.
    ///
    /// # Errors
    /// When the store cannot be read; a checkpoint that cannot is in its [`Entry`].
    fn list(&self) -> Result<Vec<Entry>, CheckpointError>;
}

/// The `[checkpoint]` table as the daemon uses it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// How often the checkpoint of a partition is written.
    pub cadence: Cadence,
    store: Arc<dyn StoreConfig>,
}

impl Config {
    /// Reads the `[checkpoint]` table. Where it names no store, a path means a file store; without one
    /// checkpoints are kept in memory.
    pub(crate) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let default = Cadence::default();
        let events = NonZeroUsize::new(default.events).unwrap_or(NonZeroUsize::MIN);
        let mut config = Self {
            cadence: Cadence {
                interval: settings.with_default("interval", default.interval),
                events: settings.with_default("events", events).get(),
            },
            ..Self::default()
        };
        let default = if settings.has("path") {
            "file"
        } else {
            "memory"
        };
        let store = settings.with_default("store", default.to_owned());
        let Some((_, parse)) = KINDS.iter().find(|(name, _)| *name == store) else {
            settings.mistake("store", unknown("store", &store, KINDS));
            // What its other keys mean, only the store can tell.
            return (config, settings.into_mistakes());
        };
        if let Some(store) = parse(&mut settings) {
            config.store = store;
        }
        (config, settings.finish())
    }

    /// Opens the store, for this process alone. Does input and output, briefly.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be used.
    pub(crate) fn open(&self) -> Result<Box<dyn CheckpointStore>, CheckpointError> {
        self.store.open()
    }

    /// Fails as [`Self::open`] would where another process has the store open, and changes nothing.
    ///
    /// # Errors
    /// When another process has it open, or that cannot be found out.
    pub(crate) fn check_free(&self) -> Result<(), CheckpointError> {
        self.store.check_free()
    }

    /// Every partition that the store knows, in the order of their names, also while another process has
    /// it open.
    ///
    /// # Errors
    /// When the store cannot be read; a checkpoint that cannot is in its [`Entry`].
    pub(crate) fn list(&self) -> Result<Vec<Entry>, CheckpointError> {
        self.store.list()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cadence: Cadence::default(),
            store: Arc::new(memory::Memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, config::Value)]) -> (Config, Vec<String>) {
        let table: config::Map<String, config::Value> = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        let (config, mistakes) = Config::read(Settings::new("checkpoint", table.into()));
        (config, mistakes.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn check(entries: &[(&str, &str)], expected: Result<&str, &[&str]>) {
        let entries: Vec<_> = entries
            .iter()
            .map(|(key, value)| (*key, config::Value::from(*value)))
            .collect();
        let (config, mistakes) = read(&entries);
        match expected {
            Ok(store) => {
                assert_eq!(mistakes, [""; 0]);
                assert!(
                    format!("{:?}", config.store).starts_with(store),
                    "{config:?}"
                );
            }
            Err(expected) => assert_eq!(mistakes, expected),
        }
    }

    #[test]
    fn the_store_is_named_or_told_by_its_path() {
        check(&[], Ok("Memory"));
        check(&[("store", "memory")], Ok("Memory"));
        check(&[("path", "/p")], Ok("Directory"));
        check(&[("store", "file"), ("path", "/p")], Ok("Directory"));
    }

    #[test]
    fn a_store_that_does_not_fit_its_path_is_a_mistake() {
        check(
            &[("store", "file")],
            Err(&["checkpoint.path: is missing; give a path"]),
        );
        check(
            &[("store", "file"), ("path", "")],
            Err(&["checkpoint.path: is empty; name a directory"]),
        );
        check(
            &[("store", "memory"), ("path", "/p")],
            Err(&["checkpoint.path: is for store = \"file\"; memory keeps nothing there"]),
        );
        check(
            &[("store", "fiel"), ("path", "/p")],
            Err(&["checkpoint.store: unknown store; did you mean \"file\"?"]),
        );
    }

    #[test]
    fn interval_and_events_are_read_for_every_store() {
        let (config, mistakes) = read(&[
            ("interval", "250ms".into()),
            ("events", 7.into()),
            ("path", "/p".into()),
        ]);
        assert_eq!(mistakes, [""; 0]);
        assert_eq!(
            (config.cadence.interval.as_millis(), config.cadence.events),
            (250, 7)
        );
        let default = Config::default();
        assert_eq!(
            (default.cadence.interval.as_millis(), default.cadence.events),
            (1000, 1000)
        );
        let (_, mistakes) = read(&[("interval", "soon".into()), ("events", 0.into())]);
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    }

    #[test]
    fn the_kinds_have_names_of_their_own_in_order() {
        assert!(KINDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn every_error_says_what_to_do() {
        let path = PathBuf::from("/p");
        for (error, said) in [
            (
                CheckpointError::Locked {
                    path: path.clone(),
                    pid: Some(7),
                },
                "/p is in use by process 7; ",
            ),
            (
                CheckpointError::Locked {
                    path: path.clone(),
                    pid: None,
                },
                "/p is in use by another process; ",
            ),
            (
                CheckpointError::Damaged {
                    path,
                    reason: "is empty".into(),
                },
                "/p is empty; say where to go on with `dataverse-listener checkpoint set`",
            ),
        ] {
            assert!(error.to_string().starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_place_that_moves_is_no_checkpoint() {
        for (start, is_one) in [
            ("earliest", true),
            ("sequence:7", true),
            ("offset:70", true),
            ("time:2026-01-31T12:00:00Z", true),
            ("latest", false),
            ("-2h", false),
        ] {
            let start: StartPosition = start.parse().unwrap();
            assert_eq!(Checkpoint::try_from(start).is_ok(), is_one);
        }
    }
}
