//! The claim that opens a hub: made at `$cbs`, and made again before it is over or when the secret has
//! changed. Every engine asks as this says; none has a clock of its own for it.
//!
//! Source: claims-based security as the AMQP protocol guide for Azure Event Hubs describes it.

use std::future::Future;
use std::time::Duration;

use fe2o3_amqp::types::primitives::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, sleep_until};

use super::connection_string::{ConnectionString, Credential};
use super::current::LOOK;
use super::error;
use super::sas;
use super::seam::Failure;
use super::trail::{Step, Trail};
use crate::secret::Secret;

/// The node that takes claims.
pub(super) const NODE: &str = "$cbs";
/// How long a token of our own signing is good for.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// How old it may get before it is renewed.
pub(super) const TOKEN_AGE: Duration = Duration::from_secs(2700);
/// How long to leave the service alone when it has refused a new secret and the old token is still good.
const REFUSED_DELAY: Duration = Duration::from_secs(30);

/// A pair of links to `$cbs`, as an engine has it.
pub(super) trait Cbs: Send {
    /// Asks, and waits for the answer, which must be favourable.
    fn ask(
        &mut self,
        properties: &[(&str, &str)],
        body: Value,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Lets the peer hear that we are there, where the engine does not do so by itself.
    fn heartbeat(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What is claimed, and by what right.
#[derive(Debug)]
pub(super) struct Claim {
    target: ConnectionString,
    event_hub: String,
    audience: String,
    /// A token that was not put yet.
    token: Option<Token>,
    /// Which credential the token that was put came of.
    version: u64,
    renew_at: Option<Instant>,
    over_at: Option<Instant>,
    /// A new credential of which no token could be put yet, and when to try it again.
    put_off: Option<(u64, Instant)>,
    /// The new credential that was told to be refused.
    told: Option<u64>,
}

/// A token, and how long it serves.
#[derive(Debug)]
struct Token {
    kind: &'static str,
    text: Secret,
    /// When to use another one; none where nobody can make one.
    renew_at: Option<Instant>,
    over_at: Option<Instant>,
    version: u64,
}

impl Claim {
    /// The claim to a hub and all below it, with a token, but not made yet.
    ///
    /// # Errors
    /// When there is no token to be had, or it is known to be over.
    pub(super) async fn prepare(
        target: &ConnectionString,
        event_hub: &str,
        trail: &mut Trail<'_>,
    ) -> Result<Self, Failure> {
        trail.begin(Step::Credential);
        target.current().look_at_opening(target, event_hub).await;
        let mut claim = Self::without_token(target, event_hub);
        trail.note(|| claim.credential());
        claim.token = Some(claim.new_token(OffsetDateTime::now_utc()).await?);
        Ok(claim)
    }

    fn without_token(target: &ConnectionString, event_hub: &str) -> Self {
        Self {
            audience: format!("sb://{}/{event_hub}", target.namespace()),
            target: target.clone(),
            event_hub: event_hub.to_owned(),
            token: None,
            version: 0,
            renew_at: None,
            over_at: None,
            put_off: None,
            told: None,
        }
    }

    /// What it is made by, without a secret.
    fn credential(&self) -> String {
        match self.target.current().credential().0 {
            Credential::SharedAccessKey { name, .. } => format!("a key of the policy {name}"),
            Credential::SharedAccessSignature(token) => {
                let end = sas::expiry(&token).and_then(|end| end.format(&Rfc3339).ok());
                let end = end.unwrap_or_else(|| "an unknown time".to_owned());
                format!("a given SharedAccessSignature, good until {end}")
            }
            Credential::Entra(identity) => {
                format!("{} of Microsoft Entra ID", identity.kind())
            }
        }
    }

    /// Makes the claim.
    pub(super) async fn make(&mut self, cbs: &mut impl Cbs) -> Result<(), Failure> {
        let token = match self.token.take() {
            Some(token) => token,
            None => self.new_token(OffsetDateTime::now_utc()).await?,
        };
        let properties = [
            ("operation", "put-token"),
            ("type", token.kind),
            ("name", self.audience.as_str()),
        ];
        let body = Value::String(token.text.reveal().to_owned());
        let put = cbs.ask(&properties, body).await;
        put.map_err(|failure| explain(failure, &token))?;
        self.version = token.version;
        self.renew_at = token.renew_at;
        self.over_at = token.over_at;
        self.put_off = None;
        self.told = None;
        Ok(())
    }

    /// Keeps the claim fresh, and the connection alive with a heartbeat at least every `beat`, until
    /// something fails.
    pub(super) async fn keep(mut self, mut cbs: impl Cbs, beat: Option<Duration>) -> Failure {
        let mut beat_at = beat.map(|beat| Instant::now() + beat);
        loop {
            let look_at = self.target.current().is_watched();
            let look_at = look_at.then(|| Instant::now() + LOOK);
            let due = [beat_at, look_at, self.renew_at];
            match due.into_iter().flatten().min() {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
            let beats = beat_at.is_some_and(|at| Instant::now() >= at);
            if let Err(failure) = self.turn(&mut cbs, beats).await {
                return failure;
            }
            if beats {
                beat_at = beat.map(|beat| Instant::now() + beat);
            }
        }
    }

    /// Does what is to be done by now.
    async fn turn(&mut self, cbs: &mut impl Cbs, beats: bool) -> Result<(), Failure> {
        let current = self.target.current();
        current.look(&self.target, &self.event_hub).await;
        let now = Instant::now();
        let version = self.target.current().version();
        if self.renew_at.is_some_and(|at| now >= at) {
            self.renew(cbs).await?;
        } else if version != self.version && self.may_try(version, now) {
            self.try_new_secret(cbs, version).await?;
        } else if beats {
            cbs.heartbeat().await?;
        }
        Ok(())
    }

    /// Makes the claim again. Whoever gives tokens may be away for a moment: there is time until this one is
    /// over.
    async fn renew(&mut self, cbs: &mut impl Cbs) -> Result<(), Failure> {
        match self.new_token(OffsetDateTime::now_utc()).await {
            Ok(token) => self.token = Some(token),
            Err(failure) => {
                let again = Instant::now() + REFUSED_DELAY;
                if self.over_at.is_none_or(|over| again >= over) {
                    return Err(failure);
                }
                tracing::debug!(audience = self.audience, ?failure, "no new token yet");
                self.renew_at = Some(again);
                return Ok(());
            }
        }
        self.make(cbs).await?;
        tracing::debug!(audience = self.audience, "token renewed");
        Ok(())
    }

    fn may_try(&self, version: u64, now: Instant) -> bool {
        self.put_off
            .is_none_or(|(put_off, again)| put_off != version || now >= again)
    }

    /// Puts a token of the new secret in the place of the old one, over the same links. Where the service
    /// refuses it, the old one is as good as before: a key may take a moment to become known. So it is where whoever
    /// gives tokens is away.
    async fn try_new_secret(&mut self, cbs: &mut impl Cbs, version: u64) -> Result<(), Failure> {
        let put = match self.new_token(OffsetDateTime::now_utc()).await {
            Ok(token) => {
                self.token = Some(token);
                self.make(cbs).await
            }
            Err(failure @ Failure::Lost { .. }) => {
                tracing::debug!(
                    audience = self.audience,
                    ?failure,
                    "no token of the new secret yet"
                );
                self.put_off = Some((version, Instant::now() + REFUSED_DELAY));
                return Ok(());
            }
            Err(failure) => Err(failure),
        };
        match put {
            Ok(()) => {
                tracing::debug!(audience = self.audience, "token of the new secret put");
                Ok(())
            }
            Err(Failure::Condition { description, .. } | Failure::Answer { description, .. }) => {
                if self.told != Some(version) {
                    tracing::warn!(
                        "the new secret of event hub {:?} is refused: {}; the old token serves until it is over",
                        self.event_hub,
                        error::plain(&description)
                    );
                }
                self.told = Some(version);
                self.put_off = Some((version, Instant::now() + REFUSED_DELAY));
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    async fn new_token(&self, now: OffsetDateTime) -> Result<Token, Failure> {
        let (credential, version) = self.target.current().credential();
        let signed = |text, age: Option<Duration>| Token {
            kind: "servicebus.windows.net:sastoken",
            text,
            renew_at: age.map(|age| Instant::now() + age),
            over_at: None,
            version,
        };
        Ok(match credential {
            Credential::SharedAccessKey { name, key } => {
                let expiry = now.unix_timestamp() + TOKEN_LIFE.as_secs() as i64;
                let text = sas::sign(&self.audience, &name, &key, expiry);
                signed(text, Some(TOKEN_AGE))
            }
            Credential::SharedAccessSignature(text) => {
                if let Some(expiry) = sas::expiry(&text).filter(|expiry| *expiry <= now) {
                    return Err(expired(expiry));
                }
                signed(text, None)
            }
            Credential::Entra(identity) => {
                let token = identity.token(now).await?;
                Token {
                    kind: "jwt",
                    text: token.text,
                    renew_at: Some(token.renew_at),
                    over_at: Some(token.over_at),
                    version,
                }
            }
        })
    }
}

/// The service would say no more than this, and later.
fn expired(expiry: OffsetDateTime) -> Failure {
    let expiry = expiry.format(&Rfc3339).unwrap_or_default();
    Failure::Condition {
        condition: "amqp:unauthorized-access".to_owned(),
        description: format!("the given SharedAccessSignature expired {expiry}"),
    }
}

/// Says of a token that we did not sign when it expires, for that is its usual fault.
fn explain(failure: Failure, token: &Token) -> Failure {
    match failure {
        Failure::Answer {
            condition,
            description,
        } if token.renew_at.is_none() => {
            let expiry = sas::expiry(&token.text).and_then(|time| time.format(&Rfc3339).ok());
            let expiry = expiry.unwrap_or_else(|| "at an unknown time".to_owned());
            let description =
                format!("the given SharedAccessSignature expires {expiry}; {description}");
            Failure::Answer {
                condition,
                description,
            }
        }
        failure => failure,
    }
}

#[cfg(test)]
mod tests;
