//! Which differences between the documents of one message are a format's own. Those of JSON from XML:
//!
//! - a byte array is base64 text in XML and an array of numbers in JSON;
//! - an enum where the contract declares `object` is a name in XML and a number in JSON;
//! - an empty bag or collection where the contract declares `object` is an empty array in JSON;
//! - a string that is `/Date(1)/` by chance is a date in JSON;
//! - a date loses what is under a millisecond, and JSON gives a zone to those that have none;
//! - `OperationCreatedOn` that is local, which Dataverse does not send, is shifted by its zone in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::calendar::wire_date;
use super::tree::Tree;

/// Fails with the path to the first difference that is not JSON's own.
pub(crate) fn assert_agree(xml: &Tree, json: &Tree, path: &str) {
    match (xml, json) {
        (Tree::Object(one), Tree::Array(other)) => {
            assert!(one.is_empty() && other.is_empty(), "{path}");
        }
        (Tree::Object(one), Tree::Object(other)) => {
            assert_eq!(one.len(), other.len(), "members of {path}");
            for ((one_name, one), (other_name, other)) in one.iter().zip(other) {
                assert_eq!(one_name, other_name, "in {path}");
                assert_agree(one, other, &format!("{path}.{one_name}"));
            }
        }
        (Tree::Array(one), Tree::Array(other)) => {
            assert_eq!(one.len(), other.len(), "items of {path}");
            for (place, (one, other)) in one.iter().zip(other).enumerate() {
                assert_agree(one, other, &format!("{path}[{place}]"));
            }
        }
        (Tree::String(text), Tree::Array(items)) => {
            assert_eq!(&numbers(text, path), items, "{path}")
        }
        (Tree::String(text), Tree::Number(number)) => {
            let names = [
                ["Unchanged", "Referencing"],
                ["Created", "Referenced"],
                ["Changed", ""],
            ];
            assert!(
                names[number.parse::<usize>().unwrap()].contains(&text.as_str()),
                "{path}"
            );
        }
        (Tree::String(one), Tree::String(other)) if one != other => assert_near(one, other, path),
        _ => assert_eq!(xml, json, "{path}"),
    }
}

fn numbers(base64: &str, path: &str) -> Vec<Tree> {
    let bytes = STANDARD
        .decode(base64)
        .unwrap_or_else(|_| panic!("{path} differs"));
    bytes
        .iter()
        .map(|byte| Tree::Number(byte.to_string()))
        .collect()
}

fn assert_near(xml: &str, json: &str, path: &str) {
    if xml.starts_with("/Date(") {
        return assert_eq!(wire_date(xml), json, "{path}");
    }
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339);
    let json = parse(json).unwrap_or_else(|_| panic!("{path}: {xml} is not {json}"));
    match parse(xml) {
        Ok(xml) if path.ends_with("OperationCreatedOn") => {
            let shift = json - xml;
            assert!(shift.abs() <= time::Duration::hours(14), "{path}");
            assert_eq!(shift.whole_milliseconds() % (15 * 60_000), 0, "{path}");
        }
        Ok(xml) => assert!((xml - json).abs() < time::Duration::MILLISECOND, "{path}"),
        Err(_) => {
            let xml =
                parse(&format!("{xml}Z")).unwrap_or_else(|_| panic!("{path}: {xml} is not {json}"));
            let clock = json.replace_offset(time::UtcOffset::UTC);
            // Beside a change of the clocks the serializer takes the offset an hour too early or too late.
            assert!(
                (xml - clock).abs() <= time::Duration::HOUR,
                "{path}: {xml} is not {json}"
            );
        }
    }
}

/// Fails with the path to the first difference of a binary document that is not the format's own: a local
/// date is in UTC, and a zero has no sign.
pub(crate) fn assert_alike(binary: &Tree, xml: &Tree, path: &str) {
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
