//! What the sinks are given: an event's place in its hub, and the context in it or the reason why there is none.

mod schema;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use time::format_description::well_known::Rfc3339;

use crate::context::WireFormat;
use crate::decoder::{self, Decoded, Hint};
use crate::event::{Body, Event, Properties, Source};

pub(crate) use schema::SCHEMA;

/// One event on its way to the sinks. As JSON it is the message document described in the README.
#[derive(Debug)]
pub(crate) struct Message {
    /// The hub and consumer group that it was read from.
    pub source: Arc<Source>,
    /// The event as it was received, its body included.
    pub event: Event,
    /// What the body says.
    pub content: Content,
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
    /// Nothing that could be decoded. It is a message all the same.
    Undecodable {
        /// The format that the body seemed to have.
        format: Option<WireFormat>,
        /// Where and why decoding ended.
        reason: String,
    },
}

impl Message {
    /// Decodes the body of `event`.
    pub(crate) fn decode(source: Arc<Source>, event: Event) -> Self {
        let content = match &event.body {
            Body::Bytes(body) => decode(body, &event),
            Body::Unreadable { reason, .. } => Content::Undecodable {
                format: None,
                reason: reason.clone(),
            },
        };
        Self {
            source,
            event,
            content,
        }
    }

    /// The context, where there is one.
    pub(crate) fn context(&self) -> Option<&crate::context::ExecutionContext> {
        match &self.content {
            Content::Context { decoded, .. } => Some(&decoded.context),
            Content::Undecodable { .. } => None,
        }
    }
}

fn decode(body: &[u8], event: &Event) -> Content {
    let hint = Hint {
        content_type: event.content_type.as_deref(),
        property: event
            .properties
            .get("ContentType")
            .and_then(|value| value.as_str()),
    };
    match decoder::decode(body, hint) {
        Ok(decoded) => Content::Context {
            is_flagged: says_truncated(&event.properties),
            decoded: Box::new(decoded),
        },
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
        let Self {
            source,
            event,
            content,
        } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("namespace", &source.namespace)?;
        map.serialize_entry("event_hub", &source.event_hub)?;
        map.serialize_entry("consumer_group", &source.consumer_group)?;
        map.serialize_entry("partition", event.partition.as_str())?;
        map.serialize_entry("sequence_number", &event.sequence_number.0)?;
        map.serialize_entry("offset", event.offset.as_str())?;
        map.serialize_entry("enqueued_time", &event.enqueued_time.format(&Rfc3339).ok())?;
        if let Some(partition_key) = &event.partition_key {
            map.serialize_entry("partition_key", partition_key)?;
        }
        if let Some(content_type) = &event.content_type {
            map.serialize_entry("content_type", content_type)?;
        }
        map.serialize_entry("properties", &InOrder(&event.properties))?;
        match content {
            Content::Context {
                decoded,
                is_flagged,
            } => {
                map.serialize_entry("context", &decoded.document(*is_flagged))?;
            }
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
