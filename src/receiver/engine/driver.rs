//! Runs a connection's machine over a stream, in a task of its own: whatever its readers do, the peer is
//! listened to, answered and kept awake.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use super::fault::{Cause, Fault};
use super::happening::{Delivery, Happening, LinkId, SessionId};
use super::machine::{Machine, Options};
use super::mailbox::Mailboxes;
use super::requests::{NodeId, RequestId};
use crate::budget::Hold;

/// One read takes in at least so many bytes, where they are there, and at most so many.
const LEAST_READ: usize = 8 * 1024;
const MOST_READ: usize = 128 * 1024;
/// Nothing more is done while so many bytes wait for the peer to take them.
const MAX_UNSENT: usize = 256 * 1024;

/// A connection that runs. Dropped, it is cut at once.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cut();
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There is something to be sent, or room to read.
    told: Notify,
    /// Bytes of messages that nobody has taken yet.
    unread: Hold,
}

#[derive(Debug)]
struct State {
    machine: Machine,
    mailboxes: Mailboxes,
}

impl Running {
    /// Runs a connection over a stream. While there is no room for more unread messages, no more is read.
    #[expect(
        clippy::disallowed_methods,
        reason = "owned by the connection, and aborted with it"
    )]
    pub fn start<S>(stream: S, options: Options, unread: Hold) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let state = State {
            machine: Machine::new(options, now()),
            mailboxes: Mailboxes::default(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            told: Notify::new(),
            unread,
        });
        let task = tokio::spawn(drive(stream, Arc::clone(&shared))).abort_handle();
        Self { shared, task }
    }

    /// Waits until the peer has opened the connection.
    pub async fn opened(&self) -> Result<(), Cause> {
        self.wait(|state| state.mailboxes.is_opened.then_some(Ok(())))
            .await
    }

    /// Begins a session.
    pub async fn begin(&self) -> Result<SessionId, Cause> {
        let session = self.tell(|state| state.machine.begin())?;
        self.wait(|state| state.mailboxes.begun(session)).await?;
        Ok(session)
    }

    /// Attaches a link, as `attach` says but for the handle.
    pub async fn attach(&self, session: SessionId, attach: Attach) -> Result<LinkId, Cause> {
        let link = self.tell(|state| {
            let link = state.machine.attach(session, attach)?;
            self.shared.renew(state, link);
            Ok(link)
        })?;
        self.wait(|state| state.mailboxes.attached(link)).await?;
        Ok(link)
    }

    /// Attaches a pair of links to a node that answers questions; `reply_to` names the way back.
    pub async fn attach_node(
        &self,
        session: SessionId,
        address: &str,
        reply_to: &str,
    ) -> Result<NodeId, Cause> {
        let (node, links) = self.tell(|state| {
            let node = state.machine.attach_node(session, address, reply_to)?;
            let links = state.machine.links_of(node)?;
            links
                .iter()
                .for_each(|link| self.shared.renew(state, *link));
            Ok((node, links))
        })?;
        let attached = self.wait(|state| state.mailboxes.attached_all(links));
        attached.await.inspect_err(|_| self.detach_node(node))?;
        Ok(node)
    }

    /// Asks a node, and waits for the answer to this question.
    pub async fn ask(
        &self,
        node: NodeId,
        properties: &[(&str, &str)],
        body: Value,
    ) -> Result<Bytes, Cause> {
        let (request, links) = self.tell(|state| {
            let links = state.machine.links_of(node)?;
            Ok((state.machine.ask(node, properties, body)?, links))
        })?;
        let _forget = Forget {
            running: self,
            request,
        };
        self.wait(|state| state.mailboxes.answer(request, links))
            .await
    }

    /// True where the peer has taken the links of a node away, and another is to be attached before it is asked.
    pub(in crate::receiver) fn is_node_over(&self, node: NodeId) -> bool {
        self.shared.lock().machine.is_node_over(node)
    }

    /// Detaches the links of a node.
    pub fn detach_node(&self, node: NodeId) {
        self.shared.lock().machine.detach_node(node);
        self.shared.told.notify_one();
    }

    /// Lets the peer send messages until so many are `ahead` of their reader, who has fetched `fetched` of them
    /// already.
    pub fn grant(&self, link: LinkId, ahead: u32, fetched: usize) {
        let mut state = self.shared.lock();
        let unread = state.mailboxes.unfetched(link) + fetched;
        let credit = ahead.saturating_sub(unread.try_into().unwrap_or(u32::MAX));
        state.machine.grant(link, credit);
        drop(state);
        self.shared.told.notify_one();
    }

    /// Has the peer use up its credit, or give it back, and waits until it has.
    pub async fn drain(&self, link: LinkId) -> Result<(), Cause> {
        self.tell(|state| {
            state.machine.drain(link);
            Ok(())
        })?;
        self.wait(|state| state.mailboxes.drained(link)).await
    }

    /// Exchanges an empty queue for what has come on a link, after as long a wait as it takes. Cancel-safe.
    pub async fn receive(
        &self,
        link: LinkId,
        deliveries: &mut VecDeque<Delivery>,
    ) -> Result<(), Cause> {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            state.mailboxes.poll_deliveries(cx, link, deliveries)
        })
        .await
    }

    /// A delivery was taken out of the queue: there is room for the next, and it is accepted. What a reader throws
    /// away, of a link that it does not detach, is to be told too.
    pub fn took(&self, delivery: &Delivery) {
        if !delivery.settled {
            self.shared.lock().machine.accept(delivery);
            self.shared.told.notify_one();
        }
        self.took_settled(delivery.size());
    }

    /// The same of deliveries that are settled, and of this size together.
    pub(in crate::receiver) fn took_settled(&self, bytes: usize) {
        if self.shared.unread.give_back(bytes) {
            self.shared.told.notify_one();
        }
    }

    /// Detaches a link; what has come on it and was not fetched, and what still comes, is passed over.
    pub fn detach(&self, link: LinkId) {
        let mut state = self.shared.lock();
        state.machine.detach(link);
        self.shared.renew(&mut state, link);
        drop(state);
        self.shared.told.notify_one();
    }

    /// Ends a session, and with it its links, as [`Self::detach`] does.
    pub fn end(&self, session: SessionId) {
        let mut state = self.shared.lock();
        state.machine.end(session);
        let unread = state.mailboxes.renew_session(session);
        self.shared.unread.give_back(unread);
        drop(state);
        self.shared.told.notify_one();
    }

    /// Says goodbye, and waits for the answer.
    pub async fn close(&self) {
        self.shared.lock().machine.close();
        self.shared.told.notify_one();
        let over: Result<(), Cause> = self.wait(|_| None).await;
        tracing::trace!(?over, "connection closed");
    }

    /// Cuts the stream. Whoever waits for something hears that it was asked for.
    pub fn cut(&self) {
        let mut state = self.shared.lock();
        state.machine.dropped(Cause::Asked);
        state.mailboxes.put(Happening::Closed(Cause::Asked));
        drop(state);
        self.task.abort();
    }

    fn tell<T>(&self, what: impl FnOnce(&mut State) -> Result<T, Fault>) -> Result<T, Cause> {
        let mut state = self.shared.lock();
        if let Some(cause) = &state.mailboxes.over {
            return Err(cause.clone());
        }
        let told = what(&mut state).map_err(Cause::Fault);
        self.shared.told.notify_one();
        told
    }

    /// Waits for what is neither a delivery nor the end of the connection.
    async fn wait<T>(
        &self,
        mut is_there: impl FnMut(&mut State) -> Option<Result<T, Cause>>,
    ) -> Result<T, Cause> {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(result) = is_there(&mut state) {
                return Poll::Ready(result);
            }
            if let Some(cause) = &state.mailboxes.over {
                return Poll::Ready(Err(cause.clone()));
            }
            state.mailboxes.wait(cx);
            Poll::Pending
        })
        .await
    }
}

/// Whoever stops waiting for an answer leaves none behind.
struct Forget<'a> {
    running: &'a Running,
    request: RequestId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.running.shared.lock().mailboxes.forget(self.request);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a link's mailbox fit for a new one: what lies in it is not going to be fetched.
    fn renew(&self, state: &mut State, link: LinkId) {
        let unread = state.mailboxes.renew(link);
        self.unread.give_back(unread);
    }

    /// Works off what was read, and gives what is to be sent.
    fn turn(&self, incoming: &mut BytesMut, outgoing: &mut BytesMut, now: Instant) -> Turned {
        let mut state = self.lock();
        let State { machine, mailboxes } = &mut *state;
        machine.tick(now);
        std::mem::swap(machine.incoming(), incoming);
        let mut has_news = false;
        if outgoing.len() <= MAX_UNSENT {
            while let Some(happening) = machine.step() {
                has_news = true;
                let size = mailboxes.put(happening);
                self.unread.take(size);
            }
        }
        outgoing.extend_from_slice(&machine.take_outgoing(now));
        let missing = machine.missing();
        std::mem::swap(machine.incoming(), incoming);
        Turned {
            has_news,
            is_over: machine.is_over(),
            missing,
            deadline: machine.deadline(),
        }
    }
}

/// How a machine is after a turn.
struct Turned {
    /// True when something has happened that somebody may wait for.
    has_news: bool,
    is_over: bool,
    missing: usize,
    deadline: Option<Instant>,
}

/// What ends the wait of a driver.
enum Woken {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Flushed(io::Result<()>),
    Told,
    Late,
}

/// The edge where the machine is given the time.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn drive<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: Arc<Shared>) {
    let mut io = Buffers::default();
    let mut sleep = pin!(sleep_until(tokio::time::Instant::now()));
    let mut is_deaf = false;
    loop {
        if is_deaf {
            // Whoever is not listened to for want of room is not silent.
            shared.lock().machine.heard(now());
        }
        let turned = shared.turn(&mut io.incoming, &mut io.outgoing, now());
        if turned.is_over && io.outgoing.is_empty() {
            break;
        }
        if turned.has_news {
            // Readers go first: what was just read is still at hand, and its buffer is free again after them.
            tokio::task::yield_now().await;
        }
        io.make_room(turned.missing);
        if let Some(deadline) = turned.deadline {
            rewind(sleep.as_mut(), deadline.into());
        }
        is_deaf = !shared.unread.has_room();
        let may_read = !turned.is_over && !is_deaf && io.outgoing.len() <= MAX_UNSENT;
        let woken = {
            let mut told = pin!(shared.told.notified());
            poll_fn(|cx| {
                if let Poll::Ready(woken) = io.poll(cx, &mut stream, may_read) {
                    return Poll::Ready(woken);
                }
                if told.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Woken::Told);
                }
                sleep.as_mut().poll(cx).map(|()| Woken::Late)
            })
            .await
        };
        match woken {
            Woken::Read(Ok(0)) => shared.lock().machine.dropped(Cause::Dropped),
            Woken::Read(Ok(count)) => {
                io.has_read(count);
                shared.lock().machine.heard(now());
            }
            Woken::Wrote(Ok(count)) => io.outgoing.advance(count),
            Woken::Read(Err(error)) | Woken::Wrote(Err(error)) | Woken::Flushed(Err(error)) => {
                io.outgoing.clear();
                let cause = Cause::Io(error.kind(), error.to_string());
                shared.lock().machine.dropped(cause);
            }
            Woken::Flushed(Ok(())) | Woken::Told | Woken::Late => {}
        }
    }
    // Whoever does not take the end of the stream is not waited for by anybody.
    stream.shutdown().await.ok();
}

/// An alarm that rings too early costs less than one that is set anew after every read.
fn rewind(sleep: Pin<&mut Sleep>, deadline: tokio::time::Instant) {
    if sleep.is_elapsed() || deadline < sleep.deadline() {
        sleep.reset(deadline);
    }
}

/// What was read and is not understood yet, and what is to be sent.
#[derive(Debug)]
struct Buffers {
    incoming: BytesMut,
    outgoing: BytesMut,
    /// How much the next read may take in.
    reach: usize,
    is_flushed: bool,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            reach: LEAST_READ,
            is_flushed: true,
        }
    }
}

impl Buffers {
    /// Makes room for the next read: for what is `missing`, and for a good deal more where much comes.
    fn make_room(&mut self, missing: usize) {
        let spare = self.incoming.capacity() - self.incoming.len();
        if spare < missing.max(self.reach / 4) {
            self.incoming.reserve(missing.max(self.reach));
        }
    }

    fn has_read(&mut self, count: usize) {
        let is_full = self.incoming.len() == self.incoming.capacity();
        if is_full {
            self.reach = (self.reach * 2).min(MOST_READ);
        } else if count < self.reach / 8 {
            self.reach = (self.reach / 2).max(LEAST_READ);
        }
    }

    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        may_read: bool,
    ) -> Poll<Woken> {
        if !self.outgoing.is_empty() {
            if let Poll::Ready(wrote) = Pin::new(&mut *stream).poll_write(cx, &self.outgoing) {
                self.is_flushed = false;
                return Poll::Ready(Woken::Wrote(match wrote {
                    Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                    wrote => wrote,
                }));
            }
        } else if !self.is_flushed
            && let Poll::Ready(flushed) = Pin::new(&mut *stream).poll_flush(cx)
        {
            self.is_flushed = true;
            return Poll::Ready(Woken::Flushed(flushed));
        }
        if may_read {
            return poll_read_buf(Pin::new(stream), cx, &mut self.incoming).map(Woken::Read);
        }
        Poll::Pending
    }
}
