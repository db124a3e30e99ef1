//! Receiving: the only product code that speaks AMQP.
//!
//! [`EventHub`] names a hub and knows its partitions; a [`Receiver`] reads one partition for as long
//! as somebody wants its events, over a connection of its own, so that what goes wrong in one
//! partition stays there. Connecting anew, and where to go on, is the receiver's own affair.
//!
//! `checkup` goes the same way for whoever wants to know where it ends: the steps of an opening leave a `trail`.
//!
//! Below the seam (`seam.rs`) lie the AMQP engines, `own` on `engine`, and `stock`: nothing above it knows their
//! types.

mod answer;
mod assertion;
mod authority;
mod checkup;
mod claim;
pub(crate) mod condition;
mod connection_string;
mod continuity;
mod credit;
mod current;
mod encoding;
pub mod engine;
mod engines;
mod entra;
mod error;
mod keeper;
mod lost;
mod management;
mod opening;
mod own;
mod partition;
mod place;
mod position;
mod reading;
mod resume;
mod sas;
mod seam;
mod step;
pub(crate) mod stock;
mod telling;
mod trail;
mod transport;
mod watch;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use assertion::{ClientCertificate, ClientCertificateError};
pub use checkup::{Finding, Outcome};
pub use connection_string::{ConnectionString, ConnectionStringError, Credential, HubNameError};
pub use engines::Engine;
pub use entra::{Identity, Proof};
pub use error::{ReceiverError, Retry};
pub use lost::{LostPosition, LostPositionError};
pub use partition::Receiver;
pub use position::{PositionError, StartPosition};
pub use trail::Step;
pub use transport::{
    Authorities, AuthoritiesError, Endpoint, EndpointError, Proxy, ProxyCredential, ProxyError,
    ProxyServer, Transport, TransportKind,
};

use crate::budget::Budget;
use crate::event::{PartitionId, Position, SequenceNumber, Source};

/// Events that the service may send ahead of their reader, for each partition.
pub const DEFAULT_PREFETCH_EVENTS: u32 = 300;
/// Bytes that the service may send ahead of their reader, for each partition.
pub const DEFAULT_PREFETCH_BYTES: usize = 8 * 1024 * 1024;

/// How often a hub is asked whether it has more partitions by now.
pub const DEFAULT_PARTITION_CHECK: Duration = Duration::from_secs(300);

/// What to read, and how far ahead.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the hub is and what opens it. Its own `EntityPath` is not looked at here.
    pub connection_string: ConnectionString,
    /// The hub's name.
    pub event_hub: String,
    /// The consumer group's name, `$Default` where no other was made.
    pub consumer_group: String,
    /// Where to begin, for those who ask this configuration: [`Self::start_of`].
    pub start: StartPosition,
    /// Where to begin in single partitions, instead.
    pub starts: BTreeMap<PartitionId, StartPosition>,
    /// The owner level (epoch) to read with, from 0 on: it shuts out every reader with none or a lower one, and of
    /// two with the same the later one reads. None shuts out nobody.
    pub owner_level: Option<i64>,
    /// Events that the service may send ahead, for each partition; [`DEFAULT_PREFETCH_EVENTS`].
    pub prefetch_events: u32,
    /// Bytes that the service may send ahead, at most, for each partition; [`DEFAULT_PREFETCH_BYTES`].
    /// See [`EventHub::within`].
    pub prefetch_bytes: usize,
    /// What speaks AMQP.
    pub engine: Engine,
    /// Where to go on when the next event is not kept any more.
    pub lost_position: LostPosition,
    /// How the service is reached.
    pub transport: Transport,
    /// How often the hub is asked whether it has more partitions by now; [`DEFAULT_PARTITION_CHECK`].
    pub partition_check: Duration,
}

impl Config {
    /// A configuration with the default prefetch. The hub is `event_hub`, or else the one that the
    /// connection string names in its `EntityPath`.
    ///
    /// # Errors
    /// When neither names a hub, or each another one.
    pub fn new(
        connection_string: ConnectionString,
        event_hub: Option<&str>,
        consumer_group: &str,
        start: StartPosition,
    ) -> Result<Self, HubNameError> {
        Ok(Self {
            event_hub: connection_string.event_hub_or(event_hub)?,
            connection_string,
            consumer_group: consumer_group.to_owned(),
            start,
            starts: BTreeMap::new(),
            owner_level: None,
            prefetch_events: DEFAULT_PREFETCH_EVENTS,
            prefetch_bytes: DEFAULT_PREFETCH_BYTES,
            engine: Engine::default(),
            lost_position: LostPosition::default(),
            transport: Transport::default(),
            partition_check: DEFAULT_PARTITION_CHECK,
        })
    }

    /// Where to begin in a partition.
    pub fn start_of(&self, partition: &PartitionId) -> &StartPosition {
        self.starts.get(partition).unwrap_or(&self.start)
    }

    /// Host and port that are dialled, for messages.
    fn address(&self) -> String {
        self.transport.address(&self.connection_string).to_string()
    }
}

/// The last event that a partition has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEvent {
    /// Where it lies.
    pub position: Position,
    /// When the service took it, in UTC.
    pub enqueued_time: OffsetDateTime,
}

/// What a partition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// The number of the oldest event that is kept; where none is kept, what the service says instead.
    pub first: SequenceNumber,
    /// The number of the last event that it has had, kept or not; -1 where it never had one.
    pub last_number: SequenceNumber,
    /// The last event; none where none is kept.
    pub last: Option<LastEvent>,
    /// When the service looked, by its own clock, in UTC; none where it does not say.
    pub asked: Option<OffsetDateTime>,
}

/// As a person reads it.
impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first,
            last_number,
            last,
            ..
        } = self;
        match last {
            Some(last) => {
                let time = last.enqueued_time.format(&Rfc3339);
                let time = time.map_err(|_| fmt::Error)?;
                write!(f, "events {first} to {last_number}, the last at {time}")
            }
            None if last_number.0 < 0 => f.write_str("empty"),
            None => write!(
                f,
                "empty; the last event was {last_number}, which is not kept any more"
            ),
        }
    }
}

/// One event hub, read through one consumer group.
#[derive(Debug, Clone)]
pub struct EventHub {
    config: Arc<Config>,
    source: Arc<Source>,
    budget: Arc<Budget>,
    has_worked: bool,
}

impl EventHub {
    /// Opens nothing yet.
    pub fn new(config: Config) -> Self {
        let source = Source {
            namespace: config.connection_string.namespace().to_owned(),
            event_hub: config.event_hub.clone(),
            consumer_group: config.consumer_group.clone(),
        };
        Self {
            config: Arc::new(config),
            source: Arc::new(source),
            budget: Budget::new(usize::MAX),
            has_worked: false,
        }
    }

    /// The same, whose receivers share with others what the service may send ahead of all of them, in bytes.
    pub fn within(self, budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            ..self
        }
    }

    /// The same, of which other partitions are read already: what is refused to its receivers is waited for from the
    /// beginning, as it is once they have worked.
    pub fn that_has_worked(self) -> Self {
        Self {
            has_worked: true,
            ..self
        }
    }

    /// Where its events come from.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The ids of its partitions, in the order of their numbers.
    ///
    /// Connects, asks `$management`, and closes. Each step of it is bounded in time.
    ///
    /// # Errors
    /// Whatever [`ReceiverError`] tells of, at the first failure: nothing is tried again here.
    pub async fn partitions(&self) -> Result<Vec<PartitionId>, ReceiverError> {
        let ids = self.ask_partitions().await.map_err(|failure| {
            let address = self.config.address();
            ReceiverError::judge(failure, &describe_hub(&self.config), &address)
        })?;
        Ok(in_order(&ids))
    }

    /// A receiver for one partition. It connects when it is first asked for an event.
    pub fn receiver(&self, partition: PartitionId, start: StartPosition) -> Receiver {
        Receiver::new(self, partition, start)
    }

    /// A receiver of the events after `position`, which was read before.
    pub fn receiver_after(&self, partition: PartitionId, position: Position) -> Receiver {
        Receiver::after(self, partition, position)
    }

    /// The last event of a partition, or none where it has none.
    ///
    /// Connects, asks `$management`, and closes. Each step of it is bounded in time.
    ///
    /// # Errors
    /// Whatever [`ReceiverError`] tells of, at the first failure: nothing is tried again here.
    pub async fn last_event(
        &self,
        partition: &PartitionId,
    ) -> Result<Option<LastEvent>, ReceiverError> {
        self.ask_last_event(partition).await.map_err(|failure| {
            let address = self.config.address();
            ReceiverError::judge(
                failure,
                &describe_partition(&self.config, partition),
                &address,
            )
        })
    }

    async fn ask_last_event(
        &self,
        partition: &PartitionId,
    ) -> Result<Option<LastEvent>, seam::Failure> {
        let mut connection = engines::Connection::open_to_ask(&self.config).await?;
        let last = connection
            .last_event(&self.config.event_hub, partition)
            .await;
        connection.close().await;
        last
    }

    async fn ask_partitions(&self) -> Result<Vec<String>, seam::Failure> {
        let mut connection = engines::Connection::open_to_ask(&self.config).await?;
        let ids = connection.partition_ids(&self.config.event_hub).await;
        connection.close().await;
        ids
    }
}

fn describe_hub(config: &Config) -> String {
    format!(
        "event hub {:?} at {}",
        config.event_hub,
        config.connection_string.namespace()
    )
}

fn describe_partition(config: &Config, partition: &PartitionId) -> String {
    let hub = describe_hub(config);
    format!(
        "partition {partition} of {hub} (consumer group {:?})",
        config.consumer_group
    )
}

/// Partitions in the order of their numbers, each once.
fn in_order(ids: &[String]) -> Vec<PartitionId> {
    let mut ids: Vec<PartitionId> = ids.iter().map(|id| PartitionId::new(id)).collect();
    ids.sort_by(|a, b| a.numeric_first().cmp(&b.numeric_first()));
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_tells_where_its_events_come_from() {
        let hub = EventHub::new(Config {
            connection_string: "Endpoint=sb://ns/;SharedAccessKeyName=n;SharedAccessKey=S3CRET"
                .parse()
                .unwrap(),
            event_hub: "eh1".into(),
            consumer_group: "$Default".into(),
            start: StartPosition::Latest,
            starts: BTreeMap::new(),
            owner_level: None,
            prefetch_events: DEFAULT_PREFETCH_EVENTS,
            prefetch_bytes: DEFAULT_PREFETCH_BYTES,
            engine: Engine::default(),
            lost_position: LostPosition::default(),
            transport: Transport::default(),
            partition_check: DEFAULT_PARTITION_CHECK,
        });
        let expected = Source {
            namespace: "ns".into(),
            event_hub: "eh1".into(),
            consumer_group: "$Default".into(),
        };
        assert_eq!(**hub.source(), expected);
        assert!(!format!("{hub:?}").contains("S3CRET"));
    }
}
