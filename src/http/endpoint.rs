//! Where a running daemon is asked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use super::config::Listen;

/// Where a running daemon is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// At a port of a host.
    Tcp {
        /// A name or an IP address, an IPv6 address without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// At a Unix socket.
    Unix(PathBuf),
}

/// Why there is nobody to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    /// The text is no address.
    #[error("must be http://HOST:PORT, HOST:PORT or unix:/PATH")]
    Form,
    /// The listener speaks no TLS.
    #[error("must begin with http://: the listener of the daemon speaks no TLS")]
    Tls,
    /// There is no listener.
    #[error("the configuration has no HTTP listener: listen is \"none\" in [http]")]
    Nowhere,
    /// Only the daemon's log knows the port.
    #[error(
        "the configuration lets the system choose the port; give --url with the address that the daemon has logged"
    )]
    AnyPort,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(EndpointError::Form),
            };
        }
        if text.starts_with("https:") {
            return Err(EndpointError::Tls);
        }
        let authority = text.strip_prefix("http://").unwrap_or(text);
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = authority.rsplit_once(':').ok_or(EndpointError::Form)?;
        let host = match host.strip_prefix('[') {
            Some(host) => {
                let host = host.strip_suffix(']').ok_or(EndpointError::Form)?;
                host.parse::<Ipv6Addr>().map_err(|_| EndpointError::Form)?;
                host
            }
            None => host,
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        let is_bare = host.contains(':') && !authority.starts_with('[');
        if host.is_empty() || is_bare || !host.chars().all(is_host) {
            return Err(EndpointError::Form);
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            port: port.parse().map_err(|_| EndpointError::Form)?,
        })
    }
}

impl TryFrom<&Listen> for Endpoint {
    type Error = EndpointError;

    /// Where whoever listens there is found from this machine.
    fn try_from(listen: &Listen) -> Result<Self, Self::Error> {
        match listen {
            Listen::Nowhere => Err(EndpointError::Nowhere),
            Listen::Unix(path) => Ok(Self::Unix(path.clone())),
            Listen::Tcp(address) if address.port() == 0 => Err(EndpointError::AnyPort),
            Listen::Tcp(address) => {
                let host: IpAddr = match address.ip() {
                    IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                    IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                    ip => ip,
                };
                Ok(Self::Tcp {
                    host: host.to_string(),
                    port: address.port(),
                })
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_an_address_or_a_socket_says_whom_to_ask() {
        for (text, expected) in [
            ("http://127.0.0.1:9465", Some("127.0.0.1:9465")),
            ("http://localhost:80/", Some("localhost:80")),
            ("http://[::1]:9465", Some("[::1]:9465")),
            ("node-1.example:9465", Some("node-1.example:9465")),
            ("unix:/run/x.sock", Some("unix:/run/x.sock")),
            ("unix:///run/x.sock", Some("unix:/run/x.sock")),
            ("unix:x.sock", None),
            ("https://localhost:1", None),
            ("http://localhost", None),
            ("http://localhost:1/livez", None),
            ("http://user:word@localhost:1", None),
            ("::1:9465", None),
            ("[::1:9465", None),
            (":9465", None),
            ("", None),
        ] {
            let found = text.parse::<Endpoint>().ok().map(|found| found.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn whoever_listens_everywhere_is_asked_on_this_machine() {
        for (listen, expected) in [
            ("0.0.0.0:1", Ok("127.0.0.1:1")),
            ("[::]:1", Ok("[::1]:1")),
            ("10.1.2.3:1", Ok("10.1.2.3:1")),
            ("unix:/x", Ok("unix:/x")),
            ("127.0.0.1:0", Err(EndpointError::AnyPort)),
            ("none", Err(EndpointError::Nowhere)),
        ] {
            let listen: Listen = listen.parse().unwrap();
            let found = Endpoint::try_from(&listen).map(|found| found.to_string());
            assert_eq!(found, expected.map(str::to_owned), "{listen}");
        }
    }
}
