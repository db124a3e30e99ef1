//! One link: a partition's events from a position on.
//!
//! Source: AMQP 1.0 part 2.6; the addresses, filters and properties of the AMQP protocol guide for
//! Azure Event Hubs.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use fe2o3_amqp::link::Receiver;
use fe2o3_amqp::link::delivery::Delivery;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{Body, Target};
use fe2o3_amqp::types::primitives::LazyValue;
use tokio::time::timeout;

use super::connection::{Connection, CutOnDrop};
use super::{event, failure};
use crate::event::{Event, PartitionId};
use crate::receiver::credit::Credit;
use crate::receiver::reading::RuntimeMetric;
use crate::receiver::seam::{Failure, Head, Selector};
use crate::receiver::step::{CLOSE_LIMIT, MAX_MESSAGE_SIZE, step};
use crate::receiver::{Config, LastEvent, place};

/// An attached link with its own session and connection. Dropped, it is cut at once.
#[derive(Debug)]
pub(crate) struct Link {
    // Dropped in this order: the wire first, lest the rest wait for the peer.
    cut: CutOnDrop,
    receiver: Receiver,
    session: SessionHandle<()>,
    connection: Connection,
    partition: PartitionId,
    credit: Credit,
    metric: Option<RuntimeMetric>,
    /// What has come and was not taken yet.
    fetched: Option<Event>,
    failure: Option<Failure>,
}

impl Link {
    /// Attaches to a partition, on a connection that has the claim to do so.
    pub(crate) async fn attach(
        mut connection: Connection,
        config: &Config,
        partition: &PartitionId,
        selector: &Selector,
        credit: Credit,
    ) -> Result<Self, Failure> {
        let mut session = connection.session().await?;
        let name = place::name(partition);
        let attach = Receiver::builder()
            .name(name.as_str())
            .source(place::source(config, partition, selector))
            .target(Target::builder().address(name.as_str()).build())
            .sender_settle_mode(SenderSettleMode::Settled)
            .receiver_settle_mode(ReceiverSettleMode::First)
            .max_message_size(MAX_MESSAGE_SIZE)
            .properties(place::properties(&name, config))
            .set_desired_capabilities(place::capabilities())
            .verify_incoming_source(false)
            .credit_mode(CreditMode::Manual)
            .auto_accept(false)
            .attach(&mut session);
        let receiver = match step("the attach", attach).await {
            Ok(receiver) => receiver,
            Err(failure) => return Err(connection.explained(failure).await),
        };
        let cut = CutOnDrop(connection.leash().clone());
        Ok(Self {
            cut,
            receiver,
            session,
            connection,
            partition: partition.clone(),
            credit,
            metric: None,
            fetched: None,
            failure: None,
        })
    }

    /// Waits until an event is at hand. Cancel-safe: a whole event or nothing, for nothing is awaited once an event
    /// has left the queue. After an error the link is of no more use.
    pub(crate) async fn fetch(&mut self) -> Result<(), Failure> {
        if self.fetched.is_none() {
            self.fetched = Some(self.receive().await?);
        }
        Ok(())
    }

    /// Looks at the event that has come.
    pub(crate) fn look(&self) -> Option<Head> {
        self.fetched.as_ref().map(Head::of)
    }

    /// Takes the event that has come.
    pub(crate) fn take(&mut self) -> Option<Event> {
        self.fetched.take()
    }

    async fn receive(&mut self) -> Result<Event, Failure> {
        if self.failure.is_none() {
            match self.next_event().await {
                Ok(event) => return Ok(event),
                // Kept while its cause is asked for, lest a cancelled call receive after an error.
                Err(failure) => self.failure = Some(failure),
            }
        }
        let is_vague = self.failure.as_ref().is_some_and(failure::is_vague);
        let cause = self.connection.cause(is_vague).await;
        Err(cause
            .or_else(|| self.failure.take())
            .unwrap_or_else(failure::vague))
    }

    /// What the service said of the partition's last event beside the last one received.
    pub(crate) fn metric(&self) -> Option<RuntimeMetric> {
        self.metric
    }

    /// The last event that the partition has; none where it keeps none.
    pub(crate) async fn last_event(
        &mut self,
        event_hub: &str,
    ) -> Result<Option<LastEvent>, Failure> {
        self.connection.last_event(event_hub, &self.partition).await
    }

    /// The credit for the link that comes after this one.
    pub(crate) fn next_credit(&self) -> Credit {
        self.credit.renewed()
    }

    /// Detaches and closes, waits a little for the answers, and cuts.
    pub(crate) async fn close(self) {
        let Self {
            cut,
            receiver,
            mut session,
            connection,
            ..
        } = self;
        let goodbye = async {
            let detached = receiver.close().await;
            let ended = session.end().await;
            tracing::trace!(?detached, ?ended, "link closed");
        };
        let mut goodbye = pin!(goodbye);
        if timeout(CLOSE_LIMIT, &mut goodbye).await.is_ok() {
            connection.close().await;
        }
        drop(cut);
    }

    async fn next_event(&mut self) -> Result<Event, Failure> {
        if let Some(credit) = self.credit.due() {
            self.receiver.set_credit(credit).await?;
            self.credit.grant(credit);
        }
        let delivery = self.next_delivery().await?;
        let message = delivery.into_message();
        self.metric = event::metric(&message);
        let event = event::read(&self.partition, message)?;
        let weight = event::weight(event.size());
        self.credit.take(weight);
        self.cut.0.took(weight);
        Ok(event)
    }

    /// Whenever the queue is found empty, the wire learns that nothing it read is waiting.
    async fn next_delivery(&mut self) -> Result<Delivery<Body<LazyValue>>, Failure> {
        let Self { receiver, cut, .. } = self;
        let mut receive = pin!(receiver.recv::<Body<LazyValue>>());
        poll_fn(|cx| {
            let poll = receive.as_mut().poll(cx);
            // A task that has used up its turn is told "pending" whatever the queue holds.
            if poll.is_pending() && tokio::task::coop::has_budget_remaining() {
                cut.0.took_all();
            }
            match poll {
                Poll::Ready(result) => Poll::Ready(result.map_err(Failure::from)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
