//! Both engines make the same event of the same bytes.

use fe2o3_amqp::types::messaging::message::__private::Serializable;
use fe2o3_amqp::types::messaging::message::DecodeIntoMessage;
use fe2o3_amqp::types::messaging::{
    AmqpSequence, AmqpValue, Data, DeliveryAnnotations, Footer, Header, MessageId,
    Properties as AmqpProperties,
};
use fe2o3_amqp::types::primitives::{Binary, SimpleValue, Symbol, Timestamp, Uuid, Value};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;

use super::*;
use crate::receiver::encoding::cursor::Cursor;
use crate::receiver::encoding::walk::{Subject, Walk};
use crate::receiver::engine;

/// What becomes of a message on its way through the guard and the crate, unless one of them refuses it.
fn stock(bytes: &[u8]) -> Option<(Result<Event, Failure>, Option<RuntimeMetric>)> {
    let mut bytes = bytes.to_vec();
    let mut walk = Walk::new(Subject::Message, bytes.len() as u64);
    walk.feed(&mut bytes).ok()?;
    walk.is_whole().then_some(())?;
    let reader = serde_amqp::read::SliceReader::new(&bytes);
    let message = AmqpBody::<LazyValue>::decode_message_from_reader(reader);
    let message = message.ok()?;
    let metric = metric(&message);
    Some((read(&PartitionId::new("0"), message), metric))
}

fn own(bytes: &[u8]) -> Result<Event, Failure> {
    let message = engine::Message::read(Bytes::copy_from_slice(bytes));
    engine::event::read(
        &PartitionId::new("0"),
        &mut message.map_err(reading::broken)?,
    )
}

fn own_metric(bytes: &[u8]) -> Option<RuntimeMetric> {
    let message = engine::Message::read(Bytes::copy_from_slice(bytes)).ok()?;
    engine::event::metric(&message)
}

/// No body is longer than what it came in.
fn check_length(bytes: &[u8]) {
    if let Ok(event) = own(bytes) {
        assert!(event.body.bytes().len() <= bytes.len());
    }
}

/// What the crate makes of the bytes the engine makes as well.
fn check(bytes: &[u8]) {
    check_length(bytes);
    let own = own(bytes);
    if let Some((stock, metric)) = stock(bytes)
        && !has_bodies_of_two_kinds(bytes)
    {
        assert_eq!(format!("{own:?}"), format!("{stock:?}"));
        assert_eq!(own_metric(bytes), metric);
    }
}

/// No such message should be. Behind a value or sequence the crate takes data for what they are, encoded.
fn has_bodies_of_two_kinds(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    let mut kinds = Vec::new();
    while let Ok(code) = cursor.descriptor() {
        cursor.skip().unwrap();
        kinds.extend((0x75..=0x77).contains(&code).then_some(code));
    }
    kinds.windows(2).any(|kinds| kinds[0] != kinds[1])
}

fn encoded(message: Message<AmqpBody<Value>>) -> Vec<u8> {
    serde_amqp::to_vec(&Serializable(message)).unwrap()
}

fn scalar() -> impl Strategy<Value = SimpleValue> {
    prop_oneof![
        Just(SimpleValue::Null),
        any::<bool>().prop_map(SimpleValue::Bool),
        any::<u8>().prop_map(SimpleValue::Ubyte),
        any::<u16>().prop_map(SimpleValue::Ushort),
        prop_oneof![Just(0), 1..256_u32, any::<u32>()].prop_map(SimpleValue::Uint),
        prop_oneof![Just(0), 1..256_u64, any::<u64>()].prop_map(SimpleValue::Ulong),
        any::<i8>().prop_map(SimpleValue::Byte),
        any::<i16>().prop_map(SimpleValue::Short),
        prop_oneof![-200..200_i32, any::<i32>()].prop_map(SimpleValue::Int),
        prop_oneof![-200..200_i64, any::<i64>()].prop_map(SimpleValue::Long),
        any::<f32>().prop_map(|value| SimpleValue::Float(value.into())),
        any::<f64>().prop_map(|value| SimpleValue::Double(value.into())),
        any::<char>().prop_map(SimpleValue::Char),
        any::<i64>().prop_map(|time| SimpleValue::Timestamp(Timestamp::from_milliseconds(time))),
        any::<[u8; 16]>().prop_map(|uuid| SimpleValue::Uuid(Uuid::from(uuid))),
        vec(any::<u8>(), 0..300).prop_map(|bytes| SimpleValue::Binary(Binary::from(bytes))),
        ".{0,90}".prop_map(SimpleValue::String),
        "[a-z:-]{0,300}".prop_map(|text| SimpleValue::Symbol(Symbol::from(text))),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar()
        .prop_map(Value::from)
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..3).prop_map(Value::List),
                vec(("[a-z]{0,9}".prop_map(Value::String), inner.clone()), 0..3)
                    .prop_map(|entries| Value::Map(entries.into_iter().collect())),
                inner.prop_map(|value| {
                    let descriptor = Descriptor::Code(7);
                    Value::Described(Box::new(Described { descriptor, value }))
                }),
            ]
        })
}

/// A value that an annotation often has, or any other.
fn annotation_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => any::<i64>().prop_map(Value::Long),
        1 => any::<i32>().prop_map(Value::Int),
        1 => any::<u32>().prop_map(Value::Uint),
        1 => any::<u64>().prop_map(Value::Ulong),
        2 => "[0-9]{0,9}".prop_map(Value::String),
        2 => (0..2_000_000_000_000_i64)
            .prop_map(|time| Value::Timestamp(Timestamp::from_milliseconds(time))),
        1 => value(),
    ]
}

fn annotations() -> impl Strategy<Value = MessageAnnotations> {
    let names = prop_oneof![
        Just("x-opt-enqueued-time"),
        Just("x-opt-partition-key"),
        Just("x-opt-sequence-number"),
        Just("x-opt-offset"),
        Just("x-opt-other"),
    ];
    (any::<bool>(), vec((names, annotation_value()), 0..6)).prop_map(|(is_placed, entries)| {
        let mut annotations = MessageAnnotations::default();
        if is_placed {
            annotations
                .0
                .insert("x-opt-sequence-number".into(), Value::Long(7));
            annotations
                .0
                .insert("x-opt-offset".into(), Value::String("700".into()));
        }
        for (name, value) in entries {
            let is_position = name.ends_with('r') || name.ends_with('t');
            if !(is_placed && is_position) {
                annotations.0.insert(name.into(), value);
            }
        }
        annotations
    })
}

/// Those of the receiver runtime metric, or nearly.
fn delivery_annotations() -> impl Strategy<Value = DeliveryAnnotations> {
    let names = prop_oneof![
        Just("last_enqueued_sequence_number"),
        Just("last_enqueued_time_utc"),
        Just("last_enqueued_offset"),
    ];
    (any::<bool>(), vec((names, annotation_value()), 0..4)).prop_map(|(is_whole, entries)| {
        let mut annotations = match is_whole {
            true => metric_of(9),
            false => DeliveryAnnotations::default(),
        };
        for (name, value) in entries {
            annotations.0.insert(name.into(), value);
        }
        annotations
    })
}

fn metric_of(number: i64) -> DeliveryAnnotations {
    let time = |milliseconds| Value::Timestamp(Timestamp::from_milliseconds(milliseconds));
    let mut annotations = DeliveryAnnotations::default();
    let entries = [
        ("last_enqueued_sequence_number", Value::Long(number)),
        ("last_enqueued_offset", Value::String("900".into())),
        ("last_enqueued_time_utc", time(1_000)),
        ("runtime_info_retrieval_time_utc", time(2_000)),
    ];
    for (name, value) in entries {
        annotations.0.insert(name.into(), value);
    }
    annotations
}

fn amqp_properties() -> impl Strategy<Value = AmqpProperties> {
    (
        option::of("[a-z/]{0,20}"),
        option::of(".{0,9}"),
        option::of(any::<u64>()),
    )
        .prop_map(|(content_type, subject, id)| AmqpProperties {
            content_type: content_type.map(Symbol::from),
            subject,
            correlation_id: id.map(MessageId::Ulong),
            ..AmqpProperties::default()
        })
}

fn application_properties() -> impl Strategy<Value = ApplicationProperties> {
    vec((".{0,3}", scalar()), 0..40).prop_map(|entries| {
        let mut properties = ApplicationProperties::default();
        for (name, value) in entries {
            properties.0.insert(name, value);
        }
        properties
    })
}

fn body() -> impl Strategy<Value = AmqpBody<Value>> {
    let bytes = prop_oneof![vec(any::<u8>(), 0..300), vec(any::<u8>(), 4090..4200)];
    let data = bytes.prop_map(|bytes| Data(Binary::from(bytes)));
    let sequence = vec(value(), 0..3).prop_map(AmqpSequence::from);
    prop_oneof![
        vec(data, 1..4).prop_map(|sections| AmqpBody::Data(sections.into())),
        vec(sequence, 0..3).prop_map(|sections| AmqpBody::Sequence(sections.into())),
        value().prop_map(|value| AmqpBody::Value(AmqpValue(value))),
        Just(AmqpBody::Empty),
    ]
}

fn messages() -> impl Strategy<Value = Message<AmqpBody<Value>>> {
    let parts = (
        any::<[bool; 2]>(),
        option::of(delivery_annotations()),
        option::weighted(0.9, annotations()),
        option::of(amqp_properties()),
        option::of(application_properties()),
        body(),
    );
    parts.prop_map(
        |(others, delivery_annotations, message_annotations, properties, application, body)| {
            Message {
                header: others[0].then(Header::default),
                delivery_annotations,
                message_annotations,
                properties,
                application_properties: application,
                body,
                footer: others[1].then(Footer::default),
            }
        },
    )
}

fn plain() -> Message<AmqpBody<Value>> {
    let mut annotations = MessageAnnotations::default();
    let entries = [
        ("x-opt-sequence-number", Value::Long(7)),
        ("x-opt-offset", Value::String("700".into())),
        ("x-opt-partition-key", Value::String("k".into())),
        ("x-opt-list", Value::List(vec![Value::Null])),
    ];
    for (name, value) in entries {
        annotations.0.insert(name.into(), value);
    }
    let mut application = ApplicationProperties::default();
    application.0.insert("a".into(), SimpleValue::Int(1));
    application
        .0
        .insert("b".into(), SimpleValue::String("text".into()));
    let properties = AmqpProperties::builder().content_type("a/b").build();
    let data: Vec<Data> = vec![b"one".to_vec().into(), b"two".to_vec().into()];
    Message {
        delivery_annotations: Some(metric_of(9)),
        message_annotations: Some(annotations),
        properties: Some(properties),
        application_properties: Some(application),
        ..Message::builder().body(AmqpBody::Data(data.into())).build()
    }
}

#[test]
fn a_plain_message_is_the_same_event_to_both() {
    let bytes = encoded(plain());
    let (event, metric) = stock(&bytes).unwrap();
    assert_eq!(event.unwrap().body.bytes(), b"onetwo");
    assert_eq!(
        metric,
        RuntimeMetric::new(Some(9), Some(1_000), Some(2_000))
    );
    check(&bytes);
}

#[test]
fn whatever_byte_is_changed_and_wherever_it_is_cut_both_agree() {
    let bytes = encoded(plain());
    for length in 0..bytes.len() {
        check(&bytes[..length]);
    }
    for place in 0..bytes.len() {
        let mut bytes = bytes.clone();
        for byte in 0..=255 {
            bytes[place] = byte;
            check(&bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_is_the_same_event_to_both(message in messages()) {
        check(&encoded(message));
    }

    #[test]
    fn any_message_changed_in_one_byte_is_the_same_event_to_both(
        message in messages(),
        place in any::<prop::sample::Index>(),
        byte in prop_oneof![
            any::<u8>(), Just(0x00), Just(0x40), Just(0x45), Just(0xc1), Just(0xe0),
        ],
    ) {
        let mut bytes = encoded(message);
        prop_assume!(!bytes.is_empty());
        let place = place.index(bytes.len());
        bytes[place] = byte;
        check(&bytes);
        check(&bytes[..place]);
    }
}

proptest! {
    // Each case tries some thousand changes.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 40,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_byte_and_no_end_of_a_message_takes_the_engine_down(message in messages()) {
        let mut bytes = encoded(message);
        let places = bytes.len().min(600);
        for place in 0..places {
            check_length(&bytes[..place]);
            let byte = bytes[place];
            for change in [0x01, 0x40, 0x80, 0xff, byte] {
                bytes[place] = byte ^ change;
                check_length(&bytes);
            }
            bytes[place] = byte;
        }
    }
}
