//! `health`: whether a running daemon is healthy, as an exit code.

use clap::Args;

use super::exit::{Exit, Failure};
use super::running::Running;
use super::{print, printable};
use crate::causes::Causes;
use crate::http;

/// Tell whether the running daemon is healthy, by the exit code
///
/// For HEALTHCHECK of containers, and for scripts: 0 when every partition makes progress, 1 when one is stuck and a new
/// process would do better, or when no answer comes within three seconds. The reason is printed. It asks the HTTP
/// listener of the daemon, and needs neither a shell nor curl.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    running: Running,

    /// Whether every partition is being read, instead
    #[arg(long, conflicts_with = "startup")]
    ready: bool,

    /// Whether every partition has had its link, instead
    #[arg(long)]
    startup: bool,
}

const FINE: u16 = 200;

impl Check {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let endpoint = self.running.endpoint()?;
        let page = match (self.ready, self.startup) {
            (true, _) => "/readyz",
            (_, true) => "/startupz",
            _ => "/livez",
        };
        let answer = http::ask(&endpoint, page).await.map_err(|error| {
            let text = format!(
                "the daemon at {endpoint} is not healthy: {}",
                Causes(&error)
            );
            Failure::plain(Exit::Unhealthy, text)
        })?;
        let body = String::from_utf8_lossy(&answer.body);
        let first = body.lines().next().unwrap_or_default();
        print(&format!("{}\n", printable(first)))?;
        Ok(match answer.status {
            FINE => Exit::Fine,
            _ => Exit::Unhealthy,
        })
    }
}
