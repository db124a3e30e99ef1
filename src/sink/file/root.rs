//! The directory of a sink, and what lies beneath it. The directory itself may be reached over symbolic
//! links; beneath it none is followed, so that nobody who may write there leads the daemon elsewhere.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// The directory of a sink.
#[derive(Debug, Clone)]
pub(super) struct Root {
    directory: PathBuf,
    /// The mode of a file that is created.
    mode: u32,
}

/// A file to append to.
#[derive(Debug)]
pub(super) struct Opened {
    /// Open for appending, and for reading its end.
    pub file: File,
    /// The folder that it lies in.
    pub folder: Folder,
    /// True when it was not there before.
    pub is_new: bool,
}

/// A folder, wherever it may be moved to.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// What could not be done to which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
struct FileError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Names the file in an error about it.
pub(super) fn cannot(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    let path = path.to_owned();
    move |source| io::Error::new(source.kind(), FileError { what, path, source })
}

/// The mode of a directory that is created.
const FOLDER_MODE: u32 = 0o750;

/// Never waits, not even for a reader of a pipe that lies there instead of a file.
const APPENDING: OFlags = OFlags::RDWR
    .union(OFlags::APPEND)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Root {
    /// The directory at this absolute path; files in it will get this mode.
    pub(super) fn new(directory: PathBuf, mode: u32) -> Self {
        Self { directory, mode }
    }

    /// Where a file beneath it is.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.directory.join(relative)
    }

    /// Creates the directory where it is not there.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(super) fn create(&self) -> io::Result<()> {
        let missing: Vec<&Path> = self
            .directory
            .ancestors()
            .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.is_dir())
            .collect();
        for folder in missing.into_iter().rev() {
            create_folder(folder).map_err(cannot("create the directory", folder))?;
        }
        Ok(())
    }

    /// Opens the lock file of this name in the directory, creating it where it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open_lock(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.path(name), flags, Mode::from_raw_mode(0o600))?.into())
    }

    /// Opens the folder in which `relative` lies, creating it where it is not there, and gives the name
    /// that `relative` has in it.
    pub(super) fn folder_of<'a>(&self, relative: &'a str) -> io::Result<(Folder, &'a str)> {
        // Paths are made so that this cannot be; whoever relies on that looks twice.
        if relative
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."))
        {
            return Err(io::Error::other("it leaves the directory of the sink"));
        }
        self.create()?;
        let mut folder = Folder(rustix::fs::open(&self.directory, FOLDER, Mode::empty())?);
        let (folders, name) = relative.rsplit_once('/').unwrap_or(("", relative));
        for name in folders.split_terminator('/') {
            folder = folder.enter(name)?;
        }
        Ok((folder, name))
    }

    /// Opens a file for appending, with the folders above it; creates what is not there.
    ///
    /// # Errors
    /// When something on the way is not what it should be, or the system says no.
    pub(super) fn open(&self, relative: &str) -> io::Result<Opened> {
        let (folder, name) = self.folder_of(relative)?;
        let (file, is_new) = folder.open_or_create(name, self.mode)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(Opened {
            file,
            folder,
            is_new,
        })
    }
}

impl Folder {
    /// Opens the folder `name` in it, creating it where it is not there.
    fn enter(&self, name: &str) -> io::Result<Self> {
        let flags = FOLDER | OFlags::NOFOLLOW;
        let open = || rustix::fs::openat(&self.0, name, flags, Mode::empty());
        let folder = match open() {
            Err(Errno::NOENT) => {
                match rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(FOLDER_MODE)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                let folder = open()?;
                set_mode(&folder, Mode::from_raw_mode(FOLDER_MODE))?;
                self.sync()?;
                folder
            }
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(io::Error::other(
                    "a folder above it is a file or a symbolic link; links are not followed there",
                ));
            }
            opened => opened?,
        };
        Ok(Self(folder))
    }

    fn open_or_create(&self, name: &str, mode: u32) -> io::Result<(File, bool)> {
        const CREATING: OFlags = APPENDING.union(OFlags::CREATE).union(OFlags::EXCL);
        // Somebody else, logrotate for instance, may create or remove it in between.
        for _ in 0..10 {
            match rustix::fs::openat(&self.0, name, APPENDING, Mode::empty()) {
                Ok(file) => return Ok((file.into(), false)),
                Err(Errno::NOENT) => {}
                Err(Errno::LOOP) => {
                    return Err(io::Error::other(
                        "it is a symbolic link, which is not followed",
                    ));
                }
                Err(error) => return Err(error.into()),
            }
            let mode = Mode::from_raw_mode(mode);
            match rustix::fs::openat(&self.0, name, CREATING, mode) {
                Ok(file) => {
                    set_mode(&file, mode)?;
                    return Ok((file.into(), true));
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other(
            "it is created and removed again and again",
        ))
    }

    /// Opens a regular file in it for reading.
    ///
    /// # Errors
    /// When there is no such file.
    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Creates a file in it, in place of one that was there.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(super) fn create(&self, name: &str, mode: Mode) -> io::Result<File> {
        match rustix::fs::unlinkat(&self.0, name, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, mode)?;
        set_mode(&file, mode)?;
        Ok(file.into())
    }

    /// Gives a file in it another name.
    ///
    /// # Errors
    /// When the system says no.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file from it; one that is not there is removed.
    ///
    /// # Errors
    /// When the system says no.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the names in it safe.
    ///
    /// # Errors
    /// When the system says no.
    pub(super) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.0) {
            // Some network file systems do not sync folders, for they do so by themselves.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of the regular files in it, those that are no text left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let is_file = matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown);
            if let Some(name) = entry.file_name().to_str().ok().filter(|_| is_file) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

fn create_folder(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    set_mode(
        rustix::fs::open(path, FOLDER, Mode::empty())?,
        Mode::from_raw_mode(FOLDER_MODE),
    )?;
    // Who may not read the directory above cannot make the name safe either.
    match path
        .parent()
        .map(|above| rustix::fs::open(above, FOLDER, Mode::empty()))
    {
        Some(Ok(above)) => Folder(above).sync(),
        _ => Ok(()),
    }
}

/// Gives what was created the mode that was asked for, whatever the umask is; where the file system knows
/// modes.
fn set_mode(created: impl AsFd, mode: Mode) -> io::Result<()> {
    match rustix::fs::fchmod(created, mode) {
        Ok(()) | Err(Errno::PERM | Errno::NOTSUP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;

    fn root() -> (TempDir, Root) {
        let above = tempfile::tempdir().unwrap();
        let root = Root::new(above.path().join("a/b"), 0o646);
        (above, root)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_created_has_the_mode_that_was_asked_for() {
        let (above, root) = root();
        let opened = root.open("c/events.ndjson").unwrap();
        assert!(opened.is_new);
        assert_eq!(mode(&root.path("c/events.ndjson")), 0o646);
        for folder in ["a", "a/b", "a/b/c"] {
            assert_eq!(mode(&above.path().join(folder)), 0o750, "{folder}");
        }
        assert!(!root.open("c/events.ndjson").unwrap().is_new);
    }

    #[test]
    fn no_link_beneath_the_directory_is_followed() {
        let (above, root) = root();
        root.create().unwrap();
        let outside = above.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("target"), "kept").unwrap();
        symlink(outside.join("target"), root.path("link")).unwrap();
        symlink(outside.join("absent"), root.path("dangling")).unwrap();
        symlink(&outside, root.path("folder")).unwrap();
        for (path, reason) in [
            ("link", "it is a symbolic link, which is not followed"),
            ("dangling", "it is a symbolic link, which is not followed"),
            (
                "folder/target",
                "a folder above it is a file or a symbolic link; links are not followed there",
            ),
        ] {
            assert_eq!(root.open(path).unwrap_err().to_string(), reason, "{path}");
        }
        assert!(root.open_lock("link").is_err());
        assert_eq!(fs::read_to_string(outside.join("target")).unwrap(), "kept");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[test]
    fn the_directory_itself_may_be_a_link() {
        let (above, root) = root();
        root.create().unwrap();
        symlink(above.path().join("a"), above.path().join("link")).unwrap();
        let linked = Root::new(above.path().join("link/b"), 0o640);
        linked.open("events").unwrap().file.write_all(b"x").unwrap();
        assert_eq!(fs::read_to_string(root.path("events")).unwrap(), "x");
    }

    #[test]
    fn what_is_no_file_is_refused_without_waiting_for_anybody() {
        let (_above, root) = root();
        root.create().unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.path("pipe"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        fs::create_dir(root.path("folder")).unwrap();
        assert_eq!(
            root.open("pipe").unwrap_err().to_string(),
            "it is not a regular file"
        );
        assert!(root.open("folder").is_err());
        for outside in ["folder/../../x", "/etc/x", "..", ""] {
            let error = root.open(outside).unwrap_err().to_string();
            assert_eq!(error, "it leaves the directory of the sink", "{outside}");
        }
    }

    #[test]
    fn an_error_names_the_file() {
        let path = Path::new("/var/log/events.ndjson");
        let error = cannot("open", path)(io::ErrorKind::StorageFull.into());
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(
            crate::causes::Causes(&error).to_string(),
            "cannot open /var/log/events.ndjson: no storage space"
        );
    }
}
