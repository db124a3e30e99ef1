//! AMQP over TLS, as every real namespace has it, with a certificate authority of the test's own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::hub::Hub;
use crate::world::{Program, command};

/// A terminator of TLS in front of a hub, and the file of the authority that vouches for it.
struct Terminator {
    address: SocketAddr,
    authority: PathBuf,
    _folder: TempDir,
}

impl Terminator {
    fn start(hub: &Hub) -> Self {
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
