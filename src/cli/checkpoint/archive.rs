//! All checkpoints as one JSON document: `{"version": 1, "checkpoints": [...]}`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::super::exit::{Exit, Failure};
use super::super::print;
use crate::checkpoint::Record;
use crate::durable;

/// The version of the document.
const VERSION: i64 = 1;

/// No document is larger, in bytes: that is tens of thousands of partitions.
const LARGEST: u64 = 16 << 20;

/// Writes `records` to `file`, whole or not at all, or to standard output.
pub(super) fn write(records: &[Record], file: Option<&Path>) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(&Archive(records))
        .map_err(|error| Failure::new(Exit::Software, "export checkpoints", &error))?;
    text.push('\n');
    match file {
        None => print(&text),
        Some(path) => durable::replace(path, text.as_bytes()).map_err(|error| {
            Failure::new(
                Exit::InputOutput,
                &format!("write {}", path.display()),
                &error,
            )
        }),
    }
}

/// Reads such a document, and refuses it with everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    let shown = path.display();
    let text = read_bytes(path)
        .map_err(|error| Failure::new(Exit::NoInput, &format!("read {shown}"), &error))?;
    parse(&text).map_err(|mistakes| {
        let lines: Vec<String> = mistakes
            .iter()
            .map(|mistake| format!("{shown}: {mistake}"))
            .collect();
        let text = format!("cannot import checkpoints:\n{}", lines.join("\n"));
        Failure::plain(Exit::Data, text)
    })
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let source: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(path)?),
    };
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!(
            "it is larger than {LARGEST} bytes"
        )));
    }
    Ok(bytes)
}

fn parse(text: &[u8]) -> Result<Vec<Record>, Vec<String>> {
    let document: Value =
        serde_json::from_slice(text).map_err(|error| vec![format!("is not JSON: {error}")])?;
    match document.get("version").and_then(Value::as_i64) {
        Some(VERSION) => {}
        Some(_) => return Err(vec!["is of another version of this program".to_owned()]),
        None => return Err(vec!["is no document of `checkpoint export`".to_owned()]),
    }
    let entries = document.get("checkpoints").and_then(Value::as_array);
    let entries = entries.ok_or_else(|| vec!["has no list of \"checkpoints\"".to_owned()])?;
    let (mut records, mut mistakes) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for (index, entry) in entries.iter().enumerate() {
        match Record::read(entry) {
            Err(reason) => mistakes.push(format!("checkpoints[{index}] {reason}")),
            Ok(record) => {
                let key = (record.source.folded(), record.partition.clone());
                if seen.insert(key) {
                    records.push(record);
                } else {
                    mistakes.push(format!(
                        "checkpoints[{index}] is of a partition that came before"
                    ));
                }
            }
        }
    }
    match mistakes.is_empty() {
        true => Ok(records),
        false => Err(mistakes),
    }
}

struct Archive<'a>(&'a [Record]);

impl Serialize for Archive<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        map.serialize_entry("checkpoints", self.0)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(partition: &str) -> Value {
        json!({
            "namespace": "n", "event_hub": "h", "consumer_group": "$Default", "partition": partition,
            "sequence_number": 1, "offset": "100", "updated": "2026-01-31T12:00:00Z",
        })
    }

    fn parsed(document: &Value) -> Result<Vec<Record>, Vec<String>> {
        parse(document.to_string().as_bytes())
    }

    #[test]
    fn what_was_written_is_read_again() {
        let document = json!({"version": 1, "checkpoints": [entry("0"), entry("1")]});
        let records = parsed(&document).unwrap();
        assert_eq!(serde_json::to_value(Archive(&records)).unwrap(), document);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let mut no_offset = entry("2");
        no_offset.as_object_mut().unwrap().remove("offset");
        let mut twin = entry("0");
        twin["namespace"] = "N".into();
        for (document, expected) in [
            (
                json!({"version": 1, "checkpoints": [entry("0"), no_offset, twin, 7]}),
                &[
                    "checkpoints[1] has no \"offset\"",
                    "checkpoints[2] is of a partition that came before",
                    "checkpoints[3] is not a JSON object",
                ][..],
            ),
            (
                json!({"version": 2}),
                &["is of another version of this program"],
            ),
            (entry("0"), &["is no document of `checkpoint export`"]),
            (json!({"version": 1}), &["has no list of \"checkpoints\""]),
        ] {
            assert_eq!(parsed(&document).unwrap_err(), expected);
        }
    }
}
