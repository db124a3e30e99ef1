//! TLS: whom to trust, a certificate of our own, HTTP/2.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use reqwest::Version;
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;

/// An authority of the test's own, and files that a configuration can name.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn leaf(&self, purpose: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn ca_file(&self) -> String {
        let path = self.file("ca.pem", &self.issuer.pem());
        format!("ca_file = \"{}\"\n", path.display())
    }

    fn client_files(&self) -> String {
        let (certificate, key) = self.leaf(ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = self.file("client.pem", &certificate.pem());
        let key = self.file("client.key", &key.serialize_pem());
        format!(
            "client_certificate_file = \"{}\"\nclient_key_file = \"{}\"\n",
            certificate.display(),
            key.display()
        )
    }

    /// A server of this authority's; it speaks `protocols` and may ask for a certificate.
    fn server(&self, protocols: &[&str], asks: bool) -> Server {
        let (certificate, key) = self.leaf(ExtendedKeyUsagePurpose::ServerAuth);
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let provider = Arc::new(default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut tls = builder.with_single_cert(chain, key).unwrap();
        tls.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Server::start_secure(tls, |_, _| Answer::status(204))
    }
}

fn endpoint_of(server: &Server, tls: &str) -> Endpoint {
    let port = server.address().port();
    endpoint(&format!(
        "url = \"https://localhost:{port}/in?code=hunter2\"\n[tls]\n{tls}"
    ))
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_and_http_2_is_used_where_it_is_offered() {
    let authority = Authority::new();
    for (protocols, expected) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["http/1.1"][..], Version::HTTP_11),
        (&[][..], Version::HTTP_11),
    ] {
        let server = authority.server(protocols, false);
        let endpoint = endpoint_of(&server, &authority.ca_file());
        for _ in 0..3 {
            endpoint
                .attempt(&[delivery(update(OPERATION))])
                .await
                .unwrap();
        }
        let requests = server.wait_for(|requests| requests.len() == 3);
        assert!(
            requests.iter().all(|request| request.version == expected),
            "{protocols:?}"
        );
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = authority.server(&["h2"], false);
    let endpoint = endpoint_of(&server, &other.ca_file());
    let port = server.address().port();
    let said = failure(&endpoint).await;
    let expected = format!(
        "somebody must see to it: no connection to localhost:{port}: invalid peer certificate: "
    );
    assert!(said.starts_with(&expected), "{said}");
    assert!(server.wait_for(<[Request]>::is_empty).is_empty());
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_one() {
    let authority = Authority::new();
    let server = authority.server(&["h2", "http/1.1"], true);
    let tls = format!("{}{}", authority.ca_file(), authority.client_files());
    endpoint_of(&server, &tls)
        .attempt(&[delivery(update(OPERATION))])
        .await
        .unwrap();
    assert_eq!(server.wait_for(|requests| !requests.is_empty()).len(), 1);
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_takes_nothing_without() {
    let authority = Authority::new();
    let server = authority.server(&["h2", "http/1.1"], true);
    let said = failure(&endpoint_of(&server, &authority.ca_file())).await;
    // The server hangs up behind its alert: which of the two is seen first is chance.
    let port = server.address().port();
    assert!(said.contains(&format!("localhost:{port}")), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert!(server.wait_for(<[Request]>::is_empty).is_empty());
}
