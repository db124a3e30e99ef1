//! A line of a dead-letter file, read back into the message that it was.
//!
//! The line is the message document with the member `dead_letter` behind the others. The body in there is
//! decoded anew: what could not be decoded then may be now.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::decoder::Decoder;
use crate::event::{Body, Event, Offset, PartitionId, Properties, SequenceNumber, Source};
use crate::message::{Message, Place};

/// A message that was given up, and why.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    /// The message, its body decoded anew.
    pub message: Message,
    /// The sink that refused it; none where it could not be decoded.
    pub sink: Option<String>,
    /// Why it was given up.
    pub reason: String,
}

impl DeadLetter {
    /// Reads a line, with its body as `decoder` does.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment without anything of the line: `has no "offset"`.
    pub(super) fn read(line: &[u8], decoder: &Decoder) -> Result<Self, String> {
        let document = Members::read(line)?;
        let dead = document
            .get("dead_letter")
            .ok_or("is no dead letter: it has no \"dead_letter\"")?;
        let dead = Members::read(dead.get().as_bytes())
            .map_err(|_| "has a \"dead_letter\" that is not a JSON object")?;
        let body = BASE64_STANDARD
            .decode(dead.text("body")?)
            .map_err(|_| "has a \"body\" that is not base64")?;
        let source = Source {
            namespace: document.text("namespace")?,
            event_hub: document.text("event_hub")?,
            consumer_group: document.text("consumer_group")?,
        };
        let event = Event {
            partition: PartitionId::new(&document.text("partition")?),
            sequence_number: SequenceNumber(document.number("sequence_number")?),
            offset: Offset::new(&document.text("offset")?),
            enqueued_time: document.time("enqueued_time")?,
            partition_key: document.optional_text("partition_key")?.map(Into::into),
            content_type: document.optional_text("content_type")?.map(Into::into),
            properties: document.properties()?,
            body: Body::Bytes(Bytes::from(body)),
        };
        let mut message = Message::decode(Arc::new(source), event, decoder);
        message.is_replay = document.get("replay").is_some();
        message.duplicate_of = document.duplicate_of()?;
        Ok(Self {
            message,
            sink: dead.optional_text("sink")?,
            reason: dead.text("reason")?,
        })
    }
}

/// The members of a JSON object in their order, unread.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn read(text: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| match error.classify() {
            // What serde says of wrong data repeats it.
            serde_json::error::Category::Data => "is not a JSON object".to_owned(),
            _ => format!("is not JSON ({error})"),
        })
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let member = self.0.iter().find(|(key, _)| key == name)?;
        Some(member.1)
    }

    fn required(&self, name: &str) -> Result<&'a RawValue, String> {
        self.get(name).ok_or_else(|| format!("has no \"{name}\""))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        serde_json::from_str(self.required(name)?.get())
            .map_err(|_| format!("has a \"{name}\" that is not a text"))
    }

    /// None where it is absent or null.
    fn optional_text(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name).map(RawValue::get) {
            None | Some("null") => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    fn number(&self, name: &str) -> Result<i64, String> {
        serde_json::from_str(self.required(name)?.get())
            .map_err(|_| format!("has a \"{name}\" that is not a whole number"))
    }

    fn time(&self, name: &str) -> Result<OffsetDateTime, String> {
        OffsetDateTime::parse(&self.text(name)?, &Rfc3339)
            .map_err(|_| format!("has a \"{name}\" that is not a time in the form of RFC 3339"))
    }

    fn properties(&self) -> Result<Properties, String> {
        let wrong = |_| "has \"properties\" that are not a JSON object".to_owned();
        let members =
            Members::read(self.required("properties")?.get().as_bytes()).map_err(wrong)?;
        let read = |(name, value): (String, &RawValue)| {
            let value: Value =
                serde_json::from_str(value.get()).map_err(|error| wrong(error.to_string()))?;
            Ok((name, value))
        };
        members.0.into_iter().map(read).collect()
    }

    fn duplicate_of(&self) -> Result<Option<Place>, String> {
        let Some(place) = self.get("duplicate_of") else {
            return Ok(None);
        };
        let place = Members::read(place.get().as_bytes())?;
        Ok(Some(Place {
            partition: PartitionId::new(&place.text("partition")?),
            sequence_number: SequenceNumber(place.number("sequence_number")?),
        }))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::samples;
    use crate::sink::{self, Delivery, Receipt, Shipment};

    /// The line that a dead-letter sink is given for `message`.
    fn line(message: Message) -> Vec<u8> {
        let (settle, _settled) = tokio::sync::mpsc::channel(1);
        let mut window = crate::ack::Window::new(crate::ack::Limit {
            events: 1,
            bytes: 1,
        });
        let ticket = window.begin(message.event.position(), 0);
        let receipt = Receipt::new(0, ticket, settle);
        let delivery = Delivery::new(Arc::new(Shipment { message, receipt }));
        let dead = sink::DeadLetter {
            sink: Some("crm".into()),
            reason: "the server answered 422".to_owned(),
            time: OffsetDateTime::UNIX_EPOCH,
        };
        let mut text = Vec::new();
        sink::Body::Message
            .render(&delivery.into_dead_letter(dead), &mut text)
            .unwrap();
        text
    }

    fn message(body: &str) -> Message {
        let mut event = samples::event(body);
        event.partition = PartitionId::new("3");
        event.sequence_number = SequenceNumber(41);
        event.offset = Offset::new("4100");
        event.partition_key = Some("key".into());
        event.content_type = Some("application/json".into());
        event.properties = [("z".to_owned(), json!(1.50)), ("a".to_owned(), json!("x"))]
            .into_iter()
            .collect();
        samples::decoded(event)
    }

    fn document(message: &Message) -> String {
        serde_json::to_string(message).unwrap()
    }

    #[test]
    fn a_line_becomes_the_message_that_it_was() {
        for body in [
            r#"{"MessageName":"Create","InputParameters":[]}"#,
            "?",
            "\u{fffd}\0",
        ] {
            let mut original = message(body);
            original.is_replay = true;
            original.duplicate_of = Some(Place {
                partition: PartitionId::new("1"),
                sequence_number: SequenceNumber(7),
            });
            let expected = document(&original);
            let dead = DeadLetter::read(&line(original), &Decoder::default()).unwrap();
            assert_eq!(document(&dead.message), expected);
            assert_eq!(dead.message.event.body.bytes(), body.as_bytes());
            assert_eq!(dead.sink.as_deref(), Some("crm"));
            assert_eq!(dead.reason, "the server answered 422");
        }
    }

    #[test]
    fn what_is_no_dead_letter_is_told_and_not_repeated() {
        let whole: Value = serde_json::from_slice(&line(message("hunter2"))).unwrap();
        let with = |path: &str, value: Option<Value>| {
            let mut changed = whole.clone();
            let (parent, name) = path.rsplit_once('/').unwrap();
            let parent = changed
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap();
            match value {
                Some(value) => drop(parent.insert(name.to_owned(), value)),
                None => drop(parent.remove(name)),
            }
            changed.to_string()
        };
        for (line, expected) in [
            (
                with("/dead_letter", None),
                "is no dead letter: it has no \"dead_letter\"",
            ),
            (
                with("/dead_letter", Some(json!("hunter2"))),
                "has a \"dead_letter\" that is not a JSON object",
            ),
            (with("/dead_letter/body", None), "has no \"body\""),
            (
                with("/dead_letter/body", Some(json!("hunter2!"))),
                "has a \"body\" that is not base64",
            ),
            (
                with("/offset", Some(json!(7))),
                "has a \"offset\" that is not a text",
            ),
            (
                with("/sequence_number", Some(json!("hunter2"))),
                "has a \"sequence_number\" that is not a whole number",
            ),
            (
                with("/enqueued_time", Some(json!("hunter2"))),
                "has a \"enqueued_time\" that is not a time in the form of RFC 3339",
            ),
            (
                with("/properties", Some(json!(["hunter2"]))),
                "has \"properties\" that are not a JSON object",
            ),
            ("\"hunter2\"".to_owned(), "is not a JSON object"),
            (
                "{\"hunter2\":".to_owned(),
                "is not JSON (EOF while parsing a value at line 1 column 11)",
            ),
        ] {
            assert_eq!(
                DeadLetter::read(line.as_bytes(), &Decoder::default()).unwrap_err(),
                expected
            );
        }
        assert!(DeadLetter::read(b"\xff", &Decoder::default()).is_err());
    }

    #[test]
    fn a_line_cut_anywhere_is_no_dead_letter() {
        let whole = line(message(r#"{"MessageName":"Create","InputParameters":[]}"#));
        for end in 0..whole.len() {
            DeadLetter::read(&whole[..end], &Decoder::default()).unwrap_err();
        }
    }
}
