//! An AMQP message as an event.
//!
//! Source: AMQP 1.0 part 3.2; the annotations `x-opt-*` of the AMQP protocol guide for Event Hubs.

use bytes::Bytes;
use fe2o3_amqp::types::messaging::annotations::AnnotationKey;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Body as AmqpBody, Message, MessageAnnotations,
};
use fe2o3_amqp::types::primitives::{LazyValue, Value};

use crate::event::{Body, Event, Offset, PartitionId, Properties, SequenceNumber};
use crate::receiver::reading::{self, RuntimeMetric};
use crate::receiver::seam::Failure;

pub(super) use crate::receiver::reading::weight;

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
        enqueued_time: reading::enqueued_time(milliseconds(&annotations)),
        partition_key: annotation(&annotations, "x-opt-partition-key")
            .and_then(as_text)
            .map(Into::into),
        content_type: content_type.map(|symbol| symbol.0.into()),
        properties: properties(message.application_properties.unwrap_or_default()),
        body: body(message.body),
    })
}

/// What the service says of the last event in the partition, where it was asked to.
pub(super) fn metric<B>(message: &Message<B>) -> Option<RuntimeMetric> {
    let annotations = &message.delivery_annotations.as_ref()?.0;
    let annotation = |name: &'static str| annotations.get(&name as &dyn AnnotationKey);
    let time = |name| match annotation(name) {
        Some(Value::Timestamp(time)) => Some(time.milliseconds()),
        _ => None,
    };
    RuntimeMetric::new(
        annotation("last_enqueued_sequence_number").and_then(integer),
        time("last_enqueued_time_utc"),
        time("runtime_info_retrieval_time_utc"),
    )
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Long(number) => Some(*number),
        Value::Int(number) => Some(i64::from(*number)),
        Value::Uint(number) => Some(i64::from(*number)),
        Value::Ulong(number) => (*number).try_into().ok(),
        _ => None,
    }
}

fn annotation<'a>(annotations: &'a MessageAnnotations, name: &'static str) -> Option<&'a Value> {
    annotations.0.get(&name as &dyn AnnotationKey)
}

fn sequence_number(annotations: &MessageAnnotations) -> Result<SequenceNumber, Failure> {
    let number = annotation(annotations, "x-opt-sequence-number").and_then(integer);
    number
        .map(SequenceNumber)
        .ok_or_else(reading::no_sequence_number)
}

fn offset(annotations: &MessageAnnotations) -> Result<Offset, Failure> {
    match annotation(annotations, "x-opt-offset") {
        Some(Value::String(offset)) => Ok(Offset::new(offset)),
        Some(number) => match integer(number) {
            Some(offset) => Ok(Offset::new(&offset.to_string())),
            None => Err(reading::no_offset()),
        },
        None => Err(reading::no_offset()),
    }
}

fn milliseconds(annotations: &MessageAnnotations) -> Option<i64> {
    match annotation(annotations, "x-opt-enqueued-time") {
        Some(Value::Timestamp(timestamp)) => Some(timestamp.milliseconds()),
        _ => None,
    }
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
        AmqpBody::Value(value) => value_body(value.0.into_bytes()),
        AmqpBody::Sequence(sequences) => {
            let elements = sequences.into_iter().flat_map(|sequence| sequence.0);
            let encoded = elements.fold(Vec::new(), |mut all, element| {
                all.extend_from_slice(element.as_slice());
                all
            });
            reading::sequence(encoded.into())
        }
        AmqpBody::Empty => reading::no_body(),
    }
}

fn value_body(encoded: Bytes) -> Body {
    let value = match reading::kind(encoded.first().copied()) {
        "string" | "binary" => serde_amqp::from_slice(&encoded).ok(),
        _ => None,
    };
    match value {
        Some(Value::String(text)) => Body::Bytes(Bytes::from(text)),
        Some(Value::Binary(binary)) => Body::Bytes(binary.into_vec().into()),
        _ => reading::unreadable_value(encoded),
    }
}

fn properties(properties: ApplicationProperties) -> Properties {
    properties
        .0
        .into_iter()
        .map(|(name, value)| (name, reading::json(value)))
        .collect()
}

#[cfg(test)]
mod alike;
#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::messaging::message::__private::Serializable;
    use fe2o3_amqp::types::messaging::message::DecodeIntoMessage;
    use fe2o3_amqp::types::messaging::{
        AmqpSequence, AmqpValue, Data, Properties as AmqpProperties,
    };
    use fe2o3_amqp::types::primitives::{Binary, OrderedMap, SimpleValue, Timestamp};
    use time::OffsetDateTime;
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
        assert!(weight(event.size()) > 2);
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
    fn properties_keep_their_order() {
        let mut message = message(data(&["{}"]));
        let mut properties = ApplicationProperties::default();
        properties.0.insert("z".into(), SimpleValue::Bool(true));
        properties.0.insert("a".into(), SimpleValue::Null);
        message.application_properties = Some(properties);
        let event = sent(message).unwrap();
        let properties: Vec<_> = event.properties.iter().collect();
        let null = &serde_json::Value::Null;
        assert_eq!(properties, [("z", &true.into()), ("a", null)]);
    }
}
