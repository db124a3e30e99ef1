//! `completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::{Exit, Failure};
use super::{Cli, print};

/// What clap_complete 4.6 calls our commands where it completes them in bash, and what it calls them where it looks
/// for them: it takes the hyphen in our name for the place where a command begins.
const TORN: (&str, &str) = ("dataverse__subcmd__listener", "dataverse__listener");

/// Print what a shell needs to complete the commands and their options
///
/// For bash: dataverse-listener completions bash > /usr/share/bash-completion/completions/dataverse-listener
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        let mut command = Cli::command();
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        if self.shell == Shell::Bash {
            let text = String::from_utf8_lossy(&script);
            script = text.replace(TORN.0, TORN.1).into_bytes();
        }
        print(&script)?;
        Ok(Exit::Fine)
    }
}
