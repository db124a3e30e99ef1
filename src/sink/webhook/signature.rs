//! The signature of a request, as Standard Webhooks has it: HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
//!
//! Source: Standard Webhooks, "Signature scheme" and "Webhook headers". The body that is signed is the
//! one before `gzip`: servers and frameworks inflate requests before the receiver's code sees them, and
//! the libraries of the specification verify text.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;
use crate::settings::{Mistake, Settings};

/// Signs with one secret, or with two while one replaces the other.
#[derive(Clone)]
pub(super) struct Signer {
    /// With their keys, and nothing else taken in yet.
    macs: Vec<Hmac<Sha256>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} secrets)", self.macs.len())
    }
}

/// What a secret begins with; base64 follows.
const PREFIX: &str = "whsec_";

impl Signer {
    /// Reads the table `signature` of a sink: `secret` and `previous_secret`, each of which may be in a file.
    pub(super) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let given = settings.given("secret", "secret_file");
        let secret = settings.required_secret("secret", "secret_file");
        let given_previous = settings.given("previous_secret", "previous_secret_file");
        let previous = settings.secret("previous_secret", "previous_secret_file");
        let mut macs = Vec::new();
        for (key, secret) in [(given, secret), (given_previous, previous)] {
            match secret.as_ref().map(mac) {
                Some(Ok(mac)) => macs.push(mac),
                Some(Err(reason)) => settings.mistake(key, reason),
                None => {}
            }
        }
        (Self { macs }, settings.finish())
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let timestamp = timestamp.to_string();
        let signatures = self.macs.iter().map(|mac| {
            let mut mac = mac.clone();
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn mac(secret: &Secret) -> Result<Hmac<Sha256>, &'static str> {
    let encoded = secret.reveal().trim().strip_prefix(PREFIX);
    let key = encoded.and_then(|text| BASE64_STANDARD.decode(text).ok());
    let key = key.ok_or("must be \"whsec_\" and base64 behind it")?;
    if !(24..=64).contains(&key.len()) {
        return Err(
            "must stand for 24 to 64 bytes; make one with: echo whsec_$(openssl rand -base64 32)",
        );
    }
    Hmac::new_from_slice(&key).map_err(|_| "cannot be used as a key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(secrets: &[&str]) -> Signer {
        let macs = secrets.iter().map(|secret| mac(&(*secret).into()).unwrap());
        Signer {
            macs: macs.collect(),
        }
    }

    /// The secret and message are those that the libraries of the specification test with; the
    /// signatures were made with Python's `hmac`.
    #[test]
    fn a_signature_is_that_of_other_implementations() {
        let old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let new = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let by_old = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let by_new = "v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI=";
        for (secrets, expected) in [
            (vec![old], by_old.to_owned()),
            (vec![new], by_new.to_owned()),
            (vec![new, old], format!("{by_new} {by_old}")),
        ] {
            let signed = signer(&secrets).sign(id, timestamp, br#"{"test": 2432232314}"#);
            assert_eq!(signed, expected);
        }
    }

    #[test]
    fn a_secret_that_cannot_sign_is_told() {
        let form = "must be \"whsec_\" and base64 behind it";
        let size =
            "must stand for 24 to 64 bytes; make one with: echo whsec_$(openssl rand -base64 32)";
        for (secret, expected) in [
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None),
            (&format!("whsec_{}", BASE64_STANDARD.encode([7; 64])), None),
            (
                &format!("whsec_{}", BASE64_STANDARD.encode([7; 65])),
                Some(size),
            ),
            (
                &format!("whsec_{}", BASE64_STANDARD.encode([7; 23])),
                Some(size),
            ),
            ("whsec_", Some(size)),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Some(form)),
            ("whsec_hunter2!", Some(form)),
        ] {
            assert_eq!(mac(&secret.into()).err(), expected, "{secret}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let signer = signer(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
        assert_eq!(format!("{signer:?}"), "Signer(1 secrets)");
    }
}
