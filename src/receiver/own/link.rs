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
use crate::receiver::reading::{RuntimeMetric, weight};
use crate::receiver::seam::{Failure, Head, Selector};
use crate::receiver::step::MAX_MESSAGE_SIZE;
use crate::receiver::{Config, LastEvent, place};

/// The connection is told of so many bytes that were taken, or of those of the last message at hand.
const WORTH_TELLING: usize = 16 * 1024;

/// An attached link with its own connection. Dropped, it is cut at once.
#[derive(Debug)]
pub(crate) struct Link {
    connection: Connection,
    link: LinkId,
    partition: PartitionId,
    credit: Credit,
    /// What was fetched and not taken yet.
    fetched: VecDeque<Delivery>,
    /// What was looked at last; nothing is left of it once it is taken.
    looked_at: Message,
    is_looked_at: bool,
    /// Bytes that were taken and that the connection has not been told of.
    untold: usize,
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
            looked_at: Message::default(),
            is_looked_at: false,
            untold: 0,
            metric: None,
        })
    }

    /// Waits until an event is at hand; most come together with others. Cancel-safe: nothing is taken out of the
    /// queue. After an error the link is of no more use.
    pub(crate) async fn fetch(&mut self) -> Result<(), Failure> {
        self.grant();
        if !self.fetched.is_empty() {
            return Ok(());
        }
        let running = self.connection.running();
        let received = running.receive(self.link, &mut self.fetched).await;
        received.map_err(|cause| self.connection.failure(cause))
    }

    /// Looks at the next event, where one is at hand.
    #[inline]
    pub(crate) fn look(&mut self) -> Option<Result<Head, Failure>> {
        self.grant();
        let delivery = self.fetched.pop_front()?;
        self.took(&delivery);
        Some(self.read(delivery))
    }

    /// Room is made for many small messages at once: to tell of each costs as much as to take it. Nothing is left
    /// untold once none is at hand, lest the connection wait for room that there is.
    fn took(&mut self, delivery: &Delivery) {
        let running = self.connection.running();
        if !delivery.settled {
            return running.took(delivery);
        }
        self.untold += delivery.size();
        if self.untold >= WORTH_TELLING || self.fetched.is_empty() {
            running.took_settled(std::mem::take(&mut self.untold));
        }
    }

    #[inline]
    fn read(&mut self, delivery: Delivery) -> Result<Head, Failure> {
        self.credit.take(weight(delivery.message.len()));
        self.looked_at = Message::read_until_flaw(delivery.message);
        self.metric = event::metric(&self.looked_at);
        let head = event::head(&mut self.looked_at)?;
        self.is_looked_at = true;
        Ok(head)
    }

    /// Takes the event that was looked at last, of this head.
    #[inline]
    pub(crate) fn take(&mut self, head: &Head) -> Option<Event> {
        if !std::mem::take(&mut self.is_looked_at) {
            return None;
        }
        Some(event::of(&self.partition, head, &mut self.looked_at))
    }

    /// Lets the service send more, where it is time to.
    #[inline]
    fn grant(&mut self) {
        if let Some(ahead) = self.credit.due() {
            let running = self.connection.running();
            running.grant(self.link, ahead, self.fetched.len());
            self.credit.grant(ahead);
        }
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
