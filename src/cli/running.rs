//! The running daemon that a command asks, and where it is.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;

use super::configured::WHERE;
use super::exit::{Exit, Failure};
use crate::config;
use crate::http::Endpoint;

/// The options of every command that asks a running daemon.
#[derive(Debug, Args)]
pub(super) struct Running {
    /// The configuration file of the daemon, of which only the table http is read; without it, and without --url, that of
    /// the service is read where it is there, /etc/dataverse-listener/config.toml. DATAVERSE_LISTENER__HTTP__LISTEN
    /// goes before both; where nothing says so, the daemon is looked for at 127.0.0.1:9465
    #[arg(long = "config", value_name = "FILE", conflicts_with = "url")]
    path: Option<PathBuf>,

    /// Where the daemon listens: http://HOST:PORT or unix:/PATH
    #[arg(long, value_name = "URL")]
    url: Option<Endpoint>,
}

impl Running {
    /// Where the daemon is asked.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Failure> {
        self.endpoint_beside(Path::new(WHERE))
    }

    /// The same, where the configuration of the service would be at `service`.
    fn endpoint_beside(&self, service: &Path) -> Result<Endpoint, Failure> {
        if let Some(endpoint) = &self.url {
            return Ok(endpoint.clone());
        }
        // One that is closed to whoever asks says nothing of where the daemon is.
        let path = self.path.as_deref();
        let path = path.or_else(|| File::open(service).is_ok().then_some(service));
        let http = config::load_http(path, std::env::vars_os())
            .map_err(|error| Failure::of_config(&error))?;
        Endpoint::try_from(&http.listen)
            .map_err(|error| Failure::new(Exit::Config, "ask the daemon", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_looked_for_where_the_configuration_of_the_service_says() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let service = write("service.toml", "[http]\nlisten = \"127.0.0.1:1\"\n");
        let other = write("other.toml", "[http]\nlisten = \"127.0.0.1:2\"\n");
        let absent = folder.path().join("absent.toml");
        let found = |path: Option<&PathBuf>, url: Option<&str>, service: &Path| {
            let running = Running {
                path: path.cloned(),
                url: url.map(|url| url.parse().unwrap()),
            };
            let endpoint = running.endpoint_beside(service);
            endpoint.map_err(|failure| failure.exit)
        };
        for (path, url, service, expected) in [
            (None, None, &service, Ok("127.0.0.1:1")),
            (Some(&other), None, &service, Ok("127.0.0.1:2")),
            (None, Some("127.0.0.1:3"), &service, Ok("127.0.0.1:3")),
            (None, None, &absent, Ok("127.0.0.1:9465")),
            (Some(&absent), None, &service, Err(Exit::Config)),
        ] {
            let expected = expected.map(|endpoint| endpoint.parse::<Endpoint>().unwrap());
            assert_eq!(found(path, url, service), expected);
        }
    }
}
