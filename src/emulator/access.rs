//! What a connection may do: the tokens it has put, or the key it has shown.

use super::address::Audience;
use super::jwt;
use super::sas::{SharedKey, TokenError};

/// How many tokens a connection keeps; the oldest gives way.
const MAX_TOKENS: usize = 1024;

/// The rights of one connection. The one key of the hub has all claims: Listen, Send and Manage.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// Showed the key itself by SASL PLAIN.
    has_key: bool,
    grants: Vec<Grant>,
}

#[derive(Debug)]
struct Grant {
    audience: Audience,
    /// Milliseconds since 1970.
    expires: i64,
}

impl Access {
    pub(crate) fn of_key_holder() -> Self {
        Self {
            has_key: true,
            grants: Vec::new(),
        }
    }

    /// Takes a token for the audience `name`, in place of the one it had for it.
    pub(crate) fn put_token(
        &mut self,
        key: &SharedKey,
        kind: &str,
        name: &str,
        token: &str,
        now: i64,
    ) -> Result<(), TokenError> {
        if kind.eq_ignore_ascii_case("jwt") {
            return Err(TokenError::Unsupported);
        }
        let verified = key.verify(token, now)?;
        let audience = Audience::parse(name);
        if !verified.audience.covers(&audience) {
            return Err(TokenError::InvalidAudience);
        }
        self.grant(audience, verified.expires);
        Ok(())
    }

    /// The same for a token of Microsoft Entra ID, which names no hub.
    pub(crate) fn put_jwt(&mut self, name: &str, token: &str, now: i64) -> Result<(), TokenError> {
        let expires = jwt::verify(token, now)?;
        self.grant(Audience::parse(name), expires);
        Ok(())
    }

    fn grant(&mut self, audience: Audience, expires: i64) {
        self.grants.retain(|grant| grant.audience != audience);
        if self.grants.len() == MAX_TOKENS {
            self.grants.remove(0);
        }
        self.grants.push(Grant { audience, expires });
    }

    /// True when links to `path` are allowed.
    pub(crate) fn covers(&self, path: &str, now: i64) -> bool {
        self.has_key || self.valid(now).any(|audience| audience.covers_path(path))
    }

    /// True when it has shown anything at all.
    pub(crate) fn is_known(&self, now: i64) -> bool {
        self.has_key || self.valid(now).next().is_some()
    }

    /// True when it may ask about `hub`.
    pub(crate) fn concerns(&self, hub: &str, now: i64) -> bool {
        self.has_key || self.valid(now).any(|audience| audience.concerns(hub))
    }

    /// When the next token ends, in milliseconds since 1970.
    pub(crate) fn next_expiry(&self) -> Option<i64> {
        self.grants.iter().map(|grant| grant.expires).min()
    }

    /// Forgets the tokens that have ended; true where there were some.
    pub(crate) fn expire(&mut self, now: i64) -> bool {
        let before = self.grants.len();
        self.grants.retain(|grant| grant.expires > now);
        self.grants.len() < before
    }

    fn valid(&self, now: i64) -> impl Iterator<Item = &Audience> {
        self.grants
            .iter()
            .filter(move |grant| grant.expires > now)
            .map(|grant| &grant.audience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "SharedAccessSignature sr=sb%3A%2F%2Flocalhost%2Feh1\
        &sig=bXwnzzxeV2PFlM%2BGaXaWproC2URqPYHFIhvxuIqXTAA%3D&se=1700000000&skn=RootManageSharedAccessKey";
    const END: i64 = 1_700_000_000_000;

    fn put(access: &mut Access, kind: &str, name: &str) -> Result<(), TokenError> {
        let key = SharedKey {
            name: "RootManageSharedAccessKey".to_owned(),
            key: "SAS_KEY_VALUE".to_owned(),
        };
        access.put_token(&key, kind, name, TOKEN, 0)
    }

    #[test]
    fn a_token_opens_what_it_was_put_for() {
        let mut access = Access::default();
        assert_eq!(put(&mut access, "", "amqps://localhost:5671/EH1/"), Ok(()));
        assert!(access.covers("eh1", 0));
        assert!(access.covers("Eh1/ConsumerGroups/$Default/Partitions/0", 0));
        assert!(access.concerns("eh1", 0));
        assert!(!access.covers("eh2", 0));
        assert!(!access.concerns("eh2", 0));
    }

    #[test]
    fn a_token_for_a_partition_opens_that_partition_and_asks_about_the_hub() {
        let mut access = Access::default();
        put(&mut access, "", "sb://localhost/eh1/Partitions/0").unwrap();
        assert!(access.covers("eh1/Partitions/0", 0));
        assert!(!access.covers("eh1", 0));
        assert!(access.concerns("eh1", 0));
    }

    #[test]
    fn another_audience_or_kind_is_refused() {
        let mut access = Access::default();
        assert_eq!(
            put(&mut access, "", "sb://localhost/eh2"),
            Err(TokenError::InvalidAudience)
        );
        assert_eq!(
            put(&mut access, "jwt", "sb://localhost/eh1"),
            Err(TokenError::Unsupported)
        );
        assert!(!access.covers("eh1", 0));
    }

    #[test]
    fn rights_end_with_their_token() {
        let mut access = Access::default();
        put(&mut access, "", "sb://localhost/eh1").unwrap();
        put(&mut access, "", "sb://localhost/eh1").unwrap();
        assert_eq!(access.next_expiry(), Some(END));
        assert_eq!(access.grants.len(), 1);
        assert!(access.covers("eh1", END - 1));
        assert!(!access.covers("eh1", END));
        assert!(!access.expire(END - 1));
        assert!(access.expire(END));
        assert_eq!(access.next_expiry(), None);
    }

    #[test]
    fn the_key_itself_opens_everything() {
        assert!(Access::of_key_holder().covers("anything", i64::MAX));
    }
}
