//! `decode`: bodies from files, context documents on standard output.

mod inputs;
mod reading;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::dictionary::Strings;
use super::exit::{Exit, Failure};
use super::{printable, say};
use crate::capture::{Capture, CaptureError, Record};
use crate::context::{Document, WireFormat};
use crate::decoder::{Decoder, Hint, Limits, Outcome};
use crate::message::{Captured, Said};
use crate::pretty;
use crate::sink::Color;
use inputs::Input;
use reading::{LARGEST, Source};

/// Decode bodies from files, without a hub
///
/// Each FILE holds one body as Dataverse posts it, or is a file of Event Hubs Capture (Avro) with many.
/// Prints one line for each body: the context document; of a captured event the message document, as far as
/// the file knows it. A body that does not decode gives a line on standard error and, in the end, exit code
/// 65, and a file that cannot be read exit code 66; the others are decoded all the same. JSON that is no
/// context is printed as the event of others that it is. A body may have 32 MiB here; how much the daemon
/// takes is in the table decode of its configuration.
#[derive(Debug, Args)]
pub(super) struct Decode {
    /// The format of the bodies; auto looks at each
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    format: Format,

    #[command(flatten)]
    strings: Strings,

    /// How a context is printed: as JSON, for a person, or as what was and what is, column by column
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    output: Output,

    /// Say before each body what was found in it and what told it: format, encoding, message, what no contract
    /// declares, notes. With --output json that goes to standard error
    #[arg(long)]
    explain: bool,

    /// Files, - for standard input, directories for all files in them, and patterns: 'bodies/**/*.json'
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Whoever looks at single bodies has room for each, also where a daemon has not.
const LIMITS: Limits = Limits {
    size: LARGEST as usize,
    nesting: Limits::MAX_NESTING,
    attributes: 10_000_000,
    expansion: 1 << 30,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Auto,
    Json,
    Xml,
    Binary,
}

impl Format {
    /// The format that was named; `None` where each body is looked at.
    fn named(self) -> Option<WireFormat> {
        match self {
            Self::Auto => None,
            Self::Json => Some(WireFormat::Json),
            Self::Xml => Some(WireFormat::Xml),
            Self::Binary => Some(WireFormat::Binary),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Json,
    Pretty,
    Diff,
}

impl Decode {
    pub(super) fn execute(self) -> Result<Exit, Failure> {
        let decoder = Decoder {
            limits: LIMITS,
            format: self.format.named(),
            dictionary: self.strings.read()?,
        };
        let inputs: Vec<Input> = self.files.into_iter().map(Input::new).collect();
        let mut decoding = Decoding {
            decoder,
            output: self.output,
            is_explained: self.explain,
            is_headed: inputs.len() > 1 || inputs.iter().any(Input::is_several),
            is_colored: Color::detect() == Color::Always,
            exit: Exit::Fine,
            page: io::BufWriter::new(io::stdout().lock()),
        };
        let written = inputs
            .into_iter()
            .flat_map(Input::files)
            .try_for_each(|found| match found {
                Ok(path) => decoding.file(&path),
                Err((path, error)) => decoding.miss(Exit::NoInput, path.display(), error),
            })
            .and_then(|()| decoding.page.flush());
        match written {
            Ok(()) => Ok(decoding.exit),
            // A reader that has seen enough is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(decoding.exit),
            Err(error) => Err(Failure::new(
                Exit::InputOutput,
                "write to standard output",
                &error,
            )),
        }
    }
}

/// A body on its way to standard output.
struct Body<'a> {
    /// The file, and behind # the number of a captured event.
    name: String,
    bytes: &'a [u8],
    hint: Hint<'a>,
    record: Option<&'a Record>,
}

/// What is done with each body, and how it went so far. An error is one of standard output.
struct Decoding<W> {
    decoder: Decoder,
    output: Output,
    is_explained: bool,
    is_headed: bool,
    is_colored: bool,
    exit: Exit,
    page: W,
}

impl<W: Write> Decoding<W> {
    /// Tells what is missing from the output and why.
    fn miss(
        &mut self,
        exit: Exit,
        name: impl fmt::Display,
        reason: impl fmt::Display,
    ) -> io::Result<()> {
        // What was printed before it comes before it also where both go to one terminal.
        self.page.flush()?;
        say(&printable(&format!("{name}: {reason}")));
        if self.exit != Exit::Data {
            self.exit = exit;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> io::Result<()> {
        let name = path.display();
        match reading::read(path) {
            Ok(Source::Body(bytes)) => self.body(&Body {
                name: name.to_string(),
                bytes: &bytes,
                hint: Hint::default(),
                record: None,
            }),
            Ok(Source::Capture(capture)) => match *capture {
                Ok(capture) => self.capture(path, capture),
                Err(error) => self.broken(path, &error),
            },
            Err(error) => self.miss(Exit::NoInput, name, format_args!("cannot be read: {error}")),
        }
    }

    fn capture(&mut self, path: &Path, capture: Capture<impl io::Read>) -> io::Result<()> {
        for record in capture {
            let record = match record {
                Ok(record) => record,
                Err(error) => return self.broken(path, &error),
            };
            let name = format!("{}#{}", path.display(), record.sequence_number);
            let bytes = record.body.as_deref().unwrap_or_default();
            if bytes.len() as u64 > LARGEST {
                self.miss(Exit::Data, name, reading::too_large())?;
                continue;
            }
            if record.enqueued_at().is_none() {
                self.miss(
                    Exit::Data,
                    &name,
                    format_args!(
                        "EnqueuedTimeUtc is no time: {:?}; enqueued_time is left out",
                        record.enqueued_time.chars().take(40).collect::<String>()
                    ),
                )?;
            }
            self.body(&Body {
                name,
                bytes,
                hint: record.hint(),
                record: Some(&record),
            })?;
        }
        Ok(())
    }

    fn broken(&mut self, path: &Path, error: &CaptureError) -> io::Result<()> {
        let exit = match error {
            CaptureError::Unreadable { .. } => Exit::NoInput,
            _ => Exit::Data,
        };
        self.miss(exit, path.display(), error)
    }

    fn body(&mut self, body: &Body<'_>) -> io::Result<()> {
        let outcome = self.decoder.read(body.bytes, body.hint);
        let captured = body.record.map(|record| Captured::new(record, &outcome));
        let said = match (&captured, &outcome) {
            (Some(captured), _) => captured.content.ok(),
            // Without an event nobody has flagged it: the context itself tells whether it is truncated.
            (None, Ok(Outcome::Context(decoded))) => Some(Said::Context(decoded.document(false))),
            (None, Ok(Outcome::Foreign(foreign))) => Some(Said::Foreign(foreign)),
            (None, Err(_)) => None,
        };
        let document = said.and_then(|said| said.document());
        let is_page = self.output != Output::Json;
        if is_page
            && (self.is_headed || captured.is_some())
            && (self.is_explained || said.is_some())
        {
            pretty::write_heading(&body.name, self.is_colored, &mut self.page)?;
        }
        if self.is_explained {
            self.explain(body, document.as_ref())?;
        }
        match (self.output, captured, &said) {
            (Output::Json, Some(captured), _) => {
                serde_json::to_writer(&mut self.page, &captured)?;
                self.page.write_all(b"\n")?;
            }
            (_, _, Some(Said::Context(document))) => self.print(document)?,
            (Output::Json, None, Some(Said::Foreign(foreign))) => {
                writeln!(self.page, "{{\"foreign\":{}}}", foreign.json.get())?;
            }
            (Output::Pretty | Output::Diff, _, Some(Said::Foreign(foreign))) => {
                pretty::write_foreign(foreign.json.get(), self.is_colored, &mut self.page)?;
                self.page.write_all(b"\n")?;
            }
            (_, _, None) => {}
        }
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => self.miss(Exit::Data, &body.name, error),
        }
    }

    fn print(&mut self, document: &Document<'_>) -> io::Result<()> {
        let page = &mut self.page;
        match self.output {
            Output::Json => serde_json::to_writer(&mut *page, document)?,
            Output::Pretty => pretty::write_context(document, self.is_colored, page)?,
            Output::Diff => pretty::write_diff(document, self.is_colored, page)?,
        }
        page.write_all(b"\n")
    }

    /// Says what is known of a body: above it, or where standard output is for programs, on standard error.
    fn explain(&mut self, body: &Body<'_>, document: Option<&Document<'_>>) -> io::Result<()> {
        if self.output == Output::Json {
            self.page.flush()?;
        }
        let facts = pretty::facts(body.bytes, body.hint, &self.decoder, document);
        for pretty::Fact { about, text } in facts {
            match self.output {
                Output::Json => say(&printable(&format!("{}: {about}: {text}", body.name))),
                Output::Pretty | Output::Diff => {
                    writeln!(self.page, "  {about:14}  {text}")?;
                }
            }
        }
        Ok(())
    }
}
