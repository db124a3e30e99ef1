//! Checkpoints in files: a small JSON document for each partition, so that `cat` tells everything.
//!
//! ```text
//! DIRECTORY/.lock                                       held while the store is open
//! DIRECTORY/NAMESPACE/HUB/GROUP/PARTITION.json          the checkpoint
//! DIRECTORY/NAMESPACE/HUB/GROUP/PARTITION.json.previous the one before it
//! ```
//!
//! A file is replaced whole or not at all. One that is damaged all the same gives way to the one before
//! it, which lies never ahead: at worst events are delivered again. Where that does not help either, it
//! is an error: to begin somewhere else in silence would skip events.

mod slot;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use tokio::sync::Mutex as Turn;

use super::lock::Lock;
use super::{Checkpoint, CheckpointError, CheckpointStore, Entry, StoreConfig, name};
use crate::durable;
use crate::event::{PartitionId, Source};
use crate::settings::Settings;
use slot::Slot;

/// The settings of a store of type `file`: where it is.
#[derive(Debug)]
struct Directory(PathBuf);

pub(super) fn parse(settings: &mut Settings) -> Option<Arc<dyn StoreConfig>> {
    let path: PathBuf = settings.required("path")?;
    if path.as_os_str().is_empty() {
        settings.mistake("path", "is empty; name a directory");
        return None;
    }
    Some(Arc::new(Directory(path)))
}

impl StoreConfig for Directory {
    fn open(&self) -> Result<Box<dyn CheckpointStore>, CheckpointError> {
        Ok(Box::new(FileStore::open(&self.0)?))
    }

    fn check_free(&self) -> Result<(), CheckpointError> {
        Lock::check_free(&self.0)
    }

    fn list(&self) -> Result<Vec<Entry>, CheckpointError> {
        let mut slots: Vec<Slot> = find(&self.0)?
            .into_iter()
            .filter_map(|found| found.slot)
            .collect();
        slots.sort_by_cached_key(Slot::order);
        slots.dedup_by_key(|slot| slot.current());
        Ok(slots.into_iter().filter_map(Slot::into_entry).collect())
    }
}

/// The store, open and locked.
#[derive(Debug)]
struct FileStore {
    directory: PathBuf,
    /// One write at a time for each partition, in the order in which they were asked for, also where
    /// somebody did not wait for the one before.
    turns: Mutex<HashMap<PathBuf, Arc<Turn<()>>>>,
    _lock: Lock,
}

impl FileStore {
    fn open(directory: &Path) -> Result<Self, CheckpointError> {
        let unavailable = |error| CheckpointError::unavailable(directory, error);
        // Only in a place that exists: a volume that is not mounted must not look like a new beginning.
        if durable::create_directory(directory).map_err(unavailable)? {
            tracing::info!(path = %directory.display(), "directory for checkpoints made: no partition has one yet");
        }
        let lock = Lock::take(directory)?;
        for found in find(directory)? {
            if found.is_draft {
                durable::remove(&found.path)
                    .map_err(|error| CheckpointError::unavailable(&found.path, error))?;
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            turns: Mutex::default(),
            _lock: lock,
        })
    }

    /// Does something to the files of a partition where it does not hold up others.
    fn on_slot<'a, T: Send + 'static>(
        &'a self,
        source: &Source,
        partition: &PartitionId,
        work: impl FnOnce(&Slot) -> Result<T, CheckpointError> + Send + 'static,
    ) -> BoxFuture<'a, Result<T, CheckpointError>> {
        let slot = Slot::new(&self.directory, source, partition);
        async move {
            let path = slot.current();
            let turn = self.turn(&path).lock_owned().await;
            let working = tokio::task::spawn_blocking(move || {
                let done = work(&slot);
                drop(turn);
                done
            });
            working
                .await
                .unwrap_or_else(|error| Err(CheckpointError::unavailable(&path, error.into())))
        }
        .boxed()
    }

    fn turn(&self, path: &Path) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(path.to_owned()).or_default())
    }
}

impl CheckpointStore for FileStore {
    fn load<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
    ) -> BoxFuture<'a, Result<Option<Checkpoint>, CheckpointError>> {
        self.on_slot(source, partition, |slot| {
            let record = slot.load()?;
            Ok(record.map(|record| record.checkpoint))
        })
    }

    fn save<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'a, Result<(), CheckpointError>> {
        self.on_slot(source, partition, move |slot| {
            slot.save(
                checkpoint,
                OffsetDateTime::now_utc().truncate_to_millisecond(),
            )
        })
    }

    fn remove<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
    ) -> BoxFuture<'a, Result<(), CheckpointError>> {
        self.on_slot(source, partition, Slot::remove)
    }
}

/// A file where checkpoints are.
struct Found {
    path: PathBuf,
    /// The place that it belongs to; none where nobody here has named it so.
    slot: Option<Slot>,
    is_draft: bool,
}

/// The files where checkpoints are. What else is in the directory is none of ours.
fn find(directory: &Path) -> Result<Vec<Found>, CheckpointError> {
    let mut found = Vec::new();
    for (namespace, path) in children(directory)? {
        for (event_hub, path) in children(&path)? {
            for (consumer_group, path) in children(&path)? {
                let source = Source {
                    namespace: namespace.clone(),
                    event_hub: event_hub.clone(),
                    consumer_group,
                };
                let files = names(&path)?.into_iter();
                found.extend(files.map(|file| {
                    Found {
                        path: path.join(&file),
                        is_draft: slot::is_draft(&file),
                        slot: slot::partition_of(&file)
                            .map(|partition| Slot::new(directory, &source, &partition)),
                    }
                }));
            }
        }
    }
    Ok(found)
}

/// The directories in a directory that bear names of ours.
fn children(directory: &Path) -> Result<Vec<(String, PathBuf)>, CheckpointError> {
    let named = names(directory)?.into_iter();
    Ok(named
        .filter_map(|file| Some((name::read(&file)?, directory.join(file))))
        .filter(|(_, path)| path.is_dir())
        .collect())
}

/// The names in a directory; none where there is no directory.
fn names(directory: &Path) -> Result<Vec<String>, CheckpointError> {
    let unavailable = |error| CheckpointError::unavailable(directory, error);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unavailable)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(unavailable)?.file_name().into_string());
    }
    Ok(names)
}
