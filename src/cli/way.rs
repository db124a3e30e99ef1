//! How a command gets to a hub: what lies between, and who may vouch for it.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use crate::receiver::{Authorities, Endpoint, Proxy, ProxyCredential, Transport, TransportKind};
use crate::secret::Secret;

/// The options of every command that connects to a hub, for networks that do not let everything through.
#[derive(Debug, Args)]
pub(super) struct Way {
    /// What carries AMQP: TLS on port 5671, or WebSockets over TLS on port 443
    #[arg(long, value_name = "KIND", default_value = "amqp")]
    transport: TransportKind,

    /// Connect there instead of to the namespace, which is still the one that is spoken to
    #[arg(long, value_name = "HOST[:PORT]")]
    endpoint: Option<Endpoint>,

    /// A PEM file with the certificate authorities to trust instead of those of the system. For
    /// whoever gives tokens of Microsoft Entra ID, either may vouch
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// The proxy, http://HOST:PORT, or "none" [default: what HTTPS_PROXY and NO_PROXY say]
    // No type of its own: the error of one would repeat a password that somebody puts there.
    #[arg(long, value_name = "URL")]
    proxy: Option<Secret>,

    /// The user that the proxy asks for
    #[arg(long, value_name = "NAME", requires_all = ["proxy", "proxy_password_file"])]
    proxy_user: Option<String>,

    /// A file that holds the password that the proxy asks for
    #[arg(long, value_name = "FILE", requires = "proxy_user")]
    proxy_password_file: Option<PathBuf>,
}

impl Way {
    /// All of it, read.
    pub(super) fn transport(&self) -> Result<Transport, Failure> {
        let authorities = self.ca_file.as_deref().map(Authorities::from_file);
        let authorities = authorities.transpose().map_err(|error| {
            Failure::new(Exit::NoInput, "trust the authorities of --ca-file", &error)
        })?;
        Ok(Transport {
            kind: self.transport,
            endpoint: self.endpoint.clone(),
            authorities,
            proxy: self.proxy()?,
        })
    }

    fn proxy(&self) -> Result<Proxy, Failure> {
        let wrong = |what: &str, error| {
            let text = format!("{what} {error}");
            Failure::plain(Exit::Usage, &text)
        };
        let Some(text) = &self.proxy else {
            return Ok(Proxy::default());
        };
        // Other users of this machine can read command lines.
        if text.reveal().contains('@') {
            return Err(Failure::plain(
                Exit::Usage,
                "--proxy has a user or a password in it; give --proxy-user and --proxy-password-file, or set HTTPS_PROXY",
            ));
        }
        let proxy: Proxy = text
            .reveal()
            .parse()
            .map_err(|error| wrong("--proxy", error))?;
        let (Some(user), Some(file)) = (&self.proxy_user, &self.proxy_password_file) else {
            return Ok(proxy);
        };
        let password = Secret::from_file(file).map_err(|error| {
            let what = format!("read the password of the proxy from {}", file.display());
            Failure::new(Exit::NoInput, &what, &error)
        })?;
        ProxyCredential::new(user, &password)
            .and_then(|credential| proxy.with_credential(credential))
            .map_err(|error| wrong("--proxy-user", error))
    }
}
