//! What opens a hub, in its table: a connection string, or an identity of Microsoft Entra ID.

use std::path::PathBuf;

use crate::receiver::{ClientCertificate, ConnectionString, Identity, Proof, Transport};
use crate::secret::Secret;
use crate::settings::Settings;

/// How an identity proves that it is one, as the configuration and the options name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum CredentialKind {
    /// A token that Kubernetes gives to the pod
    WorkloadIdentity,
    /// The identity of this machine, as Azure knows it
    ManagedIdentity,
    /// A secret of an app registration
    ClientSecret,
    /// A certificate of an app registration
    ClientCertificate,
    /// Whoever has logged in with az: for debugging
    AzureCli,
}

/// The keys of a connection string.
const OF_A_STRING: [&str; 2] = ["connection_string", "connection_string_file"];
/// The keys that some kind of identity has.
const OF_AN_IDENTITY: [&str; 5] = [
    "tenant_id",
    "client_id",
    "client_secret",
    "client_secret_file",
    "client_certificate_file",
];

/// Reads the keys that say what opens the hub, which is reached by `transport`; none where they have a mistake.
pub(super) fn read(settings: &mut Settings, transport: &Transport) -> Option<ConnectionString> {
    if settings.has("namespace") || settings.has("credential") {
        for key in OF_A_STRING {
            settings.refuse(key, "is of no use beside namespace and credential");
        }
        return identity(settings, transport);
    }
    let opened = connection_string(settings);
    for key in ["namespace", "credential"]
        .into_iter()
        .chain(OF_AN_IDENTITY)
    {
        settings.refuse(key, "is of no use without namespace and credential");
    }
    opened
}

fn connection_string(settings: &mut Settings) -> Option<ConnectionString> {
    let key = settings.given("connection_string", "connection_string_file");
    let file = settings.peek_file("connection_string_file");
    let text = settings.required_secret("connection_string", "connection_string_file")?;
    let opened = ConnectionString::given(text, file)
        .map_err(|error| settings.mistake(key, error.to_string()))
        .ok()?;
    settings.mask("connection_string", opened.masked());
    Some(opened)
}

/// Reads the keys of an identity: see [`read`].
pub(crate) fn identity(settings: &mut Settings, transport: &Transport) -> Option<ConnectionString> {
    let namespace = settings.required::<String>("namespace");
    let is_missing = !settings.has("credential");
    let kind = settings.choice::<CredentialKind>("credential");
    if is_missing {
        let reason =
            "is missing; it says how the namespace is opened, for instance workload_identity";
        settings.mistake("credential", reason);
    }
    let Some(kind) = kind else {
        // Whether these are right depends on the kind.
        for key in OF_AN_IDENTITY {
            settings.known(key);
        }
        return None;
    };
    let (proof, file) = proof(settings, kind)?;
    let identity = Identity::new(proof, transport)
        .map_err(|reason| settings.mistake("credential", reason))
        .ok()?;
    let opened = ConnectionString::of_identity(&namespace?, identity)
        .map_err(|reason| settings.mistake("namespace", reason))
        .ok()?;
    Some(match file {
        Some((file, text)) => opened.read_from(file, text),
        None => opened,
    })
}

/// Reads the keys that a kind of identity has, and with what is in a file that file and its text.
fn proof(
    settings: &mut Settings,
    kind: CredentialKind,
) -> Option<(Proof, Option<(PathBuf, Secret)>)> {
    if kind != CredentialKind::ClientSecret {
        refuse(settings, "client_secret");
        refuse(settings, "client_secret_file");
    }
    if kind != CredentialKind::ClientCertificate {
        refuse(settings, "client_certificate_file");
    }
    let proof = match kind {
        CredentialKind::ClientSecret => {
            let file = settings.peek_file("client_secret_file");
            let secret = settings.required_secret("client_secret", "client_secret_file");
            let (tenant_id, client_id) = application(settings);
            let secret = secret?;
            let proof = Proof::ClientSecret {
                tenant_id: tenant_id?,
                client_id: client_id?,
                secret: secret.clone(),
            };
            return Some((proof, file.map(|file| (file, secret))));
        }
        CredentialKind::ClientCertificate => {
            let file = settings.peek_file("client_certificate_file");
            let certificate = certificate(settings);
            let (tenant_id, client_id) = application(settings);
            let certificate = certificate?;
            let text = certificate.text().clone();
            let proof = Proof::ClientCertificate {
                tenant_id: tenant_id?,
                client_id: client_id?,
                certificate,
            };
            return Some((proof, file.map(|file| (file, text))));
        }
        CredentialKind::WorkloadIdentity => Proof::WorkloadIdentity {
            tenant_id: settings.optional("tenant_id"),
            client_id: settings.optional("client_id"),
        },
        CredentialKind::ManagedIdentity => {
            refuse(settings, "tenant_id");
            Proof::ManagedIdentity {
                client_id: settings.optional("client_id"),
            }
        }
        CredentialKind::AzureCli => {
            refuse(settings, "client_id");
            Proof::AzureCli {
                tenant_id: settings.optional("tenant_id"),
            }
        }
    };
    Some((proof, None))
}

/// The directory and the application that every app registration has.
fn application(settings: &mut Settings) -> (Option<String>, Option<String>) {
    (
        settings.required("tenant_id"),
        settings.required("client_id"),
    )
}

fn certificate(settings: &mut Settings) -> Option<ClientCertificate> {
    let key = "client_certificate_file";
    if !settings.has(key) {
        settings.mistake(key, "is missing; give a path");
    }
    let path = settings.file(key)?;
    ClientCertificate::from_file(&path)
        .map_err(|error| settings.mistake(key, format!("{} {error}", path.display())))
        .ok()
}

fn refuse(settings: &mut Settings, key: &'static str) {
    settings.refuse(key, "is of no use with this credential");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str, expected: &[&str]) {
        let mut settings = Settings::of_toml("hub[0]", toml);
        let opened = read(&mut settings, &Transport::default());
        let mistakes: Vec<String> = settings.finish().iter().map(ToString::to_string).collect();
        assert!(opened.is_some() || !mistakes.is_empty(), "{toml}");
        assert_eq!(mistakes.len(), expected.len(), "{toml}: {mistakes:?}");
        for (mistake, expected) in mistakes.iter().zip(expected) {
            assert!(mistake.contains(expected), "{toml}: {mistake}");
        }
        let shown = format!("{opened:?} {mistakes:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn an_identity_opens_a_namespace() {
        let namespace = "namespace = \"ns.servicebus.windows.net\"\n";
        check(
            &format!("{namespace}credential = \"managed_identity\""),
            &[],
        );
        check(
            &format!("{namespace}credential = \"managed_identity\"\nclient_id = \"c\""),
            &[],
        );
        check(&format!("{namespace}credential = \"azure_cli\""), &[]);
        check(
            &format!(
                "{namespace}credential = \"client_secret\"\ntenant_id = \"t\"\nclient_id = \"c\"\n\
                 client_secret = \"hunter2\""
            ),
            &[],
        );
    }

    #[test]
    fn what_does_not_fit_together_is_told_by_name() {
        let namespace = "namespace = \"ns\"\n";
        check("", &["connection_string: is missing"]);
        check(namespace, &["credential: is missing"]);
        check(
            "credential = \"azure_cli\"",
            &["namespace: is missing; give a text"],
        );
        check(
            &format!("{namespace}credential = \"certificate\"\ntenant_id = \"t\""),
            &[
                "must be one of workload_identity, managed_identity, client_secret, client_certificate, azure_cli",
            ],
        );
        check(
            &format!("{namespace}credential = \"client_secret\""),
            &[
                "client_secret: is missing; give it, or client_secret_file",
                "tenant_id: is missing",
                "client_id: is missing",
            ],
        );
        check(
            &format!("{namespace}credential = \"client_certificate\""),
            &[
                "client_certificate_file: is missing; give a path",
                "tenant_id: is missing",
                "client_id: is missing",
            ],
        );
        check(
            &format!(
                "{namespace}credential = \"client_certificate\"\ntenant_id = \"t\"\nclient_id = \"c\"\n\
                 client_certificate_file = \"/none\"\nclient_secret = \"hunter2\""
            ),
            &[
                "client_secret: is of no use with this credential",
                "client_certificate_file: /none cannot be read: No such file or directory",
            ],
        );
        check(
            &format!(
                "{namespace}credential = \"managed_identity\"\ntenant_id = \"t\"\nclient_secret = \"hunter2\""
            ),
            &[
                "client_secret: is of no use with this credential",
                "tenant_id: is of no use with this credential",
            ],
        );
        check(
            &format!(
                "{namespace}credential = \"azure_cli\"\nconnection_string = \"hunter2\"\nclient_id = \"c\""
            ),
            &[
                "connection_string: is of no use beside namespace and credential",
                "client_id: is of no use",
            ],
        );
        check(
            "connection_string = \"Endpoint=sb://h;SharedAccessKeyName=k;SharedAccessKey=hunter2\"\ntenant_id = \"t\"",
            &["tenant_id: is of no use without namespace and credential"],
        );
        check(
            "namespace = \"a b\"\ncredential = \"azure_cli\"",
            &["namespace: has a space in its host"],
        );
        check(
            &format!(
                "{namespace}credential = \"client_secret\"\ntenant_id = \"?\"\nclient_id = \"c\"\nclient_secret = \"hunter2\""
            ),
            &["credential: "],
        );
    }
}
