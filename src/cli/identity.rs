//! How a command is told of an identity of Microsoft Entra ID that opens the hub, without a key.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum as _};

use super::exit::{Exit, Failure};
use crate::config::{self, CredentialKind};
use crate::receiver::{ConnectionString, Transport};
use crate::secret;
use crate::settings::{Mistake, Settings};

/// The options of every command that connects to a hub, for those who have no connection string.
#[derive(Debug, Args)]
pub(super) struct Identity {
    /// The namespace, NAME.servicebus.windows.net, where an identity of Microsoft Entra ID opens it instead of
    /// a connection string. That in the environment does not count then
    #[arg(long, value_name = "HOST", requires = "credential")]
    namespace: Option<String>,

    /// What that identity proves itself with. It needs the role Azure Event Hubs Data Receiver, to simulate
    /// Data Sender
    #[arg(long, value_name = "KIND", requires = "namespace")]
    credential: Option<CredentialKind>,

    /// The directory [default for an app registration: what AZURE_TENANT_ID says]
    #[arg(long, value_name = "ID", requires = "credential")]
    tenant_id: Option<String>,

    /// The application, or the managed identity [default for an app registration: what AZURE_CLIENT_ID says]
    #[arg(long, value_name = "ID", requires = "credential")]
    client_id: Option<String>,

    /// A file that holds the secret of the app registration [default: what AZURE_CLIENT_SECRET says]
    #[arg(long, value_name = "FILE", requires = "credential")]
    client_secret_file: Option<PathBuf>,

    /// A PEM file with the certificate of the app registration and its private key [default: the one that
    /// AZURE_CLIENT_CERTIFICATE_PATH names]
    #[arg(long, value_name = "FILE", requires = "credential")]
    client_certificate_file: Option<PathBuf>,
}

impl Identity {
    /// The namespace that it opens; none where none is named.
    pub(super) fn open(&self, transport: &Transport) -> Result<Option<ConnectionString>, Failure> {
        let (Some(namespace), Some(kind)) = (&self.namespace, self.credential) else {
            return Ok(None);
        };
        let keys = self.keys(namespace, kind)?;
        let mut settings = Settings::of_texts(keys);
        let opened = config::identity(&mut settings, transport);
        let mistakes = settings.finish();
        match opened {
            Some(opened) if mistakes.is_empty() => Ok(Some(opened)),
            _ => {
                let told: Vec<String> = mistakes.iter().map(of_option).collect();
                Err(Failure::plain(Exit::Usage, told.join("\n")))
            }
        }
    }

    /// What a configuration would say.
    fn keys(
        &self,
        namespace: &str,
        kind: CredentialKind,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut tenant_id = self.tenant_id.clone();
        let mut client_id = self.client_id.clone();
        let mut certificate = text(self.client_certificate_file.as_deref())?;
        let secret_file = text(self.client_secret_file.as_deref())?;
        let mut secret = None;
        if matches!(
            kind,
            CredentialKind::ClientSecret | CredentialKind::ClientCertificate
        ) {
            tenant_id = tenant_id.or_else(|| variable("AZURE_TENANT_ID"));
            client_id = client_id.or_else(|| variable("AZURE_CLIENT_ID"));
        }
        if kind == CredentialKind::ClientCertificate {
            certificate = certificate.or_else(|| variable("AZURE_CLIENT_CERTIFICATE_PATH"));
        }
        if kind == CredentialKind::ClientSecret && secret_file.is_none() {
            secret = variable("AZURE_CLIENT_SECRET");
            if secret.is_none() {
                let text = "--client-secret-file is missing; give it, or set AZURE_CLIENT_SECRET";
                return Err(Failure::plain(Exit::Usage, text));
            }
        }
        let kind = kind.to_possible_value();
        let keys = [
            ("namespace", Some(namespace.to_owned())),
            ("credential", kind.map(|kind| kind.get_name().to_owned())),
            ("tenant_id", tenant_id),
            ("client_id", client_id),
            ("client_secret", secret),
            ("client_secret_file", secret_file),
            ("client_certificate_file", certificate),
        ];
        let keys = keys.into_iter();
        Ok(keys.filter_map(|(key, text)| Some((key, text?))).collect())
    }
}

/// A path as a text. What no file is at tells itself apart from what is wrong in one.
fn text(path: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(path) = path else {
        return Ok(None);
    };
    File::open(secret::locate(path)).map_err(|error| {
        let what = format!("read {}", path.display());
        Failure::new(Exit::NoInput, &what, &error)
    })?;
    let text = path.to_str().ok_or_else(|| {
        let text = format!("the name {} is no text in UTF-8", path.display());
        Failure::plain(Exit::Usage, text)
    })?;
    Ok(Some(text.to_owned()))
}

/// A variable that Microsoft's clients have too; one that is empty is none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// A mistake, told of the option instead of the key that is called alike.
fn of_option(mistake: &Mistake) -> String {
    format!("--{} {}", mistake.key.replace('_', "-"), mistake.reason)
}
