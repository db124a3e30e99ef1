//! The engines behind the seam, and which of them a hub is read with.

use std::sync::Arc;

use super::credit::Credit;
use super::reading::RuntimeMetric;
use super::seam::{Failure, Head, Selector};
use super::trail::Trail;
use super::{Config, Extent, LastEvent, own, stock};
use crate::budget::{Budget, Hold, Share};
use crate::event::{Event, PartitionId, SequenceNumber};

/// What speaks AMQP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// The project's own.
    #[default]
    Own,
    /// The client of fe2o3-amqp: slower, and kept for a service that does not get on with the other.
    Fe2o3,
}

/// However little may lie unread, so many bytes may. One engine counts events alone, and the first of them always
/// has room; the other counts all it reads, the exchanges before the first event among them.
const LEAST_OWN: usize = 1;
const LEAST_FE2O3: usize = 1024 * 1024;

/// An open connection. Dropped, it is cut at once.
#[derive(Debug)]
pub(super) enum Connection {
    Own(own::Connection),
    Fe2o3(stock::Connection),
}

impl Connection {
    /// Connects, opens, and claims the hub that `config` names, to read no more ahead than the share allows.
    pub(super) async fn open_authorized(
        config: &Config,
        share: &Arc<Share>,
    ) -> Result<Self, Failure> {
        Self::open(config, share, &mut Trail::none()).await
    }

    /// The same, to ask and not to read.
    pub(super) async fn open_to_ask(config: &Config) -> Result<Self, Failure> {
        Self::open_along(config, &mut Trail::none()).await
    }

    /// The same, and leaves a trail of it. Where it fails, that ends in the step that failed.
    pub(super) async fn open_along(
        config: &Config,
        trail: &mut Trail<'_>,
    ) -> Result<Self, Failure> {
        Self::open(config, &Share::new(&Budget::new(0), 0), trail).await
    }

    async fn open(
        config: &Config,
        share: &Arc<Share>,
        trail: &mut Trail<'_>,
    ) -> Result<Self, Failure> {
        let unread = |least| Hold::new(Arc::clone(share), least);
        Ok(match config.engine {
            Engine::Own => {
                let unread = unread(LEAST_OWN);
                Self::Own(own::Connection::open_authorized(config, unread, trail).await?)
            }
            Engine::Fe2o3 => {
                let unread = unread(LEAST_FE2O3);
                Self::Fe2o3(stock::Connection::open_authorized(config, unread, trail).await?)
            }
        })
    }

    /// The ids of a hub's partitions, unsorted.
    pub(super) async fn partition_ids(&mut self, event_hub: &str) -> Result<Vec<String>, Failure> {
        match self {
            Self::Own(connection) => connection.partition_ids(event_hub).await,
            Self::Fe2o3(connection) => connection.partition_ids(event_hub).await,
        }
    }

    /// The number of the last event in a partition, -1 where there was none yet.
    pub(super) async fn last_enqueued(
        &mut self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<SequenceNumber, Failure> {
        match self {
            Self::Own(connection) => connection.last_enqueued(event_hub, partition).await,
            Self::Fe2o3(connection) => connection.last_enqueued(event_hub, partition).await,
        }
    }

    /// The last event in a partition, none where nothing is kept there.
    pub(super) async fn last_event(
        &mut self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<Option<LastEvent>, Failure> {
        match self {
            Self::Own(connection) => connection.last_event(event_hub, partition).await,
            Self::Fe2o3(connection) => connection.last_event(event_hub, partition).await,
        }
    }

    /// What a partition holds.
    pub(super) async fn extent(
        &mut self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<Extent, Failure> {
        match self {
            Self::Own(connection) => connection.extent(event_hub, partition).await,
            Self::Fe2o3(connection) => connection.extent(event_hub, partition).await,
        }
    }

    /// Attaches a link to a partition.
    pub(super) async fn attach(
        self,
        config: &Config,
        partition: &PartitionId,
        selector: &Selector,
        credit: Credit,
    ) -> Result<Link, Failure> {
        Ok(match self {
            Self::Own(connection) => {
                let link = own::Link::attach(connection, config, partition, selector, credit);
                Link::Own(Box::new(link.await?))
            }
            Self::Fe2o3(connection) => {
                let link = stock::Link::attach(connection, config, partition, selector, credit);
                Link::Fe2o3(Box::new(link.await?))
            }
        })
    }

    /// Says goodbye, waits a little for the answer, and cuts.
    pub(super) async fn close(self) {
        match self {
            Self::Own(connection) => connection.close().await,
            Self::Fe2o3(connection) => connection.close().await,
        }
    }
}

/// An attached link with its own connection. Dropped, it is cut at once.
#[derive(Debug)]
pub(super) enum Link {
    Own(Box<own::Link>),
    Fe2o3(Box<stock::Link>),
}

impl Link {
    /// Waits until an event is at hand. Cancel-safe; after an error the link is of no more use.
    pub(super) async fn fetch(&mut self) -> Result<(), Failure> {
        match self {
            Self::Own(link) => link.fetch().await,
            Self::Fe2o3(link) => link.fetch().await,
        }
    }

    /// Looks at the next event, where one is at hand. It is to be taken before the one behind it is looked at.
    #[inline]
    pub(super) fn look(&mut self) -> Option<Result<Head, Failure>> {
        match self {
            Self::Own(link) => link.look(),
            Self::Fe2o3(link) => link.look().map(Ok),
        }
    }

    /// Takes the event that was looked at last, of this head.
    #[inline]
    pub(super) fn take(&mut self, head: &Head) -> Option<Event> {
        match self {
            Self::Own(link) => link.take(head),
            Self::Fe2o3(link) => link.take(),
        }
    }

    /// What the service said of the partition's last event beside the last one received.
    pub(super) fn metric(&self) -> Option<RuntimeMetric> {
        match self {
            Self::Own(link) => link.metric(),
            Self::Fe2o3(link) => link.metric(),
        }
    }

    /// The last event that the partition has; none where it keeps none.
    pub(super) async fn last_event(
        &mut self,
        event_hub: &str,
    ) -> Result<Option<LastEvent>, Failure> {
        match self {
            Self::Own(link) => link.last_event(event_hub).await,
            Self::Fe2o3(link) => link.last_event(event_hub).await,
        }
    }

    /// The credit for the link that comes after this one.
    pub(super) fn next_credit(&self) -> Credit {
        match self {
            Self::Own(link) => link.next_credit(),
            Self::Fe2o3(link) => link.next_credit(),
        }
    }

    /// Detaches and closes, waits a little for the answers, and cuts.
    pub(super) async fn close(self) {
        match self {
            Self::Own(link) => link.close().await,
            Self::Fe2o3(link) => link.close().await,
        }
    }
}
