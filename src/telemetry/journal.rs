//! The journal of systemd: whether standard error goes there, and how it wants what is logged.

use std::ffi::OsStr;
use std::fmt;
use std::io;

use tracing::field::{Field, Value, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The name that the lines of this program have in the journal.
const IDENTIFIER: &str = "dataverse-listener";

/// True where standard error goes to the journal: systemd says which device and inode that is, and whoever
/// redirects standard error leaves the variable as it is
/// (<https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html>, `$JOURNAL_STREAM`).
pub(super) fn is_standard_error() -> bool {
    let stat = rustix::fs::fstat(io::stderr());
    std::env::var_os("JOURNAL_STREAM")
        .zip(stat.ok())
        .is_some_and(|(stream, stat)| names(&stream, stat.st_dev, stat.st_ino))
}

/// True where `stream` is `DEVICE:INODE`.
fn names(stream: &OsStr, device: u64, inode: u64) -> bool {
    stream
        .to_str()
        .is_some_and(|stream| stream == format!("{device}:{inode}"))
}

/// What sends fields to the journal: MESSAGE, PRIORITY, TARGET, SYSLOG_IDENTIFIER, and each field of ours with `F_`
/// before its name.
///
/// # Errors
/// When there is no journal.
pub(super) fn layer() -> io::Result<Entries> {
    // What is worth an INFO here is no "normal but significant" event of syslog.
    let priorities = PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    };
    let layer = tracing_journald::layer()?
        .with_priority_mappings(priorities)
        .with_syslog_identifier(IDENTIFIER.to_owned());
    Ok(Entries(layer))
}

/// Sends lines to the journal. Their fields are in MESSAGE too, as in a line of text: `journalctl` shows nothing else
/// unless it is asked for more.
pub(super) struct Entries(tracing_journald::Layer);

/// The field that becomes MESSAGE.
const MESSAGE: &str = "message";

/// The fields of a line as texts, each in its place; none where it has no value.
struct Texts(Vec<Option<String>>);

impl Texts {
    fn of(event: &Event<'_>) -> Self {
        let mut texts = Self(vec![None; event.metadata().fields().len()]);
        event.record(&mut texts);
        texts
    }

    fn set(&mut self, field: &Field, text: String) {
        if let Some(place) = self.0.get_mut(field.index()) {
            *place = Some(text);
        }
    }
}

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

impl<S> Layer<S> for Entries
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, record, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = String::new();
        let written = DefaultFields::new().format_fields(Writer::new(&mut line), event);
        let (Ok(()), Some(message)) = (written, metadata.fields().field(MESSAGE)) else {
            return self.0.on_event(event, context);
        };
        let mut texts = Texts::of(event);
        texts.set(&message, line);
        let values: Vec<Option<&dyn Value>> = texts
            .0
            .iter()
            .map(|text| text.as_ref().map(|text| text as &dyn Value))
            .collect();
        // What the macros of tracing make an event of; there is no other way to one with other values.
        let values = metadata.fields().value_set_all(&values);
        self.0.on_event(&Event::new(metadata, &values), context);
    }
}

/// Lines that the journal reads from standard error: each with its level as `<N>`, and no time, which the journal
/// knows.
pub(super) fn prefixed<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let line = tracing_subscriber::fmt::format()
        .without_time()
        .with_target(false)
        .with_ansi(false);
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .event_format(Prefixed(line))
        .with_writer(writer)
}

/// A line with its level in front, as the journal reads it (sd-daemon(3)).
struct Prefixed(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Prefixed
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", number(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// The number that syslog has for a level.
fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_known_by_its_device_and_inode() {
        for (stream, is_journal) in [
            ("8:1234", true),
            ("8:1235", false),
            ("9:1234", false),
            ("8", false),
            ("", false),
        ] {
            assert_eq!(names(OsStr::new(stream), 8, 1234), is_journal, "{stream:?}");
        }
    }

    #[test]
    fn levels_have_the_numbers_of_syslog() {
        let levels = [
            Level::ERROR,
            Level::WARN,
            Level::INFO,
            Level::DEBUG,
            Level::TRACE,
        ];
        assert_eq!(levels.map(number), [3, 4, 6, 7, 7]);
    }
}
