//! What of a message a sink is given: the key `body`, which every kind of sink takes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use time::format_description::well_known::Rfc3339;

use super::delivery::{DeadLetter, Delivery};
use crate::context::WireFormat;
use crate::message::{Content, Message};

/// What of a message a sink is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Body {
    /// The message document: the event's place and properties, and the context in it.
    #[default]
    Message,
    /// The context document alone.
    Context,
    /// The body as it was received.
    Original,
    /// A CloudEvent in its JSON format, with the context document as its data.
    #[value(name = "cloudevent")]
    CloudEvent,
}

/// Why a message cannot be shown in the form asked for. Nothing but another configuration changes that.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// There is no context in it.
    #[error("the event could not be decoded, and the sink takes contexts")]
    NoContext,
    /// It is somebody else's event.
    #[error(
        "the event is no execution context, and the sink takes contexts; a route with foreign = false keeps such events away"
    )]
    Foreign,
    /// It could not be written as JSON.
    #[error("the event cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl Body {
    /// Appends the form of `delivery` to `text`, without a line feed. What is JSON is one line.
    ///
    /// A dead letter is always the message document, with the member `dead_letter` behind the others.
    ///
    /// # Errors
    /// When the message has no such form; `text` is as it was.
    pub(crate) fn render(self, delivery: &Delivery, text: &mut Vec<u8>) -> Result<(), BodyError> {
        let before = text.len();
        let rendered = self.write(delivery, text);
        if rendered.is_err() {
            text.truncate(before);
        }
        rendered
    }

    fn write(self, delivery: &Delivery, text: &mut Vec<u8>) -> Result<(), BodyError> {
        let message = delivery.message();
        match (self, delivery.dead_letter()) {
            (_, Some(dead)) => serde_json::to_writer(text, &DeadDocument { message, dead })?,
            (Self::Message, _) => serde_json::to_writer(text, message)?,
            (Self::Context, _) => {
                let document = message.document().ok_or(match message.content {
                    Content::Foreign(_) => BodyError::Foreign,
                    _ => BodyError::NoContext,
                })?;
                serde_json::to_writer(text, &document)?;
            }
            (Self::Original, _) => text.extend_from_slice(message.event.body.bytes()),
            (Self::CloudEvent, _) => serde_json::to_writer(text, &delivery.cloud_event())?,
        }
        Ok(())
    }

    /// The media type of what is rendered for `delivery`.
    pub(super) fn content_type(self, delivery: &Delivery) -> &str {
        let message = delivery.message();
        match self {
            _ if delivery.dead_letter().is_some() => "application/json",
            Self::Message | Self::Context => "application/json",
            Self::Original => message
                .content_type()
                .or_else(|| message.format().map(WireFormat::media_type))
                .unwrap_or("application/octet-stream"),
            Self::CloudEvent => "application/cloudevents+json; charset=utf-8",
        }
    }
}

/// The message document of a dead letter: everything to look at it, and to deliver it once more.
struct DeadDocument<'a> {
    message: &'a Message,
    dead: &'a DeadLetter,
}

impl Serialize for DeadDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.message.serialize_members(&mut map)?;
        let reason = Reason {
            dead: self.dead,
            body: self.message.event.body.bytes(),
        };
        map.serialize_entry("dead_letter", &reason)?;
        map.end()
    }
}

struct Reason<'a> {
    dead: &'a DeadLetter,
    body: &'a [u8],
}

impl Serialize for Reason<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("sink", &self.dead.sink.as_deref())?;
        map.serialize_entry("reason", &self.dead.reason)?;
        map.serialize_entry("time", &self.dead.time.format(&Rfc3339).ok())?;
        map.serialize_entry("body", &BASE64_STANDARD.encode(self.body))?;
        map.end()
    }
}
