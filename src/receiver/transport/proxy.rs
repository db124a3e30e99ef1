//! HTTP proxies: which one lies on the way, and the tunnel through it.
//!
//! Spec: RFC 9110 section 9.3.6 (CONNECT), RFC 7617 (Basic). What the variables of the environment mean
//! is left to hyper-util, so that they mean the same as to other programs. A tunnel does not ask what
//! goes through it: AMQP on port 5671 has one as well as WebSockets have.

use std::fmt;
use std::io;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fe2o3_amqp_ws::tungstenite::http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::address::Address;
use super::curable::Curable;
use super::{tcp, within};
use crate::receiver::connection_string::split_endpoint;
use crate::receiver::trail::{Step, Trail};
use crate::secret::Secret;

/// The port of a proxy whose URL has none: the one of `http`.
const HTTP_PORT: u16 = 80;
/// No answer to CONNECT is longer than this.
const MAX_ANSWER: usize = 16 * 1024;

/// Which proxy is asked for a tunnel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// The one of `HTTPS_PROXY`, or of `ALL_PROXY`, unless `NO_PROXY` names the host; also in small letters.
    /// An emulator, which knows no TLS, is reached without.
    #[default]
    Environment,
    /// None, whatever the environment says.
    None,
    /// This one.
    Http {
        /// Host and port.
        server: ProxyServer,
        /// What it wants to know before it opens a tunnel.
        credential: Option<ProxyCredential>,
    },
}

/// Where a proxy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyServer(Address);

/// A user and a password for a proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyCredential {
    /// The value of the header `Proxy-Authorization`.
    basic: Secret,
}

impl fmt::Debug for ProxyCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyCredential(***)")
    }
}

/// Why a text names no proxy, as a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Another scheme, or none.
    #[error("must be \"none\", or begin with http://")]
    Scheme,
    /// A user or a password in the URL that is no text.
    #[error("has a user or a password in it that is no text when it is decoded")]
    Credential,
    /// A host or a port that is none.
    #[error("{0}")]
    Address(&'static str),
    /// A user's name that RFC 7617 has no way to send.
    #[error("must not have a colon or a control character in it")]
    User,
    /// A user where no proxy is named to be told about it.
    #[error("is of no use without the http:// proxy it is for")]
    NoProxy,
    /// A user in the URL, and another beside it.
    #[error("is given twice: here and in the URL of the proxy")]
    Twice,
}

impl ProxyCredential {
    /// Takes both.
    ///
    /// # Errors
    /// When the name cannot be sent.
    pub fn new(user: &str, password: &Secret) -> Result<Self, ProxyError> {
        if user.contains(|c: char| c == ':' || c.is_control()) {
            return Err(ProxyError::User);
        }
        let pair = format!("{user}:{}", password.reveal());
        Ok(Self {
            basic: Secret::new(format!("Basic {}", STANDARD.encode(pair))),
        })
    }
}

impl Proxy {
    /// The same proxy, which is told who asks.
    ///
    /// # Errors
    /// When it is none in particular, or is told already.
    pub fn with_credential(self, credential: ProxyCredential) -> Result<Self, ProxyError> {
        match self {
            Self::Http {
                server,
                credential: None,
            } => Ok(Self::Http {
                server,
                credential: Some(credential),
            }),
            Self::Http { .. } => Err(ProxyError::Twice),
            Self::Environment | Self::None => Err(ProxyError::NoProxy),
        }
    }

    /// The proxy on the way to `destination`, none where it is reached without.
    ///
    /// # Errors
    /// When the environment names a proxy that is not one of HTTP.
    pub(in crate::receiver) fn toward(
        &self,
        destination: &Address,
        is_encrypted: bool,
    ) -> io::Result<Option<Hop>> {
        match self {
            Self::Environment if is_encrypted => of_environment(&Matcher::from_env(), destination),
            Self::Environment | Self::None => Ok(None),
            Self::Http { server, credential } => Ok(Some(Hop {
                address: server.0.clone(),
                authorization: credential
                    .as_ref()
                    .map(|credential| credential.basic.clone()),
                origin: Origin::Configuration,
            })),
        }
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        let (scheme, rest) = text.split_at_checked(7).ok_or(ProxyError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("http://") {
            return Err(ProxyError::Scheme);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (credential, server) = match authority.rsplit_once('@') {
            Some((credential, server)) => (Some(of_url(credential)?), server),
            None => (None, authority),
        };
        let (host, port) = split_endpoint(server).map_err(ProxyError::Address)?;
        Ok(Self::Http {
            server: ProxyServer(Address::new(host, port.unwrap_or(HTTP_PORT))),
            credential,
        })
    }
}

/// A user and a password as a URL has them (RFC 3986 section 3.2.1), in percent-encoding.
fn of_url(text: &str) -> Result<ProxyCredential, ProxyError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decoded = |text| {
        let text = percent_decode_str(text).decode_utf8();
        text.map_err(|_| ProxyError::Credential)
    };
    ProxyCredential::new(&decoded(user)?, &Secret::new(decoded(password)?))
}

/// What the variables of the environment, as `matcher` has read them, say of `destination`.
fn of_environment(matcher: &Matcher, destination: &Address) -> io::Result<Option<Hop>> {
    // What cannot be part of a URL cannot be meant by a variable.
    let uri = format!("https://{destination}/").parse::<Uri>().ok();
    let Some(found) = uri.and_then(|uri| matcher.intercept(&uri)) else {
        return Ok(None);
    };
    match (found.uri().scheme_str(), found.uri().host()) {
        (Some("http"), Some(host)) => Ok(Some(Hop {
            address: Address::new(
                host.trim_start_matches('[').trim_end_matches(']'),
                found.uri().port_u16().unwrap_or(HTTP_PORT),
            ),
            authorization: authorization(&found),
            origin: Origin::Environment,
        })),
        _ => Err(Curable::error(
            "the proxy of the environment (HTTPS_PROXY, ALL_PROXY) is not one of http://, the only ones that \
             are understood",
            "set proxy (--proxy) to another, or to \"none\"",
        )),
    }
}

fn authorization(found: &Intercept) -> Option<Secret> {
    found
        .basic_auth()
        .and_then(|value| value.to_str().ok())
        .map(Secret::from)
}

/// Who named a proxy, and so who can give it what it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Configuration,
    Environment,
}

/// A proxy on the way.
#[derive(Debug)]
pub(in crate::receiver) struct Hop {
    address: Address,
    authorization: Option<Secret>,
    origin: Origin,
}

impl Hop {
    /// A stream to `destination`, whose name the proxy resolves.
    pub(super) async fn tunnel(
        &self,
        destination: &Address,
        trail: &mut Trail<'_>,
    ) -> io::Result<TcpStream> {
        let connected = tcp::connect(&self.address, trail).await;
        let mut stream = connected.map_err(|error| {
            let text = format!("{} cannot be reached: {error}", self.name());
            io::Error::new(error.kind(), text)
        })?;
        trail.begin(Step::Proxy);
        trail.note(|| format!("to {destination} by {}", self.name()));
        let asked = within("CONNECT", async {
            stream
                .write_all(self.request(destination).as_bytes())
                .await?;
            read_status(&mut stream).await
        });
        match asked.await {
            Ok(200..=299) => Ok(stream),
            Ok(status) => Err(self.refusal(status, destination)),
            Err(error) => {
                let text = format!("{} opens no tunnel: {error}", self.name());
                Err(io::Error::new(error.kind(), text))
            }
        }
    }

    fn request(&self, destination: &Address) -> String {
        let authorization = self
            .authorization
            .as_ref()
            .map_or_else(String::new, |value| {
                format!("Proxy-Authorization: {}\r\n", value.reveal())
            });
        format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n{authorization}\r\n")
    }

    /// The same, for a client of HTTP.
    ///
    /// # Errors
    /// When it cannot be said in a URL or in a header.
    pub(in crate::receiver) fn to_reqwest(&self) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(format!("http://{}", self.address))?;
        let value = self.authorization.as_ref();
        // It is base64 behind a word, and so always one.
        let value = value.and_then(|value| HeaderValue::from_str(value.reveal()).ok());
        Ok(match value {
            Some(mut value) => {
                value.set_sensitive(true);
                proxy.custom_http_auth(value)
            }
            None => proxy,
        })
    }

    /// What it is called in messages.
    pub(in crate::receiver) fn name(&self) -> String {
        match self.origin {
            Origin::Configuration => format!("the proxy {}", self.address),
            Origin::Environment => format!(
                "the proxy {} of the environment (proxy = \"none\" ignores it)",
                self.address
            ),
        }
    }

    fn refusal(&self, status: u16, destination: &Address) -> io::Error {
        let name = self.name();
        match (status, &self.authorization, self.origin) {
            // tinyproxy says 401 of a wrong one, where 407 is meant.
            (401 | 407, Some(_), _) => {
                let text = format!("{name} refuses the user or the password (HTTP {status})");
                io::Error::new(io::ErrorKind::PermissionDenied, text)
            }
            (407, None, Origin::Configuration) => Curable::error(
                format!("{name} wants a user and a password (HTTP 407)"),
                "give proxy_user, and proxy_password or proxy_password_file",
            ),
            (407, None, Origin::Environment) => Curable::error(
                format!("{name} wants a user and a password (HTTP 407)"),
                "give them in HTTPS_PROXY, or name the proxy by the key proxy, with proxy_user and \
                 proxy_password_file",
            ),
            (403 | 405, ..) => {
                let cause =
                    format!("{name} does not allow a tunnel to {destination} (HTTP {status})");
                match destination.port() {
                    443 => io::Error::other(cause),
                    _ => Curable::error(
                        cause,
                        "many proxies let only port 443 through, which transport = \"websocket\" takes",
                    ),
                }
            }
            _ => {
                let text = format!("{name} opens no tunnel to {destination} (HTTP {status})");
                io::Error::other(text)
            }
        }
    }
}

/// Reads the answer to CONNECT, and nothing behind it: there is nothing, for the client speaks first.
async fn read_status(stream: &mut TcpStream) -> io::Result<u16> {
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            let text = "it hung up";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        if let Some(line) = first_line(&answer) {
            match status(line) {
                Some(200..=299) => {}
                // The page beside a refusal may still be on its way, and nobody wants it.
                Some(status) => return Ok(status),
                None => break,
            }
        }
        if answer.len() > MAX_ANSWER {
            break;
        }
    }
    let status = first_line(&answer).and_then(status);
    status.ok_or_else(|| io::Error::other("its answer is not one of HTTP"))
}

fn first_line(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    Some(&answer[..end])
}

/// The status in the first line of an answer. Its words may be in any encoding.
fn status(line: &[u8]) -> Option<u16> {
    let mut words = line.trim_ascii().splitn(3, |byte| *byte == b' ');
    let (version, code) = (words.next()?, words.next()?);
    if !version.starts_with(b"HTTP/1.") || !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = str::from_utf8(code).ok()?.parse().ok()?;
    (100..=999).contains(&status).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential() -> ProxyCredential {
        ProxyCredential::new("Aladdin", &"open sesame".into()).unwrap()
    }

    #[test]
    fn a_proxy_is_a_url_or_none() {
        let by = |host, port, credential| {
            Ok(Proxy::Http {
                server: ProxyServer(Address::new(host, port)),
                credential,
            })
        };
        let http = |host, port| by(host, port, None);
        let told = |user, password: &str| ProxyCredential::new(user, &password.into()).ok();
        for (text, expected) in [
            ("none", Ok(Proxy::None)),
            ("http://proxy.example:3128", http("proxy.example", 3128)),
            ("HTTP://proxy.example/", http("proxy.example", 80)),
            ("http://[::1]:3128", http("::1", 3128)),
            ("proxy.example:3128", Err(ProxyError::Scheme)),
            ("https://proxy.example", Err(ProxyError::Scheme)),
            ("socks5://proxy.example", Err(ProxyError::Scheme)),
            ("", Err(ProxyError::Scheme)),
            ("http://u:p%40:x@proxy", by("proxy", 80, told("u", "p@:x"))),
            ("http://u@x:p@[::1]:8", by("::1", 8, told("u@x", "p"))),
            ("http://u@proxy:8/", by("proxy", 8, told("u", ""))),
            ("http://u%3Ax:hunter2@proxy", Err(ProxyError::User)),
            ("http://u:hunter2%ff@proxy", Err(ProxyError::Credential)),
            (
                "http://u:hunter2@",
                Err(ProxyError::Address("names no host")),
            ),
            ("http://", Err(ProxyError::Address("names no host"))),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[test]
    fn a_credential_is_sent_as_basic_and_never_shown() {
        let proxy: Proxy = "http://p".parse().unwrap();
        let proxy = proxy.with_credential(credential()).unwrap();
        let destination = Address::new("ns.example", 5671);
        let hop = proxy.toward(&destination, true).unwrap().unwrap();
        assert_eq!(
            hop.request(&destination),
            "CONNECT ns.example:5671 HTTP/1.1\r\nHost: ns.example:5671\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
        let shown = format!("{proxy:?} {hop:?}");
        assert!(
            !shown.contains("QWxh") && !shown.contains("sesame"),
            "{shown}"
        );
        let twice = proxy.with_credential(credential());
        assert_eq!(twice.unwrap_err(), ProxyError::Twice);
        let colon = ProxyCredential::new("a:b", &"x".into());
        assert_eq!(colon.unwrap_err(), ProxyError::User);
        for proxy in [Proxy::None, Proxy::Environment] {
            assert_eq!(
                proxy.with_credential(credential()).unwrap_err(),
                ProxyError::NoProxy
            );
        }
    }

    #[test]
    fn the_environment_counts_for_what_is_encrypted_and_not_in_no_proxy() {
        let matcher = |https: &str| {
            Matcher::builder()
                .https(https.to_owned())
                .no("inside.example, 10.0.0.0/8".to_owned())
                .build()
        };
        let there = |https: &str, host| {
            of_environment(&matcher(https), &Address::new(host, 5671))
                .map(|hop| hop.map(|hop| (hop.address.to_string(), hop.authorization.is_some())))
        };
        let plain = "http://proxy.example:3128";
        let expected = Some(("proxy.example:3128".to_owned(), false));
        assert_eq!(there(plain, "ns.example").unwrap(), expected);
        assert_eq!(there(plain, "::1").unwrap(), expected);
        assert_eq!(there(plain, "ns.inside.example").unwrap(), None);
        assert_eq!(there(plain, "10.1.2.3").unwrap(), None);
        assert_eq!(there("", "ns.example").unwrap(), None);
        assert_eq!(
            there("http://u:hunter2@[::1]", "ns.example").unwrap(),
            Some(("[::1]:80".to_owned(), true))
        );
        let error = there("socks5://u:hunter2@proxy.example", "ns.example").unwrap_err();
        assert!(error.to_string().contains("proxy (--proxy)"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let destination = Address::new("localhost", 5672);
        let hop = Proxy::Environment.toward(&destination, false).unwrap();
        assert!(hop.is_none());
    }

    #[test]
    fn a_status_is_read_from_the_first_line() {
        for (answer, expected) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], Some(200)),
            (b"HTTP/1.0 407\r\n", Some(407)),
            (b"HTTP/1.1 502 \xfcberlastet\n", Some(502)),
            (b"HTTP/1.1 200 OK", None),
            (b"HTTP/1.1 20\r\n", None),
            (b"HTTP/1.1 +20\r\n", None),
            (b"HTTP/1.1\r\n", None),
            (b"SSH-2.0-OpenSSH\r\n\r\n", None),
            (b"", None),
        ] {
            assert_eq!(first_line(answer).and_then(status), expected, "{answer:?}");
        }
    }
}
