//! One message as one line: a JSON document in UTF-8, whatever its body was.
//!
//! Source: NDJSON, "Each Line is a JSON value ... encoded in UTF-8" (github.com/ndjson/ndjson-spec).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::message::Content;
use crate::sink::body::{Body, BodyError};
use crate::sink::delivery::Delivery;

/// Appends the line of `delivery`, its line feed included.
///
/// # Errors
/// When the message has no such form; `text` is as it was.
pub(super) fn render(body: Body, delivery: &Delivery, text: &mut Vec<u8>) -> Result<(), BodyError> {
    let original = delivery.message().event.body.bytes();
    if body == Body::Original && delivery.dead_letter().is_none() && !is_line(delivery, original) {
        wrap(original, text)?;
    } else {
        body.render(delivery, text)?;
    }
    text.push(b'\n');
    Ok(())
}

/// What a wrapped body begins with.
const WRAPPER: &[u8] = b"{\"original";

/// True when the body as it came is a JSON document on one line, which is not taken for a wrapped one.
fn is_line(delivery: &Delivery, original: &[u8]) -> bool {
    let message = delivery.message();
    let is_json = !matches!(message.content, Content::Undecodable { .. })
        && message
            .format()
            .is_some_and(|format| format.as_str() == "json");
    is_json
        && matches!(original.first(), Some(b'{' | b'['))
        && !original.starts_with(WRAPPER)
        && original.iter().all(|byte| *byte >= b' ')
        && str::from_utf8(original).is_ok()
}

/// Any other body inside a JSON document, from which it can be had again byte for byte: text as the
/// member `original`, the rest as `original_base64`.
fn wrap(original: &[u8], text: &mut Vec<u8>) -> Result<(), BodyError> {
    let before = text.len();
    text.extend_from_slice(WRAPPER);
    let written = match str::from_utf8(original) {
        Ok(original) => {
            text.extend_from_slice(b"\":");
            serde_json::to_writer(&mut *text, original)
        }
        Err(_) => {
            text.extend_from_slice(b"_base64\":");
            serde_json::to_writer(&mut *text, &BASE64_STANDARD.encode(original))
        }
    };
    if let Err(error) = written {
        text.truncate(before);
        return Err(error.into());
    }
    text.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::Value;

    use super::*;
    use crate::message::samples;
    use crate::sink::compliance;

    const JSON: &str =
        r#"{"MessageName":"Create","PrimaryEntityName":"account","InputParameters":[]}"#;

    fn line(body: Body, original: &[u8]) -> Vec<u8> {
        let mut event = samples::event("");
        event.body = crate::event::Body::Bytes(Bytes::copy_from_slice(original));
        let mut text = Vec::new();
        render(
            body,
            &compliance::delivery(samples::decoded(event)),
            &mut text,
        )
        .unwrap();
        text
    }

    #[track_caller]
    fn check(original: &[u8], expected: &str) {
        let text = line(Body::Original, original);
        assert_eq!(String::from_utf8(text).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn a_json_body_on_one_line_is_written_as_it_came() {
        check(JSON.as_bytes(), JSON);
        // Spaces, unusual escapes and big numbers stay what they are.
        let odd = r#"{ "MessageName" : "Cr\u0065ate", "InputParameters" : [ ], "Depth": 1.0e0 }"#;
        check(odd.as_bytes(), odd);
        let foreign = r#"[ {"BusinessEventId": "x"} ]"#;
        check(foreign.as_bytes(), foreign);
    }

    #[test]
    fn any_other_body_is_wrapped_and_can_be_had_again() {
        let indented = JSON.replace(',', ",\n  ");
        let mut with_mark = vec![0xef, 0xbb, 0xbf];
        with_mark.extend_from_slice(JSON.as_bytes());
        for original in [
            indented.as_bytes(),
            b"<a>\r\n</a>",
            b"<a/>",
            b"?",
            b"",
            b"\"text\"",
            &with_mark,
            br#"{"original":"a","MessageName":"Create","InputParameters":[]}"#,
        ] {
            let document: Value = serde_json::from_slice(&line(Body::Original, original)).unwrap();
            assert_eq!(document["original"].as_str().unwrap().as_bytes(), original);
        }
        let binary = [0x56, 0x02, 0x0b, 0xff, b'\n'];
        let document: Value = serde_json::from_slice(&line(Body::Original, &binary)).unwrap();
        assert_eq!(document["original_base64"], BASE64_STANDARD.encode(binary));
    }

    #[test]
    fn a_line_has_one_line_feed_at_its_end() {
        for body in [
            Body::Message,
            Body::Context,
            Body::Original,
            Body::CloudEvent,
        ] {
            let multiline =
                r#"{"MessageName":"a\nb","InputParameters":[],"PrimaryEntityName":"x"}"#;
            for original in [multiline.to_owned(), multiline.replace(',', ",\r\n")] {
                let text = line(body, original.as_bytes());
                assert_eq!(
                    text.iter().position(|byte| *byte == b'\n'),
                    Some(text.len() - 1),
                    "{body:?}"
                );
            }
        }
    }
}
