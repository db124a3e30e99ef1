//! In which format a body is, and what told it.

use super::encoding::{self, Text};
use super::{Decoder, Dictionary, FORMATS, Format, Hint, Limits, Read, binary, without_mark};
use crate::context::WireFormat;

/// What a body is read as, and why: for whoever looks into bodies by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recognition<'a> {
    /// The format that [`super::decode`] reads it in; `None` where it is none of them.
    pub format: Option<WireFormat>,
    /// What told it.
    pub told_by: ToldBy<'a>,
    /// How it is written.
    pub encoding: Encoding,
    /// How many bytes it has.
    pub size: usize,
    /// The byte that it begins with, white space and a byte order mark passed over.
    pub first: Option<u8>,
}

/// What tells the format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldBy<'a> {
    /// A label, and the body begins so.
    Label(&'a str),
    /// A label alone: the body begins as none of the formats does.
    LabelAlone(&'a str),
    /// Its first bytes; nothing names a format.
    FirstBytes,
    /// Its first bytes, against a label that names another format.
    FirstBytesAgainst(&'a str),
    /// Nothing does.
    Nothing,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Text in UTF-8.
    Utf8 {
        /// True with a byte order mark before it.
        is_marked: bool,
    },
    /// Text in UTF-16.
    Utf16,
    /// No text.
    NotUtf8 {
        /// The byte, counted from 1, that is no UTF-8.
        byte: usize,
    },
    /// .NET's binary format for XML.
    Binary,
    /// The same with nothing but a string in it.
    StringInBinary {
        /// The format of that string, as it begins.
        format: Option<WireFormat>,
    },
}

/// Tells in which format [`super::decode`] reads a body, and why. It looks at the beginning and at the encoding: a
/// body that is recognized may be damaged all the same.
///
/// # Examples
///
/// ```
/// use dataverse_listener::context::WireFormat;
/// use dataverse_listener::decoder::{Encoding, Hint, ToldBy, recognize};
///
/// let mislabelled = Hint { property: Some("application/xml"), ..Hint::default() };
/// let found = recognize(br#"{"MessageName": "Update"}"#, mislabelled);
/// assert_eq!(found.format, Some(WireFormat::Json));
/// assert_eq!(found.told_by, ToldBy::FirstBytesAgainst("application/xml"));
/// assert_eq!(found.encoding, Encoding::Utf8 { is_marked: false });
/// ```
pub fn recognize<'a>(body: &[u8], hint: Hint<'a>) -> Recognition<'a> {
    Decoder::default().recognize(body, hint)
}

impl Decoder {
    /// Tells which format a body seems to have, with this dictionary, and why: see [`recognize`]. The encoding is
    /// that of the format that it is read in, which [`Decoder::format`] may name.
    pub fn recognize<'a>(&self, body: &[u8], hint: Hint<'a>) -> Recognition<'a> {
        let text = Text::new(body);
        let beginning = text.beginning();
        let own = self.dictionary.as_ref();
        let (format, told_by) = choose(beginning, hint, own);
        let format = format.map(|format| format.wire);
        let is_binary = self.format.or(format) == Some(WireFormat::Binary);
        Recognition {
            format,
            told_by,
            encoding: encoding(body, is_binary, own),
            size: body.len(),
            first: beginning.first().copied(),
        }
    }
}

/// The format of a body, given from its first meaningful byte on: that which its label names and its
/// first bytes confirm; where they contradict, the bytes are right.
pub(super) fn choose<'a>(
    text: &[u8],
    hint: Hint<'a>,
    own: Option<&Dictionary>,
) -> (Option<&'static Format>, ToldBy<'a>) {
    let recognizes = |format: &Format| {
        format.recognizes(text)
            || (format.is_binary() && own.is_some_and(|own| binary::is_named_in(text, own)))
    };
    let labelled = [hint.content_type, hint.property]
        .into_iter()
        .flatten()
        .find_map(|label| {
            let format = FORMATS.iter().find(|format| format.is_named(label))?;
            Some((format, label))
        });
    if let Some((format, label)) = labelled.filter(|(format, _)| recognizes(format)) {
        return (Some(format), ToldBy::Label(label));
    }
    let recognized = FORMATS.iter().find(|format| recognizes(format));
    match (recognized, labelled.filter(|_| !text.is_empty())) {
        (Some(format), Some((_, label))) => (Some(format), ToldBy::FirstBytesAgainst(label)),
        (Some(format), None) => (Some(format), ToldBy::FirstBytes),
        (None, Some((format, label))) => (Some(format), ToldBy::LabelAlone(label)),
        (None, None) => (None, ToldBy::Nothing),
    }
}

impl Format {
    fn is_binary(&self) -> bool {
        matches!(self.read, Read::Bytes(_))
    }
}

fn encoding(body: &[u8], is_binary: bool, own: Option<&Dictionary>) -> Encoding {
    if is_binary {
        let bytes = without_mark(body).trim_ascii_start();
        let string = binary::string(bytes, Limits::default(), own);
        return match string.ok().flatten() {
            None => Encoding::Binary,
            Some((text, _)) => Encoding::StringInBinary {
                format: FORMATS
                    .iter()
                    .find(|format| {
                        !format.is_binary() && format.recognizes(Text::of_string(&text).beginning())
                    })
                    .map(|format| format.wire),
            },
        };
    }
    if encoding::is_utf16(body) {
        return Encoding::Utf16;
    }
    let text = without_mark(body);
    match str::from_utf8(text) {
        Ok(_) => Encoding::Utf8 {
            is_marked: text.len() < body.len(),
        },
        Err(error) => Encoding::NotUtf8 {
            byte: body.len() - text.len() + error.valid_up_to() + 1,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &[u8] = b"{\"MessageName\":\"Update\"}";

    fn hint(label: &str) -> Hint<'_> {
        Hint {
            content_type: None,
            property: Some(label),
        }
    }

    #[test]
    fn what_told_the_format_is_told() {
        use ToldBy::*;
        let json = Some(WireFormat::Json);
        let xml = Some(WireFormat::Xml);
        for (body, label, format, told_by) in [
            (CONTEXT, "", json, FirstBytes),
            (CONTEXT, "application/json", json, Label("application/json")),
            (
                CONTEXT,
                "application/xml",
                json,
                FirstBytesAgainst("application/xml"),
            ),
            (b"?", "text/xml", xml, LabelAlone("text/xml")),
            (b"?", "text/plain", None, Nothing),
            (b"", "text/xml", None, Nothing),
        ] {
            let found = recognize(body, hint(label));
            assert_eq!((found.format, found.told_by), (format, told_by), "{label}");
        }
    }

    #[test]
    fn how_a_body_is_written_is_told() {
        let wrapped =
            b"@\x06string\x083http://schemas.microsoft.com/2003/10/Serialization/\x99\x07{\"a\":1}";
        for (body, encoding) in [
            (CONTEXT, Encoding::Utf8 { is_marked: false }),
            (b"\xef\xbb\xbf{}", Encoding::Utf8 { is_marked: true }),
            (b"{\0\"\0", Encoding::Utf16),
            (b"\xff\xfe{\0", Encoding::Utf16),
            (b"{\"\xff\"}", Encoding::NotUtf8 { byte: 3 }),
            (b"\x40\x16RemoteExecutionContext", Encoding::Binary),
            (
                wrapped,
                Encoding::StringInBinary {
                    format: Some(WireFormat::Json),
                },
            ),
        ] {
            assert_eq!(recognize(body, Hint::default()).encoding, encoding);
        }
    }
}
