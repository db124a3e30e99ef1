//! One partition, read for as long as somebody wants its events: connected, lost, connected again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, Sleep, sleep};

use super::continuity::{Continuity, Step};
use super::credit::Credit;
use super::engines::Link;
use super::error::{ReceiverError, Retry};
use super::lost::LostPosition;
use super::opening::{Opened, Opening};
use super::position::StartPosition;
use super::reading::RuntimeMetric;
use super::resume::{By, Resume};
use super::seam::{Failure, Head, Selector};
use super::telling::Telling;
use super::watch::{Verdict, Watch};
use super::{Config, EventHub, LastEvent, describe_partition};
use crate::backoff::Backoff;
use crate::budget::Share;
use crate::causes::Causes;
use crate::event::{Event, PartitionId, Position, SequenceNumber};
use crate::standing::{LastEnqueued, LossKind, Mark, Standing};

/// The first delay before a lost partition is looked for again, and the longest.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A link that lasts this long has worked, even if no event came.
const WORKED: Duration = Duration::from_secs(10);

/// Reads one partition, over a connection of its own.
pub struct Receiver {
    config: Arc<Config>,
    partition: PartitionId,
    object: String,
    state: State,
    resume: Resume,
    continuity: Continuity,
    /// How far it has come, for whoever wants to know.
    standing: Arc<Standing>,
    /// What the service said last of the partition's last event.
    metric: Option<RuntimeMetric>,
    /// How much may lie ahead of it.
    share: Arc<Share>,
    credit: Credit,
    backoff: Backoff,
    /// True once events can be, or could be, received: what is refused then was granted before.
    worked: bool,
    /// True when the last message could not be read, and none has been since.
    malformed: bool,
    /// What the log was told of its losses.
    telling: Telling,
    watch: Watch,
    /// The last event that the service had when it was first asked, an end of the partition that was meant included.
    first_asked: Option<SequenceNumber>,
    /// True when events are passed over on purpose: the next one tells how many.
    is_elsewhere: bool,
    /// True once another reader took the partition over: it must be gone before we claim it again, or two daemons
    /// would take it from each other for ever.
    is_outranked: bool,
}

/// What there is to wait for.
enum State {
    Detached,
    Waiting(Pin<Box<Sleep>>),
    Opening(Pin<Box<dyn Future<Output = Opened> + Send>>),
    Attached {
        link: Link,
        since: Instant,
    },
    /// The service is asked, over the same connection, whether anything should have come.
    Asking(Pin<Box<dyn Future<Output = Asked> + Send>>),
}

/// What came of asking.
struct Asked {
    link: Link,
    since: Instant,
    last: Result<Option<LastEvent>, Failure>,
}

impl Receiver {
    pub(super) fn new(hub: &EventHub, partition: PartitionId, start: StartPosition) -> Self {
        let config = &hub.config;
        let share = Share::new(&hub.budget, config.prefetch_bytes);
        let source = Arc::clone(&hub.source);
        let standing = Standing::new(source, partition.clone(), OffsetDateTime::now_utc());
        Self {
            object: describe_partition(config, &partition),
            standing: Arc::new(standing),
            metric: None,
            credit: Credit::new(config.prefetch_events, Arc::clone(&share)),
            share,
            config: Arc::clone(config),
            partition,
            state: State::Detached,
            resume: Resume::new(start),
            continuity: Continuity::default(),
            backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY),
            worked: hub.has_worked,
            malformed: false,
            telling: Telling::default(),
            watch: Watch::impatient_by(fastrand::f64()),
            first_asked: None,
            is_elsewhere: false,
            is_outranked: false,
        }
    }

    /// One that goes on where another has stopped.
    pub(super) fn after(hub: &EventHub, partition: PartitionId, position: Position) -> Self {
        let mut receiver = Self::new(hub, partition, StartPosition::Earliest);
        receiver.standing.goes_on_after(position.sequence_number);
        receiver.continuity = Continuity::after(position.sequence_number);
        receiver.resume.go_on_after(position);
        receiver
    }

    /// The partition it reads.
    pub fn partition(&self) -> &PartitionId {
        &self.partition
    }

    /// How the partition stands. What it knows of deliveries is up to whoever gets the events.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// The next event, after as long a wait as it takes. Connects where there is no connection, and
    /// again where it was lost, going on after the last event returned.
    ///
    /// Cancel-safe: dropped before it is ready, it has lost nothing, neither an event nor the work of
    /// connecting. An event counts as taken once it is returned: credit follows.
    ///
    /// # Errors
    /// Only what waiting cannot help; see [`ReceiverError::retry`]. To call again tries again.
    pub async fn receive(&mut self) -> Result<Event, ReceiverError> {
        loop {
            if let Some(event) = self.try_receive()? {
                return Ok(event);
            }
            self.attach().await?;
            let State::Attached { link, .. } = &mut self.state else {
                continue;
            };
            let fetched = tokio::select! {
                biased;
                fetched = link.fetch() => Some(fetched),
                () = self.watch.quiet() => None,
            };
            match fetched {
                Some(Ok(())) => {}
                Some(Err(failure)) => self.lost(failure)?,
                None => self.ask(),
            }
        }
    }

    /// The next event, where one is at hand; none does not mean that none has come. Most events come together with
    /// others, and to take those this way costs far less than to call [`Self::receive`] for each, which does the rest:
    /// to connect, to wait, and to find out why nothing comes.
    ///
    /// # Errors
    /// As of [`Self::receive`].
    pub fn try_receive(&mut self) -> Result<Option<Event>, ReceiverError> {
        while let State::Attached { link, .. } = &mut self.state
            && let Some(looked_at) = link.look()
        {
            match looked_at {
                Ok(head) if self.follows(&head)? => return Ok(self.take(&head)),
                Ok(head) => self.pass_over(&head),
                Err(failure) => self.lost(failure)?,
            }
        }
        Ok(None)
    }

    /// The event that was looked at is the last one once more, or its link is gone.
    #[cold]
    fn pass_over(&mut self, head: &Head) {
        if let State::Attached { link, .. } = &mut self.state {
            drop(link.take(head));
        }
    }

    /// Takes the event that was looked at, where its link is still there.
    #[inline]
    fn take(&mut self, head: &Head) -> Option<Event> {
        match &mut self.state {
            State::Attached { link, .. } => link.take(head),
            _ => None,
        }
    }

    /// Connects where there is no connection, for as long as it takes, and takes no event.
    /// Cancel-safe as [`Self::receive`] is, which does this by itself.
    ///
    /// # Errors
    /// Only what waiting cannot help; see [`ReceiverError::retry`].
    pub async fn attach(&mut self) -> Result<(), ReceiverError> {
        loop {
            match &mut self.state {
                State::Detached => self.state = State::Opening(self.open()),
                State::Waiting(sleep) => {
                    sleep.await;
                    self.state = State::Detached;
                }
                State::Opening(opening) => {
                    let opened = opening.await;
                    self.opened(opened)?;
                }
                State::Asking(asking) => {
                    let asked = asking.await;
                    self.asked(asked)?;
                }
                State::Attached { .. } => return Ok(()),
            }
        }
    }

    /// Nothing has come for a while.
    fn ask(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Detached);
        let State::Attached { mut link, since } = state else {
            self.state = state;
            return;
        };
        let config = Arc::clone(&self.config);
        self.state = State::Asking(Box::pin(async move {
            let last = link.last_event(&config.event_hub).await;
            Asked { link, since, last }
        }));
    }

    fn asked(&mut self, asked: Asked) -> Result<(), ReceiverError> {
        let Asked { link, since, last } = asked;
        self.state = State::Attached { link, since };
        let last = match last {
            Ok(last) => last,
            Err(failure) if failure.is_throttled() && self.watch.puts_off() => {
                tracing::debug!(partition = %self.partition, ?failure, "not asked for its last event");
                return Ok(());
            }
            Err(failure) => return self.lost(failure),
        };
        let behind = last.as_ref().map_or(0, |last| {
            let behind = self.resume.behind(last, self.first_asked);
            self.first_asked
                .get_or_insert(last.position.sequence_number);
            behind
        });
        let last = last.map(|last| Mark {
            sequence_number: last.position.sequence_number,
            enqueued_time: last.enqueued_time,
        });
        let now = OffsetDateTime::now_utc();
        self.standing.asked(last, behind == 0, now);
        tracing::debug!(partition = %self.partition, behind, "quiet for a while");
        match self.watch.judge(behind) {
            Verdict::Fine => Ok(()),
            Verdict::Stuck => self.lost(Failure::Lost {
                kind: LossKind::Stuck,
                reason: format!("it has {behind} events, of which none has come for a minute"),
            }),
            Verdict::Hopeless => Err(self.given_up(ReceiverError::Stuck {
                object: self.object.clone(),
                behind,
            })),
        }
    }

    /// Detaches and closes; takes a few seconds at most, whatever the service does.
    pub async fn close(self) {
        if let State::Attached { link, .. } = self.state {
            link.close().await;
        }
        self.standing.ended(None, OffsetDateTime::now_utc());
    }

    fn given_up(&self, error: ReceiverError) -> ReceiverError {
        let reason = Causes(&error).to_string();
        self.standing
            .ended(Some((error.kind(), &reason)), OffsetDateTime::now_utc());
        error
    }

    fn open(&mut self) -> Pin<Box<dyn Future<Output = Opened> + Send>> {
        let now = OffsetDateTime::now_utc();
        self.standing.connecting(now);
        let opening = Opening {
            config: Arc::clone(&self.config),
            partition: self.partition.clone(),
            place: self.resume.place(now),
            credit: self.credit.renewed(),
            share: Arc::clone(&self.share),
            is_outranked: self.is_outranked,
        };
        Box::pin(opening.run())
    }

    fn opened(&mut self, opened: Opened) -> Result<(), ReceiverError> {
        self.state = State::Detached;
        if let Some(last) = opened.end {
            // At the end of the partition nothing is left to come.
            self.standing.asked(None, true, OffsetDateTime::now_utc());
            self.resume.pin(Selector::after_last(last));
            self.first_asked = Some(last);
        }
        match opened.link {
            Ok(link) => {
                self.attached(link);
                Ok(())
            }
            Err(failure) => self.lost(failure),
        }
    }

    fn attached(&mut self, link: Link) {
        self.continuity.attached();
        self.is_outranked = false;
        self.watch.attached();
        self.standing.attached(OffsetDateTime::now_utc());
        self.state = State::Attached {
            link,
            since: Instant::now(),
        };
        self.telling.attached(&self.partition, self.resume.last());
    }

    /// True when an event is the next one, and is taken therefore.
    #[inline]
    fn follows(&mut self, event: &Head) -> Result<bool, ReceiverError> {
        let number = event.position.sequence_number;
        match self.resume.proves(event) {
            Some(true) => return Ok(false),
            Some(false) => {
                self.restart()?;
                let reason = format!("event {number} is another one than it was");
                return self.out_of_sequence(reason);
            }
            None => {}
        }
        let step = self.continuity.step(number);
        if (step != Step::Take || self.is_elsewhere)
            && let Some(reason) = self.leap(step, number)?
        {
            return self.out_of_sequence(reason);
        }
        self.resume.take(event);
        self.watch.heard();
        let last_enqueued = self.last_enqueued();
        let mark = Mark {
            sequence_number: number,
            enqueued_time: event.enqueued_time,
        };
        self.standing.received(mark, last_enqueued);
        if self.telling.is_of_trouble() {
            self.telling
                .read_again(&self.partition, self.standing.to_come());
        }
        self.has_worked();
        self.malformed = false;
        Ok(true)
    }

    /// The event that has just come is not taken: another link is needed.
    fn out_of_sequence(&mut self, reason: String) -> Result<bool, ReceiverError> {
        let kind = LossKind::OutOfSequence;
        self.lost(Failure::Lost { kind, reason }).map(|()| false)
    }

    /// What the service says beside the event that has just come, unless it has said just that before.
    fn last_enqueued(&mut self) -> Option<LastEnqueued> {
        let State::Attached { link, .. } = &self.state else {
            return None;
        };
        let metric = link.metric()?;
        let is_new = self.metric.replace(metric) != Some(metric);
        is_new.then(|| metric.last_enqueued())
    }

    /// Why the event with this number, which is not simply the next one, is not taken, and another link is needed;
    /// none where it is.
    #[cold]
    fn leap(
        &mut self,
        step: Step,
        number: SequenceNumber,
    ) -> Result<Option<String>, ReceiverError> {
        if self.is_elsewhere && matches!(step, Step::Take | Step::Gap { .. }) {
            self.is_elsewhere = false;
            let passed_over = match step {
                Step::Gap { missing } => missing,
                // Nothing is known of a hub that counts anew but where it begins to count.
                _ => number.0.unsigned_abs(),
            };
            self.continuity.take(number);
            tracing::warn!(
                partition = %self.partition, passed_over, next = number.0,
                "events are passed over, as lost_position wants"
            );
            return Ok(None);
        }
        match step {
            Step::Take => Ok(None),
            Step::Gap { missing } => {
                let what =
                    format!("the service no longer keeps the {missing} events before {number}");
                if self.config.lost_position == LostPosition::Earliest {
                    tracing::warn!(partition = %self.partition, missing, next = number.0, "events are gone: {what}");
                    self.continuity.take(number);
                    return Ok(None);
                }
                self.go_elsewhere(what).map(Some)
            }
            Step::Reopen { missing } => Ok(Some(format!(
                "{missing} events before {number} did not come"
            ))),
            Step::Again => Ok(Some(format!("event {number} came again"))),
            Step::Restart { last } => {
                self.restart()?;
                Ok(Some(format!("event {number} came after event {last}")))
            }
        }
    }

    /// The hub is another one under the old name. What it holds has not been read, so that nothing of it is passed
    /// over unless the configuration says so.
    fn restart(&mut self) -> Result<(), ReceiverError> {
        let what = "the event hub was made anew: the last position means nothing to it".to_owned();
        if self.config.lost_position != LostPosition::Earliest {
            self.go_elsewhere(what)?;
            self.continuity.restarted();
            return Ok(());
        }
        tracing::warn!(partition = %self.partition, "{what}; reading it from its beginning");
        self.resume.restart();
        self.continuity.restarted();
        self.begins_anew();
        Ok(())
    }

    /// The place where reading should go on does not exist, because of `what`: the configuration says what now.
    fn go_elsewhere(&mut self, what: String) -> Result<String, ReceiverError> {
        let LostPosition::From(start) = &self.config.lost_position else {
            return Err(self.given_up(ReceiverError::PositionLost {
                object: self.object.clone(),
                reason: what,
            }));
        };
        tracing::warn!(partition = %self.partition, "{what}; going on from {start}");
        self.resume.begin_at(start.clone());
        self.is_elsewhere = true;
        self.begins_anew();
        Ok(what)
    }

    fn begins_anew(&mut self) {
        self.metric = None;
        self.first_asked = None;
        self.standing.begins_anew();
    }

    fn has_worked(&mut self) {
        self.worked = true;
        self.telling.worked();
        self.backoff.reset();
    }

    /// Decides what to do about a failure: another place, another time, or not at all.
    fn lost(&mut self, failure: Failure) -> Result<(), ReceiverError> {
        if let State::Attached { link, since } = std::mem::replace(&mut self.state, State::Detached)
        {
            self.credit = link.next_credit();
            if since.elapsed() >= WORKED {
                self.has_worked();
            }
        }
        let position_refused = failure.is_position_refused();
        if position_refused && let Some(by) = self.resume.refused(self.worked) {
            self.standing.tries_again(LossKind::Refused);
            match by {
                By::Nothing => self.restart()?,
                By::Offset | By::Number => tracing::info!(
                    partition = %self.partition,
                    "the service refuses the last offset; going on by sequence number"
                ),
            }
            return Ok(());
        }
        if !position_refused {
            self.resume.forget_refusals();
        }
        let error = self.judge(failure, position_refused);
        self.is_outranked |= matches!(error, ReceiverError::Outranked { .. });
        let delay = self.backoff.next_delay(fastrand::f64());
        let Some(delay) = self.verdict(&error).wait(delay) else {
            return Err(self.given_up(error));
        };
        self.tell_loss(&error, delay);
        self.state = State::Waiting(Box::pin(sleep(delay)));
        Ok(())
    }

    fn judge(&self, failure: Failure, position_refused: bool) -> ReceiverError {
        let address = self.config.address();
        match ReceiverError::judge(failure, &self.object, &address) {
            ReceiverError::Refused { object, reason } if position_refused => {
                let position = self.resume.describe();
                ReceiverError::InvalidPosition {
                    object,
                    position,
                    reason,
                }
            }
            ReceiverError::Stolen { object, reason } => match self.config.owner_level {
                Some(level) => ReceiverError::Outranked {
                    object,
                    level,
                    reason,
                },
                None => ReceiverError::Stolen { object, reason },
            },
            error => error,
        }
    }

    /// A message that cannot be read is asked for once more: the wire may have garbled it.
    fn verdict(&mut self, error: &ReceiverError) -> Retry {
        match error {
            ReceiverError::Malformed { .. } if !std::mem::replace(&mut self.malformed, true) => {
                Retry::Now
            }
            error if self.worked => error.retry_once_worked(),
            error => error.retry(),
        }
    }

    fn tell_loss(&mut self, error: &ReceiverError, delay: Duration) {
        let reason = Causes(error).to_string();
        self.standing
            .waits(error.kind(), &reason, OffsetDateTime::now_utc());
        self.telling.lost(&self.partition, reason, delay);
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, resume, .. } = self;
        f.debug_struct("Receiver")
            .field("object", object)
            .field("resume", resume)
            .finish_non_exhaustive()
    }
}
