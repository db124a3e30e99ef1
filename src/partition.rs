//! The loop: receive, decode, dispatch, complete, checkpoint; and the drain at the end.
//!
//! The only place that moves a checkpoint. Back-pressure is one idea: no room, no receive.

mod progress;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::ack::{Limit, Window};
use crate::backoff::{Backoff, wait_until};
use crate::budget::Budget;
use crate::checkpoint::{Cadence, CheckpointError, CheckpointStore};
use crate::decoder::Decoder;
use crate::dispatcher::{Dispatched, Dispatcher};
use crate::event::{Event, Position, Source};
use crate::message::Message;
use crate::receiver::{Receiver, ReceiverError};
use crate::replay::{Until, Within};
use crate::shutdown::Shutdown;
use crate::sink::{Receipt, Settled};
use crate::standing::{InFlight, Mark, Standing};
use crate::trace::Tracer;
use progress::Progress;

/// One partition of one event hub, from its receiver to its checkpoint.
pub(crate) struct Partition {
    source: Arc<Source>,
    receiver: Receiver,
    dispatcher: Arc<Dispatcher>,
    checkpoints: Arc<dyn CheckpointStore>,
    terms: Terms,
    window: Window<Place>,
    standing: Arc<Standing>,
    progress: Progress,
    /// The checkpoint that is being written.
    saving: Option<BoxFuture<'static, Result<(), CheckpointError>>>,
    /// The event that waits for room in the queue of a sink, or for somebody to take it.
    waiting: Option<Dispatched>,
    /// Hears when events go elsewhere from now on.
    changes: watch::Receiver<u64>,
}

/// Where an event lies, and since when.
#[derive(Debug)]
struct Place {
    position: Position,
    enqueued_time: OffsetDateTime,
}

impl Place {
    fn mark(&self) -> Mark {
        Mark {
            sequence_number: self.position.sequence_number,
            enqueued_time: self.enqueued_time,
        }
    }
}

/// What a partition is held to.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// How bodies are decoded.
    pub decode: Decoder,
    /// How much may be in flight.
    pub limit: Limit,
    /// What all partitions may have in flight together, in bytes.
    pub all: Arc<Budget>,
    /// How often the checkpoint is written.
    pub cadence: Cadence,
    /// Where it ends by itself, where it is read once more.
    pub until: Option<Until>,
    /// Who follows its events; none where nobody does.
    pub tracer: Option<Arc<dyn Tracer>>,
}

/// How a partition ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// True when everything that was to be read is read.
    pub is_finished: bool,
    /// Events received and not completed: they will be received again.
    pub left_behind: usize,
    /// Why it ended by itself, where nobody asked it to.
    pub error: Option<ReceiverError>,
}

/// Why nothing more is received.
enum End {
    Stopped,
    Finished,
}

/// What can happen next.
enum Next {
    Settled,
    Saved(Result<(), CheckpointError>),
    /// It is time to write a checkpoint.
    Due,
    Dispatched,
    /// Events go elsewhere from now on.
    Changed,
    Stopped,
    Received(Event),
    /// Nothing has happened for a while.
    Quiet,
}

/// So many events are begun before anything else is looked at.
const AT_ONCE: usize = 16;
/// A loop that waits says so this often.
const BEAT: Duration = Duration::from_secs(5);

impl Partition {
    pub(crate) fn new(
        source: Arc<Source>,
        receiver: Receiver,
        dispatcher: Arc<Dispatcher>,
        checkpoints: Arc<dyn CheckpointStore>,
        terms: Terms,
    ) -> Self {
        Self {
            source,
            standing: Arc::clone(receiver.standing()),
            receiver,
            changes: dispatcher.changes(),
            dispatcher,
            checkpoints,
            window: Window::within(&terms.all, terms.limit),
            progress: Progress::new(terms.cadence, Instant::now()),
            terms,
            saving: None,
            waiting: None,
        }
    }

    /// Runs until `shutdown` or an error that waiting cannot cure, then drains. `attached` hears when
    /// the receiver has its link.
    pub(crate) async fn run(mut self, shutdown: Shutdown, attached: mpsc::Sender<()>) -> Ended {
        // As many tickets as there can be events in flight: reporting one never waits.
        let (settle, mut settled) = mpsc::channel(self.terms.limit.events);
        let received = self
            .receive_all(&mut settled, &settle, attached, &shutdown)
            .await;
        drop(settle);
        self.drain(&mut settled, &shutdown).await;
        // Who is forced does not even say goodbye: the service notices the end of the connection.
        let forced = shutdown.force_token();
        forced.run_until_cancelled(self.receiver.close()).await;
        self.standing.ended(None, OffsetDateTime::now_utc());
        Ended {
            is_finished: matches!(received, Ok(End::Finished)),
            left_behind: self.window.len(),
            error: received.err(),
        }
    }

    /// The loop itself, until something asks to stop.
    async fn receive_all(
        &mut self,
        settled: &mut mpsc::Receiver<Settled>,
        settle: &mpsc::Sender<Settled>,
        attached: mpsc::Sender<()>,
        shutdown: &Shutdown,
    ) -> Result<End, ReceiverError> {
        tokio::select! {
            biased;
            () = shutdown.stopped() => return Ok(End::Stopped),
            result = self.receiver.attach() => result?,
        }
        // It can only fail when nobody waits for it any more.
        attached.send(()).await.ok();
        let mut batch = Vec::new();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin_saving(Instant::now());
            let has_room = self.has_room();
            let next = tokio::select! {
                // Finish before starting: completions must not queue up behind new events.
                biased;
                _ = settled.recv_many(&mut batch, self.terms.limit.events) => Next::Settled,
                () = shutdown.stopped() => Next::Stopped,
                saved = finished(&mut self.saving) => Next::Saved(saved),
                () = dispatched(&mut self.waiting) => Next::Dispatched,
                Ok(()) = self.changes.changed() => Next::Changed,
                () = wait_until(self.progress.due()), if self.saving.is_none() => Next::Due,
                event = self.receiver.receive(), if has_room => Next::Received(event?),
                // Last: where an event is at hand, no clock is looked at.
                _ = beat.tick() => Next::Quiet,
            };
            match next {
                Next::Settled => self.complete(&mut batch),
                Next::Stopped => return Ok(End::Stopped),
                Next::Saved(result) => self.saved(result),
                Next::Due => {}
                Next::Quiet => self.standing.beat(has_room),
                Next::Dispatched => self.waiting = None,
                Next::Changed => self.try_held(),
                Next::Received(event) => {
                    if self.take_in(event, settle)? {
                        return Ok(End::Finished);
                    }
                }
            }
        }
    }

    /// True when another event may be received.
    fn has_room(&self) -> bool {
        self.waiting.is_none()
            && self.window.has_room()
            && self.progress.allows(self.window.len(), self.terms.limit)
    }

    /// Begins an event, and a few of those that are at hand behind it while there is room. True when nothing behind
    /// them is to be read.
    fn take_in(
        &mut self,
        first: Event,
        settle: &mpsc::Sender<Settled>,
    ) -> Result<bool, ReceiverError> {
        let (mut next, mut begun) = (Some(first), 0);
        while let Some(event) = next {
            let within = match &self.terms.until {
                Some(until) => until.judge(&event),
                None => Within::Yes,
            };
            if within != Within::No {
                self.begin(event, settle);
            }
            if within != Within::Yes {
                return Ok(true);
            }
            begun += 1;
            next = match begun < AT_ONCE && self.has_room() {
                true => self.receiver.try_receive()?,
                false => None,
            };
        }
        Ok(false)
    }

    fn begin(&mut self, event: Event, settle: &mpsc::Sender<Settled>) {
        tracing::trace!(partition = %event.partition, sequence_number = %event.sequence_number, "event received");
        let place = Place {
            position: event.position(),
            enqueued_time: event.enqueued_time,
        };
        if self.window.len() == 0 {
            self.standing.took_in(place.mark());
        }
        let tracer = self.terms.tracer.as_ref();
        let journey = tracer.map(|tracer| tracer.received(&self.source, &event));
        // It waits for its sinks now, for who knows how long.
        let mut message = Message::decode(
            Arc::clone(&self.source),
            event.into_owned(),
            &self.terms.decode,
        );
        let ticket = self.window.begin(place, message.size());
        self.tell_in_flight();
        message.is_replay = self.terms.until.is_some();
        let receipt = Receipt::new(1, ticket, settle.clone()).followed(journey);
        let dispatched = self.dispatcher.dispatch(message, receipt);
        self.waiting = dispatched.unfinished();
    }

    /// Somebody may take what nobody did.
    fn try_held(&mut self) {
        self.waiting = match self.waiting.take() {
            Some(Dispatched::Held(held)) => self.dispatcher.dispatch_again(held).unfinished(),
            waiting => waiting,
        };
    }

    fn complete(&mut self, batch: &mut Vec<Settled>) {
        let before = self.window.len();
        let mut last = None;
        for settled in batch.drain(..) {
            match settled {
                Settled::Accepted(ticket) => last = self.window.complete(ticket).or(last),
                Settled::Abandoned(ticket) => self.window.abandon(ticket),
            }
        }
        if let Some(last) = last {
            let first_open = self.window.first().map(Place::mark);
            let now = OffsetDateTime::now_utc();
            self.standing.delivered(last.mark(), first_open, now);
            self.progress
                .advance(last.position, before - self.window.len());
        }
        self.tell_in_flight();
    }

    fn tell_in_flight(&self) {
        self.standing.holds(InFlight {
            events: self.window.len(),
            bytes: self.window.bytes(),
        });
    }

    /// Begins to write the checkpoint, where it is time and none is being written.
    fn begin_saving(&mut self, now: Instant) {
        if self.saving.is_some() {
            return;
        }
        if let Some(position) = self.progress.take_due(now) {
            let checkpoints = Arc::clone(&self.checkpoints);
            let source = Arc::clone(&self.source);
            let partition = self.receiver.partition().clone();
            self.saving = Some(Box::pin(async move {
                checkpoints.save(&source, &partition, position.into()).await
            }));
        }
    }

    fn saved(&mut self, result: Result<(), CheckpointError>) {
        self.saving = None;
        self.standing.checkpointed(result.is_ok());
        let partition = self.receiver.partition().clone();
        self.progress.saved(&partition, result, Instant::now());
    }

    /// Waits for what is in flight and writes the last checkpoint, until the grace period is over.
    async fn drain(&mut self, settled: &mut mpsc::Receiver<Settled>, shutdown: &Shutdown) {
        let expired = shutdown.expired();
        tokio::pin!(expired);
        let mut batch = Vec::new();
        // Nobody will take what is held: it is abandoned now, not when the time is over.
        if matches!(self.waiting, Some(Dispatched::Held(_))) {
            self.waiting = None;
        }
        self.progress.hurry();
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        loop {
            self.begin_saving(Instant::now());
            let is_waiting = !self.window.is_settled();
            if !is_waiting && self.saving.is_none() && self.progress.due().is_none() {
                return;
            }
            let next = tokio::select! {
                biased;
                _ = settled.recv_many(&mut batch, self.terms.limit.events), if is_waiting => Next::Settled,
                saved = finished(&mut self.saving) => Next::Saved(saved),
                () = dispatched(&mut self.waiting) => Next::Dispatched,
                () = wait_until(self.progress.due()), if self.saving.is_none() => Next::Due,
                () = &mut expired => return,
            };
            match next {
                Next::Settled => self.complete(&mut batch),
                Next::Dispatched => self.waiting = None,
                Next::Saved(result) => {
                    let has_failed = result.is_err();
                    self.saved(result);
                    if has_failed {
                        let delay = backoff.next_delay(fastrand::f64());
                        self.progress.postpone(Instant::now() + delay);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Completes when the checkpoint is written or not; never where none is being written.
async fn finished(
    saving: &mut Option<BoxFuture<'static, Result<(), CheckpointError>>>,
) -> Result<(), CheckpointError> {
    match saving {
        Some(saving) => saving.await,
        None => std::future::pending().await,
    }
}

/// Completes when the event that waits for room has it; never where none waits.
async fn dispatched(waiting: &mut Option<Dispatched>) {
    match waiting {
        Some(Dispatched::Waiting(sending)) => sending.await,
        _ => std::future::pending().await,
    }
}
