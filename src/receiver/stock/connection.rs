//! One connection to a namespace: opened, authorised, kept alive and authorised again, closed.
//!
//! Source: AMQP 1.0 part 2.4; claims-based security as the AMQP protocol guide for Azure Event Hubs
//! describes it: one pair of links to `$cbs` for each connection.

use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::{Session, SessionHandle};
use fe2o3_amqp::types::primitives::Value;
use tokio::io::BufReader;
use tokio::time::timeout;

use super::failure::is_vague;
use super::guard::Guarded;
use super::heartbeat::{Listener, PeerIdle};
use super::request::Requests;
use crate::budget::Hold;
use crate::event::{PartitionId, SequenceNumber};
use crate::receiver::answer::Answer;
use crate::receiver::claim::{self, Cbs, Claim};
use crate::receiver::connection_string::ConnectionString;
use crate::receiver::keeper::Keeper;
use crate::receiver::seam::Failure;
use crate::receiver::step::{CLOSE_LIMIT, MAX_FRAME_SIZE, step};
use crate::receiver::trail::{Step, Trail};
use crate::receiver::wire::Leash;
use crate::receiver::{Config, Extent, LastEvent, Transport, management, transport};

/// One read from the socket takes in at most this; a buffer of it stays with every connection.
const READ_BUFFER: usize = 64 * 1024;
/// We hold a peer for dead that says nothing for so long.
const IDLE_TIME_OUT: Duration = Duration::from_secs(60);
/// The service and its peers are told apart in its logs by this.
const CONTAINER_ID: &str = "dataverse-listener";

/// An open connection. Dropped, it is cut at once.
#[derive(Debug)]
pub(crate) struct Connection {
    // The first to be dropped: the crate's handles must find the wire dead, or they wait for the peer.
    cut: CutOnDrop,
    keeper: Option<Keeper>,
    peer_idle: PeerIdle,
    handle: ConnectionHandle<()>,
}

impl Connection {
    /// Connects and opens for a sender, without any claim yet: what answers it has are small.
    #[cfg(feature = "emulator")]
    pub(crate) async fn open_to_send(
        target: &ConnectionString,
        transport: &Transport,
    ) -> Result<Self, Failure> {
        let unread = Hold::alone(usize::MAX);
        Self::open(target, transport, unread, &mut Trail::none()).await
    }

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
        let stream = BufReader::with_capacity(READ_BUFFER, stream);
        let (leash, stream) = Leash::tie(stream, unread);
        let (peer_idle, listener) = Listener::new();
        let stream = Guarded::new(stream, leash.clone(), listener);
        let cut = CutOnDrop(leash);
        let container = format!("{CONTAINER_ID}-{:08x}", fastrand::u32(..));
        let open = fe2o3_amqp::Connection::builder()
            .container_id(container)
            .hostname(target.namespace())
            .scheme("amqp")
            .max_frame_size(MAX_FRAME_SIZE)
            .idle_time_out(IDLE_TIME_OUT.as_millis() as u32)
            .sasl_profile(SaslProfile::Anonymous)
            .open_with_stream(stream);
        let handle = step("open", open).await?;
        Ok(Self {
            cut,
            keeper: None,
            peer_idle,
            handle,
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
        let claim = Claim::prepare(connection_string, event_hub, trail).await?;
        let mut connection = Self::open(connection_string, transport, unread, trail).await?;
        trail.begin(Step::Token);
        connection.claim(claim).await?;
        Ok(connection)
    }

    /// Claims a hub and all below it, and keeps the claim fresh for as long as the connection lives.
    #[cfg(feature = "emulator")]
    pub(crate) async fn authorize(
        &mut self,
        target: &ConnectionString,
        event_hub: &str,
    ) -> Result<(), Failure> {
        let claim = Claim::prepare(target, event_hub, &mut Trail::none()).await?;
        self.claim(claim).await
    }

    async fn claim(&mut self, mut claim: Claim) -> Result<(), Failure> {
        match make(&mut claim, &mut self.handle).await {
            Ok(cbs) => {
                let heartbeat = self.peer_idle.heartbeat();
                let leash = self.leash().clone();
                self.keeper = Some(Keeper::start(async move {
                    let failure = claim.keep(cbs, Some(heartbeat)).await;
                    leash.cut_because(failure);
                }));
                Ok(())
            }
            Err(failure) => Err(self.explained(failure).await),
        }
    }

    /// Begins a session, for one link.
    pub(crate) async fn session(&mut self) -> Result<SessionHandle<()>, Failure> {
        step("begin", Session::begin(&mut self.handle)).await
    }

    /// The ids of a hub's partitions, unsorted.
    pub(crate) async fn partition_ids(&mut self, event_hub: &str) -> Result<Vec<String>, Failure> {
        let question = management::about_hub(event_hub);
        management::partition_ids(&self.ask_management(&question).await?)
    }

    /// The number of the last event in a partition, -1 where there was none yet.
    pub(crate) async fn last_enqueued(
        &mut self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<SequenceNumber, Failure> {
        let answer = self.ask_partition(event_hub, partition).await?;
        management::last_number(&answer)
    }

    /// The last event in a partition, none where nothing is kept there.
    pub(crate) async fn last_event(
        &mut self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<Option<LastEvent>, Failure> {
        let answer = self.ask_partition(event_hub, partition).await?;
        management::last_event(&answer)
    }

    /// What a partition holds.
    pub(crate) async fn extent(
        &mut self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<Extent, Failure> {
        management::extent(&self.ask_partition(event_hub, partition).await?)
    }

    async fn ask_partition(
        &mut self,
        event_hub: &str,
        partition: &PartitionId,
    ) -> Result<Answer, Failure> {
        let question = management::about_partition(event_hub, partition);
        self.ask_management(&question).await
    }

    /// Says goodbye, waits a little for the answer, and cuts.
    pub(crate) async fn close(mut self) {
        self.keeper = None;
        if timeout(CLOSE_LIMIT, self.handle.close()).await.is_err() {
            tracing::debug!("the peer did not answer the close");
        }
    }

    /// A failure, with the word of the connection where that says more. Where this is dropped before
    /// it is ready the failure is lost: see [`Self::cause`].
    pub(super) async fn explained(&mut self, failure: Failure) -> Failure {
        self.cause(is_vague(&failure)).await.unwrap_or(failure)
    }

    /// What the connection has to say when one of its links has failed; where that link's own word is
    /// vague, it may be some moments until the connection knows. Cancel-safe.
    pub(super) async fn cause(&mut self, is_vague: bool) -> Option<Failure> {
        let ended = if is_vague {
            timeout(CLOSE_LIMIT, self.handle.on_close())
                .await
                .ok()
                .and_then(Result::err)
        } else {
            None
        };
        self.leash()
            .take_cause()
            .or_else(|| ended.map(Failure::from))
    }

    async fn ask_management(&mut self, question: &[(&str, &str)]) -> Result<Answer, Failure> {
        let answer = async {
            let mut management = Requests::attach(&mut self.handle, management::NODE).await?;
            management.ask(question, Value::Null).await
        }
        .await;
        match answer {
            Ok(answer) => Ok(answer),
            Err(failure) => Err(self.explained(failure).await),
        }
    }

    pub(super) fn leash(&self) -> &Leash {
        &self.cut.0
    }
}

/// Cuts the wire when it is dropped, and so ends every wait of the crate.
#[derive(Debug)]
pub(super) struct CutOnDrop(pub(super) Leash);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// Makes the claim for the first time, over links that stay for the next times.
async fn make(
    claim: &mut Claim,
    connection: &mut ConnectionHandle<()>,
) -> Result<Requests, Failure> {
    let mut cbs = Requests::attach(connection, claim::NODE).await?;
    claim.make(&mut cbs).await?;
    Ok(cbs)
}

impl Cbs for Requests {
    async fn ask(&mut self, properties: &[(&str, &str)], body: Value) -> Result<(), Failure> {
        Self::ask(self, properties, body).await.map(|_| ())
    }

    async fn heartbeat(&mut self) -> Result<(), Failure> {
        Self::heartbeat(self).await
    }
}
