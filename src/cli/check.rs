//! `check`: a configuration, looked through for mistakes.

use clap::Args;

use super::configured::{Configured, VARIABLES};
use super::exit::{Exit, Failure};
use super::{counted, print};

/// Look for mistakes in a configuration, and do nothing else
///
/// All of them are told at once, each with its file and line, or the variable it came from, its key, and what
/// to do. The files of secrets and certificates are read; no server is asked and no sink is opened: `doctor`
/// sees whether the hubs can be read.
///
/// Exit code 0: there is none. 78: there are.
#[derive(Debug, Args)]
#[command(after_long_help = VARIABLES)]
pub(super) struct Check {
    #[command(flatten)]
    configured: Configured,

    /// Print the configuration that is in force, as TOML: every key with the value it was given, or its default
    ///
    /// What is not from the file has a comment: "default", or the name of the variable. Instead of a secret there
    /// is ***, in a connection string or a URL for that part alone; of a webhook's URL only the host is shown, and
    /// headers that are the same for every event are not shown. A secret in a file is shown as that file's path.
    #[arg(long)]
    print: bool,
}

impl Check {
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        let (config, effective) = self.configured.load_and_show()?;
        if self.print {
            print(&effective.to_string())?;
            return Ok(Exit::Fine);
        }
        let counts = [
            (config.hubs.len(), "hub"),
            (config.sinks.len(), "sink"),
            (config.routes.len(), "route"),
        ];
        let counts = counts.map(|(count, noun)| counted(count as u64, noun));
        let path = self.configured.path().display();
        print(&format!("{path} is sound: {}\n", counts.join(", ")))?;
        Ok(Exit::Fine)
    }
}
