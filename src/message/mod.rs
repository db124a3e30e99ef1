//! What the sinks are given: an event's place in its hub, and the context in it, another's JSON, or the reason why there is neither.

mod captured;
mod cloud_event;
mod field;
mod identity;
#[cfg(test)]
pub(crate) mod samples;
mod schema;
mod template;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use time::format_description::well_known::Rfc3339;

use crate::context::{Document, ExecutionContext, WireFormat};
use crate::decoder::{Decoded, Decoder, Foreign, Hint, Outcome};
use crate::event::{Body, Event, PartitionId, Properties, SequenceNumber, Source};
use crate::trace::TraceContext;

pub(crate) use captured::{Captured, Said};
pub(crate) use cloud_event::{CloudEvent, Data};
pub(crate) use identity::Identity;
pub(crate) use schema::SCHEMA;
pub(crate) use template::Template;

/// One event on its way to the sinks. As JSON it is the message document described in the README.
#[derive(Debug)]
pub(crate) struct Message {
    /// The hub and consumer group that it was read from.
    pub source: Arc<Source>,
    /// The event as it was received, its body included.
    pub event: Event,
    /// What the body says.
    pub content: Content,
    /// True when it is read once more on purpose, beside the daemon that delivers.
    pub is_replay: bool,
    /// Where the same event was met before, where that is to be marked.
    pub duplicate_of: Option<Place>,
    size: usize,
}

/// An event of a hub: its partition, and its number there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The partition.
    pub partition: PartitionId,
    /// The number.
    pub sequence_number: SequenceNumber,
}

/// What the body of a message says.
#[derive(Debug)]
pub(crate) enum Content {
    /// A Dataverse execution context.
    Context {
        /// The context, and how it was written.
        decoded: Box<Decoded>,
        /// True when Dataverse said that parts were left out for size.
        is_flagged: bool,
    },
    /// Somebody else's event, as JSON.
    Foreign(Foreign),
    /// Nothing that could be decoded. It is a message all the same.
    Undecodable {
        /// The format that the body seemed to have.
        format: Option<WireFormat>,
        /// Where and why decoding ended.
        reason: String,
    },
}

impl Message {
    /// Decodes the body of `event` as `decoder` does.
    pub(crate) fn decode(source: Arc<Source>, event: Event, decoder: &Decoder) -> Self {
        let content = match &event.body {
            Body::Bytes(body) => decode(body, &event, decoder),
            Body::Unreadable { reason, .. } => Content::Undecodable {
                format: None,
                reason: reason.clone(),
            },
        };
        let decoded = match &content {
            Content::Context { decoded, .. } => decoded.memory(),
            Content::Foreign(foreign) => foreign.json.get().len(),
            Content::Undecodable { .. } => 0,
        };
        Self {
            size: event.size() + decoded,
            source,
            event,
            content,
            is_replay: false,
            duplicate_of: None,
        }
    }

    /// About how many bytes it takes: the event, and what was made of it.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The context, where there is one.
    pub(crate) fn context(&self) -> Option<ExecutionContext<'_>> {
        match &self.content {
            Content::Context { decoded, .. } => Some(decoded.context()),
            Content::Foreign(_) | Content::Undecodable { .. } => None,
        }
    }

    /// The context document, where there is a context.
    pub(crate) fn document(&self) -> Option<Document<'_>> {
        match &self.content {
            Content::Context {
                decoded,
                is_flagged,
            } => Some(decoded.document(*is_flagged)),
            Content::Foreign(_) | Content::Undecodable { .. } => None,
        }
    }

    /// The format of the body; of what could not be decoded, the one that it seemed to have.
    pub(crate) fn format(&self) -> Option<WireFormat> {
        match &self.content {
            Content::Context { decoded, .. } => Some(decoded.format),
            Content::Foreign(foreign) => Some(foreign.format),
            Content::Undecodable { format, .. } => *format,
        }
    }

    /// The media type that the sender named, in Dataverse's application property or AMQP's own.
    pub(crate) fn content_type(&self) -> Option<&str> {
        let property = self.event.properties.get("ContentType");
        property
            .and_then(|value| value.as_str())
            .or(self.event.content_type.as_deref())
    }

    /// True when Dataverse cut the context to size.
    pub(crate) fn is_truncated(&self) -> bool {
        self.document().is_some_and(|document| document.truncated)
    }

    /// Its name, the same for every attempt and every repeated post.
    pub(crate) fn identity(&self) -> Identity {
        Identity::of(self)
    }

    /// Itself as a CloudEvent that is part of `trace`.
    pub(crate) fn cloud_event(&self, trace: Option<TraceContext>) -> CloudEvent<'_> {
        CloudEvent::of(self, trace)
    }
}

fn decode(body: &[u8], event: &Event, decoder: &Decoder) -> Content {
    let hint = Hint {
        content_type: event.content_type.as_deref(),
        property: event
            .properties
            .get("ContentType")
            .and_then(|value| value.as_str()),
    };
    match decoder.read(body, hint) {
        Ok(Outcome::Context(decoded)) => Content::Context {
            is_flagged: says_truncated(&event.properties),
            decoded: Box::new(decoded),
        },
        Ok(Outcome::Foreign(foreign)) => Content::Foreign(foreign),
        Err(error) => Content::Undecodable {
            format: error.format,
            reason: error.to_string(),
        },
    }
}

/// Dataverse's flag. Consumers have met its name with a prefix, so its end is what counts.
fn says_truncated(properties: &Properties) -> bool {
    const FLAG: &str = "messagemaxsizeexceeded";
    properties.iter().any(|(name, value)| {
        let is_set = value.as_bool().unwrap_or_else(|| {
            value
                .as_str()
                .is_some_and(|text| text.eq_ignore_ascii_case("true"))
        });
        is_set && name.to_ascii_lowercase().ends_with(FLAG)
    })
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.serialize_members(&mut map)?;
        map.end()
    }
}

impl Message {
    /// Writes the members of the message document into `map`, for those who have more to say there.
    pub(crate) fn serialize_members<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let Self {
            source,
            event,
            content,
            is_replay,
            duplicate_of,
            size: _,
        } = self;
        map.serialize_entry("namespace", &source.namespace)?;
        map.serialize_entry("event_hub", &source.event_hub)?;
        map.serialize_entry("consumer_group", &source.consumer_group)?;
        map.serialize_entry("partition", event.partition.as_str())?;
        map.serialize_entry("sequence_number", &event.sequence_number.0)?;
        map.serialize_entry("offset", event.offset.as_str())?;
        map.serialize_entry("enqueued_time", &event.enqueued_time.format(&Rfc3339).ok())?;
        if let Some(partition_key) = &event.partition_key {
            map.serialize_entry("partition_key", partition_key.as_str())?;
        }
        if let Some(content_type) = &event.content_type {
            map.serialize_entry("content_type", content_type.as_str())?;
        }
        map.serialize_entry("properties", &InOrder(&event.properties))?;
        if *is_replay {
            map.serialize_entry("replay", is_replay)?;
        }
        if let Some(place) = duplicate_of {
            map.serialize_entry("duplicate_of", place)?;
        }
        match content {
            Content::Context {
                decoded,
                is_flagged,
            } => {
                map.serialize_entry("context", &decoded.document(*is_flagged))?;
            }
            Content::Foreign(foreign) => map.serialize_entry("foreign", &foreign.json)?,
            Content::Undecodable { format, reason } => {
                map.serialize_entry(
                    "undecodable",
                    &Undecodable {
                        format: *format,
                        reason,
                        body: event.body.bytes(),
                    },
                )?;
            }
        }
        Ok(())
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("partition", self.partition.as_str())?;
        map.serialize_entry("sequence_number", &self.sequence_number.0)?;
        map.end()
    }
}

struct InOrder<'a>(&'a Properties);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

struct Undecodable<'a> {
    format: Option<WireFormat>,
    reason: &'a str,
    body: &'a [u8],
}

impl Serialize for Undecodable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("format", &self.format.map(|format| format.to_string()))?;
        map.serialize_entry("reason", self.reason)?;
        map.serialize_entry("body", &BASE64_STANDARD.encode(self.body))?;
        map.end()
    }
}
