//! The configuration file that a command is given, with the variables that override it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Exit, Failure};
use crate::config::{self, Config, ConfigError};
use crate::settings::Effective;

/// The option of every command that works as a configuration says.
#[derive(Debug, Args)]
pub(super) struct Configured {
    /// The configuration file, in TOML; config/dataverse-listener.toml shows every key. Each can be set by a
    /// variable instead, DATAVERSE_LISTENER__SECTION__KEY
    #[arg(long = "config", value_name = "FILE")]
    path: PathBuf,
}

impl Configured {
    /// The file's name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and checks it.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        load(&self.path)
    }

    /// The same, with what is in force.
    pub(super) fn load_and_show(&self) -> Result<(Config, Effective), Failure> {
        config::load_and_show(&self.path, variables()).map_err(|error| failure(&error))
    }
}

/// Reads and checks a configuration file, with the variables that override it.
pub(super) fn load(path: &Path) -> Result<Config, Failure> {
    config::load(path, variables()).map_err(|error| failure(&error))
}

fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn failure(error: &ConfigError) -> Failure {
    Failure::plain(Exit::Config, format!("the configuration is wrong\n{error}"))
}
