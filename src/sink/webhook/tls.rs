//! The table `tls`: whom to trust instead of the system's authorities, and our own certificate.

use std::io;

use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::settings::{Mistake, Settings};
use crate::tls::{self, Identity, IdentityError};

/// Whom to trust, and who we are.
#[derive(Debug, Default)]
pub(super) struct Tls {
    /// Only those; none for those whom the system trusts.
    roots: Option<RootCertStore>,
    identity: Option<Identity>,
}

impl Tls {
    /// Reads the table `tls` of a sink: `ca_file`, and `client_certificate_file` with `client_key_file`.
    pub(super) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let roots = file(&mut settings, "ca_file").and_then(|text| {
            tls::only(&text)
                .map_err(|reason| settings.mistake("ca_file", reason))
                .ok()
        });
        let has_certificate = settings.has("client_certificate_file");
        let has_key = settings.has("client_key_file");
        if has_certificate != has_key {
            let (given, missing) = match has_key {
                true => ("client_key_file", "client_certificate_file"),
                false => ("client_certificate_file", "client_key_file"),
            };
            settings.mistake(given, format!("is of no use without {missing}"));
        }
        let certificate = file(&mut settings, "client_certificate_file");
        let key = file(&mut settings, "client_key_file");
        let identity = certificate.zip(key).and_then(|(certificate, key)| {
            let identity = Identity::new(&certificate, &key);
            identity
                .map_err(|error| {
                    let key = match error {
                        IdentityError::Certificate(_) => "client_certificate_file",
                        IdentityError::Key(_) | IdentityError::Pair(_) => "client_key_file",
                    };
                    settings.mistake(key, error.to_string());
                })
                .ok()
        });
        (Self { roots, identity }, settings.finish())
    }

    /// What the client needs for a server that speaks HTTP/2 or HTTP/1.1; `is_used` is false where nothing
    /// is encrypted.
    ///
    /// # Errors
    /// When the system trusts nobody.
    pub(super) fn config(self, is_used: bool) -> io::Result<ClientConfig> {
        let roots = match self.roots {
            Some(roots) => roots,
            None if is_used => tls::trusted_roots()?,
            None => RootCertStore::empty(),
        };
        let mut config = tls::client_config(roots, self.identity.as_ref())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn file(settings: &mut Settings, key: &'static str) -> Option<Vec<u8>> {
    let path = settings.file(key)?;
    tls::read(&path)
        .map_err(|error| {
            settings.mistake(key, format!("{} cannot be read: {error}", path.display()))
        })
        .ok()
}
