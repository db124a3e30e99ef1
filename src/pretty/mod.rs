//! A message as a person reads it: what happened to which row, where it came from, what changed.
//!
//! Everything that came off the wire is escaped: an event cannot move the cursor or recolour a terminal.

mod diff;
mod explain;
mod value;

use std::fmt::{self, Write as _};
use std::io;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::context::{Bag, Document, ExecutionContext, Target, Value};
use crate::event::Event;
use crate::message::{Content, Message};
pub(crate) use diff::write_diff;
pub(crate) use explain::{Fact, facts};
use value::{Brief, Name, Quoted};

/// Writes a message: a line, and below it what it says. No line feed at the end.
///
/// # Errors
/// When `output` cannot be written.
pub(crate) fn write_message(
    message: &Message,
    is_colored: bool,
    output: &mut impl io::Write,
) -> io::Result<()> {
    let mut page = Page::new(is_colored);
    let event = &message.event;
    let written = match &message.content {
        Content::Context {
            decoded,
            is_flagged,
        } => page.document(&decoded.document(*is_flagged), Some(event)),
        Content::Foreign(foreign) => page.foreign(Some(event), foreign.json.get()),
        Content::Undecodable { reason, .. } => page.undecodable(event, reason),
    };
    page.finish(written, output)
}

/// Writes a context that came without an event. No line feed at the end.
///
/// # Errors
/// When `output` cannot be written.
pub(crate) fn write_context(
    document: &Document<'_>,
    is_colored: bool,
    output: &mut impl io::Write,
) -> io::Result<()> {
    let mut page = Page::new(is_colored);
    let written = page.document(document, None);
    page.finish(written, output)
}

/// Writes the event of others that came without an event of a hub. No line feed at the end.
///
/// # Errors
/// When `output` cannot be written.
pub(crate) fn write_foreign(
    json: &str,
    is_colored: bool,
    output: &mut impl io::Write,
) -> io::Result<()> {
    let mut page = Page::new(is_colored);
    let written = page.foreign(None, json);
    page.finish(written, output)
}

/// Writes the line above what is said of one of several files, and a line feed behind it.
///
/// # Errors
/// When `output` cannot be written.
pub(crate) fn write_heading(
    name: &str,
    is_colored: bool,
    output: &mut impl io::Write,
) -> io::Result<()> {
    let mut page = Page::new(is_colored);
    let written = page.paint(BOLD, format_args!("==> {} <==", Name(name)));
    page.text.push('\n');
    page.finish(written, output)
}

/// At most that many columns or parameters are shown of one event; `json` shows all.
const SHOWN: usize = 12;

/// Columns that the platform keeps by itself: counted, not shown.
const KEPT_BY_PLATFORM: &[&str] = &[
    "createdby",
    "createdon",
    "createdonbehalfby",
    "exchangerate",
    "importsequencenumber",
    "modifiedby",
    "modifiedon",
    "modifiedonbehalfby",
    "owningbusinessunit",
    "owningteam",
    "owninguser",
    "timezoneruleversionnumber",
    "utcconversiontimezonecode",
    "versionnumber",
];

/// At most that many characters of a body are shown that is no context: as many as [`Quoted`] leaves.
const PREVIEW: usize = 80;

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]Z");

const DIM: &str = "2";
const BOLD: &str = "1";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "1;31";

struct Page {
    text: String,
    is_colored: bool,
}

impl Page {
    fn new(is_colored: bool) -> Self {
        Self {
            text: String::new(),
            is_colored,
        }
    }

    fn finish(self, written: fmt::Result, output: &mut impl io::Write) -> io::Result<()> {
        written.map_err(io::Error::other)?;
        output.write_all(self.text.as_bytes())
    }

    fn paint(&mut self, color: &str, what: impl fmt::Display) -> fmt::Result {
        if self.is_colored {
            write!(self.text, "\x1b[{color}m{what}\x1b[0m")
        } else {
            write!(self.text, "{what}")
        }
    }

    fn document(&mut self, document: &Document<'_>, event: Option<&Event>) -> fmt::Result {
        self.context(document.context, event)?;
        self.notes(document)
    }

    fn context(&mut self, context: ExecutionContext<'_>, event: Option<&Event>) -> fmt::Result {
        self.headline(context, event)?;
        self.details(context)
    }

    /// What happened to which row, and where the event lies.
    fn headline(&mut self, context: ExecutionContext<'_>, event: Option<&Event>) -> fmt::Result {
        if let Some(event) = event {
            self.time(event.enqueued_time)?;
        }
        self.paint(BOLD, Name(context.message_name().unwrap_or("(no message)")))?;
        if let Some(table) = context
            .primary_entity_name()
            .filter(|table| *table != "none")
        {
            self.text.push(' ');
            self.paint(GREEN, Name(table))?;
        }
        self.row(context)?;
        match event {
            Some(event) => self.place(event),
            None => Ok(()),
        }
    }

    fn time(&mut self, time: OffsetDateTime) -> fmt::Result {
        let time = time
            .to_offset(UtcOffset::UTC)
            .format(TIME)
            .map_err(|_| fmt::Error)?;
        self.paint(DIM, time)?;
        self.text.push(' ');
        Ok(())
    }

    fn row(&mut self, context: ExecutionContext<'_>) -> fmt::Result {
        if let Some(name) = context.row_name() {
            write!(self.text, " {}", Quoted(name))?;
        }
        if let Some(id) = context.row_id() {
            self.text.push(' ');
            self.paint(DIM, Name(id))?;
        }
        match context.targets().count() {
            0 => Ok(()),
            1 => self.text.write_str(" 1 row"),
            rows => write!(self.text, " {rows} rows"),
        }
    }

    fn place(&mut self, event: &Event) -> fmt::Result {
        let place = format!(
            "  [partition {} #{}]",
            Name(event.partition.as_str()),
            event.sequence_number
        );
        self.paint(DIM, place)
    }

    fn details(&mut self, context: ExecutionContext<'_>) -> fmt::Result {
        match context.target() {
            Some(Target::Entity(_)) => self.columns(context)?,
            Some(Target::Reference(_)) | None => {}
        }
        self.parameters(context)
    }

    /// The changed columns, with what they were where an image tells.
    fn columns(&mut self, context: ExecutionContext<'_>) -> fmt::Result {
        let target = context.target().and_then(|target| target.entity());
        let labels = target.and_then(|target| target.formatted_values());
        let before = context
            .pre_entity_images()
            .find_map(|(_, image)| image.formatted_values());
        let (kept, columns): (Vec<_>, Vec<_>) = context
            .changed_columns()
            .partition(|column| KEPT_BY_PLATFORM.contains(&column.name));
        let width = columns
            .iter()
            .take(SHOWN)
            .map(|column| column.name.len())
            .max()
            .unwrap_or(0)
            .min(32);
        for column in columns.iter().take(SHOWN) {
            write!(
                self.text,
                "\n    {:width$}  ",
                Name(column.name).to_string()
            )?;
            if let Some(old) = column.old {
                self.paint(DIM, Brief::new(old, label(before, column.name)))?;
                self.text.push_str(" -> ");
            }
            write!(
                self.text,
                "{}",
                Brief::new(column.new, label(labels, column.name))
            )?;
        }
        self.more(columns.len().saturating_sub(SHOWN) + kept.len(), "column")
    }

    /// The input parameters besides the target: what Assign, Associate or a custom API is told.
    fn parameters(&mut self, context: ExecutionContext<'_>) -> fmt::Result {
        let parameters: Vec<(&str, Value<'_>)> = context
            .input_parameters()
            .into_iter()
            .flat_map(|bag| bag.iter())
            .filter(|(name, _)| !matches!(*name, "Target" | "Targets"))
            .collect();
        for (name, value) in parameters.iter().take(SHOWN) {
            write!(
                self.text,
                "\n    {}: {}",
                Name(name),
                Brief::new(*value, None)
            )?;
        }
        self.more(parameters.len().saturating_sub(SHOWN), "parameter")
    }

    fn more(&mut self, hidden: usize, what: &str) -> fmt::Result {
        match hidden {
            0 => Ok(()),
            1 => self.paint(DIM, format_args!("\n    and 1 more {what}")),
            hidden => self.paint(DIM, format_args!("\n    and {hidden} more {what}s")),
        }
    }

    fn notes(&mut self, document: &Document<'_>) -> fmt::Result {
        if document.truncated {
            self.text.push_str("\n    ");
            self.paint(YELLOW, "TRUNCATED: too large for Dataverse to send; columns, images and parent are missing")?;
        }
        for note in document.notes {
            self.text.push_str("\n    ");
            self.paint(YELLOW, format_args!("note: {}", Name(&note.to_string())))?;
        }
        Ok(())
    }

    fn undecodable(&mut self, event: &Event, reason: &str) -> fmt::Result {
        self.time(event.enqueued_time)?;
        self.paint(RED, "UNDECODABLE")?;
        let body = event.body.bytes();
        write!(self.text, " {} bytes: {}", body.len(), Name(reason))?;
        self.place(event)?;
        self.preview(body)
    }

    fn foreign(&mut self, event: Option<&Event>, json: &str) -> fmt::Result {
        if let Some(event) = event {
            self.time(event.enqueued_time)?;
        }
        self.paint(YELLOW, "FOREIGN")?;
        write!(self.text, " {} bytes of JSON", json.len())?;
        if let Some(event) = event {
            self.place(event)?;
        }
        self.preview(json.as_bytes())
    }

    fn preview(&mut self, body: &[u8]) -> fmt::Result {
        if !body.is_empty() {
            let start = String::from_utf8_lossy(&body[..body.len().min(4 * PREVIEW)]);
            let preview: String = start.chars().take(PREVIEW).collect();
            let dots = if preview.len() < body.len() {
                "..."
            } else {
                ""
            };
            write!(self.text, "\n    {}{dots}", Quoted(&preview))?;
        }
        Ok(())
    }
}

/// What Dataverse shows to people for the column's value.
fn label<'a>(labels: Option<Bag<'a>>, column: &str) -> Option<&'a str> {
    labels?.get(column)?.as_str()
}
