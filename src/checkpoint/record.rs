//! A checkpoint as it is written down: whose it is, where it goes on, and when that was.
//!
//! ```json
//! {"namespace": "contoso.servicebus.windows.net", "event_hub": "events", "consumer_group": "$Default",
//!  "partition": "0", "sequence_number": 41, "offset": "4100", "updated": "2026-01-31T12:00:00Z"}
//! ```
//!
//! One that somebody set has `start` instead of `sequence_number` and `offset`.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Checkpoint;
use crate::event::{Offset, PartitionId, Position, SequenceNumber, Source};
use crate::receiver::StartPosition;

/// The checkpoint of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Whose partition it is.
    pub source: Source,
    /// Which one it is.
    pub partition: PartitionId,
    /// Where it goes on.
    pub checkpoint: Checkpoint,
    /// When that was written.
    pub updated: OffsetDateTime,
}

impl Record {
    /// Reads a record as it was written.
    ///
    /// # Errors
    /// What is wrong, as a fragment to follow the place where it was found: `has no "offset"`.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let Value::Object(members) = value else {
            return Err("is not a JSON object".to_owned());
        };
        let text = |name: &str| match members.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(format!("has a \"{name}\" that is not a text")),
            None => Err(format!("has no \"{name}\"")),
        };
        let source = Source {
            namespace: text("namespace")?,
            event_hub: text("event_hub")?,
            consumer_group: text("consumer_group")?,
        };
        let partition = PartitionId::new(&text("partition")?);
        let updated = OffsetDateTime::parse(&text("updated")?, &Rfc3339)
            .map_err(|_| "has an \"updated\" that is not a time in the form of RFC 3339")?;
        let is_placed = ["sequence_number", "offset"]
            .iter()
            .any(|name| members.contains_key(*name));
        let checkpoint = match members.get("start") {
            Some(_) => set(&text("start")?, is_placed)?,
            None => Checkpoint::After(Position {
                sequence_number: number(members.get("sequence_number"))?,
                offset: Offset::new(&text("offset")?),
            }),
        };
        Ok(Self {
            source,
            partition,
            checkpoint,
            updated,
        })
    }

    /// Writes the members into `map`, for those who have more to say there.
    pub(crate) fn serialize_members<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("namespace", &self.source.namespace)?;
        map.serialize_entry("event_hub", &self.source.event_hub)?;
        map.serialize_entry("consumer_group", &self.source.consumer_group)?;
        map.serialize_entry("partition", self.partition.as_str())?;
        match &self.checkpoint {
            Checkpoint::After(Position {
                sequence_number,
                offset,
            }) => {
                map.serialize_entry("sequence_number", &sequence_number.0)?;
                map.serialize_entry("offset", offset.as_str())?;
            }
            Checkpoint::From(start) => map.serialize_entry("start", &start.to_string())?,
        }
        map.serialize_entry("updated", &self.updated.format(&Rfc3339).ok())
    }

    /// True when it is about this partition, however its names are written.
    pub(super) fn is_of(&self, source: &Source, partition: &PartitionId) -> bool {
        self.partition == *partition && self.source.folded() == source.folded()
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.serialize_members(&mut map)?;
        map.end()
    }
}

fn set(start: &str, is_placed: bool) -> Result<Checkpoint, String> {
    if is_placed {
        return Err("has a \"start\" beside a position".to_owned());
    }
    let start: StartPosition = start
        .parse()
        .map_err(|error| format!("has a \"start\" that is wrong: {error}"))?;
    Checkpoint::try_from(start).map_err(|error| format!("has a \"start\" that is wrong: {error}"))
}

fn number(value: Option<&Value>) -> Result<SequenceNumber, String> {
    let value = value.ok_or("has no \"sequence_number\"")?;
    match value.as_i64() {
        Some(number) if number >= 0 => Ok(SequenceNumber(number)),
        _ => Err("has a \"sequence_number\" that is not a whole number from 0 on".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after() -> Value {
        json!({
            "namespace": "contoso.servicebus.windows.net", "event_hub": "Events",
            "consumer_group": "$Default", "partition": "0", "sequence_number": 41,
            "offset": "4100", "updated": "2026-01-31T12:00:00.5Z",
        })
    }

    fn from() -> Value {
        let mut value = after();
        let members = value.as_object_mut().unwrap();
        members.remove("sequence_number");
        members.remove("offset");
        members.insert("start".into(), "sequence:40".into());
        value
    }

    #[test]
    fn a_record_is_read_and_written_again() {
        for (value, expected) in [
            (after(), "after sequence number 41, offset 4100"),
            (from(), "from sequence:40"),
        ] {
            let record = Record::read(&value).unwrap();
            assert_eq!(record.checkpoint.to_string(), expected);
            assert_eq!(serde_json::to_value(&record).unwrap(), value);
        }
    }

    #[test]
    fn whatever_offset_an_event_had_is_read_again() {
        for offset in ["", "1:2:-", "a'b", "a\u{7}b"] {
            let mut value = after();
            value["offset"] = offset.into();
            let record = Record::read(&value).unwrap();
            assert_eq!(serde_json::to_value(&record).unwrap(), value);
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        for (base, name, value, expected) in [
            (after(), "namespace", None, "has no \"namespace\""),
            (
                after(),
                "partition",
                Some(json!(0)),
                "has a \"partition\" that is not a text",
            ),
            (
                after(),
                "sequence_number",
                None,
                "has no \"sequence_number\"",
            ),
            (
                after(),
                "sequence_number",
                Some(json!(-1)),
                "has a \"sequence_number\" that is not a whole number from 0 on",
            ),
            (
                after(),
                "sequence_number",
                Some(json!(1.5)),
                "has a \"sequence_number\" that is not a whole number from 0 on",
            ),
            (
                after(),
                "updated",
                Some(json!("now")),
                "has an \"updated\" that is not a time in the form of RFC 3339",
            ),
            (
                after(),
                "start",
                Some(json!("earliest")),
                "has a \"start\" beside a position",
            ),
        ] {
            let mut record = base;
            let members = record.as_object_mut().unwrap();
            match value {
                Some(value) => drop(members.insert(name.into(), value)),
                None => drop(members.remove(name)),
            }
            assert_eq!(Record::read(&record).unwrap_err(), expected, "{name}");
        }
        for start in ["latest", "yesterday"] {
            let mut record = from();
            record["start"] = start.into();
            let reason = Record::read(&record).unwrap_err();
            assert!(
                reason.starts_with("has a \"start\" that is wrong: "),
                "{reason}"
            );
        }
        assert_eq!(
            Record::read(&json!([])).unwrap_err(),
            "is not a JSON object"
        );
    }
}
