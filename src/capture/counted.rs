//! How far a file was read, told to whoever has given it away.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

/// How far a file was read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    position: Cell<u64>,
    is_at_end: Cell<bool>,
    failure: RefCell<Option<String>>,
}

impl Progress {
    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.position.get()
    }

    /// True when more was asked for than there is.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end.get()
    }

    /// Why it could not be read.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }
}

/// A file that tells how far it was read.
#[derive(Debug)]
pub(super) struct Counted<R> {
    file: R,
    progress: Rc<Progress>,
}

impl<R> Counted<R> {
    pub(super) fn new(file: R, progress: Rc<Progress>) -> Self {
        Self { file, progress }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer);
        match &read {
            Ok(0) if !buffer.is_empty() => self.progress.is_at_end.set(true),
            Ok(count) => {
                let position = self.progress.position.get() + *count as u64;
                self.progress.position.set(position);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                self.progress.failure.replace(Some(error.to_string()));
            }
        }
        read
    }
}
