//! Checkpoints for a person and for programs.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::super::{columns, printable};
use crate::checkpoint::{Checkpoint, CheckpointError, Entry, Record};
use crate::event::Position;

/// The last one is for remarks.
const COLUMNS: [&str; 8] = [
    "NAMESPACE",
    "EVENT HUB",
    "CONSUMER GROUP",
    "PARTITION",
    "SEQUENCE NUMBER",
    "OFFSET",
    "UPDATED",
    "",
];

/// The checkpoints in columns. What is no ordinary one is told behind them.
pub(super) fn columns(entries: &[Entry]) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(entries.iter().map(row));
    columns::columns(&rows, &[])
}

fn row(entry: &Entry) -> [String; 8] {
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
    [
        printable(&entry.source.namespace),
        printable(&entry.source.event_hub),
        printable(&entry.source.consumer_group),
        printable(entry.partition.as_str()),
        number,
        offset,
        updated,
        remark,
    ]
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
