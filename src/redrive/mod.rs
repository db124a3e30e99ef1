//! Dead letters delivered once more: from a file, in its order, to one sink, and on from where an earlier
//! attempt has stopped.
//!
//! A line is done when the sink has accepted it, or when it is in `FILE.refused`. How far all lines are
//! done without a hole is kept in `FILE.redriven`. `FILE` itself is never changed.

mod dead_letter;
mod delivering;
mod lines;
mod progress;
mod reader;
mod refusals;
#[cfg(test)]
mod tests;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::ack::Limit;
use crate::decoder::Decoder;
use crate::shutdown::Shutdown;
use crate::sink::{self, OnRefusal, Orders, QueueLimit, SinkHandle, SinkWorker};
use delivering::Delivering;
use progress::{Progress, Task};
use reader::Reader;
use refusals::Refusals;

pub(crate) use reader::{Choice, Condition, Found, What};

/// What may be read and not yet delivered.
const IN_FLIGHT: Limit = Limit {
    events: 2048,
    bytes: 4 << 20,
};

/// A file to be delivered once more.
#[derive(Debug)]
pub(crate) struct Redrive {
    /// The dead-letter file: NDJSON, or an archive of it.
    pub file: PathBuf,
    /// Where to deliver.
    pub sink: sink::Config,
    /// Which of its lines.
    pub choice: Choice,
    /// How bodies are decoded.
    pub decode: Decoder,
}

/// What became of the lines of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Lines that an earlier attempt had done.
    pub before: u64,
    /// Events that the sink accepted.
    pub delivered: u64,
    /// Events that it refused, and that are in `FILE.refused`.
    pub refused: u64,
    /// Lines that are no dead letters, likewise.
    pub damaged: u64,
    /// Lines that are not meant.
    pub left_out: u64,
    /// The number of the last line, where it is not at its end.
    pub unfinished: Option<u64>,
    /// True when every line is done, up to an unfinished one.
    pub is_complete: bool,
    /// True when the sink closed: nobody reads its output any more.
    pub is_closed: bool,
}

/// Why a file was not delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedriveError {
    /// It cannot be opened, or not be read any further.
    #[error("{} cannot be read from line {line} on", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The first line that was not read.
        line: u64,
        /// What the system or the decompression said.
        source: io::Error,
    },
    /// Another process is at it.
    #[error("{} is being redriven by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// What is kept of an earlier attempt is of other lines.
    #[error(
        "the first {lines} lines of {} are not those that were redriven; remove {} to begin at its \
         first line",
        path.display(), progress::path_for(path).display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The lines that were done.
        lines: u64,
    },
    /// It cannot be known how far an earlier attempt came.
    #[error("{} cannot be used; remove it to begin at the first line", path.display())]
    Progress {
        /// The file beside.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A file beside cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file beside.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sink cannot be opened, or has failed.
    #[error("sink \"{name}\" cannot be used")]
    Sink {
        /// Its name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A task ended in a panic: a fault of this program.
    #[error("internal error")]
    Panicked(#[source] JoinError),
}

/// What delivers, and what must end before it is certain what was delivered.
struct Workers {
    running: Vec<(String, SinkWorker)>,
    /// Ends them where they stand.
    end: CancellationToken,
}

impl Redrive {
    /// Looks at every line that is not done yet, and does nothing. Blocks.
    ///
    /// # Errors
    /// When the file, or how far it is done, cannot be read.
    pub(crate) fn rehearse(
        self,
        mut each: impl FnMut(&Found) -> io::Result<()>,
    ) -> Result<Summary, RedriveError> {
        let task = self.task();
        let file = File::open(&self.file).map_err(|source| unreadable(&self.file, source))?;
        let (mut reader, _, mut summary) =
            open(&self.file, file, task, self.choice, self.decode, None)?;
        while let Some(found) = reader.next()? {
            summary.count(&found);
            summary.delivered += u64::from(matches!(found.what, What::Chosen(_)));
            // A reader that has seen enough does not change what would be done.
            each(&found).ok();
        }
        summary.is_complete = true;
        Ok(summary)
    }

    /// Delivers every line that is not done yet, until the end of the file or until `shutdown`.
    ///
    /// # Errors
    /// When the file cannot be read any further, when the files beside it cannot be written, or when the
    /// sink cannot be opened or fails for good. What was delivered until then is kept.
    pub(crate) async fn run(self, shutdown: &Shutdown) -> Result<Summary, RedriveError> {
        let refusals = Refusals::beside(&self.file);
        let (path, task, choice) = (self.file.clone(), self.task(), self.choice);
        let decode = self.decode.clone();
        let (lock, file) = lock(&path)?;
        let opening = {
            let refusals = refusals.clone();
            tokio::task::spawn_blocking(move || {
                open(&path, file, task, choice, decode, Some(refusals))
            })
        };
        let (reader, progress, summary) = opening.await.map_err(RedriveError::Panicked)??;
        let end = shutdown.force_token().child_token();
        let orders = Orders {
            force: end,
            reopen: shutdown.reopen(),
        };
        let (sink, workers) = start(self.sink, refusals, &self.file, orders)?;
        let delivering = Delivering::new(read_ahead(reader), progress, summary);
        let outcome = delivering.run(sink, workers, shutdown).await;
        drop(lock);
        outcome
    }

    fn task(&self) -> Task {
        let condition = self.choice.condition.as_ref();
        Task {
            sink: self.sink.name.clone(),
            refused_by: self.choice.refused_by.clone(),
            condition: condition.map(|condition| condition.text.clone()),
        }
    }
}

impl Summary {
    fn count(&mut self, found: &Found) {
        match &found.what {
            What::Chosen(_) => {}
            What::LeftOut => self.left_out += 1,
            What::Damaged(_) => self.damaged += 1,
            What::Unfinished => self.unfinished = Some(found.line),
        }
    }
}

/// A file that is locked until this is dropped, whoever else has it open: a lock of the system lasts until the last
/// copy of its descriptor is closed, and a thread may still read.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it, which comes next, does the same where nobody else has it.
        self.0.unlock().ok();
    }
}

/// The file, locked for as long as the first of these is held. Only one at a time: two would deliver
/// twice, and each would write over the other's progress.
fn lock(path: &Path) -> Result<(Lock, File), RedriveError> {
    let opened = File::open(path).and_then(|lock| Ok((lock.try_clone()?, lock)));
    let (file, lock) = opened.map_err(|source| unreadable(path, source))?;
    match lock.try_lock() {
        Ok(()) => Ok((Lock(lock), file)),
        Err(TryLockError::WouldBlock) => Err(RedriveError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(unreadable(path, source)),
    }
}

fn unreadable(path: &Path, source: io::Error) -> RedriveError {
    RedriveError::Read {
        path: path.to_owned(),
        line: 1,
        source,
    }
}

fn open(
    path: &Path,
    file: File,
    task: Task,
    choice: Choice,
    decode: Decoder,
    refusals: Option<Refusals>,
) -> Result<(Reader, Progress, Summary), RedriveError> {
    let (progress, done) = Progress::load(path, task).map_err(|source| RedriveError::Progress {
        path: progress::path_for(path),
        source,
    })?;
    let reader = Reader::open(path, file, done.as_ref(), choice, decode, refusals)?;
    let summary = Summary {
        before: done.map_or(0, |done| done.lines),
        ..Summary::default()
    };
    Ok((reader, progress, summary))
}

/// Starts the sink, with a sink behind it for what it refuses.
fn start(
    config: sink::Config,
    refusals: Refusals,
    file: &Path,
    orders: Orders,
) -> Result<(SinkHandle, Workers), RedriveError> {
    let end = orders.force.clone();
    let beside = refusals::path_for(file).display().to_string();
    let (refused, queue) = sink::queue(
        &beside,
        QueueLimit::default(),
        OnRefusal::Hold,
        orders.clone(),
    );
    let writer = sink::spawn(refusals, queue);
    let on_refusal = OnRefusal::DeadLetter(refused);
    let (handle, queue) = sink::queue(&config.name, config.queue, on_refusal, orders);
    let worker = config
        .kind
        .start(queue)
        .map_err(|source| RedriveError::Sink {
            name: config.name.clone(),
            source,
        })?;
    let running = vec![(config.name, worker), (beside, writer)];
    Ok((handle, Workers { running, end }))
}

/// Lines are read ahead in batches of so many, or of so many bytes of events.
const BATCH_LINES: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

type Batch = Result<Vec<Found>, RedriveError>;

/// Reads and decodes on a thread of its own, one batch ahead.
fn read_ahead(mut reader: Reader) -> mpsc::Receiver<Batch> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        loop {
            let (batch, is_last) = match read_batch(&mut reader) {
                Ok(batch) => (Ok(batch.0), batch.1),
                Err((batch, error)) => {
                    // What came before is delivered all the same.
                    if sender.blocking_send(Ok(batch)).is_err() {
                        return;
                    }
                    (Err(error), true)
                }
            };
            // Nobody wants more once somebody has asked to stop.
            if sender.blocking_send(batch).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

/// The next lines, and whether they are the last.
fn read_batch(reader: &mut Reader) -> Result<(Vec<Found>, bool), (Vec<Found>, RedriveError)> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_LINES && bytes < BATCH_BYTES {
        match reader.next() {
            Ok(Some(found)) => {
                if let What::Chosen(dead) = &found.what {
                    bytes += dead.message.size();
                }
                batch.push(found);
            }
            Ok(None) => return Ok((batch, true)),
            Err(error) => return Err((batch, error)),
        }
    }
    Ok((batch, false))
}
