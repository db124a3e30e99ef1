//! `man`: the manual pages, made of the same texts as `--help`.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::exit::{Exit, Failure};
use super::{Cli, print};

/// Print the manual page, or write those of all commands
///
/// To read it: dataverse-listener man | man -l -
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write the page of each command into this directory, which is there: dataverse-listener.1,
    /// dataverse-listener-run.1 and so on
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

impl Man {
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        // `help` has no page.
        let command = Cli::command().disable_help_subcommand(true);
        if let Some(directory) = &self.directory {
            clap_mangen::generate_to(command, directory).map_err(|error| {
                let what = format!("write the pages into {}", directory.display());
                Failure::new(Exit::InputOutput, &what, &error)
            })?;
            return Ok(Exit::Fine);
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Failure::new(Exit::Software, "make the page", &error))?;
        print(&page)?;
        Ok(Exit::Fine)
    }
}
