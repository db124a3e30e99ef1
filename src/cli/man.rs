//! `man`: the manual pages, made of the same texts as `--help`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Args, Command, CommandFactory};
use clap_mangen::roff::{Roff, bold, roman};

use super::configured::WHERE;
use super::exit::{self, Exit, Failure};
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

/// The heading that clap_mangen gives to what the help of a command ends with.
const EXTRA: &str = ".SH EXTRA\n";

/// What the daemon does when it is told something.
const SIGNALS: [(&str, &str); 2] = [
    (
        "SIGTERM, SIGINT",
        "It stops receiving, delivers what it has for as long as --grace says, and ends. A second one ends it at once.",
    ),
    (
        "SIGHUP",
        "It opens files anew, lets a paused sink go on, and reads the configuration again.",
    ),
];

impl Man {
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        // `help` has no page.
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        if let Some(directory) = &self.directory {
            write(&command, directory).map_err(|error| {
                let what = format!("write the pages into {}", directory.display());
                Failure::new(Exit::InputOutput, &what, &error)
            })?;
            return Ok(Exit::Fine);
        }
        let (_, page) = page(&command)
            .map_err(|error| Failure::new(Exit::Software, "make the page", &error))?;
        print(&page)?;
        Ok(Exit::Fine)
    }
}

/// Writes the pages of a command and of those below it.
fn write(command: &Command, directory: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        write(below, directory)?;
    }
    let (name, page) = page(command)?;
    fs::write(directory.join(name), page)
}

/// The name of a command's page, and the page: what clap knows, and then what it does not.
fn page(command: &Command) -> io::Result<(String, String)> {
    let program = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command.clone()).source(program);
    let mut known = Vec::new();
    man.render(&mut known)?;
    let known = String::from_utf8_lossy(&known);
    let mut page = match known.split_once(EXTRA) {
        Some((before, rest)) if command.get_name() == "emulator" => {
            format!("{before}.SH COMMANDS\n.nf\n{rest}.fi\n")
        }
        Some((before, rest)) => format!("{before}.SH ENVIRONMENT\n{}", paragraphs(rest)),
        None => known.into_owned(),
    };
    page.push_str(&rest(command).to_roff());
    Ok((man.get_filename(), page))
}

/// What the help says of variables, without its first line, which says no more than the heading. roff makes paragraphs of
/// lines that begin with no space.
fn paragraphs(help: &str) -> String {
    let flush = |line: &str| match line.strip_prefix("  ") {
        Some(prose) if !prose.starts_with(' ') => format!("{prose}\n"),
        _ => format!("{line}\n"),
    };
    help.lines().skip(1).map(flush).collect()
}

fn rest(command: &Command) -> Roff {
    let mut rest = Roff::new();
    let is_first = command.get_name() == env!("CARGO_PKG_NAME");
    rest.control("SH", ["EXIT STATUS"]);
    match is_first {
        true => list(
            &mut rest,
            exit::CODES.map(|(exit, text)| (format!("{}", exit as u8), text)),
        ),
        false => drop(rest.text([roman("See dataverse-listener(1).")])),
    }
    let is_daemon = command.get_name() == "run";
    if is_daemon {
        rest.control("SH", ["SIGNALS"]);
        list(
            &mut rest,
            SIGNALS.map(|(name, text)| (name.to_owned(), text)),
        );
    }
    if is_first || is_daemon {
        rest.control("SH", ["FILES"]);
        let text =
            "The configuration, where a command that needs one is not given another by --config.";
        list(&mut rest, [(WHERE.to_owned(), text)]);
    }
    rest
}

/// Terms, each with what it means.
fn list<const N: usize>(roff: &mut Roff, terms: [(String, &str); N]) {
    for (term, meaning) in terms {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(meaning.replace('`', ""))]);
    }
}
