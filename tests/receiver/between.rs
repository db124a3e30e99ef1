//! What may lie between a receiver and a hub: a server of TLS, and a proxy that opens tunnels.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A listener with a task for each connection, all of which end with it.
struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start<F, C>(connection: C) -> Self
    where
        C: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(connection(socket));
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}

/// A certificate authority of the test's own, in a file.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    path: PathBuf,
    _folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, issuer.pem()).expect("a file");
        Self {
            issuer,
            path,
            _folder: folder,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn server(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        let chain = vec![CertificateDer::from(leaf.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a key that fits")
    }
}

/// Ends TLS in front of a hub, as the gateway of a namespace does.
pub(crate) struct Gateway(Server);

impl Gateway {
    pub(crate) async fn start(authority: &Authority, name: &str, hub: SocketAddr) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(name)));
        let server = Server::start(move |socket| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut secure) = acceptor.accept(socket).await else {
                    return;
                };
                if let Ok(mut plain) = TcpStream::connect(hub).await {
                    drop(copy_bidirectional(&mut secure, &mut plain).await);
                }
            }
        });
        Self(server.await)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }
}

/// Opens tunnels for whoever asks with the right header, or for all, and keeps what it was asked.
pub(crate) struct HttpProxy {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl HttpProxy {
    /// Every tunnel leads to `hub`, whatever name was asked for; `wanted` is a line of the request.
    pub(crate) async fn start(hub: SocketAddr, wanted: Option<&'static str>) -> Self {
        Self::answering(move |request| match wanted {
            Some(wanted) if !request.lines().any(|line| line == wanted) => Err(
                "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 5\r\n\r\nno..."
                    .to_owned(),
            ),
            _ => Ok(hub),
        })
        .await
    }

    /// It leads to what `answer` makes of a request, or says what `answer` says.
    pub(crate) async fn answering<A>(answer: A) -> Self
    where
        A: Fn(&str) -> Result<SocketAddr, String> + Clone + Send + Sync + 'static,
    {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let server = Server::start(move |mut socket| {
            let (answer, asked) = (answer.clone(), Arc::clone(&kept));
            async move {
                let request = request(&mut socket).await;
                let answer = answer(&request);
                asked.lock().expect("no panic").push(request);
                match answer {
                    Ok(hub) => tunnel(socket, hub).await,
                    Err(text) => drop(socket.write_all(text.as_bytes()).await),
                }
            }
        })
        .await;
        Self { server, asked }
    }

    /// What a configuration says of it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The first line of each request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        let first = |request: &String| request.lines().next().unwrap_or_default().to_owned();
        asked.iter().map(first).collect()
    }
}

async fn request(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(socket.read_buf(&mut head).await, Ok(1..)) {
            break;
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

async fn tunnel(mut socket: TcpStream, hub: SocketAddr) {
    let opened = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n";
    if socket.write_all(opened).await.is_ok()
        && let Ok(mut plain) = TcpStream::connect(hub).await
    {
        drop(copy_bidirectional(&mut socket, &mut plain).await);
    }
}
