//! A received message as an event.
//!
//! It is a part of what was read until somebody keeps it, and its properties are read when somebody asks for one. What
//! most messages carry is read by hand; a property of a rarer type is decoded by the crate, one scalar at a time. A
//! list, map or array has no meaning as a property, and becomes the bytes of its content.
//!
//! Source: AMQP 1.0, section 3.2; the annotations `x-opt-*` of the AMQP protocol guide for Event Hubs.

use std::collections::HashMap;

use bytes::Bytes;
use fe2o3_amqp::types::primitives::SimpleValue;
use serde_json::Value as Json;
use smol_str::SmolStr;

use super::message::{self, ApplicationProperties, Message, NO_NAME};
use crate::event::{
    Body, Event, Offset, PartitionId, Position, Properties, Property, SequenceNumber, Unread,
};
use crate::receiver::encoding::Flaw;
use crate::receiver::encoding::constructor::{DESCRIBED, width};
use crate::receiver::encoding::cursor::Cursor;
use crate::receiver::reading::{self, RuntimeMetric};
use crate::receiver::seam::{Failure, Head};

/// So many properties are looked through for a name one by one; of more, an index is made.
const FEW: usize = 32;

/// What a receiver makes of a message, for the programs that measure it; none where nobody could go on from it.
pub fn event(partition: &PartitionId, mut message: Message) -> Option<Event> {
    read(partition, &mut message).ok()
}

/// Reads a message. Everything but its position may be unreadable.
pub(in crate::receiver) fn read(
    partition: &PartitionId,
    message: &mut Message,
) -> Result<Event, Failure> {
    let head = head(message)?;
    Ok(of(partition, &head, message))
}

/// What a message says of itself, when all of it was looked through. Where it has a flaw, whoever takes the event is told.
#[inline]
pub(in crate::receiver) fn head(message: &mut Message) -> Result<Head, Failure> {
    let number = message.sequence_number();
    let offset = message.offset();
    let (Some(number), Some(offset)) = (number, offset) else {
        return Err(no_position(message));
    };
    let position = Position {
        sequence_number: SequenceNumber(number),
        offset: Offset::new(&offset),
    };
    if let Err(flaw) = check_properties(message) {
        message.found(flaw);
    }
    Ok(Head {
        position,
        enqueued_time: reading::enqueued_time(message.enqueued_time()),
    })
}

/// Why nobody could go on from a message.
#[cold]
fn no_position(message: &Message) -> Failure {
    match (message.flaw(), message.sequence_number()) {
        (Some(flaw), _) => reading::broken(flaw),
        (None, None) => reading::no_sequence_number(),
        (None, Some(_)) => reading::no_offset(),
    }
}

/// The event of this head, which is what becomes of the message.
#[inline]
pub(in crate::receiver) fn of(
    partition: &PartitionId,
    head: &Head,
    message: &mut Message,
) -> Event {
    let partition_key = message.partition_key().map(SmolStr::new);
    let content_type = message.content_type().map(SmolStr::new);
    let (properties, body) = match message.flaw() {
        None => (properties(message), body(message.take_body())),
        Some(flaw) => (
            Properties::default(),
            reading::flawed(flaw, message.take_bytes()),
        ),
    };
    Event {
        partition: partition.clone(),
        sequence_number: head.position.sequence_number,
        offset: head.position.offset.clone(),
        enqueued_time: head.enqueued_time,
        partition_key,
        content_type,
        properties,
        body,
    }
}

/// What the service says of the last event in the partition, where it was asked to.
pub(in crate::receiver) fn metric(message: &Message) -> Option<RuntimeMetric> {
    RuntimeMetric::new(
        message.last_enqueued_sequence_number(),
        message.last_enqueued_time(),
        message.runtime_info_retrieval_time(),
    )
}

fn body(body: message::Body) -> Body {
    match body {
        message::Body::None => reading::no_body(),
        message::Body::Data(bytes) => Body::Bytes(bytes),
        message::Body::Sequence(elements) => reading::sequence(elements),
        message::Body::Value(encoded) => match content(&encoded) {
            Some(bytes) => Body::Bytes(bytes),
            None => reading::unreadable_value(encoded),
        },
    }
}

/// The content of a string or binary, with which its encoding ends.
fn content(encoded: &Bytes) -> Option<Bytes> {
    let mut value = Cursor::new(encoded);
    let content = match encoded.first() {
        Some(0xa0 | 0xb0) => value.binary().ok()??,
        Some(0xa1 | 0xb1) => value.string().ok()??.as_bytes(),
        _ => return None,
    };
    Some(encoded.slice(encoded.len() - content.len()..))
}

/// They stay as they are until somebody asks for one.
fn properties(message: &Message) -> Properties {
    let encoded = message.encoded_properties();
    encoded.map_or_else(Properties::default, |(encoded, count)| {
        Properties::unread(Unread {
            encoded,
            count,
            read: entries,
        })
    })
}

/// They are looked through, so that a flaw is found before somebody asks for one.
fn check_properties(message: &Message) -> Result<(), Flaw> {
    let Some((encoded, count)) = message.properties_part() else {
        return Ok(());
    };
    let mut entries = Cursor::new(encoded);
    for _ in 0..count {
        if !entries.skip_string()? {
            return Err(NO_NAME);
        }
        check(&mut entries)?;
    }
    entries.ended()
}

/// Goes behind a property's value, as [`scalar`] would read it.
#[inline]
fn check(entries: &mut Cursor<'_>) -> Result<(), Flaw> {
    let size = match entries.rest().first() {
        Some(0xa1 | 0xb1) => return entries.skip_string().map(drop),
        Some(0xa3 | 0xb3) => return entries.skip_symbol().map(drop),
        // Whatever these bytes are, they are a value of their type.
        Some(0x40..=0x45) => 1,
        Some(0x52..=0x55) => 2,
        Some(0x70 | 0x71) => 5,
        Some(0x80 | 0x81) => 9,
        _ => return scalar(entries.value()?).map(drop),
    };
    entries.take(size).map(drop)
}

/// Of a name that comes more than once the last value counts, in the first one's place.
fn entries(unread: &Unread) -> Vec<Property> {
    let all = ApplicationProperties::new(&unread.encoded, unread.count);
    let mut properties: Vec<Property> = Vec::with_capacity(FEW.min(unread.count as usize));
    let mut places = HashMap::new();
    // Nothing in them has a flaw.
    for (name, value) in all.flatten() {
        let Ok(value) = scalar(value).map(json) else {
            continue;
        };
        let place = if properties.len() <= FEW {
            properties.iter().position(|(known, _)| known == name)
        } else {
            index(&properties, &mut places);
            places.get(name).copied()
        };
        match place.and_then(|place| properties.get_mut(place)) {
            Some((_, known)) => *known = value,
            None => properties.push((name.into(), value)),
        }
    }
    properties
}

/// Adds to the index what has come since it was last asked.
fn index(properties: &[(SmolStr, Json)], places: &mut HashMap<SmolStr, usize>) {
    for (place, (name, _)) in properties.iter().enumerate().skip(places.len()) {
        places.insert(name.clone(), place);
    }
}

/// A property's value, found to be one.
enum Scalar<'a> {
    Text(Option<&'a str>),
    Boolean(Option<bool>),
    Signed(Option<i64>),
    Unsigned(Option<u64>),
    Bytes(&'a [u8]),
    /// Of a type of which few are.
    Rare(SimpleValue),
    Described,
}

fn scalar(encoded: &[u8]) -> Result<Scalar<'_>, Flaw> {
    let mut value = Cursor::new(encoded);
    let constructor = encoded.first().copied().unwrap_or_default();
    Ok(match constructor {
        0xa1 | 0xb1 => Scalar::Text(value.string()?),
        0xa3 | 0xb3 => Scalar::Text(value.symbol()?),
        0x41 | 0x42 | 0x56 => Scalar::Boolean(value.boolean()?),
        0x54 | 0x71 => Scalar::Signed(value.int()?.map(i64::from)),
        0x55 | 0x81 => Scalar::Signed(value.long()?),
        0x43 | 0x52 | 0x70 => Scalar::Unsigned(value.uint()?.map(u64::from)),
        0x44 | 0x53 | 0x80 => Scalar::Unsigned(value.ulong()?),
        0x45 => Scalar::Bytes(&[]),
        0xc0 | 0xc1 | 0xd0 | 0xd1 | 0xe0 | 0xf0 => {
            let size = 1 + usize::from(width(constructor));
            Scalar::Bytes(encoded.get(size..).unwrap_or_default())
        }
        DESCRIBED => Scalar::Described,
        _ => serde_amqp::from_slice::<SimpleValue>(encoded)
            .map(Scalar::Rare)
            .map_err(|_| "an application property is no value of its type")?,
    })
}

/// A property's value in JSON's terms, as [`Properties`] lays down.
fn json(scalar: Scalar<'_>) -> Json {
    match scalar {
        Scalar::Text(text) => text.into(),
        Scalar::Boolean(value) => value.into(),
        Scalar::Signed(number) => number.into(),
        Scalar::Unsigned(number) => number.into(),
        Scalar::Bytes(bytes) => reading::binary(bytes),
        Scalar::Rare(value) => reading::json(value),
        Scalar::Described => Json::Null,
    }
}

#[cfg(test)]
mod tests;
