//! What a redrive could not deliver either: a dead-letter file again, `FILE.refused`.
//!
//! A line is on the disk before it counts as done, so that nothing is lost when `FILE` is deleted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::durable;
use crate::sink::{Body, Delivery, DeliveryError, Progress, Sink};

/// The file, which is made when there is something to write. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Refusals(Arc<Mutex<Appended>>);

#[derive(Debug)]
struct Appended {
    path: PathBuf,
    file: Option<File>,
}

impl Refusals {
    /// The file beside `file`; nothing is opened yet.
    pub(super) fn beside(file: &Path) -> Self {
        Self(Arc::new(Mutex::new(Appended {
            path: path_for(file),
            file: None,
        })))
    }

    /// Writes a line that `pieces` gives piece by piece, without its line feed. Blocks.
    ///
    /// # Errors
    /// When it cannot be written; nothing is left of it then.
    pub(super) fn append(
        &self,
        pieces: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut appended = self.lock();
        let mut file = appended.open()?;
        let before = file.metadata()?.len();
        let written = pieces(&mut |piece| file.write_all(piece))
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_data());
        if written.is_err() {
            // Where that fails too, the next line begins behind what is left.
            file.set_len(before).ok();
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, Appended> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where what `file` holds is written to when it is refused again.
pub(super) fn path_for(file: &Path) -> PathBuf {
    durable::beside(file, ".refused")
}

impl Appended {
    /// The file, ready for the beginning of a line.
    fn open(&mut self) -> io::Result<&File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = OpenOptions::new()
                    .read(true)
                    .append(true)
                    .create(true)
                    .mode(0o640)
                    .open(&self.path)?;
                durable::sync_directory(durable::directory_of(&self.path))?;
                file
            }
        };
        let file = self.file.insert(file);
        end_line(file)?;
        Ok(file)
    }
}

/// Ends a line that a crash cut short, so that the next one does not become a part of it. What it was to
/// say is written again: it did not count as done.
fn end_line(mut file: &File) -> io::Result<()> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else {
        return Ok(());
    };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    match byte {
        [b'\n'] => Ok(()),
        _ => file.write_all(b"\n"),
    }
}

/// Messages are rendered in pieces of about this many bytes.
const PIECE: usize = 1 << 20;

impl Sink for Refusals {
    async fn deliver(&mut self, messages: &[Delivery]) -> Progress {
        let (mut text, mut rendered) = (Vec::new(), 0);
        for delivery in messages {
            if let Err(error) = Body::Message.render(delivery, &mut text) {
                let error = DeliveryError::Failed(io::Error::other(error));
                return Progress {
                    accepted: 0,
                    error: Some(error),
                };
            }
            text.push(b'\n');
            rendered += 1;
            if text.len() >= PIECE {
                break;
            }
        }
        // Whatever is appended gets one.
        text.pop();
        let refusals = self.clone();
        let writing = tokio::task::spawn_blocking(move || refusals.append(|write| write(&text)));
        match writing.await.unwrap_or_else(|error| Err(error.into())) {
            Ok(()) => Progress {
                accepted: rendered,
                error: None,
            },
            Err(error) => Progress {
                accepted: 0,
                error: Some(DeliveryError::Unavailable(error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn append(refusals: &Refusals, line: &str) -> io::Result<()> {
        refusals.append(|write| {
            let (first, second) = line.split_at(line.len() / 2);
            write(first.as_bytes())?;
            write(second.as_bytes())
        })
    }

    #[test]
    fn nothing_is_made_before_there_is_something_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dead.ndjson");
        let refusals = Refusals::beside(&file);
        assert!(!path_for(&file).exists());
        append(&refusals, "one").unwrap();
        append(&refusals.clone(), "two").unwrap();
        assert_eq!(fs::read(path_for(&file)).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dead.ndjson");
        fs::write(path_for(&file), "one\ntw").unwrap();
        let refusals = Refusals::beside(&file);
        append(&refusals, "two").unwrap();
        refusals
            .append(|write| {
                write(b"thr")?;
                Err(io::Error::other("the disk is full"))
            })
            .unwrap_err();
        append(&refusals, "three").unwrap();
        let text = fs::read_to_string(path_for(&file)).unwrap();
        assert_eq!(text, "one\ntw\ntwo\nthree\n");
    }
}
