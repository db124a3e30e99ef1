//! Records one by one, in bodies made by hand.

use crate::context::{Value, WireFormat};
use crate::decoder::{DecodeError, Decoded, Hint, decode, decode_as};

/// How deep values may lie in one another, where nothing else is asked for.
const NESTING: usize = 256;

/// A name or another text behind its length.
fn string(text: &str) -> Vec<u8> {
    let mut bytes = int31(text.len());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn int31(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// An element without a prefix, up to its content.
fn element(name: &str) -> Vec<u8> {
    [vec![0x40], string(name)].concat()
}

/// A context with these records before its message name.
fn context(records: &[u8]) -> Vec<u8> {
    [
        element("RemoteExecutionContext"),
        vec![0x08],
        string("http://schemas.microsoft.com/xrm/2011/Contracts"),
        vec![0x09],
        string("i"),
        string("http://www.w3.org/2001/XMLSchema-instance"),
        vec![0x09],
        string("s"),
        string("http://www.w3.org/2001/XMLSchema"),
        records.to_vec(),
        element("MessageName"),
        vec![0x99],
        string("Update"),
        vec![0x01],
    ]
    .concat()
}

fn read(body: &[u8]) -> Result<Decoded, DecodeError> {
    decode(body, Hint::default())
}

fn error(body: &[u8]) -> String {
    read(body).unwrap_err().to_string()
}

/// The member `name` of the document of a context with these records.
fn member(name: &str, records: &[u8]) -> serde_json::Value {
    let decoded = read(&context(records)).unwrap_or_else(|error| panic!("{records:x?}: {error}"));
    let document = serde_json::to_value(decoded.document(false)).unwrap();
    document[name].clone()
}

/// The text that these records make within an element.
fn text(records: &[u8]) -> String {
    let value = member(
        "OrganizationName",
        &[element("OrganizationName"), records.to_vec()].concat(),
    );
    value.as_str().unwrap().to_owned()
}

/// The first byte of a record, what follows, and the text of it.
const TEXTS: &[(u8, &[u8], &str)] = &[
    (0x80, &[], "0"),
    (0x82, &[], "1"),
    (0x84, &[], "false"),
    (0x86, &[], "true"),
    (0x88, &[0x80], "-128"),
    (0x8a, &[0x00, 0x80], "-32768"),
    (0x8c, &[0xff, 0xff, 0xff, 0x7f], "2147483647"),
    (0x8e, &[0, 0, 0, 0, 0, 0, 0, 0x80], "-9223372036854775808"),
    (0x90, &[0xcd, 0xcc, 0xcc, 0x3d], "0.10000000149011612"),
    (0x92, &1e-5_f64.to_le_bytes(), "1E-05"),
    (0x92, &0.0001_f64.to_le_bytes(), "0.0001"),
    (0x92, &1e16_f64.to_le_bytes(), "1E+16"),
    (
        0x92,
        &123_456_789_012_345_680_f64.to_le_bytes(),
        "1.2345678901234568E+17",
    ),
    (0x92, &(-0.0_f64).to_le_bytes(), "-0"),
    (0x92, &2365.12_f64.to_le_bytes(), "2365.12"),
    (0x92, &100.0_f64.to_le_bytes(), "100"),
    (0x92, &f64::NAN.to_le_bytes(), "NaN"),
    (0x92, &f64::NEG_INFINITY.to_le_bytes(), "-INF"),
    (
        0x94,
        &[0, 0, 2, 0x80, 0, 0, 0, 0, 150, 0, 0, 0, 0, 0, 0, 0],
        "-1.50",
    ),
    (
        0x94,
        &[0, 0, 5, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        "-0.00000",
    ),
    (
        0x94,
        &[0, 0, 28, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        "0.0000000000000000000000000001",
    ),
    (
        0x94,
        &[
            0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
        "79228162514264337593543950335",
    ),
    (0x96, &0_u64.to_le_bytes(), "0001-01-01T00:00:00"),
    (
        0x96,
        &(621_355_968_000_000_001_u64 | 1 << 62).to_le_bytes(),
        "1970-01-01T00:00:00.0000001Z",
    ),
    (
        0x96,
        &(621_355_968_000_000_000_u64 | 2 << 62).to_le_bytes(),
        "1970-01-01T00:00:00Z",
    ),
    (
        0x96,
        &(3_155_378_975_999_999_999_u64 | 1 << 62).to_le_bytes(),
        "9999-12-31T23:59:59.9999999Z",
    ),
    // Local dates whose offset leads over the ends of the calendar.
    (0x96, &u64::MAX.to_le_bytes(), "0001-01-01T00:00:00Z"),
    (
        0x96,
        &(3_155_378_976_000_000_001_u64 | 2 << 62).to_le_bytes(),
        "9999-12-31T23:59:59.9999999Z",
    ),
    (
        0x96,
        &(3_155_378_976_000_000_000_u64 | 1 << 62).to_le_bytes(),
        "3155378976000000000",
    ),
    (0x98, b"\x03a\xc3\xa9", "aé"),
    (0x9a, b"\x01\x00a", "a"),
    (0x9c, b"\x01\x00\x00\x00a", "a"),
    (0x9e, b"\x01\xff", "/w=="),
    (0xa0, b"\x01\x00\xff", "/w=="),
    (0xa2, b"\x01\x00\x00\x00\xff", "/w=="),
    (0xa4, &[0x80, 0x98, 1, b'a', 0xa8, 0x88, 5, 0xa6], "0 a  5"),
    (0xa8, &[], ""),
    (0xaa, &[0x02], "Envelope"),
    (
        0xac,
        &[
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ],
        "urn:uuid:00112233-4455-6677-8899-aabbccddeeff",
    ),
    (0xae, &0_i64.to_le_bytes(), "PT0S"),
    (0xae, &937_840_050_000_i64.to_le_bytes(), "P1DT2H3M4.005S"),
    (0xae, &(-864_000_000_000_i64).to_le_bytes(), "-P1D"),
    (0xae, &i64::MIN.to_le_bytes(), "-P10675199DT2H48M5.4775808S"),
    (
        0xb0,
        &[
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ],
        "00112233-4455-6677-8899-aabbccddeeff",
    ),
    (0xb2, &u64::MAX.to_le_bytes(), "18446744073709551615"),
    (0xb4, &[0], "false"),
    (0xb4, &[1], "true"),
    (0xb6, &[4, 0x3d, 0xd8, 0x00, 0xde], "😀"),
    (0xb8, &[2, 0, 0x3d, 0xd8], "\u{fffd}"),
    (0xba, &[2, 0, 0, 0, 0x2d, 0x4e], "中"),
    (
        0xbc,
        &[2, 0x04],
        "c:http://www.w3.org/2003/05/soap-envelope",
    ),
];

#[test]
fn a_text_record_is_the_text_that_xml_has_with_and_without_the_end_of_its_element() {
    for (record, value, expected) in TEXTS {
        let mut records = [&[*record], *value].concat();
        assert_eq!(
            text(&[&records[..], &[0x01]].concat()),
            *expected,
            "{record:x}"
        );
        // The record that ends the element is the next one; of a list it is that of its end.
        let last = if *record == 0xa4 {
            records.len() - 1
        } else {
            0
        };
        records[last] |= 1;
        assert_eq!(text(&records), *expected, "{record:x} with the end");
    }
    assert_eq!(text(&[0x01]), "");
    let long = "é".repeat(20_000);
    let records = [&b"\x9d\x40\x9c\0\0"[..], long.as_bytes()].concat();
    assert_eq!(text(&records), long);
    assert_eq!(
        text(b"\x98\x01a\x02\x03...\x98\x01b\x01"),
        "ab",
        "a comment is no text"
    );
}

#[test]
fn records_of_bytes_that_follow_at_once_are_one_array() {
    let decoded = |records: &[u8]| {
        let typed = [
            element("SharedVariables"),
            element("p"),
            element("key"),
            b"\x99\x01x".to_vec(),
            element("value"),
            b"\x2e\x04type\x98\x0es:base64Binary".to_vec(),
            records.to_vec(),
            vec![0x01, 0x01],
        ];
        let decoded = read(&context(&typed.concat())).unwrap();
        assert_eq!(decoded.notes, []);
        decoded
    };
    for (records, expected) in [
        (&b"\x9e\x03abc\x9f\x02de"[..], &b"abcde"[..]),
        (b"\x9e\x01a\x9e\x01b\xa1\x01\x00c", b"abc"),
        (b"\x9f\x02de", b"de"),
        (b"\x9e\x02de\x01", b"de"),
    ] {
        let decoded = decoded(records);
        let variables = decoded.context().shared_variables().unwrap();
        assert_eq!(variables.get("x"), Some(Value::Bytes(expected)));
    }
}

#[test]
fn a_surrogate_pair_that_two_records_share_is_one_character() {
    for (records, expected) in [
        (&b"\xb6\x02\x3d\xd8\xb7\x02\x00\xde"[..], "😀"),
        (
            b"\xb6\x04a\0\x3d\xd8\xb8\x04\0\x00\xdeb\0\x99\x01c",
            "a😀bc",
        ),
        (
            b"\xb6\x02\x3d\xd8\xb6\x04\x00\xde\x3d\xd8\xbb\x02\0\0\0\x00\xde",
            "😀😀",
        ),
        // The half of none.
        (b"\xb6\x02\x3d\xd8\xb7\x02a\0", "\u{fffd}a"),
        (b"\xb6\x02\x3d\xd8\x99\x01a", "\u{fffd}a"),
        (b"\xb7\x02\x3d\xd8", "\u{fffd}"),
        // Items of a list are by themselves.
        (
            b"\xa4\xb6\x02\x3d\xd8\xb6\x02\x00\xde\x9e\x01a\x9e\x01b\xa7",
            "\u{fffd} \u{fffd} YQ== Yg==",
        ),
    ] {
        assert_eq!(text(records), expected, "{records:x?}");
    }
}

#[test]
fn elements_and_attributes_come_in_every_form() {
    const NIL: [u8; 2] = [0xf6, 0x06];
    const INSTANCE: [u8; 2] = [0xf2, 0x06];
    let null = |attribute: &[u8]| [element("Stage"), attribute.to_vec(), vec![0x01]].concat();
    for attribute in [
        b"\x05\x01i\x03nil\x86".to_vec(),
        [b"\x07\x01i".to_vec(), NIL.to_vec(), vec![0x82]].concat(),
        [vec![0x0c + 8], NIL.to_vec(), b"\x98\x04true".to_vec()].concat(),
        b"\x2e\x03nil\xb4\x01".to_vec(),
        // The prefix is bound behind its use.
        [
            b"\x05\x02jj\x03nil\x86\x0b\x02jj".to_vec(),
            INSTANCE.to_vec(),
        ]
        .concat(),
        // Others say nothing.
        [
            b"\x04\x03nil\x84\x06".to_vec(),
            NIL.to_vec(),
            b"\x84\x2e\x03nil\x86".to_vec(),
        ]
        .concat(),
    ] {
        assert_eq!(
            member("Stage", &null(&attribute)),
            serde_json::Value::Null,
            "{attribute:x?}"
        );
    }
    // "Action" is the dictionary's number 10, and no member that a contract knows.
    for (head, name) in [
        (&b"\x40\x05Thing"[..], "Thing"),
        (b"\x41\x01p\x05Thing", "Thing"),
        (b"\x42\x0a", "Action"),
        (b"\x43\x01p\x0a", "Action"),
        (b"\x44\x0a", "Action"),
        (b"\x5d\x0a", "Action"),
        (b"\x5e\x05Thing", "Thing"),
        (b"\x77\x05Thing", "Thing"),
    ] {
        assert_eq!(
            member(name, &[head, b"\x99\x01x"].concat()),
            "x",
            "{head:x?}"
        );
    }
}

/// An element with these attributes and this text.
fn told(name: &str, attributes: &[u8], content: &str) -> Vec<u8> {
    let head = [element(name), attributes.to_vec(), vec![0x99]];
    [head.concat(), string(content)].concat()
}

/// An element that binds a prefix of one letter, with these in it.
fn binding(name: &str, prefix: &str, namespace: &str, within: &[Vec<u8>]) -> Vec<u8> {
    let bound = [vec![0x09], string(prefix), string(namespace)];
    let end = vec![0x01];
    [element(name), bound.concat(), within.concat(), end].concat()
}

#[test]
fn attributes_that_come_again_mean_what_their_prefixes_mean_there() {
    let typed = |name| told(name, b"\x2e\x04type\x98\x05q:int", "7");
    let nil = |name| [element(name), b"\x2e\x03nil\x86\x01".to_vec()].concat();
    let schema = "http://www.w3.org/2001/XMLSchema";
    let within = [
        binding("A", "q", schema, &[typed("x"), typed("y"), nil("z")]),
        binding("B", "q", "urn:other", &[typed("x"), typed("y")]),
        binding("C", "q", schema, &[typed("x"), typed("y")]),
        binding("D", "i", "urn:other", &[typed("x"), nil("y"), nil("z")]),
        binding("E", "q", "", &[typed("x")]),
    ];
    let things = binding("Things", "q", schema, &within[..4]);
    let other = serde_json::json!({"@type": "int", "@namespace": "urn:other", "@value": "7"});
    let shown = member("Things", &things);
    assert_eq!(shown["A"], serde_json::json!({"x": 7, "y": 7, "z": null}));
    assert_eq!(shown["B"], serde_json::json!({"x": other, "y": other}));
    assert_eq!(shown["C"], serde_json::json!({"x": 7, "y": 7}));
    assert_eq!(
        shown["D"],
        serde_json::json!({"x": "7", "y": "", "z": ""}),
        "without the prefix's meaning they say nothing"
    );
    let unbound = context(&binding(
        "Things",
        "q",
        schema,
        &[typed("x"), within[4].clone()],
    ));
    assert!(error(&unbound).ends_with("a type whose prefix is not bound"));
}

#[test]
fn attributes_that_come_again_with_more_behind_them_are_read_whole() {
    let nil = b"\x2e\x03nil\x86".to_vec();
    let more = [nil.clone(), b"\x2e\x04type\x98\x05s:int".to_vec()].concat();
    let denied = [nil.clone(), b"\x2e\x03nil\x84".to_vec()].concat();
    let things = [
        element("Things"),
        [element("a"), nil.clone(), vec![0x01]].concat(),
        [element("b"), more, vec![0x01]].concat(),
        told("c", &denied, "x"),
        [element("d"), nil, vec![0x01]].concat(),
        vec![0x01],
    ];
    assert_eq!(
        member("Things", &things.concat()),
        serde_json::json!({"a": null, "b": null, "c": "x", "d": null})
    );
}

#[test]
fn a_text_that_is_no_utf8_is_refused_at_its_byte_though_the_next_one_would_end_its_character() {
    let text = |name: &str, text: &[u8]| {
        let length = u8::try_from(text.len()).unwrap();
        [element(name), vec![0x99, length], text.to_vec()].concat()
    };
    let torn =
        |first: &[u8], second: &[u8]| context(&[text("A", first), text("B", second)].concat());
    for (first, second, at) in [
        (&b"\xc3"[..], &b"\xa9"[..], 0),
        (b"caf\xc3", b"\xa9", 3),
        (b"\xa9", b"", 0),
        (b"ab\xff", b"", 2),
    ] {
        let body = torn(first, second);
        let start = body.windows(3).position(|window| window == [0x40, 1, b'A']);
        let place = start.unwrap() + 5 + at;
        let expected = format!("binary at byte {}: not UTF-8", place + 1);
        assert_eq!(error(&body), expected, "{first:x?} {second:x?}");
    }
    assert!(read(&torn("caf\u{e9}".as_bytes(), "\u{e9}".as_bytes())).is_ok());
}

#[test]
fn an_array_is_its_items() {
    let array = |name: &str, record: u8, values: &[u8], count: usize| {
        let arrays = "http://schemas.microsoft.com/2003/10/Serialization/Arrays";
        let records = [
            element("Things"),
            vec![0x03],
            element(name),
            vec![0x08],
            string(arrays),
            vec![0x01, record],
            int31(count),
            values.to_vec(),
            vec![0x01],
        ];
        member("Things", &records.concat()).to_string()
    };
    assert_eq!(array("boolean", 0xb5, &[1, 0], 2), "[true,false]");
    assert_eq!(array("short", 0x8b, &[1, 0, 2, 0], 2), "[1,2]");
    assert_eq!(array("int", 0x8d, &[1, 0, 0, 0], 1), "[1]");
    assert_eq!(array("long", 0x8f, &(-1_i64).to_le_bytes(), 1), "[-1]");
    assert_eq!(array("float", 0x91, &0.1_f32.to_le_bytes(), 1), "[0.1]");
    assert_eq!(array("double", 0x93, &0.1_f64.to_le_bytes(), 1), "[0.1]");
    assert_eq!(
        array(
            "decimal",
            0x95,
            &[0, 0, 1, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0],
            1
        ),
        "[1.0]"
    );
    assert_eq!(
        array("dateTime", 0x97, &[0; 8], 1),
        r#"["0001-01-01T00:00:00"]"#
    );
    assert_eq!(array("duration", 0xaf, &[0; 8], 1), r#"["PT0S"]"#);
    assert_eq!(
        array("guid", 0xb1, &[0; 16], 1),
        r#"["00000000-0000-0000-0000-000000000000"]"#
    );
}

/// Records in an element that make a body none, and why.
const DAMAGED: &[(&[u8], &str)] = &[
    (&[0x00], "no record that can stand here"),
    (&[0x78], "no record that can stand here"),
    (&[0xa5], "no such record"),
    (&[0xa6], "no such record"),
    (&[0xbe], "no such record"),
    (&[0xff], "no such record"),
    (&[0xa4, 0xa4], "a record that does not belong into a list"),
    (&[0xa4, 0x81], "a record that does not belong into a list"),
    (&[0x98, 1, 0xff], "not UTF-8"),
    (&[0x98, 0xff, b'a'], "the body ends within a record"),
    (
        &[0x9c, 0xff, 0xff, 0xff, 0x7f],
        "the body ends within a record",
    ),
    (&[0x9c, 0xff, 0xff, 0xff, 0xff], "a negative length"),
    (&[0xa2, 0xff, 0xff, 0xff, 0xff], "a negative length"),
    (&[0xb6, 1, b'a'], "UTF-16 of an odd number of bytes"),
    (&[0xb4, 2], "a boolean that is neither 0 nor 1"),
    (&[0xbc, 26, 0], "a prefix that is no letter"),
    (
        &[0xaa, 0x01],
        "a string by its number in a dictionary that the body does not have",
    ),
    (
        &[0xaa, 0xce, 0x07],
        "a string by a number that the static dictionary lacks; where the sender has a dictionary of its own, give its strings (decode.dictionary)",
    ),
    (
        &[0x40, 0xff, 0xff, 0xff, 0xff, 0x08],
        "a length of more than 31 bits",
    ),
    (
        &[0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
        "a length of more than 31 bits",
    ),
    (
        &[0x40, 0xff, 0xff, 0xff, 0xff, 0x07],
        "the body ends within a record",
    ),
    (
        &[0x94, 0, 0, 29, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        "a decimal with a scale or a sign that it cannot have",
    ),
    (&[0x2e, 1, b'x', 0x40], "an attribute without a value"),
    (
        &[0x2e, 1, b'x', 0x87],
        "the end of an element in an attribute",
    ),
    (
        b"\x2e\x04type\x98\x03q:a",
        "a type whose prefix is not bound",
    ),
    (&[0x03, 0x98], "an array without an element"),
    (
        &[0x03, 0x40, 1, b'x', 0x81],
        "an array whose element does not end",
    ),
    (
        &[0x03, 0x40, 1, b'x', 0x01, 0x8d, 2, 0, 0, 0, 0, 0],
        "the body ends within an array",
    ),
    (
        &[0x03, 0x40, 1, b'x', 0x01, 0x99, 1],
        "an array of records that make none",
    ),
];

#[test]
fn what_is_damaged_is_refused_with_the_byte() {
    let check = |records: &[u8], expected: &str| {
        let body = context(&[element("A"), records.to_vec()].concat());
        let start = body
            .windows(3)
            .position(|window| window == [0x40, 1, b'A'])
            .unwrap();
        let error = error(&body[..start + 3 + records.len()]);
        let (place, reason) = error.split_once(": ").unwrap();
        let place: usize = place
            .strip_prefix("binary at byte ")
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(reason, expected, "{records:x?}");
        assert!(
            place > start + 3 && place <= start + 4 + records.len(),
            "{records:x?}: {error}"
        );
    };
    for record in [0x01, 0x40, 0x98, 0x9a, 0x9c, 0x94, 0xb0] {
        let expected = match record {
            0x01 => "the body ends within an element",
            _ => "the body ends within a record",
        };
        check(&[record], expected);
    }
    for (records, expected) in DAMAGED {
        check(records, expected);
    }
    let long = [vec![0x03], element(&"x".repeat(65)), vec![0x01, 0xb5, 1, 1]].concat();
    check(&long, "an array whose items have too long a name");
}

#[test]
fn what_comes_behind_the_root_is_padding_or_refused() {
    let body = context(&[]);
    let plain = read(&body).unwrap();
    assert_eq!(plain.format, WireFormat::Binary);
    assert_eq!(read(&[&body[..], b"\0\0\n"].concat()).unwrap(), plain);
    assert_eq!(
        read(&[&b"\x02\x01x"[..], &body].concat())
            .unwrap_err()
            .format,
        None
    );
    assert_eq!(
        decode_as(WireFormat::Binary, &[&b"\x02\x01x"[..], &body].concat()).unwrap(),
        plain
    );
    let place = body.len() + 2;
    assert_eq!(
        error(&[&body[..], &[0x01]].concat()),
        format!("binary at byte {place}: the end of an element that was not started")
    );
    let after = error(&[&body[..], &element("a")].concat());
    assert!(after.ends_with("the body goes on after its end"), "{after}");
}

#[test]
fn a_wrapped_string_that_is_no_context_is_refused_as_what_it_is() {
    let wrapped = |text: &str| {
        let namespace = "http://schemas.microsoft.com/2003/10/Serialization/";
        [
            element("string"),
            vec![0x08],
            string(namespace),
            vec![0x99],
            string(text),
        ]
        .concat()
    };
    let check = |text: &str, expected: &str| {
        let body = wrapped(text);
        let place = body.len() + 1;
        assert_eq!(error(&body), format!("binary at byte {place}: {expected}"));
    };
    check("", "the string in it is neither JSON nor XML");
    check("@\u{6}string", "the string in it is neither JSON nor XML");
    check(
        "{1",
        "in the string that it holds, json at 1:2: a string is expected",
    );
    let body = wrapped("\u{feff}{\"MessageName\":\"Update\"}\n\0");
    assert_eq!(
        read(&body).unwrap().context().message_name(),
        Some("Update")
    );
    let pieces = [&body[..body.len() - 30], &[]].concat();
    assert!(read(&pieces).is_err());
}

#[test]
fn a_label_tells_a_body_that_begins_with_a_string_of_the_dictionary() {
    let body = [0x42, 0x02, 0x01];
    let labelled = Hint {
        content_type: None,
        property: Some("application/msbin1"),
    };
    let error = decode(&body, labelled).unwrap_err();
    assert_eq!(error.format, Some(WireFormat::Binary), "{error}");
    assert_eq!(read(&body).unwrap_err().format, None);
    let json = decode(br#"{"MessageName":"Update"}"#, labelled).unwrap();
    assert_eq!(json.format, WireFormat::Json);
}

#[test]
fn no_body_makes_the_reader_slow_or_large_or_overflows_its_stack() {
    let deep = |levels: usize| context(&[element("a").repeat(levels), vec![0x01; levels]].concat());
    assert!(read(&deep(NESTING - 2)).is_ok());
    assert!(
        error(&deep(NESTING + 2)).ends_with("nested deeper than 256 levels (decode.max_nesting)")
    );
    assert!(error(&deep(200_000)).ends_with("nested deeper than 256 levels (decode.max_nesting)"));
    assert!(error(&element("RemoteExecutionContext").repeat(10_000)).contains("another root"));

    let many = [
        vec![0x03],
        element("A"),
        vec![0x01, 0xb5],
        int31(1 << 20),
        vec![1; 1 << 20],
    ];
    let many = context(&[element("M"), many.concat(), vec![0x01]].concat());
    assert!(error(&many).ends_with("more than 1048576 bytes (decode.max_size)"));
    let binds = context(&[element("A"), b"\x09\x01q\x01n".repeat(100_000)].concat());
    assert!(error(&binds).ends_with("too many prefixes bound at one place"));
    let comments = context(&b"\x02\x00".repeat(500_000));
    assert!(read(&comments).is_ok());
    let attributes = [element("A"), b"\x2e\x01x\x80".repeat(200_000), vec![0x01]];
    assert!(read(&context(&attributes.concat())).is_ok());
    let texts = [element("A"), b"\x98\x01x".repeat(300_000), vec![0x01]].concat();
    assert!(read(&context(&texts)).is_ok());
    let bytes = [element("A"), b"\x9e\x01x\x80".repeat(200_000), vec![0x01]].concat();
    assert!(read(&context(&bytes)).is_ok());
    // A type with a name that is long, in every item.
    let namespace = [
        element("A"),
        vec![0x09],
        string("q"),
        string(&"n".repeat(2000)),
    ]
    .concat();
    let typed = b"\x40\x01b\x2e\x04type\x98\x03q:c\x01".repeat(1000);
    assert!(error(&context(&[namespace, typed].concat())).contains("longer than 1024 bytes"));
}
