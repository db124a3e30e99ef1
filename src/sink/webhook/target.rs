//! Where requests go: the key `url`, of which nothing but host and port is ever shown.
//!
//! Many services put a key into the path or the query of the URLs that they hand out.

use std::fmt;

use reqwest::Url;

use crate::secret::{self, Secret};
use crate::settings::Settings;

/// A URL that shows only its host and port.
#[derive(Clone)]
pub(super) struct Target {
    url: Url,
    name: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The host, and the port where it is not the usual one.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Target {
    /// Reads the keys `url` and `url_file`.
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let key = settings.given("url", "url_file");
        let text = settings.required_secret("url", "url_file")?;
        match Self::parse(&text) {
            Ok(target) => {
                settings.mask("url", target.masked());
                Some(target)
            }
            Err(reason) => {
                settings.mistake(key, reason);
                None
            }
        }
    }

    fn parse(text: &Secret) -> Result<Self, String> {
        let url = parse(text, &["http", "https"])?;
        if has_credentials(&url) {
            return Err("has a user or a password in it; give them in the table auth".to_owned());
        }
        if url.fragment().is_some() {
            return Err("has a fragment (#), which no server ever sees".to_owned());
        }
        let name = name(&url);
        Ok(Self { url, name })
    }

    /// The URL with `***` for all that is behind the host, where there is something.
    fn masked(&self) -> String {
        let scheme = self.url.scheme();
        let is_bare = self.url.path() == "/" && self.url.query().is_none();
        let rest = if is_bare { "" } else { "***" };
        format!("{scheme}://{}/{rest}", self.name)
    }

    /// The URL itself, for the request.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Adds a parameter to the query.
    ///
    /// # Errors
    /// When there is one of that name already.
    pub(super) fn add_parameter(&mut self, name: &str, value: &Secret) -> Result<(), &'static str> {
        if self.url.query_pairs().any(|(known, _)| known == name) {
            return Err("names a parameter that the url has already");
        }
        self.url.query_pairs_mut().append_pair(name, value.reveal());
        Ok(())
    }

    /// True when requests are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// True when requests do not leave this machine.
    pub(super) fn is_local(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse();
        host == "localhost" || address.is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }

    /// Where a `Location` header points to: the host alone, for the rest may be a secret.
    pub(super) fn host_of(&self, location: &str) -> Option<String> {
        let there = self.url.join(location).ok()?;
        there.host_str()?;
        // No name is longer than that.
        Some(name(&there).chars().take(260).collect())
    }
}

/// The key `proxy`, or the file that `proxy_file` names: an `http://` URL, with a user and a password in it or
/// beside it where the proxy wants them.
pub(super) fn read_proxy(settings: &mut Settings) -> Option<Secret> {
    let key = settings.given("proxy", "proxy_file");
    let is_given = settings.has(key);
    let text = settings.secret("proxy", "proxy_file");
    let user = settings.proxy_user();
    let Some(text) = text else {
        if user.is_some() && !is_given {
            settings.mistake(
                "proxy_user",
                "is of no use without the http:// proxy it is for",
            );
        }
        return None;
    };
    settings.mask("proxy", secret::without_user(text.reveal()));
    let mut url = match parse(&text, &["http"]) {
        Ok(url) => url,
        Err(reason) => {
            settings.mistake(key, reason);
            return None;
        }
    };
    if let Some((user, password)) = user {
        if has_credentials(&url) {
            settings.mistake(
                "proxy_user",
                "is given twice: here and in the URL of the proxy",
            );
            return None;
        }
        if user.contains(|c: char| c == ':' || c.is_control()) {
            let reason = "must not have a colon or a control character in it";
            settings.mistake("proxy_user", reason);
            return None;
        }
        // A URL of http always has room for them.
        let has_room = url.set_username(&user).is_ok();
        if !has_room || url.set_password(Some(password.reveal())).is_err() {
            settings.mistake(key, "has no room for a user");
            return None;
        }
    }
    Some(Secret::new(url.as_str()))
}

fn parse(text: &Secret, schemes: &[&str]) -> Result<Url, String> {
    let url = Url::parse(text.reveal().trim());
    let url = url.map_err(|error| format!("is no URL: {error}"))?;
    if !schemes.contains(&url.scheme()) {
        return Err(format!("must begin with {}://", schemes.join(":// or ")));
    }
    Ok(url)
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::parse(&url.into()).unwrap()
    }

    #[test]
    fn only_host_and_port_are_shown() {
        for (url, shown) in [
            (
                "https://hooks.example.com/in/hunter2?code=hunter2",
                "hooks.example.com",
            ),
            ("https://hooks.example.com:443/", "hooks.example.com"),
            ("http://127.0.0.1:8080/hunter2", "127.0.0.1:8080"),
            ("http://[::1]:8080/hunter2", "[::1]:8080"),
            ("https://BÜCHER.example/", "xn--bcher-kva.example"),
        ] {
            let target = target(url);
            assert_eq!(format!("{target} {target:?}"), format!("{shown} {shown}"));
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_told() {
        for (url, expected) in [
            (
                "hooks.example.com",
                "is no URL: relative URL without a base",
            ),
            ("ftp://example.com", "must begin with http:// or https://"),
            ("https://", "is no URL: empty host"),
            (
                "https://user:hunter2@example.com",
                "has a user or a password in it; give them in the table auth",
            ),
            (
                "https://example.com/#hunter2",
                "has a fragment (#), which no server ever sees",
            ),
        ] {
            assert_eq!(Target::parse(&url.into()).unwrap_err(), expected, "{url}");
        }
    }

    #[test]
    fn a_parameter_is_added_behind_those_there_are() {
        let mut target = target("https://example.com/in?a=1%202");
        target.add_parameter("code", &"a b&c=/+".into()).unwrap();
        assert_eq!(target.url().query(), Some("a=1%202&code=a+b%26c%3D%2F%2B"));
        assert!(target.add_parameter("a", &"2".into()).is_err());
    }

    #[test]
    fn of_a_location_only_the_host_is_told() {
        let target = target("https://example.com/in");
        for (location, expected) in [
            (
                "https://other.example/x?code=hunter2",
                Some("other.example"),
            ),
            ("/login?hunter2", Some("example.com")),
            ("//other.example:8443/x", Some("other.example:8443")),
            ("https://", None),
            ("data:hunter2", None),
        ] {
            assert_eq!(target.host_of(location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn what_stays_on_this_machine_is_local() {
        for (url, expected) in [
            ("http://localhost:1/", true),
            ("http://127.0.0.9/", true),
            ("http://[::1]/", true),
            ("http://192.168.0.1/", false),
            ("http://localhost.example/", false),
        ] {
            assert_eq!(target(url).is_local(), expected, "{url}");
        }
    }
}
