//! `check`: a configuration, looked through for mistakes.

use clap::Args;

use super::configured::Configured;
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
pub(super) struct Check {
    #[command(flatten)]
    configured: Configured,
}

impl Check {
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        let config = self.configured.load()?;
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
