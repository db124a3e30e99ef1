//! Where the listener is.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::settings::{Mistake, Settings};

/// The `[http]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// True where somebody has said so: then it is a mistake when that is not possible.
    pub is_given: bool,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// At an address; the system chooses a port for port 0.
    Tcp(SocketAddr),
    /// At a Unix socket.
    Unix(PathBuf),
    /// Nowhere.
    Nowhere,
}

/// Of this machine only: it has neither TLS nor passwords.
const DEFAULT: Listen = Listen::Tcp(SocketAddr::new(
    std::net::IpAddr::V4(Ipv4Addr::LOCALHOST),
    9465,
));

impl Config {
    /// No listener, whatever a configuration says.
    pub(crate) fn none() -> Self {
        Self {
            listen: Listen::Nowhere,
            is_given: true,
        }
    }

    /// Reads the `[http]` table.
    pub(crate) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let is_given = settings.has("listen");
        let config = Self {
            listen: settings.parsed_or("listen", DEFAULT),
            is_given,
        };
        (config, settings.finish())
    }
}

/// Why a text says nowhere to listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// It is no address.
    #[error(
        "must be an IP address with a port, such as \"127.0.0.1:9465\", \"0.0.0.0:9465\" or \"[::1]:9465\"; or \"unix:/PATH\"; or \"none\""
    )]
    Form,
    /// The path of a socket could mean several places.
    #[error("the path of a Unix socket must be absolute")]
    Relative,
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(ListenError::Relative),
            None if text == "none" => Ok(Self::Nowhere),
            None => text.parse().map(Self::Tcp).map_err(|_| ListenError::Form),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Nowhere => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(toml: &str, expected: Result<&str, &str>) {
        let settings = Settings::of_toml("http", toml);
        let (config, mistakes) = Config::read(settings);
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        match expected {
            Ok(expected) => {
                assert!(mistakes.is_empty(), "{toml}: {mistakes:?}");
                assert_eq!(config.listen.to_string(), expected);
                assert_eq!(config.is_given, !toml.is_empty());
            }
            Err(expected) => {
                assert_eq!(mistakes.len(), 1, "{toml}: {mistakes:?}");
                assert!(mistakes[0].contains(expected), "{toml}: {mistakes:?}");
            }
        }
    }

    #[test]
    fn it_listens_where_it_is_told_and_else_where_only_this_machine_comes() {
        check("", Ok("127.0.0.1:9465"));
        for place in ["0.0.0.0:80", "[::1]:0", "unix:/run/x/http.sock", "none"] {
            check(&format!("listen = \"{place}\""), Ok(place));
        }
        for place in ["", "9465", ":9465", "127.0.0.1", "localhost:1", "off"] {
            check(
                &format!("listen = \"{place}\""),
                Err("http.listen: must be an IP address"),
            );
        }
        check("listen = \"unix:http.sock\"", Err("must be absolute"));
        check("listen = 9465", Err("must be a text"));
        check("lisen = \"none\"", Err("did you mean \"listen\"?"));
    }
}
