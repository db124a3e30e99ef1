//! AMQP in the messages of a WebSocket, as the service has it on port 443.
//!
//! Spec: AMQP WebSocket Binding 1.0 (OASIS) and RFC 6455. Microsoft's SDKs ask for the sub-protocol
//! `AMQPWSB10`, as the draft of the binding had it, the binding itself for `amqp`; some put a slash behind
//! the path. The bounds of messages mean nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response, create_response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Where the service has its WebSockets.
const PATH: &str = "/$servicebus/websocket";
/// The sub-protocols that mean AMQP.
const PROTOCOLS: [&str; 2] = ["AMQPWSB10", "amqp"];
/// The header that names sub-protocols, wished for or chosen.
const PROTOCOL: &str = "sec-websocket-protocol";
/// No opening request is longer.
const MAX_REQUEST: usize = 16 * 1024;
/// The most that one message may hold: it is read whole.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// A WebSocket whose messages are one stream of bytes.
pub(crate) struct WebSocket {
    inner: WebSocketStream<TcpStream>,
    unread: Bytes,
}

/// Answers the opening request. What is no WebSocket for AMQP is told so and hung up on.
pub(crate) async fn accept(mut stream: TcpStream) -> io::Result<WebSocket> {
    let mut head = Vec::new();
    let answer = loop {
        match Request::try_parse(&head) {
            Ok(Some((size, request))) => break answer(&request).map(|answer| (size, answer)),
            Ok(None) if head.len() < MAX_REQUEST => {
                if stream.read_buf(&mut head).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(None) | Err(_) => break Err(StatusCode::BAD_REQUEST),
        }
    };
    match answer {
        Ok((size, response)) => {
            stream.write_all(&text(&response)).await?;
            let behind = head.split_off(size);
            let config = WebSocketConfig::default()
                .max_message_size(Some(MAX_MESSAGE))
                .max_frame_size(Some(MAX_MESSAGE));
            let inner =
                WebSocketStream::from_partially_read(stream, behind, Role::Server, Some(config));
            Ok(WebSocket {
                inner: inner.await,
                unread: Bytes::new(),
            })
        }
        Err(status) => {
            let text =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await?;
            Err(io::Error::other(format!("no WebSocket: {status}")))
        }
    }
}

fn answer(request: &Request) -> Result<Response, StatusCode> {
    let path = request.uri().path();
    if path.strip_suffix('/').unwrap_or(path) != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    let mut response = create_response(request).map_err(|_| StatusCode::BAD_REQUEST)?;
    let protocol = protocol(request.headers()).ok_or(StatusCode::BAD_REQUEST)?;
    let headers = response.headers_mut();
    headers.insert(PROTOCOL, HeaderValue::from_static(protocol));
    Ok(response)
}

/// The first of those wished for that means AMQP.
fn protocol(headers: &HeaderMap) -> Option<&'static str> {
    let wishes = headers.get_all(PROTOCOL).into_iter();
    wishes
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|wish| PROTOCOLS.into_iter().find(|known| *known == wish.trim()))
}

fn text(response: &Response) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

impl WebSocket {
    /// The socket beneath.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.inner.get_ref()
    }

    /// As `AsyncRead` has it; nothing more comes behind a close.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Text(_))) => {
                    let text = "a text message, which AMQP has no use for";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                // Pings and closes are answered below.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(plain(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..len]);
        self.unread.advance(len);
        Poll::Ready(Ok(()))
    }

    /// As `AsyncWrite` has it: one message.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(plain)?;
        let message = Message::Binary(Bytes::copy_from_slice(buf));
        let sent = Pin::new(&mut self.inner).start_send(message);
        Poll::Ready(sent.map(|()| buf.len()).map_err(plain))
    }

    /// As `AsyncWrite` has it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(plain)
    }

    /// Says that this is the end, and ends.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_close(cx)).map_err(plain)?;
        Pin::new(self.inner.get_mut()).poll_shutdown(cx)
    }
}

fn plain(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::NotConnected.into(),
        other => io::Error::other(other),
    }
}
