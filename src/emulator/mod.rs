//! An event hub in the box: an AMQP 1.0 server that behaves as Azure Event Hubs does, in memory.
//!
//! It is the other side of the wire for `demo`, for tests and for local debugging, and shares no code
//! with the receiver: an encoder and a decoder with one author's mistake in common would agree.
//! Microsoft's own SDKs work against it unmodified, over plain TCP with `UseDevelopmentEmulator=true`. The
//! same port takes WebSockets.
//!
//! From the socket inwards: `socket` (AMQP, or a `websocket` around it) → `listener` (tasks, bytes) →
//! `connection` (SASL, open and close, `frame`s) → `session` (windows, links) with `attach` (who may),
//! `intake` (receiving) and `delivery` (sending) →
//! `hub` (what all connections share) with `log` (events), `roster` (receivers) and `conduct` (how it
//! misbehaves, where `fault` tells it to). Everything behind `listener` is free of IO and is handed the time.
//!
//! Sources: the AMQP 1.0 specification (OASIS), and the AMQP protocol guide for Azure Event Hubs
//! (learn.microsoft.com/azure/event-hubs/event-hubs-amqp-protocol-guide).

mod access;
mod address;
mod attach;
mod cbs;
mod condition;
mod conduct;
mod connection;
mod delay;
mod delivery;
mod encode;
mod fault;
mod frame;
mod hub;
mod intake;
mod jwt;
mod link;
mod listener;
mod log;
mod management;
mod message;
mod performative;
mod request;
mod roster;
mod routing;
mod sas;
mod sasl;
mod scan;
mod scope;
mod selector;
mod session;
mod socket;
mod websocket;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use hub::{Hub, MAX_PARTITIONS};
use message::Event;
use sas::SharedKey;

pub use fault::Fault;
pub use log::Log;

/// How a hub is set up.
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The name of the hub.
    pub hub: String,
    /// How many partitions it has, from 1 to 1024.
    pub partitions: u16,
    /// Its consumer groups besides `$Default`.
    pub consumer_groups: Vec<String>,
    /// The name of its one key, which has all claims unless it is told otherwise.
    pub key_name: String,
    /// The key.
    pub key: String,
    /// How many bytes of events are kept, in all partitions together; the oldest are dropped.
    pub retention_bytes: usize,
    /// The events to start with: those of a hub of as many partitions that was stopped.
    pub log: Option<Log>,
}

impl Default for Options {
    /// A hub of four partitions on a free loopback port, with the key of Microsoft's emulator.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            hub: "dataverse-events".to_owned(),
            partitions: 4,
            consumer_groups: Vec::new(),
            key_name: "RootManageSharedAccessKey".to_owned(),
            key: "SAS_KEY_VALUE".to_owned(),
            retention_bytes: 256 * 1024 * 1024,
            log: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("hub", &self.hub)
            .field("partitions", &self.partitions)
            .field("consumer_groups", &self.consumer_groups)
            .field("key_name", &self.key_name)
            .field("key", &"***")
            .field("retention_bytes", &self.retention_bytes)
            .finish_non_exhaustive()
    }
}

/// A running hub. Dropped, it ends at once; [`stop`](Self::stop) ends it in order.
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    hub: Arc<Hub>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Emulator {
    /// Opens the socket and serves. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Those of the socket, and `InvalidInput` for options that make no hub.
    pub async fn start(options: Options) -> io::Result<Self> {
        check(&options)?;
        let listener = listener::bind(options.listen)?;
        let address = listener.local_addr()?;
        let key = SharedKey {
            name: options.key_name,
            key: options.key,
        };
        let now = listener::now();
        let log = options
            .log
            .unwrap_or_else(|| Log::new(options.partitions, now));
        let groups = &options.consumer_groups;
        let hub = Hub::new(&options.hub, groups, key, now, options.retention_bytes, log);
        let hub = Arc::new(hub);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(listener::serve(listener, Arc::clone(&hub), stop.clone()));
        Ok(Self {
            address,
            hub,
            stop,
            tasks,
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connection string with which every SDK reaches it from this machine. It has the key in it.
    pub fn connection_string(&self) -> String {
        let (port, name, key) = (self.address.port(), &self.hub.name, self.hub.key());
        let host = match self.address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            host => host,
        };
        let endpoint = SocketAddr::from((host, port));
        format!(
            "Endpoint=sb://{endpoint};SharedAccessKeyName={};SharedAccessKey={};\
             UseDevelopmentEmulator=true;EntityPath={name}",
            key.name, key.key
        )
    }

    /// Enqueues the sections of an encoded AMQP message, and gives its sequence number.
    ///
    /// # Errors
    /// `InvalidInput` where there is no such partition, or where this is no message.
    pub fn append(&self, partition: u16, message: &[u8]) -> io::Result<i64> {
        let event = Event::parse(message).map_err(invalid)?;
        self.check_partition(partition)?;
        let last = self.hub.append(partition, &[event], None, listener::now());
        last.ok_or_else(|| invalid("no event"))
    }

    fn check_partition(&self, partition: u16) -> io::Result<()> {
        match partition < self.hub.partitions() {
            true => Ok(()),
            false => Err(invalid(format!("there is no partition {partition}"))),
        }
    }

    /// Enqueues an event that has but a body, as one data section, and gives its sequence number.
    ///
    /// # Errors
    /// `InvalidInput` where there is no such partition.
    pub fn append_body(&self, partition: u16, body: &[u8]) -> io::Result<i64> {
        self.append(partition, &message::of_data(body))
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> u16 {
        self.hub.partitions()
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.hub.open_connections()
    }

    /// How many links are attached, those to `$cbs` and `$management` included.
    pub fn open_links(&self) -> usize {
        self.hub.open_links()
    }

    /// How many links receive from a partition, in all consumer groups. Those of connections that were frozen
    /// for themselves do not count: whoever has left one of them could not say so.
    pub fn receivers(&self, partition: u16) -> usize {
        self.hub.receivers(partition)
    }

    /// Closes every connection, waits for their tasks, and gives the events back.
    pub async fn stop(mut self) -> Log {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.hub.take_log()
    }
}

fn check(options: &Options) -> io::Result<()> {
    let breaks = |text: &str| text.is_empty() || text.contains([';', '\r', '\n']);
    if breaks(&options.hub) || breaks(&options.key_name) || breaks(&options.key) {
        return Err(invalid(
            "hub, key name and key must be neither empty nor contain ';'",
        ));
    }
    if !(1..=MAX_PARTITIONS).contains(&options.partitions) {
        return Err(invalid("a hub has 1 to 1024 partitions"));
    }
    let partitions = options.log.as_ref().map(Log::partitions);
    if partitions.is_some_and(|count| count != usize::from(options.partitions)) {
        return Err(invalid(
            "the log is of a hub with another number of partitions",
        ));
    }
    Ok(())
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
