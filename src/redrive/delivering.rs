//! The loop of a redrive: take a line, give it to the sink, and keep how far all is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::progress::{Mark, Progress};
use super::{Batch, Found, IN_FLIGHT, RedriveError, Summary, What, Workers};
use crate::ack::{Ticket, Window};
use crate::backoff::wait_until;
use crate::causes::Causes;
use crate::event::{Offset, Position, SequenceNumber};
use crate::message::Message;
use crate::shutdown::Shutdown;
use crate::sink::{Delivery, Receipt, Settled, Shipment, SinkHandle};

/// Progress is written at most so often, or after so many lines.
const INTERVAL: Duration = Duration::from_secs(1);
const LINES: u64 = 1000;

/// So many damaged lines are told one by one.
const TOLD: u64 = 100;

/// A file on its way to a sink.
pub(super) struct Delivering {
    batches: mpsc::Receiver<Batch>,
    batch: std::vec::IntoIter<Found>,
    /// False after the end of the file, and when nothing more shall be read.
    is_reading: bool,
    /// True once every line is read, up to an unfinished one.
    is_read: bool,
    window: Window,
    /// The place behind each line in the window.
    marks: VecDeque<Mark>,
    settle: mpsc::Sender<Settled>,
    settled: mpsc::Receiver<Settled>,
    progress: Arc<Progress>,
    /// The newest place not yet kept, and when to keep it.
    unsaved: Option<(Mark, Instant)>,
    /// How many lines were done when it was last kept, or that was tried.
    saved: u64,
    summary: Summary,
    /// Why nothing more can be read.
    error: Option<RedriveError>,
}

enum Turn {
    Settled,
    Found(Option<Result<Found, RedriveError>>),
    Save,
    Closed,
    Stopped,
    Expired,
}

impl Delivering {
    pub(super) fn new(
        batches: mpsc::Receiver<Batch>,
        progress: Progress,
        summary: Summary,
    ) -> Self {
        // As many tickets as there can be events in flight: reporting one never waits.
        let (settle, settled) = mpsc::channel(IN_FLIGHT.events);
        Self {
            batches,
            batch: Vec::new().into_iter(),
            is_reading: true,
            is_read: false,
            window: Window::new(IN_FLIGHT),
            marks: VecDeque::new(),
            settle,
            settled,
            progress: Arc::new(progress),
            unsaved: None,
            saved: summary.before,
            summary,
            error: None,
        }
    }

    /// Delivers until everything is done, or nothing more can be, or until `shutdown`; then lets the
    /// workers finish.
    pub(super) async fn run(
        mut self,
        sink: SinkHandle,
        workers: Workers,
        shutdown: &Shutdown,
    ) -> Result<Summary, RedriveError> {
        self.deliver(&sink, shutdown).await;
        let counts = Arc::clone(&sink.counts);
        // With the handle the queue closes: the worker finishes what it has, or is ended.
        drop(sink);
        let finished = finish(workers, shutdown).await;
        while let Ok(settled) = self.settled.try_recv() {
            self.settle(settled);
        }
        let saved = self.save().await;
        finished.and(saved).and(self.error.map_or(Ok(()), Err))?;
        Ok(Summary {
            delivered: counts.accepted(),
            refused: counts.dead_lettered(),
            is_complete: self.is_read && self.window.len() == 0,
            ..self.summary
        })
    }

    async fn deliver(&mut self, sink: &SinkHandle, shutdown: &Shutdown) {
        let expired = shutdown.expired();
        tokio::pin!(expired);
        let mut outcomes = Vec::new();
        while self.is_reading || !self.window.is_settled() {
            let due = self.unsaved.as_ref().map(|(_, due)| *due);
            let has_room = self.is_reading && self.window.has_room();
            let turn = tokio::select! {
                // Finish before starting.
                biased;
                _ = self.settled.recv_many(&mut outcomes, IN_FLIGHT.events) => Turn::Settled,
                () = &mut expired => Turn::Expired,
                () = shutdown.stopped(), if self.is_reading => Turn::Stopped,
                () = sink.closed.cancelled(), if self.is_reading => Turn::Closed,
                () = wait_until(due) => Turn::Save,
                found = next_found(&mut self.batches, &mut self.batch), if has_room => Turn::Found(found),
            };
            match turn {
                Turn::Settled => outcomes.drain(..).for_each(|settled| self.settle(settled)),
                Turn::Found(Some(Ok(found))) => self.begin(found, sink, shutdown).await,
                Turn::Found(Some(Err(error))) => {
                    self.error = Some(error);
                    self.stop_reading();
                }
                Turn::Found(None) => {
                    self.is_read = self.error.is_none();
                    self.stop_reading();
                }
                Turn::Closed => {
                    self.summary.is_closed = true;
                    self.stop_reading();
                }
                Turn::Stopped => self.stop_reading(),
                Turn::Expired => return,
                Turn::Save => {
                    if let Err(error) = self.save().await {
                        tracing::warn!(error = %Causes(&error), "progress not written");
                    }
                }
            }
        }
    }

    fn stop_reading(&mut self) {
        self.is_reading = false;
        self.batches.close();
    }

    async fn begin(&mut self, found: Found, sink: &SinkHandle, shutdown: &Shutdown) {
        self.summary.count(&found);
        let Found { line, what, mark } = found;
        let bytes = match &what {
            // It stays where it is, and so does the place before it.
            What::Unfinished => return,
            What::Chosen(dead) => dead.message.size(),
            What::LeftOut | What::Damaged(_) => 0,
        };
        let ticket = self.window.begin(position(&mark), bytes);
        self.marks.push_back(mark);
        match what {
            What::Chosen(dead) => self.send(dead.message, ticket, sink, shutdown).await,
            What::Damaged(reason) => {
                self.tell(line, &reason);
                self.settle(Settled::Accepted(ticket));
            }
            What::LeftOut | What::Unfinished => self.settle(Settled::Accepted(ticket)),
        }
    }

    async fn send(&self, message: Message, ticket: Ticket, sink: &SinkHandle, shutdown: &Shutdown) {
        let receipt = Receipt::new(1, ticket, self.settle.clone());
        let delivery = Delivery::new(Arc::new(Shipment { message, receipt }));
        tokio::select! {
            () = sink.send(delivery) => {}
            // What waits for room then is not delivered: the next attempt begins with it.
            () = shutdown.stopped() => {}
        }
    }

    fn tell(&self, line: u64, reason: &str) {
        if self.summary.damaged <= TOLD {
            tracing::warn!("line {line} {reason}; it is copied as it is");
        } else {
            tracing::debug!("line {line} {reason}; it is copied as it is");
        }
    }

    fn settle(&mut self, settled: Settled) {
        let done = match settled {
            Settled::Accepted(ticket) => self.window.complete(ticket),
            Settled::Abandoned(ticket) => {
                self.window.abandon(ticket);
                None
            }
        };
        let Some(done) = done else { return };
        let mut newest = None;
        while self
            .marks
            .front()
            .is_some_and(|mark| number(mark) <= done.sequence_number)
        {
            newest = self.marks.pop_front();
        }
        if let Some(mark) = newest {
            let now = Instant::now();
            let due = match self.unsaved.take() {
                _ if mark.lines.saturating_sub(self.saved) >= LINES => now,
                Some((_, due)) => due,
                None => now + INTERVAL,
            };
            self.unsaved = Some((mark, due));
        }
    }

    /// Keeps the newest place; one that cannot be kept is tried again later.
    async fn save(&mut self) -> Result<(), RedriveError> {
        let Some((mark, due)) = &mut self.unsaved else {
            return Ok(());
        };
        *due = Instant::now() + INTERVAL;
        self.saved = mark.lines;
        let (progress, mark) = (Arc::clone(&self.progress), mark.clone());
        let saving = tokio::task::spawn_blocking(move || progress.save(&mark));
        let saved = saving.await.unwrap_or_else(|error| Err(error.into()));
        saved.map_err(|source| RedriveError::Write {
            path: self.progress.path().to_owned(),
            source,
        })?;
        self.unsaved = None;
        Ok(())
    }
}

/// The place behind a line, as the window knows places.
fn position(mark: &Mark) -> Position {
    Position {
        sequence_number: number(mark),
        offset: Offset::new(&mark.bytes.to_string()),
    }
}

fn number(mark: &Mark) -> SequenceNumber {
    SequenceNumber(i64::try_from(mark.lines).unwrap_or(i64::MAX))
}

/// The next line; none at the end of the file. Dropped before it is ready, it has lost nothing.
async fn next_found(
    batches: &mut mpsc::Receiver<Batch>,
    batch: &mut std::vec::IntoIter<Found>,
) -> Option<Result<Found, RedriveError>> {
    loop {
        if let Some(found) = batch.next() {
            return Some(Ok(found));
        }
        match batches.recv().await? {
            Ok(next) => *batch = next.into_iter(),
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Waits for the workers until the grace period is over.
async fn finish(workers: Workers, shutdown: &Shutdown) -> Result<(), RedriveError> {
    let Workers { running, end } = workers;
    let ended = async {
        let mut outcome = Ok(());
        for (name, worker) in running {
            let ended = worker.await.map_err(RedriveError::Panicked);
            let ended = ended
                .and_then(|result| result.map_err(|source| RedriveError::Sink { name, source }));
            outcome = outcome.and(ended);
        }
        outcome
    };
    tokio::select! {
        outcome = ended => outcome,
        () = shutdown.expired() => {
            end.cancel();
            Ok(())
        }
    }
}
