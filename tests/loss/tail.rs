//! Files that the daemon writes, read as they grow.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;

/// A file of JSON lines, and how far it was read.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    /// Where the last whole line ends.
    at: u64,
}

impl Tail {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, at: 0 }
    }

    /// The whole lines that were added. Half a line at the end is left: its rest may come, or it is cut
    /// off when the daemon starts again.
    pub(crate) fn read(&mut self) -> Vec<Value> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && self.at == 0 => return Vec::new(),
            Err(error) => panic!("{}: {error}", self.path.display()),
        };
        let length = file.metadata().unwrap().len();
        assert!(length >= self.at, "{} has lost lines", self.path.display());
        file.seek(SeekFrom::Start(self.at)).unwrap();
        let mut added = Vec::new();
        file.read_to_end(&mut added).unwrap();
        let end = added
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        self.at += end as u64;
        added[..end]
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| {
                serde_json::from_slice(line).unwrap_or_else(|error| {
                    let line = String::from_utf8_lossy(line);
                    panic!("{}: {error} in {line}", self.path.display())
                })
            })
            .collect()
    }

    /// Removes the file where everything in it was read and it is large. Only while no daemon runs.
    pub(crate) fn trim(&mut self) {
        const LARGE: u64 = 2 << 20;
        let length = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if length > LARGE && length == self.at {
            fs::remove_file(&self.path).unwrap();
            self.at = 0;
        }
    }
}
