//! One link: a partition's events from a position on.

use std::collections::VecDeque;

use fe2o3_amqp::types::definitions::{ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp::types::messaging::{Target, TargetArchetype};
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::Array;

use super::connection::Connection;
use crate::event::{Event, PartitionId};
use crate::receiver::credit::Credit;
use crate::receiver::engine::{Delivery, LinkId, Message, event};
use crate::receiver::reading::{RuntimeMetric, broken, weight};
use crate::receiver::seam::{Failure, Selector};
use crate::receiver::step::MAX_MESSAGE_SIZE;
use crate::receiver::{Config, LastEvent, place};

/// An attached link with its own connection. Dropped, it is cut at once.
#[derive(Debug)]
pub(crate) struct Link {
    connection: Connection,
    link: LinkId,
    partition: PartitionId,
    credit: Credit,
    /// What was fetched and not taken yet.
    fetched: VecDeque<Delivery>,
    metric: Option<RuntimeMetric>,
}

impl Link {
    /// Attaches to a partition, on a connection that has the claim to do so.
    pub(crate) async fn attach(
        connection: Connection,
        config: &Config,
        partition: &PartitionId,
        selector: &Selector,
        credit: Credit,
    ) -> Result<Self, Failure> {
        let link = connection
            .attach(attach(config, partition, selector))
            .await?;
        Ok(Self {
            connection,
            link,
            partition: partition.clone(),
            credit,
            fetched: VecDeque::new(),
            metric: None,
        })
    }

    /// The next event. Cancel-safe: a whole event or nothing, for nothing is awaited once an event
    /// has left the queue. After an error the link is of no more use.
    pub(crate) async fn receive(&mut self) -> Result<Event, Failure> {
        if let Some(event) = self.take_fetched() {
            return event;
        }
        let running = self.connection.running();
        let received = running.receive(self.link, &mut self.fetched).await;
        received.map_err(|cause| self.connection.failure(cause))?;
        let nothing = || Err(Failure::lost("nothing came"));
        self.take_fetched().unwrap_or_else(nothing)
    }

    /// The next event, where one is at hand: most come together with others, and need no waiting.
    pub(crate) fn take_fetched(&mut self) -> Option<Result<Event, Failure>> {
        if let Some(ahead) = self.credit.due() {
            let running = self.connection.running();
            running.grant(self.link, ahead, self.fetched.len());
            self.credit.grant(ahead);
        }
        let delivery = self.fetched.pop_front()?;
        self.connection.running().took(&delivery);
        Some(self.read(delivery))
    }

    fn read(&mut self, delivery: Delivery) -> Result<Event, Failure> {
        let message = Message::read(delivery.message).map_err(broken)?;
        let event = event::read(&self.partition, &message)?;
        self.credit.take(weight(&event));
        self.metric = event::metric(&message);
        Ok(event)
    }

    /// What the service said of the partition's last event beside the last one received.
    pub(crate) fn metric(&self) -> Option<RuntimeMetric> {
        self.metric
    }

    /// The last event that the partition has; none where it keeps none.
    pub(crate) async fn last_event(&self, event_hub: &str) -> Result<Option<LastEvent>, Failure> {
        self.connection.last_event(event_hub, &self.partition).await
    }

    /// The credit for the link that comes after this one.
    pub(crate) fn next_credit(&self) -> Credit {
        self.credit.renewed()
    }

    /// Detaches and closes, waits a little for the answers, and cuts.
    pub(crate) async fn close(self) {
        self.connection.running().detach(self.link);
        self.connection.close().await;
    }
}

fn attach(config: &Config, partition: &PartitionId, selector: &Selector) -> Attach {
    let name = place::name(partition);
    let target = Target::builder().address(name.as_str()).build();
    Attach {
        handle: 0.into(),
        role: Role::Receiver,
        snd_settle_mode: SenderSettleMode::Settled,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(Box::new(place::source(config, partition, selector))),
        target: Some(Box::new(TargetArchetype::Target(target))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: None,
        max_message_size: Some(MAX_MESSAGE_SIZE),
        offered_capabilities: None,
        desired_capabilities: Some(Array::from(place::capabilities())),
        properties: Some(place::properties(&name, config)),
        name,
    }
}
