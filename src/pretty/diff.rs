//! A context as the change that it tells: column by column, what was and what is.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io;

use super::value::{Brief, Name, pair};
use super::{DIM, Page, YELLOW};
use crate::context::{ChangedColumn, Document, Entity, ExecutionContext, Target};

/// The width that names of columns are brought to, unless they are longer.
const WIDEST: usize = 32;

/// Writes a context as a change, all columns of it. No line feed at the end.
///
/// # Errors
/// When `output` cannot be written.
pub(crate) fn write_diff(
    document: &Document<'_>,
    is_colored: bool,
    output: &mut impl io::Write,
) -> io::Result<()> {
    let mut page = Page::new(is_colored);
    let written = page
        .headline(document.context, None)
        .and_then(|()| page.changes(document.context))
        .and_then(|()| page.notes(document));
    page.finish(written, output)
}

impl Page {
    fn changes(&mut self, context: ExecutionContext<'_>) -> fmt::Result {
        match context.target() {
            Some(Target::Entity(row)) => return self.changed_row(context, row),
            Some(Target::Reference(_)) => {
                return self.say("the target is only named: no columns were sent");
            }
            None => {}
        }
        let mut rows = context.targets().enumerate().peekable();
        if rows.peek().is_none() {
            return self.say("no row was sent: there is no target");
        }
        for (place, row) in rows {
            write!(self.text, "\n  row {}", place + 1)?;
            if let Some(table) = row.logical_name() {
                write!(self.text, " {}", Name(table))?;
            }
            if let Some(id) = row.id() {
                self.text.push(' ');
                self.paint(DIM, Name(id))?;
            }
            match row {
                Target::Entity(row) => self.changed_row(context, row)?,
                Target::Reference(_) => self.say("only named: no columns were sent")?,
            }
        }
        Ok(())
    }

    fn say(&mut self, what: &str) -> fmt::Result {
        self.paint(DIM, format_args!("\n    {what}"))
    }

    fn changed_row(&mut self, context: ExecutionContext<'_>, row: Entity<'_>) -> fmt::Result {
        let (changed, kept): (Vec<_>, Vec<_>) = context
            .sent_columns(row)
            .partition(ChangedColumn::is_changed);
        let others: Vec<_> = context.other_changes(row).collect();
        let width = changed
            .iter()
            .chain(&others)
            .map(|column| column.name.chars().count())
            .max()
            .unwrap_or(0)
            .min(WIDEST);
        let row = Row {
            row,
            context,
            width,
            sent: labels(std::iter::once(row)),
            before: labels(context.pre_images_of(row)),
            stored: labels(context.post_images_of(row)),
        };
        for column in &changed {
            self.changed_column(&row, column)?;
        }
        for column in &others {
            self.changed_column(&row, column)?;
            self.paint(YELLOW, "  not sent")?;
        }
        match kept.len() {
            0 if changed.is_empty() && others.is_empty() => self.say("no columns were sent"),
            0 => Ok(()),
            1 => self.say("and 1 column sent as it was"),
            kept => self.say(&format!("and {kept} columns sent as they were")),
        }
    }

    fn changed_column<'a>(&mut self, row: &Row<'a>, column: &ChangedColumn<'_>) -> fmt::Result {
        let name = Name(column.name).to_string();
        let width = row.width;
        write!(self.text, "\n    {name:width$}  ")?;
        let is_as_sent = column
            .stored
            .is_some_and(|stored| column.new.is_same(&stored));
        let label = |labels: &Labels<'a>| labels.get(column.name).copied();
        let new_label = label(&row.sent).or_else(|| label(&row.stored).filter(|_| is_as_sent));
        let old_label = label(&row.before);
        match column.old {
            Some(old) => {
                let (old, new) = pair((old, old_label), (column.new, new_label));
                self.paint(DIM, old)?;
                write!(self.text, " -> {new}")?;
            }
            None => {
                self.paint(DIM, row.unknown())?;
                let new = Brief::new(column.new, new_label);
                write!(self.text, " -> {new}")?;
            }
        }
        match column.stored {
            Some(stored) if !is_as_sent => {
                let (stored, _) = pair((stored, label(&row.stored)), (column.new, new_label));
                self.paint(YELLOW, format_args!("  post-image: {stored}"))
            }
            _ => Ok(()),
        }
    }
}

/// A row that is written, with what tells how it was and how it is.
struct Row<'a> {
    row: Entity<'a>,
    context: ExecutionContext<'a>,
    width: usize,
    /// How a user sees the values that were sent, those before and those after, as far as the body says it.
    sent: Labels<'a>,
    before: Labels<'a>,
    stored: Labels<'a>,
}

/// Labels by the names of their columns: a body may have a hundred thousand of each.
type Labels<'a> = HashMap<&'a str, &'a str>;

/// The labels of rows; of several that have one for a column, the first one counts.
fn labels<'a>(rows: impl Iterator<Item = Entity<'a>>) -> Labels<'a> {
    let mut labels = HashMap::new();
    for row in rows {
        for (column, label) in row
            .formatted_values()
            .iter()
            .flat_map(|values| values.iter())
        {
            if let Some(label) = label.as_str() {
                labels.entry(column).or_insert(label);
            }
        }
    }
    labels
}

impl Row<'_> {
    /// Why the old value of a column is not known. Images leave out what is empty, so that a column which
    /// is not in one was empty or was not asked for.
    fn unknown(&self) -> &'static str {
        let is_new = match self.context.message_name() {
            Some("Create" | "CreateMultiple") => true,
            Some("Upsert") => self
                .context
                .output_parameters()
                .and_then(|output| output.get("RecordCreated"))
                .and_then(|value| value.as_bool())
                .unwrap_or(false),
            _ => false,
        };
        if is_new {
            return "(no row)";
        }
        match self.context.pre_images_of(self.row).next() {
            None => "(no pre-image)",
            Some(_) => "(not in the pre-image)",
        }
    }
}
