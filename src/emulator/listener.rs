//! The sockets: accepts connections, and carries bytes between them and their state machines.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use socket2::{Domain, Protocol, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::condition::Refusal;
use super::connection::{Connection, IDLE_TIME_OUT};
use super::delay::Delay;
use super::hub::Hub;
use super::socket::{Exchanged, Socket};

/// How many connections are served at a time.
const MAX_CONNECTIONS: usize = 1000;

/// How many bytes are read at a time.
const READ_SIZE: usize = 64 * 1024;

/// The Python SDK reads the segment size of its socket and sets it again, which fails for the large
/// one of a loopback connection.
const MAX_SEGMENT: u32 = 32_000;

/// A peer that says nothing for twice the time it was told is gone.
const SILENCE: Duration = Duration::from_millis(2 * IDLE_TIME_OUT as u64);

/// How long the peer may take to answer a close.
const CLOSING: Duration = Duration::from_secs(2);

/// How long to wait when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge at which the emulator reads the clock"
)]
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Opens the listening socket; an address that was just given up can be had again at once.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    #[cfg(unix)]
    {
        socket.set_reuse_address(true)?;
        socket.set_tcp_mss(MAX_SEGMENT)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

/// Serves until `stop` is cancelled, and returns when every connection has ended.
pub(crate) async fn serve(listener: TcpListener, hub: Arc<Hub>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (hub, stop) = (Arc::clone(&hub), stop.clone());
                connections.spawn(async move {
                    let task = Task::new(Socket::new(stream), &hub);
                    if let Err(error) = task.run(&stop).await {
                        tracing::debug!(%error, "connection lost");
                    }
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection: its socket, its state, and when each side was last heard.
struct Task {
    socket: Socket,
    hub: Arc<Hub>,
    mailbox: Arc<super::hub::Mailbox>,
    connection: Connection,
    input: BytesMut,
    delay: Delay,
    last_read: Instant,
    last_write: Instant,
    closing_since: Option<Instant>,
}

/// What happened on a connection.
enum Turn {
    Rung,
    Stopped,
    Read(usize),
    Wrote(usize),
    Due,
}

impl Task {
    fn new(socket: Socket, hub: &Arc<Hub>) -> Self {
        let registration = hub.connect();
        Self {
            socket,
            hub: Arc::clone(hub),
            mailbox: Arc::clone(&registration.mailbox),
            connection: Connection::new(registration),
            input: BytesMut::new(),
            delay: Delay::default(),
            last_read: Instant::now(),
            last_write: Instant::now(),
            closing_since: None,
        }
    }

    async fn run(mut self, stop: &CancellationToken) -> io::Result<()> {
        loop {
            self.thawed(stop).await;
            self.connection.attend(now());
            if self.connection.is_closing() || self.connection.is_over() {
                self.closing_since.get_or_insert_with(Instant::now);
            }
            if self.connection.is_reset() {
                return self.socket.reset();
            }
            if self.connection.is_over() && self.connection.output().is_empty() {
                return self.socket.shutdown().await;
            }
            let output = self.connection.output().len();
            self.delay
                .hold(output, self.hub.conduct.delay(), Instant::now());
            let turn = self.turn(stop).await?;
            if !self.take(turn) {
                return Ok(());
            }
        }
    }

    /// Waits while the hub plays dead, which is no silence of the peer's.
    async fn thawed(&mut self, stop: &CancellationToken) {
        let is_frozen = || self.hub.conduct.is_frozen() || self.mailbox.is_frozen();
        while is_frozen() && !stop.is_cancelled() {
            tokio::select! {
                () = self.mailbox.rung() => {}
                () = stop.cancelled() => {}
            }
            self.last_read = Instant::now();
        }
    }

    async fn turn(&mut self, stop: &CancellationToken) -> io::Result<Turn> {
        let due = self.due();
        let connection = &self.connection;
        let output = &connection.output()[..self.delay.ready()];
        let input = connection.wants_input().then(|| {
            self.input.reserve(READ_SIZE);
            &mut self.input
        });
        Ok(tokio::select! {
            () = self.mailbox.rung() => Turn::Rung,
            () = stop.cancelled(), if self.closing_since.is_none() => Turn::Stopped,
            exchanged = self.socket.exchange(input, output) => match exchanged? {
                Exchanged::Read(len) => Turn::Read(len),
                Exchanged::Wrote(len) => Turn::Wrote(len),
            },
            () = tokio::time::sleep_until(due) => Turn::Due,
        })
    }

    /// Does what is to be done after a turn; false ends the connection.
    fn take(&mut self, turn: Turn) -> bool {
        match turn {
            Turn::Rung => {}
            Turn::Stopped => {
                let refusal = Refusal::new("amqp:connection:forced", "The hub is being stopped.");
                self.connection.close(&refusal);
            }
            Turn::Read(0) => self.connection.hang_up(),
            Turn::Read(_) => {
                self.last_read = Instant::now();
                self.connection.receive(&mut self.input, now());
            }
            Turn::Wrote(len) => {
                self.last_write = Instant::now();
                self.connection.wrote(len);
                self.delay.wrote(len);
            }
            Turn::Due => return self.tick(),
        }
        true
    }

    /// Beats where it is time to; false where the peer is given up.
    fn tick(&mut self) -> bool {
        let now = Instant::now();
        let is_late = self
            .closing_since
            .is_some_and(|since| now >= since + self.closing());
        if is_late || now >= self.last_read + SILENCE {
            return false;
        }
        if self.next_beat().is_some_and(|beat| now >= beat) {
            self.last_write = now;
            self.connection.beat();
        }
        true
    }

    /// How long the peer may take to answer a close that has yet to be sent.
    fn closing(&self) -> Duration {
        CLOSING + self.hub.conduct.delay()
    }

    fn next_beat(&self) -> Option<Instant> {
        let interval = Duration::from_millis(self.connection.heartbeat()?);
        Some(self.last_write + interval)
    }

    /// When something must be done though nothing happens.
    fn due(&self) -> Instant {
        let expiry = self.connection.next_expiry().map(|at| {
            let left = u64::try_from(at.saturating_sub(now())).unwrap_or(0);
            Instant::now() + Duration::from_millis(left.min(SILENCE.as_millis() as u64))
        });
        let closing = self.closing_since.map(|since| since + self.closing());
        let due = [self.next_beat(), expiry, closing, self.delay.next()];
        due.into_iter()
            .flatten()
            .fold(self.last_read + SILENCE, Instant::min)
    }
}
