//! The text of an element as the value that its type says it is, for the formats that write every
//! primitive as text.
//!
//! Source: the lexical forms of XML Schema as `XmlConvert` writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smol_str::{SmolStr, ToSmolStr};

use super::contract::Shape;
use super::{Notes, date};
use crate::context::{DateTime, Number, NumberKind, Value};

/// Reads a primitive. A text that is not of its type is kept as a string, with a note: the rest of the
/// event is worth more than the strictness.
pub(super) fn read(text: String, shape: Shape, notes: &mut Notes) -> Value {
    let value = match shape {
        Shape::Guid => guid(&text).map(Value::Guid),
        Shape::Bool => boolean(text.trim()).map(Value::Bool),
        Shape::Number(kind) => number(text.trim(), kind).map(Value::Number),
        Shape::DateTime => DateTime::new(text.trim()).map(Value::DateTime),
        Shape::Created => date::created_from_text(text.trim()).map(Value::DateTime),
        Shape::Bytes => bytes(&text).map(Value::Bytes),
        Shape::Char => character(text.trim()).map(Value::String),
        _ => return Value::String(text.into()),
    };
    value.unwrap_or_else(|| unlike(text.into(), shape, notes))
}

/// A text in lower case if it is a guid.
pub(super) fn guid(text: &str) -> Option<String> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let has_hyphens = [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-');
    let digits = bytes.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    let is_guid = has_hyphens && digits == 32;
    is_guid.then(|| text.to_ascii_lowercase())
}

/// Keeps a text that is not what its type says.
pub(super) fn unlike(text: SmolStr, shape: Shape, notes: &mut Notes) -> Value {
    notes.add(format!("not a {}, kept as text", name(shape)));
    Value::String(text)
}

fn name(shape: Shape) -> &'static str {
    match shape {
        Shape::Guid => "guid",
        Shape::Bool => "boolean",
        Shape::Number(NumberKind::Integer) => "whole number",
        Shape::Number(_) => "number",
        Shape::DateTime | Shape::Created => "date and time",
        Shape::Bytes => "base64 text",
        Shape::Char => "character code",
        _ => "value of its type",
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn number(text: &str, kind: NumberKind) -> Option<Number> {
    let number = Number::new(text, kind)?;
    let is_whole = || {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    (kind != NumberKind::Integer || is_whole()).then_some(number)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.contains(|c: char| c.is_ascii_whitespace()) {
        let packed: String = text.split_ascii_whitespace().collect();
        return STANDARD.decode(packed).ok();
    }
    STANDARD.decode(text).ok()
}

/// A character from its UTF-16 code; half a surrogate pair is no character and shows as U+FFFD.
fn character(text: &str) -> Option<SmolStr> {
    let code: u16 = text.parse().ok()?;
    Some(
        char::from_u32(code.into())
            .unwrap_or(char::REPLACEMENT_CHARACTER)
            .to_smolstr(),
    )
}
