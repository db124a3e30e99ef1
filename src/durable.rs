//! Small files that survive a crash and a full disk: replaced whole, or left as they were.
//!
//! What is to last is written beside its place, reaches the disk, and takes the place by a rename; then
//! the directory reaches the disk too.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown, fchown};
use std::path::{Path, PathBuf};

/// The mode of a file: its owner writes it, and the group may read it.
const FILE: u32 = 0o640;
/// The mode of a directory, likewise.
const DIRECTORY: u32 = 0o750;

/// What a file that is being written has behind its name.
pub(crate) const DRAFT: &str = ".new";

/// Replaces the file at `path`, or makes it. What fails leaves it as it was.
///
/// # Errors
/// When it cannot be written, or it is not certain that it would survive a crash.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Draft::write(path, bytes)?.publish()
}

/// The bytes of a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read; [`io::ErrorKind::FileTooLarge`] when there is more.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let reason = format!("it is larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}

/// The text of a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read, is no text, or is larger.
pub(crate) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|_| io::Error::other("it is not text in UTF-8"))
}

/// The new content of a file, on the disk and beside its place. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    draft: PathBuf,
}

impl Draft {
    /// Writes what shall be at `path`. Only one at a time can be written for a path.
    ///
    /// # Errors
    /// When it cannot be written; nothing is left of it then.
    pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let draft = Self {
            path: path.to_owned(),
            draft: beside(path, DRAFT),
        };
        // Never through what lies there, which may be a link to somewhere else.
        remove(&draft.draft)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE)
            .open(&draft.draft)?;
        file.write_all(bytes)?;
        give_to_owner_of(directory_of(path), &file.metadata()?, |user, group| {
            fchown(&file, user, group)
        })?;
        file.sync_all()?;
        Ok(draft)
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// When that fails, or it is not certain that it would survive a crash.
    pub(crate) fn publish(self) -> io::Result<()> {
        fs::rename(&self.draft, &self.path)?;
        sync_directory(directory_of(&self.path))
    }
}

impl Drop for Draft {
    /// After a rename there is nothing left to remove.
    fn drop(&mut self) {
        remove(&self.draft).ok();
    }
}

/// Removes a file; one that is not there is removed already.
///
/// # Errors
/// When it is still there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a directory in one that exists, where there is none yet, so that it survives a crash; true when
/// it was made.
///
/// # Errors
/// When it is not there afterwards.
pub(crate) fn create_directory(path: &Path) -> io::Result<bool> {
    let is_new = match DirBuilder::new().mode(DIRECTORY).create(path) {
        Ok(()) => true,
        Err(_) if path.is_dir() => false,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = directory_of(path).display();
            let reason = format!("{error}; make the directory {above} first");
            return Err(io::Error::new(error.kind(), reason));
        }
        Err(error) => return Err(error),
    };
    if is_new {
        give_to_owner_of(directory_of(path), &fs::metadata(path)?, |user, group| {
            chown(path, user, group)
        })?;
    }
    match sync_directory(directory_of(path)) {
        // Whoever made it in a place that is closed to us has seen to it.
        Err(error) if !is_new && error.kind() == io::ErrorKind::PermissionDenied => {}
        result => result?,
    }
    Ok(is_new)
}

/// Lets what was done to the names in a directory reach the disk.
///
/// # Errors
/// When that cannot be said.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network file systems cannot, and need not.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

/// The path of a file with more behind its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The directory that a file is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// What root makes belongs to whoever owns the directory: a daemon that runs as somebody else must be
/// able to read it.
fn give_to_owner_of(
    directory: &Path,
    made: &Metadata,
    chown: impl FnOnce(Option<u32>, Option<u32>) -> io::Result<()>,
) -> io::Result<()> {
    let owner = fs::metadata(directory)?;
    if made.uid() == 0 && owner.uid() != 0 {
        chown(Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_and_replaced_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for content in ["one", "two"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(folder.path()), ["file"]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, FILE);
    }

    #[test]
    fn a_draft_that_is_dropped_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"one").unwrap();
        drop(Draft::write(&path, b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_write_that_fails_leaves_the_file_and_works_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"one").unwrap();
        // Not even root can write where a directory is.
        let obstacle = beside(&path, DRAFT);
        fs::create_dir(&obstacle).unwrap();
        replace(&path, b"two").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        fs::remove_dir(&obstacle).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn a_link_in_the_way_of_a_draft_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("file"), folder.path().join("victim"));
        fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, beside(&path, DRAFT)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_file_is_read_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        assert_eq!(
            read(&path, 3).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }

    #[test]
    fn a_directory_is_made_once_and_only_in_one_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert!(create_directory(&path).unwrap());
        assert!(!create_directory(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, DIRECTORY);
        let error = create_directory(&path.join("b/c")).unwrap_err().to_string();
        let expected = format!("; make the directory {} first", path.join("b").display());
        assert!(error.ends_with(&expected), "{error}");
        fs::write(path.join("file"), "").unwrap();
        create_directory(&path.join("file")).unwrap_err();
    }
}
