//! Text XML as a stream of elements and text.
//!
//! What the serializer writes is read by [`plain`], which knows no more of XML than that takes; whatever that does
//! not read is read once more by [`general`], which knows all of it and tells what is wrong.
//!
//! Source: *Namespaces in XML 1.0*. Tolerant as the .NET reader is: references to characters that XML
//! forbids are taken. Strict as it is by default: no document type declaration, no entity but the
//! predefined five.

mod general;
mod plain;

use super::{Draft, Fault, elements};

/// Reads a body.
pub(super) fn read(text: &str, draft: &mut Draft) -> Result<(), Fault> {
    if elements::read(plain::Plain::new(text), draft).is_ok() {
        return Ok(());
    }
    draft.clear();
    elements::read(general::Xml::new(text), draft)
}

/// The character that stands between `&` and `;`, or what is wrong with it.
fn character(name: &str) -> Result<char, &'static str> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        name => match name.strip_prefix('#') {
            Some(code) => coded(code),
            None => Err("an entity that is not predefined"),
        },
    }
}

fn coded(code: &str) -> Result<char, &'static str> {
    let (digits, radix) = match code.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (code, 10),
    };
    match u32::from_str_radix(digits, radix) {
        // Half a surrogate pair is no character.
        Ok(0xd800..=0xdfff) => Ok(char::REPLACEMENT_CHARACTER),
        Ok(code) => char::from_u32(code).ok_or("a character that Unicode does not have"),
        Err(_) => Err("a broken character reference"),
    }
}
