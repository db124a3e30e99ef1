//! Exit codes, from `sysexits.h`, and the one line that says what went wrong.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::app::AppError;
use crate::causes::Causes;
use crate::checkpoint::CheckpointError;
use crate::config::ConfigError;
use crate::receiver::ReceiverError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything was done.
    Fine = 0,
    /// The daemon that was asked is not healthy, or not there: what Docker and scripts expect of a check.
    Unhealthy = 1,
    /// EX_USAGE: the command line is wrong.
    Usage = 64,
    /// EX_DATAERR: some input could not be decoded, or is damaged.
    Data = 65,
    /// EX_NOINPUT: a file could not be read.
    NoInput = 66,
    /// EX_UNAVAILABLE: a server does not answer, or does not have what was asked for.
    Unavailable = 69,
    /// EX_SOFTWARE: a fault of this program.
    Software = 70,
    /// EX_OSERR: the system refused something that should work.
    System = 71,
    /// EX_IOERR: output could not be written.
    InputOutput = 74,
    /// EX_TEMPFAIL: to be tried again: stopped before everything was delivered, or what is needed is in
    /// use.
    TryAgain = 75,
    /// EX_NOPERM: a key or token was refused.
    NoPermission = 77,
    /// EX_CONFIG: the configuration is wrong.
    Config = 78,
}

/// Every exit code with what it says, as the README has it too.
pub(super) const CODES: [(Exit, &str); 12] = [
    (
        Exit::Fine,
        "done, or stopped as asked, also where the grace period of `run` was too short for all that it had; a reader that closed the pipe of a command has seen enough",
    ),
    (
        Exit::Unhealthy,
        "of `health`: the daemon is not healthy, or does not answer",
    ),
    (
        Exit::Usage,
        "the command line or the connection string is wrong",
    ),
    (
        Exit::Data,
        "some body could not be decoded; a checkpoint is damaged; `redrive` and `replay`: something was refused",
    ),
    (
        Exit::NoInput,
        "a file could not be read, or an argument of `decode` names none",
    ),
    (
        Exit::Unavailable,
        "the hub, group or partition does not exist, cannot be reached, or refuses to be read; of `status`: the daemon does not answer",
    ),
    (Exit::Software, "a fault of this program"),
    (Exit::System, "the system refused something"),
    (
        Exit::InputOutput,
        "output could not be written; of `run`, also: whoever read it has closed the pipe",
    ),
    (
        Exit::TryAgain,
        "before everything was delivered, a second signal ended `run`, or the first one `replay` or `redrive`; the checkpoints, or the address for HTTP, are in use by another process",
    ),
    (Exit::NoPermission, "the key or token was refused"),
    (Exit::Config, "the configuration is wrong"),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended early: a sentence without secrets, and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    text: String,
    /// Each thing to correct, where the configuration is wrong.
    mistakes: Vec<String>,
}

impl Failure {
    /// "cannot `what`: `error`", with the causes of the error behind it.
    pub(super) fn new(exit: Exit, what: &str, error: &dyn Error) -> Self {
        Self::plain(exit, format!("cannot {what}: {}", Causes(error)))
    }

    /// A failure that needs no cause.
    pub(super) fn plain(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
            mistakes: Vec::new(),
        }
    }

    /// A configuration with mistakes.
    pub(super) fn of_config(error: &ConfigError) -> Self {
        Self {
            mistakes: error.mistakes.iter().map(ToString::to_string).collect(),
            ..Self::plain(Exit::Config, "the configuration is wrong")
        }
    }

    /// Logs it: each mistake as a line, or the whole. False where the level leaves out even that.
    pub(super) fn log(&self) -> bool {
        let exit_code = self.exit as u8;
        for mistake in &self.mistakes {
            tracing::error!(exit_code, "{}: {mistake}", self.text);
        }
        if self.mistakes.is_empty() {
            tracing::error!(exit_code, "{}", self.text);
        }
        tracing::enabled!(tracing::Level::ERROR)
    }

    /// A failure of receiving.
    pub(super) fn of_app(what: &str, error: &AppError) -> Self {
        let exit = match error {
            AppError::Sink { .. } | AppError::SinkFailed { .. } => Exit::InputOutput,
            AppError::Store(error) | AppError::Checkpoint { source: error, .. } => {
                Self::exit_of_checkpoints(error)
            }
            AppError::Receiver(error) => Self::exit_of(error),
            AppError::NoSuchPartition { .. } => Exit::Unavailable,
            AppError::Http { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Exit::TryAgain
            }
            AppError::Http { .. } | AppError::Otlp(_) => Exit::System,
            AppError::Panicked(_) => Exit::Software,
        };
        Self::new(exit, what, error)
    }

    pub(super) fn exit_of_checkpoints(error: &CheckpointError) -> Exit {
        match error {
            CheckpointError::Locked { .. } => Exit::TryAgain,
            CheckpointError::Unavailable { .. } => Exit::InputOutput,
            CheckpointError::Damaged { .. } => Exit::Data,
            CheckpointError::NotKept => Exit::Config,
        }
    }

    pub(super) fn exit_of(error: &ReceiverError) -> Exit {
        match error {
            ReceiverError::Unauthorized { .. } => Exit::NoPermission,
            _ => Exit::Unavailable,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        let mut mistakes = self.mistakes.iter();
        mistakes.try_for_each(|mistake| write!(f, "\n{mistake}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_same_exit_codes() {
        let (_, section) = include_str!("../../README.md")
            .split_once("\n## Exit codes\n")
            .unwrap();
        let listed = section.lines().take_while(|line| !line.starts_with('#'));
        let listed: Vec<&str> = listed.filter(|line| line.starts_with("| ")).collect();
        let lines = CODES.map(|(exit, text)| format!("| {} | {text} |", exit as u8));
        assert_eq!(listed[1..], lines);
    }
}
