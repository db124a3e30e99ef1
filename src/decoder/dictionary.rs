//! The strings that a sender of .NET's binary format names by number, where they are its own.
//!
//! A body names a string by twice its place in the dictionary of the writer; an odd number is one of a session, which
//! a body that stands alone does not have. Source: `DictionaryString` of \[MC-NBFX\]; \[MC-NBFS\] for the strings
//! that are meant where nobody agreed on others, and \[MC-NBFSE\] for sessions.

use std::sync::Arc;

/// Strings that binary bodies name by their places, the first one by place 0: what was given as its
/// `XmlDictionary` to the writer of `XmlDictionaryWriter.CreateBinaryWriter`, in the order in which they were added
/// there. They are in place of those of \[MC-NBFS\].
///
/// A body that names its root by such a number is known for a binary one by this dictionary alone.
///
/// # Examples
///
/// ```
/// use dataverse_listener::decoder::{Decoder, Dictionary, Hint};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dictionary = Dictionary::from_lines(
///     "RemoteExecutionContext\nhttp://schemas.microsoft.com/xrm/2011/Contracts\n",
/// );
/// let decoder = Decoder { dictionary: Some(dictionary), ..Decoder::default() };
///
/// // An element with the name 0 in the namespace 1; in it an element with a name and a text.
/// let body = b"\x42\x00\x0a\x02\x40\x0bMessageName\x99\x06Create\x01";
/// let decoded = decoder.decode(body, Hint::default())?;
/// assert_eq!(decoded.context().message_name(), Some("Create"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dictionary(Arc<[Box<str>]>);

impl Dictionary {
    /// The strings in the lines of a text, one in each. Lines end with LF or CR LF, and the last one need not end.
    /// An empty line is the empty string, which has a number too. A byte order mark is none of them.
    pub fn from_lines(text: &str) -> Self {
        text.strip_prefix('\u{feff}')
            .unwrap_or(text)
            .lines()
            .collect()
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without a string.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The string at a place.
    pub(super) fn get(&self, place: usize) -> Option<&str> {
        self.0.get(place).map(|string| &**string)
    }
}

impl<S: Into<Box<str>>> FromIterator<S> for Dictionary {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        Self(strings.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::WireFormat;
    use crate::decoder::{Decoded, Decoder, Hint};

    #[test]
    fn each_line_is_a_string() {
        for (text, strings) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a\nb\n", &["a", "b"]),
            ("\u{feff}a\r\n\r\n b \r\n", &["a", "", " b "]),
            ("\n", &[""]),
        ] {
            let dictionary = Dictionary::from_lines(text);
            assert_eq!(dictionary, strings.iter().copied().collect(), "{text:?}");
            assert_eq!(dictionary.len(), strings.len(), "{text:?}");
        }
    }

    /// What a body is told that names its strings by numbers in these.
    fn with_strings(strings: &[&str], body: &[u8]) -> Result<Decoded, String> {
        let decoder = Decoder {
            dictionary: Some(strings.iter().copied().collect()),
            ..Decoder::default()
        };
        let told = decoder.decode(body, Hint::default());
        told.map_err(|error| error.to_string())
    }

    #[test]
    fn strings_of_the_sender_are_in_place_of_the_static_ones() {
        const XRM: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
        const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
        let strings = [
            "RemoteExecutionContext",
            XRM,
            "MessageName",
            "Create",
            "i",
            "nil",
            INSTANCE,
            "",
        ];
        let members: &[(&[u8], &str)] = &[
            // A name and a text by number; a prefix by letter, and an attribute by number.
            (b"\x42\x04\xab\x06", "Create"),
            (
                b"\x5e\x01x\x0b\x01i\x0c\x14\x0a\x86\x01\x42\x04\xab\x06",
                "Create",
            ),
            // The text is a list of texts by number; a text is the empty string of the dictionary.
            (b"\x42\x04\xa4\xaa\x06\xaa\x06\xa6\x01", "Create Create"),
            (b"\x42\x04\xab\x0e", ""),
        ];
        for (member, expected) in members {
            for head in [
                &b"\x42\x00\x0a\x02"[..],
                b"\x43\x01p\x00\x0b\x01p\x02\x0a\x02",
                b"\x53\x00\x0b\x01p\x02\x0a\x02",
            ] {
                let body = [head, member, &[0x01]].concat();
                let decoded = with_strings(&strings, &body);
                let decoded = decoded.unwrap_or_else(|error| panic!("{body:x?}: {error}"));
                assert_eq!(decoded.format, WireFormat::Binary);
                let name = decoded.context().message_name();
                assert_eq!(name, Some(*expected), "{body:x?}");
            }
        }
    }

    #[test]
    fn what_no_string_of_the_sender_is_is_told() {
        let context = "RemoteExecutionContext";
        for (strings, body, expected) in [
            (
                &[context][..],
                &b"\x42\x00\x0a\x02"[..],
                "binary at byte 5: string 1, counted from 0, of a dictionary that has 1 (decode.dictionary)",
            ),
            (
                &[context, "n"],
                b"\x42\x00\x0a\x02\x01",
                "binary at byte 5: no execution context: another root element",
            ),
            // Nothing tells that it is binary but a name that a body has.
            (
                &["Envelope"],
                b"\x42\x00\x01",
                "unknown format at 1:1: the body begins with 0x42, as neither JSON nor XML does; where the sender has a dictionary of its own, give its strings (decode.dictionary)",
            ),
            (
                &[context],
                b"\x42",
                "unknown format at 1:1: the body begins with 0x42, as neither JSON nor XML does",
            ),
            (
                &[context],
                b"Bonjour",
                "unknown format at 1:1: the body begins with 0x42, as neither JSON nor XML does",
            ),
            (
                &[context],
                b"\x43\x09p",
                "unknown format at 1:1: the body begins with 0x43, as neither JSON nor XML does",
            ),
            (
                &[context],
                b"\x42\x01\x01",
                "unknown format at 1:1: the body begins with 0x42, as neither JSON nor XML does; where the sender has a dictionary of its own, give its strings (decode.dictionary)",
            ),
        ] {
            assert_eq!(
                with_strings(strings, body),
                Err(expected.to_owned()),
                "{body:x?}"
            );
        }
    }

    #[test]
    fn a_string_that_is_named_by_the_numbers_of_the_sender_is_read_as_what_it_holds() {
        let strings = [
            "string",
            "http://schemas.microsoft.com/2003/10/Serialization/",
        ];
        let text = r#"{"MessageName":"Create"}"#;
        let body = [b"\x42\x00\x0a\x02\x99\x18", text.as_bytes()].concat();
        let decoded = with_strings(&strings, &body).unwrap();
        assert_eq!(decoded.context().message_name(), Some("Create"));
    }
}
