//! One connection to a namespace: opened, authorised, authorised again, closed.
//!
//! Source: AMQP 1.0 part 2.4; claims-based security as the AMQP protocol guide for Azure Event Hubs
//! describes it: one pair of links to `$cbs` for each connection.

use std::sync::{Arc, Mutex, PoisonError};

use fe2o3_amqp::types::messaging::ApplicationProperties;
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::Value;
use tokio::time::timeout;

use crate::budget::Hold;
use crate::event::{PartitionId, SequenceNumber};
use crate::receiver::answer::Answer;
use crate::receiver::claim::{self, Cbs, Claim};
use crate::receiver::connection_string::ConnectionString;
use crate::receiver::encoding::constructor::{Shape, shape};
use crate::receiver::engine::{
    Body, Cause, Identity, LinkId, Message, NodeId, Options, Running, SessionId,
};
use crate::receiver::keeper::Keeper;
use crate::receiver::seam::Failure;
use crate::receiver::step::{CLOSE_LIMIT, step};
use crate::receiver::trail::{Step, Trail};
use crate::receiver::{Config, Extent, LastEvent, Transport, management, transport};

/// The service and its peers are told apart in its logs by this.
const CONTAINER_ID: &str = "dataverse-listener";

/// An open connection. Dropped, it is cut at once.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Arc<Wire>,
    keeper: Option<Keeper>,
}

/// A connection that runs with its session, and the word that was left why it does not any more.
#[derive(Debug)]
struct Wire {
    running: Running,
    session: SessionId,
    cause: Mutex<Option<Failure>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.wire.running.cut();
    }
}

impl Connection {
    /// Connects and opens, without any claim yet. While there is no room for more unread bytes, no more is read.
    async fn open(
        target: &ConnectionString,
        transport: &Transport,
        unread: Hold,
        trail: &mut Trail<'_>,
    ) -> Result<Self, Failure> {
        let stream = transport::connect(target, transport, trail)
            .await
            .map_err(Failure::Unreachable)?;
        trail.begin(Step::Amqp);
        let options = Options {
            container_id: format!("{CONTAINER_ID}-{:08x}", fastrand::u32(..)),
            hostname: target.namespace().to_owned(),
            identity: Identity::Anonymous,
        };
        let running = Running::start(stream, options, unread);
        step("open", running.opened()).await?;
        let session = step("begin", running.begin()).await?;
        let cause = Mutex::new(None);
        Ok(Self {
            wire: Arc::new(Wire {
                running,
                session,
                cause,
            }),
            keeper: None,
        })
    }

    /// Connects, opens, and claims the hub that `config` names.
    pub(crate) async fn open_authorized(
        config: &Config,
        unread: Hold,
        trail: &mut Trail<'_>,
    ) -> Result<Self, Failure> {
        let Config {
            connection_string,
            event_hub,
            transport,
            ..
        } = config;
        let mut claim = Claim::prepare(connection_string, event_hub, trail).await?;
        let mut connection = Self::open(connection_string, transport, unread, trail).await?;
        trail.begin(Step::Token);
        let wire = Arc::clone(&connection.wire);
        let node = wire.attach_node(claim::NODE).await?;
        let mut cbs = CbsNode { wire, node };
        claim.make(&mut cbs).await?;
        connection.keeper = Some(Keeper::start(async move {
            let wire = Arc::clone(&cbs.wire);
            let failure = claim.keep(cbs, None).await;
            wire.cut_because(failure);
        }));
        Ok(connection)
    }

    /// The ids of a hub's partitions, unsorted.
    pub(crate) async fn partition_ids(&self, event_hub: &str) -> Result<Vec<String>, Failure> {
        let question = management::about_hub(event_hub);
        management::partition_ids(&self.ask_management(&question).await?)
    }

    /// The number of the last event in a partition, -1 where there was none yet.
    pub(crate) async fn last_enqueued(
        &self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<SequenceNumber, Failure> {
        let question = management::about_partition(event_hub, partition);
        management::last_number(&self.ask_management(&question).await?)
    }

    /// The last event in a partition, none where nothing is kept there.
    pub(crate) async fn last_event(
        &self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<Option<LastEvent>, Failure> {
        let question = management::about_partition(event_hub, partition);
        management::last_event(&self.ask_management(&question).await?)
    }

    /// What a partition holds.
    pub(crate) async fn extent(
        &self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<Extent, Failure> {
        let question = management::about_partition(event_hub, partition);
        management::extent(&self.ask_management(&question).await?)
    }

    async fn ask_management(&self, question: &[(&str, &str)]) -> Result<Answer, Failure> {
        let node = self.wire.attach_node(management::NODE).await?;
        let answer = self.wire.ask(management::NODE, node, question, Value::Null);
        let answer = answer.await;
        self.wire.running.detach_node(node);
        answer
    }

    /// Attaches a link, as `attach` says but for the handle.
    pub(super) async fn attach(&self, attach: Attach) -> Result<LinkId, Failure> {
        let attached = self.wire.running.attach(self.wire.session, attach);
        let attached = step("the attach", attached).await;
        attached.map_err(|failure| self.wire.explain(failure))
    }

    /// What runs it.
    pub(super) fn running(&self) -> &Running {
        &self.wire.running
    }

    /// Why a link is over: what was left as a word says more than that somebody cut the connection.
    pub(super) fn failure(&self, cause: Cause) -> Failure {
        self.wire.explain(cause.into())
    }

    /// Says goodbye, waits a little for the answer, and cuts.
    pub(crate) async fn close(mut self) {
        self.keeper = None;
        if timeout(CLOSE_LIMIT, self.wire.running.close())
            .await
            .is_err()
        {
            tracing::debug!("the peer did not answer the close");
        }
    }
}

/// The links to `$cbs`.
struct CbsNode {
    wire: Arc<Wire>,
    node: NodeId,
}

impl Cbs for CbsNode {
    /// A peer may take links away on which nothing happens, and a token is renewed once in a long while.
    async fn ask(&mut self, properties: &[(&str, &str)], body: Value) -> Result<(), Failure> {
        if self.wire.running.is_node_over(self.node) {
            let node = self.wire.attach_node(claim::NODE).await?;
            // Only now, lest what is left of it be another's meanwhile.
            let over = std::mem::replace(&mut self.node, node);
            self.wire.running.detach_node(over);
        }
        let answer = self.wire.ask(claim::NODE, self.node, properties, body);
        answer.await.map(|_| ())
    }

    /// The machine does it.
    async fn heartbeat(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

impl Wire {
    async fn attach_node(&self, address: &'static str) -> Result<NodeId, Failure> {
        let reply_to = format!("{}-{:016x}", &address[1..], fastrand::u64(..));
        let attach = self.running.attach_node(self.session, address, &reply_to);
        step(&format!("the attach to {address}"), attach).await
    }

    async fn ask(
        &self,
        name: &str,
        node: NodeId,
        question: &[(&str, &str)],
        body: Value,
    ) -> Result<Answer, Failure> {
        let answer = self.running.ask(node, question, body);
        let answer = step(&format!("the request to {name}"), answer).await?;
        read(&answer)
    }

    fn explain(&self, failure: Failure) -> Failure {
        let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        cause.take().unwrap_or(failure)
    }

    fn cut_because(&self, failure: Failure) {
        let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        cause.get_or_insert(failure);
        drop(cause);
        self.running.cut();
    }
}

fn read(encoded: &bytes::Bytes) -> Result<Answer, Failure> {
    let unreadable = |flaw| Failure::lost(format!("an answer cannot be read: {flaw}"));
    let message = Message::read(encoded.clone()).map_err(unreadable)?;
    let mut properties = ApplicationProperties::default();
    for property in message.application_properties() {
        let (name, value) = property.map_err(unreadable)?;
        // Nothing that goes deeper is looked for.
        let is_simple = value.first().is_some_and(|constructor| {
            matches!(
                shape(*constructor),
                Ok(Shape::Fixed(_) | Shape::Variable(_))
            )
        });
        if is_simple && let Ok(value) = serde_amqp::from_slice(value) {
            properties.0.insert(name.to_owned(), value);
        }
    }
    match message.body() {
        Body::Value(value) => Answer::read(&properties, Some(&value)),
        _ => Answer::read(&properties, None),
    }
}
