//! A file that is open for appending: how long it is, whether it is still where it was, and whether a line
//! in it is only half there.
//!
//! Everything is appended (`O_APPEND`): whoever truncates the file leaves no hole in it.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use time::OffsetDateTime;

use super::repair::cut_torn_line;
use super::root::{Folder, Opened, Root, cannot};
use crate::sink::write::write;

/// A file that is open for appending.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    /// Where its name is.
    pub folder: Folder,
    identity: (u64, u64),
    /// Where the last whole line ends.
    length: u64,
    /// How many bytes of the next line stand behind that, where they could not be cut off.
    torn: usize,
    /// True while its name is not safe.
    is_new: bool,
    /// True while something that was written is not safe.
    is_dirty: bool,
}

/// What became of a file since it was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is where it was, and has everything in it that was written.
    Whole,
    /// It is where it was, and something was taken out of it.
    Truncated,
    /// It has another name.
    Moved,
    /// It has no name any more.
    Deleted,
}

/// Where writing ended early.
#[derive(Debug)]
pub(super) struct Partial {
    /// Bytes of whole lines that were written.
    pub whole: usize,
    /// Why no more.
    pub error: io::Error,
}

impl OpenFile {
    /// Opens a file beneath the directory and cuts off half a line at its end. Gives also when something
    /// was last written to it; none where it is empty.
    ///
    /// # Errors
    /// When it cannot be opened, read or cut.
    pub(super) fn open(root: &Root, path: &str) -> io::Result<(Self, Option<OffsetDateTime>)> {
        let place = root.path(path);
        let Opened {
            file,
            folder,
            is_new,
        } = root.open(path).map_err(cannot("open", &place))?;
        let metadata = file.metadata()?;
        let cut =
            cut_torn_line(&file, metadata.len()).map_err(cannot("cut half a line off", &place))?;
        if cut > 0 {
            tracing::warn!(
                file = %place.display(),
                bytes = cut,
                "the file ended in half a line, which was never accepted: it is cut off and will be written again"
            );
        }
        let mut open = Self::new(file, folder, &metadata);
        open.length -= cut;
        open.is_new = is_new;
        open.is_dirty = cut > 0;
        let written = (open.length > 0).then(|| metadata.modified()).transpose()?;
        Ok((open, written.map(OffsetDateTime::from)))
    }

    fn new(file: File, folder: Folder, metadata: &Metadata) -> Self {
        Self {
            file,
            folder,
            identity: identity(metadata),
            length: metadata.len(),
            torn: 0,
            is_new: false,
            is_dirty: false,
        }
    }

    /// Where the last whole line ends.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// True when the next line is begun already.
    pub(super) fn is_torn(&self) -> bool {
        self.torn > 0
    }

    /// True while something of it is not safe.
    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty || self.is_new
    }

    /// Looks what became of it; `place` is where it was opened. Of a truncated one, half a line is cut off.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(super) fn state(&mut self, place: &Path) -> io::Result<State> {
        let there = match fs::symlink_metadata(place) {
            Ok(there) => Some(there).filter(|there| identity(there) == self.identity),
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(error),
        };
        let Some(there) = there else {
            return Ok(match self.file.metadata()?.nlink() {
                0 => State::Deleted,
                _ => State::Moved,
            });
        };
        let known = self.length + self.torn as u64;
        if there.len() == known {
            return Ok(State::Whole);
        }
        // Asked of the file itself, since of a name some file systems answer from memory.
        let length = self.file.metadata()?.len();
        if length == known {
            return Ok(State::Whole);
        }
        // Somebody else wrote to it, or truncated it: what was known of its end is void.
        self.torn = 0;
        self.length = length;
        if length > known {
            return Ok(State::Whole);
        }
        self.length -= cut_torn_line(&self.file, length)?;
        self.is_dirty = true;
        Ok(State::Truncated)
    }

    /// Appends whole lines; where the first of them is begun already, what is missing.
    ///
    /// # Errors
    /// When not all of it was written. What was begun is cut off again; where that cannot be, the next call
    /// goes on there.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), Partial> {
        let (count, result) = write(&mut self.file, &lines[self.torn..]);
        self.is_dirty |= count > 0;
        let reached = self.torn + count;
        let whole = lines[..reached]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        self.length += whole as u64;
        self.torn = reached - whole;
        result.map_err(|error| {
            self.cut_torn();
            Partial { whole, error }
        })
    }

    fn cut_torn(&mut self) {
        let is_ours = self.file.metadata().is_ok_and(|metadata| {
            metadata.is_file() && metadata.len() == self.length + self.torn as u64
        });
        if is_ours && self.file.set_len(self.length).is_ok() {
            self.torn = 0;
        }
    }

    /// Takes the last `bytes` out of it again, where nobody has written behind them.
    pub(super) fn cut_back(&mut self, bytes: u64) {
        let is_ours = self
            .file
            .metadata()
            .is_ok_and(|metadata| metadata.len() == self.length);
        if is_ours
            && !self.is_torn()
            && self.file.set_len(self.length.saturating_sub(bytes)).is_ok()
        {
            self.length = self.length.saturating_sub(bytes);
        }
    }

    /// Makes what was written safe, and its name where that is new.
    ///
    /// # Errors
    /// When the system cannot say that it is safe. Asking again would say so wrongly.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.is_dirty {
            self.file.sync_data()?;
            self.is_dirty = false;
        }
        if self.is_new {
            self.folder.sync()?;
            self.is_new = false;
        }
        Ok(())
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// True when the `error` says that there is nothing of that name.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;

    use tempfile::TempDir;

    use super::*;

    impl OpenFile {
        /// Something else in the place of a file.
        pub(in super::super) fn of(file: File, folder: &Path) -> Self {
            let (folder, _) = Root::new(folder.to_owned(), 0o640).folder_of("x").unwrap();
            let metadata = file.metadata().unwrap();
            Self::new(file, folder, &metadata)
        }
    }

    fn open(text: &str) -> (TempDir, OpenFile) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("f"), text).unwrap();
        let root = Root::new(folder.path().to_owned(), 0o640);
        let (open, _) = OpenFile::open(&root, "f").unwrap();
        (folder, open)
    }

    #[test]
    fn a_full_disk_takes_nothing_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let full = File::options().append(true).open("/dev/full").unwrap();
        let mut open = OpenFile::of(full, folder.path());
        let Partial { whole, error } = open.append(b"one\n").unwrap_err();
        assert_eq!((whole, error.kind()), (0, io::ErrorKind::StorageFull));
        assert_eq!((open.length(), open.is_torn()), (0, false));
    }

    #[test]
    fn half_a_line_that_was_written_is_cut_off_and_whole_ones_stay() {
        let (folder, mut open) = open("zero\n");
        // As if the disk had been full after ten bytes: the next line is begun.
        open.append(b"one\n").unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "zero\none\ntwo\nth").unwrap();
        (open.length, open.torn) = (13, 2);
        open.cut_torn();
        assert_eq!((open.length(), open.is_torn()), (13, false));
        assert_eq!(fs::read_to_string(&path).unwrap(), "zero\none\ntwo\n");
        // Not where somebody else has written behind it.
        fs::write(&path, "zero\none\ntwo\nthxxx").unwrap();
        open.torn = 2;
        open.cut_torn();
        assert!(open.is_torn());
        assert_eq!(fs::read_to_string(&path).unwrap(), "zero\none\ntwo\nthxxx");
    }

    #[test]
    fn half_a_line_that_cannot_be_cut_off_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let writer = File::from(OwnedFd::from(writer));
        // A pipe is full at some time, and cannot be made shorter.
        rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
        let mut open = OpenFile::of(writer, folder.path());
        let lines = format!("{}\n", "x".repeat(999)).repeat(100);
        let Partial { whole, .. } = open.append(lines.as_bytes()).unwrap_err();
        assert!(open.is_torn() && whole % 1000 == 0 && whole > 0, "{whole}");
        let mut seen = vec![0; whole + open.torn];
        reader.read_exact(&mut seen).unwrap();
        open.append(&lines.as_bytes()[whole..]).unwrap();
        assert!(!open.is_torn());
        drop(open);
        reader.read_to_end(&mut seen).unwrap();
        assert_eq!(seen, lines.as_bytes());
    }

    #[test]
    fn what_became_of_a_file_is_seen() {
        let check = |change: &dyn Fn(&Path), expected, left: &str| {
            let (folder, mut open) = open("one\ntwo\n");
            let path = folder.path().join("f");
            change(&path);
            assert_eq!(open.state(&path).unwrap(), expected);
            let is_there = matches!(expected, State::Whole | State::Truncated);
            if is_there {
                assert_eq!(open.length(), left.len() as u64);
                assert_eq!(fs::read_to_string(&path).unwrap(), left);
                assert_eq!(open.state(&path).unwrap(), State::Whole);
            }
        };
        let rename = |path: &Path| fs::rename(path, path.with_extension("1")).unwrap();
        check(&|_| {}, State::Whole, "one\ntwo\n");
        check(&|path| fs::write(path, "").unwrap(), State::Truncated, "");
        check(
            &|path| fs::write(path, "one\ntw").unwrap(),
            State::Truncated,
            "one\n",
        );
        check(
            &|path| fs::write(path, "one\ntwo\nthree\n").unwrap(),
            State::Whole,
            "one\ntwo\nthree\n",
        );
        check(&rename, State::Moved, "");
        check(&|path| fs::remove_file(path).unwrap(), State::Deleted, "");
        check(
            &|path| {
                rename(path);
                fs::write(path, "one\ntwo\n").unwrap();
            },
            State::Moved,
            "",
        );
        check(
            &|path| {
                fs::remove_file(path).unwrap();
                fs::write(path, "one\ntwo\n").unwrap();
            },
            State::Deleted,
            "",
        );
    }

    #[test]
    fn what_may_be_lost_is_taken_out_where_nobody_has_written_behind_it() {
        let (folder, mut open) = open("one\n");
        let path = folder.path().join("f");
        open.append(b"two\n").unwrap();
        open.cut_back(4);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        open.append(b"two\n").unwrap();
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        open.cut_back(4);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_name_is_made_safe_with_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path().to_owned(), 0o640);
        let (mut open, written) = OpenFile::open(&root, "f").unwrap();
        assert!(open.is_dirty() && written.is_none());
        open.sync().unwrap();
        assert!(!open.is_dirty());
        open.append(b"one\n").unwrap();
        assert!(open.is_dirty());
        open.sync().unwrap();
        assert!(!open.is_dirty());
        let (open, written) = OpenFile::open(&root, "f").unwrap();
        assert!(!open.is_dirty() && written.is_some());
    }
}
