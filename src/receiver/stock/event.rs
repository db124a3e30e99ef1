//! An AMQP message as an event.
//!
//! Source: AMQP 1.0 part 3.2; the annotations `x-opt-*` of the AMQP protocol guide for Event Hubs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use fe2o3_amqp::types::messaging::annotations::AnnotationKey;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Body as AmqpBody, Message, MessageAnnotations,
};
use fe2o3_amqp::types::primitives::{SimpleValue, Timestamp, Uuid, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::{Body, Event, Offset, PartitionId, Properties, SequenceNumber};
use crate::receiver::seam::Failure;

/// What an event weighs beside its body and properties, in bytes, for credit to reckon with.
const OVERHEAD: usize = 256;

/// Reads a message. Its body may be unreadable, its position may not.
pub(super) fn read(
    partition: &PartitionId,
    message: Message<AmqpBody<Value>>,
) -> Result<Event, Failure> {
    let annotations = message.message_annotations.unwrap_or_default();
    let content_type = message
        .properties
        .and_then(|properties| properties.content_type);
    Ok(Event {
        partition: partition.clone(),
        sequence_number: sequence_number(&annotations)?,
        offset: offset(&annotations)?,
        enqueued_time: enqueued_time(&annotations),
        partition_key: annotation(&annotations, "x-opt-partition-key").and_then(as_text),
        content_type: content_type.map(|symbol| symbol.0),
        properties: properties(message.application_properties.unwrap_or_default()),
        body: body(message.body),
    })
}

/// About how much an event weighs, in bytes.
pub(super) fn weight(event: &Event) -> usize {
    let properties: usize = event
        .properties
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(16, str::len))
        .sum();
    OVERHEAD + properties + event.body.bytes().len()
}

fn annotation<'a>(annotations: &'a MessageAnnotations, name: &'static str) -> Option<&'a Value> {
    annotations.0.get(&name as &dyn AnnotationKey)
}

fn sequence_number(annotations: &MessageAnnotations) -> Result<SequenceNumber, Failure> {
    match annotation(annotations, "x-opt-sequence-number") {
        Some(Value::Long(number)) => Ok(SequenceNumber(*number)),
        Some(Value::Int(number)) => Ok(SequenceNumber(i64::from(*number))),
        _ => Err(Failure::Malformed("it has no sequence number".to_owned())),
    }
}

fn offset(annotations: &MessageAnnotations) -> Result<Offset, Failure> {
    match annotation(annotations, "x-opt-offset") {
        Some(Value::String(offset)) => Ok(Offset::new(offset)),
        Some(Value::Long(offset)) => Ok(Offset::new(&offset.to_string())),
        _ => Err(Failure::Malformed("it has no offset".to_owned())),
    }
}

/// A message without a time, or with one that no calendar holds, is as old as time itself.
fn enqueued_time(annotations: &MessageAnnotations) -> OffsetDateTime {
    match annotation(annotations, "x-opt-enqueued-time") {
        Some(Value::Timestamp(timestamp)) => calendar_time(timestamp),
        _ => None,
    }
    .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn calendar_time(timestamp: &Timestamp) -> Option<OffsetDateTime> {
    let nanoseconds = i128::from(timestamp.milliseconds()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn body(body: AmqpBody<Value>) -> Body {
    match body {
        AmqpBody::Data(sections) => {
            let mut sections = sections.into_iter().map(|section| section.0.into_vec());
            let mut bytes = sections.next().unwrap_or_default();
            sections.for_each(|more| bytes.extend_from_slice(&more));
            Body::Bytes(bytes.into())
        }
        AmqpBody::Value(value) => match value.0 {
            Value::String(text) => Body::Bytes(Bytes::from(text)),
            Value::Binary(binary) => Body::Bytes(binary.into_vec().into()),
            other => unreadable(format!("the message's body is an AMQP {}", kind(&other))),
        },
        AmqpBody::Sequence(_) => unreadable("the message's body is an AMQP sequence".to_owned()),
        AmqpBody::Empty => unreadable("the message has no body".to_owned()),
    }
}

fn unreadable(reason: String) -> Body {
    Body::Unreadable { reason }
}

/// The name of a value's type in the specification.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Array(_) => "array",
        Value::Described(_) => "described value",
        Value::Symbol(_) => "symbol",
        Value::Timestamp(_) => "timestamp",
        Value::Uuid(_) => "uuid",
        Value::Char(_) => "char",
        Value::Float(_) | Value::Double(_) => "floating-point number",
        Value::Decimal32(_) | Value::Decimal64(_) | Value::Decimal128(_) => "decimal",
        Value::String(_) => "string",
        Value::Binary(_) => "binary",
        _ => "integer",
    }
}

fn properties(properties: ApplicationProperties) -> Properties {
    properties
        .0
        .into_iter()
        .map(|(name, value)| (name, json(value)))
        .collect()
}

/// A property's value in JSON's terms, as [`Properties`] lays down.
fn json(value: SimpleValue) -> serde_json::Value {
    match value {
        SimpleValue::Null => serde_json::Value::Null,
        SimpleValue::Bool(value) => value.into(),
        SimpleValue::Ubyte(value) => value.into(),
        SimpleValue::Ushort(value) => value.into(),
        SimpleValue::Uint(value) => value.into(),
        SimpleValue::Ulong(value) => value.into(),
        SimpleValue::Byte(value) => value.into(),
        SimpleValue::Short(value) => value.into(),
        SimpleValue::Int(value) => value.into(),
        SimpleValue::Long(value) => value.into(),
        // By way of its text: a widened 0.1 would grow digits that the sender did not give.
        SimpleValue::Float(value) => float(value.0.to_string(), value.0.is_finite()),
        SimpleValue::Double(value) => float(value.0.to_string(), value.0.is_finite()),
        SimpleValue::Decimal32(value) => binary(value.into_inner().as_slice()),
        SimpleValue::Decimal64(value) => binary(value.into_inner().as_slice()),
        SimpleValue::Decimal128(value) => binary(value.into_inner().as_slice()),
        SimpleValue::Char(value) => value.to_string().into(),
        SimpleValue::Timestamp(value) => timestamp(&value).into(),
        SimpleValue::Uuid(value) => uuid(&value).into(),
        SimpleValue::Binary(value) => binary(&value),
        SimpleValue::String(value) => value.into(),
        SimpleValue::Symbol(value) => value.0.into(),
        SimpleValue::Described(_) => serde_json::Value::Null,
    }
}

/// JSON has no infinities: they stay texts.
fn float(digits: String, is_finite: bool) -> serde_json::Value {
    let number = is_finite.then(|| digits.parse().ok()).flatten();
    number.map_or_else(|| digits.into(), serde_json::Value::Number)
}

fn binary(bytes: &[u8]) -> serde_json::Value {
    BASE64.encode(bytes).into()
}

fn timestamp(timestamp: &Timestamp) -> String {
    calendar_time(timestamp)
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| timestamp.milliseconds().to_string())
}

fn uuid(uuid: &Uuid) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(*uuid.as_inner()));
    let (a, b, c, d, e) = (
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}
