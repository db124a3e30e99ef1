//! An event: what is read by hand, what is missing, and what comes twice.

use super::*;
use crate::receiver::encoding::walk::tests::{compound, nested, section};

const POSITION: &[u8] = b"\0\x53\x72\xc1\x2b\x04\xa3\x15x-opt-sequence-number\x55\x07\
    \xa3\x0cx-opt-offset\xa1\x01o";

fn event(sections: &[u8]) -> Result<Event, Failure> {
    let bytes = [POSITION, sections].concat();
    let mut message = Message::read(bytes.into()).unwrap();
    read(&PartitionId::new("0"), &mut message)
}

#[test]
fn an_event_without_a_position_is_malformed() {
    let check = |bytes: &'static [u8], expected: &str| {
        let mut message = Message::read(Bytes::from_static(bytes)).unwrap();
        match read(&PartitionId::new("0"), &mut message) {
            Err(Failure::Malformed(reason)) => assert_eq!(reason, expected),
            other => panic!("{other:?}"),
        }
    };
    check(b"", "it has no sequence number");
    check(
        b"\0\x53\x72\xc1\x12\x02\xa3\x0cx-opt-offset\xa1\x01o",
        "it has no sequence number",
    );
    check(
        b"\0\x53\x72\xc1\x1a\x02\xa3\x15x-opt-sequence-number\x55\x07",
        "it has no offset",
    );
}

#[test]
fn a_property_becomes_json_whatever_its_encoding() {
    let check = |value: &[u8], expected: &str| {
        let map = compound(0xd1, 2, &[b"\xa1\x01k", value].concat());
        let event = event(&section(0x74, &map)).unwrap();
        let value = event.properties.get("k").unwrap();
        assert_eq!(value.to_string(), expected);
    };
    check(b"\x40", "null");
    check(b"\x41", "true");
    check(b"\x56\0", "false");
    check(b"\xa1\x02\xc3\xa9", "\"é\"");
    check(b"\xb3\0\0\0\x01s", "\"s\"");
    check(b"\x50\xff", "255");
    check(b"\x51\xff", "-1");
    check(b"\x60\x01\0", "256");
    check(b"\x61\xff\xff", "-1");
    check(b"\x43", "0");
    check(b"\x52\x07", "7");
    check(b"\x70\xff\xff\xff\xff", "4294967295");
    check(b"\x44", "0");
    check(
        b"\x80\xff\xff\xff\xff\xff\xff\xff\xff",
        "18446744073709551615",
    );
    check(b"\x54\xff", "-1");
    check(b"\x81\x80\0\0\0\0\0\0\0", "-9223372036854775808");
    check(b"\x72\x3d\xcc\xcc\xcd", "0.1");
    check(b"\x82\x7f\xf0\0\0\0\0\0\0", "\"inf\"");
    check(b"\x73\0\0\0\xe9", "\"é\"");
    check(b"\x83\0\0\0\0\0\0\0\0", "\"1970-01-01T00:00:00Z\"");
    check(b"\xa0\x02\0\xff", "\"AP8=\"");
    check(b"\x74\0\0\0\x01", "\"AAAAAQ==\"");
    check(b"\x45", "\"\"");
    check(b"\xc0\x03\x01\x54\x07", "\"AVQH\"");
    check(b"\xd1\0\0\0\x04\0\0\0\0", "\"AAAAAA==\"");
    check(b"\xe0\x02\0\x40", "\"AEA=\"");
    check(b"\0\x53\x01\xa1\x01a", "null");
    check(
        &[b"\0\x53\x01", &nested(0xd0, 100_000)[..]].concat(),
        "null",
    );
}

/// What is wrong with an event that holds all of its message.
fn flaw(message: &[u8]) -> String {
    let mut read_so_far = Message::read_until_flaw(Bytes::copy_from_slice(message));
    let event = read(&PartitionId::new("0"), &mut read_so_far).unwrap();
    let position = (event.sequence_number.0, event.offset.as_str());
    assert_eq!((position, event.properties.iter().count()), ((7, "o"), 0));
    match event.body {
        Body::Unreadable { reason, encoded } if encoded == message => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_with_a_flaw_behind_its_position_is_an_event_that_says_so() {
    let property = |value: &[u8]| {
        let map = compound(0xd1, 2, &[b"\xa1\x01k", value].concat());
        section(0x74, &map)
    };
    for (sections, expected) in [
        (property(b"\xa1\x01\xff"), "a text is not UTF-8"),
        (property(b"\x56\x02"), "a boolean is neither true nor false"),
        (
            property(b"\x73\xff\xff\xff\xff"),
            "an application property is no value of its type",
        ),
        (
            b"\0\x53\x79\x40".to_vec(),
            "it has a section that does not exist",
        ),
        (
            [&property(b"\x40")[..], b"\0\x53\x75\xa0\x02a"].concat(),
            "a value is longer than what holds it",
        ),
    ] {
        let reason = flaw(&[POSITION, &sections].concat());
        assert_eq!(
            reason,
            format!("the message's AMQP encoding is broken: {expected}")
        );
    }
}

#[test]
fn a_message_with_a_flaw_before_its_position_is_malformed() {
    let mut message = Message::read_until_flaw(Bytes::from_static(b"\0\x53\x79\x40"));
    match read(&PartitionId::new("0"), &mut message) {
        Err(Failure::Malformed(reason)) => assert_eq!(
            reason,
            "its AMQP encoding is broken: it has a section that does not exist"
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_a_name_that_comes_twice_the_last_value_is_in_the_first_place() {
    let check = |distinct: u8| {
        let entry = |name: u8, value: u8| vec![0xa1, 1, name, 0x52, value];
        let mut entries: Vec<u8> = (0..distinct).flat_map(|name| entry(name, name)).collect();
        entries.extend((0..distinct).rev().flat_map(|name| entry(name, name + 1)));
        let map = compound(0xd1, u32::from(distinct) * 4, &entries);
        let event = event(&section(0x74, &map)).unwrap();
        let expected = (0..distinct).map(|name| (char::from(name).to_string(), (name + 1).into()));
        assert_eq!(event.properties, expected.collect());
    };
    check(1);
    check(32);
    check(33);
    check(120);
}

#[test]
fn a_body_is_a_part_of_the_message_until_somebody_keeps_the_event() {
    let check = |size: usize, stays_part: bool| {
        let value = [&[0xb1][..], &(size as u32).to_be_bytes(), &vec![b'x'; size]].concat();
        let property = compound(0xd1, 2, b"\xa1\x01k\x54\x07");
        let sections = [section(0x74, &property), section(0x77, &value)].concat();
        let bytes = Bytes::from([POSITION, &sections].concat());
        let mut message = Message::read(bytes.clone()).unwrap();
        let is_part = |event: &Event| {
            let first = event.body.bytes().as_ptr();
            bytes.as_ptr_range().contains(&first)
        };
        let event = read(&PartitionId::new("0"), &mut message).unwrap();
        assert!(is_part(&event), "{size}");
        let event = event.into_owned();
        assert_eq!(is_part(&event), stays_part, "{size}");
        assert_eq!(event.body.bytes(), vec![b'x'; size]);
        assert_eq!(event.properties.get("k"), Some(&7.into()));
        assert_eq!(bytes.is_unique(), !stays_part, "{size}");
    };
    check(5000, false);
    check(64 * 1024 - 1, false);
    check(64 * 1024, true);
}
