//! Tokens of Microsoft Entra ID, as far as a hub in a box can check them: whom they are for, and when they
//! end. Nobody's signature is looked at.
//!
//! Source: RFC 7519, and "Authenticate an application with Microsoft Entra ID to access Event Hubs resources"
//! (learn.microsoft.com).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::sas::TokenError;

/// Whom a token must be for, with or without a slash at its end.
const AUDIENCE: &str = "https://eventhubs.azure.net";

/// When a token ends. Times in milliseconds since 1970.
pub(crate) fn verify(token: &str, now: i64) -> Result<i64, TokenError> {
    let claims = token.split('.').nth(1).ok_or(TokenError::Malformed)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok();
    let claims: Option<serde_json::Value> =
        claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    let claims = claims.ok_or(TokenError::Malformed)?;
    let expires = claims["exp"].as_i64().and_then(|end| end.checked_mul(1000));
    let expires = expires.ok_or(TokenError::Malformed)?;
    if claims["aud"].as_str().map(|aud| aud.trim_end_matches('/')) != Some(AUDIENCE) {
        return Err(TokenError::InvalidAudience);
    }
    if expires <= now {
        return Err(TokenError::Expired);
    }
    Ok(expires)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claims: &str, expected: Result<i64, TokenError>) {
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(verify(&token, 1_000_000), expected, "{claims}");
    }

    #[test]
    fn a_token_is_for_event_hubs_and_ends_later() {
        for audience in [
            "https://eventhubs.azure.net",
            "https://eventhubs.azure.net/",
        ] {
            let claims = format!("{{\"aud\":\"{audience}\",\"exp\":1001}}");
            check(&claims, Ok(1_001_000));
        }
        check(
            r#"{"aud":"https://eventhubs.azure.net/","exp":1000}"#,
            Err(TokenError::Expired),
        );
        check(
            r#"{"aud":"https://vault.azure.net","exp":1001}"#,
            Err(TokenError::InvalidAudience),
        );
        for claims in [r#"{"aud":"https://eventhubs.azure.net"}"#, "{}", "[]", "x"] {
            check(claims, Err(TokenError::Malformed));
        }
        assert_eq!(verify("", 0), Err(TokenError::Malformed));
    }
}
