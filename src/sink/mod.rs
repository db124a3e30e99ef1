//! Where messages go: the kinds of sink there are, and the queue and worker that every sink gets.
//!
//! A sink's file says what its settings are and what *deliver* means. Queueing, trying again, dead
//! letters and reporting what was accepted live here, once for all of them.

mod adaptive;
mod aside;
mod attempts;
mod body;
mod breaker;
#[cfg(test)]
mod compliance;
mod concurrent;
mod delivery;
mod file;
mod gauge;
mod heir;
mod lanes;
mod queue;
mod refusal;
mod retry;
mod stdout;
mod trouble;
mod webhook;
mod worker;
mod write;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::settings::{Fingerprint, Mistake, Settings, Size, nearest, unknown};

pub(crate) use body::Body;
pub(crate) use concurrent::{Pace, Service};
pub(crate) use delivery::{DeadLetter, Delivery, Receipt, Settled, Shipment};
pub(crate) use gauge::{Gauge, Reading, State as SinkState};
pub(crate) use heir::{HeirSwitch, Inheritance};
pub(crate) use queue::{
    Before, Counts, Orders, Queue, QueueLimit, SinkHandle, queue, queue_behind,
};
pub(crate) use refusal::{DeadLetterConfig, OnRefusal, Otherwise, RefusalRule, RefusalSwitch};
pub(crate) use stdout::{Color, Format as StdoutFormat, Stdout};
pub(crate) use trouble::Told;
pub(crate) use worker::{spawn, start_behind};

/// Every kind of sink. To add one: its file, its line here, its example in `config/`.
const KINDS: &[(&str, Parse)] = &[
    ("file", file::parse),
    ("stdout", stdout::parse),
    ("webhook", webhook::parse),
];

type Parse = fn(Settings) -> (Box<dyn SinkConfig>, Vec<Mistake>);

/// The settings of one sink, read and checked; nothing is opened yet.
pub(crate) trait SinkConfig: Debug + Send + Sync {
    /// Opens the sink and starts its worker.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn start(self: Box<Self>, queue: Queue) -> io::Result<SinkWorker>;

    /// What only one sink may write to, where there is such a thing: "standard output".
    fn claim(&self) -> Option<String> {
        None
    }

    /// Why it cannot be the dead-letter sink, as a fragment, where it cannot: it would lose the reason
    /// or the body.
    fn unfit_for_dead_letters(&self) -> Option<&'static str> {
        None
    }
}

/// Takes messages to one place, one batch after the other.
///
/// An implementation does not queue, wait or try again: it attempts once and says how far it came.
/// The worker calls again with the messages that were not accepted; where the first of them was refused,
/// maybe with others.
pub(crate) trait Sink: Send + 'static {
    /// Delivers `messages` in their order, as many of them as it can.
    fn deliver(&mut self, messages: &[Delivery]) -> impl Future<Output = Progress> + Send;

    /// Opens anew what somebody may have moved away (SIGHUP). What fails is found by the next delivery.
    fn reopen(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Looks after what time brings; called about once a second while there is nothing to deliver.
    fn tend(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Finishes, when everything is delivered.
    ///
    /// # Errors
    /// When something that was accepted may not be safe.
    fn close(self) -> impl Future<Output = io::Result<()>> + Send
    where
        Self: Sized,
    {
        std::future::ready(Ok(()))
    }
}

/// How far [`Sink::deliver`] came with a batch.
#[derive(Debug)]
pub(crate) struct Progress {
    /// That many messages, from the first on, are safe with the sink.
    pub accepted: usize,
    /// Why the next one is not, where the batch was not finished.
    pub error: Option<DeliveryError>,
}

impl Progress {
    fn failed(accepted: usize, error: DeliveryError) -> Self {
        Self {
            accepted,
            error: Some(error),
        }
    }
}

/// Why a message was not accepted. No variant's text holds a secret or record data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
    /// Not now: a full disk, a server that does not answer. Waiting helps.
    #[error("the sink is unavailable")]
    Unavailable(#[source] io::Error),
    /// Not before `after` has passed: the server said so.
    #[error("the sink is busy: {reason}")]
    Busy {
        /// How long to wait at least.
        after: Duration,
        /// What it said, as a fragment.
        reason: String,
    },
    /// Not before somebody has changed something; it is tried again now and then.
    #[error("somebody must see to it: {0}")]
    Held(String),
    /// Not before the sink is told to go on (SIGHUP, or a restart).
    #[error("the sink pauses until SIGHUP or a restart: {0}")]
    Paused(String),
    /// This message never, says the server: it goes to the dead-letter sink.
    #[error("refused: {0}")]
    Refused(String),
    /// This message never, for it has no form that could be sent; nobody was asked.
    #[error("refused: {0}")]
    Unfit(String),
    /// Nothing any more, for a reason that somebody should hear.
    #[error("the sink has failed")]
    Failed(#[source] io::Error),
    /// Nothing any more: whoever read the output has gone, or has seen all that was asked for.
    #[error("the sink is closed")]
    Closed,
}

impl DeliveryError {
    /// Its kind, in a word.
    fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Busy { .. } => "busy",
            Self::Held(_) => "held",
            Self::Paused(_) => "paused",
            Self::Refused(_) => "refused",
            Self::Unfit(_) => "unfit",
            Self::Failed(_) => "failed",
            Self::Closed => "closed",
        }
    }

    /// True where it speaks of one message, and nothing is said of those behind it.
    fn is_of_one(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unfit(_))
    }

    /// How long to wait before the next attempt, where `drawn` is what the backoff says; none for as
    /// long as it takes until somebody says to go on.
    fn delay(&self, drawn: Duration) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => Some(drawn.max(*after)),
            Self::Paused(_) => None,
            _ => Some(drawn),
        }
    }
}

/// One `[[sink]]` table as the daemon uses it.
#[derive(Debug)]
pub(crate) struct Config {
    /// The name that routes and logs know it by.
    pub name: String,
    /// The name of its kind.
    pub type_name: &'static str,
    /// How much may wait for it.
    pub queue: QueueLimit,
    /// The settings of its kind.
    pub kind: Box<dyn SinkConfig>,
    /// What its table says, to compare it with what that says later.
    pub fingerprint: Fingerprint,
}

impl Config {
    /// Reads one `[[sink]]` table; none where its kind is not known.
    pub(crate) fn read(mut settings: Settings) -> (Option<Self>, Vec<Mistake>) {
        let fingerprint = settings.fingerprint(|_| false);
        let name = settings.required::<String>("name");
        let kind = settings.required::<String>("type");
        let default = QueueLimit::default();
        let events = NonZeroUsize::new(default.events).unwrap_or(NonZeroUsize::MIN);
        let queue = QueueLimit {
            events: settings.with_default("queue_events", events).get(),
            bytes: settings.with_default("queue_bytes", Size(default.bytes)).0,
        };
        if queue.events > QueueLimit::MOST.events {
            let most = QueueLimit::MOST.events;
            settings.mistake("queue_events", format!("must be at most {most}"));
        }
        if !(1..=QueueLimit::MOST.bytes).contains(&queue.bytes) {
            settings.mistake("queue_bytes", "must be more than nothing and at most 4GiB");
        }
        let Some(kind) = kind else {
            // What its other keys mean, only the type can tell, unless they were meant to be one of these.
            return (None, settings.finish_near());
        };
        let Some((type_name, parse)) = KINDS.iter().find(|(known, _)| *known == kind) else {
            settings.mistake("type", unknown("type of sink", &kind, KINDS));
            return (None, settings.into_mistakes());
        };
        let (kind, mistakes) = parse(settings);
        let config = name.map(|name| Self {
            name,
            type_name,
            queue,
            kind,
            fingerprint,
        });
        (config, mistakes)
    }
}

/// The names of the kinds of sink.
#[cfg(test)]
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(name, _)| *name)
}

/// Notes a mistake where `key` names a sink that there is not.
pub(crate) fn check_name(settings: &mut Settings, key: &'static str, name: &str, known: &[&str]) {
    if known.contains(&name) {
        return;
    }
    let reason = match nearest(name, known) {
        Some(near) => format!("there is no sink \"{name}\"; did you mean \"{near}\"?"),
        None => format!("there is no sink \"{name}\"; give it a [[sink]] table"),
    };
    settings.mistake(key, reason);
}

/// A running sink; it ends when its queue is closed and empty, when the sink closes or fails, or by force.
pub(crate) type SinkWorker = tokio::task::JoinHandle<io::Result<()>>;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use tokio::sync::{mpsc, watch};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::ack::{Limit, Window};
    use crate::event::{Offset, PartitionId, Position, SequenceNumber};
    use crate::message::{Message, samples};

    /// What the sink under test answers, call by call; then it accepts everything.
    type Script = VecDeque<Progress>;

    #[derive(Clone, Default)]
    struct Scripted {
        script: Arc<Mutex<Script>>,
        seen: Arc<Mutex<Vec<i64>>>,
    }

    impl Sink for Scripted {
        async fn deliver(&mut self, messages: &[Delivery]) -> Progress {
            let next = self.script.lock().unwrap().pop_front();
            let progress = next.unwrap_or(Progress {
                accepted: messages.len(),
                error: None,
            });
            let accepted = &messages[..progress.accepted.min(messages.len())];
            let numbers = accepted
                .iter()
                .map(|delivery| delivery.message().event.sequence_number.0);
            self.seen.lock().unwrap().extend(numbers);
            progress
        }
    }

    fn message(sequence_number: i64) -> Message {
        let mut event = samples::event("?");
        event.sequence_number = SequenceNumber(sequence_number);
        samples::decoded(event)
    }

    fn orders() -> Orders {
        Orders {
            force: CancellationToken::new(),
            reopen: watch::channel(0).1,
        }
    }

    /// Sends `count` messages through a sink that follows `script`; what it saw, and what became of each.
    async fn check(count: i64, script: Vec<Progress>) -> (Vec<i64>, Vec<Settled>) {
        let sink = Scripted {
            script: Arc::new(Mutex::new(script.into())),
            ..Scripted::default()
        };
        let (handle, queue) = queue("test", QueueLimit::default(), OnRefusal::Hold, orders());
        let worker = spawn(sink.clone(), queue);
        let (settle, mut settled) = mpsc::channel(100);
        let mut window = Window::new(Limit {
            events: 100,
            bytes: 100,
        });
        for number in 0..count {
            let position = Position {
                sequence_number: SequenceNumber(number),
                offset: Offset::new("0"),
            };
            let receipt = Receipt::new(1, window.begin(position, 0), settle.clone());
            let message = message(number);
            handle
                .send(Delivery::new(Arc::new(Shipment { message, receipt })))
                .await;
        }
        drop((handle, settle));
        worker.await.unwrap().unwrap();
        let mut outcomes = Vec::new();
        settled.recv_many(&mut outcomes, 100).await;
        let seen = sink.seen.lock().unwrap().clone();
        (seen, outcomes)
    }

    fn unavailable(accepted: usize) -> Progress {
        Progress::failed(
            accepted,
            DeliveryError::Unavailable(io::Error::other("full")),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_fails_is_tried_again_from_where_it_stopped() {
        let (seen, outcomes) = check(5, vec![unavailable(0), unavailable(2), unavailable(0)]).await;
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert!(
            outcomes
                .iter()
                .all(|settled| matches!(settled, Settled::Accepted(_))),
            "{outcomes:?}"
        );
        assert_eq!(outcomes.len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_closes_leaves_the_rest_undelivered() {
        let (seen, outcomes) = check(5, vec![Progress::failed(2, DeliveryError::Closed)]).await;
        assert_eq!(seen, [0, 1]);
        let accepted = outcomes
            .iter()
            .filter(|settled| matches!(settled, Settled::Accepted(_)))
            .count();
        assert_eq!((accepted, outcomes.len()), (2, 5));
    }

    /// Refuses one event for as long as it is told to, and takes all others.
    #[derive(Clone)]
    struct Picky {
        refused: Arc<Mutex<Option<i64>>>,
        seen: Arc<Mutex<Vec<i64>>>,
    }

    impl Sink for Picky {
        async fn deliver(&mut self, messages: &[Delivery]) -> Progress {
            for (accepted, delivery) in messages.iter().enumerate() {
                let number = delivery.message().event.sequence_number.0;
                if *self.refused.lock().unwrap() == Some(number) {
                    return Progress::failed(accepted, DeliveryError::Refused("no".into()));
                }
                self.seen.lock().unwrap().push(number);
            }
            Progress {
                accepted: messages.len(),
                error: None,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_event_holds_only_its_partition() {
        let sink = Picky {
            refused: Arc::new(Mutex::new(Some(2))),
            seen: Arc::default(),
        };
        let (reopen, changes) = watch::channel(0);
        let orders = Orders {
            reopen: changes,
            ..orders()
        };
        let (handle, queue) = queue("test", QueueLimit::default(), OnRefusal::Hold, orders);
        let worker = spawn(sink.clone(), queue);
        let send = async |numbers: std::ops::Range<i64>| {
            for number in numbers {
                let mut message = message(number);
                message.event.partition = PartitionId::new(&(number % 2).to_string());
                handle.send(compliance::delivery(message)).await;
            }
            tokio::time::sleep(Duration::from_secs(3600)).await;
            std::mem::take(&mut *sink.seen.lock().unwrap())
        };
        assert_eq!(send(0..6).await, [0, 1, 3, 5]);
        assert_eq!(send(6..10).await, [7, 9]);
        // What is held keeps the worker from ending, and is delivered in order when somebody says so.
        *sink.refused.lock().unwrap() = None;
        drop(handle);
        tokio::task::yield_now().await;
        let begun = tokio::time::Instant::now();
        reopen.send(1).unwrap();
        worker.await.unwrap().unwrap();
        assert_eq!(*sink.seen.lock().unwrap(), [2, 4, 6, 8]);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_message_counts_as_accepted_when_its_last_sink_took_it() {
        let (settle, mut settled) = mpsc::channel(10);
        let mut window = Window::new(Limit {
            events: 9,
            bytes: 9,
        });
        let position = Position {
            sequence_number: SequenceNumber(0),
            offset: Offset::new("0"),
        };
        let ticket = window.begin(position, 0);
        let shipment = Arc::new(Shipment {
            message: message(0),
            receipt: Receipt::new(2, ticket, settle),
        });
        let (first, second) = (
            Delivery::new(Arc::clone(&shipment)),
            Delivery::new(shipment),
        );
        first.accept();
        assert!(settled.try_recv().is_err());
        second.accept();
        assert_eq!(settled.recv().await, Some(Settled::Accepted(ticket)));
    }

    #[test]
    fn the_kinds_have_names_of_their_own_in_order() {
        assert!(KINDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn every_kind_takes_every_body() {
        for (name, parse) in KINDS {
            let mistakes = |body: &str| {
                let table = config::Map::from([("body".to_owned(), config::Value::from(body))]);
                let (_, mistakes) = parse(Settings::new("sink[0]", table.into()));
                mistakes
                    .iter()
                    .filter(|mistake| mistake.key == "sink[0].body")
                    .count()
            };
            for body in ["message", "context", "original", "cloudevent"] {
                assert_eq!(mistakes(body), 0, "{name} {body}");
            }
            assert_eq!(mistakes("everything"), 1, "{name}");
        }
    }

    #[test]
    fn every_kind_refuses_an_unknown_key() {
        for (name, parse) in KINDS {
            let table = config::Map::from([("no_such_key".to_owned(), config::Value::from(1))]);
            let (_, mistakes) = parse(Settings::new("sink[0]", table.into()));
            assert!(
                mistakes
                    .iter()
                    .any(|mistake| mistake.key == "sink[0].no_such_key"),
                "{name}"
            );
        }
    }
}
