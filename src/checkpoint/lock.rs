//! One process at a time: a file that is locked for as long as its holder lives, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::CheckpointError;

/// The file that is locked. No name of a namespace begins so: see `name.rs`.
const FILE: &str = ".lock";

/// A lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    /// Never read: the lock goes with it.
    _file: File,
}

impl Lock {
    /// Takes the lock of a directory, and leaves word there of who has it.
    ///
    /// # Errors
    /// When another process has it, or its file cannot be written or locked.
    pub(super) fn take(directory: &Path) -> Result<Self, CheckpointError> {
        let path = &directory.join(FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(path)
            .map_err(|error| CheckpointError::unavailable(path, error))?;
        lock(&mut file, directory)?;
        // The lock is what counts; the number is a courtesy, which a full disk may prevent.
        let told = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = told {
            tracing::debug!(path = %path.display(), %error, "the process id was not written");
        }
        Ok(Self { _file: file })
    }

    /// Fails as [`Self::take`] would where another process has the lock, and changes nothing.
    ///
    /// # Errors
    /// When another process has it, or that cannot be found out.
    pub(super) fn check_free(directory: &Path) -> Result<(), CheckpointError> {
        let path = directory.join(FILE);
        match File::open(&path) {
            Ok(mut file) => lock(&mut file, directory),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(CheckpointError::unavailable(&path, error)),
        }
    }
}

fn lock(file: &mut File, directory: &Path) -> Result<(), CheckpointError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(CheckpointError::Locked {
            path: directory.to_owned(),
            pid: holder(file),
        }),
        Err(TryLockError::Error(error)) => {
            Err(CheckpointError::unavailable(&directory.join(FILE), error))
        }
    }
}

/// The process that has left word in the file.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_the_lock_and_the_other_hears_who() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        Lock::check_free(path).unwrap();
        assert!(!path.join(FILE).exists(), "looking makes nothing");
        let lock = Lock::take(path).unwrap();
        for refused in [Lock::take(path).map(drop), Lock::check_free(path)] {
            let Err(CheckpointError::Locked { pid, .. }) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(pid, Some(std::process::id()));
        }
        drop(lock);
        Lock::check_free(path).unwrap();
        Lock::take(path).unwrap();
    }

    #[test]
    fn a_file_without_a_number_hides_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        std::fs::write(folder.path().join(FILE), "somebody").unwrap();
        let refused = Lock::take(folder.path()).map(drop);
        assert!(
            matches!(refused, Err(CheckpointError::Locked { pid: None, .. })),
            "{refused:?}"
        );
        drop(lock);
    }
}
