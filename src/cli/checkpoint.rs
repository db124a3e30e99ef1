//! `checkpoint`: how far each partition was delivered, shown to people and changed by them.

mod archive;
mod change;
mod choice;
mod table;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::configured::{Configured, VARIABLES};
use super::exit::{Exit, Failure};
use super::{counted, print, say};
use crate::causes::Causes;
use crate::checkpoint::{Checkpoint, CheckpointError, Entry};
use crate::event::PartitionId;
use crate::receiver::StartPosition;
use change::{Change, Rehearsal};
use choice::Choice;

/// Show or change how far each partition was delivered
///
/// Works on the store that `[checkpoint]` of the configuration names. `list` and `export` may be used while
/// the daemon runs; the others are refused then, with exit code 75.
#[derive(Debug, Args)]
pub(super) struct Checkpoints {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
    Set(Set),
    Reset(Reset),
    Export(Export),
    Import(Import),
}

/// Print every checkpoint
///
/// SEQUENCE NUMBER and OFFSET are those of the last event that was delivered. A partition that is not
/// listed begins at `start` of its `[[hub]]`. Exit code 65 when one of them is damaged.
#[derive(Debug, Args)]
#[command(after_long_help = VARIABLES)]
struct List {
    #[command(flatten)]
    configured: Configured,

    #[command(flatten)]
    choice: Choice,

    /// Columns for a person, or one JSON document a line
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Let partitions go on somewhere else
///
/// Prints what each checkpoint was and what it is now. Going back delivers events again; going ahead
/// leaves out what lies between.
#[derive(Debug, Args)]
#[command(after_long_help = VARIABLES)]
struct Set {
    #[command(flatten)]
    configured: Configured,

    #[command(flatten)]
    choice: Choice,

    /// Where to go on, as for `start`: sequence:N (the next event is N), offset:X (the next event is the one
    /// after it), time:2026-01-31T12:00:00Z (the next event is the first from then on), or earliest
    #[arg(long, value_name = "POSITION", value_parser = position, allow_hyphen_values = true)]
    to: Checkpoint,

    #[command(flatten)]
    rehearsal: Rehearsal,
}

/// Forget checkpoints, so that partitions begin at `start` of their `[[hub]]`
///
/// Prints what each checkpoint was. Damaged ones can be reset too.
#[derive(Debug, Args)]
#[command(after_long_help = VARIABLES)]
struct Reset {
    #[command(flatten)]
    configured: Configured,

    #[command(flatten)]
    choice: Choice,

    /// Every partition, of every hub where no other is chosen
    #[arg(long, conflicts_with = "partitions")]
    all: bool,

    #[command(flatten)]
    rehearsal: Rehearsal,
}

/// Write every checkpoint into one JSON document
///
/// Refused with exit code 65 when one of them is damaged: a copy that lacks one is no copy.
#[derive(Debug, Args)]
#[command(after_long_help = VARIABLES)]
struct Export {
    #[command(flatten)]
    configured: Configured,

    #[command(flatten)]
    choice: Choice,

    /// Where to write it [default: standard output]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Bring back the checkpoints of an exported document
///
/// All of it is checked before anything is changed. Checkpoints that are not in the document stay as
/// they are. Prints what each that changes was and what it is now.
#[derive(Debug, Args)]
#[command(after_long_help = VARIABLES)]
struct Import {
    #[command(flatten)]
    configured: Configured,

    #[command(flatten)]
    choice: Choice,

    /// The document, - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    rehearsal: Rehearsal,
}

fn position(text: &str) -> Result<Checkpoint, String> {
    let start: StartPosition = text
        .parse()
        .map_err(|error: crate::receiver::PositionError| error.to_string())?;
    Checkpoint::try_from(start).map_err(|error| error.to_string())
}

impl Checkpoints {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        match self.action {
            Action::List(list) => list.execute(),
            Action::Set(set) => set.execute().await,
            Action::Reset(reset) => reset.execute().await,
            Action::Export(export) => export.execute(),
            Action::Import(import) => import.execute().await,
        }
    }
}

impl List {
    fn execute(self) -> Result<Exit, Failure> {
        let store = self.configured.load()?.checkpoint;
        let mut entries = store.list().map_err(|error| failure("list", &error))?;
        entries.retain(|entry| self.choice.includes(&entry.source, &entry.partition));
        if entries.is_empty() {
            say("there is no such checkpoint yet");
            return Ok(Exit::Fine);
        }
        let shown = match self.format {
            Format::Table => table::columns(&entries),
            Format::Json => table::lines(&entries)
                .map_err(|error| Failure::new(Exit::Software, "list checkpoints", &error))?,
        };
        print(&shown)?;
        let mut exit = Exit::Fine;
        for error in unreadable(&entries) {
            say(&Causes(error).to_string());
            exit = Failure::exit_of_checkpoints(error);
        }
        Ok(exit)
    }
}

impl Set {
    async fn execute(self) -> Result<Exit, Failure> {
        let config = self.configured.load()?;
        let source = self.choice.one_of(&config.hubs)?;
        if self.choice.partitions.is_empty() {
            let text =
                "no partition to set; choose with --partition, which may be given several times";
            return Err(Failure::plain(Exit::Usage, text));
        }
        let (to, partitions) = (self.to, self.choice.partitions);
        let plan = |entries: &[Entry]| {
            let change =
                |partition: &PartitionId| Change::of(entries, &source, partition, Some(to.clone()));
            Ok(partitions.iter().map(change).collect())
        };
        self.rehearsal
            .perform("set", &config.checkpoint, plan)
            .await
    }
}

impl Reset {
    async fn execute(self) -> Result<Exit, Failure> {
        let store = self.configured.load()?.checkpoint;
        let choice = self.choice;
        if choice.partitions.is_empty() && !self.all {
            let text = "no partition to reset; choose with --partition, or all of them with --all";
            return Err(Failure::plain(Exit::Usage, text));
        }
        let plan = |entries: &[Entry]| {
            let chosen = choice.of_entries(entries)?;
            let change = |entry: &Entry| Change::of(entries, &entry.source, &entry.partition, None);
            Ok(chosen.into_iter().map(change).collect())
        };
        self.rehearsal.perform("reset", &store, plan).await
    }
}

impl Export {
    fn execute(self) -> Result<Exit, Failure> {
        let store = self.configured.load()?.checkpoint;
        let mut entries = store.list().map_err(|error| failure("export", &error))?;
        entries.retain(|entry| self.choice.includes(&entry.source, &entry.partition));
        if let Some(error) = unreadable(&entries).next() {
            return Err(failure("export", error));
        }
        let records: Vec<_> = entries
            .into_iter()
            .filter_map(|entry| entry.found.ok())
            .collect();
        archive::write(&records, self.file.as_deref())?;
        if self.file.is_some() {
            let exported = counted(records.len() as u64, "checkpoint");
            say(&format!("{exported} exported"));
        }
        Ok(Exit::Fine)
    }
}

impl Import {
    async fn execute(self) -> Result<Exit, Failure> {
        let store = self.configured.load()?.checkpoint;
        let mut records = archive::read(&self.file)?;
        records.retain(|record| self.choice.includes(&record.source, &record.partition));
        let plan = |entries: &[Entry]| {
            let changes = records.iter().map(|record| {
                let checkpoint = Some(record.checkpoint.clone());
                Change::of(entries, &record.source, &record.partition, checkpoint)
            });
            Ok(changes.collect())
        };
        self.rehearsal.perform("import", &store, plan).await
    }
}

fn unreadable(entries: &[Entry]) -> impl Iterator<Item = &CheckpointError> {
    entries
        .iter()
        .filter_map(|entry| entry.found.as_ref().err())
}

fn failure(action: &str, error: &CheckpointError) -> Failure {
    let exit = Failure::exit_of_checkpoints(error);
    Failure::new(exit, &format!("{action} checkpoints"), error)
}
