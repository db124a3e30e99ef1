//! A dead-letter file as what is to be done with each of its lines.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::RedriveError;
use super::dead_letter::DeadLetter;
use super::lines::{LONGEST, Line, Lines};
use super::progress::{Done, Mark};
use super::refusals::{self, Refusals};
use crate::decoder::Decoder;
use crate::message::Message;

/// Which dead letters of a file are meant.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Only those that this sink refused, by its name.
    pub refused_by: Option<String>,
    /// Only those that meet this condition.
    pub condition: Option<Condition>,
}

/// A condition that a message meets or not.
pub(crate) struct Condition {
    pub(super) text: String,
    matches: Box<dyn Fn(&Message) -> bool + Send>,
}

impl Condition {
    /// What `text` says and `matches` decides.
    pub(crate) fn new(text: &str, matches: impl Fn(&Message) -> bool + Send + 'static) -> Self {
        Self {
            text: text.to_owned(),
            matches: Box::new(matches),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl Choice {
    fn includes(&self, dead: &DeadLetter) -> bool {
        let is_by = |wanted: &String| dead.sink.as_ref() == Some(wanted);
        self.refused_by.as_ref().is_none_or(is_by)
            && self
                .condition
                .as_ref()
                .is_none_or(|condition| (condition.matches)(&dead.message))
    }
}

/// One line, and what is to be done with it.
#[derive(Debug)]
pub(crate) struct Found {
    /// The number of the line, from 1 on.
    pub line: u64,
    /// What it is.
    pub what: What,
    /// The place behind it.
    pub(super) mark: Mark,
}

/// What a line is.
#[derive(Debug)]
pub(crate) enum What {
    /// A dead letter that is meant.
    Chosen(Box<DeadLetter>),
    /// One that is not meant, or nothing at all.
    LeftOut,
    /// No dead letter, and why. Where lines are delivered, it has been copied to the refused ones.
    Damaged(String),
    /// The last line, not at its end: somebody is still writing it, or it was torn.
    Unfinished,
}

/// Reads the lines of a file.
pub(super) struct Reader {
    path: PathBuf,
    lines: Lines,
    choice: Choice,
    decode: Decoder,
    /// Where damaged lines are copied to; none where that is not wanted.
    refusals: Option<Refusals>,
}

impl Reader {
    /// Opens the file behind what is done of it.
    pub(super) fn open(
        path: &Path,
        file: File,
        done: Option<&Done>,
        choice: Choice,
        decode: Decoder,
        refusals: Option<Refusals>,
    ) -> Result<Self, RedriveError> {
        let unreadable = |source| RedriveError::Read {
            path: path.to_owned(),
            line: 1,
            source,
        };
        let mut lines = Lines::open(path, file).map_err(unreadable)?;
        if let Some(done) = done {
            let is_long_enough = lines.skip(done.lines, done.bytes).map_err(unreadable)?;
            if !is_long_enough || lines.mark().sha256() != done.sha256 {
                return Err(RedriveError::Changed {
                    path: path.to_owned(),
                    lines: done.lines,
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            lines,
            choice,
            decode,
            refusals,
        })
    }

    /// The next line; none at the end. Blocks.
    pub(super) fn next(&mut self) -> Result<Option<Found>, RedriveError> {
        let line = self.lines.next().map_err(|source| RedriveError::Read {
            path: self.path.clone(),
            line: self.lines.mark().lines + 1,
            source,
        })?;
        let Some(line) = line else {
            return Ok(None);
        };
        let what = match line {
            Line::Whole(bytes) => match self.judge(&bytes) {
                Ok(what) => what,
                Err(reason) => self.damaged(&bytes, reason)?,
            },
            // What is whole without a line feed is whole.
            Line::Unended(bytes) => self.judge(&bytes).unwrap_or(What::Unfinished),
            Line::TooLong(bytes) => {
                self.damaged(&bytes, format!("is longer than {LONGEST} bytes"))?
            }
        };
        let mark = self.lines.mark();
        Ok(Some(Found {
            line: mark.lines,
            what,
            mark,
        }))
    }

    fn judge(&self, bytes: &[u8]) -> Result<What, String> {
        if bytes.trim_ascii().is_empty() {
            return Ok(What::LeftOut);
        }
        let dead = DeadLetter::read(bytes, &self.decode)?;
        Ok(match self.choice.includes(&dead) {
            true => What::Chosen(Box::new(dead)),
            false => What::LeftOut,
        })
    }

    /// Copies a line as it is, the rest of it included where it is too long.
    fn damaged(&mut self, bytes: &[u8], reason: String) -> Result<What, RedriveError> {
        let is_cut = bytes.len() as u64 > LONGEST;
        let lines = &mut self.lines;
        let copied = match &self.refusals {
            Some(refusals) => refusals.append(|write| {
                write(bytes)?;
                if is_cut { lines.rest(write) } else { Ok(()) }
            }),
            None if is_cut => lines.rest(|_| Ok(())),
            None => Ok(()),
        };
        copied.map_err(|source: io::Error| RedriveError::Write {
            path: refusals::path_for(&self.path),
            source,
        })?;
        Ok(What::Damaged(reason))
    }
}
