//! Checkpoints in memory: they end with the process, which is right for debugging and for demonstrations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::{Checkpoint, CheckpointError, CheckpointStore, Entry, StoreConfig};
use crate::event::{PartitionId, Source};
use crate::settings::Settings;

/// The settings of a store of type `memory`: none.
#[derive(Debug)]
pub(super) struct Memory;

pub(super) fn parse(settings: &mut Settings) -> Option<Arc<dyn StoreConfig>> {
    if settings.optional::<String>("path").is_some() {
        settings.mistake(
            "path",
            "is for store = \"file\"; memory keeps nothing there",
        );
    }
    Some(Arc::new(Memory))
}

impl StoreConfig for Memory {
    fn open(&self) -> Result<Box<dyn CheckpointStore>, CheckpointError> {
        Ok(Box::new(Checkpoints::default()))
    }

    fn check_free(&self) -> Result<(), CheckpointError> {
        Err(CheckpointError::NotKept)
    }

    fn list(&self) -> Result<Vec<Entry>, CheckpointError> {
        Err(CheckpointError::NotKept)
    }
}

/// The checkpoint of every partition, by namespace, event hub, consumer group and partition.
#[derive(Debug, Default)]
struct Checkpoints(Mutex<HashMap<Key, Checkpoint>>);

impl Checkpoints {
    fn all(&self) -> MutexGuard<'_, HashMap<Key, Checkpoint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Key = ([String; 3], PartitionId);

fn key(source: &Source, partition: &PartitionId) -> Key {
    (source.folded(), partition.clone())
}

impl CheckpointStore for Checkpoints {
    fn load<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
    ) -> BoxFuture<'a, Result<Option<Checkpoint>, CheckpointError>> {
        ready(Ok(self.all().get(&key(source, partition)).cloned())).boxed()
    }

    fn save<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'a, Result<(), CheckpointError>> {
        self.all().insert(key(source, partition), checkpoint);
        ready(Ok(())).boxed()
    }

    fn remove<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
    ) -> BoxFuture<'a, Result<(), CheckpointError>> {
        self.all().remove(&key(source, partition));
        ready(Ok(())).boxed()
    }
}
