//! `redrive`: dead letters out of a file, delivered once more.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::configured::{Configured, VARIABLES};
use super::exit::{Exit, Failure};
use super::{counted, printable, say};
use crate::config::Config;
use crate::message::Content;
use crate::redrive::{Choice, Condition, Found, Redrive, RedriveError, Summary, What};
use crate::route::Filter;
use crate::settings::nearest;
use crate::shutdown::Shutdown;

/// Deliver dead letters once more, from a file to one sink
///
/// FILE is what a dead-letter sink of type file has written: one message document a line, with the reason
/// and the body in `dead_letter`. Archives may be given as they are (.gz, .zst). The bodies are decoded
/// anew and delivered in the order of the file, as the sink's own settings say.
///
/// How far that has come is kept in FILE.redriven, for each sink and each choice of lines by itself: to
/// give the same command again, whatever has ended it, goes on there. What was delivered in the last
/// second before a crash may be delivered again. FILE itself is never changed.
///
/// What the sink refuses again, and lines that are no dead letters, are written to FILE.refused before
/// they count as done; exit code 65 says so. Exit code 75: stopped before all was delivered.
///
/// A sink that pauses, as a webhook does after a status 410, goes on at SIGHUP.
///
/// A sink of type file must not be the one that a running daemon writes to.
#[derive(Debug, Args)]
#[command(after_long_help = VARIABLES)]
pub(super) struct Redeliver {
    /// The dead-letter file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    configured: Configured,

    /// The sink to deliver to, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    sink: String,

    /// Only what this sink refused; without it also what other sinks refused, and what could not be decoded
    #[arg(long, value_name = "NAME")]
    refused_by: Option<String>,

    /// Only what matches, as in message=Update,table=account|contact; != excludes. The keys are those of
    /// a route; columns are attribute.NAME, properties property.NAME
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,

    /// Print what would be delivered, a line each, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// How long what is under way may take after a signal.
const GRACE: Duration = Duration::from_secs(20);

impl Redeliver {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let Config {
            sinks,
            dead_letter,
            decode,
            ..
        } = self.configured.load()?;
        if dead_letter.sink.as_deref() == Some(&self.sink) {
            let text = format!(
                "\"{}\" is the dead-letter sink, where these came from; name another one",
                self.sink
            );
            return Err(Failure::plain(Exit::Usage, text));
        }
        let condition = self.filter.map(|text| condition(&text)).transpose()?;
        let names: Vec<String> = sinks.iter().map(|sink| sink.name.clone()).collect();
        let sink = sinks.into_iter().find(|sink| sink.name == self.sink);
        let Some(sink) = sink else {
            return Err(unknown_sink(&self.sink, &names));
        };
        let kept = format!(", now in {}.refused", self.file.display());
        let redrive = Redrive {
            file: self.file,
            sink,
            choice: Choice {
                refused_by: self.refused_by,
                condition,
            },
            decode,
        };
        if self.dry_run {
            let summary = redrive.rehearse(print).map_err(|error| failure(&error))?;
            say(&told(&summary, &self.sink, "would be delivered", ""));
            return Ok(exit(&summary));
        }
        // A sink that pauses until SIGHUP must live to hear it.
        let shutdown = Shutdown::new(GRACE);
        shutdown
            .on_signals_of_a_daemon()
            .map_err(|error| Failure::new(Exit::System, "wait for signals", &error))?;
        let summary = redrive
            .run(&shutdown)
            .await
            .map_err(|error| failure(&error))?;
        say(&told(&summary, &self.sink, "delivered", &kept));
        Ok(exit(&summary))
    }
}

fn condition(text: &str) -> Result<Condition, Failure> {
    let filter = Filter::parse_where(text)
        .map_err(|reason| Failure::plain(Exit::Usage, format!("--where: {reason}")))?;
    Ok(Condition::new(text, move |message| filter.matches(message)))
}

pub(super) fn unknown_sink(name: &str, known: &[String]) -> Failure {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let text = match nearest(name, &known) {
        Some(near) => format!("there is no sink \"{name}\"; did you mean \"{near}\"?"),
        None => format!("there is no sink \"{name}\"; there is {}", known.join(", ")),
    };
    Failure::plain(Exit::Usage, text)
}

/// One line for a person: which event it is, and why it is here.
fn print(found: &Found) -> io::Result<()> {
    let shown = match &found.what {
        What::LeftOut => return Ok(()),
        What::Damaged(reason) => reason.clone(),
        What::Unfinished => "is not at its end".to_owned(),
        What::Chosen(dead) => {
            let context = dead.message.context();
            let parts = context.map(|context| {
                [
                    context.message_name(),
                    context.primary_entity_name(),
                    context.row_id(),
                ]
            });
            let event: Vec<&str> = match &parts {
                Some(parts) => parts.iter().filter_map(|part| *part).collect(),
                None if matches!(dead.message.content, Content::Foreign(_)) => vec!["foreign"],
                None => vec!["undecodable"],
            };
            let by = dead.sink.as_deref().unwrap_or("nobody");
            printable(&format!(
                "{}, refused by {by}: {}",
                event.join(" "),
                dead.reason
            ))
        }
    };
    writeln!(io::stdout(), "line {}: {shown}", found.line)
}

/// What was done, in a sentence; `kept` tells where what could not be delivered is now.
fn told(summary: &Summary, sink: &str, verb: &str, kept: &str) -> String {
    let delivered = counted(summary.delivered, "event");
    let mut told = vec![format!("{delivered} {verb} to \"{sink}\"")];
    for (count, noun, behind) in [
        (summary.refused, "event", format!(" refused again{kept}")),
        (summary.damaged, "damaged line", kept.to_owned()),
        (summary.left_out, "line", " left out".to_owned()),
        (summary.before, "line", " done before".to_owned()),
    ] {
        if count > 0 {
            told.push(format!("{}{behind}", counted(count, noun)));
        }
    }
    told.extend(summary.unfinished.map(|line| {
        format!("line {line} is not at its end, for it is still being written or was torn, and stays where it is")
    }));
    if !summary.is_complete {
        told.push("there is more: give the same command again".to_owned());
    }
    told.join("; ")
}

fn exit(summary: &Summary) -> Exit {
    let is_flawed = summary.refused > 0 || summary.damaged > 0 || summary.unfinished.is_some();
    match summary.is_complete {
        false if summary.is_closed => Exit::InputOutput,
        false => Exit::TryAgain,
        true if is_flawed => Exit::Data,
        true => Exit::Fine,
    }
}

fn failure(error: &RedriveError) -> Failure {
    let exit = match error {
        RedriveError::Read { source, .. } => match source.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof => Exit::Data,
            _ => Exit::NoInput,
        },
        RedriveError::InUse { .. } => Exit::TryAgain,
        RedriveError::Changed { .. } | RedriveError::Progress { .. } => Exit::Data,
        RedriveError::Write { .. } | RedriveError::Sink { .. } => Exit::InputOutput,
        RedriveError::Panicked(_) => Exit::Software,
    };
    Failure::new(exit, "redrive", error)
}
