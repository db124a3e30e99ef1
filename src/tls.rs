//! TLS as a client: whom to trust, and with which certificate to answer when a server asks for one.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::durable;

/// A certificate and its key, to say who we are.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

impl Identity {
    /// Takes the certificates of one PEM text, ours first, and the key of another.
    ///
    /// # Errors
    /// Which of them is not as it must be, or that they do not belong together.
    pub(crate) fn new(certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(IdentityError::Certificate)?;
        if chain.is_empty() {
            return Err(IdentityError::Certificate(pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(IdentityError::Key)?;
        let identity = Self { chain, key };
        // Nobody is trusted yet: this finds out whether the two belong together.
        match client_config(RootCertStore::empty(), Some(&identity)) {
            Ok(_) => Ok(identity),
            Err(error) => Err(IdentityError::Pair(error)),
        }
    }
}

/// Why there is no [`Identity`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// The text with the certificates is not one.
    #[error("holds no certificate in PEM form: {}", text(.0))]
    Certificate(pem::Error),
    /// The text with the key is not one.
    #[error("holds no private key in PEM form, or an encrypted one: {}", text(.0))]
    Key(pem::Error),
    /// The key is not that of the first certificate, or of a kind that TLS has no use for.
    #[error("cannot be used with the certificate: {0}")]
    Pair(io::Error),
}

/// What is wrong with a PEM text. The library's own words may show a line of it, which may be a key.
fn text(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::NoItemsFound => "there is no such section in it",
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section begins with a broken line",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be read",
    }
}

/// Who is trusted unless a file says otherwise: those whom the system trusts, or the file that
/// `SSL_CERT_FILE` names.
///
/// # Errors
/// When there is nobody.
pub(crate) fn trusted_roots() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _unreadable) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let why = found
        .errors
        .first()
        .map_or_else(String::new, |error| format!(": {error}"));
    Err(io::Error::other(format!(
        "no trusted root certificates were found; install the system's (ca-certificates) or set SSL_CERT_FILE{why}"
    )))
}

/// The certificate authorities of a PEM text, and nobody else.
///
/// # Errors
/// What is wrong with it, as a fragment.
pub(crate) fn only(certificates: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(certificates) {
        let certificate =
            certificate.map_err(|error| IdentityError::Certificate(error).to_string())?;
        roots
            .add(certificate)
            .map_err(|error| format!("holds a certificate that cannot be used: {error}"))?;
    }
    if roots.is_empty() {
        return Err(IdentityError::Certificate(pem::Error::NoItemsFound).to_string());
    }
    Ok(roots)
}

/// A file with certificates or a key, up to what any of them needs.
///
/// # Errors
/// When it cannot be read, or is larger.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    /// The bundle of a whole system has about 230 KB.
    const LARGEST: u64 = 4 << 20;
    durable::read(path, LARGEST)
}

/// What a TLS client needs: TLS 1.2 or 1.3, with ring's cryptography.
///
/// # Errors
/// When the key of `identity` cannot be used with its certificate.
pub(crate) fn client_config(
    roots: impl Into<Arc<RootCertStore>>,
    identity: Option<&Identity>,
) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    match identity {
        Some(Identity { chain, key }) => builder
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(io::Error::other),
        None => Ok(builder.with_no_client_auth()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn certified() -> (String, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[track_caller]
    fn check(certificates: &str, key: &str, expected: Option<&str>) {
        let identity = Identity::new(certificates.as_bytes(), key.as_bytes());
        let said = identity.err().map(|error| error.to_string());
        assert_eq!(said.as_deref(), expected);
    }

    #[test]
    fn a_certificate_and_its_key_belong_together() {
        let ((certificate, key), (_, other)) = (certified(), certified());
        check(&certificate, &key, None);
        // In one file, in any order.
        let both = format!("{key}{certificate}");
        check(&both, &both, None);
        check(
            "",
            &key,
            Some("holds no certificate in PEM form: there is no such section in it"),
        );
        check(
            &certificate,
            &certificate,
            Some(
                "holds no private key in PEM form, or an encrypted one: there is no such section in it",
            ),
        );
        let torn = &key[..key.len() - 30];
        check(
            &certificate,
            torn,
            Some("holds no private key in PEM form, or an encrypted one: a section has no end"),
        );
        let error = Identity::new(certificate.as_bytes(), other.as_bytes()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot be used with the certificate: "),
            "{error}"
        );
    }

    #[test]
    fn a_key_is_not_shown() {
        let (certificate, key) = certified();
        let identity = Identity::new(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(format!("{identity:?}"), "Identity(***)");
    }

    #[test]
    fn a_file_of_authorities_must_hold_some() {
        let (certificate, key) = certified();
        assert_eq!(only(certificate.repeat(2).as_bytes()).unwrap().len(), 2);
        let error = only(key.as_bytes()).unwrap_err();
        assert_eq!(
            error,
            "holds no certificate in PEM form: there is no such section in it"
        );
    }
}
