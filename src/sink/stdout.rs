//! The sink that prints: pretty for people, one document a line for programs, or the bodies as they came.
//!
//! A line that a crash cut short is ended before the first event is printed, where standard output is a
//! file. What is already in a pipe nobody can see: there a reader that outlives the daemon must itself take
//! half a line and what follows it apart.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;

use super::body::BodyError;
use super::write::write;
use super::{Body, Delivery, DeliveryError, Progress, Queue, Sink, SinkConfig, SinkWorker, spawn};
use crate::causes::Causes;
use crate::pretty;
use crate::settings::{Mistake, Settings};

/// The settings of a sink of type `stdout`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stdout {
    /// How a message is printed.
    pub format: Format,
    /// What of a message is printed, where that is not for a person.
    pub body: Body,
    /// Whether pretty output is coloured.
    pub color: Color,
    /// Close after that many events; none for never. Only commands set it, never a file.
    pub events: Option<u64>,
    /// Somebody is watching: output that cannot be written ends the sink instead of being tried again.
    pub is_watched: bool,
}

/// How a message is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A few lines for a person.
    Pretty,
    /// The message as one JSON document a line.
    // A sink with another `body` prints that instead.
    #[default]
    Json,
    /// The body as it was received, and a line feed.
    Original,
}

/// Whether pretty output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Color {
    /// Plain text.
    #[default]
    Never,
    /// With ANSI escapes.
    Always,
}

impl Color {
    /// Colour on a terminal, unless the user set NO_COLOR to anything (<https://no-color.org>).
    pub(crate) fn detect() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if io::stdout().is_terminal() && !refused {
            Self::Always
        } else {
            Self::Never
        }
    }
}

impl Format {
    /// What suits whoever reads: pretty on a terminal, JSON elsewhere.
    pub(crate) fn detect() -> Self {
        if io::stdout().is_terminal() {
            Self::Pretty
        } else {
            Self::Json
        }
    }
}

pub(super) fn parse(mut settings: Settings) -> (Box<dyn SinkConfig>, Vec<Mistake>) {
    let format = settings.choice_or_default("format");
    let body = settings.choice::<Body>("body");
    if format == Format::Json && body.is_none() {
        settings.choice_in_force("body", &Body::default());
    }
    match (format, body) {
        (Format::Pretty, Some(_)) => settings.mistake(
            "body",
            "has no meaning with format = \"pretty\"; leave out one of the two",
        ),
        (Format::Original, Some(Body::Message | Body::Context | Body::CloudEvent)) => settings
            .mistake(
                "body",
                "contradicts format = \"original\"; leave out one of the two",
            ),
        _ => {}
    }
    let stdout = Stdout {
        format,
        body: body.unwrap_or_default(),
        color: Color::detect(),
        ..Stdout::default()
    };
    (Box::new(stdout), settings.finish())
}

impl SinkConfig for Stdout {
    fn start(self: Box<Self>, queue: Queue) -> io::Result<SinkWorker> {
        // Past the standard library's line buffering, to know exactly what was written.
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(spawn(Printer::new(*self, output), queue))
    }

    fn claim(&self) -> Option<String> {
        Some("standard output".to_owned())
    }

    fn unfit_for_dead_letters(&self) -> Option<&'static str> {
        let is_fit = self.format == Format::Json && self.body == Body::Message;
        (!is_fit).then_some(
            "it takes format = \"json\" and body = \"message\" to keep the reason and the body",
        )
    }
}

/// Rendered text is written in pieces of about this many bytes.
const PIECE: usize = 1 << 20;

/// The beginning of a batch, as it is printed.
#[derive(Debug, Default)]
struct Rendered {
    text: Vec<u8>,
    /// Where each message ends in it.
    ends: Vec<usize>,
    /// Why the message behind them cannot be printed, where that is why it ends here.
    refused: Option<BodyError>,
}

#[derive(Debug)]
struct Printer {
    settings: Stdout,
    /// Absent while a write is under way on another thread.
    output: Option<File>,
    /// True when nothing stands before the first message on its line, as far as that can be seen.
    is_clean: bool,
    /// How many bytes of the first message still to be accepted are written already.
    torn: usize,
}

impl Printer {
    fn new(settings: Stdout, output: File) -> Self {
        Self {
            settings,
            output: Some(output),
            is_clean: false,
            torn: 0,
        }
    }

    /// The text of as many messages as fit a piece, up to one that is refused.
    fn render(&self, messages: &[Delivery]) -> Rendered {
        let wanted = self
            .settings
            .events
            .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let mut rendered = Rendered::default();
        for delivery in messages.iter().take(wanted) {
            if let Err(error) = self.render_one(delivery, &mut rendered.text) {
                rendered.refused = Some(error);
                break;
            }
            rendered.ends.push(rendered.text.len());
            if rendered.text.len() >= PIECE {
                break;
            }
        }
        rendered
    }

    fn render_one(&self, delivery: &Delivery, text: &mut Vec<u8>) -> Result<(), BodyError> {
        match self.settings.format {
            Format::Pretty => {
                let is_coloured = self.settings.color == Color::Always;
                // A text in memory takes everything.
                pretty::write_message(delivery.message(), is_coloured, text).ok();
            }
            Format::Json => self.settings.body.render(delivery, text)?,
            Format::Original => Body::Original.render(delivery, text)?,
        }
        text.push(b'\n');
        Ok(())
    }

    /// Counts what `written` more bytes finished.
    fn account(&mut self, written: usize, ends: &[usize]) -> usize {
        let reached = self.torn + written;
        let accepted = ends.partition_point(|end| *end <= reached);
        self.torn = reached - accepted.checked_sub(1).map_or(0, |last| ends[last]);
        if let Some(events) = &mut self.settings.events {
            *events = events.saturating_sub(accepted as u64);
        }
        accepted
    }
}

impl Sink for Printer {
    async fn deliver(&mut self, messages: &[Delivery]) -> Progress {
        let Rendered {
            text,
            ends,
            refused,
        } = self.render(messages);
        if let Some(error) = refused.filter(|_| ends.is_empty()) {
            return Progress::failed(0, DeliveryError::Unfit(Causes(&error).to_string()));
        }
        let Some(mut output) = self.output.take() else {
            return Progress::failed(0, DeliveryError::Closed);
        };
        let (is_clean, torn) = (self.is_clean, self.torn);
        let writing = tokio::task::spawn_blocking(move || {
            if !is_clean && let Err(error) = end_line(&output) {
                return (output, false, (0, Err(error)));
            }
            let written = write(&mut output, &text[torn..]);
            (output, true, written)
        });
        let Ok((output, is_clean, (written, result))) = writing.await else {
            return Progress::failed(0, DeliveryError::Closed);
        };
        self.output = Some(output);
        self.is_clean = is_clean;
        let accepted = self.account(written, &ends);
        match result {
            Ok(()) if self.settings.events == Some(0) => {
                Progress::failed(accepted, DeliveryError::Closed)
            }
            Ok(()) => Progress {
                accepted,
                error: None,
            },
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Progress::failed(accepted, DeliveryError::Closed)
            }
            Err(error) if self.settings.is_watched => {
                Progress::failed(accepted, DeliveryError::Failed(error))
            }
            Err(error) => Progress::failed(accepted, DeliveryError::Unavailable(error)),
        }
    }
}

/// Ends a line that a crash cut short, so that the next one does not become a part of it. Its event was not
/// accepted and comes again.
fn end_line(mut output: &File) -> io::Result<()> {
    match ends_in_half_a_line(output) {
        Ok(false) => return Ok(()),
        Ok(true) => tracing::warn!(
            "standard output is a file that ends in half a line, which was never accepted: a line feed ends it"
        ),
        // An empty line is harmless.
        Err(error) => tracing::warn!(
            %error,
            "standard output is a file that cannot be read: a line feed comes first, in case it ends in half a line"
        ),
    }
    output.write_all(b"\n")
}

fn ends_in_half_a_line(output: &File) -> io::Result<bool> {
    let metadata = output.metadata()?;
    let Some(last) = metadata.len().checked_sub(1).filter(|_| metadata.is_file()) else {
        return Ok(false);
    };
    // Opened anew: the descriptor may be one for writing only, and others share its offset.
    let file = File::open(format!("/proc/self/fd/{}", output.as_raw_fd()))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Mutex;

    use super::super::compliance::{self, Subject};
    use super::*;

    /// A sink that prints into a file instead.
    #[derive(Debug)]
    struct Elsewhere(Stdout, Mutex<Option<File>>);

    impl SinkConfig for Elsewhere {
        fn start(self: Box<Self>, queue: Queue) -> io::Result<SinkWorker> {
            let output = self.1.lock().unwrap().take().unwrap();
            Ok(spawn(Printer::new(self.0, output), queue))
        }
    }

    #[tokio::test]
    async fn it_does_what_every_sink_does() {
        compliance::check(|body| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("printed");
            let stdout = Stdout {
                body,
                ..Stdout::default()
            };
            let output = Mutex::new(Some(File::create(&path).unwrap()));
            Subject {
                config: Box::new(Elsewhere(stdout, output)),
                arrived: Box::new(move || {
                    let _kept = &folder;
                    let mut text = Vec::new();
                    File::open(&path).unwrap().read_to_end(&mut text).unwrap();
                    let lines = text.split_inclusive(|byte| *byte == b'\n');
                    lines
                        .map(|line| line.strip_suffix(b"\n").unwrap().to_vec())
                        .collect()
                }),
            }
        })
        .await;
    }

    /// What is wrong with a table of these keys, and whether the sink may take dead letters.
    fn check(toml: &[(&str, &str)], expected: Option<&str>, is_fit: bool) {
        let table: config::Map<String, config::Value> = toml
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect();
        let (sink, mistakes) = parse(Settings::new("sink[0]", table.into()));
        let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(shown.first().map(String::as_str), expected, "{toml:?}");
        assert_eq!(sink.unfit_for_dead_letters().is_none(), is_fit, "{toml:?}");
    }

    #[test]
    fn a_body_goes_with_the_formats_that_can_show_it() {
        check(&[], None, true);
        check(&[("body", "context")], None, false);
        check(&[("format", "json"), ("body", "message")], None, true);
        check(&[("format", "original")], None, false);
        check(&[("format", "original"), ("body", "original")], None, false);
        check(
            &[("format", "original"), ("body", "message")],
            Some("sink[0].body: contradicts format = \"original\"; leave out one of the two"),
            false,
        );
        check(
            &[("format", "pretty"), ("body", "message")],
            Some("sink[0].body: has no meaning with format = \"pretty\"; leave out one of the two"),
            false,
        );
    }

    fn printer(output: File, events: Option<u64>) -> Printer {
        let settings = Stdout {
            events,
            ..Stdout::default()
        };
        Printer::new(settings, output)
    }

    #[test]
    fn a_torn_line_is_finished_and_not_begun_again() {
        let mut printer = printer(tempfile::tempfile().unwrap(), None);
        // Three messages of ten bytes; the first write ends in the middle of the second.
        assert_eq!(printer.account(14, &[10, 20, 30]), 1);
        assert_eq!(printer.torn, 4);
        // Rendered again without the first: six bytes are missing of the one, ten of the other.
        assert_eq!(printer.account(6, &[10, 20]), 1);
        assert_eq!(printer.torn, 0);
        assert_eq!(printer.account(10, &[10]), 1);
    }

    #[test]
    fn only_as_many_as_asked_for_are_counted_down() {
        let mut printer = printer(tempfile::tempfile().unwrap(), Some(2));
        printer.account(20, &[10, 20]);
        assert_eq!(printer.settings.events, Some(0));
    }

    #[tokio::test]
    async fn a_line_torn_by_a_crash_is_ended_before_the_next() {
        for (before, between) in [
            ("", ""),
            ("{\"whole\":1}\n", ""),
            ("{\"whole\":1}\n{\"tor", "\n"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("out");
            std::fs::write(&path, before).unwrap();
            let output = File::options().append(true).open(&path).unwrap();
            let mut printer = printer(output, None);
            for _ in 0..2 {
                let one =
                    compliance::delivery(crate::message::samples::context("Create", "account"));
                assert_eq!(printer.deliver(&[one]).await.accepted, 1);
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let printed = text.strip_prefix(&format!("{before}{between}")).unwrap();
            assert_eq!(printed.lines().count(), 2, "{before}");
            assert!(
                printed
                    .lines()
                    .all(|line| line.starts_with('{') && line.ends_with('}'))
            );
        }
    }
}
