//! Asks a running daemon, over TCP or a Unix socket.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::endpoint::Endpoint;

/// How long the whole exchange may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// No answer is larger, in bytes.
const LARGEST: usize = 16 << 20;

/// What a daemon has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Why a daemon has not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody is there.
    #[error("it cannot be reached")]
    Unreachable(#[source] io::Error),
    /// Somebody is there and does not answer.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    /// It speaks no HTTP, or went away.
    #[error("no sound answer")]
    Http(#[source] hyper::Error),
    /// The answer is none of ours.
    #[error("no sound answer: it is too large, or broken off")]
    Body,
    /// The question cannot be asked.
    #[error("the address cannot be asked")]
    Question(#[source] hyper::http::Error),
}

/// Asks for one page of the daemon at `endpoint`.
///
/// # Errors
/// When no answer comes within three seconds.
pub(crate) async fn ask(endpoint: &Endpoint, page: &str) -> Result<Answer, AskError> {
    timeout(PATIENCE, connect_and_ask(endpoint, page))
        .await
        .unwrap_or(Err(AskError::Late))
}

async fn connect_and_ask(endpoint: &Endpoint, page: &str) -> Result<Answer, AskError> {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await;
            let stream = stream.map_err(AskError::Unreachable)?;
            exchange(stream, &endpoint.to_string(), page).await
        }
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            let stream = stream.map_err(AskError::Unreachable)?;
            exchange(stream, "localhost", page).await
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    page: &str,
) -> Result<Answer, AskError> {
    let request = Request::get(page)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(AskError::Question)?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut requests, connection) = handshake.map_err(AskError::Http)?;
    let answer = async {
        let response = requests.send_request(request).await;
        let response = response.map_err(AskError::Http)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => AskError::Http(*error),
            Err(_) => AskError::Body,
        })?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // What it has read is still to be taken; where it failed, that is told to whoever waits for the answer.
        _ = connection => answer.await,
    }
}
