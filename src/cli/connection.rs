//! How a command is told which hub to use, without the key being on the command line.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::identity::Identity;
use super::way::Way;
use crate::receiver::{ConnectionString, Transport};
use crate::secret::{self, Secret};

/// The options of every command that connects to a hub.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The connection string of the hub or its namespace. Better given in the environment: other users
    /// of this machine can read command lines
    #[arg(
        long,
        value_name = "STRING",
        env = "EVENTHUB_CONNECTION_STRING",
        hide_env_values = true
    )]
    connection_string: Option<Secret>,

    /// A file that holds the connection string; it goes before the environment. A relative name is first
    /// looked for in $CREDENTIALS_DIRECTORY
    #[arg(long, value_name = "FILE")]
    connection_string_file: Option<PathBuf>,

    /// The name of the event hub, where the connection string has no EntityPath
    #[arg(long, value_name = "NAME")]
    pub(super) hub: Option<String>,

    #[command(flatten)]
    identity: Identity,

    #[command(flatten)]
    way: Way,
}

impl Connection {
    /// How the hub is reached.
    pub(super) fn transport(&self) -> Result<Transport, Failure> {
        self.way.transport()
    }

    /// What opens the hub, which is reached by `transport`: an identity, or the connection string from wherever it
    /// was given.
    pub(super) fn connection_string(
        &self,
        transport: &Transport,
    ) -> Result<ConnectionString, Failure> {
        if let Some(opened) = self.identity.open(transport)? {
            return match self.connection_string_file {
                None => Ok(opened),
                Some(_) => Err(Failure::plain(
                    Exit::Usage,
                    "--connection-string-file is of no use beside --namespace and --credential",
                )),
            };
        }
        let (text, file) = match (&self.connection_string_file, &self.connection_string) {
            (Some(file), _) => {
                let file = secret::locate(file);
                let text = Secret::from_file(&file).map_err(|error| {
                    let what = format!("read the connection string from {}", file.display());
                    Failure::new(Exit::NoInput, &what, &error)
                })?;
                (text, Some(file))
            }
            (None, Some(text)) => (text.clone(), None),
            (None, None) => {
                return Err(Failure::plain(
                    Exit::Usage,
                    "no hub to connect to; set EVENTHUB_CONNECTION_STRING, or give --connection-string-file, or \
                     --namespace and --credential",
                ));
            }
        };
        ConnectionString::given(text, file)
            .map_err(|error| Failure::new(Exit::Usage, "read the connection string", &error))
    }
}
