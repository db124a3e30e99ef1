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
use fe2o3_amqp::types::primitives::{LazyValue, SimpleValue, Timestamp, Uuid, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::{Body, Event, Offset, PartitionId, Properties, SequenceNumber};
use crate::receiver::seam::Failure;

/// What an event weighs beside its body and properties, in bytes, for credit to reckon with.
const OVERHEAD: usize = 256;

/// Reads a message. Its body may be unreadable, its position may not.
pub(super) fn read(
    partition: &PartitionId,
    message: Message<AmqpBody<LazyValue>>,
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

/// A value stays encoded unless it is text or binary: the crate's decoder goes one call deeper for each
/// level of nesting, and knows no limit.
fn body(body: AmqpBody<LazyValue>) -> Body {
    match body {
        AmqpBody::Data(sections) => {
            let mut sections = sections.into_iter().map(|section| section.0.into_vec());
            let mut bytes = sections.next().unwrap_or_default();
            sections.for_each(|more| bytes.extend_from_slice(&more));
            Body::Bytes(bytes.into())
        }
        AmqpBody::Value(value) => value_body(value.0.as_slice()),
        AmqpBody::Sequence(sequences) => {
            let elements = sequences.into_iter().flat_map(|sequence| sequence.0);
            let encoded = elements.fold(Vec::new(), |mut all, element| {
                all.extend_from_slice(element.as_slice());
                all
            });
            unreadable("the message's body is an AMQP sequence".to_owned(), encoded)
        }
        AmqpBody::Empty => unreadable("the message has no body".to_owned(), Vec::new()),
    }
}

fn value_body(encoded: &[u8]) -> Body {
    let kind = kind(encoded.first().copied());
    let value = match kind {
        "string" | "binary" => serde_amqp::from_slice(encoded).ok(),
        _ => None,
    };
    match value {
        Some(Value::String(text)) => Body::Bytes(Bytes::from(text)),
        Some(Value::Binary(binary)) => Body::Bytes(binary.into_vec().into()),
        _ => unreadable(
            format!("the message's body is an AMQP {kind}"),
            encoded.to_vec(),
        ),
    }
}

fn unreadable(reason: String, encoded: Vec<u8>) -> Body {
    Body::Unreadable {
        reason,
        encoded: encoded.into(),
    }
}

/// The name of a type by the first byte of a value, its constructor (AMQP 1.0, section 1.6).
fn kind(constructor: Option<u8>) -> &'static str {
    match constructor {
        Some(0xa0 | 0xb0) => "binary",
        Some(0xa1 | 0xb1) => "string",
        Some(0xa3 | 0xb3) => "symbol",
        Some(0x45 | 0xc0 | 0xd0) => "list",
        Some(0xc1 | 0xd1) => "map",
        Some(0xe0 | 0xf0) => "array",
        Some(0x00) => "described value",
        Some(0x40) | None => "null",
        Some(0x41 | 0x42 | 0x56) => "boolean",
        Some(0x72 | 0x82) => "floating-point number",
        Some(0x73) => "char",
        Some(0x74 | 0x84 | 0x94) => "decimal",
        Some(0x83) => "timestamp",
        Some(0x98) => "uuid",
        Some(_) => "integer",
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

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::messaging::message::__private::Serializable;
    use fe2o3_amqp::types::messaging::message::DecodeIntoMessage;
    use fe2o3_amqp::types::messaging::{
        AmqpSequence, AmqpValue, Data, Properties as AmqpProperties,
    };
    use fe2o3_amqp::types::primitives::{Binary, OrderedMap};
    use time::macros::datetime;

    use super::*;

    /// The message as it is after a trip over the wire.
    fn sent(message: Message<AmqpBody<Value>>) -> Result<Event, Failure> {
        let bytes = serde_amqp::to_vec(&Serializable(message)).unwrap();
        let message = AmqpBody::<LazyValue>::decode_message_from_reader(
            serde_amqp::read::SliceReader::new(&bytes),
        )
        .unwrap();
        read(&PartitionId::new("0"), message)
    }

    fn message<T>(body: AmqpBody<T>) -> Message<AmqpBody<T>> {
        let mut annotations = MessageAnnotations::default();
        annotations
            .0
            .insert("x-opt-sequence-number".into(), Value::Long(7));
        annotations
            .0
            .insert("x-opt-offset".into(), Value::String("700".into()));
        let time = Value::Timestamp(Timestamp::from_milliseconds(1_700_000_000_123));
        annotations.0.insert("x-opt-enqueued-time".into(), time);
        annotations
            .0
            .insert("x-opt-partition-key".into(), Value::String("key".into()));
        Message {
            message_annotations: Some(annotations),
            properties: Some(
                AmqpProperties::builder()
                    .content_type("application/json")
                    .build(),
            ),
            ..Message::builder().body(body).build()
        }
    }

    fn data(sections: &[&str]) -> AmqpBody<Value> {
        let sections: Vec<Data> = sections
            .iter()
            .map(|text| Data(Binary::from(text.as_bytes())))
            .collect();
        AmqpBody::Data(sections.into())
    }

    fn value(value: Value) -> AmqpBody<Value> {
        AmqpBody::Value(AmqpValue(value))
    }

    #[test]
    fn a_position_a_time_a_key_and_a_content_type_are_read() {
        let event = sent(message(data(&["{}"]))).unwrap();
        assert_eq!(event.sequence_number, SequenceNumber(7));
        assert_eq!(event.offset, Offset::new("700"));
        assert_eq!(event.enqueued_time, datetime!(2023-11-14 22:13:20.123 UTC));
        assert_eq!(event.partition_key.as_deref(), Some("key"));
        assert_eq!(event.content_type.as_deref(), Some("application/json"));
        assert_eq!(event.body.bytes(), b"{}");
        assert!(weight(&event) > 2);
    }

    #[test]
    fn a_body_is_data_text_or_binary() {
        let check = |body: AmqpBody<Value>, expected: &str| {
            let event = sent(message(body)).unwrap();
            assert!(
                matches!(&event.body, Body::Bytes(bytes) if bytes == expected),
                "{event:?}"
            );
        };
        check(data(&["one"]), "one");
        check(data(&["one", "", "two"]), "onetwo");
        check(data(&[""]), "");
        check(value(Value::String("text".into())), "text");
        check(value(Value::Binary(Binary::from(&b"binary"[..]))), "binary");
    }

    #[test]
    fn any_other_body_is_unreadable_and_keeps_its_position() {
        let check = |body: AmqpBody<Value>, expected: &str, raw: &[u8]| {
            let event = sent(message(body)).unwrap();
            assert_eq!(event.sequence_number, SequenceNumber(7));
            match event.body {
                Body::Unreadable { reason, encoded } => {
                    assert_eq!((&*reason, &*encoded), (expected, raw))
                }
                Body::Bytes(bytes) => panic!("{bytes:?}"),
            }
        };
        let sequence = vec![AmqpSequence::from(vec![Value::Int(1), Value::Null])];
        check(
            AmqpBody::Sequence(sequence.into()),
            "the message's body is an AMQP sequence",
            &[0x54, 1, 0x40],
        );
        check(
            value(Value::Null),
            "the message's body is an AMQP null",
            &[0x40],
        );
        check(
            value(Value::Int(1)),
            "the message's body is an AMQP integer",
            &[0x54, 1],
        );
        check(
            value(Value::List(vec![])),
            "the message's body is an AMQP list",
            &[0x45],
        );
        check(
            value(Value::Map(OrderedMap::new())),
            "the message's body is an AMQP map",
            &[0xc1, 1, 0],
        );
    }

    #[test]
    fn a_list_nested_without_end_is_an_unreadable_body() {
        let mut list = vec![0x45];
        for _ in 0..5_000 {
            let size = u32::try_from(list.len() + 4).unwrap().to_be_bytes();
            list = [&[0xd0][..], &size, &[0, 0, 0, 1], &list].concat();
        }
        let bytes = [&[0x00, 0x53, 0x77][..], &list].concat();
        let reader = serde_amqp::read::SliceReader::new(&bytes);
        let message = AmqpBody::<LazyValue>::decode_message_from_reader(reader).unwrap();
        let expected = "the message's body is an AMQP list";
        assert!(
            matches!(body(message.body), Body::Unreadable { reason, .. } if reason == expected)
        );
    }

    #[test]
    fn a_message_without_a_body_is_unreadable() {
        // Not by way of the encoder, which writes a null where there is nothing.
        let event = read(&PartitionId::new("0"), message(AmqpBody::Empty)).unwrap();
        let expected = "the message has no body";
        assert!(matches!(event.body, Body::Unreadable { reason, .. } if reason == expected));
    }

    #[test]
    fn a_message_without_a_position_is_malformed() {
        for missing in ["x-opt-sequence-number", "x-opt-offset"] {
            let mut message = message(data(&["{}"]));
            let annotations = message.message_annotations.as_mut().unwrap();
            annotations.0.swap_remove(&missing as &dyn AnnotationKey);
            assert!(
                matches!(sent(message), Err(Failure::Malformed(_))),
                "{missing}"
            );
        }
        let bare = Message::builder().body(AmqpBody::Empty).build();
        assert!(matches!(
            read(&PartitionId::new("0"), bare),
            Err(Failure::Malformed(_))
        ));
    }

    #[test]
    fn a_time_that_no_calendar_holds_is_the_epoch() {
        let mut message = message(data(&["{}"]));
        let time = Value::Timestamp(Timestamp::from_milliseconds(i64::MAX));
        let annotations = message.message_annotations.as_mut().unwrap();
        annotations.0.insert("x-opt-enqueued-time".into(), time);
        assert_eq!(
            sent(message).unwrap().enqueued_time,
            OffsetDateTime::UNIX_EPOCH
        );
    }

    #[test]
    fn properties_become_json_and_keep_their_order_and_digits() {
        let check = |value: SimpleValue, expected: &str| {
            let mut message = message(data(&["{}"]));
            let mut properties = ApplicationProperties::default();
            properties.0.insert("z".into(), value.clone());
            properties.0.insert("a".into(), SimpleValue::Null);
            message.application_properties = Some(properties);
            let event = sent(message).unwrap();
            let names: Vec<&str> = event.properties.iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["z", "a"]);
            assert_eq!(
                event.properties.get("z").unwrap().to_string(),
                expected,
                "{value:?}"
            );
        };
        check(SimpleValue::Null, "null");
        check(SimpleValue::Bool(true), "true");
        check(SimpleValue::Ulong(u64::MAX), "18446744073709551615");
        check(SimpleValue::Long(i64::MIN), "-9223372036854775808");
        check(SimpleValue::Float(0.1.into()), "0.1");
        check(SimpleValue::Double(2.5.into()), "2.5");
        check(SimpleValue::Double(f64::INFINITY.into()), "\"inf\"");
        check(SimpleValue::Char('é'), "\"é\"");
        check(SimpleValue::String("text".into()), "\"text\"");
        check(SimpleValue::Symbol("symbol".into()), "\"symbol\"");
        check(
            SimpleValue::Binary(Binary::from(&b"\x00\xff"[..])),
            "\"AP8=\"",
        );
        let time = Timestamp::from_milliseconds(1_700_000_000_000);
        check(SimpleValue::Timestamp(time), "\"2023-11-14T22:13:20Z\"");
        let uuid = Uuid::from(0x0123_4567_89ab_cdef_0123_4567_89ab_cdefu128.to_be_bytes());
        check(
            SimpleValue::Uuid(uuid),
            "\"01234567-89ab-cdef-0123-456789abcdef\"",
        );
    }
}
