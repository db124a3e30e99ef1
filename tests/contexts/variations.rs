//! Damaged bodies: every prefix and every change of one byte must give a context or an error, soon.

use dataverse_listener::context::WireFormat;
use dataverse_listener::decoder::{DecodeError, Decoded, Hint, decode, decode_as};

use super::corpus::bytes;

/// Of each format, and of each way in which one may be wrapped.
const JSON: &str = "features/a24-arrays.json";
const UTF_16: &str = "odd/x09-utf16le.json";
const XML: &str = "odd/x15-control-u0001.xml";
const BINARY: &str = "features/a11-primitives.bin";
const WRAPPED: &str = "odd/x01-string-wrapped-json.bin";

/// A context that can be written, or an error in one line.
fn survives(result: Result<Decoded, DecodeError>) {
    match result {
        Ok(decoded) => drop(serde_json::to_vec(&decoded.document(false)).unwrap()),
        Err(error) => assert!(error.to_string().lines().count() == 1, "{error}"),
    }
}

#[test]
fn no_prefix_makes_the_decoder_panic() {
    for case in [JSON, UTF_16, XML, BINARY, WRAPPED] {
        let body = bytes(case);
        let format = decode(&body, Hint::default()).unwrap().format;
        for end in 0..body.len() {
            let result = decode(&body[..end], Hint::default());
            assert!(result.is_err(), "{case} up to {end}");
            survives(result);
            survives(decode_as(format, &body[..end]));
        }
    }
}

#[test]
fn no_body_makes_the_decoder_of_another_format_panic() {
    for case in [JSON, UTF_16, XML, BINARY, WRAPPED] {
        let body = bytes(case);
        for format in [WireFormat::Json, WireFormat::Xml, WireFormat::Binary] {
            for start in 0..body.len() {
                survives(decode_as(format, &body[start..]));
            }
        }
    }
}

#[test]
fn no_changed_byte_of_json_makes_the_decoder_panic() {
    change_each_byte(JSON, 4);
}

#[test]
fn no_changed_byte_of_utf_16_makes_the_decoder_panic() {
    change_each_byte(UTF_16, 2);
}

#[test]
fn no_changed_byte_of_xml_makes_the_decoder_panic() {
    change_each_byte(XML, 4);
}

#[test]
fn no_changed_byte_of_binary_makes_the_decoder_panic() {
    change_each_byte(BINARY, 4);
}

#[test]
fn no_changed_byte_of_what_is_wrapped_makes_the_decoder_panic() {
    change_each_byte(WRAPPED, 2);
}

/// Each byte becomes another by one bit, one that means something (which, its place says), and where there are
/// four ways, the least and the largest.
fn change_each_byte(case: &str, ways: usize) {
    const MEANINGFUL: &[u8] = b"\"<>{}[]&\\:;/,=\x01\x03\x08\x40\x80\xa4\xd8";
    let mut body = bytes(case);
    for at in 0..body.len() {
        let original = body[at];
        let meaningful = MEANINGFUL[at % MEANINGFUL.len()];
        for changed in &[original ^ 1, meaningful, 0, 0xff][..ways] {
            body[at] = *changed;
            survives(decode(&body, Hint::default()));
        }
        body[at] = original;
    }
}
