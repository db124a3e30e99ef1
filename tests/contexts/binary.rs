//! Bodies in the .NET binary format: those of the cases, and those of which there is nothing else.
//!
//! `tests/data/binary` holds `core/NAME.bin`, cases as .NET Core writes them, and odd bodies with the truth
//! of what is in them. What the format does not keep: a local date is in UTC, and a negative zero is a zero.

use std::fs;

use dataverse_listener::context::{Value, WireFormat};
use dataverse_listener::decoder::{Hint, decode, decode_as};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::tree::{Tree, assert_same};
use super::{bytes, cases, data, decoded, document, file, members, truth};

/// The cases that there is a binary body of.
fn binary_cases() -> Vec<String> {
    let mut cases = cases();
    cases.retain(|case| data().join(format!("{case}.bin")).exists());
    assert!(cases.len() > 100, "only {} cases", cases.len());
    cases
}

#[test]
fn binary_says_what_was_written() {
    for case in binary_cases() {
        let expected =
            truth::binary_document(&Tree::parse(&file(&format!("{case}.expected.json"))));
        let name = format!("{case}.bin");
        assert_eq!(decoded(&name).format, WireFormat::Binary);
        assert_same(&unsigned_zeros(members(document(&name))), &expected, &name);
    }
}

/// A document whose zeros have no sign: of decimals this format alone keeps it, the truth does not.
fn unsigned_zeros(tree: Tree) -> Tree {
    match tree {
        Tree::Number(digits) if digits.starts_with("-0.") && digits.ends_with('0') => {
            match digits.parse::<f64>() {
                Ok(0.0) => Tree::Number(digits[1..].to_owned()),
                _ => Tree::Number(digits),
            }
        }
        Tree::Array(items) => Tree::Array(items.into_iter().map(unsigned_zeros).collect()),
        Tree::Object(members) => {
            let member = |(name, value)| (name, unsigned_zeros(value));
            Tree::Object(members.into_iter().map(member).collect())
        }
        other => other,
    }
}

#[test]
fn binary_and_xml_give_one_document() {
    for case in binary_cases() {
        let (xml, binary) = (
            document(&format!("{case}.xml")),
            document(&format!("{case}.bin")),
        );
        assert_eq!(binary.text("@format"), Some("binary"));
        assert_eq!(xml.get("@truncated"), binary.get("@truncated"), "{case}");
        assert_alike(&members(binary), &members(xml), &case);
    }
}

#[test]
fn what_dotnet_core_writes_is_the_same() {
    let names = fs::read_dir(data().join("../binary/core"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.collect();
    assert!(names.len() > 5, "only {names:?}");
    for name in names {
        let binary = document(&format!("../binary/core/{name}"));
        let xml = document(&name.replace(".bin", ".xml"));
        assert_alike(&members(binary), &members(xml), &name);
    }
}

#[test]
fn a_string_is_read_as_the_format_that_it_holds() {
    let xml = document("../binary/x02-string-wrapped-xml.bin");
    let truth = file("../binary/x02-string-wrapped-xml.expected.json");
    assert_same(&members(xml), &truth::document(&Tree::parse(&truth)), "x02");
    let json = document("../binary/x01-string-wrapped-json.bin");
    assert_eq!(json.text("@format"), Some("binary"));
    let truth = file("../binary/x01-string-wrapped-json.expected-json.json");
    assert_same(
        &members(json),
        &truth::json_document(&Tree::parse(&truth)),
        "x01",
    );
}

#[test]
fn characters_that_xml_forbids_are_kept() {
    for name in [
        "x15-control-u0001",
        "x16-control-u0000",
        "x17-control-u001f",
        "x18-ufffe",
        "x22-control-in-long-cjk",
    ] {
        let name = format!("../binary/{name}");
        let truth = file(&format!("{name}.expected.json"));
        assert_same(
            &members(document(&format!("{name}.bin"))),
            &truth::binary_document(&Tree::parse(&truth)),
            &name,
        );
    }
}

#[test]
fn what_is_deep_is_as_deep_as_in_xml() {
    for name in ["x24-nested-array-200", "x25-nested-aliased-100"] {
        let text = |ending| {
            let decoded = decoded(&format!("../binary/{name}.{ending}"));
            assert_eq!(decoded.notes, []);
            serde_json::to_string(&decoded.context()).unwrap()
        };
        assert_eq!(text("bin"), text("xml"), "{name}");
    }
}

#[test]
fn what_no_number_can_be_is_not_a_number() {
    let decoded = decoded("../binary/x14-nan-inf.bin");
    let context = decoded.context();
    let values: Vec<_> = context
        .input_parameters()
        .unwrap()
        .iter()
        .filter_map(|(_, value)| value.as_number())
        .map(|number| number.as_str().to_owned())
        .collect();
    for text in ["NaN", "INF", "-INF"] {
        assert!(values.iter().any(|value| value == text), "{values:?}");
    }
}

#[test]
fn of_a_repeated_key_the_last_value_is_kept_and_a_note_says_so() {
    let decoded = decoded("../binary/x27-duplicate-keys.bin");
    assert!(!decoded.notes.is_empty());
}

#[test]
fn a_type_that_nobody_knows_is_kept() {
    let decoded = decoded("../binary/x13-grantaccess-unmodelled-type.bin");
    let context = decoded.context();
    let access = context.input_parameters().unwrap().iter();
    let access: Vec<_> = access.filter_map(|(_, value)| value.as_object()).collect();
    assert!(
        access
            .iter()
            .any(|object| object.get("AccessMask").is_some_and(|mask| {
                matches!(mask, Value::String(text) if text.contains("ReadAccess"))
            })),
        "{access:?}"
    );
}

#[test]
fn strings_of_another_dictionary_are_no_context() {
    let body = bytes("../binary/x11-static-dictionary.bin");
    let hint = Hint {
        content_type: None,
        property: Some("application/msbin1"),
    };
    for error in [
        decode(&body, hint).unwrap_err(),
        decode_as(WireFormat::Binary, &body).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "binary at byte 50: no execution context: another root element"
        );
    }
    let error = decode(&body, Hint::default()).unwrap_err();
    assert_eq!(error.format, None, "{error}");
}

/// Fails with the path to the first difference that is not the format's own.
fn assert_alike(binary: &Tree, xml: &Tree, path: &str) {
    match (binary, xml) {
        (Tree::Object(binary), Tree::Object(xml)) => {
            assert_eq!(binary.len(), xml.len(), "members of {path}");
            for ((name, one), (other_name, other)) in binary.iter().zip(xml) {
                assert_eq!(name, other_name, "in {path}");
                assert_alike(one, other, &format!("{path}.{name}"));
            }
        }
        (Tree::Array(binary), Tree::Array(xml)) => {
            assert_eq!(binary.len(), xml.len(), "items of {path}");
            for (place, (one, other)) in binary.iter().zip(xml).enumerate() {
                assert_alike(one, other, &format!("{path}[{place}]"));
            }
        }
        (Tree::Number(one), Tree::Number(other)) if one != other => {
            // The digits of a 32-bit number may be as many as .NET likes; 64-bit ones the truth has exactly.
            let is_near = one.parse::<f64>().unwrap() == other.parse::<f64>().unwrap()
                || one.parse::<f32>().unwrap() == other.parse::<f32>().unwrap();
            assert!(is_near, "{path}: {one} is not {other}");
        }
        (Tree::String(one), Tree::String(other)) if one != other => {
            let instant = |text: &str| {
                OffsetDateTime::parse(text, &Rfc3339)
                    .unwrap_or_else(|_| panic!("{path}: {one} is not {other}"))
            };
            assert_eq!(instant(one), instant(other), "{path}");
        }
        _ => assert_eq!(binary, xml, "{path}"),
    }
}
