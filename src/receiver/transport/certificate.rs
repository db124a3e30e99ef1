//! The certificate that a server shows, for whoever wants to know whose it is, trusted or not.
//!
//! Source: RFC 5280, section 4.1 (subject, issuer, validity).

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// Keeps the certificate that it is asked about. The judgement is rustls's own, the same as without it.
pub(super) struct Witness {
    judge: Arc<WebPkiServerVerifier>,
    shown: Mutex<Option<CertificateDer<'static>>>,
}

impl Witness {
    /// One who sits beside the judge that trusts these.
    pub(super) fn beside(roots: &Arc<RootCertStore>) -> io::Result<Arc<Self>> {
        let provider = Arc::new(ring::default_provider());
        let judge = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider)
            .build()
            .map_err(io::Error::other)?;
        Ok(Arc::new(Self {
            judge,
            shown: Mutex::new(None),
        }))
    }

    /// The same configuration with this witness.
    pub(super) fn attend(self: &Arc<Self>, config: &ClientConfig) -> ClientConfig {
        let mut config = config.clone();
        // A session that is resumed shows no certificate.
        config.resumption = Resumption::disabled();
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Self>::clone(self);
        config.dangerous().set_certificate_verifier(verifier);
        config
    }

    /// Whose certificate was shown, who issued it, and until when it is good; none where there was none.
    pub(super) fn tells(&self) -> Option<String> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.as_ref().map(|certificate| described(certificate))
    }
}

fn described(certificate: &[u8]) -> String {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return "a certificate that cannot be read".to_owned();
    };
    format!(
        "certificate of {}, issued by {}, good until {}",
        certificate.subject(),
        certificate.issuer(),
        moment(certificate.validity().not_after)
    )
}

fn moment(time: ASN1Time) -> String {
    OffsetDateTime::from_unix_timestamp(time.timestamp())
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "nobody knows when".to_owned())
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(end_entity.clone().into_owned());
        self.judge
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_is_told_by_its_subject_its_issuer_and_its_end() {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "ns.example");
        params.not_after = date_time_ymd(2031, 2, 3);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(
            described(certificate.der()),
            "certificate of CN=ns.example, issued by CN=ns.example, good until 2031-02-03T00:00:00Z"
        );
        assert_eq!(described(b"none"), "a certificate that cannot be read");
    }
}
