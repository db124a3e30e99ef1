//! How far a dead-letter file has been redriven: a small file beside it, `FILE.redriven`.
//!
//! ```json
//! {"version": 1, "redriven": [{"sink": "crm", "lines": 120, "bytes": 81924, "sha256": "..."}]}
//! ```
//!
//! Each sink has an entry of its own, and so has each choice of lines. The digest is that of the lines
//! that are done: when they are others now, the position means nothing.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::durable;

/// A place behind a line of a file.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    /// The lines up to there.
    pub(super) lines: u64,
    /// The bytes up to there, uncompressed.
    pub(super) bytes: u64,
    /// The digest of these bytes.
    pub(super) digest: Sha256,
}

impl Mark {
    /// The digest as text.
    pub(super) fn sha256(&self) -> String {
        let mut text = String::new();
        for byte in self.digest.clone().finalize() {
            // Writing to a text cannot fail.
            write!(text, "{byte:02x}").ok();
        }
        text
    }
}

/// Which lines of a file go to which sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    /// The name of the sink.
    pub(super) sink: String,
    /// Only what this sink refused.
    pub(super) refused_by: Option<String>,
    /// Only what meets this condition, as it was written.
    pub(super) condition: Option<String>,
}

/// How far one [`Task`] has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    task: Task,
    /// The lines that are done.
    pub(super) lines: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Their digest.
    pub(super) sha256: String,
}

/// The file beside the dead-letter file.
#[derive(Debug)]
pub(super) struct Progress {
    path: PathBuf,
    task: Task,
    others: Vec<Done>,
}

/// No such file is larger, in bytes.
const LARGEST: u64 = 1 << 20;

/// The version of its form.
const VERSION: i64 = 1;

impl Progress {
    /// Reads how far `task` has come with `file`, where it has begun.
    ///
    /// # Errors
    /// When that is there and cannot be read: with the kind [`io::ErrorKind::InvalidData`] and the reason
    /// when it is damaged.
    pub(super) fn load(file: &Path, task: Task) -> io::Result<(Self, Option<Done>)> {
        let path = path_for(file);
        let all = match durable::read(&path, LARGEST) {
            Ok(bytes) => parse(&bytes)
                .map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (own, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|done| done.task == task);
        Ok((Self { path, task, others }, own.into_iter().next()))
    }

    /// Keeps that the task has come as far as `mark`.
    ///
    /// # Errors
    /// When it cannot be written; what was there before is there still.
    pub(super) fn save(&self, mark: &Mark) -> io::Result<()> {
        let own = Done {
            task: self.task.clone(),
            lines: mark.lines,
            bytes: mark.bytes,
            sha256: mark.sha256(),
        };
        let all: Vec<Value> = self
            .others
            .iter()
            .chain([&own])
            .map(Done::to_json)
            .collect();
        let text = format!("{}\n", json!({"version": VERSION, "redriven": all}));
        durable::replace(&self.path, text.as_bytes())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Where it is kept how far `file` has been redriven.
pub(super) fn path_for(file: &Path) -> PathBuf {
    durable::beside(file, ".redriven")
}

impl Done {
    fn to_json(&self) -> Value {
        json!({
            "sink": self.task.sink,
            "refused_by": self.task.refused_by,
            "where": self.task.condition,
            "lines": self.lines,
            "bytes": self.bytes,
            "sha256": self.sha256,
        })
    }

    fn read(value: &Value) -> Option<Self> {
        let optional = |name: &str| match value.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(text) => Some(Some(text.as_str()?.to_owned())),
        };
        Some(Self {
            task: Task {
                sink: value.get("sink")?.as_str()?.to_owned(),
                refused_by: optional("refused_by")?,
                condition: optional("where")?,
            },
            lines: value.get("lines")?.as_u64()?,
            bytes: value.get("bytes")?.as_u64()?,
            sha256: value.get("sha256")?.as_str()?.to_owned(),
        })
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Done>, String> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("is not JSON ({error})"))?;
    if document.get("version").and_then(Value::as_i64) != Some(VERSION) {
        return Err("is not of this version of the program".to_owned());
    }
    let entries = document.get("redriven").and_then(Value::as_array);
    entries
        .and_then(|entries| entries.iter().map(Done::read).collect())
        .ok_or_else(|| "has an entry that is not one".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn task(sink: &str, condition: Option<&str>) -> Task {
        Task {
            sink: sink.to_owned(),
            refused_by: None,
            condition: condition.map(str::to_owned),
        }
    }

    fn mark(lines: u64) -> Mark {
        Mark {
            lines,
            bytes: lines * 10,
            digest: Sha256::new_with_prefix(b"x"),
        }
    }

    #[test]
    fn every_task_has_a_position_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dead.ndjson");
        let tasks = [
            task("a", None),
            task("b", None),
            task("a", Some("table=account")),
        ];
        for (task, lines) in tasks.iter().zip([1, 2, 3]) {
            let (progress, done) = Progress::load(&file, task.clone()).unwrap();
            assert_eq!(done, None);
            progress.save(&mark(lines)).unwrap();
        }
        for (task, lines) in tasks.iter().zip([1, 2, 3]) {
            let done = Progress::load(&file, task.clone()).unwrap().1.unwrap();
            assert_eq!((done.lines, done.bytes), (lines, lines * 10));
            assert_eq!(done.sha256, mark(0).sha256());
        }
        assert_eq!(mark(0).sha256().len(), 64);
    }

    #[test]
    fn a_damaged_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dead.ndjson");
        for content in [
            "",
            "{",
            "[]",
            "{\"version\":2,\"redriven\":[]}",
            "{\"version\":1}",
            "{\"version\":1,\"redriven\":[{\"sink\":\"a\"}]}",
        ] {
            fs::write(path_for(&file), content).unwrap();
            let error = Progress::load(&file, task("a", None)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{content}");
        }
    }
}
