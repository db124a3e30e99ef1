//! `emulator`: the embedded event hub by itself.

mod commands;
mod lines;

use std::io::{self, Write};
use std::net::SocketAddr;

use clap::Args;

use super::exit::{Exit, Failure};
use super::listen::GRACE;
use super::{print, say, shutdown_on_signals};
use crate::emulator::{Emulator, Options};
use crate::secret::Secret;
use commands::obey;
use lines::{Line, Lines};

/// Serve an event hub on this machine, for development
///
/// Prints its connection string as the first line of standard output, then serves until Ctrl-C. It
/// keeps events in memory only. Microsoft's SDKs work with it unchanged.
#[derive(Debug, Args)]
#[command(after_long_help = format!("Commands, with --commands:\n{}", commands::help()))]
pub(super) struct Serve {
    /// The address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5672")]
    listen: SocketAddr,

    /// The name of the event hub
    #[arg(long, value_name = "NAME", default_value = "dataverse-events")]
    hub: String,

    /// How many partitions it has
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    partitions: u16,

    /// A consumer group besides $Default; may be given several times
    #[arg(long = "consumer-group", value_name = "NAME")]
    consumer_groups: Vec<String>,

    /// The key that clients sign with [default: the one of Microsoft's emulator, SAS_KEY_VALUE]
    #[arg(
        long,
        value_name = "KEY",
        env = "DATAVERSE_LISTENER_EMULATOR_KEY",
        hide_env_values = true
    )]
    key: Option<Secret>,

    /// Keep at most that many MiB of events, then drop the oldest
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    retention: u32,

    /// Read commands from standard input, one a line, that let the hub misbehave
    ///
    /// Each is answered by a line on standard output, or on standard error where it is wrong. The end
    /// of the input does not end the hub.
    #[arg(long)]
    commands: bool,
}

impl Serve {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let mut options = Options {
            listen: self.listen,
            hub: self.hub,
            partitions: self.partitions,
            consumer_groups: self.consumer_groups,
            retention_bytes: self.retention as usize * (1 << 20),
            ..Options::default()
        };
        if let Some(key) = &self.key {
            options.key = key.reveal().to_owned();
        } else if !self.listen.ip().is_loopback() {
            tracing::warn!(address = %self.listen, "anyone who reaches this address knows the key; give --key");
        }
        let shutdown = shutdown_on_signals(GRACE)?;
        let emulator = Emulator::start(options).await.map_err(|error| {
            Failure::new(
                Exit::Unavailable,
                &format!("listen at {}", self.listen),
                &error,
            )
        })?;
        let mut output = io::stdout();
        writeln!(output, "{}", emulator.connection_string())
            .and_then(|()| output.flush())
            .map_err(|error| {
                Failure::new(Exit::InputOutput, "print the connection string", &error)
            })?;
        say(&format!(
            "serving at {}; Ctrl-C stops it",
            emulator.address()
        ));
        let mut lines = match self.commands {
            true => Some(
                Lines::of_standard_input()
                    .map_err(|error| Failure::new(Exit::System, "wait for commands", &error))?,
            ),
            false => None,
        };
        loop {
            tokio::select! {
                biased;
                () = shutdown.stopped() => break,
                line = next(&mut lines) => answer(&emulator, line),
            }
        }
        emulator.stop().await;
        Ok(Exit::Fine)
    }
}

/// The next line, for ever awaited where none is asked for.
async fn next(lines: &mut Option<Lines>) -> Line {
    match lines {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}

/// Obeys a line, and says so, or says why not. Where nobody reads it any more, it is done all the same.
fn answer(emulator: &Emulator, line: Line) {
    let Some(line) = line else {
        return say("a line is too long to be a command; help lists them all");
    };
    match obey(emulator, &line) {
        Ok(None) => {}
        Ok(Some(answer)) => drop(print(&format!("{answer}\n"))),
        Err(wrong) => say(&wrong.to_string()),
    }
}
