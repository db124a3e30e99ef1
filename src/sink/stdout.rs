//! The sink that prints: pretty for people, one JSON document a line for programs, or the bodies as they came.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use super::{Delivery, DeliveryError, Progress, Queue, Sink, SinkConfig, SinkWorker, spawn};
use crate::message::Message;
use crate::pretty;
use crate::settings::{Mistake, Settings};

/// The settings of a sink of type `stdout`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stdout {
    /// How a message is printed.
    pub format: Format,
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
    let format = settings.choice("format").unwrap_or_default();
    let stdout = Stdout {
        format,
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
}

/// Rendered text is written in pieces of about this many bytes.
const PIECE: usize = 1 << 20;

#[derive(Debug)]
struct Printer {
    settings: Stdout,
    /// Absent while a write is under way on another thread.
    output: Option<File>,
    /// How many bytes of the first message still to be accepted are written already.
    torn: usize,
}

impl Printer {
    fn new(settings: Stdout, output: File) -> Self {
        Self {
            settings,
            output: Some(output),
            torn: 0,
        }
    }

    /// The text of as many messages as fit a piece, and where each of them ends in it.
    fn render(&self, messages: &[Delivery]) -> io::Result<(Vec<u8>, Vec<usize>)> {
        let wanted = self
            .settings
            .events
            .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for delivery in messages.iter().take(wanted) {
            self.render_one(delivery.message(), &mut text)?;
            ends.push(text.len());
            if text.len() >= PIECE {
                break;
            }
        }
        Ok((text, ends))
    }

    fn render_one(&self, message: &Message, text: &mut Vec<u8>) -> io::Result<()> {
        match self.settings.format {
            Format::Pretty => {
                pretty::write_message(message, self.settings.color == Color::Always, text)?
            }
            Format::Json => serde_json::to_writer(&mut *text, message)?,
            Format::Original => text.extend_from_slice(message.event.body.bytes()),
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
        let rendered = self.render(messages);
        let (Some(mut output), Ok((text, ends))) = (self.output.take(), rendered) else {
            return Progress::failed(0, DeliveryError::Closed);
        };
        let torn = self.torn;
        let writing = tokio::task::spawn_blocking(move || {
            let (written, result) = write(&mut output, &text[torn..]);
            (output, written, result)
        });
        let Ok((output, written, result)) = writing.await else {
            return Progress::failed(0, DeliveryError::Closed);
        };
        self.output = Some(output);
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

/// Writes all of `text`, and says how much was written when that ends early.
fn write(output: &mut File, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < text.len() {
        match output.write(&text[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_closed_pipe_says_how_much_was_written() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut output = File::from(std::os::fd::OwnedFd::from(writer));
        let (written, result) = write(&mut output, b"text");
        assert_eq!(written, 0);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
