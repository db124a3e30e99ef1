//! All files of a sink: which are open, and the batch under way.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::line;
use super::now::Now;
use super::output::{Output, Rules};
use super::path::PathTemplate;
use super::recent::Recent;
use super::root::Root;
use super::settings::{Config, Fsync};
use crate::sink::body::{Body, BodyError};
use crate::sink::delivery::Delivery;

/// All files of a sink.
#[derive(Debug)]
pub(super) struct Files {
    template: PathTemplate,
    /// The path of every message, where there is only one.
    constant: Option<Arc<str>>,
    body: Body,
    rules: Rules,
    open_files: usize,
    outputs: HashMap<Arc<str>, Output>,
    recent: Recent,
    /// Of each message of the batch under way, the file that it belongs to.
    batch: VecDeque<Arc<str>>,
    /// A path that is being made, kept for its room.
    path: String,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
    uses: u64,
    looked: Instant,
    synced: Instant,
    /// The files whose archives are to be looked after.
    archived: Vec<Arc<str>>,
}

/// About so many bytes of lines are rendered before they are written.
const PIECE: usize = 1 << 20;

/// So many buffers are kept for the next batch.
const SPARE: usize = 4;

/// How often every open file is looked at, whether something is to be written to it or not.
const LOOK: Duration = Duration::from_secs(1);

/// Far longer than logrotate takes from the rename to the new file, and short enough to hold nothing up.
const GRACE: Duration = Duration::from_millis(100);

impl Files {
    pub(super) fn new(config: &Config, root: Root, now: Now) -> Self {
        Self {
            constant: config.path.constant().map(Arc::from),
            template: config.path.clone(),
            body: config.body,
            rules: Rules {
                root,
                fsync: config.fsync,
                rotation: config.rotation,
                grace: GRACE,
            },
            open_files: config.open_files.get(),
            outputs: HashMap::new(),
            recent: Recent::new(config.rewrite_window, config.rewrite_bytes),
            batch: VecDeque::new(),
            path: String::new(),
            spare: Vec::new(),
            uses: 0,
            looked: now.instant,
            synced: now.instant,
            archived: Vec::new(),
        }
    }

    /// Opens the file that every message belongs to, where there is only one.
    ///
    /// # Errors
    /// When it cannot be opened or repaired.
    pub(super) fn open_constant(&mut self) -> io::Result<()> {
        let Some(path) = self.constant.clone() else {
            return Ok(());
        };
        let opened =
            output(&mut self.outputs, &path, &self.rules).open(&self.rules, &mut self.recent);
        self.note(&path);
        opened
    }

    /// Renders a batch: as many of the `messages` as make a piece, up to one that has no such form. Where
    /// a batch is under way, `messages` begins with what is left of it, and nothing is rendered.
    ///
    /// # Errors
    /// When already the first message has no such form.
    pub(super) fn render(&mut self, messages: &[Delivery]) -> Result<(), BodyError> {
        if !self.batch.is_empty() {
            return Ok(());
        }
        self.uses += 1;
        let mut bytes = 0;
        for delivery in messages {
            let path = self.path_of(delivery);
            match self.render_one(&path, delivery) {
                Ok(length) => bytes += length,
                Err(error) if self.batch.is_empty() => return Err(error),
                Err(_) => break,
            }
            self.batch.push_back(path);
            if bytes >= PIECE {
                break;
            }
        }
        Ok(())
    }

    /// The key of the file that a message belongs to.
    fn path_of(&mut self, delivery: &Delivery) -> Arc<str> {
        if let Some(path) = &self.constant {
            return Arc::clone(path);
        }
        self.template.render(delivery.message(), &mut self.path);
        match self.outputs.get_key_value(self.path.as_str()) {
            Some((path, _)) => Arc::clone(path),
            None => Arc::from(self.path.as_str()),
        }
    }

    /// Appends the line of a message to what is rendered for its file; its length.
    fn render_one(&mut self, path: &Arc<str>, delivery: &Delivery) -> Result<usize, BodyError> {
        let output = output(&mut self.outputs, path, &self.rules);
        output.used = self.uses;
        if output.rendered.capacity() == 0 {
            output.rendered = self.spare.pop().unwrap_or_default();
        }
        let before = output.rendered.len();
        line::render(self.body, delivery, &mut output.rendered)?;
        Ok(output.rendered.len() - before)
    }

    /// Writes what waits, and makes it safe as far as the rules want that. Gives how many messages of the
    /// batch under way are accepted, from the first on, and the first thing that could not be done.
    pub(super) fn write(&mut self, now: Now) -> (usize, io::Result<()>) {
        let is_time = now.instant.saturating_duration_since(self.looked) >= LOOK;
        let mut first = First::default();
        if is_time {
            first.note(self.look(now));
        }
        first.note(self.write_waiting(now));
        let is_safe = |path: &Arc<str>| self.outputs.get(path).is_none_or(Output::is_safe);
        let accepted = self.batch.iter().take_while(|path| is_safe(path)).count();
        self.batch.drain(..accepted);
        (accepted, first.into())
    }

    /// Looks after what time brings: files that were moved, truncated or deleted, periods that are over,
    /// what is to be made safe.
    ///
    /// # Errors
    /// The first thing that could not be done.
    pub(super) fn tend(&mut self, now: Now) -> io::Result<()> {
        let mut first = First::default();
        first.note(self.look(now));
        first.note(self.write_waiting(now));
        first.into()
    }

    /// Closes every file; the next write opens it anew.
    ///
    /// # Errors
    /// When something that was accepted may not be safe.
    pub(super) fn close(&mut self, now: Now) -> io::Result<()> {
        let mut first = First::default();
        first.note(self.tend(now));
        for path in self.paths(Output::is_open) {
            first.note(self.close_one(&path, now));
        }
        self.forget_closed();
        first.into()
    }

    /// The files whose archives are to be looked after, since this was last asked.
    pub(super) fn take_archived(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.archived)
    }

    /// Gives whoever moves a file away so long to make a new one.
    #[cfg(test)]
    pub(super) fn set_grace(&mut self, grace: Duration) {
        self.rules.grace = grace;
    }

    /// True when everything that was written is safe.
    #[cfg(test)]
    pub(super) fn is_synced(&self) -> bool {
        !self.outputs.values().any(Output::is_dirty)
    }

    fn look(&mut self, now: Now) -> io::Result<()> {
        self.looked = now.instant;
        let mut first = First::default();
        for path in self.paths(Output::is_open) {
            let output = output(&mut self.outputs, &path, &self.rules);
            let looked = output
                .look(&self.rules, &mut self.recent)
                .and_then(|_| output.rotate(&self.rules, &mut self.recent, now));
            first.note(looked.map(drop));
            self.note(&path);
        }
        // Before anything is forgotten that could not be made safe.
        first.note(self.sync_by_interval(now));
        for path in self.recent.due(now.instant) {
            let output = output(&mut self.outputs, &path, &self.rules);
            if !output.is_open() {
                first.note(output.look_at_closed(&mut self.recent));
            }
        }
        if first.0.is_none() {
            self.recent.expire(now.instant);
        }
        first.into()
    }

    /// Writes what waits for any file and, where that is wanted, makes it safe.
    fn write_waiting(&mut self, now: Now) -> io::Result<()> {
        let waiting = self.paths(|output| !output.is_safe());
        let mut first = First::default();
        // So many can be open at once.
        for paths in waiting.chunks(self.open_files) {
            let mut written = Vec::with_capacity(paths.len());
            for path in paths {
                match self.write_one(path, now) {
                    Ok(()) => written.push(path),
                    Err(error) => first.note(Err(error)),
                }
            }
            // All are written before the first is made safe: the file system does much of it at once.
            for path in written {
                first.note(self.settle(path, now));
            }
        }
        first.note(self.sync_by_interval(now));
        self.forget_closed();
        first.into()
    }

    fn write_one(&mut self, path: &Arc<str>, now: Now) -> io::Result<()> {
        self.make_room_for(path, now)?;
        let output = output(&mut self.outputs, path, &self.rules);
        let written = output.write(&self.rules, &mut self.recent, now);
        self.note(path);
        written
    }

    /// Makes safe what was written, where it is not accepted before, and is done with it.
    fn settle(&mut self, path: &Arc<str>, now: Now) -> io::Result<()> {
        let output = output(&mut self.outputs, path, &self.rules);
        if self.rules.fsync == Fsync::Always {
            output.sync(&self.rules, &mut self.recent)?;
        }
        output.commit(&mut self.recent, now, &mut self.spare);
        self.spare
            .retain(|buffer| (1..=2 * PIECE).contains(&buffer.capacity()));
        self.spare.truncate(SPARE);
        Ok(())
    }

    fn sync_by_interval(&mut self, now: Now) -> io::Result<()> {
        let Fsync::Interval(interval) = self.rules.fsync else {
            return Ok(());
        };
        if now.instant.saturating_duration_since(self.synced) < interval {
            return Ok(());
        }
        self.synced = now.instant;
        let mut first = First::default();
        for path in self.paths(Output::is_dirty) {
            let output = output(&mut self.outputs, &path, &self.rules);
            first.note(output.sync(&self.rules, &mut self.recent));
        }
        first.into()
    }

    /// Closes the files that were not used for the longest time, until one more may be opened.
    fn make_room_for(&mut self, path: &Arc<str>, now: Now) -> io::Result<()> {
        let mut open = self.paths(Output::is_open);
        if open.len() < self.open_files || open.contains(path) {
            return Ok(());
        }
        open.sort_unstable_by_key(|path| self.outputs.get(path).map(|output| output.used));
        let mut first = First::default();
        for path in &open[..=open.len() - self.open_files] {
            first.note(self.close_one(path, now));
        }
        first.into()
    }

    fn close_one(&mut self, path: &Arc<str>, now: Now) -> io::Result<()> {
        let output = output(&mut self.outputs, path, &self.rules);
        let closed = output.close(&self.rules, &mut self.recent);
        if closed.is_ok() {
            output.commit(&mut self.recent, now, &mut self.spare);
        }
        closed
    }

    /// Notes where there may be archives to look after.
    fn note(&mut self, path: &Arc<str>) {
        let output = output(&mut self.outputs, path, &self.rules);
        if std::mem::take(&mut output.wants_upkeep) {
            self.archived.push(Arc::clone(path));
        }
    }

    fn paths(&self, is_meant: impl Fn(&Output) -> bool) -> Vec<Arc<str>> {
        let outputs = self.outputs.iter();
        outputs
            .filter(|(_, output)| is_meant(output))
            .map(|(path, _)| Arc::clone(path))
            .collect()
    }

    /// However many files there have been, only those count that something is still to be done with.
    fn forget_closed(&mut self) {
        let rules = &self.rules;
        self.outputs
            .retain(|_, output| output.is_open() || !output.is_safe() || output.is_awaited(rules));
    }
}

/// The first of several failures; what comes behind it is done all the same.
#[derive(Debug, Default)]
struct First(Option<io::Error>);

impl First {
    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.0.get_or_insert(error);
        }
    }
}

impl From<First> for io::Result<()> {
    fn from(first: First) -> Self {
        first.0.map_or(Ok(()), Err)
    }
}

/// The file with this key, which is made where there is none.
fn output<'a>(
    outputs: &'a mut HashMap<Arc<str>, Output>,
    path: &Arc<str>,
    rules: &Rules,
) -> &'a mut Output {
    outputs
        .entry(Arc::clone(path))
        .or_insert_with(|| Output::new(Arc::clone(path), &rules.root))
}
