//! AMQP over TLS, as every real namespace has it, with a certificate authority of the test's own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::hub::Hub;
use crate::world::{Program, command};

/// A terminator of TLS in front of a hub, and the file of the authority that vouches for it.
pub(crate) struct Terminator {
    pub(crate) address: SocketAddr,
    pub(crate) authority: PathBuf,
    _folder: TempDir,
}

impl Terminator {
    pub(crate) fn start(hub: &Hub) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = leaf.signed_by(&key, &authority).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.pem");
        std::fs::write(&path, authority.pem()).unwrap();

        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = hub.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        hub.spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            hub.emulator().address(),
        ));
        Self {
            address,
            authority: path,
            _folder: folder,
        }
    }

    /// What the portal would show for a namespace at this address.
    fn connection_string(&self) -> String {
        let port = self.address.port();
        format!(
            "Endpoint=sb://localhost:{port}/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;EntityPath=dataverse-events"
        )
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, hub: SocketAddr) {
    while let Ok((socket, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "one task for each connection of the test"
        )]
        tokio::spawn(async move {
            let Ok(mut secure) = acceptor.accept(socket).await else {
                return;
            };
            let mut plain = TcpStream::connect(hub).await.unwrap();
            drop(tokio::io::copy_bidirectional(&mut secure, &mut plain).await);
        });
    }
}

/// Listens by these options, trusting the terminator's authority by one of them.
fn listen_by(terminator: &Terminator, options: &[&str], variables: &[(&str, &str)]) -> Program {
    let authority = terminator.authority.to_str().unwrap();
    let fixed = [
        "listen",
        "--from",
        "earliest",
        "--events",
        "20",
        "--ca-file",
        authority,
    ];
    let mut listen = command(fixed.into_iter().chain(options.iter().copied()));
    listen.env("EVENTHUB_CONNECTION_STRING", terminator.connection_string());
    listen.envs(variables.iter().copied());
    Program::start(&mut listen)
}

/// A proxy, and the lines of what it was asked.
pub(crate) struct Proxy {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// One that opens no tunnel, for it believes nobody.
    fn start(hub: &Hub) -> Self {
        Self::believing(hub, "nothing")
    }

    /// One that opens a tunnel for whoever says this line.
    pub(crate) fn believing(hub: &Hub, wanted: &'static str) -> Self {
        let listener = hub.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        hub.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mut lines = BufReader::new(socket).lines();
                let mut asked = Vec::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.is_empty() {
                        break;
                    }
                    asked.push(line);
                }
                kept.lock().unwrap().extend(asked.iter().cloned());
                let socket = lines.into_inner().into_inner();
                let is_believed = asked.iter().any(|line| line.eq_ignore_ascii_case(wanted));
                let to = asked.first().and_then(|line| line.split(' ').nth(1));
                #[expect(
                    clippy::disallowed_methods,
                    reason = "one task for each connection of the test"
                )]
                tokio::spawn(tunnel(
                    socket,
                    to.filter(|_| is_believed).map(str::to_owned),
                ));
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Opens a tunnel, or says that it does not.
async fn tunnel(mut socket: TcpStream, to: Option<String>) {
    let Some(to) = to else {
        let refused = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        drop(socket.write_all(refused).await);
        return;
    };
    let mut there = TcpStream::connect(to).await.unwrap();
    let opened = b"HTTP/1.1 200 Connection established\r\n\r\n";
    if socket.write_all(opened).await.is_ok() {
        drop(tokio::io::copy_bidirectional(&mut socket, &mut there).await);
    }
}

fn listen(terminator: &Terminator, authority: Option<&PathBuf>) -> Program {
    let mut listen = command(["listen", "--from", "earliest", "--events", "20"]);
    listen.env("EVENTHUB_CONNECTION_STRING", terminator.connection_string());
    listen
        .env_remove("SSL_CERT_DIR")
        .env_remove("SSL_CERT_FILE");
    if let Some(authority) = authority {
        listen.env("SSL_CERT_FILE", authority);
    }
    Program::start(&mut listen)
}

#[test]
fn a_namespace_is_read_over_tls() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "20"]);
    let terminator = Terminator::start(&hub);
    let ended = listen(&terminator, Some(&terminator.authority)).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.len(), 20);
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused_with_the_reason() {
    let hub = Hub::start(1);
    let terminator = Terminator::start(&hub);
    let other = Terminator::start(&hub);
    let ended = listen(&terminator, Some(&other.authority)).wait();
    assert_eq!(ended.status.code(), Some(69), "{}", ended.stderr);
    assert_eq!(
        ended.stderr.trim_end().lines().count(),
        1,
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("certificate"), "{}", ended.stderr);
    assert!(ended.stderr.contains("localhost"), "{}", ended.stderr);
}

#[test]
fn a_file_of_authorities_takes_the_place_of_those_of_the_system() {
    let hub = Hub::start(1);
    let (terminator, other) = (Terminator::start(&hub), Terminator::start(&hub));
    let trusted = terminator.authority.to_str().unwrap();
    let mut listen = command(["listen", "--ca-file", other.authority.to_str().unwrap()]);
    listen.env("EVENTHUB_CONNECTION_STRING", terminator.connection_string());
    let ended = Program::start(listen.env("SSL_CERT_FILE", trusted)).wait();
    assert_eq!(ended.status.code(), Some(69), "{}", ended.stderr);
    let said = "its certificate was issued by nobody who is trusted here";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn a_web_socket_is_read_that_an_authority_of_ones_own_vouches_for() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "20", "--transport", "websocket"]);
    let terminator = Terminator::start(&hub);
    let ended = listen_by(&terminator, &["--transport", "websocket"], &[]).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.len(), 20);
}

#[test]
fn the_proxy_of_the_environment_is_asked_and_its_password_not_shown() {
    let hub = Hub::start(1);
    let (terminator, proxy) = (Terminator::start(&hub), Proxy::start(&hub));
    let url = proxy.url.replace("//", "//user:hunter2@");
    let ended = listen_by(&terminator, &[], &[("https_proxy", &url)]).wait();
    assert_eq!(ended.status.code(), Some(69), "{}", ended.stderr);
    let name = proxy.url.trim_start_matches("http://");
    let port = terminator.address.port();
    assert_eq!(
        ended.stderr.trim_end(),
        format!(
            "dataverse-listener: cannot listen: localhost:{port} cannot be reached: the proxy {name} of the \
             environment (proxy = \"none\" ignores it) refuses the user or the password (HTTP 407)"
        )
    );
    assert_eq!(
        proxy.asked(),
        [
            format!("CONNECT localhost:{port} HTTP/1.1"),
            format!("Host: localhost:{port}"),
            "Proxy-Authorization: Basic dXNlcjpodW50ZXIy".to_owned(),
        ]
    );
}

#[test]
fn the_proxy_of_the_environment_is_left_alone_where_it_is_not_wanted() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "20"]);
    let (terminator, proxy) = (Terminator::start(&hub), Proxy::start(&hub));
    let variable = ("HTTPS_PROXY", proxy.url.as_str());
    for (options, variables) in [
        (&["--proxy", "none"][..], &[variable][..]),
        (&[], &[variable, ("NO_PROXY", "example.com,localhost")]),
    ] {
        let ended = listen_by(&terminator, options, variables).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_eq!(ended.stdout.len(), 20);
    }
    // An emulator knows no TLS, and is no server of https.
    let mut listen = command(["listen", "--from", "earliest", "--events", "20"]);
    listen.env("EVENTHUB_CONNECTION_STRING", hub.connection_string());
    let ended = Program::start(listen.envs([variable])).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(proxy.asked().is_empty());
}

#[test]
fn what_is_wrong_in_the_options_of_the_way_is_told_without_a_secret() {
    let hub = Hub::start(1);
    let check = |options: &[&str], code: i32, expected: &str| {
        let mut listen = command(["listen"].into_iter().chain(options.iter().copied()));
        listen.env("EVENTHUB_CONNECTION_STRING", hub.connection_string());
        let ended = Program::start(&mut listen).wait();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    };
    check(
        &["--proxy", "http://user:hunter2@proxy"],
        64,
        "--proxy has a user or a password in it; give --proxy-user and --proxy-password-file",
    );
    check(
        &["--ca-file", "/none"],
        66,
        "--ca-file: /none cannot be read: No such file or directory",
    );
    check(
        &[
            "--proxy",
            "http://proxy",
            "--proxy-user",
            "u",
            "--proxy-password-file",
            "/none",
        ],
        66,
        "cannot read the password of the proxy from /none",
    );
}
