//! The text of an element as the value that its type says it is, for the formats that write every
//! primitive as text.
//!
//! Source: the lexical forms of XML Schema as `XmlConvert` writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::contract::Shape;
use super::{Draft, Notes, date};
use crate::context::{NumberKind, Slot, Span, is_date_time, is_number};

/// Reads a primitive. A text that is not of its type is kept as a string, with a note: the rest of the
/// event is worth more than the strictness.
pub(super) fn read(text: &[u8], shape: Shape, draft: &mut Draft) -> Slot {
    let values = &mut draft.values;
    let slot = match shape {
        Shape::Guid => is_guid(text).then(|| {
            let span = values.text(text);
            values.lowercase(span);
            Slot::Guid(span)
        }),
        Shape::Bool => boolean(text.trim_ascii()).map(Slot::Bool),
        Shape::Number(kind) => {
            let text = text.trim_ascii();
            is_of_kind(text, kind).then(|| Slot::Number(kind, values.text(text)))
        }
        Shape::DateTime => {
            let text = text.trim_ascii();
            is_date_time(text).then(|| Slot::DateTime(values.text(text)))
        }
        Shape::Created => {
            let date = date::created_from_text(text.trim_ascii());
            date.map(|date| Slot::DateTime(values.text(date.as_bytes())))
        }
        Shape::Bytes => bytes(text, draft).map(Slot::Bytes),
        Shape::Char => character(text.trim_ascii()).map(|character| {
            let mut text = [0; 4];
            Slot::String(values.text(character.encode_utf8(&mut text).as_bytes()))
        }),
        _ => return Slot::String(values.text(text)),
    };
    slot.unwrap_or_else(|| {
        unlike(shape, &mut draft.notes);
        Slot::String(draft.values.text(text))
    })
}

/// True for the text of a guid.
pub(super) fn is_guid(text: &[u8]) -> bool {
    let Ok(bytes): Result<&[u8; 36], _> = text.try_into() else {
        return false;
    };
    // Without a way out of the loop it is done on many bytes at once.
    let places = bytes.iter().zip(IS_HYPHEN);
    places.fold(true, |is_guid, (byte, is_hyphen)| {
        let is_digit = byte.wrapping_sub(b'0') < 10 || (byte | 0x20).wrapping_sub(b'a') < 6;
        is_guid & if is_hyphen { *byte == b'-' } else { is_digit }
    })
}

/// Where a guid has its hyphens.
const IS_HYPHEN: [bool; 36] = {
    let mut places = [false; 36];
    places[8] = true;
    places[13] = true;
    places[18] = true;
    places[23] = true;
    places
};

/// Notes that a text is not what its type says.
pub(super) fn unlike(shape: Shape, notes: &mut Notes) {
    notes.add(format!("not a {}, kept as text", name(shape)));
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

fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"1" => Some(true),
        b"false" | b"0" => Some(false),
        _ => None,
    }
}

fn is_of_kind(text: &[u8], kind: NumberKind) -> bool {
    let is_whole = || {
        text.iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'-')
    };
    is_number(text) && (kind != NumberKind::Integer || is_whole())
}

fn bytes(text: &[u8], draft: &mut Draft) -> Option<Span> {
    let packed: Vec<u8>;
    let text = if text.iter().any(u8::is_ascii_whitespace) {
        let kept = text.iter().filter(|byte| !byte.is_ascii_whitespace());
        packed = kept.copied().collect();
        &packed
    } else {
        text
    };
    let values = &mut draft.values;
    values.bytes(|bytes| STANDARD.decode_vec(text, bytes).ok())
}

/// A character from its UTF-16 code; half a surrogate pair is no character and shows as U+FFFD.
fn character(text: &[u8]) -> Option<char> {
    let code: u16 = str::from_utf8(text).ok()?.parse().ok()?;
    Some(char::from_u32(code.into()).unwrap_or(char::REPLACEMENT_CHARACTER))
}
