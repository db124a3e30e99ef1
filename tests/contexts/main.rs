//! Bodies as the genuine serializers wrote them, decoded and compared with what was written.
//!
//! `tests/data/contexts` holds for each case `NAME.json`, `NAME.xml`, for all but the largest `NAME.bin`, and
//! the two truth files that [`truth`] reads, and payloads that were published without one. What there is in
//! the binary format alone is in `tests/data/binary`.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

mod agreement;
mod binary;
mod published;
mod rows;
mod schema;
mod tree;
mod truth;
mod variations;

use std::fs;
use std::path::{Path, PathBuf};

use dataverse_listener::context::{NumberKind, Value, WireFormat};
use dataverse_listener::decoder::{Decoded, Hint, decode};
use tree::{Tree, assert_same};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contexts")
}

fn file(name: &str) -> String {
    fs::read_to_string(data().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the cases that have a truth.
fn cases() -> Vec<String> {
    let names = fs::read_dir(data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut cases: Vec<_> = names
        .filter_map(|name| Some(name.strip_suffix(".xml")?.to_owned()))
        .collect();
    cases.sort();
    assert!(
        cases.len() > 90,
        "only {} cases in {}",
        cases.len(),
        data().display()
    );
    cases
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(data().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn decoded(name: &str) -> Decoded {
    decode(&bytes(name), Hint::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The context document of a body.
fn document(name: &str) -> Tree {
    Tree::parse(&serde_json::to_string(&decoded(name).document(false)).unwrap())
}

/// The members after those that the document adds.
fn members(document: Tree) -> Tree {
    let Tree::Object(mut members) = document else {
        panic!("no object")
    };
    members.retain(|(name, _)| !matches!(name.as_str(), "@format" | "@truncated"));
    Tree::Object(members)
}

#[test]
fn xml_says_what_was_written() {
    for case in cases() {
        let expected = truth::document(&Tree::parse(&file(&format!("{case}.expected.json"))));
        let name = format!("{case}.xml");
        assert_eq!(decoded(&name).format, WireFormat::Xml);
        assert_same(&members(document(&name)), &expected, &name);
    }
}

#[test]
fn json_says_what_json_can_carry_of_it() {
    for case in cases() {
        let expected =
            truth::json_document(&Tree::parse(&file(&format!("{case}.expected-json.json"))));
        let name = format!("{case}.json");
        assert_eq!(decoded(&name).format, WireFormat::Json);
        assert_same(&members(document(&name)), &expected, &name);
    }
}

#[test]
fn both_formats_give_one_document_apart_from_what_json_cannot_carry() {
    for case in cases() {
        let (xml, json) = (
            document(&format!("{case}.xml")),
            document(&format!("{case}.json")),
        );
        assert_eq!(
            (xml.text("@format"), json.text("@format")),
            (Some("xml"), Some("json"))
        );
        assert_eq!(xml.get("@truncated"), json.get("@truncated"), "{case}");
        agreement::assert_agree(&members(xml), &members(json), &case);
    }
}

#[test]
fn xml_and_binary_keep_the_types_that_json_does_not_have() {
    for name in ["a11-primitives.xml", "a11-primitives.bin"] {
        keeps_types(name);
    }
}

fn keeps_types(name: &str) {
    let decoded = decoded(name);
    let context = decoded.context();
    let value = |name: &str| context.input_parameters().unwrap().get(name).unwrap();
    let kind = |name: &str| value(name).as_number().map(|number| number.kind());
    for name in [
        "int", "long", "short", "ushort", "byte", "sbyte", "uint", "ulong",
    ] {
        assert_eq!(kind(name), Some(NumberKind::Integer), "{name}");
    }
    assert_eq!(kind("decimal"), Some(NumberKind::Decimal));
    assert_eq!(kind("double"), Some(NumberKind::Double));
    assert_eq!(kind("float"), Some(NumberKind::Float));
    assert!(matches!(value("guid"), Value::Guid(_)));
    assert!(matches!(value("utc"), Value::DateTime(_)));
    assert_eq!(value("bytes"), Value::Bytes(&[11, 48, 85, 122, 159]));
    assert_eq!(value("char"), Value::String("x"));
    assert_eq!(value("state"), Value::String("Changed"));
}
