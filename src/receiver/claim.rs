//! The claim that opens a hub: what is asked of `$cbs`, and how often.
//!
//! Source: claims-based security as the AMQP protocol guide for Azure Event Hubs describes it.

use std::time::Duration;

use fe2o3_amqp::types::primitives::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::connection_string::{ConnectionString, Credential};
use super::sas;
use super::seam::Failure;
use crate::secret::Secret;

/// The node that takes claims.
pub(super) const NODE: &str = "$cbs";
/// How long a token is good for.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// How old a token may get before it is renewed.
pub(super) const TOKEN_AGE: Duration = Duration::from_secs(2700);

/// What is claimed, and by what right.
#[derive(Debug)]
pub(super) struct Claim {
    credential: Credential,
    audience: String,
}

impl Claim {
    /// The claim to a hub and all below it.
    pub(super) fn new(target: &ConnectionString, event_hub: &str) -> Self {
        Self {
            credential: target.credential().clone(),
            audience: format!("sb://{}/{event_hub}", target.namespace()),
        }
    }

    /// What is claimed: a URL.
    pub(super) fn audience(&self) -> &str {
        &self.audience
    }

    /// The properties and the body of the question that makes the claim `now`.
    pub(super) fn question(&self, now: OffsetDateTime) -> ([(&str, &str); 3], Value) {
        let properties = [
            ("operation", "put-token"),
            ("type", "servicebus.windows.net:sastoken"),
            ("name", self.audience.as_str()),
        ];
        let token = self.token(now).reveal().to_owned();
        (properties, Value::String(token))
    }

    fn token(&self, now: OffsetDateTime) -> Secret {
        match &self.credential {
            Credential::SharedAccessKey { name, key } => {
                let expiry = now.unix_timestamp() + TOKEN_LIFE.as_secs() as i64;
                sas::sign(&self.audience, name, key, expiry)
            }
            Credential::SharedAccessSignature(token) => token.clone(),
        }
    }

    /// Says of a token that we did not sign when it expires, for that is its usual fault.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        match (failure, &self.credential) {
            (
                Failure::Condition {
                    condition,
                    description,
                },
                Credential::SharedAccessSignature(token),
            ) => {
                let expiry = sas::expiry(token).and_then(|time| time.format(&Rfc3339).ok());
                let expiry = expiry.unwrap_or_else(|| "at an unknown time".to_owned());
                let description =
                    format!("the given SharedAccessSignature expires {expiry}; {description}");
                Failure::Condition {
                    condition,
                    description,
                }
            }
            (failure, _) => failure,
        }
    }

    /// True when it can be made anew before it is over.
    pub(super) fn is_renewable(&self) -> bool {
        matches!(self.credential, Credential::SharedAccessKey { .. })
    }
}
