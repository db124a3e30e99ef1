//! Events of others in the same hub: JSON that is no execution context, kept as it is. Finance and Operations
//! sends its business events so, Event Grid its events, and anybody telemetry.
//!
//! Only JSON can be told from a damaged context and stand in a document as it is: XML with another root and
//! what is in no known format stay undecodable.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::contract::CONTEXT;
use super::limits::{Exceeded, Limits};

/// Members that hardly anything but a context has. Whoever has two of them is meant to be one.
const SIGNS: &[&str] = &[
    "InitiatingUserId",
    "InputParameters",
    "OrganizationId",
    "OutputParameters",
    "OwningExtension",
    "ParentContext",
    "PostEntityImages",
    "PreEntityImages",
    "PrimaryEntityId",
    "PrimaryEntityName",
    "SharedVariables",
];

/// The JSON in `text`, on one line; `None` where it is none, or is meant to be a context.
pub(super) fn read(text: &str, limits: Limits) -> Result<Option<Box<RawValue>>, Exceeded> {
    let Ok(json) = serde_json::from_str::<&RawValue>(text) else {
        return Ok(None);
    };
    if !json.get().starts_with(['{', '[']) {
        return Ok(None);
    }
    let line = on_one_line(json.get(), limits)?;
    let is_context = serde_json::from_str(&line).is_ok_and(|Meant(is_context)| is_context);
    Ok(match is_context {
        true => None,
        false => RawValue::from_string(line).ok(),
    })
}

/// JSON without white space between its values, so that it is one line of a document. Half a surrogate pair,
/// which strict readers refuse, becomes U+FFFD, as it does in a context.
fn on_one_line(json: &str, limits: Limits) -> Result<String, Exceeded> {
    let mut line = String::with_capacity(json.len());
    let (mut kept, mut at, mut depth) = (0, 0, 0_usize);
    let mut is_in_string = false;
    while let Some(byte) = json.as_bytes().get(at) {
        let width = match byte {
            b'"' => {
                is_in_string = !is_in_string;
                1
            }
            b'\\' => match escaped(json, at) {
                Escape::Half => {
                    line.push_str(&json[kept..at]);
                    line.push_str("\\ufffd");
                    kept = at + UNIT;
                    UNIT
                }
                Escape::Pair => 2 * UNIT,
                Escape::Other => 2,
            },
            b' ' | b'\t' | b'\n' | b'\r' if !is_in_string => {
                line.push_str(&json[kept..at]);
                kept = at + 1;
                1
            }
            b'{' | b'[' if !is_in_string => {
                limits.level(depth)?;
                depth += 1;
                1
            }
            b'}' | b']' if !is_in_string => {
                depth = depth.saturating_sub(1);
                1
            }
            _ => 1,
        };
        at += width;
    }
    line.push_str(&json[kept..]);
    Ok(line)
}

/// How long `\uXXXX` is.
const UNIT: usize = 6;

/// What an escape stands for.
enum Escape {
    /// Half a surrogate pair.
    Half,
    /// With the next one, a character.
    Pair,
    /// A character, or the beginning of what is one.
    Other,
}

fn escaped(json: &str, at: usize) -> Escape {
    let unit = |at: usize| {
        let digits = json.get(at..at + UNIT)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    match (unit(at), unit(at + UNIT)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => Escape::Pair,
        (Some(0xd800..=0xdfff), _) => Escape::Half,
        _ => Escape::Other,
    }
}

/// Whether an object is meant to be a context: by its message, its type or its members.
struct Meant(bool);

impl<'de> Deserialize<'de> for Meant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Signs)
    }
}

struct Signs;

impl<'de> Visitor<'de> for Signs {
    type Value = Meant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Meant, A::Error> {
        let mut signs = 0;
        let mut is_named = false;
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "MessageName" => is_named = true,
                "__type" => {
                    let value: &RawValue = members.next_value()?;
                    let value = value.get().trim_start_matches('"');
                    is_named |= value.split([':', '"']).next() == Some(CONTEXT.name);
                    continue;
                }
                name => signs += usize::from(SIGNS.contains(&name)),
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(Meant(is_named || signs > 1))
    }
}

#[cfg(test)]
mod tests {
    use crate::context::WireFormat;
    use crate::decoder::{Decoder, Foreign, Hint, Limits, Outcome, decode};

    fn read(body: &[u8]) -> Result<Foreign, String> {
        match Decoder::default().read(body, Hint::default()) {
            Ok(Outcome::Foreign(foreign)) => Ok(foreign),
            Ok(Outcome::Context(_)) => Err("a context".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let foreign = read(body.as_bytes()).unwrap();
        assert_eq!(foreign.json.get(), expected, "{body}");
        assert_eq!(foreign.format, WireFormat::Json);
    }

    #[test]
    fn json_that_is_no_context_is_kept_on_one_line() {
        for body in [
            "{}",
            "[]",
            r#"[{"eventType":"Microsoft.Storage.BlobCreated","data":{"n":1.10}}]"#,
            r#"{"a":"\u00e9 \" \\","a":79228162514264337593543950335,"b":"{[ ,"}"#,
            // One member of a context has many another event.
            r#"{"OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73","level":"info"}"#,
            r#"{"OperationId":"1","UserId":"2","CorrelationId":"3","Depth":1,"RequestId":null}"#,
            r#"{"__type":"Telemetry:#Contoso","InputParameters":[]}"#,
            r#"{"data":{"MessageName":"Update","InputParameters":[]}}"#,
        ] {
            check(body, body);
        }
        check(
            "\u{feff} {\r\n  \"a b\" : [ 1 ,\t\"x  y\" ]\n}\r\n\0",
            r#"{"a b":[1,"x  y"]}"#,
        );
        check(
            r#"["\ud83d\ude00","\ud83d","\ude00\ud83d","\ud83d\\ud83d","\\ud83d"]"#,
            r#"["\ud83d\ude00","\ufffd","\ufffd\ufffd","\ufffd\\ud83d","\\ud83d"]"#,
        );
    }

    #[test]
    fn a_damaged_context_is_none_and_nor_is_what_is_no_json() {
        for (body, expected) in [
            (
                r#"{"InputParameters":[],"OrganizationId":"x"}"#,
                "json at 1:1: no execution context: MessageName is missing",
            ),
            (
                r#"{"__type":"RemoteExecutionContext:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts"}"#,
                "json at 1:1: no execution context: MessageName is missing",
            ),
            (
                r#"{"MessageName":"Update","InputParameters":[1]}"#,
                "json at 1:44: a key/value pair is expected",
            ),
            (
                r#"{"MessageName":"Upd"#,
                "json at 1:20: the body ends within a string",
            ),
            (
                r#"{"a":1"#,
                "json at 1:7: the body ends where a comma or a closing bracket is expected",
            ),
            (
                r#"{"a":NaN}"#,
                "json at 1:1: no execution context: MessageName is missing",
            ),
            (
                "{\"a\":\"\n\"}",
                "json at 1:1: no execution context: MessageName is missing",
            ),
            ("{} {}", "json at 1:4: the body goes on after its end"),
            (
                "<a/>",
                "xml at 1:5: no execution context: another root element",
            ),
            (
                "\"text\"",
                "unknown format at 1:1: the body begins with 0x22, as neither JSON nor XML does",
            ),
        ] {
            assert_eq!(read(body.as_bytes()).unwrap_err(), expected, "{body}");
        }
        assert!(read(b"[\"\xff\"]").is_err());
    }

    #[test]
    fn whoever_asks_for_a_context_alone_gets_an_error() {
        let error = decode(br#"{"BusinessEventId":"x"}"#, Hint::default()).unwrap_err();
        let expected = "json at 1:1: no execution context: MessageName is missing";
        assert_eq!(error.to_string(), expected);
        let error = decode(b"[]", Hint::default()).unwrap_err();
        assert_eq!(error.to_string(), "json at 1:1: an object is expected");
    }

    #[test]
    fn json_that_was_sent_as_a_string_is_read_as_what_it_is() {
        let namespace = "http://schemas.microsoft.com/2003/10/Serialization/";
        let text = r#"{"BusinessEventId": "x"}"#;
        let mut body = b"\x40\x06string\x08\x33".to_vec();
        body.extend_from_slice(namespace.as_bytes());
        body.extend([0x99, u8::try_from(text.len()).unwrap()]);
        body.extend_from_slice(text.as_bytes());
        let foreign = read(&body).unwrap();
        assert_eq!(foreign.json.get(), r#"{"BusinessEventId":"x"}"#);
        assert_eq!(foreign.format, WireFormat::Binary);
    }

    #[test]
    fn its_size_and_its_nesting_have_limits_and_its_attributes_have_none() {
        let limits = Limits {
            size: 1000,
            nesting: 3,
            attributes: 2,
            expansion: 2000,
        };
        let decoder = Decoder {
            limits,
            ..Decoder::default()
        };
        let read = |body: &str| decoder.read(body.as_bytes(), Hint::default());
        let many = format!("[{}0]", "0,".repeat(100));
        for body in [
            &many,
            &format!(r#"{{"a":{many}}}"#),
            "[[[]]]",
            r#"{"a":{"b":[]}}"#,
        ] {
            assert!(matches!(read(body), Ok(Outcome::Foreign(_))), "{body}");
        }
        for (body, limit) in [
            ("{\"a\":[[[]]]}", "max_nesting"),
            ("[[[[]]]]", "max_nesting"),
            (&format!("[{}0]", "0,".repeat(500)), "max_size"),
        ] {
            let error = read(body).unwrap_err().to_string();
            assert!(error.contains(limit), "{body}: {error}");
        }
    }
}
