//! The text by which Azure hands out access to an event hub, taken apart.
//!
//! Source: "Get an Event Hubs connection string" and "Test locally by using the Azure Event Hubs
//! emulator" at learn.microsoft.com. Parts stand in any order, split at `;` and then at their first
//! `=`, since keys and signatures contain more of them.

use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::current::Current;
use super::entra::Identity;
use crate::secret::Secret;

/// Where AMQP over TLS listens.
const TLS_PORT: u16 = 5671;
/// Where Microsoft's emulator listens, which knows no TLS.
const PLAIN_PORT: u16 = 5672;

/// A connection string that names a namespace and something to prove oneself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionString {
    namespace: String,
    port: u16,
    event_hub: Option<String>,
    credential: Credential,
    emulator: bool,
    current: Arc<Current>,
}

/// What proves that its holder may receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A shared access policy: tokens are signed with its key, and renewed.
    SharedAccessKey {
        /// The policy's name (`SharedAccessKeyName`).
        name: String,
        /// The policy's key, used as text and never base64-decoded.
        key: Secret,
    },
    /// A token signed by somebody else: sent as it is, and worthless once it has expired.
    SharedAccessSignature(Secret),
    /// An identity of Microsoft Entra ID: tokens are asked for, and renewed.
    Entra(Identity),
}

/// Why a text is no connection string. It names parts, never what they hold: that could be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// Nothing was given.
    #[error("the connection string is empty")]
    Empty,
    /// A part without `=`, counted from 1.
    #[error("part {0} of the connection string has no \"=\"")]
    NotAPair(usize),
    /// A part that must be there is not, or holds nothing.
    #[error("the connection string lacks {0}")]
    Missing(&'static str),
    /// A part is there twice.
    #[error("the connection string gives {0} twice")]
    Duplicate(&'static str),
    /// Two parts that exclude each other.
    #[error("the connection string gives both {0} and {1}, and only one can be meant")]
    Contradiction(&'static str, &'static str),
    /// A part that cannot be read as what it has to be.
    #[error("{part} in the connection string {reason}")]
    Invalid {
        /// The part's key.
        part: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// It is not known which event hub is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubNameError {
    /// Nobody named it.
    #[error(
        "no event hub is named: add EntityPath to the connection string, or give the hub's name"
    )]
    Missing,
    /// It was named twice, and not alike.
    #[error(
        "the connection string says EntityPath={entity_path}, but the hub is named {name}: leave one out"
    )]
    Conflicting {
        /// What the connection string says.
        entity_path: String,
        /// What was said beside it.
        name: String,
    },
}

impl ConnectionString {
    /// A namespace, `NAME.servicebus.windows.net`, that is opened by an identity instead of a key.
    ///
    /// # Errors
    /// What is wrong with the namespace.
    pub fn of_identity(namespace: &str, identity: Identity) -> Result<Self, &'static str> {
        let (host, port) = split_endpoint(without_scheme(namespace.trim())?)?;
        let credential = Credential::Entra(identity);
        Ok(Self {
            namespace: host.to_owned(),
            port: port.unwrap_or(TLS_PORT),
            event_hub: None,
            emulator: false,
            current: Arc::new(Current::given(credential.clone())),
            credential,
        })
    }

    /// The fully qualified namespace: the host as it was given, without scheme, port and brackets.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The TCP port: the one given, else 5671, or 5672 for an emulator.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The event hub (`EntityPath`), absent where the string is for a whole namespace.
    pub fn event_hub(&self) -> Option<&str> {
        self.event_hub.as_deref()
    }

    /// The hub that is meant: the one of `EntityPath`, or else the one named beside it.
    ///
    /// # Errors
    /// When neither names a hub, or each another one.
    pub fn event_hub_or(&self, name: Option<&str>) -> Result<String, HubNameError> {
        match (self.event_hub(), name) {
            (Some(path), Some(name)) if !path.eq_ignore_ascii_case(name) => {
                Err(HubNameError::Conflicting {
                    entity_path: path.to_owned(),
                    name: name.to_owned(),
                })
            }
            (Some(path), _) => Ok(path.to_owned()),
            (None, Some(name)) => Ok(name.to_owned()),
            (None, None) => Err(HubNameError::Missing),
        }
    }

    /// What proves that its holder may receive, as it was given.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The connection string in a file, which is looked at again while it is in use: when it changes, and
    /// names the same hub, its new credential is taken over.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn from_file(file: &Path) -> io::Result<Self> {
        let text = Secret::from_file(file)?;
        Self::given(text, Some(file.to_owned())).map_err(io::Error::other)
    }

    /// The connection string that somebody has given, and the file that it was read from, where it was.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn given(
        text: Secret,
        file: Option<PathBuf>,
    ) -> Result<Self, ConnectionStringError> {
        let parsed: Self = text.reveal().trim().parse()?;
        Ok(match file {
            Some(file) => parsed.read_from(file, text),
            None => parsed,
        })
    }

    /// The same, read as `text` from a file: when that changes, and names the same hub, another
    /// credential is taken over while the old one is in use.
    #[must_use]
    pub(crate) fn read_from(self, file: PathBuf, text: Secret) -> Self {
        let current = Current::in_file(file, self.credential.clone(), text);
        Self {
            current: Arc::new(current),
            ..self
        }
    }

    /// Uses the credential of `new` from now on, on the connections that there are. False where it cannot: where it is
    /// in a file, which is looked at anyhow, is an identity, or names another place.
    pub(crate) fn take_over(&self, new: &Self, event_hub: &str) -> bool {
        self.current.replace(new, self, event_hub)
    }

    /// The credential in force.
    pub(super) fn current(&self) -> &Current {
        &self.current
    }

    /// True with `UseDevelopmentEmulator=true`: AMQP then goes over plain TCP, without TLS.
    pub fn is_emulator(&self) -> bool {
        self.emulator
    }

    /// The text that it was made of, as far as it is known here, with `***` for the key or the signature.
    pub(crate) fn masked(&self) -> String {
        let mut text = format!("Endpoint=sb://{}/", self.address());
        match &self.credential {
            Credential::SharedAccessKey { name, key } => {
                text.push_str(&format!(
                    ";SharedAccessKeyName={name};SharedAccessKey={key}"
                ));
            }
            Credential::SharedAccessSignature(signature) => {
                text.push_str(&format!(";SharedAccessSignature={signature}"));
            }
            Credential::Entra(_) => {}
        }
        if let Some(event_hub) = &self.event_hub {
            text.push_str(&format!(";EntityPath={event_hub}"));
        }
        if self.emulator {
            text.push_str(";UseDevelopmentEmulator=true");
        }
        text
    }

    /// Host and port as one text, for messages.
    pub(crate) fn address(&self) -> String {
        if self.namespace.contains(':') {
            format!("[{}]:{}", self.namespace, self.port)
        } else {
            format!("{}:{}", self.namespace, self.port)
        }
    }
}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = Parts::read(text)?;
        let emulator = parts
            .emulator
            .is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let endpoint = required("Endpoint", parts.endpoint)?;
        let (host, port) = without_scheme(endpoint)
            .and_then(split_endpoint)
            .map_err(|reason| ConnectionStringError::Invalid {
                part: "Endpoint",
                reason,
            })?;
        let default_port = if emulator { PLAIN_PORT } else { TLS_PORT };
        let credential = parts.credential()?;
        Ok(Self {
            namespace: host.to_owned(),
            port: port.unwrap_or(default_port),
            event_hub: parts
                .entity_path
                .filter(|v| !v.is_empty())
                .map(str::to_owned),
            current: Arc::new(Current::given(credential.clone())),
            credential,
            emulator,
        })
    }
}

impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.event_hub {
            Some(event_hub) => write!(f, "{}/{event_hub}", self.address()),
            None => f.write_str(&self.address()),
        }
    }
}

/// The known parts as written; everything else in the string is left alone.
#[derive(Default)]
struct Parts<'a> {
    endpoint: Option<&'a str>,
    key_name: Option<&'a str>,
    key: Option<&'a str>,
    signature: Option<&'a str>,
    entity_path: Option<&'a str>,
    emulator: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Result<Self, ConnectionStringError> {
        if text.trim().is_empty() {
            return Err(ConnectionStringError::Empty);
        }
        let mut parts = Self::default();
        for (index, part) in text.split(';').enumerate() {
            if part.trim().is_empty() {
                continue;
            }
            let (key, value) = part
                .split_once('=')
                .ok_or(ConnectionStringError::NotAPair(index + 1))?;
            parts.take(key.trim(), value.trim())?;
        }
        Ok(parts)
    }

    fn take(&mut self, key: &str, value: &'a str) -> Result<(), ConnectionStringError> {
        let known = [
            ("Endpoint", &mut self.endpoint),
            ("SharedAccessKeyName", &mut self.key_name),
            ("SharedAccessKey", &mut self.key),
            ("SharedAccessSignature", &mut self.signature),
            ("EntityPath", &mut self.entity_path),
            ("UseDevelopmentEmulator", &mut self.emulator),
        ];
        for (name, slot) in known {
            if key.eq_ignore_ascii_case(name) {
                return match slot.replace(value) {
                    Some(_) => Err(ConnectionStringError::Duplicate(name)),
                    None => Ok(()),
                };
            }
        }
        Ok(())
    }

    fn credential(&self) -> Result<Credential, ConnectionStringError> {
        match (self.key_name, self.key, self.signature) {
            (None, None, None) => Err(ConnectionStringError::Missing(
                "SharedAccessKeyName and SharedAccessKey (or SharedAccessSignature)",
            )),
            (None, None, signature) => required("SharedAccessSignature", signature)
                .map(|token| Credential::SharedAccessSignature(Secret::new(token))),
            (_, _, Some(_)) => Err(ConnectionStringError::Contradiction(
                "SharedAccessKey",
                "SharedAccessSignature",
            )),
            (name, key, None) => Ok(Credential::SharedAccessKey {
                name: required("SharedAccessKeyName", name)?.to_owned(),
                key: Secret::new(required("SharedAccessKey", key)?),
            }),
        }
    }
}

fn required<'a>(
    part: &'static str,
    value: Option<&'a str>,
) -> Result<&'a str, ConnectionStringError> {
    value
        .filter(|v| !v.is_empty())
        .ok_or(ConnectionStringError::Missing(part))
}

/// What an address of a namespace may begin with: as Azure writes it, and as the SDKs do.
const SCHEMES: [&str; 4] = ["sb", "amqps", "amqp", "https"];

/// What comes behind the scheme, where there is one.
fn without_scheme(endpoint: &str) -> Result<&str, &'static str> {
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return Ok(endpoint);
    };
    let is_known = SCHEMES
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    is_known.then_some(rest).ok_or("must begin with sb://")
}

/// Host and port of `[scheme://]host[:port][/]`, the host an IPv6 address in brackets or without.
pub(super) fn split_endpoint(endpoint: &str) -> Result<(&str, Option<u16>), &'static str> {
    let authority = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not carry a user name or password");
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or("has a \"[\" without its \"]\"")?;
        (host, after.strip_prefix(':'))
    } else if authority.parse::<Ipv6Addr>().is_ok() {
        (authority, None)
    } else {
        authority
            .split_once(':')
            .map_or((authority, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() {
        return Err("names no host");
    }
    if host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("has a space in its host");
    }
    match port.filter(|port| !port.is_empty()).map(str::parse) {
        None => Ok((host, None)),
        Some(Ok(port)) if port > 0 => Ok((host, Some(port))),
        Some(_) => Err("has a port that is not a number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "SharedAccessKeyName=listen;SharedAccessKey=a+b/c==";

    fn parse(text: &str) -> Result<ConnectionString, ConnectionStringError> {
        text.parse()
    }

    fn check(text: &str, namespace: &str, port: u16, event_hub: Option<&str>, emulator: bool) {
        let parsed = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed.namespace(), namespace, "{text}");
        assert_eq!(parsed.port(), port, "{text}");
        assert_eq!(parsed.event_hub(), event_hub, "{text}");
        assert_eq!(parsed.is_emulator(), emulator, "{text}");
    }

    fn check_error(text: &str, expected: &str) {
        let error = parse(text).expect_err(text).to_string();
        assert_eq!(error, expected, "{text}");
    }

    #[test]
    fn every_form_of_endpoint_is_read() {
        for (endpoint, namespace, port) in [
            (
                "sb://ns.servicebus.windows.net/",
                "ns.servicebus.windows.net",
                5671,
            ),
            (
                "sb://ns.servicebus.windows.net",
                "ns.servicebus.windows.net",
                5671,
            ),
            (
                "ns.servicebus.windows.net",
                "ns.servicebus.windows.net",
                5671,
            ),
            (
                "amqps://ns.servicebus.windows.net:443/",
                "ns.servicebus.windows.net",
                443,
            ),
            ("SB://h", "h", 5671),
            ("https://h:443/", "h", 443),
            ("sb://127.0.0.1:5673", "127.0.0.1", 5673),
            ("sb://[::1]:5673/", "::1", 5673),
            ("sb://[::1]", "::1", 5671),
            ("sb://::1/", "::1", 5671),
            ("sb://localhost:/", "localhost", 5671),
        ] {
            check(
                &format!("Endpoint={endpoint};{KEY}"),
                namespace,
                port,
                None,
                false,
            );
        }
    }

    #[test]
    fn order_case_and_empty_parts_do_not_matter() {
        check(
            ";;sharedaccesskey=a==; ENTITYPATH=hub ;SharedAccessKeyName=n;;endpoint=sb://h/;",
            "h",
            5671,
            Some("hub"),
            false,
        );
    }

    #[test]
    fn unknown_parts_are_left_alone() {
        check(
            &format!(
                "Endpoint=sb://h/;{KEY};TransportType=Amqp;OperationTimeout=00:01:00;EntityPath="
            ),
            "h",
            5671,
            None,
            false,
        );
    }

    #[test]
    fn an_emulator_is_reached_at_5672_unless_a_port_is_given() {
        let emulator = format!("{KEY};UseDevelopmentEmulator=true");
        check(
            &format!("Endpoint=sb://localhost;{emulator};"),
            "localhost",
            5672,
            None,
            true,
        );
        check(
            &format!("Endpoint=sb://localhost:7000;{emulator}"),
            "localhost",
            7000,
            None,
            true,
        );
        check(
            &format!("Endpoint=sb://localhost;{KEY};UseDevelopmentEmulator=false"),
            "localhost",
            5671,
            None,
            false,
        );
    }

    #[test]
    fn a_key_keeps_every_character_after_the_first_equals_sign() {
        let parsed = parse(&format!("Endpoint=sb://h/;{KEY}")).unwrap();
        let expected = Credential::SharedAccessKey {
            name: "listen".into(),
            key: Secret::new("a+b/c=="),
        };
        assert_eq!(parsed.credential(), &expected);
    }

    #[test]
    fn a_signature_keeps_its_spaces_ampersands_and_equals_signs() {
        let token = "SharedAccessSignature sr=sb%3A%2F%2Fh%2Fe&sig=x%3D&se=1700000000&skn=n";
        let parsed = parse(&format!(
            "Endpoint=sb://h/;SharedAccessSignature={token};EntityPath=e"
        ));
        let expected = Credential::SharedAccessSignature(Secret::new(token));
        assert_eq!(parsed.unwrap().credential(), &expected);
    }

    #[test]
    fn a_mistake_is_named_in_one_sentence() {
        check_error(" ", "the connection string is empty");
        check_error(
            "Endpoint=sb://h/;secret",
            "part 2 of the connection string has no \"=\"",
        );
        check_error(KEY, "the connection string lacks Endpoint");
        check_error(
            &format!("Endpoint=;{KEY}"),
            "the connection string lacks Endpoint",
        );
        check_error(
            "Endpoint=sb://h/",
            "the connection string lacks SharedAccessKeyName and SharedAccessKey (or SharedAccessSignature)",
        );
        check_error(
            &format!("Endpoint=xb://h/;{KEY}"),
            "Endpoint in the connection string must begin with sb://",
        );
        check_error(
            "Endpoint=sb://h/;SharedAccessKey=k",
            "the connection string lacks SharedAccessKeyName",
        );
        check_error(
            "Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=",
            "the connection string lacks SharedAccessKey",
        );
        check_error(
            &format!("Endpoint=sb://h/;{KEY};sharedaccesskey=other"),
            "the connection string gives SharedAccessKey twice",
        );
        check_error(
            &format!("Endpoint=sb://h/;{KEY};EntityPath=a;EntityPath=a"),
            "the connection string gives EntityPath twice",
        );
        check_error(
            &format!("Endpoint=sb://h/;{KEY};SharedAccessSignature=s"),
            "the connection string gives both SharedAccessKey and SharedAccessSignature, and only one can be meant",
        );
    }

    #[test]
    fn an_endpoint_that_cannot_be_dialled_is_refused() {
        for (endpoint, reason) in [
            ("sb:///hub", "names no host"),
            (
                "sb://h:70000/",
                "has a port that is not a number from 1 to 65535",
            ),
            (
                "sb://h:0/",
                "has a port that is not a number from 1 to 65535",
            ),
            ("sb://[::1/", "has a \"[\" without its \"]\""),
            ("sb://a b/", "has a space in its host"),
            ("sb://user:pw@h/", "must not carry a user name or password"),
        ] {
            check_error(
                &format!("Endpoint={endpoint};{KEY}"),
                &format!("Endpoint in the connection string {reason}"),
            );
        }
    }

    #[test]
    fn a_hub_is_named_once_or_twice_alike() {
        let named = |path: &str, name| {
            let parsed = parse(&format!("Endpoint=sb://h/;{KEY};EntityPath={path}")).unwrap();
            parsed.event_hub_or(name)
        };
        assert_eq!(named("hub", None), Ok("hub".to_owned()));
        assert_eq!(named("", Some("hub")), Ok("hub".to_owned()));
        assert_eq!(named("hub", Some("HUB")), Ok("hub".to_owned()));
        assert_eq!(named("", None), Err(HubNameError::Missing));
        let error = named("hub", Some("other")).unwrap_err().to_string();
        assert!(error.contains("leave one out"), "{error}");
    }

    #[test]
    fn what_is_printed_shows_no_secret() {
        let parsed =
            parse("Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=S3CRET").unwrap();
        assert!(!format!("{parsed:?} {parsed}").contains("S3CRET"));
    }
}
