//! Where messages go: the kinds of sink there are, and the queue and worker that every sink gets.
//!
//! A sink's file says what its settings are and what *deliver* means. Queueing, trying again and
//! reporting what was accepted live here, once for all of them.

mod stdout;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::ack::Ticket;
use crate::backoff::Backoff;
use crate::causes::Causes;
use crate::message::Message;
use crate::settings::{Mistake, Settings, unknown};

pub(crate) use stdout::{Color, Format as StdoutFormat, Stdout};

/// Every kind of sink. To add one: its file, its line here, its example in `config/`.
const KINDS: &[(&str, Parse)] = &[("stdout", stdout::parse)];

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
}

/// Takes messages to one place.
///
/// An implementation does not queue, wait or try again: it attempts once and says how far it came.
/// The worker calls again with the messages that were not accepted.
pub(crate) trait Sink: Send + 'static {
    /// Delivers `messages` in their order, as many of them as it can.
    fn deliver(&mut self, messages: &[Delivery]) -> impl Future<Output = Progress> + Send;
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

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
    /// Not now: a full disk, an interrupted call. Waiting helps.
    #[error("the sink is unavailable")]
    Unavailable(#[source] io::Error),
    /// Never again, for a reason that somebody should hear.
    #[error("the sink has failed")]
    Failed(#[source] io::Error),
    /// Never again: whoever read the output has gone, or has seen all that was asked for.
    #[error("the sink is closed")]
    Closed,
}

/// A message on its way to one sink. Dropped before the sink's worker has it
/// accepted, it was not delivered.
#[derive(Debug, Clone)]
pub(crate) struct Delivery(Arc<Shipment>);

/// A message and those who still have to accept it.
#[derive(Debug)]
pub(crate) struct Shipment {
    pub(crate) message: Message,
    pub(crate) receipt: Receipt,
}

/// Tells the message's partition when the last of its sinks has accepted it, or that one never will.
#[derive(Debug)]
pub(crate) struct Receipt {
    outstanding: AtomicUsize,
    ticket: Ticket,
    settled: mpsc::Sender<Settled>,
}

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Every sink has accepted it.
    Accepted(Ticket),
    /// A sink has let go of it without accepting it.
    Abandoned(Ticket),
}

impl Receipt {
    /// A receipt that `sinks` sinks must sign; with none it counts as accepted when it is dropped.
    pub(crate) fn new(sinks: usize, ticket: Ticket, settled: mpsc::Sender<Settled>) -> Self {
        Self {
            outstanding: sinks.into(),
            ticket,
            settled,
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let settled = match *self.outstanding.get_mut() {
            0 => Settled::Accepted(self.ticket),
            _ => Settled::Abandoned(self.ticket),
        };
        // The channel has room for every event that a partition may have in flight; it can only be
        // closed, and then the partition has given up waiting.
        if self.settled.try_send(settled).is_err() {
            tracing::debug!("a delivery was settled after its partition had stopped");
        }
    }
}

impl Delivery {
    pub(crate) fn new(shipment: Arc<Shipment>) -> Self {
        Self(shipment)
    }

    /// What to deliver.
    pub(crate) fn message(&self) -> &Message {
        &self.0.message
    }

    fn accept(self) {
        self.0.receipt.outstanding.fetch_sub(1, AcqRel);
    }
}

/// One `[[sink]]` table as the daemon uses it.
#[derive(Debug)]
pub(crate) struct Config {
    /// The name that routes and logs know it by.
    pub name: String,
    /// The settings of its kind.
    pub kind: Box<dyn SinkConfig>,
}

impl Config {
    /// Reads one `[[sink]]` table; none where its kind is not known.
    pub(crate) fn read(mut settings: Settings) -> (Option<Self>, Vec<Mistake>) {
        let name = settings.required::<String>("name");
        let kind = settings.required::<String>("type");
        let Some(kind) = kind else {
            // What its other keys mean, only the type can tell.
            return (None, settings.into_mistakes());
        };
        let Some((_, parse)) = KINDS.iter().find(|(known, _)| *known == kind) else {
            settings.mistake("type", unknown("type of sink", &kind, KINDS));
            return (None, settings.into_mistakes());
        };
        let (kind, mistakes) = parse(settings);
        (name.map(|name| Self { name, kind }), mistakes)
    }
}

/// The receiving end of a sink's queue, and what its worker must know.
#[derive(Debug)]
pub(crate) struct Queue {
    name: Arc<str>,
    deliveries: mpsc::Receiver<Delivery>,
    force: CancellationToken,
    closed: CancellationToken,
}

/// The sending end of a sink's queue.
#[derive(Debug)]
pub(crate) struct SinkHandle {
    pub(crate) name: Arc<str>,
    deliveries: mpsc::Sender<Delivery>,
    pub(crate) closed: CancellationToken,
}

/// A running sink; it ends when its queue is closed and empty, when the sink closes or fails, or by force.
pub(crate) type SinkWorker = tokio::task::JoinHandle<io::Result<()>>;

/// A queue for the sink `name` with room for `capacity` messages; `force` ends its worker where it stands.
pub(crate) fn queue(name: &str, capacity: usize, force: CancellationToken) -> (SinkHandle, Queue) {
    let (sender, deliveries) = mpsc::channel(capacity);
    let closed = CancellationToken::new();
    let name: Arc<str> = name.into();
    let handle = SinkHandle {
        name: Arc::clone(&name),
        deliveries: sender,
        closed: closed.clone(),
    };
    let queue = Queue {
        name,
        deliveries,
        force,
        closed,
    };
    (handle, queue)
}

impl SinkHandle {
    /// Puts a message in line; a closed sink leaves it undelivered.
    pub(crate) async fn send(&self, delivery: Delivery) {
        if self.deliveries.send(delivery).await.is_err() {
            self.closed.cancel();
        }
    }
}

/// At most that many messages are handed to a sink at once.
const BATCH: usize = 256;

/// Starts the worker of a sink: takes messages from its queue, in order, until each is accepted.
pub(crate) fn spawn(sink: impl Sink, queue: Queue) -> SinkWorker {
    #[expect(
        clippy::disallowed_methods,
        reason = "one of the places where tasks start: a worker per sink"
    )]
    tokio::spawn(work(sink, queue))
}

async fn work(mut sink: impl Sink, mut queue: Queue) -> io::Result<()> {
    // However it ends, a panic included, the sink counts as closed.
    let _closed = queue.closed.drop_guard();
    let mut batch = Vec::with_capacity(BATCH);
    while queue.deliveries.recv_many(&mut batch, BATCH).await > 0 {
        let delivered = tokio::select! {
            biased;
            () = queue.force.cancelled() => return Ok(()),
            delivered = deliver_all(&mut sink, &mut batch, &queue.name) => delivered,
        };
        match delivered {
            Ok(()) => {}
            Err(DeliveryError::Failed(error)) => return Err(error),
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Delivers a batch, trying again for as long as it takes, until the sink has closed or failed.
async fn deliver_all(
    sink: &mut impl Sink,
    batch: &mut Vec<Delivery>,
    name: &str,
) -> Result<(), DeliveryError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    while !batch.is_empty() {
        let Progress { accepted, error } = sink.deliver(batch).await;
        batch.drain(..accepted).for_each(Delivery::accept);
        if accepted > 0 {
            backoff.reset();
        }
        match error {
            None => {}
            Some(error @ DeliveryError::Unavailable(_)) => {
                let delay = backoff.next_delay(fastrand::f64());
                tracing::warn!(sink = name, error = %Causes(&error), retry_in = ?delay, "delivery failed");
                tokio::time::sleep(delay).await;
            }
            Some(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;
    use crate::ack::{Limit, Window};
    use crate::event::{
        Body, Event, Offset, PartitionId, Position, Properties, SequenceNumber, Source,
    };

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
        let source = Source {
            namespace: String::new(),
            event_hub: String::new(),
            consumer_group: String::new(),
        };
        let event = Event {
            partition: PartitionId::new("0"),
            sequence_number: SequenceNumber(sequence_number),
            offset: Offset::new("0"),
            enqueued_time: time::OffsetDateTime::UNIX_EPOCH,
            partition_key: None,
            content_type: None,
            properties: Properties::default(),
            body: Body::Unreadable {
                reason: "the message has no body".into(),
                encoded: bytes::Bytes::new(),
            },
        };
        Message::decode(Arc::new(source), event)
    }

    /// Sends `count` messages through a sink that follows `script`; what it saw, and what became of each.
    async fn check(count: i64, script: Vec<Progress>) -> (Vec<i64>, Vec<Settled>) {
        let sink = Scripted {
            script: Arc::new(Mutex::new(script.into())),
            ..Scripted::default()
        };
        let (handle, queue) = queue("test", 100, CancellationToken::new());
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
