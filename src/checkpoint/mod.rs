//! How far each partition has been delivered, and where that is kept.
//!
//! Only the partition loop moves a checkpoint: see [`crate::ack`] for when. If a partition is missing
//! from a store, none of its events has been delivered.

mod memory;

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::event::{PartitionId, Position, Source};
use crate::settings::{Mistake, Settings, unknown};

/// Keeps the last delivered position of each partition.
///
/// An implementation keeps and finds; when to write, and trying again, are the partition loop's.
pub(crate) trait CheckpointStore: Debug + Send + Sync {
    /// The last delivered event of a partition, or none where nothing was kept.
    fn load<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
    ) -> BoxFuture<'a, Result<Option<Position>, CheckpointError>>;

    /// Keeps `position` as the last delivered event of a partition.
    fn save<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
        position: Position,
    ) -> BoxFuture<'a, Result<(), CheckpointError>>;
}

/// Why a checkpoint was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    /// The store could not be reached or refused; trying again may help.
    #[expect(
        dead_code,
        reason = "memory cannot fail; the stores that can are to come"
    )]
    #[error("the checkpoint store is unavailable")]
    Unavailable(#[source] std::io::Error),
}

/// The `[checkpoint]` table as the daemon uses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    open: Open,
}

type Open = fn() -> Box<dyn CheckpointStore>;

/// Every kind of store. To add one: its file and its line here.
const KINDS: &[(&str, Open)] = &[("memory", || Box::new(memory::Memory::default()))];

impl Config {
    /// Reads the `[checkpoint]` table: `store = "memory"` where it is absent.
    pub(crate) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let store = settings.with_default("store", "memory".to_owned());
        let open = KINDS.iter().find(|(name, _)| *name == store);
        if open.is_none() {
            settings.mistake("store", unknown("store", &store, KINDS));
        }
        let (_, open) = open.unwrap_or(&KINDS[0]);
        (Self { open: *open }, settings.finish())
    }

    /// Opens the store.
    pub(crate) fn open(self) -> Box<dyn CheckpointStore> {
        (self.open)()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { open: KINDS[0].1 }
    }
}
