//! Identities of Microsoft Entra ID: how the daemon proves who it is without a key, and the tokens that it
//! gets for it. All connections to a hub share one.
//!
//! Source: "Authenticate an application with Microsoft Entra ID to access Event Hubs resources" at
//! learn.microsoft.com, and the documentation of the crate `azure_identity`.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{Secret as AzureSecret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::assertion::{Assertions, ClientCertificate};
use super::authority::{self, LIMIT};
use super::seam::Failure;
use super::transport::{Hop, Transport};
use crate::secret::Secret;
use crate::standing::LossKind;

/// What a token is asked for; the two slashes are those of Microsoft's own clients.
const SCOPE: &str = "https://eventhubs.azure.net//.default";
/// How long before its end a token is renewed. The library makes another one from five minutes on.
const AHEAD: Duration = Duration::from_secs(240);
/// However short a token lives, it is not asked for more often.
const LEAST_AGE: Duration = Duration::from_secs(1);
/// One that was over when it came, by the clock here, is as good as the service says: others are no better.
const AGE_BY_A_WRONG_CLOCK: Duration = Duration::from_secs(300);
/// What the authority says when it is itself in trouble, or is asked too much.
const PASSING: [&str; 3] = ["AADSTS90006:", "AADSTS90033:", "AADSTS90055:"];

/// How an identity proves that it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A secret of an app registration.
    ClientSecret {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// One of its secrets.
        secret: Secret,
    },
    /// A certificate of an app registration.
    ClientCertificate {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// One of its certificates.
        certificate: ClientCertificate,
    },
    /// A token that Kubernetes puts into a file; what is not given is in `AZURE_TENANT_ID` and
    /// `AZURE_CLIENT_ID`, and the file in `AZURE_FEDERATED_TOKEN_FILE`.
    WorkloadIdentity {
        /// The directory.
        tenant_id: Option<String>,
        /// The application or the managed identity.
        client_id: Option<String>,
    },
    /// That of the machine, as Azure knows it.
    ManagedIdentity {
        /// The identity, where it is one that was assigned by a user.
        client_id: Option<String>,
    },
    /// That of whoever has logged in with `az`.
    AzureCli {
        /// The directory, where it is not that user's own.
        tenant_id: Option<String>,
    },
}

/// Somebody whom Microsoft Entra ID knows.
#[derive(Clone)]
pub struct Identity(Arc<Shared>);

/// What all who use an identity have in common.
struct Shared {
    proof: Proof,
    transport: Transport,
    /// The proxy by which tokens are asked for, for messages.
    by: Option<String>,
    credential: Arc<dyn TokenCredential>,
    last: Mutex<Option<Token>>,
}

/// A token, and its times.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) text: Secret,
    /// From when on another one is to be used.
    pub(super) renew_at: Instant,
    /// When it is over.
    pub(super) over_at: Instant,
}

impl Identity {
    /// Asks nobody yet. Tokens will be asked for by the proxy of `transport`, of somebody for whom its authorities
    /// may vouch as well as those whom the system trusts.
    ///
    /// # Errors
    /// Why it cannot work, as a sentence's end.
    pub fn new(proof: Proof, transport: &Transport) -> Result<Self, String> {
        let hop = match proof {
            Proof::ManagedIdentity { .. } | Proof::AzureCli { .. } => None,
            _ => authority::hop(transport)?,
        };
        let credential = credential(&proof, transport, hop.as_ref())?;
        Ok(Self(Arc::new(Shared {
            proof,
            transport: transport.clone(),
            by: hop.map(|hop| hop.name()),
            credential,
            last: Mutex::default(),
        })))
    }

    /// What kind of identity it is.
    pub(super) fn kind(&self) -> &'static str {
        match self.0.proof {
            Proof::ClientSecret { .. } => "an app registration",
            Proof::ClientCertificate { .. } => "an app registration with a certificate",
            Proof::WorkloadIdentity { .. } => "a workload identity",
            Proof::ManagedIdentity { .. } => "a managed identity",
            Proof::AzureCli { .. } => "the user of az",
        }
    }

    /// The same with another secret or certificate, where it has one.
    pub(super) fn with_secret(&self, text: &Secret) -> Result<Self, String> {
        let mut proof = self.0.proof.clone();
        match &mut proof {
            Proof::ClientSecret { secret, .. } => secret.clone_from(text),
            Proof::ClientCertificate { certificate, .. } => {
                let new = ClientCertificate::from_pem(text.clone());
                *certificate = new.map_err(|error| format!("it {error}"))?;
            }
            _ => {}
        }
        Self::new(proof, &self.0.transport)
    }

    /// A token, the last one where it still serves.
    pub(super) async fn token(&self, now: OffsetDateTime) -> Result<Token, Failure> {
        // Many may wait for one answer, and none for longer.
        let token = timeout(LIMIT, self.last_or_new(now)).await;
        let token = token.unwrap_or_else(|_| Err(lost("nobody answered")));
        token.map_err(|failure| match (failure, &self.0.by) {
            (Failure::Lost { kind, reason }, Some(by)) => Failure::Lost {
                kind,
                reason: format!("{reason} (asked by {by})"),
            },
            (failure, _) => failure,
        })
    }

    async fn last_or_new(&self, now: OffsetDateTime) -> Result<Token, Failure> {
        let mut last = self.0.last.lock().await;
        if let Some(token) = last.as_ref().filter(|t| Instant::now() < t.renew_at) {
            return Ok(token.clone());
        }
        let given = self.0.credential.get_token(&[SCOPE], None).await;
        let given = given.map_err(|error| failure(&error))?;
        let life = Duration::try_from(given.expires_on - now).unwrap_or_default();
        let age = if life.is_zero() {
            tracing::warn!(
                "a token of Microsoft Entra ID is over already, by the clock here: is that right?"
            );
            AGE_BY_A_WRONG_CLOCK
        } else if life > 2 * AHEAD {
            life - AHEAD
        } else {
            life / 2
        };
        let token = Token {
            text: Secret::new(given.token.secret()),
            renew_at: Instant::now() + age.max(LEAST_AGE),
            over_at: Instant::now() + life,
        };
        *last = Some(token.clone());
        Ok(token)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.proof == other.0.proof
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.0.proof).finish()
    }
}

fn credential(
    proof: &Proof,
    transport: &Transport,
    hop: Option<&Hop>,
) -> Result<Arc<dyn TokenCredential>, String> {
    let fault = |error: azure_core::Error| describe(&error);
    Ok(match proof.clone() {
        Proof::ClientSecret {
            tenant_id,
            client_id,
            secret,
        } => {
            let options = ClientSecretCredentialOptions {
                client_options: authority::client(transport, hop)?,
            };
            let secret = AzureSecret::new(secret.reveal().to_owned());
            ClientSecretCredential::new(&tenant_id, client_id, secret, Some(options))
                .map_err(fault)?
        }
        Proof::ClientCertificate {
            tenant_id,
            client_id,
            certificate,
        } => {
            let options = ClientAssertionCredentialOptions {
                client_options: authority::client(transport, hop)?,
            };
            let assertions = Assertions {
                certificate,
                client_id: client_id.clone(),
                endpoint: authority::token_endpoint(&tenant_id)?,
            };
            ClientAssertionCredential::new(tenant_id, client_id, assertions, Some(options))
                .map_err(fault)?
        }
        Proof::WorkloadIdentity {
            tenant_id,
            client_id,
        } => {
            let credential_options = ClientAssertionCredentialOptions {
                client_options: authority::client(transport, hop)?,
            };
            let options = WorkloadIdentityCredentialOptions {
                credential_options,
                client_id,
                tenant_id,
                ..WorkloadIdentityCredentialOptions::default()
            };
            WorkloadIdentityCredential::new(Some(options)).map_err(fault)?
        }
        Proof::ManagedIdentity { client_id } => {
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: client_id.map(UserAssignedId::ClientId),
                client_options: authority::local_client()?,
            };
            ManagedIdentityCredential::new(Some(options)).map_err(fault)?
        }
        Proof::AzureCli { tenant_id } => {
            let options = AzureCliCredentialOptions {
                tenant_id,
                ..AzureCliCredentialOptions::default()
            };
            AzureCliCredential::new(Some(options)).map_err(fault)?
        }
    })
}

fn lost(reason: &str) -> Failure {
    Failure::Lost {
        kind: LossKind::Unreachable,
        reason: format!("no token from Microsoft Entra ID: {reason}"),
    }
}

/// What was refused must be corrected by somebody; everything else may pass.
fn failure(error: &azure_core::Error) -> Failure {
    if let Some(words) = refusal(&describe(error)) {
        return refused(&words);
    }
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<azure_core::Error>()
            && let ErrorKind::HttpResponse { status, .. } = error.kind()
            && matches!(u16::from(*status), 400 | 401 | 403)
        {
            return refused(&describe(error));
        }
        next = cause.source();
    }
    lost(&super::error::plain(&describe(error)))
}

fn refused(words: &str) -> Failure {
    Failure::Condition {
        condition: "amqp:unauthorized-access".to_owned(),
        description: format!("no token from Microsoft Entra ID: {words}"),
    }
}

/// The authority's own words in an error, where they say that it refuses. The library (1.0.0) cannot read an
/// answer in which there are line ends, as there always are, and shows it instead, without its status.
fn refusal(text: &str) -> Option<String> {
    let words = &text[text.find("AADSTS")?..];
    let is_passing = PASSING.iter().any(|code| words.starts_with(code));
    let end = words.find(['\\', '"']).unwrap_or(words.len());
    (!is_passing).then(|| words[..end].to_owned())
}

/// An error's words and those of its causes, on one line, without the advice behind them.
fn describe(error: &(dyn Error + 'static)) -> String {
    let mut words = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let text = text.split("To troubleshoot,").next().unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // The library repeats the words of a cause.
        if !words.iter().any(|said: &String| said.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azure_core::credentials::{AccessToken, TokenRequestOptions};

    use super::*;

    /// Gives tokens that are over in so many seconds, and counts them.
    #[derive(Debug)]
    struct Authority {
        life: i64,
        given: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl TokenCredential for Authority {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            self.given.fetch_add(1, Ordering::SeqCst);
            let end = OffsetDateTime::now_utc() + time::Duration::seconds(self.life);
            Ok(AccessToken::new("token", end))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_asks_for_tokens_all_the_time_because_the_clock_is_wrong() {
        for (life, expected) in [(3_600, 1), (-7_200, 2)] {
            let authority = Arc::new(Authority {
                life,
                given: AtomicUsize::new(0),
            });
            let identity = Identity(Arc::new(Shared {
                proof: Proof::AzureCli { tenant_id: None },
                transport: Transport::default(),
                by: None,
                credential: Arc::<Authority>::clone(&authority),
                last: Mutex::default(),
            }));
            for _ in 0..305 {
                identity.token(OffsetDateTime::now_utc()).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert_eq!(authority.given.load(Ordering::SeqCst), expected, "{life}");
        }
    }

    #[test]
    fn what_the_authority_says_is_found_in_what_the_library_shows() {
        let shown = |words: &str| {
            format!(
                "failed. invalid type: string \"{words}\\r\\nTrace ID: 1\", expected a borrowed string"
            )
        };
        let refused = "AADSTS7000215: Invalid client secret provided.";
        assert_eq!(refusal(&shown(refused)).as_deref(), Some(refused));
        assert_eq!(refusal(refused).as_deref(), Some(refused));
        assert_eq!(refusal(&shown("AADSTS90033: A transient error.")), None);
        assert_eq!(refusal("connection refused"), None);
    }
}
