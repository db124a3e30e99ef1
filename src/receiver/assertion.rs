//! Client assertions: how an app registration proves with a certificate who it is.
//!
//! Source: "Microsoft identity platform application authentication certificate credentials" at
//! learn.microsoft.com, which wants PS256 and the SHA-256 thumbprint; RFC 7515 and RFC 7518 section 3.5 for the
//! signature, RFC 7523 section 3 for the claims.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::Uuid;
use azure_core::error::ErrorKind;
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::SigningKey;
use tokio_rustls::rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::secret::Secret;
use crate::tls::{self, IdentityError};

/// How long an assertion is good for: the most that Microsoft advises.
const LIFE: Duration = Duration::minutes(10);
/// What stands in a PEM text around or in a private key that is encrypted (RFC 7468 section 11, RFC 1421).
const ENCRYPTED: [&str; 2] = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];
/// What every DER file begins with, a PKCS #12 file among them: the tag of a sequence.
const DER: u8 = 0x30;

/// A certificate of an app registration, with its private key.
#[derive(Clone)]
pub struct ClientCertificate {
    text: Secret,
    key: Arc<dyn SigningKey>,
    /// That of the certificate, SHA-256 in base64url.
    thumbprint: String,
}

/// Why there is no [`ClientCertificate`], as what is to be said of the file that holds it.
#[derive(Debug, thiserror::Error)]
pub enum ClientCertificateError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    File(io::Error),
    /// It is not PEM.
    #[error(
        "is no PEM file; make one of a PKCS #12 file by: openssl pkcs12 -in FILE.pfx -out FILE.pem -nodes"
    )]
    Binary,
    /// A part is missing or broken.
    #[error("{0}")]
    Content(String),
    /// The key is encrypted, and there is nowhere to give a passphrase.
    #[error(
        "holds an encrypted private key; take the passphrase off by: openssl pkey -in FILE.pem, and let \
         nobody else read the file"
    )]
    Encrypted,
    /// The key is one of elliptic curves, for instance, or too short.
    #[error(
        "holds a private key that Microsoft Entra ID does not take; it must be an RSA key of 2048 to 4096 bits"
    )]
    Key,
    /// The key is that of another certificate.
    #[error("holds no certificate that belongs to its private key")]
    Pair,
}

impl ClientCertificate {
    /// Reads a PEM file with the certificate and its private key, in any order, as `AZURE_CLIENT_CERTIFICATE_PATH`
    /// names it to Microsoft's clients. Other certificates in it are left alone.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn from_file(path: &Path) -> Result<Self, ClientCertificateError> {
        let text = Secret::from_file(path).map_err(|error| match tls::read(path) {
            Ok(bytes) if bytes.first() == Some(&DER) => ClientCertificateError::Binary,
            _ => ClientCertificateError::File(error),
        })?;
        Self::from_pem(text)
    }

    /// The same, of the text of such a file.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_pem(text: Secret) -> Result<Self, ClientCertificateError> {
        let content = |error: IdentityError| ClientCertificateError::Content(error.to_string());
        if ENCRYPTED.iter().any(|mark| text.reveal().contains(mark)) {
            return Err(ClientCertificateError::Encrypted);
        }
        let bytes = text.reveal().as_bytes();
        let key = PrivateKeyDer::from_pem_slice(bytes)
            .map_err(|error| content(IdentityError::Key(error)))?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| content(IdentityError::Certificate(error)))?;
        if certificates.is_empty() {
            return Err(content(IdentityError::Certificate(
                pem::Error::NoItemsFound,
            )));
        }
        let key = ring::default_provider()
            .key_provider
            .load_private_key(key)
            .ok()
            .filter(|key| key.algorithm() == SignatureAlgorithm::RSA)
            .ok_or(ClientCertificateError::Key)?;
        let public = key.public_key().ok_or(ClientCertificateError::Key)?;
        // A certificate has its public key in it as it is. Reading it otherwise would refuse those of X.509
        // version 1, which Entra ID takes.
        let certificate = certificates
            .iter()
            .find(|certificate| memchr::memmem::find(certificate, &public).is_some())
            .ok_or(ClientCertificateError::Pair)?;
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate));
        drop(public);
        Ok(Self {
            text,
            key,
            thumbprint,
        })
    }

    /// What it was read from.
    pub(crate) fn text(&self) -> &Secret {
        &self.text
    }

    /// What `client_id` says of itself to whoever has this endpoint.
    fn assertion(
        &self,
        client_id: &str,
        endpoint: &str,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<String, Error> {
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": endpoint,
            "exp": (now + LIFE).unix_timestamp(),
            "iat": now.unix_timestamp(),
            "iss": client_id,
            "jti": id,
            "nbf": now.unix_timestamp(),
            "sub": client_id,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
        let signer = signer.ok_or_else(|| Error::General("the key cannot sign so".to_owned()))?;
        let signature = signer.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Two are the same when they were read from the same text.
impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ClientCertificate {}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCertificate")
            .field(&self.thumbprint)
            .finish()
    }
}

/// Makes an assertion whenever one is asked for.
#[derive(Debug)]
pub(super) struct Assertions {
    pub(super) certificate: ClientCertificate,
    pub(super) client_id: String,
    /// Where tokens are asked for.
    pub(super) endpoint: String,
}

#[async_trait]
impl ClientAssertion for Assertions {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let id = Uuid::new_v4().to_string();
        let now = OffsetDateTime::now_utc();
        self.certificate
            .assertion(&self.client_id, &self.endpoint, &id, now)
            .map_err(|error| azure_core::Error::new(ErrorKind::Credential, error))
    }
}

#[cfg(test)]
mod tests;
