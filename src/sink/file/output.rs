//! One file of a sink: the lines that wait for it, and the file while it is open.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::archiver;
use super::now::Now;
use super::open_file::{OpenFile, Partial, State, is_absent};
use super::recent::Recent;
use super::root::{Root, cannot};
use super::rotation::{Period, Rotation};
use super::settings::Fsync;

/// One file of a sink.
///
/// Its lines go this way: rendered, waiting, written (and maybe not safe), done with. Whatever happens to
/// the file on the way, they go back and are written again.
#[derive(Debug)]
pub(super) struct Output {
    path: Arc<str>,
    place: PathBuf,
    /// The lines of the batch under way, as far as they are rendered.
    pub rendered: Vec<u8>,
    /// Whole lines to be written; each text with one write.
    waiting: VecDeque<Vec<u8>>,
    /// Whole lines that were written and may have to be written again.
    written: Vec<Vec<u8>>,
    open: Option<OpenFile>,
    /// Where the last whole line that was written ends.
    end: u64,
    /// Bytes that were done with and are not known to be safe.
    unsafe_bytes: u64,
    /// When it was seen that somebody had moved the file away, until it is there again.
    moved: Option<Instant>,
    /// When something was last written to the open file.
    period: Option<Period>,
    /// Larger than that of files that were not used since.
    pub used: u64,
    /// True when there may be archives of it that nobody has looked after yet.
    pub wants_upkeep: bool,
}

/// What holds for all files of a sink.
#[derive(Debug)]
pub(super) struct Rules {
    pub root: Root,
    pub fsync: Fsync,
    pub rotation: Rotation,
    /// So long, whoever has moved a file away may take to make a new one in its place.
    pub grace: Duration,
}

/// What may be lost of that which was done with.
#[derive(Debug, Clone, Copy)]
enum Suspect {
    Nothing,
    /// What was written shortly before: whoever emptied the file may not have it.
    Recent,
    /// What was never made safe.
    Unsafe,
}

/// How often it is looked whether a file that was moved away has a successor.
const GLANCE: Duration = Duration::from_millis(1);

/// However often a file is taken away while it is written: so often in a row it is tried at once.
const ATTEMPTS: usize = 5;

impl Output {
    pub(super) fn new(path: Arc<str>, root: &Root) -> Self {
        Self {
            place: root.path(&path),
            path,
            rendered: Vec::new(),
            waiting: VecDeque::new(),
            written: Vec::new(),
            open: None,
            end: 0,
            unsafe_bytes: 0,
            moved: None,
            period: None,
            used: 0,
            wants_upkeep: false,
        }
    }

    /// True when every line it was given is safe, as far as the rules want it.
    pub(super) fn is_safe(&self) -> bool {
        self.rendered.is_empty() && self.waiting.is_empty() && self.written.is_empty()
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.open.as_ref().is_some_and(OpenFile::is_dirty)
    }

    /// Opens the file, which is not open, and repairs its end. Takes lines back as
    /// [`Output::look_at_closed`] does.
    ///
    /// # Errors
    /// When it cannot be opened or repaired.
    pub(super) fn open(&mut self, rules: &Rules, recent: &mut Recent) -> io::Result<()> {
        self.wait_for_successor(rules, recent);
        let (open, written_at) = OpenFile::open(&rules.root, &self.path)?;
        self.check_end(open.length(), recent);
        self.open = Some(open);
        self.moved = None;
        self.period = written_at.and_then(|time| rules.rotation.period(time));
        self.wants_upkeep = true;
        Ok(())
    }

    /// Lets whoever has moved the file away make the new one, where it is about to. logrotate's `create`
    /// would take one of ours for a stray one, and put it over the last stray one of the same hour.
    fn wait_for_successor(&self, rules: &Rules, recent: &Recent) {
        let since = match self.moved {
            Some(moved) => moved,
            None if recent.end(&self.path).is_some() => Instant::now(),
            None => return,
        };
        let is_missing = || fs::symlink_metadata(&self.place).is_err_and(|error| is_absent(&error));
        while since.elapsed() < rules.grace && is_missing() {
            thread::sleep(GLANCE);
        }
    }

    /// True while nothing is to be made in the place of the file, which was moved away.
    pub(super) fn is_awaited(&self, rules: &Rules) -> bool {
        self.moved
            .is_some_and(|moved| moved.elapsed() < rules.grace)
    }

    /// Writes all lines that wait. They are done with after [`Output::commit`].
    ///
    /// # Errors
    /// When not all of them were written; those that were not go on waiting.
    pub(super) fn write(&mut self, rules: &Rules, recent: &mut Recent, now: Now) -> io::Result<()> {
        let rendered = std::mem::take(&mut self.rendered);
        self.waiting
            .extend(Some(rendered).filter(|text| !text.is_empty()));
        for _ in 0..ATTEMPTS {
            self.look(rules, recent)?;
            if self.open.is_none() {
                self.open(rules, recent)?;
            }
            if self.rotate(rules, recent, now)? {
                self.open(rules, recent)?;
            }
            self.append()?;
            self.period = rules.rotation.period(now.utc);
            // Moved away, truncated or deleted in the middle of it: who did that may not have it all.
            if self.look(rules, recent)? {
                return Ok(());
            }
        }
        let error = io::Error::other("it is moved away or truncated again and again");
        Err(cannot("write", &self.place)(error))
    }

    fn append(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        while let Some(mut text) = self.waiting.pop_front() {
            let appended = open.append(&text);
            self.end = open.length();
            match appended {
                Ok(()) => self.written.push(text),
                Err(Partial { whole, error }) => {
                    self.waiting.push_front(text.split_off(whole));
                    self.written
                        .extend(Some(text).filter(|text| !text.is_empty()));
                    return Err(cannot("write", &self.place)(error));
                }
            }
        }
        Ok(())
    }

    /// Looks whether the file is where it was and has in it what was written; else takes the lines back
    /// that may be lost. False when it does not lie there any more, or something waits because of it.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(super) fn look(&mut self, rules: &Rules, recent: &mut Recent) -> io::Result<bool> {
        let Some(open) = &mut self.open else {
            return Ok(false);
        };
        match open
            .state(&self.place)
            .map_err(cannot("look at", &self.place))?
        {
            State::Whole => return Ok(true),
            // The half line in it is finished first.
            State::Moved if open.is_torn() => return Ok(true),
            State::Moved => {
                let suspect = if rules.fsync.is_wanted() && open.sync().is_err() {
                    Suspect::Unsafe
                } else {
                    Suspect::Nothing
                };
                self.take_back(recent, "the file was moved away", suspect);
                self.open = None;
                self.moved = Some(Instant::now());
            }
            State::Deleted => {
                self.take_back(recent, "the file was deleted", Suspect::Recent);
                self.open = None;
            }
            State::Truncated => self.take_back(recent, "the file was truncated", Suspect::Recent),
        }
        Ok(false)
    }

    /// Looks whether the file, which is not open, still has in it what was written shortly before it was
    /// closed; else takes the lines back that may be lost. One that was renamed meanwhile cannot be told
    /// from one that was deleted: its lines are written again as well.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(super) fn look_at_closed(&mut self, recent: &mut Recent) -> io::Result<()> {
        let length = match fs::symlink_metadata(&self.place) {
            Ok(there) => there.len(),
            Err(error) if is_absent(&error) => 0,
            Err(error) => return Err(cannot("look at", &self.place)(error)),
        };
        self.check_end(length, recent);
        Ok(())
    }

    fn check_end(&mut self, length: u64, recent: &mut Recent) {
        if recent.end(&self.path).is_some_and(|end| length < end) {
            let what = "the file was truncated, moved away or deleted while it was closed";
            self.take_back(recent, what, Suspect::Recent);
        }
    }

    /// Puts back to the waiting lines what was written and, where that is `suspect` too, what was written
    /// shortly before.
    fn take_back(&mut self, recent: &mut Recent, what: &'static str, suspect: Suspect) {
        let taken = recent.take(&self.path);
        let unsafe_bytes = std::mem::take(&mut self.unsafe_bytes);
        let remembered: usize = taken.texts.iter().map(Vec::len).sum();
        let mut again = match suspect {
            Suspect::Nothing => Vec::new(),
            Suspect::Recent | Suspect::Unsafe => taken.texts,
        };
        again.append(&mut self.written);
        let written_again: usize = again.iter().map(|text| lines(text)).sum();
        let file = self.place.display();
        match suspect {
            Suspect::Recent if taken.is_incomplete => {
                tracing::error!(%file, written_again, "{what}, and more was written shortly before than was remembered: a copy may lack lines; raise rewrite_bytes, or have it renamed instead");
            }
            Suspect::Unsafe if unsafe_bytes > remembered as u64 => {
                let bytes = unsafe_bytes - remembered as u64;
                tracing::error!(%file, bytes, written_again, "{what}, and not all that was accepted since it last was is remembered: lines may be lost; raise rewrite_bytes, lower fsync_interval, or use fsync = \"always\"");
            }
            _ => tracing::info!(%file, written_again, "{what}"),
        }
        again.extend(self.waiting.drain(..));
        self.waiting = again.into();
    }

    /// Makes the file an archive where it is time, and closes it; true when it did.
    ///
    /// # Errors
    /// When it cannot be made safe or renamed.
    pub(super) fn rotate(
        &mut self,
        rules: &Rules,
        recent: &mut Recent,
        now: Now,
    ) -> io::Result<bool> {
        let more: usize = self.waiting.iter().map(Vec::len).sum();
        let is_due = self.open.as_ref().is_some_and(|open| {
            rules
                .rotation
                .is_due(open.length(), self.period, more as u64, now.utc)
                && !open.is_torn()
        });
        if !is_due || !self.written.is_empty() {
            return Ok(false);
        }
        if rules.fsync.is_wanted() {
            self.sync(rules, recent)?;
        }
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        if let Some(open) = &self.open {
            archiver::put_away(&open.folder, name, now.utc)
                .map_err(cannot("make an archive of", &self.place))?;
        }
        self.open = None;
        // It is all in the archive, and the next file begins anew.
        recent.take(&self.path);
        self.wants_upkeep = true;
        Ok(true)
    }

    /// Makes safe what was written.
    ///
    /// # Errors
    /// When it may not be safe. The file is closed then, and what may be lost of it waits to be written
    /// again.
    pub(super) fn sync(&mut self, rules: &Rules, recent: &mut Recent) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let Err(error) = open.sync() else {
            self.unsafe_bytes = 0;
            return Ok(());
        };
        let written: usize = self.written.iter().map(Vec::len).sum();
        open.cut_back(written as u64);
        self.open = None;
        // What was accepted without being safe may be lost as well.
        let suspect = match rules.fsync {
            Fsync::Always => Suspect::Nothing,
            Fsync::Interval(_) | Fsync::Never => Suspect::Unsafe,
        };
        self.take_back(recent, "the file could not be made safe", suspect);
        Err(cannot("make safe", &self.place)(error))
    }

    /// Counts what was written as done with; `spare` gets the buffers.
    pub(super) fn commit(&mut self, recent: &mut Recent, now: Now, spare: &mut Vec<Vec<u8>>) {
        let is_dirty = self.is_dirty();
        for text in self.written.drain(..) {
            if is_dirty {
                self.unsafe_bytes += text.len() as u64;
            }
            spare.push(recent.push(&self.path, text, self.end, now.instant));
        }
    }

    /// Closes the file, and takes back what may be lost. One with half a line in it stays open.
    ///
    /// # Errors
    /// When what was written may not be safe.
    pub(super) fn close(&mut self, rules: &Rules, recent: &mut Recent) -> io::Result<()> {
        self.look(rules, recent)?;
        if rules.fsync.is_wanted() {
            self.sync(rules, recent)?;
        }
        self.open.take_if(|open| !open.is_torn());
        Ok(())
    }
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
