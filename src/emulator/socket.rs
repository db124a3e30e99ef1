//! A socket that speaks AMQP outright, or in the messages of a WebSocket: the first byte says which.
//!
//! AMQP begins with "AMQP" (AMQP 1.0 part 2.2), the opening request of a WebSocket with "GET" (RFC 6455,
//! section 4.1).

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use super::websocket::{self, WebSocket};

/// One of the two.
pub(crate) struct Socket {
    state: State,
    /// Whose turn it is: neither reading nor writing may keep the other waiting.
    writes_first: bool,
}

enum State {
    /// Nothing was heard yet.
    Fresh(TcpStream),
    Plain(TcpStream),
    Opening(Opening),
    WebSocket(Box<WebSocket>),
    /// The WebSocket did not come about.
    Gone,
}

type Opening = Pin<Box<dyn Future<Output = io::Result<WebSocket>> + Send + Sync>>;

/// What became of an exchange.
pub(crate) enum Exchanged {
    Read(usize),
    Wrote(usize),
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // A socket that is gone already fails where it is read.
        drop(stream.set_nodelay(true));
        Self {
            state: State::Fresh(stream),
            writes_first: false,
        }
    }

    /// Reads into `input`, if there is one, or writes of `output`, if there is some: whichever can be done
    /// first.
    pub(crate) async fn exchange(
        &mut self,
        mut input: Option<&mut BytesMut>,
        output: &[u8],
    ) -> io::Result<Exchanged> {
        self.writes_first = !self.writes_first;
        poll_fn(|cx| {
            // What a WebSocket has taken it may still hold.
            if let Poll::Ready(Err(error)) = Pin::new(&mut *self).poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
            for is_write in [self.writes_first, !self.writes_first] {
                let polled = match &mut input {
                    _ if is_write && output.is_empty() => continue,
                    _ if is_write => Pin::new(&mut *self)
                        .poll_write(cx, output)
                        .map_ok(Exchanged::Wrote),
                    Some(input) => {
                        poll_read_buf(Pin::new(&mut *self), cx, *input).map_ok(Exchanged::Read)
                    }
                    None => continue,
                };
                if polled.is_ready() {
                    return polled;
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Has the peer see a reset when the socket is dropped.
    pub(crate) fn reset(&self) -> io::Result<()> {
        let stream = match &self.state {
            State::Fresh(stream) | State::Plain(stream) => stream,
            State::WebSocket(socket) => socket.stream(),
            State::Opening(_) | State::Gone => return Ok(()),
        };
        SockRef::from(stream).set_linger(Some(Duration::ZERO))
    }

    /// Finds out what it is, and opens the WebSocket where it is one.
    fn poll_known(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match std::mem::replace(&mut self.state, State::Gone) {
                State::Fresh(stream) => {
                    let mut first = [0];
                    let polled = stream.poll_peek(cx, &mut ReadBuf::new(&mut first));
                    let is_pending = polled.is_pending();
                    self.state = match first {
                        _ if is_pending => State::Fresh(stream),
                        [b'G'] => State::Opening(Box::pin(websocket::accept(stream))),
                        _ => State::Plain(stream),
                    };
                    ready!(polled)?;
                }
                State::Opening(mut opening) => match opening.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.state = State::Opening(opening);
                        return Poll::Pending;
                    }
                    Poll::Ready(opened) => self.state = State::WebSocket(Box::new(opened?)),
                },
                known => {
                    self.state = known;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_known(cx))?;
        match &mut self.state {
            State::Fresh(stream) | State::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            State::WebSocket(socket) => socket.poll_read(cx, buf),
            State::Opening(_) | State::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Fresh(stream) | State::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            State::WebSocket(socket) => socket.poll_write(cx, buf),
            // Reading brings it about.
            State::Opening(_) => Poll::Pending,
            State::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::WebSocket(socket) => socket.poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Fresh(stream) | State::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            State::WebSocket(socket) => socket.poll_shutdown(cx),
            State::Opening(_) | State::Gone => Poll::Ready(Ok(())),
        }
    }
}
