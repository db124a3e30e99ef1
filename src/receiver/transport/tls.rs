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

use super::within;
use crate::tls;

/// Certificate authorities out of a file, and nobody else.
#[derive(Clone)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
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
        let config = tls::client_config(roots.clone(), None)
            .map_err(|error| content(format!("cannot be used: {error}")))?;
        Ok(Self {
            roots: Arc::new(roots),
            config: Arc::new(config),
        })
    }

    /// These, and those whom the system trusts: for servers that are public, where something between may have
    /// a certificate of its own for them.
    pub(in crate::receiver) fn and_those_of_the_system(&self) -> RootCertStore {
        let mut roots = RootCertStore::clone(&self.roots);
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
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::other("the host is neither a DNS name nor an IP address"))?;
    let config = match authorities {
        Some(authorities) => Arc::clone(&authorities.config),
        None => trusted_by_system()?,
    };
    let connector = TlsConnector::from(config);
    let stream = within("TLS handshake", connector.connect(name, stream)).await;
    stream.map_err(with_cure)
}

/// Trusts what the system trusts, or the file that `SSL_CERT_FILE` names; read once.
fn trusted_by_system() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let config = tls::client_config(tls::trusted_roots()?, None)?;
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

/// Says what to do, where it is known. What answers TLS with something else is most often an emulator.
fn with_cure(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let text = match cause {
        Some(rustls::Error::InvalidMessage(_)) => {
            "it does not speak TLS; for an emulator add UseDevelopmentEmulator=true to the connection string"
        }
        // The signature is bad where another authority of the same name is trusted.
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => {
            "its certificate was issued by nobody who is trusted here; name the file of its authority in \
             ca_file (--ca-file) or in the variable SSL_CERT_FILE"
        }
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it hung up in the middle of the TLS handshake"
        }
        _ => return error,
    };
    io::Error::other(text)
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
