//! The way to the service: a proxy where there is one, TCP, TLS unless it is an emulator, and WebSockets
//! where they are asked for.
//!
//! AMQP runs straight over TLS, without the protocol header of AMQP's own TLS negotiation, or in the
//! messages of a WebSocket, as the AMQP protocol guide for Azure Event Hubs has it. Every step has a
//! limit in time and an error of its own, which says who did not do what.

mod address;
mod certificate;
mod curable;
mod proxy;
mod tcp;
mod tls;
mod websocket;

use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

pub(crate) use address::Address;
pub use address::{Endpoint, EndpointError};
pub(crate) use curable::Curable;
pub(super) use proxy::Hop;
pub use proxy::{Proxy, ProxyCredential, ProxyError, ProxyServer};
pub use tls::{Authorities, AuthoritiesError};

use super::connection_string::ConnectionString;
use super::trail::{Step, Trail};

/// A stream that AMQP can run over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// Nothing of it is shown: what lies in its buffers may be a token.
impl fmt::Debug for dyn Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// How the service is reached.
///
/// Source: "Frequently asked questions about Azure Event Hubs", on the ports to open, and
/// `EventHubConnectionOptions` of Microsoft's clients, which have the same choices.
#[derive(Debug, Clone, Default)]
pub struct Transport {
    /// What carries AMQP.
    pub kind: TransportKind,
    /// Where to connect instead of the namespace. Its name stays the namespace's for all that comes after:
    /// TLS, AMQP and tokens.
    pub endpoint: Option<Endpoint>,
    /// Who may vouch for the service instead of those whom the system trusts.
    pub authorities: Option<Authorities>,
    /// What lies between.
    pub proxy: Proxy,
}

/// What carries AMQP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TransportKind {
    /// TLS, on port 5671.
    #[default]
    Amqp,
    /// WebSockets over TLS, on port 443: where nothing else is let through.
    Websocket,
}

/// Where AMQP over TLS listens. A connection string that names this port means nothing by it.
const AMQP_PORT: u16 = 5671;
/// Where WebSockets over TLS listen.
const WEBSOCKET_PORT: u16 = 443;
/// How long a name may take to resolve, one address to answer, and each of what comes behind.
const STEP_LIMIT: Duration = Duration::from_secs(10);

impl Transport {
    /// Where a connection is made to, or asked of a proxy.
    pub(crate) fn address(&self, target: &ConnectionString) -> Address {
        let namespace = self.namespace(target);
        match &self.endpoint {
            Some(endpoint) => endpoint.at(namespace.port()),
            None => namespace,
        }
    }

    /// True where a proxy lies between.
    pub(crate) fn has_proxy(&self, target: &ConnectionString) -> bool {
        let hop = self
            .proxy
            .toward(&self.address(target), !target.is_emulator());
        matches!(hop, Ok(Some(_)))
    }

    /// Host and port of the namespace itself.
    fn namespace(&self, target: &ConnectionString) -> Address {
        let port = match (self.kind, target.port()) {
            (TransportKind::Websocket, AMQP_PORT) => WEBSOCKET_PORT,
            (_, port) => port,
        };
        Address::new(target.namespace(), port)
    }
}

/// Connects to where a connection string points, on the way that `transport` says, and leaves a trail of it.
///
/// # Errors
/// What failed, of kind `TimedOut` where nothing was heard.
pub(crate) async fn connect(
    target: &ConnectionString,
    transport: &Transport,
    trail: &mut Trail<'_>,
) -> io::Result<Box<dyn Stream>> {
    let address = transport.address(target);
    let hop = transport.proxy.toward(&address, !target.is_emulator());
    let stream = match hop.inspect_err(|_| trail.begin(Step::Proxy))? {
        Some(hop) => hop.tunnel(&address, trail).await?,
        None => tcp::connect(&address, trail).await?,
    };
    let stream: Box<dyn Stream> = if target.is_emulator() {
        Box::new(stream)
    } else {
        let authorities = transport.authorities.as_ref();
        Box::new(tls::secure(target.namespace(), stream, authorities, trail).await?)
    };
    match transport.kind {
        TransportKind::Amqp => Ok(stream),
        TransportKind::Websocket => {
            let host = transport.namespace(target);
            trail.begin(Step::WebSocket);
            Ok(Box::new(websocket::open(&host, stream).await?))
        }
    }
}

async fn within<T>(step: &str, work: impl Future<Output = io::Result<T>> + Send) -> io::Result<T> {
    timeout(STEP_LIMIT, work).await.unwrap_or_else(|_| {
        let text = format!("no end of the {step} within {} s", STEP_LIMIT.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
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

    #[test]
    fn what_is_dialled_depends_on_the_kind_the_endpoint_and_the_connection_string() {
        let real = |port: &str| {
            format!("Endpoint=sb://ns.example{port}/;SharedAccessKeyName=n;SharedAccessKey=k")
        };
        let emulator = format!("{};UseDevelopmentEmulator=true", real(""));
        let check = |text: &str, kind, endpoint: Option<&str>, expected: &str| {
            let transport = Transport {
                kind,
                endpoint: endpoint.map(|endpoint| endpoint.parse().unwrap()),
                ..Transport::default()
            };
            let address = transport.address(&text.parse().unwrap());
            assert_eq!(address.to_string(), expected, "{text} {kind:?}");
        };
        let (amqp, websocket) = (TransportKind::Amqp, TransportKind::Websocket);
        check(&real(""), amqp, None, "ns.example:5671");
        check(&real(":7"), amqp, None, "ns.example:7");
        check(&real(""), websocket, None, "ns.example:443");
        check(&real(":5671"), websocket, None, "ns.example:443");
        check(&real(":7"), websocket, None, "ns.example:7");
        check(&emulator, amqp, None, "ns.example:5672");
        check(&emulator, websocket, None, "ns.example:5672");
        check(&real(""), amqp, Some("10.0.0.1"), "10.0.0.1:5671");
        check(
            &real(""),
            websocket,
            Some("gate.example"),
            "gate.example:443",
        );
        check(&real(""), websocket, Some("[::1]:8443"), "[::1]:8443");
    }

    #[tokio::test]
    async fn an_emulator_is_reached_over_plain_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        connect(
            &target(port, true),
            &Transport::default(),
            &mut Trail::none(),
        )
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_and_told_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = connect(
            &target(port, true),
            &Transport::default(),
            &mut Trail::none(),
        )
        .await
        .expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_never_answers_is_given_up_at_each_step() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy: Proxy = format!("http://127.0.0.1:{port}").parse().unwrap();
        let direct = Transport {
            proxy: Proxy::None,
            ..Transport::default()
        };
        let websocket = Transport {
            kind: TransportKind::Websocket,
            ..direct.clone()
        };
        let tunnel = Transport {
            proxy,
            ..Transport::default()
        };
        let silent = format!("the proxy 127.0.0.1:{port} opens no tunnel: no end of the CONNECT");
        for (transport, emulator, step) in [
            (direct, false, "no end of the TLS handshake"),
            (websocket, true, "no end of the WebSocket handshake"),
            (tunnel, true, silent.as_str()),
        ] {
            let error = connect(&target(port, emulator), &transport, &mut Trail::none())
                .await
                .expect_err("silence");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(error.to_string(), format!("{step} within 10 s"));
        }
    }
}
