//! A message: where its parts lie, however they are encoded, and what is no message.

use super::*;
use crate::receiver::encoding::walk::tests::{compound, nested, section};

const SHORT: Flaw = "a list, map or array is longer than its values";

/// A map with such keys and values.
fn map(entries: &[&[u8]]) -> Vec<u8> {
    let count = u32::try_from(entries.len()).unwrap();
    compound(0xd1, count, &entries.concat())
}

fn list(fields: &[&[u8]]) -> Vec<u8> {
    let count = u32::try_from(fields.len()).unwrap();
    compound(0xd0, count, &fields.concat())
}

fn read(bytes: &[u8]) -> Result<Message, Flaw> {
    Message::read(Bytes::copy_from_slice(bytes))
}

/// A message with one annotation.
fn annotated(name: &str, value: &[u8]) -> Message {
    let size = u8::try_from(name.len()).unwrap();
    let key = [&[0xa3, size][..], name.as_bytes()].concat();
    read(&section(0x72, &map(&[&key, value]))).unwrap()
}

#[test]
fn a_sequence_number_is_a_whole_number() {
    let check = |value: &[u8], expected: Option<i64>| {
        let message = annotated("x-opt-sequence-number", value);
        assert_eq!(message.sequence_number(), expected);
    };
    check(b"\x81\0\0\0\x01\0\0\0\0", Some(1 << 32));
    check(b"\x55\xff", Some(-1));
    check(b"\x71\0\0\x01\0", Some(256));
    check(b"\x54\x07", Some(7));
    check(b"\x43", Some(0));
    check(b"\x52\x07", Some(7));
    check(b"\x70\xff\xff\xff\xff", Some(u32::MAX.into()));
    check(b"\x44", Some(0));
    check(b"\x53\x07", Some(7));
    check(b"\x80\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX));
    check(b"\x80\x80\0\0\0\0\0\0\0", None);
    check(b"\x40", None);
    check(b"\xa1\x017", None);
}

#[test]
fn an_offset_is_a_string_or_a_whole_number() {
    let check = |value: &[u8], expected: Option<&str>| {
        let message = annotated("x-opt-offset", value);
        assert_eq!(message.offset().as_deref(), expected);
    };
    check(b"\xa1\x03700", Some("700"));
    check(b"\xb1\0\0\0\x03700", Some("700"));
    check(b"\x55\xff", Some("-1"));
    check(b"\x81\0\0\0\x01\0\0\0\0", Some("4294967296"));
    check(b"\x54\x07", Some("7"));
    check(b"\x70\0\0\x01\0", Some("256"));
    check(b"\x53\x07", Some("7"));
    check(b"\x40", None);
    check(b"\xa3\x03700", None);
}

#[test]
fn a_time_is_a_timestamp_and_a_key_a_string() {
    let check = |value: &[u8], expected: Option<i64>| {
        let message = annotated("x-opt-enqueued-time", value);
        assert_eq!(message.enqueued_time(), expected);
    };
    check(b"\x83\0\0\0\0\0\0\0\x07", Some(7));
    check(b"\x55\x07", None);
    let check = |value: &[u8], expected: Option<&str>| {
        let message = annotated("x-opt-partition-key", value);
        assert_eq!(message.partition_key(), expected);
    };
    check(b"\xa1\x01k", Some("k"));
    check(b"\xa0\x01k", None);
    check(b"\x40", None);
}

#[test]
fn what_the_service_says_of_the_last_event_is_read_where_it_can_be() {
    let key = |name: &str| {
        let size = u8::try_from(name.len()).unwrap();
        [&[0xa3, size][..], name.as_bytes()].concat()
    };
    let number = key("last_enqueued_sequence_number");
    let time = key("last_enqueued_time_utc");
    let retrieved = key("runtime_info_retrieval_time_utc");
    let check = |annotations: &[u8], expected: [Option<i64>; 3]| {
        let message = read(&section(0x71, annotations)).unwrap();
        let said = [
            message.last_enqueued_sequence_number(),
            message.last_enqueued_time(),
            message.runtime_info_retrieval_time(),
        ];
        assert_eq!(said, expected, "{annotations:02x?}");
    };
    let seven = b"\x83\0\0\0\0\0\0\0\x07";
    let offset = key("last_enqueued_offset");
    let all: &[&[u8]] = &[
        &number,
        b"\x55\x09",
        &offset,
        b"\xa1\x0270",
        &time,
        seven,
        &retrieved,
        seven,
    ];
    check(&map(all), [Some(9), Some(7), Some(7)]);
    check(
        &map(&[&time, b"\x55\x07", &number, b"\x54\x09"]),
        [Some(9), None, None],
    );
    check(&map(&[]), [None; 3]);
    // Nothing depends on them: the event is one all the same.
    check(b"\x40", [None; 3]);
    check(&list(&[b"\x40"]), [None; 3]);
    check(&map(&[&number]), [None; 3]);
}

#[test]
fn annotations_are_found_among_others_and_the_last_of_a_name_counts() {
    let name = b"\xb3\0\0\0\x0cx-opt-offset";
    let others: &[&[u8]] = &[
        b"\xa3\x01a",
        &nested(0xd0, 1000),
        b"\x53\x01",
        b"\0\x53\x01\xa1\x01a",
        b"\xa1\x0cx-opt-offset",
        b"\xa1\x01s",
        name,
        b"\xa1\x03one",
        name,
        b"\xa1\x03two",
    ];
    let annotations = map(others);
    let bytes = section(0x72, &annotations);
    let message = read(&bytes).unwrap();
    assert_eq!(message.offset().as_deref(), Some("two"));
    assert_eq!(message.message_annotations(), Some(&annotations[..]));
    let again = [bytes, section(0x72, &map(&[name, b"\x40"]))].concat();
    assert_eq!(read(&again).unwrap().offset(), None);
}

#[test]
fn a_field_of_the_properties_is_found_by_its_place() {
    let fields: &[&[u8]] = &[
        b"\xa1\x01m",
        b"\x40",
        b"\x40",
        b"\x40",
        b"\x40",
        b"\x53\x09",
        b"\xa3\x09text/json",
    ];
    let message = read(&section(0x73, &list(fields))).unwrap();
    assert_eq!(message.content_type(), Some("text/json"));
    let check = |index: usize, expected: Option<&[u8]>| {
        assert_eq!(message.properties_field(index), expected);
    };
    check(0, Some(b"\xa1\x01m"));
    check(1, None);
    check(5, Some(b"\x53\x09"));
    check(6, Some(b"\xa3\x09text/json"));
    check(7, None);
    check(usize::MAX, None);
    let none = read(&section(0x73, b"\x45")).unwrap();
    assert_eq!(
        (none.content_type(), none.properties_field(0)),
        (None, None)
    );
    let nulls: [&[u8]; 7] = [b"\x40"; 7];
    let null = read(&section(0x73, &list(&nulls))).unwrap();
    assert_eq!(null.content_type(), None);
}

#[test]
fn application_properties_stay_encoded_until_a_flaw() {
    let check = |map: &[u8], expected: &[Result<(&str, &[u8]), Flaw>]| {
        let message = read(&section(0x74, map)).unwrap();
        let properties: Vec<_> = message.application_properties().collect();
        assert_eq!(properties, expected);
    };
    check(b"\xc1\x01\0", &[]);
    let two: &[&[u8]] = &[b"\xa1\x01a", b"\x41", b"\xb1\0\0\0\x01b", b"\xa0\x01\xff"];
    check(&map(two), &[Ok(("a", b"\x41")), Ok(("b", b"\xa0\x01\xff"))]);
    let no_name = Err("an application property has no name");
    check(
        &map(&[b"\xa1\0", b"\x41", b"\x40", b"\x41"]),
        &[Ok(("", b"\x41")), no_name],
    );
    check(
        &map(&[b"\xa3\x01a", b"\x41"]),
        &[Err("a value is no string")],
    );
    check(b"\xc1\x02\0\x40", &[Err(SHORT)]);
    let cut = Err("a value is longer than what holds it");
    check(&map(&[b"\xa1\x01a", b"\xa1\x02a"]), &[cut]);
}

#[test]
fn a_body_is_what_its_sections_hold() {
    let check = |sections: &[Vec<u8>], expected: Body| {
        assert_eq!(read(&sections.concat()).unwrap().body(), expected);
    };
    let data = |text: &'static [u8]| Body::Data(Bytes::from_static(text));
    let a = || section(0x75, b"\xa0\x01a");
    let b = || section(0x75, b"\xb0\0\0\0\x01b");
    let text = || section(0x77, b"\xa1\x01t");
    check(&[], Body::None);
    check(&[section(0x78, b"\xc1\x01\0")], Body::None);
    check(&[section(0x75, b"\xa0\0")], data(b""));
    check(&[a()], data(b"a"));
    check(&[a(), b(), section(0x75, b"\xa0\0"), a()], data(b"aba"));
    check(&[a(), text(), b()], data(b"b"));
    check(&[text()], Body::Value(Bytes::from_static(b"\xa1\x01t")));
    check(
        &[a(), text(), text()],
        Body::Value(Bytes::from_static(b"\xa1\x01t")),
    );
    let sequence = |elements: &[&[u8]]| section(0x76, &list(elements));
    let elements = Body::Sequence(Bytes::from_static(b"\x54\x01\x40\x41"));
    check(
        &[sequence(&[b"\x54\x01", b"\x40"]), sequence(&[b"\x41"])],
        elements,
    );
    check(&[section(0x76, b"\x45")], Body::Sequence(Bytes::new()));
}

#[test]
fn a_small_body_is_copied_and_a_large_one_is_not() {
    let check = |length: usize, is_copied: bool| {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let data = [&[0xb0][..], &size, &vec![7; length]].concat();
        let bytes = Bytes::from(section(0x75, &data));
        let within = bytes.as_ptr_range();
        let message = Message::read(bytes.clone()).unwrap();
        let Body::Data(body) = message.body() else {
            panic!("{message:?}");
        };
        assert_eq!(body, vec![7; length]);
        assert_eq!(!within.contains(&body.as_ptr()), is_copied, "{length}");
    };
    check(WORTH_KEEPING - 1, true);
    check(WORTH_KEEPING, false);
}

#[test]
fn a_section_goes_by_its_code_or_its_name() {
    let check = |descriptor: &[u8]| {
        let bytes = [descriptor, b"\xa0\x01a"].concat();
        assert_eq!(
            read(&bytes).unwrap().body(),
            Body::Data(Bytes::from_static(b"a"))
        );
    };
    check(b"\0\x53\x75");
    check(b"\0\x80\0\0\0\0\0\0\0\x75");
    check(b"\0\xa3\x10amqp:data:binary");
    check(b"\0\xb3\0\0\0\x10amqp:data:binary");
}

#[test]
fn what_is_no_message_is_a_flaw() {
    let check = |bytes: &[u8], expected: Flaw| {
        assert_eq!(read(bytes).unwrap_err(), expected);
    };
    let beyond = "a value is longer than what holds it";
    check(b"\x45", "a section or performative has no descriptor");
    check(b"\0\x44\x45", "it has a section that does not exist");
    check(b"\0\x53\x79\x45", "it has a section that does not exist");
    check(b"\0\x53", beyond);
    check(b"\0\x53\x70", beyond);
    check(b"\0\x53\x75\xb0\xff\xff\xff\xff", beyond);
    check(b"\0\x53\x75\x40", "a data section is null");
    check(b"\0\x53\x75\xa1\x01a", "a value is no binary");
    check(b"\0\x53\x76\xc1\x01\0", "a value is no list");
    check(b"\0\x53\x76\xc0\x02\0\x40", SHORT);
    check(b"\0\x53\x72\x45", "a value is no map");
    check(b"\0\x53\x72\xc1\x02\0\x40", SHORT);
    check(
        b"\0\x53\x72\xc1\x02\x01\x40",
        "a map has a key without a value",
    );
    check(
        b"\0\x53\x72\xc1\x03\x02\x40\x39",
        "a value has a type that does not exist",
    );
    check(b"\0\x53\x73\xc0\x02\0\x40", SHORT);
    check(
        b"\0\x53\x73\xc0\x09\x07\x40\x40\x40\x40\x40\x40\xa1\0",
        "a value is no symbol",
    );
    check(b"\0\x53\x74\x40", "a value is no map");
    let text = [b"\xa3\x0cx-opt-offset".as_slice(), b"\xa1\x01\xff"];
    check(&section(0x72, &map(&text)), "a text is not UTF-8");
    let described = [b"\0\x53\x01".repeat(1000), vec![0x40]].concat();
    check(
        &section(0x77, &described),
        "described values are nested more than 32 levels deep",
    );
}
