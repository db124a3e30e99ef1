//! Shared access signatures: `SharedAccessSignature sr=...&sig=...&se=...&skn=...`.
//!
//! Source: "Authenticate access to Event Hubs resources using shared access signatures"
//! (learn.microsoft.com/azure/event-hubs/authenticate-shared-access-signature). The signature is over
//! `sr` as it was received: clients escape in upper or lower case, so decoding and encoding it again
//! would change it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use sha2::Sha256;

use super::address::Audience;

/// The rule that tokens are signed with: its name and its key.
#[derive(Clone)]
pub(crate) struct SharedKey {
    pub(crate) name: String,
    pub(crate) key: String,
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A token whose signature holds and whose time has not come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// What it was issued for.
    pub(crate) audience: Audience,
    /// When it ends, in milliseconds since 1970.
    pub(crate) expires: i64,
}

/// Why a token is refused, in the service's words. All of them answer with status 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("MalformedToken: The token is no shared access signature with sr, sig, se and skn.")]
    Malformed,
    #[error("InvalidSignature: The token has an invalid signature.")]
    InvalidSignature,
    #[error("ExpiredToken: The token is expired.")]
    Expired,
    #[error("InvalidAudience: The token was issued for another audience.")]
    InvalidAudience,
    #[error("UnsupportedToken: This hub takes shared access signatures only, no Entra ID tokens.")]
    Unsupported,
}

impl SharedKey {
    /// Checks a token's signature and end. `now` in milliseconds since 1970.
    pub(crate) fn verify(&self, token: &str, now: i64) -> Result<Verified, TokenError> {
        let fields = Fields::parse(token).ok_or(TokenError::Malformed)?;
        let expires = fields
            .expires
            .parse::<i64>()
            .ok()
            .and_then(|end| end.checked_mul(1000));
        let expires = expires.ok_or(TokenError::Malformed)?;
        let resource = decoded(fields.resource).ok_or(TokenError::Malformed)?;
        if !self.signed(&fields) {
            return Err(TokenError::InvalidSignature);
        }
        if expires <= now {
            return Err(TokenError::Expired);
        }
        Ok(Verified {
            audience: Audience::parse(&resource),
            expires,
        })
    }

    /// True when name and key of a SASL PLAIN response are this rule's.
    pub(crate) fn matches(&self, name: &[u8], key: &[u8]) -> bool {
        let same = name == self.name.as_bytes();
        same & (self.digest(key) == self.digest(self.key.as_bytes()))
    }

    fn signed(&self, fields: &Fields<'_>) -> bool {
        // The Python SDK escapes the name twice when it has special characters.
        let name = decoded(fields.key_name).map(|once| (decoded(&once), once));
        let named = name
            .is_some_and(|(twice, once)| once == self.name || twice.as_ref() == Some(&self.name));
        let signature =
            decoded(fields.signature).and_then(|text| STANDARD.decode(text.replace(' ', "+")).ok());
        let (true, Some(signature)) = (named, signature) else {
            return false;
        };
        let mut mac = self.mac();
        mac.update(fields.resource.as_bytes());
        mac.update(b"\n");
        mac.update(fields.expires.as_bytes());
        mac.verify_slice(&signature).is_ok()
    }

    /// Digests compare in a time that tells nothing about the key.
    fn digest(&self, text: &[u8]) -> Vec<u8> {
        self.mac()
            .chain_update(text)
            .finalize()
            .into_bytes()
            .to_vec()
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(self.key.as_bytes()).expect("HMAC takes keys of any length")
    }
}

/// The four fields as they were received, still escaped.
struct Fields<'a> {
    resource: &'a str,
    signature: &'a str,
    expires: &'a str,
    key_name: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(token: &'a str) -> Option<Self> {
        let list = token.strip_prefix("SharedAccessSignature ")?;
        let field = |name: &str| {
            list.split('&')
                .filter_map(|part| part.split_once('='))
                .find_map(|(key, value)| (key == name).then_some(value))
        };
        Some(Self {
            resource: field("sr")?,
            signature: field("sig")?,
            expires: field("se")?,
            key_name: field("skn")?,
        })
    }
}

fn decoded(escaped: &str) -> Option<String> {
    // `quote_plus` of Python writes a space as a plus sign.
    let spaced = escaped.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPPER: &str = "SharedAccessSignature sr=sb%3A%2F%2Flocalhost%2Feh1\
        &sig=bXwnzzxeV2PFlM%2BGaXaWproC2URqPYHFIhvxuIqXTAA%3D&se=1700000000&skn=RootManageSharedAccessKey";
    const LOWER: &str = "SharedAccessSignature sr=sb%3a%2f%2flocalhost%2feh1\
        &sig=My%2b6S%2f1Xe0Cb5DFsiLvDnpdkC3xvNXzYFb8uDQ8CeLA%3d&se=1700000000&skn=RootManageSharedAccessKey";

    fn key() -> SharedKey {
        SharedKey {
            name: "RootManageSharedAccessKey".to_owned(),
            key: "SAS_KEY_VALUE".to_owned(),
        }
    }

    fn check(token: &str, expected: Result<(), TokenError>) {
        let now = 1_699_999_999_000;
        assert_eq!(key().verify(token, now).map(|_| ()), expected, "{token}");
    }

    #[test]
    fn tokens_of_either_case_of_escapes_are_good() {
        check(UPPER, Ok(()));
        check(LOWER, Ok(()));
        let verified = key().verify(UPPER, 0).unwrap();
        assert_eq!(verified.audience, Audience::parse("sb://localhost/eh1"));
        assert_eq!(verified.expires, 1_700_000_000_000);
    }

    #[test]
    fn fields_come_in_any_order() {
        let (_, fields) = UPPER.split_once(' ').unwrap();
        let reversed: Vec<_> = fields.split('&').rev().collect();
        check(
            &format!("SharedAccessSignature {}", reversed.join("&")),
            Ok(()),
        );
    }

    #[test]
    fn a_token_ends_with_its_second() {
        assert_eq!(
            key().verify(UPPER, 1_700_000_000_000),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn a_changed_field_breaks_the_signature() {
        for (from, to) in [
            ("eh1", "eh2"),
            ("bXwn", "bXwm"),
            ("se=17", "se=18"),
            ("skn=Root", "skn=Toor"),
        ] {
            check(&UPPER.replace(from, to), Err(TokenError::InvalidSignature));
        }
        check(
            &UPPER.replace("eh1", "EH1"),
            Err(TokenError::InvalidSignature),
        );
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        check("", Err(TokenError::Malformed));
        check("eyJhbGciOi", Err(TokenError::Malformed));
        check(
            &UPPER.replace("&se=1700000000", ""),
            Err(TokenError::Malformed),
        );
        check(
            &UPPER.replace("1700000000", "soon"),
            Err(TokenError::Malformed),
        );
        check(
            &UPPER.replace("1700000000", "9223372036854775807"),
            Err(TokenError::Malformed),
        );
    }

    #[test]
    fn a_name_escaped_twice_is_the_same_name() {
        let key = SharedKey {
            name: "a b".to_owned(),
            key: "SAS_KEY_VALUE".to_owned(),
        };
        for name in ["a%20b", "a%2520b", "a%2Bb"] {
            let token = UPPER.replace("RootManageSharedAccessKey", name);
            assert!(key.verify(&token, 0).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_key_is_not_printed() {
        assert!(!format!("{:?}", key()).contains("SAS_KEY_VALUE"));
    }
}
