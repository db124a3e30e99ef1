//! The commands as a person types them; each in a file of its own, with what it takes and what it does.

mod check;
mod checkpoint;
mod columns;
mod completions;
mod configured;
mod connection;
mod decode;
#[cfg(feature = "emulator")]
mod demo;
mod dictionary;
mod doctor;
#[cfg(feature = "emulator")]
mod emulator;
mod exit;
mod health;
mod identity;
mod listen;
mod man;
mod redrive;
mod replay;
mod run;
mod running;
mod schema;
#[cfg(feature = "emulator")]
mod simulate;
mod status;
mod way;

use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::shutdown::Shutdown;
use crate::telemetry::{self, FilterError, Telemetry};
use exit::{Exit, Failure};

/// Receives Microsoft Dataverse / Dynamics 365 events from Azure Event Hubs.
///
/// New here? `dataverse-listener demo` shows it at work, with an event hub of its own. To see the
/// events of a real hub: EVENTHUB_CONNECTION_STRING='Endpoint=...' dataverse-listener listen
#[derive(Debug, Parser)]
#[command(name = "dataverse-listener", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// What is logged: error, warn, info, debug or trace, or levels of modules, such as
    /// info,dataverse_listener::receiver=debug
    /// [default: `[log] level` for `run`, else info; info for `emulator`, warn for the others]
    #[arg(
        long,
        global = true,
        display_order = 900,
        value_name = "LEVEL",
        env = "DATAVERSE_LISTENER_LOG"
    )]
    log: Option<String>,

    /// How it is logged to standard error; auto: fields for the journal where that is the journal of
    /// systemd, else text
    /// [default: `[log] format` for `run`, else auto]
    #[arg(
        long,
        global = true,
        display_order = 901,
        value_name = "FORMAT",
        env = "DATAVERSE_LISTENER_LOG_FORMAT"
    )]
    log_format: Option<telemetry::Format>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "emulator")]
    Demo(demo::Demo),
    Listen(listen::Listen),
    Run(run::Run),
    Status(status::Ask),
    Health(health::Check),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Checkpoint(checkpoint::Checkpoints),
    Redrive(redrive::Redeliver),
    Replay(replay::Again),
    Decode(decode::Decode),
    #[cfg(feature = "emulator")]
    Emulator(emulator::Serve),
    #[cfg(feature = "emulator")]
    Simulate(simulate::Simulate),
    Schema(schema::Schema),
    Man(man::Man),
    Completions(completions::Completions),
}

/// Runs the command that `arguments` name, and gives the exit code that tells how it went.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &arguments),
    };
    let is_daemon = matches!(cli.command, Command::Run(_));
    let telemetry = match start_logging(&cli) {
        Ok(telemetry) => Arc::new(telemetry),
        Err(failure) => return tell(&failure),
    };
    match cli.command.execute(Arc::clone(&telemetry)) {
        Ok(exit) => exit.into(),
        // The daemon tells why it ends as it tells everything else, and never nothing.
        Err(failure) if is_daemon && telemetry.is_for_programs() && failure.log() => {
            failure.exit.into()
        }
        Err(failure) => tell(&failure),
    }
}

/// Says why a command failed.
fn tell(failure: &Failure) -> ExitCode {
    say(&format!("dataverse-listener: {failure}"));
    failure.exit.into()
}

fn start_logging(cli: &Cli) -> Result<Telemetry, Failure> {
    let default = match cli.command {
        Command::Run(_) => telemetry::LEVEL,
        #[cfg(feature = "emulator")]
        Command::Emulator(_) => "info",
        _ => "warn",
    };
    let given = cli.log.as_deref().filter(|log| !log.is_empty());
    let level = given
        .map(str::parse)
        .transpose()
        .map_err(|error: FilterError| {
            let what = "log as --log or DATAVERSE_LISTENER_LOG says";
            Failure::new(Exit::Usage, what, &error)
        })?;
    let format = cli.log_format;
    Telemetry::start(telemetry::Config { level, format }, default)
        .map_err(|error| Failure::new(Exit::Software, "start logging", &error))
}

/// Help and version are no mistakes; everything else is one, with the exit code for it.
fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        return error
            .print()
            .map_or(Exit::InputOutput, |()| Exit::Fine)
            .into();
    }
    let secrets: Vec<String> = arguments.iter().filter_map(secret_in).collect();
    if secrets.is_empty() {
        // With colour where there is a terminal; when nobody is there to read it, nobody misses it.
        error.print().ok();
    } else {
        let shown = error.render().to_string();
        let masked = secrets
            .iter()
            .fold(shown, |text, secret| text.replace(secret, "***"));
        say(masked.trim_end());
    }
    Exit::Usage.into()
}

/// The part of an argument that looks like a connection string: a mistyped command line shows it.
fn secret_in(argument: &OsString) -> Option<String> {
    let text = argument.to_string_lossy();
    let lower = text.to_ascii_lowercase();
    let is_secret = ["sharedaccesskey=", "sharedaccesssignature", "sig="]
        .iter()
        .any(|mark| lower.contains(mark));
    let value = match text.split_once('=') {
        Some((option, value)) if option.starts_with("--") => value,
        _ => &text,
    };
    is_secret.then(|| value.to_owned())
}

impl Command {
    fn execute(self, telemetry: Arc<Telemetry>) -> Result<Exit, Failure> {
        match self {
            #[cfg(feature = "emulator")]
            Self::Demo(demo) => block_on(every_core(), demo.execute()),
            Self::Listen(listen) => block_on(THREADS, listen.execute()),
            Self::Status(ask) => block_on(THREADS, ask.execute()),
            Self::Health(check) => block_on(THREADS, check.execute()),
            Self::Run(run) => block_on(run.threads(), run.execute(telemetry)),
            Self::Check(check) => check.execute(),
            Self::Doctor(doctor) => block_on(THREADS, doctor.execute()),
            Self::Checkpoint(checkpoints) => block_on(THREADS, checkpoints.execute()),
            Self::Replay(again) => block_on(THREADS, again.execute()),
            Self::Redrive(redeliver) => block_on(THREADS, redeliver.execute()),
            Self::Decode(decode) => decode.execute(),
            #[cfg(feature = "emulator")]
            Self::Emulator(serve) => block_on(every_core(), serve.execute()),
            #[cfg(feature = "emulator")]
            Self::Simulate(simulate) => block_on(every_core(), simulate.execute()),
            Self::Schema(schema) => schema.execute(),
            Self::Man(man) => man.execute(),
            Self::Completions(completions) => completions.execute(),
        }
    }
}

/// Threads of a command that receives. An event passes through several tasks on its way: where each wakes
/// up another thread, that costs as much again as the event itself.
const THREADS: u16 = 1;

/// The hub at hand and its senders are no part of what they are measured by.
#[cfg(feature = "emulator")]
fn every_core() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.try_into().unwrap_or(u16::MAX)
}

fn block_on(
    threads: u16,
    command: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.into())
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::System, "start", &error))?;
    let outcome = runtime.block_on(command);
    // A write to a pipe that nobody reads can block for ever; the process does not wait for it.
    runtime.shutdown_background();
    outcome
}

/// What ends a command that runs until it is told to: SIGTERM and SIGINT.
fn shutdown_on_signals(grace: Duration) -> Result<Shutdown, Failure> {
    let shutdown = Shutdown::new(grace);
    shutdown
        .on_signals()
        .map_err(|error| Failure::new(Exit::System, "wait for signals", &error))?;
    Ok(shutdown)
}

/// A line for the person at the terminal. Nobody is left to tell when standard error is gone.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// So many of something: "1 event", "2 events".
fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        some => format!("{some} {noun}s"),
    }
}

/// The text, with what could do something to a terminal escaped: it comes out of files.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

/// What a command was asked for, on standard output. A reader that has seen enough is no failure.
fn print(text: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), Failure> {
    is_printed(text).map(drop)
}

/// The same; false where nobody reads it any more.
fn is_printed(text: &(impl AsRef<[u8]> + ?Sized)) -> Result<bool, Failure> {
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_ref())
        .and_then(|()| output.flush())
    {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(
            Exit::InputOutput,
            "write to standard output",
            &error,
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
