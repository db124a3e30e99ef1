//! The configuration file that a command is given, with the variables that override it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Failure;
use crate::config::{self, Config, ConfigError};
use crate::settings::Effective;
use crate::telemetry;

/// What the help of each of these commands says of variables.
pub(super) const VARIABLES: &str = "\
Variables of the environment:
  Each key of the file can be set by DATAVERSE_LISTENER__SECTION__KEY, which goes before the
  file. Of several tables the second is number 1, and without a number the first is meant;
  tables in tables have one more __. Lists have commas between their values. `check --print`
  shows what is in force, and where it is from.

    DATAVERSE_LISTENER__CHECKPOINT__PATH=/var/lib/dataverse-listener
    DATAVERSE_LISTENER__SINK__1__RETRY__LIMIT=1m
    DATAVERSE_LISTENER__ROUTE__TABLE=account,contact

  Each secret can be in a file instead, which the key with _FILE behind it names. A relative
  name is looked for in $CREDENTIALS_DIRECTORY first, where LoadCredential= of systemd puts it:

    DATAVERSE_LISTENER__HUB__CONNECTION_STRING_FILE
    DATAVERSE_LISTENER__HUB__CLIENT_SECRET_FILE
    DATAVERSE_LISTENER__HUB__PROXY_FILE
    DATAVERSE_LISTENER__HUB__PROXY_PASSWORD_FILE
    DATAVERSE_LISTENER__OTLP__HEADERS_FILE
    DATAVERSE_LISTENER__SINK__0__URL_FILE
    DATAVERSE_LISTENER__SINK__0__PROXY_FILE
    DATAVERSE_LISTENER__SINK__0__PROXY_PASSWORD_FILE
    DATAVERSE_LISTENER__SINK__0__AUTH__PASSWORD_FILE
    DATAVERSE_LISTENER__SINK__0__AUTH__TOKEN_FILE
    DATAVERSE_LISTENER__SINK__0__AUTH__VALUE_FILE
    DATAVERSE_LISTENER__SINK__0__SIGNATURE__SECRET_FILE
    DATAVERSE_LISTENER__SINK__0__SIGNATURE__PREVIOUS_SECRET_FILE";

/// Where the configuration is, if nobody says otherwise: the service reads this one.
pub(super) const WHERE: &str = "/etc/dataverse-listener/config.toml";

/// The option of every command that works as a configuration says.
#[derive(Debug, Args)]
pub(super) struct Configured {
    /// The configuration file, in TOML; config/dataverse-listener.toml shows every key. Each can be set by a
    /// variable instead, DATAVERSE_LISTENER__SECTION__KEY: see below
    #[arg(long = "config", value_name = "FILE", default_value = WHERE)]
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
        config::load_and_show(&self.path, std::env::vars_os())
            .map_err(|error| Failure::of_config(&error))
    }

    /// The `[log]` table alone, whatever else is wrong; none where it is not sound itself.
    pub(super) fn load_log(&self) -> Option<telemetry::Config> {
        config::load_log(&self.path, std::env::vars_os()).ok()
    }

    /// What reads and checks it again.
    pub(super) fn loader(
        &self,
    ) -> impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static {
        let path = self.path.clone();
        move || read(&path)
    }
}

/// Reads and checks a configuration file, with the variables that override it.
pub(super) fn load(path: &Path) -> Result<Config, Failure> {
    read(path).map_err(|error| Failure::of_config(&error))
}

fn read(path: &Path) -> Result<Config, ConfigError> {
    config::load(path, std::env::vars_os())
}
