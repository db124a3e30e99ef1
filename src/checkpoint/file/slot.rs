//! The files of one partition: its checkpoint and the one before it, read and written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use time::OffsetDateTime;

use super::super::{Checkpoint, CheckpointError, Entry, Record, name};
use crate::durable::{self, Draft};
use crate::event::{PartitionId, Source};

/// No checkpoint is larger, in bytes.
const LARGEST: u64 = 64 << 10;

/// The version of the documents.
const VERSION: i64 = 1;

const CURRENT: &str = ".json";
const PREVIOUS: &str = ".previous";

/// The place of one partition.
#[derive(Debug)]
pub(super) struct Slot {
    source: Source,
    partition: PartitionId,
    directory: PathBuf,
}

impl Slot {
    pub(super) fn new(directory: &Path, source: &Source, partition: &PartitionId) -> Self {
        Self {
            source: source.clone(),
            partition: partition.clone(),
            directory: directory.to_owned(),
        }
    }

    /// The directories down to the file, from the top.
    fn directories(&self) -> [PathBuf; 3] {
        let namespace = self
            .directory
            .join(name::of_any_case(&self.source.namespace));
        let hub = namespace.join(name::of_any_case(&self.source.event_hub));
        let group = hub.join(name::of_any_case(&self.source.consumer_group));
        [namespace, hub, group]
    }

    pub(super) fn current(&self) -> PathBuf {
        let [_, _, group] = self.directories();
        let partition = name::of_partition(self.partition.as_str());
        durable::beside(&group.join(partition), CURRENT)
    }

    fn previous(&self) -> PathBuf {
        durable::beside(&self.current(), PREVIOUS)
    }

    /// The checkpoint, or the one before it where it is damaged or missing.
    pub(super) fn load(&self) -> Result<Option<Record>, CheckpointError> {
        let current = self.read(&self.current());
        let reason = match &current {
            Ok(None) => "is missing",
            Err(CheckpointError::Damaged { reason, .. }) => reason,
            _ => return current,
        };
        match (self.read(&self.previous()), &current) {
            (Ok(Some(previous)), _) => {
                tracing::warn!(
                    path = %self.current().display(), %reason, checkpoint = %previous.checkpoint,
                    "going on from the checkpoint before: some events are delivered again"
                );
                Ok(Some(previous))
            }
            // There was a checkpoint, though its file has gone.
            (Err(error), Ok(None)) => Err(error),
            _ => current,
        }
    }

    /// What one file holds; none where there is no file.
    fn read(&self, path: &Path) -> Result<Option<Record>, CheckpointError> {
        let damaged = |reason: String| CheckpointError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let bytes = match durable::read(path, LARGEST) {
            Ok(bytes) => bytes,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => return Ok(None),
                io::ErrorKind::FileTooLarge => {
                    return Err(damaged(format!("is larger than {LARGEST} bytes")));
                }
                io::ErrorKind::IsADirectory => return Err(damaged("is a directory".to_owned())),
                _ => return Err(CheckpointError::unavailable(path, error)),
            },
        };
        let record = parse_document(&bytes).map_err(damaged)?;
        if !record.is_of(&self.source, &self.partition) {
            return Err(damaged("is of another partition".to_owned()));
        }
        Ok(Some(record))
    }

    pub(super) fn save(
        &self,
        checkpoint: Checkpoint,
        now: OffsetDateTime,
    ) -> Result<(), CheckpointError> {
        let current = self.current();
        let unavailable = |error| CheckpointError::unavailable(&current, error);
        let document = Document(Record {
            source: self.source.clone(),
            partition: self.partition.clone(),
            checkpoint,
            updated: now,
        });
        let mut text = serde_json::to_vec(&document).map_err(|error| unavailable(error.into()))?;
        text.push(b'\n');
        if !current.exists() {
            for directory in self.directories() {
                durable::create_directory(&directory).map_err(unavailable)?;
            }
        }
        let draft = Draft::write(&current, &text).map_err(unavailable)?;
        self.keep_previous(&document.0.checkpoint)
            .map_err(unavailable)?;
        draft.publish().map_err(unavailable)
    }

    /// Keeps what is good now as the one before `next`, unless `next` lies behind it: then to fall back
    /// to it would skip what is between them. At no moment the partition is without a checkpoint.
    fn keep_previous(&self, next: &Checkpoint) -> io::Result<()> {
        let (current, previous) = (self.current(), self.previous());
        let is_before = |record: &Record| follows(next, &record.checkpoint);
        match self.read(&current) {
            Ok(Some(record)) if is_before(&record) => {
                durable::remove(&previous)?;
                match fs::hard_link(&current, &previous) {
                    // Not every file system has links, and without one it is as good as most.
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
                    result => result,
                }
            }
            Ok(Some(_)) => durable::remove(&previous),
            _ => match self.read(&previous) {
                Ok(Some(record)) if is_before(&record) => Ok(()),
                _ => durable::remove(&previous),
            },
        }
    }

    /// The previous one goes first: alone it would be taken for a checkpoint.
    pub(super) fn remove(&self) -> Result<(), CheckpointError> {
        for path in [self.previous(), self.current()] {
            durable::remove(&path).map_err(|error| CheckpointError::unavailable(&path, error))?;
        }
        let current = self.current();
        let group = durable::directory_of(&current);
        match durable::sync_directory(group) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CheckpointError::unavailable(group, error))
            }
            _ => Ok(()),
        }
    }

    /// By names, and partitions by their numbers.
    pub(super) fn order(&self) -> ([String; 3], u64, PartitionId) {
        let number = self.partition.as_str().parse().unwrap_or(u64::MAX);
        (self.source.folded(), number, self.partition.clone())
    }

    /// What is known of it; none where its files have gone since they were found.
    pub(super) fn into_entry(self) -> Option<Entry> {
        let found = self.load().transpose()?;
        Some(Entry {
            // As somebody wrote it, where that is known: the path knows small letters only.
            source: match &found {
                Ok(record) => record.source.clone(),
                Err(_) => self.source,
            },
            partition: self.partition,
            found,
        })
    }
}

/// True when `next` does not lie before `last`: what was delivered up to `next` was so up to `last`.
pub(super) fn follows(next: &Checkpoint, last: &Checkpoint) -> bool {
    match (next, last) {
        (Checkpoint::After(next), Checkpoint::After(last)) => {
            next.sequence_number >= last.sequence_number
        }
        (Checkpoint::After(_), Checkpoint::From(_)) => true,
        (Checkpoint::From(_), _) => false,
    }
}

/// A record with the version of its form, as a file holds it.
struct Document(Record);

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        self.0.serialize_members(&mut map)?;
        map.end()
    }
}

fn parse_document(bytes: &[u8]) -> Result<Record, String> {
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("is not JSON ({error})"))?;
    match value.get("version").and_then(Value::as_i64) {
        Some(VERSION) => Record::read(&value),
        Some(_) => Err("was written by another version of this program".to_owned()),
        None => Err("is not a checkpoint".to_owned()),
    }
}

/// The partition that a file is of; none where nobody here has named it so.
pub(super) fn partition_of(file: &str) -> Option<PartitionId> {
    let stem = file
        .strip_suffix(PREVIOUS)
        .unwrap_or(file)
        .strip_suffix(CURRENT)?;
    name::read(stem).map(|partition| PartitionId::new(&partition))
}

/// True of a file that somebody was about to write.
pub(super) fn is_draft(file: &str) -> bool {
    file.strip_suffix(durable::DRAFT)
        .is_some_and(|file| file.ends_with(CURRENT))
}
