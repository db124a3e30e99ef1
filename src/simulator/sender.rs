//! Sends posts to a hub over AMQP: each as a message of its own, many without an answer yet, and
//! counted only when the hub has accepted them.
//!
//! Spec: AMQP 1.0 part 2.6 and the AMQP protocol guide for Azure Event Hubs. The connection is the
//! receiver's, which knows how to open, authorise and cut one.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::link::{SendError, Sender as Link};
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{self, ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{ApplicationProperties, Data, Message, Outcome};
use fe2o3_amqp::types::primitives::{Binary, SimpleValue};
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::post::{Post, PropertyValue};
use super::{Hub, SimulateError, Summary};
use crate::receiver::ReceiverError;
use crate::receiver::condition;
use crate::receiver::stock::Connection;

/// Events that may be without an answer at once.
const MOST_IN_FLIGHT: usize = 500;
/// Bytes of bodies that may be without an answer at once; one event always may.
const MOST_BYTES_IN_FLIGHT: usize = 16 * 1024 * 1024;
/// How long the hub may take to attach a link, to take an event, or to answer one.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// How long a polite end may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The longest description of a rejection that is repeated, in characters.
const MOST_WORDS: usize = 400;

/// An attached link to a hub, and what was sent over it.
pub(crate) struct Sender {
    // The first to be dropped: it cuts the wire, lest the others wait for the peer.
    connection: Connection,
    link: Link,
    session: SessionHandle<()>,
    unanswered: Unanswered,
    accepted: Summary,
    hub: Hub,
}

impl Sender {
    /// Connects, authorises and attaches, to the hub or to one of its partitions.
    pub(crate) async fn attach(hub: Hub, partition: Option<&str>) -> Result<Self, SimulateError> {
        let (object, dialled) = (hub.describe(), hub.dialled());
        let judge = |failure| nothing_sent(ReceiverError::judge(failure, &object, &dialled));
        let opened = Connection::open_to_send(&hub.connection_string, &hub.transport).await;
        let mut connection = opened.map_err(judge)?;
        let authorized = connection
            .authorize(&hub.connection_string, &hub.event_hub)
            .await;
        authorized.map_err(judge)?;
        let mut session = connection.session().await.map_err(judge)?;
        let address = match partition {
            Some(partition) => format!("{}/Partitions/{partition}", hub.event_hub),
            None => hub.event_hub.clone(),
        };
        let attach = Link::builder()
            .name(format!("dataverse-simulator-{:08x}", fastrand::u32(..)))
            .target(address)
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .receiver_settle_mode(ReceiverSettleMode::First)
            .verify_incoming_target(false)
            .attach(&mut session);
        let link = match timeout(STEP_LIMIT, attach).await {
            Ok(attached) => attached.map_err(|error| judge(error.into()))?,
            Err(_) => return Err(nothing_sent(hub.silent())),
        };
        Ok(Self {
            connection,
            link,
            session,
            unanswered: Unanswered::default(),
            accepted: Summary::default(),
            hub,
        })
    }

    /// Sends one event as soon as there is room for it, and takes in what was answered meanwhile.
    pub(crate) async fn send(&mut self, post: Post) -> Result<(), SimulateError> {
        while self.unanswered.is_full(post.body.len()) {
            self.await_answer().await?;
        }
        let size = post.body.len();
        let sent = timeout(STEP_LIMIT, self.link.send_batchable(message(post))).await;
        let delivery = match sent {
            Ok(sent) => sent.map_err(|error| self.failed(error))?,
            Err(_) => return Err(self.broken(self.hub.silent())),
        };
        self.unanswered.push(delivery, size);
        while let Some(Some(answer)) = self.unanswered.next().now_or_never() {
            self.take(answer)?;
        }
        Ok(())
    }

    /// Waits, and takes in what is answered meanwhile.
    pub(crate) async fn wait_until(&mut self, then: Instant) -> Result<(), SimulateError> {
        loop {
            tokio::select! {
                biased;
                answered = self.answer() => answered?,
                () = sleep_until(then) => return Ok(()),
            }
        }
    }

    /// Waits for all answers, says goodbye, and tells how much was accepted.
    pub(crate) async fn finish(mut self) -> Result<Summary, SimulateError> {
        while !self.unanswered.is_empty() {
            self.await_answer().await?;
        }
        let Self {
            connection,
            link,
            mut session,
            ..
        } = self;
        let goodbye = async {
            let detached = link.close().await;
            let ended = session.end().await;
            tracing::trace!(?detached, ?ended, "link closed");
        };
        if timeout(CLOSE_LIMIT, goodbye).await.is_ok() {
            connection.close().await;
        }
        Ok(self.accepted)
    }

    async fn await_answer(&mut self) -> Result<(), SimulateError> {
        match timeout(STEP_LIMIT, self.answer()).await {
            Ok(answered) => answered,
            Err(_) => Err(self.broken(self.hub.silent())),
        }
    }

    /// Takes in the next answer. Cancel-safe.
    ///
    /// Ends with the link too: the crate leaves what is under way on a dead connection without an
    /// answer for ever.
    async fn answer(&mut self) -> Result<(), SimulateError> {
        let Self {
            unanswered, link, ..
        } = self;
        let answer = tokio::select! {
            biased;
            Some(answer) = unanswered.next() => Ok(answer),
            error = link.on_detach() => Err(error),
        };
        match answer {
            Ok(answer) => self.take(answer),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// An answer that is no acceptance ends it all.
    fn take(&mut self, (outcome, size): Answer) -> Result<(), SimulateError> {
        let reason = match outcome {
            Ok(Outcome::Accepted(_)) => {
                self.accepted.posted += 1;
                self.accepted.bytes += size as u64;
                return Ok(());
            }
            Ok(Outcome::Rejected(rejected)) => rejected
                .error
                .map_or_else(|| "no reason given".to_owned(), |error| describe(&error)),
            Ok(Outcome::Released(_)) => "released".to_owned(),
            Ok(Outcome::Modified(_)) => "modified".to_owned(),
            Err(error) => return Err(self.failed(error)),
        };
        Err(SimulateError::Rejected {
            posted: self.accepted.posted,
            reason,
        })
    }

    fn failed(&self, error: SendError) -> SimulateError {
        if let SendError::MessageSizeExceeded(error) = error {
            let reason = error.to_string();
            return SimulateError::Rejected {
                posted: self.accepted.posted,
                reason,
            };
        }
        let dialled = self.hub.dialled();
        self.broken(ReceiverError::judge(
            error.into(),
            &self.hub.describe(),
            &dialled,
        ))
    }

    fn broken(&self, source: ReceiverError) -> SimulateError {
        SimulateError::Hub {
            posted: self.accepted.posted,
            unanswered: self.unanswered.sizes.len(),
            source,
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

impl Hub {
    fn describe(&self) -> String {
        format!(
            "event hub {:?} at {}",
            self.event_hub,
            self.connection_string.namespace()
        )
    }

    fn dialled(&self) -> String {
        self.transport.address(&self.connection_string).to_string()
    }

    fn silent(&self) -> ReceiverError {
        let reason = format!("no answer within {} s", STEP_LIMIT.as_secs());
        ReceiverError::silent(self.describe(), reason)
    }
}

fn nothing_sent(source: ReceiverError) -> SimulateError {
    SimulateError::Hub {
        posted: 0,
        unanswered: 0,
        source,
    }
}

/// What became of an event, and the size of its body.
type Answer = (Result<Outcome, SendError>, usize);

/// Events on their way, in the order in which they were sent.
#[derive(Default)]
struct Unanswered {
    deliveries: FuturesOrdered<DeliveryFut<Result<Outcome, SendError>>>,
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Unanswered {
    fn push(&mut self, delivery: DeliveryFut<Result<Outcome, SendError>>, size: usize) {
        self.deliveries.push_back(delivery);
        self.sizes.push_back(size);
        self.bytes += size;
    }

    /// The next answer, `None` where none is outstanding. Cancel-safe.
    async fn next(&mut self) -> Option<Answer> {
        let outcome = self.deliveries.next().await?;
        let size = self.sizes.pop_front().unwrap_or_default();
        self.bytes -= size;
        Some((outcome, size))
    }

    fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    fn is_full(&self, next: usize) -> bool {
        let is_too_many = self.sizes.len() >= MOST_IN_FLIGHT;
        let is_too_much = self.bytes.saturating_add(next) > MOST_BYTES_IN_FLIGHT;
        !self.is_empty() && (is_too_many || is_too_much)
    }
}

fn message(post: Post) -> Message<Data> {
    let mut properties = ApplicationProperties::builder();
    for (name, value) in post.properties {
        properties = properties.insert(name, simple(value));
    }
    Message::builder()
        .application_properties(properties.build())
        .data(Binary::from(post.body))
        .build()
}

fn simple(value: PropertyValue) -> SimpleValue {
    match value {
        PropertyValue::Null => SimpleValue::Null,
        PropertyValue::Flag(flag) => SimpleValue::Bool(flag),
        PropertyValue::Text(text) => SimpleValue::String(text),
    }
}

fn describe(error: &definitions::Error) -> String {
    let condition = condition::symbol(&error.condition);
    let description = error.description.as_deref().unwrap_or("no description");
    let description: String = description.chars().take(MOST_WORDS).collect();
    format!("{description} ({condition})")
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::definitions::{ErrorCondition, LinkError};
    use fe2o3_amqp::types::primitives::Symbol;

    use super::*;

    #[test]
    fn a_rejection_is_told_in_the_words_of_the_hub() {
        let check = |condition: ErrorCondition, description: Option<&str>, expected: &str| {
            let description = description.map(str::to_owned);
            let error = definitions::Error::new(condition, description, None);
            assert_eq!(describe(&error), expected);
        };
        let busy = ErrorCondition::Custom(Symbol::from("com.microsoft:server-busy"));
        check(busy, Some("wait"), "wait (com.microsoft:server-busy)");
        let too_large = LinkError::MessageSizeExceeded.into();
        check(
            too_large,
            None,
            "no description (amqp:link:message-size-exceeded)",
        );
    }

    #[test]
    fn what_is_under_way_is_bounded_in_number_and_bytes_but_never_to_nothing() {
        let check = |count: usize, bytes, next, expected| {
            let unanswered = Unanswered {
                deliveries: FuturesOrdered::new(),
                sizes: vec![0; count].into(),
                bytes,
            };
            assert_eq!(
                unanswered.is_full(next),
                expected,
                "{count} of {bytes}, then {next}"
            );
        };
        check(0, 0, usize::MAX, false);
        check(1, 100, MOST_BYTES_IN_FLIGHT, true);
        check(1, 100, MOST_BYTES_IN_FLIGHT - 100, false);
        check(MOST_IN_FLIGHT - 1, 0, 1, false);
        check(MOST_IN_FLIGHT, 0, 1, true);
    }
}
