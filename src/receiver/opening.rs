//! The way to a partition, from nothing: a connection, the place where to begin, and the link.

use std::sync::Arc;

use super::Config;
use super::credit::Credit;
use super::engines::{Connection, Link};
use super::resume::Place;
use super::seam::{Failure, Selector};
use crate::budget::{Budget, Share};
use crate::event::{PartitionId, SequenceNumber};

/// What is needed to open a link.
pub(super) struct Opening {
    pub(super) config: Arc<Config>,
    pub(super) partition: PartitionId,
    pub(super) place: Place,
    pub(super) credit: Credit,
    pub(super) share: Arc<Share>,
    /// True once another reader took the partition over: it must be gone first.
    pub(super) is_outranked: bool,
}

/// What came of an attempt to open a link.
pub(super) struct Opened {
    /// The last event that the partition had, where its end was asked for; its number is what "latest" means.
    pub(super) end: Option<SequenceNumber>,
    pub(super) link: Result<Link, Failure>,
}

impl Opening {
    /// Opens it, once.
    pub(super) async fn run(self) -> Opened {
        let mut end = None;
        let link = self.attach(&mut end).await;
        Opened { end, link }
    }

    async fn attach(self, end: &mut Option<SequenceNumber>) -> Result<Link, Failure> {
        let (config, partition) = (&self.config, &self.partition);
        if self.is_outranked {
            look(config, partition).await?;
        }
        let mut connection = Connection::open_authorized(config, &self.share).await?;
        let selector = match self.place {
            Place::At(selector) => selector,
            Place::End => {
                let last = connection
                    .last_enqueued(&config.event_hub, partition)
                    .await?;
                Selector::after_last(*end.insert(last))
            }
        };
        connection
            .attach(config, partition, &selector, self.credit)
            .await
    }
}

/// Fails while a reader with an owner level holds the partition: whoever has none is refused then, and shuts out
/// nobody.
pub(super) async fn look(config: &Config, partition: &PartitionId) -> Result<(), Failure> {
    let config = Config {
        owner_level: None,
        ..config.clone()
    };
    let connection = Connection::open_to_ask(&config).await?;
    // Room for nothing is room for one event.
    let nothing = Share::new(&Budget::new(0), 0);
    let (anywhere, credit) = (Selector::earliest(), Credit::new(1, nothing));
    let link = connection
        .attach(&config, partition, &anywhere, credit)
        .await?;
    link.close().await;
    Ok(())
}
