//! An event out of a file of Event Hubs Capture, as JSON: the message document as far as such a file knows it.

use serde::ser::{Serialize, SerializeMap, Serializer};
use time::format_description::well_known::Rfc3339;

use super::{InOrder, Undecodable, says_truncated};
use crate::capture::Record;
use crate::context::Document;
use crate::decoder::{DecodeError, Foreign, Hint, Outcome};
use crate::event::Properties;

/// A captured event with what its body says. A file does not know the namespace, the hub and the partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Captured<'a> {
    /// The event.
    pub record: &'a Record,
    /// What its body is, or why it is nothing.
    pub content: Result<Said<'a>, &'a DecodeError>,
}

/// What a body says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said<'a> {
    /// A context.
    Context(Document<'a>),
    /// Somebody else's event.
    Foreign(&'a Foreign),
}

impl<'a> Said<'a> {
    /// The document of a context.
    pub(crate) fn document(&self) -> Option<Document<'a>> {
        match self {
            Self::Context(document) => Some(*document),
            Self::Foreign(_) => None,
        }
    }
}

impl<'a> Captured<'a> {
    /// Takes an event and what decoding its body gave.
    pub(crate) fn new(record: &'a Record, outcome: &'a Result<Outcome, DecodeError>) -> Self {
        let content = outcome.as_ref().map(|outcome| match outcome {
            Outcome::Context(decoded) => {
                Said::Context(decoded.document(says_truncated(&record.properties)))
            }
            Outcome::Foreign(foreign) => Said::Foreign(foreign),
        });
        Self { record, content }
    }
}

impl Record {
    /// What names the format of the body.
    pub(crate) fn hint(&self) -> Hint<'_> {
        Hint {
            content_type: self.content_type(),
            property: text(&self.properties, "ContentType"),
        }
    }

    /// The AMQP property `content-type`.
    fn content_type(&self) -> Option<&str> {
        text(&self.system_properties, "content-type")
    }
}

fn text<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    properties.get(name)?.as_str()
}

impl Serialize for Captured<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.record;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("sequence_number", &record.sequence_number.0)?;
        map.serialize_entry("offset", record.offset.as_str())?;
        if let Some(time) = record.enqueued_at() {
            map.serialize_entry("enqueued_time", &time.format(&Rfc3339).ok())?;
        }
        if let Some(partition_key) = text(&record.system_properties, "x-opt-partition-key") {
            map.serialize_entry("partition_key", partition_key)?;
        }
        if let Some(content_type) = record.content_type() {
            map.serialize_entry("content_type", content_type)?;
        }
        map.serialize_entry("properties", &InOrder(&record.properties))?;
        if !record.system_properties.is_empty() {
            map.serialize_entry("system_properties", &InOrder(&record.system_properties))?;
        }
        match self.content {
            Ok(Said::Context(document)) => map.serialize_entry("context", &document)?,
            Ok(Said::Foreign(foreign)) => map.serialize_entry("foreign", &foreign.json)?,
            Err(error) => map.serialize_entry(
                "undecodable",
                &Undecodable {
                    format: error.format,
                    reason: &error.to_string(),
                    body: record.body.as_deref().unwrap_or_default(),
                },
            )?,
        }
        map.end()
    }
}
