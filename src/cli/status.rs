//! `status`: how a running daemon stands, for a person or for programs.

mod amounts;
mod screen;
mod table;

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use clap::Args;
use time::OffsetDateTime;

use super::exit::{Exit, Failure};
use super::running::Running;
use super::{is_printed, print, shutdown_on_signals};
use crate::causes::Causes;
use crate::http::{self, AskError, Endpoint};
use crate::shutdown::Shutdown;
use crate::status::Status;
use screen::Screen;

/// Show how the running daemon stands: its partitions and its sinks
///
/// Asks the HTTP listener of the daemon. The members of the JSON document are described in the README; what is not
/// known is null.
#[derive(Debug, Args)]
pub(super) struct Ask {
    #[command(flatten)]
    running: Running,

    /// Show it again and again, every so many seconds, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u16).range(1..=3600))]
    watch: Option<u16>,

    /// How it is shown
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// Tables, for a person
    Table,
    /// One JSON document a line
    Json,
}

/// Nothing is waited for when it ends.
const GRACE: Duration = Duration::ZERO;

impl Ask {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let endpoint = self.running.endpoint()?;
        let Some(seconds) = self.watch else {
            let shown = self.show(&endpoint).await.map_err(|reason| {
                let text = format!("cannot ask the daemon at {endpoint}: {reason}");
                Failure::plain(Exit::Unavailable, text)
            })?;
            print(&shown)?;
            return Ok(Exit::Fine);
        };
        let every = Duration::from_secs(seconds.into());
        let shutdown = shutdown_on_signals(GRACE)?;
        match self.output {
            Output::Table if stdout().is_terminal() => {
                self.watch_on_screen(&endpoint, every, &shutdown).await
            }
            _ => self.watch_lines(&endpoint, every, &shutdown).await,
        }
    }

    /// What is to be shown, or why there is nothing.
    async fn show(&self, endpoint: &Endpoint) -> Result<String, String> {
        let answer = http::ask(endpoint, "/status").await;
        let answer = answer.map_err(|error: AskError| Causes(&error).to_string())?;
        if answer.status != 200 {
            return Err(format!("it answers with status {}", answer.status));
        }
        let status: Status = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("its answer is no status that this version knows: {error}"))?;
        match self.output {
            Output::Table => Ok(table::tables(&status)),
            // As it came: a daemon of another version may tell more.
            Output::Json => Ok(String::from_utf8_lossy(&answer.body).into_owned()),
        }
    }

    /// Draws over what was there, on a screen of its own.
    async fn watch_on_screen(
        &self,
        endpoint: &Endpoint,
        every: Duration,
        shutdown: &Shutdown,
    ) -> Result<Exit, Failure> {
        let screen = Screen::open()?;
        loop {
            let drawn = async {
                let text = match self.show(endpoint).await {
                    Ok(text) => text,
                    Err(reason) => away(endpoint, &reason),
                };
                screen.draw(&text)?;
                tokio::time::sleep(every).await;
                Ok(())
            };
            tokio::select! {
                drawn = drawn => drawn?,
                () = shutdown.stopped() => return Ok(Exit::Fine),
            }
        }
    }

    /// One after the other, for whoever keeps them.
    async fn watch_lines(
        &self,
        endpoint: &Endpoint,
        every: Duration,
        shutdown: &Shutdown,
    ) -> Result<Exit, Failure> {
        loop {
            let shown = async {
                match self.show(endpoint).await {
                    Ok(text) if !is_printed(&text)? => return Ok(false),
                    Ok(_) => {}
                    Err(reason) => super::say(away(endpoint, &reason).trim_end()),
                }
                tokio::time::sleep(every).await;
                Ok(true)
            };
            let is_read = tokio::select! {
                shown = shown => shown?,
                () = shutdown.stopped() => false,
            };
            if !is_read {
                return Ok(Exit::Fine);
            }
        }
    }
}

fn away(endpoint: &Endpoint, reason: &str) -> String {
    let now = OffsetDateTime::now_utc();
    format!(
        "{}  no daemon answers at {endpoint}, trying again\n{}\n",
        amounts::clock(now),
        super::printable(reason)
    )
}
