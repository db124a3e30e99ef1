//! The way to the service: name resolution, TCP, and TLS unless it is an emulator.
//!
//! AMQP runs straight over TLS, without the protocol header of AMQP's own TLS negotiation, as the
//! AMQP protocol guide for Azure Event Hubs has it.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

use super::connection_string::ConnectionString;
use crate::tls;

/// A stream that AMQP can run over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin> Stream for S {}

/// How long a name may take to resolve, one address to answer, and TLS to be agreed on.
const STEP_LIMIT: Duration = Duration::from_secs(10);
/// How many of a name's addresses are tried.
const MAX_ADDRESSES: usize = 4;

/// Connects to where a connection string points.
///
/// # Errors
/// What failed, of kind `TimedOut` where nothing was heard.
pub(crate) async fn connect(target: &ConnectionString) -> io::Result<Box<dyn Stream>> {
    let host = target.namespace();
    let stream = connect_tcp(host, target.port()).await?;
    if target.is_emulator() {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::other("the host is neither a DNS name nor an IP address"))?;
    let connector = TlsConnector::from(tls_config()?);
    let stream = within("TLS handshake", connector.connect(name, stream)).await;
    Ok(Box::new(stream.map_err(plainer)?))
}

/// What answers TLS with something else is most often an emulator.
fn plainer(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidMessage(_)) => io::Error::other(
            "it does not speak TLS; for an emulator add UseDevelopmentEmulator=true to the connection string",
        ),
        _ => error,
    }
}

async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = within("name resolution", lookup_host((host, port)))
        .await?
        .take(MAX_ADDRESSES)
        .collect();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match within("TCP connect", TcpStream::connect(address)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(reason) => error = reason,
        }
    }
    Err(error)
}

async fn within<T>(step: &str, work: impl Future<Output = io::Result<T>> + Send) -> io::Result<T> {
    timeout(STEP_LIMIT, work).await.unwrap_or_else(|_| {
        let text = format!("no end of the {step} within {} s", STEP_LIMIT.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}

/// Trusts what the system trusts, or the file that `SSL_CERT_FILE` names; read once.
fn tls_config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let config = tls::client_config(tls::trusted_roots()?, None)?;
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn target(port: u16, emulator: bool) -> ConnectionString {
        format!(
            "Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=n;SharedAccessKey=k;\
             UseDevelopmentEmulator={emulator}"
        )
        .parse()
        .unwrap()
    }

    #[tokio::test]
    async fn an_emulator_is_reached_over_plain_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        connect(&target(port, true)).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_is_sent_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(
            connect_tcp("localhost", port)
                .await
                .unwrap()
                .nodelay()
                .unwrap()
        );
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_and_told_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = connect(&target(port, true))
            .await
            .expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_answers_tls_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let error = within("TLS handshake", async {
            stream.readable().await?;
            Ok(())
        })
        .await
        .expect_err("silence");
        assert_eq!(error.to_string(), "no end of the TLS handshake within 10 s");
    }
}
