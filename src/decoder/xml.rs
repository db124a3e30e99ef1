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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::context::{ExecutionContext, Expected};
    use crate::decoder::Decoder;

    #[test]
    fn what_the_plain_reader_reads_the_general_one_reads_alike() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus");
        let mut read = 0;
        for folder in ["features", "random", "odd"] {
            for entry in fs::read_dir(corpus.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                // What is in UTF-16 comes here as UTF-8.
                let Ok(text) = fs::read_to_string(&path) else {
                    continue;
                };
                if path.extension().is_none_or(|extension| extension != "xml") {
                    continue;
                }
                let mut plain = Draft::new(Expected::default(), &Decoder::default());
                if elements::read(plain::Plain::new(&text), &mut plain).is_err() {
                    continue;
                }
                let mut general = Draft::new(Expected::default(), &Decoder::default());
                elements::read(general::Xml::new(&text), &mut general).unwrap();
                let (plain, general) = (plain.finish().unwrap(), general.finish().unwrap());
                assert_eq!(plain.1, general.1, "{}", path.display());
                assert_eq!(
                    ExecutionContext::of(&plain.0),
                    ExecutionContext::of(&general.0),
                    "{}",
                    path.display()
                );
                read += 1;
            }
        }
        // All that the serializer wrote without a declaration.
        assert!(read > 120, "{read}");
    }
}
