//! The cursor: every encoding of a type, and what is no such value or does not end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::walk::tests::{nested, section};
use super::*;

#[test]
fn a_number_is_read_in_each_of_its_encodings() {
    let check = |bytes: &[u8], expected: Option<u32>| {
        assert_eq!(Cursor::new(bytes).uint(), Ok(expected));
    };
    check(b"\x40", None);
    check(b"\x43", Some(0));
    check(b"\x52\xff", Some(255));
    check(b"\x70\xff\xff\xff\xfe", Some(u32::MAX - 1));
    let check = |bytes: &[u8], expected: Option<u64>| {
        assert_eq!(Cursor::new(bytes).ulong(), Ok(expected));
    };
    check(b"\x40", None);
    check(b"\x44", Some(0));
    check(b"\x53\xff", Some(255));
    check(b"\x80\0\0\0\x01\0\0\0\0", Some(1 << 32));
    let check = |bytes: &[u8], expected: Option<i32>| {
        assert_eq!(Cursor::new(bytes).int(), Ok(expected));
    };
    check(b"\x40", None);
    check(b"\x54\xff", Some(-1));
    check(b"\x71\x80\0\0\0", Some(i32::MIN));
    let check = |bytes: &[u8], expected: Option<i64>| {
        assert_eq!(Cursor::new(bytes).long(), Ok(expected));
    };
    check(b"\x40", None);
    check(b"\x55\xfe", Some(-2));
    check(b"\x81\x80\0\0\0\0\0\0\0", Some(i64::MIN));
    let number = b"\x83\0\0\0\0\0\0\0\x07";
    assert_eq!(Cursor::new(number).timestamp(), Ok(Some(7)));
}

#[test]
fn a_truth_value_is_read_in_each_of_its_encodings() {
    let check = |bytes: &[u8], expected: Result<Option<bool>, Flaw>| {
        assert_eq!(Cursor::new(bytes).boolean(), expected);
    };
    check(b"\x40", Ok(None));
    check(b"\x41", Ok(Some(true)));
    check(b"\x42", Ok(Some(false)));
    check(b"\x56\x01", Ok(Some(true)));
    check(b"\x56\0", Ok(Some(false)));
    check(b"\x56\x02", Err("a boolean is neither true nor false"));
    check(b"\x50\x01", Err("a value is no boolean"));
}

#[test]
fn texts_and_bytes_are_read_with_short_and_long_sizes() {
    let check = |bytes: &[u8], expected: Result<Option<&str>, Flaw>| {
        assert_eq!(Cursor::new(bytes).string(), expected);
    };
    check(b"\x40", Ok(None));
    check(b"\xa1\0", Ok(Some("")));
    check(b"\xa1\x02\xc3\xa9", Ok(Some("é")));
    check(b"\xb1\0\0\0\x01a", Ok(Some("a")));
    check(b"\xa1\x01\xc3", Err(NO_TEXT));
    check(b"\xa3\x01a", Err("a value is no string"));
    let check = |bytes: &[u8], expected: Result<Option<&str>, Flaw>| {
        assert_eq!(Cursor::new(bytes).symbol(), expected);
    };
    check(b"\x40", Ok(None));
    check(b"\xa3\x01a", Ok(Some("a")));
    check(b"\xb3\0\0\0\x01a", Ok(Some("a")));
    check(b"\xa1\x01a", Err("a value is no symbol"));
    let check = |bytes: &[u8], expected: Result<Option<&[u8]>, Flaw>| {
        assert_eq!(Cursor::new(bytes).binary(), expected);
    };
    check(b"\x40", Ok(None));
    check(b"\xa0\x01\xff", Ok(Some(b"\xff")));
    check(b"\xb0\0\0\0\x01\xff", Ok(Some(b"\xff")));
    check(b"\xb0\xff\xff\xff\xff", Err(BEYOND));
}

#[test]
fn a_descriptor_is_a_number_or_the_symbol_of_a_section() {
    let check = |bytes: &[u8], expected: Result<u64, Flaw>| {
        assert_eq!(Cursor::new(bytes).descriptor(), expected);
    };
    check(b"\0\x53\x14", Ok(0x14));
    check(b"\0\x80\0\0\0\0\0\0\0\x75", Ok(0x75));
    check(b"\0\x44", Ok(0));
    check(b"\0\xa3\x10amqp:data:binary", Ok(0x75));
    check(b"\0\xb3\0\0\0\x11amqp:amqp-value:*", Ok(0x77));
    check(
        b"\0\xa3\x0famqp:delete-all",
        Err("a descriptor is a symbol that names no section"),
    );
    check(
        b"\0\x52\x70",
        Err("a descriptor is neither a number nor a symbol"),
    );
    check(b"\x45", Err("a section or performative has no descriptor"));
    check(b"", Err(BEYOND));
}

#[test]
fn a_list_or_map_tells_its_values_and_their_count() {
    let check = |bytes: &[u8], expected: Result<(&[u8], u32), Flaw>| {
        let list = Cursor::new(bytes).list();
        assert_eq!(list.map(|(list, count)| (list.rest(), count)), expected);
    };
    check(b"\x45", Ok((b"", 0)));
    check(b"\xc0\x03\x02\x40\x41", Ok((b"\x40\x41", 2)));
    check(b"\xd0\0\0\0\x05\0\0\0\x01\x40", Ok((b"\x40", 1)));
    check(b"\xc0\0", Err(NO_ROOM));
    check(b"\xd0\0\0\0\x03\0\0\0", Err(NO_ROOM));
    check(b"\xc0\x02\x02\x40", Err(BEYOND));
    check(b"\xd0\xff\xff\xff\xff\0\0\0\0", Err(BEYOND));
    check(b"\xc1\x01\0", Err("a value is no list"));
    let check = |bytes: &[u8], expected: Result<(&[u8], u32), Flaw>| {
        let map = Cursor::new(bytes).map();
        assert_eq!(map.map(|(map, count)| (map.rest(), count)), expected);
    };
    check(b"\xc1\x03\x02\x40\x41", Ok((b"\x40\x41", 2)));
    check(b"\xd1\0\0\0\x04\0\0\0\0", Ok((b"", 0)));
    let (mut list, _) = Cursor::new(b"\xc0\x03\x01\x40\x41").list().unwrap();
    assert_eq!((list.skip(), list.ended()), (Ok(()), Err(SHORT)));
    assert_eq!((list.skip(), list.ended()), (Ok(()), Ok(())));
    check(b"\xc1\x02\x01\x40", Err("a map has a key without a value"));
    check(b"\x45", Err("a value is no map"));
}

#[test]
fn a_value_is_taken_whole_whatever_it_holds() {
    let check = |value: &[u8]| {
        let bytes = [value, b"\x41"].concat();
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(cursor.value(), Ok(value));
        assert_eq!(
            (cursor.position(), cursor.rest()),
            (value.len(), &b"\x41"[..])
        );
        assert_eq!(cursor.boolean(), Ok(Some(true)));
        assert!(cursor.is_empty());
    };
    check(b"\x40");
    check(b"\x98\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f");
    check(b"\xa1\x02ab");
    check(b"\xe0\x04\x02\x50\x01\x02");
    check(&nested(0xd0, 100_000));
    check(&nested(0xd1, 100_000));
    check(&section(0x77, b"\xa1\x02ab"));
    check(b"\0\xa3\x03a:b\x40");
    check(&[b"\0\x53\x01".repeat(MAX_NESTING), vec![NULL]].concat());
}

#[test]
fn what_does_not_end_cannot_be_skipped() {
    let check = |bytes: &[u8], expected: Flaw| {
        assert_eq!(Cursor::new(bytes).value(), Err(expected));
    };
    check(b"", BEYOND);
    check(b"\x80\0", BEYOND);
    check(b"\xb1\0\0\0\x05abcd", BEYOND);
    check(b"\0\x53", BEYOND);
    check(
        b"\0\x45\x40",
        "a descriptor is neither a number nor a symbol",
    );
    check(b"\x39", "a value has a type that does not exist");
    check(&b"\0\x53\x01".repeat(MAX_NESTING + 1), TOO_DEEP);
    check(&b"\0\x53\x01".repeat(100_000), TOO_DEEP);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_reader_goes_beyond_the_end(bytes in vec(any::<u8>(), 0..40), first in any::<u8>()) {
        let bytes = [&[first][..], &bytes].concat();
        let readers: [fn(&mut Cursor<'_>) -> bool; 14] = [
            |cursor| cursor.descriptor().is_ok(),
            |cursor| cursor.list().is_ok(),
            |cursor| cursor.map().is_ok(),
            |cursor| cursor.value().is_ok(),
            |cursor| cursor.skip().is_ok(),
            |cursor| cursor.uint().is_ok(),
            |cursor| cursor.ulong().is_ok(),
            |cursor| cursor.int().is_ok(),
            |cursor| cursor.long().is_ok(),
            |cursor| cursor.timestamp().is_ok(),
            |cursor| cursor.boolean().is_ok(),
            |cursor| cursor.binary().is_ok(),
            |cursor| cursor.string().is_ok(),
            |cursor| cursor.symbol().is_ok(),
        ];
        for read in readers {
            let mut cursor = Cursor::new(&bytes);
            if read(&mut cursor) {
                prop_assert!(cursor.position() > 0);
            }
            prop_assert_eq!(cursor.rest(), &bytes[cursor.position()..]);
        }
    }
}
