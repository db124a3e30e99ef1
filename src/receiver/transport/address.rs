//! Hosts and ports: what is dialled, and what a user writes to have something else dialled.

use std::fmt;
use std::str::FromStr;

use crate::receiver::connection_string::split_endpoint;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Takes the host, an IPv6 address without brackets.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
        }
    }

    /// The host, an IPv6 address without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// Host and port as one text, an IPv6 address in brackets: as in a URL.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where to connect instead of the namespace: a host, with a port where it is not the usual one.
///
/// Source: `CustomEndpointAddress` of Microsoft's clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: Option<u16>,
}

/// Why a text is no [`Endpoint`], as a fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; give host or host:port")]
pub struct EndpointError(&'static str);

impl Endpoint {
    /// The address, with a port where it names none.
    pub(crate) fn at(&self, port: u16) -> Address {
        Address::new(&self.host, self.port.unwrap_or(port))
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split_endpoint(text.trim()).map_err(EndpointError)?;
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_may_have_a_port() {
        for (text, expected) in [
            ("10.0.0.1", Ok("10.0.0.1:9")),
            ("gate.example:8443", Ok("gate.example:8443")),
            ("sb://gate.example:8443/", Ok("gate.example:8443")),
            ("[::1]:8443", Ok("[::1]:8443")),
            ("::1", Ok("[::1]:9")),
            ("", Err("names no host; give host or host:port")),
            (
                "gate.example:x",
                Err("has a port that is not a number from 1 to 65535; give host or host:port"),
            ),
            (
                "user:hunter2@gate.example",
                Err("must not carry a user name or password; give host or host:port"),
            ),
        ] {
            let endpoint = text.parse::<Endpoint>();
            let shown = endpoint.map(|endpoint| endpoint.at(9).to_string());
            assert_eq!(
                shown.map_err(|error| error.to_string()),
                expected.map(str::to_owned).map_err(str::to_owned)
            );
        }
    }
}
