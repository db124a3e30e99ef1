//! Checkpoints for a person and for programs.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::super::printable;
use crate::checkpoint::{Checkpoint, CheckpointError, Entry, Record};
use crate::event::Position;

const COLUMNS: [&str; 7] = [
    "NAMESPACE",
    "EVENT HUB",
    "CONSUMER GROUP",
    "PARTITION",
    "SEQUENCE NUMBER",
    "OFFSET",
    "UPDATED",
];

/// A column stands this far from the one before it.
const GAP: &str = "  ";

/// The checkpoints in columns. What is no ordinary one is told behind them.
pub(super) fn columns(entries: &[Entry]) -> String {
    let mut rows = vec![(COLUMNS.map(str::to_owned), String::new())];
    rows.extend(entries.iter().map(row));
    let width = |column: usize| {
        rows.iter()
            .map(|(cells, _)| cells[column].chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).filter_map(width).collect();
    let mut text = String::new();
    for (cells, remark) in &rows {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}{GAP}"));
        let line: String = padded.chain([remark.clone()]).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(entry: &Entry) -> ([String; 7], String) {
    let none = || "-".to_owned();
    let (number, offset, updated, remark) = match &entry.found {
        Err(_) => (none(), none(), none(), "unreadable".to_owned()),
        Ok(Record {
            checkpoint,
            updated,
            ..
        }) => {
            let updated = updated.format(&Rfc3339).unwrap_or_else(|_| none());
            match checkpoint {
                Checkpoint::After(Position {
                    sequence_number,
                    offset,
                }) => (
                    sequence_number.to_string(),
                    offset.to_string(),
                    updated,
                    String::new(),
                ),
                from @ Checkpoint::From(_) => (none(), none(), updated, format!("set: {from}")),
            }
        }
    };
    let cells = [
        printable(&entry.source.namespace),
        printable(&entry.source.event_hub),
        printable(&entry.source.consumer_group),
        printable(entry.partition.as_str()),
        number,
        offset,
        updated,
    ];
    (cells, remark)
}

/// The checkpoints as JSON, one a line; of an unreadable one, what is wrong with it.
///
/// # Errors
/// When one cannot be written as JSON.
pub(super) fn lines(entries: &[Entry]) -> serde_json::Result<String> {
    let mut text = String::new();
    for entry in entries {
        let line = match &entry.found {
            Ok(record) => serde_json::to_string(record)?,
            Err(error) => serde_json::to_string(&unreadable(entry, error))?,
        };
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

fn unreadable(entry: &Entry, error: &CheckpointError) -> Value {
    json!({
        "namespace": entry.source.namespace,
        "event_hub": entry.source.event_hub,
        "consumer_group": entry.source.consumer_group,
        "partition": entry.partition.as_str(),
        "error": error.to_string(),
    })
}
