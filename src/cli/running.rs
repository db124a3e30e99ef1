//! The running daemon that a command asks, and where it is.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use crate::config;
use crate::http::Endpoint;

/// The options of every command that asks a running daemon.
#[derive(Debug, Args)]
pub(super) struct Running {
    /// The configuration file of the daemon, of which only the table http is read; without it, and without --url, the daemon
    /// is looked for where DATAVERSE_LISTENER__HTTP__LISTEN says, or at 127.0.0.1:9465
    #[arg(long = "config", value_name = "FILE", conflicts_with = "url")]
    path: Option<PathBuf>,

    /// Where the daemon listens: http://HOST:PORT or unix:/PATH
    #[arg(long, value_name = "URL")]
    url: Option<Endpoint>,
}

impl Running {
    /// Where the daemon is asked.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Failure> {
        if let Some(endpoint) = &self.url {
            return Ok(endpoint.clone());
        }
        let http = config::load_http(self.path.as_deref(), std::env::vars_os())
            .map_err(|error| Failure::of_config(&error))?;
        Endpoint::try_from(&http.listen)
            .map_err(|error| Failure::new(Exit::Config, "ask the daemon", &error))
    }
}
