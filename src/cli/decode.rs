//! `decode`: bodies from files, context documents on standard output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::say;
use crate::context::WireFormat;
use crate::decoder::{Decoded, Decoder, Hint, Limits};
use crate::pretty;
use crate::sink::Color;

/// Decode bodies from files, without a hub
///
/// Each FILE holds one body as Dataverse posts it. Prints one line for each: the context document.
/// A body that does not decode gives a line on standard error and, in the end, exit code 65; the other
/// files are decoded all the same. A body may have 32 MiB here; how much the daemon takes is in the table
/// decode of its configuration.
#[derive(Debug, Args)]
pub(super) struct Decode {
    /// The format of the bodies; auto looks at each
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    format: Format,

    /// How a context is printed
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    output: Output,

    /// The files, - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Auto,
    Json,
    Xml,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Json,
    Pretty,
}

/// No event is larger than 20 MB on any tier of Event Hubs, so neither is a body worth reading.
const LARGEST: u64 = 32 << 20;

/// Whoever looks at single bodies has room for each, also where a daemon has not.
const LIMITS: Limits = Limits {
    size: LARGEST as usize,
    nesting: Limits::MAX_NESTING,
    attributes: 10_000_000,
    expansion: 1 << 30,
};

impl Decode {
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        let mut exit = Exit::Fine;
        let is_colored = Color::detect() == Color::Always;
        let mut output = io::BufWriter::new(io::stdout().lock());
        for file in &self.files {
            let printed = match self.decode(file) {
                Ok(decoded) => self.print(&decoded, is_colored, &mut output),
                Err((worse, reason)) => {
                    say(&format!("{}: {reason}", file.display()));
                    if exit != Exit::Data {
                        exit = worse;
                    }
                    Ok(())
                }
            };
            if let Err(error) = printed {
                return gone(&error, exit);
            }
        }
        output
            .flush()
            .map_or_else(|error| gone(&error, exit), |()| Ok(exit))
    }

    fn decode(&self, path: &Path) -> Result<Decoded, (Exit, String)> {
        let body =
            read(path).map_err(|error| (Exit::NoInput, format!("cannot be read: {error}")))?;
        let format = match self.format {
            Format::Auto => None,
            Format::Json => Some(WireFormat::Json),
            Format::Xml => Some(WireFormat::Xml),
            Format::Binary => Some(WireFormat::Binary),
        };
        let decoder = Decoder {
            limits: LIMITS,
            format,
        };
        let decoded = decoder.decode(&body, Hint::default());
        decoded.map_err(|error| (Exit::Data, error.to_string()))
    }

    fn print(
        &self,
        decoded: &Decoded,
        is_colored: bool,
        output: &mut impl Write,
    ) -> io::Result<()> {
        // Without an event nobody has flagged it: the context itself tells whether it is truncated.
        let document = decoded.document(false);
        match self.output {
            Output::Json => serde_json::to_writer(&mut *output, &document)?,
            Output::Pretty => pretty::write_context(&document, is_colored, output)?,
        }
        output.write_all(b"\n")
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path)?)
    };
    source.take(LARGEST + 1).read_to_end(&mut body)?;
    if body.len() as u64 > LARGEST {
        return Err(io::Error::other(format!(
            "larger than {LARGEST} bytes, and so no body of an event"
        )));
    }
    Ok(body)
}

/// A reader that has seen enough is no failure.
fn gone(error: &io::Error, exit: Exit) -> Result<Exit, Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(exit),
        _ => Err(Failure::new(
            Exit::InputOutput,
            "write to standard output",
            error,
        )),
    }
}
