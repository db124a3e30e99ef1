//! The walk: what it leaves alone, what it makes harmless, where it ends.

use fe2o3_amqp::types::messaging::message::DecodeIntoMessage;
use fe2o3_amqp::types::messaging::{Body, Message};
use fe2o3_amqp::types::primitives::{LazyValue, SimpleValue, Value};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::constructor::{VBIN8, VBIN32};
use super::*;

/// Far beyond what the decoder's stack would bear.
const BOTTOMLESS: usize = 100_000;

/// A compound with a size of four bytes.
pub(in crate::receiver) fn compound(constructor: u8, count: u32, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 4).unwrap().to_be_bytes();
    [&[constructor][..], &size, &count.to_be_bytes(), content].concat()
}

/// Lists in lists, or what else holds one value; built from the outside in, for there may be many.
pub(in crate::receiver) fn nested(constructor: u8, levels: usize) -> Vec<u8> {
    let item: &[u8] = if constructor == 0xd1 { &[0x40] } else { &[] };
    let level = 9 + item.len();
    let mut bytes = Vec::with_capacity(levels * level + 1);
    for inner in (0..levels).rev() {
        let size = u32::try_from(4 + item.len() + inner * level + 1).unwrap();
        bytes.push(constructor);
        bytes.extend_from_slice(&size.to_be_bytes());
        let count = 1 + u32::try_from(item.len()).unwrap();
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(item);
    }
    bytes.push(NULL);
    bytes
}

pub(in crate::receiver) fn section(code: u8, value: &[u8]) -> Vec<u8> {
    [&[DESCRIBED, 0x53, code][..], value].concat()
}

/// A section that is a map with one entry, by the name "k".
pub(in crate::receiver) fn map_section(code: u8, value: &[u8]) -> Vec<u8> {
    let key: &[u8] = if code == 0x74 {
        b"\xa1\x01k"
    } else {
        b"\xa3\x01k"
    };
    section(code, &compound(0xd1, 2, &[key, value].concat()))
}

fn described(levels: usize) -> Vec<u8> {
    [[DESCRIBED, 0x53, 0x01].repeat(levels), vec![NULL]].concat()
}

fn walked(bytes: &[u8]) -> Result<Vec<u8>, Flaw> {
    in_pieces(bytes, &[])
}

/// Walks along a message that comes in pieces of these lengths, the last as long as need be.
fn in_pieces(bytes: &[u8], pieces: &[usize]) -> Result<Vec<u8>, Flaw> {
    let mut bytes = bytes.to_vec();
    let mut walk = Walk::new(Subject::Message, 1 << 24);
    let mut rest = &mut bytes[..];
    for piece in pieces {
        let (head, tail) = rest.split_at_mut((*piece).min(rest.len()));
        walk.feed(head)?;
        rest = tail;
    }
    walk.feed(rest)?;
    assert!(walk.levels.len() <= MAX_LEVELS);
    if walk.is_whole() {
        Ok(bytes)
    } else {
        Err(CUT_SHORT)
    }
}

fn decoded(bytes: &[u8]) -> Result<Message<Body<LazyValue>>, serde_amqp::Error> {
    Body::<LazyValue>::decode_message_from_reader(serde_amqp::read::SliceReader::new(bytes))
}

/// The places where two encodings differ.
fn changes(before: &[u8], after: &[u8]) -> Vec<(usize, u8)> {
    assert_eq!(before.len(), after.len());
    let pairs = before.iter().zip(after).enumerate();
    pairs
        .filter_map(|(at, (before, after))| (before != after).then_some((at, *after)))
        .collect()
}

#[test]
fn what_is_nested_to_the_limit_stays_as_it_is() {
    for constructor in [0xd0, 0xd1] {
        let bytes = map_section(0x72, &nested(constructor, MAX_NESTING));
        assert_eq!(walked(&bytes).unwrap(), bytes);
    }
    let bytes = map_section(0x72, &described(MAX_NESTING));
    assert_eq!(walked(&bytes).unwrap(), bytes);
}

#[test]
fn one_level_beyond_the_limit_becomes_a_binary_of_the_same_length() {
    for constructor in [0xd0, 0xd1] {
        let value = nested(constructor, MAX_NESTING + 1);
        let bytes = map_section(0x72, &value);
        let at = bytes.len() - nested(constructor, 1).len();
        assert_eq!(changes(&bytes, &walked(&bytes).unwrap()), [(at, VBIN32)]);
    }
    let mut small = vec![0xc0, 1, 0];
    for _ in 0..MAX_NESTING {
        let size = u8::try_from(small.len() + 1).unwrap();
        small = [&[0xc0, size, 1][..], &small].concat();
    }
    let bytes = map_section(0x78, &small);
    let at = bytes.len() - 3;
    assert_eq!(changes(&bytes, &walked(&bytes).unwrap()), [(at, VBIN8)]);
}

#[test]
fn no_section_takes_the_decoder_down() {
    for code in [0x71, 0x72, 0x78] {
        for constructor in [0xd0, 0xd1] {
            let bytes = map_section(code, &nested(constructor, BOTTOMLESS));
            decoded(&walked(&bytes).unwrap()).unwrap();
        }
    }
    for code in [0x70, 0x73] {
        let fields = compound(0xd0, 1, &nested(0xd0, BOTTOMLESS));
        let bytes = section(code, &fields);
        assert!(decoded(&walked(&bytes).unwrap()).is_err(), "{code:x}");
    }
}

#[test]
fn a_property_that_is_no_simple_value_becomes_a_binary() {
    for constructor in [0xd0, 0xd1] {
        for levels in [1, 5, BOTTOMLESS] {
            let value = nested(constructor, levels);
            let message = decoded(&walked(&map_section(0x74, &value)).unwrap()).unwrap();
            let properties = message.application_properties.unwrap();
            match properties.0.get("k").unwrap() {
                SimpleValue::Binary(binary) => assert_eq!(binary.as_slice(), &value[5..]),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn an_array_in_a_message_becomes_a_binary() {
    for array in [
        &b"\xe0\x04\x02\x50\x01\x02"[..],
        b"\xe0\x02\x00\xb0",
        b"\xe0\x01\x00",
    ] {
        let bytes = map_section(0x72, array);
        let at = bytes.len() - array.len();
        assert_eq!(changes(&bytes, &walked(&bytes).unwrap()), [(at, VBIN8)]);
    }
}

#[test]
fn a_body_stays_as_it_is() {
    for value in [
        nested(0xd0, BOTTOMLESS),
        nested(0xd1, BOTTOMLESS),
        described(1),
    ] {
        let bytes = section(0x77, &value);
        assert_eq!(walked(&bytes).unwrap(), bytes);
        match decoded(&bytes).unwrap().body {
            Body::Value(body) => assert_eq!(body.0.as_slice(), value),
            other => panic!("{other:?}"),
        }
    }
    let sequence = section(0x76, &compound(0xd0, 1, &nested(0xd0, BOTTOMLESS)));
    assert_eq!(walked(&sequence).unwrap(), sequence);
    assert!(matches!(
        decoded(&sequence).unwrap().body,
        Body::Sequence(_)
    ));
}

#[test]
fn what_contradicts_itself_is_a_flaw() {
    let check = |value: &[u8], expected: Flaw| {
        assert_eq!(
            walked(&map_section(0x72, value)),
            Err(expected),
            "{value:x?}"
        );
    };
    check(&described(MAX_NESTING + 1), TOO_DEEP);
    check(&described(BOTTOMLESS), TOO_DEEP);
    check(b"\xb0\xff\xff\xff\xff", BEYOND);
    check(b"\xd0\xff\xff\xff\xff\0\0\0\0", BEYOND);
    check(b"\x80\0", BEYOND);
    check(b"\xc0\x02\x09\x40", BEYOND);
    check(b"\xc0\x02\x01\xa0", BEYOND);
    check(b"\xc0\x03\x01\x40\x40", SHORT);
    check(b"\xc0\x02\x00\x40", SHORT);
    check(
        b"\xc0\x00",
        "a list, map or array has no room for its count",
    );
    check(
        b"\xd0\0\0\0\x03\0\0\0",
        "a list, map or array has no room for its count",
    );
    check(b"\xc1\x02\x01\x40", "a map has a key without a value");
    check(b"\x39", "a value has a type that does not exist");
    check(
        b"\0\x45\x40",
        "a descriptor is neither a number nor a symbol",
    );
    assert_eq!(walked(b"\x45"), Err("a section has no descriptor"));
    assert_eq!(walked(b"\0\x53\x75\xb0\xff\xff\xff\xff"), Err(BEYOND));
    assert_eq!(walked(b"\0\x53\x75\xb0\0\0\0\x09abc"), Err(CUT_SHORT));
}

#[test]
fn a_value_by_itself_is_made_safe_and_keeps_its_arrays() {
    let safe = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        make_safe(&mut bytes).map(|()| bytes)
    };
    let names = b"\xe0\x08\x02\xa1\x010\x03abc";
    assert_eq!(safe(names).unwrap(), names);
    let numbers = compound(0xf0, 2, b"\x71\0\0\0\x01\0\0\0\x02");
    assert_eq!(safe(&numbers).unwrap(), numbers);
    let value: Value = serde_amqp::from_slice(&safe(&nested(0xd0, BOTTOMLESS)).unwrap()).unwrap();
    assert!(matches!(value, Value::List(_)));
    assert_eq!(safe(b"\xe0\x03\x02\x50\x01"), Err(SHORT));
    assert_eq!(
        safe(b"\xe0\x03\x02\x00\x53"),
        Err("a value has a type that does not exist")
    );
    assert_eq!(safe(b"\xa1\x05ab"), Err(BEYOND));
    assert_eq!(safe(b""), Err(CUT_SHORT));
}

#[test]
fn elements_that_the_decoder_would_misread_are_changed() {
    let check = |bytes: &[u8], expected: &[(usize, u8)]| {
        let mut safe = bytes.to_vec();
        make_safe(&mut safe).unwrap();
        assert_eq!(changes(bytes, &safe), expected);
    };
    check(b"\xe0\x02\x00\xb0", &[(3, NULL)]);
    check(b"\xe0\x06\x02\xc0\x01\x00\x01\x00", &[(3, VBIN8)]);
    let lists = b"\xd0\0\0\0\x04\0\0\0\0";
    check(&compound(0xf0, 1, lists), &[(9, VBIN32)]);
    let arrays = b"\xe0\x02\x01\x44";
    check(&compound(0xf0, 1, arrays), &[(9, VBIN8)]);
}

/// Values of every shape, some of which lie about their size or count.
pub(in crate::receiver) fn value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(vec![0x40]),
        Just(vec![0x45]),
        Just(vec![0x54, 7]),
        Just(b"\xa1\x03abc".to_vec()),
        Just(b"\xa3\x03abc".to_vec()),
        Just(b"\xe0\x02\x00\xb0".to_vec()),
        vec(any::<u8>(), 0..40).prop_map(|bytes| {
            [&[VBIN8, u8::try_from(bytes.len()).unwrap()][..], &bytes].concat()
        }),
    ];
    leaf.prop_recursive(40, 120, 3, |inner| {
        let constructor = prop_oneof![Just(0xd0), Just(0xd1), Just(0xf0)];
        prop_oneof![
            inner.clone().prop_map(|value| section(0x74, &value)),
            (constructor, vec(inner, 0..4), 0..20_u32).prop_map(|(constructor, values, lie)| {
                let count = u32::try_from(values.len()).unwrap() + u32::from(lie == 0);
                compound(constructor, count, &values.concat())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_it_is_cut_the_result_is_the_same(
        code in 0x70..0x79_u8,
        value in value(),
        pieces in vec(0..12_usize, 0..60),
    ) {
        let bytes = [map_section(code, &value), section(code, &value)].concat();
        prop_assert_eq!(in_pieces(&bytes, &pieces), walked(&bytes));
    }

    #[test]
    fn what_passes_never_panics_the_decoder(
        sections in vec((0x70..0x79_u8, value(), any::<bool>()), 0..4),
        place in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), Just(0x00), Just(0xc1), Just(0xd0), Just(0xe0)],
    ) {
        let section = |(code, value, is_map): &(u8, Vec<u8>, bool)| {
            if *is_map { map_section(*code, value) } else { section(*code, value) }
        };
        let mut bytes: Vec<u8> = sections.iter().flat_map(section).collect();
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(bytes) = walked(&bytes) {
            drop(decoded(&bytes));
        }
    }
}
