//! TLS to the service, and who may vouch for it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use super::certificate::Witness;
use super::curable::Curable;
use super::within;
use crate::receiver::trail::{Step, Trail};
use crate::tls;

/// Certificate authorities out of a file, and nobody else.
#[derive(Clone)]
pub struct Authorities(Trust);

/// Who is trusted, and what a client needs who trusts them.
#[derive(Clone)]
struct Trust {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
}

impl Trust {
    fn new(roots: RootCertStore) -> io::Result<Self> {
        let roots = Arc::new(roots);
        let config = tls::client_config(Arc::clone(&roots), None)?;
        Ok(Self {
            roots,
            config: Arc::new(config),
        })
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorities")
    }
}

/// Why a file gives no [`Authorities`].
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {error}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file holds something else.
    #[error("{path} {reason}", path = path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Authorities {
    /// Reads the certificates of a PEM file (RFC 7468).
    ///
    /// # Errors
    /// When it cannot be read, or holds no certificate that can be used.
    pub fn from_file(path: &Path) -> Result<Self, AuthoritiesError> {
        let text = tls::read(path).map_err(|error| AuthoritiesError::File {
            path: path.to_owned(),
            error,
        })?;
        let content = |reason| AuthoritiesError::Content {
            path: path.to_owned(),
            reason,
        };
        let roots = tls::only(&text).map_err(content)?;
        let trust =
            Trust::new(roots).map_err(|error| content(format!("cannot be used: {error}")))?;
        Ok(Self(trust))
    }

    /// These, and those whom the system trusts: for servers that are public, where something between may have
    /// a certificate of its own for them.
    pub(in crate::receiver) fn and_those_of_the_system(&self) -> RootCertStore {
        let mut roots = RootCertStore::clone(&self.0.roots);
        // A system that trusts nobody is no mistake of whoever names somebody here.
        if let Ok(trusted) = tls::trusted_roots() {
            roots.extend(trusted.roots);
        }
        roots
    }
}

/// Agrees on TLS with the one whom `host` names.
pub(super) async fn secure(
    host: &str,
    stream: TcpStream,
    authorities: Option<&Authorities>,
    trail: &mut Trail<'_>,
) -> io::Result<TlsStream<TcpStream>> {
    trail.begin(Step::Tls);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::other("the host is neither a DNS name nor an IP address"))?;
    let Trust { roots, config } = match authorities {
        Some(Authorities(trust)) => trust.clone(),
        None => trusted_by_system()?,
    };
    if !trail.is_followed() {
        return handshake(name, stream, config).await;
    }
    let witness = Witness::beside(&roots)?;
    let secured = handshake(name, stream, Arc::new(witness.attend(&config))).await;
    let version = secured.as_ref().ok();
    let version = version.and_then(|stream| stream.get_ref().1.protocol_version());
    let version = version.and_then(|version| version.as_str());
    let version = version.map(|version| version.replace("TLSv1_", "TLS 1."));
    let facts = [version, witness.tells()];
    trail.note(|| facts.into_iter().flatten().collect::<Vec<_>>().join(", "));
    secured
}

async fn handshake(
    name: ServerName<'static>,
    stream: TcpStream,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(config);
    let stream = within("TLS handshake", connector.connect(name, stream)).await;
    stream.map_err(with_cure)
}

/// Trusts what the system trusts, or the file that `SSL_CERT_FILE` names; read once.
fn trusted_by_system() -> io::Result<Trust> {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    if let Some(trust) = TRUST.get() {
        return Ok(trust.clone());
    }
    let trust = Trust::new(tls::trusted_roots()?)?;
    Ok(TRUST.get_or_init(|| trust).clone())
}

/// Says what to do, where it is known. What answers TLS with something else is most often an emulator.
fn with_cure(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidMessage(_)) => Curable::error(
            "it does not speak TLS",
            "for an emulator add UseDevelopmentEmulator=true to the connection string",
        ),
        // The signature is bad where another authority of the same name is trusted.
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => Curable::error(
            "its certificate was issued by nobody who is trusted here",
            "name the file of its authority in ca_file (--ca-file) or in the variable SSL_CERT_FILE",
        ),
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            io::Error::other("it hung up in the middle of the TLS handshake")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_gives_no_authorities_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let said = || {
            let text = Authorities::from_file(&path).unwrap_err().to_string();
            text.replace(path.to_str().unwrap(), "ca.pem")
        };
        assert_eq!(
            said(),
            "ca.pem cannot be read: No such file or directory (os error 2)"
        );
        std::fs::write(&path, "hunter2").unwrap();
        assert_eq!(
            said(),
            "ca.pem holds no certificate in PEM form: there is no such section in it"
        );
    }
}
