//! The characters of a body that is text: UTF-8, or UTF-16 in either order of its bytes, as its first bytes
//! say. A declaration that names another of these than the bytes are in is only a relay's oversight.
//!
//! Source: *Extensible Markup Language 1.0*, appendix F, and RFC 4627, section 3, which tell encodings alike.

use std::borrow::Cow;

use super::{Fault, NOT_UTF8};

/// How far into a text its declaration is looked for, in bytes.
const DECLARATION: usize = 256;

/// How long the name of an encoding is that an error shows, in bytes.
const MAX_NAME: usize = 40;

/// What XML calls the encodings that need no look at the declaration, and ASCII, which is UTF-8 too.
const READ: &[&str] = &[
    "utf-8",
    "utf8",
    "us-ascii",
    "ascii",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "unicode",
    "iso-10646-ucs-2",
];

/// A body as bytes of UTF-8, behind its byte order mark. Whether they are UTF-8 is not known yet.
#[derive(Debug)]
pub(super) struct Text<'a> {
    /// From UTF-16 a copy, at most half as large again as the body, up to what is no character.
    bytes: Cow<'a, [u8]>,
    /// What follows in the body is none.
    is_cut: bool,
    /// The bytes tell the encoding for sure, whatever is declared.
    is_sure: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        if let Some((order, body)) = utf16(body) {
            return Self::transcoded(order, body);
        }
        let marked = body.strip_prefix(b"\xef\xbb\xbf");
        Self {
            bytes: Cow::Borrowed(marked.unwrap_or(body)),
            is_cut: false,
            is_sure: marked.is_some(),
        }
    }

    /// What came as characters already.
    pub(super) fn of_string(text: &'a str) -> Self {
        Self {
            bytes: Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes()),
            is_cut: false,
            is_sure: true,
        }
    }

    fn transcoded(order: Order, body: &[u8]) -> Self {
        let (units, rest) = body.as_chunks();
        let mut text = String::with_capacity(units.len());
        // Padding of one byte is none of the characters.
        let mut is_cut = !matches!(rest, [] | [0 | b'\n']);
        for character in char::decode_utf16(units.iter().map(|unit| order(*unit))) {
            let Ok(character) = character else {
                is_cut = true;
                break;
            };
            text.push(character);
        }
        Self {
            bytes: Cow::Owned(text.into_bytes()),
            is_cut,
            is_sure: true,
        }
    }

    /// The bytes, for whoever tells where an error is.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes from the first that is not white space on.
    pub(super) fn beginning(&self) -> &[u8] {
        self.bytes.trim_ascii_start()
    }

    /// The characters; a fault where there are none, or where they are declared to be in an encoding that is
    /// not read and the bytes cannot tell.
    pub(super) fn read(&self) -> Result<&str, Fault> {
        if !self.is_sure {
            self.check_declaration()?;
        }
        let text = simdutf8::compat::from_utf8(&self.bytes)
            .map_err(|cause| Fault::new(cause.valid_up_to(), NOT_UTF8))?;
        match self.is_cut {
            true => Err(Fault::new(text.len(), "not UTF-16")),
            false => Ok(text),
        }
    }

    fn check_declaration(&self) -> Result<(), Fault> {
        let Some((offset, name)) = declared(&self.bytes) else {
            return Ok(());
        };
        let is_read = READ.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is_read || self.bytes.is_ascii() {
            return Ok(());
        }
        let is_name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b':');
        let name = match name.len() <= MAX_NAME && name.bytes().all(is_name) {
            true => name,
            false => "another encoding",
        };
        Err(Fault::new(
            offset,
            format!("declared to be in {name}, and only UTF-8 and UTF-16 are read"),
        ))
    }
}

/// True for a body in UTF-16.
pub(super) fn is_utf16(body: &[u8]) -> bool {
    utf16(body).is_some()
}

/// Makes a unit of UTF-16 of two bytes.
type Order = fn([u8; 2]) -> u16;

/// The order of the bytes of a body in UTF-16, and the body behind its mark. Without a mark it is one that
/// begins like JSON or XML.
fn utf16(body: &[u8]) -> Option<(Order, &[u8])> {
    let little: Order = u16::from_le_bytes;
    let big: Order = u16::from_be_bytes;
    match body {
        [0xff, 0xfe, rest @ ..] => return Some((little, rest)),
        [0xfe, 0xff, rest @ ..] => return Some((big, rest)),
        _ => {}
    }
    let begins = |order: &Order| {
        let units = body.as_chunks().0.iter().map(|unit| order(*unit));
        let mut units = units.skip_while(|unit| matches!(unit, 0x20 | 0x09 | 0x0a | 0x0d));
        matches!(units.next(), Some(0x7b | 0x5b | 0x3c))
    };
    let order = [little, big].into_iter().find(begins)?;
    Some((order, body))
}

/// The encoding that an XML declaration names, and where it stands.
fn declared(text: &[u8]) -> Option<(usize, &str)> {
    let beginning = text.len() - text.trim_ascii_start().len();
    let rest = text[beginning..].strip_prefix(b"<?xml")?;
    let rest = &rest[..rest.len().min(DECLARATION)];
    let end = rest.windows(2).position(|two| two == b"?>")?;
    let declaration = str::from_utf8(&rest[..end]).ok()?;
    let (before, after) = declaration.split_once("encoding")?;
    let value = after.trim_ascii_start().strip_prefix('=')?;
    let value = value.trim_ascii_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let name = value[1..].split(quote).next()?;
    let offset = beginning + 5 + before.len() + "encoding".len() + (after.len() - value.len()) + 1;
    Some((offset, name))
}

#[cfg(test)]
mod tests {
    use crate::context::WireFormat;
    use crate::decoder::{DecodeError, Hint, decode, decode_as};

    const JSON: &str = "{\"MessageName\":\"Update\",\n \"OrganizationName\":\"ä€😀\"}";
    const XML: &str = "<RemoteExecutionContext xmlns=\"http://schemas.microsoft.com/xrm/2011/Contracts\">\n\
        <MessageName>Update</MessageName><OrganizationName>ä€😀</OrganizationName></RemoteExecutionContext>";

    fn little(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn big(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    }

    fn error(body: &[u8]) -> DecodeError {
        decode(body, Hint::default()).unwrap_err()
    }

    #[test]
    fn utf_16_says_what_utf_8_says_with_and_without_a_mark() {
        for (text, format) in [(JSON, WireFormat::Json), (XML, WireFormat::Xml)] {
            let plain = decode(text.as_bytes(), Hint::default()).unwrap();
            let name = plain.context().organization_name();
            assert_eq!((plain.format, name), (format, Some("ä€😀")));
            for encode in [little, big] {
                for around in ["", "\u{feff}", " \r\n", "\u{feff}\t\n"] {
                    for padding in [&b""[..], b"\0", b"\0\0", b"\n"] {
                        let body = [&encode(&format!("{around}{text}")), padding].concat();
                        assert_eq!(decode(&body, Hint::default()).as_ref(), Ok(&plain));
                        assert_eq!(decode_as(format, &body).as_ref(), Ok(&plain));
                    }
                }
            }
        }
    }

    #[test]
    fn an_error_in_utf_16_names_the_line_and_the_character() {
        let broken = JSON.replace('}', "");
        let expected = "json at 2:26: the body ends where a comma or a closing bracket is expected";
        for body in [broken.clone().into_bytes(), little(&broken), big(&broken)] {
            assert_eq!(error(&body).to_string(), expected);
        }
        let marked = format!("\u{feff}{broken}");
        for body in [marked.clone().into_bytes(), little(&marked), big(&marked)] {
            assert_eq!(error(&body).to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_utf_16_is_refused_where_it_is_not() {
        let mut half = little(JSON);
        let at = half.len() - 4 - 4;
        half[at..at + 2].copy_from_slice(&0xd83d_u16.to_le_bytes());
        half[at + 2..at + 4].copy_from_slice(&0xd83d_u16.to_le_bytes());
        assert_eq!(error(&half).to_string(), "json at 2:24: not UTF-16");
        let mut odd = little(JSON);
        odd.push(b'x');
        assert_eq!(error(&odd).to_string(), "json at 2:27: not UTF-16");
        assert_eq!(
            error(b"\xff\xfe").to_string(),
            "unknown format at 1:1: the body is empty"
        );
        let text = error(&little("\u{feff}text")).to_string();
        assert!(
            text.starts_with("unknown format at 1:1: the body begins with 0x74"),
            "{text}"
        );
        // UTF-32 is read as UTF-16 with a zero in between.
        assert_eq!(error(b"\xff\xfe\0\0<\0\0\0").format, None);
    }

    #[test]
    fn the_bytes_win_over_a_declaration_and_what_they_cannot_tell_is_refused() {
        let declared = |name: &str| format!("<?xml version='1.0' encoding = '{name}' ?>{XML}");
        let plain = decode(XML.as_bytes(), Hint::default());
        for name in ["utf-8", "UTF-16", "utf-16BE", "Unicode", "us-ascii"] {
            let text = declared(name);
            for body in [text.clone().into_bytes(), little(&text), big(&text)] {
                assert_eq!(decode(&body, Hint::default()), plain, "{name}");
            }
        }
        let text = declared("ISO-8859-1");
        for body in [
            format!("\u{feff}{text}").into_bytes(),
            little(&text),
            big(&text),
        ] {
            assert_eq!(decode(&body, Hint::default()), plain);
        }
        let latin: Vec<u8> = text.chars().map(|c| u32::from(c) as u8).collect();
        let expected =
            "xml at 1:33: declared to be in ISO-8859-1, and only UTF-8 and UTF-16 are read";
        for body in [text.as_bytes(), &latin] {
            assert_eq!(error(body).to_string(), expected);
        }
        let ascii = text.replace("ä€😀", "a");
        assert!(decode(ascii.as_bytes(), Hint::default()).is_ok());
        let secret = declared("hunter2 is a password");
        let text = error(secret.as_bytes()).to_string();
        assert!(
            text.contains("declared to be in another encoding"),
            "{text}"
        );
    }
}
