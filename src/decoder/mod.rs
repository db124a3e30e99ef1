//! The bytes of an event as an execution context. Pure: no I/O, no clock, and nothing that a body can
//! say makes it panic.
//!
//! Dataverse posts `RemoteExecutionContext` as JSON (`DataContractJsonSerializer`), as text XML
//! (`DataContractSerializer`) or as the same XML in .NET's binary format. [`decode`] reads any of them into a
//! [`context`](crate::context); [`Decoder`] does so in another way than the usual one.
//!
//! | | |
//! |---|---|
//! | [`decode`], [`decode_as`] | a body within the usual limits, in whichever format or in a given one |
//! | [`Decoder`], [`Limits`] | the same with other limits; [`Decoder::read`] knows the events of others |
//! | [`Dictionary`] | what a binary body names by number, where the sender has strings of its own |
//! | [`Hint`] | what came with the body and may name its format |
//! | [`Decoded`] | the context, its format, and notes of what it cannot show |
//! | [`DecodeError`], [`Position`] | what is wrong with a body, and where |
//! | [`recognize`], [`unknown_in`] | for people who look into bodies: what told the format, what no contract declares |
//!
//! # Decode a body
//!
//! ```
//! use dataverse_listener::context::WireFormat;
//! use dataverse_listener::decoder::{Hint, decode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let body = br#"<RemoteExecutionContext xmlns="http://schemas.microsoft.com/xrm/2011/Contracts"
//!         xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
//!     <MessageName>Create</MessageName>
//!     <PrimaryEntityId>6420F0CC-916B-EE11-9AE6-000D3A688809</PrimaryEntityId>
//!     <PrimaryEntityName>account</PrimaryEntityName>
//! </RemoteExecutionContext>"#;
//! let decoded = decode(body, Hint::default())?;
//! assert_eq!(decoded.format, WireFormat::Xml);
//! assert!(decoded.notes.is_empty());
//!
//! let context = decoded.context();
//! assert_eq!(context.message_name(), Some("Create"));
//! assert_eq!(context.row_id(), Some("6420f0cc-916b-ee11-9ae6-000d3a688809"));
//! # Ok(())
//! # }
//! ```
//!
//! What a context says, column by column, is the matter of [`crate::context`].
//!
//! # Tell contexts and the events of others apart
//!
//! A hub may have events of others too. JSON that is not meant to be a context is kept as it is; a context that is
//! damaged stays an error.
//!
//! ```
//! use dataverse_listener::decoder::{Decoder, Hint, Outcome};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let decoder = Decoder::default();
//! let mut told = Vec::new();
//! for body in [
//!     r#"{"MessageName": "Update", "PrimaryEntityName": "account"}"#,
//!     r#"{"BusinessEventId": "InvoicePosted", "Amount": 12.50}"#,
//!     r#"{"MessageName": "Update", "PrimaryEntityName": "acc"#,
//! ] {
//!     told.push(match decoder.read(body.as_bytes(), Hint::default()) {
//!         Ok(Outcome::Context(decoded)) => {
//!             let context = decoded.context();
//!             format!("{:?} of {:?}", context.message_name(), context.primary_entity_name())
//!         }
//!         Ok(Outcome::Foreign(foreign)) => foreign.json.get().to_owned(),
//!         Err(error) => error.to_string(),
//!     });
//! }
//! assert_eq!(told, [
//!     r#"Some("Update") of Some("account")"#,
//!     r#"{"BusinessEventId":"InvoicePosted","Amount":12.50}"#,
//!     "json at 1:52: the body ends within a string",
//! ]);
//! # Ok(())
//! # }
//! ```
//!
//! # Bound what a body may cost
//!
//! ```
//! use dataverse_listener::decoder::{Decoder, Hint, Limits};
//!
//! # fn main() {
//! let decoder = Decoder {
//!     limits: Limits { nesting: 8, ..Limits::default() },
//!     ..Decoder::default()
//! };
//! let body = format!(r#"{{"MessageName": "Update", "Deep": {}0{}}}"#, "[".repeat(20), "]".repeat(20));
//! let told = decoder.decode(body.as_bytes(), Hint::default()).map_err(|error| error.to_string());
//! let Err(reason) = told else { panic!("{told:?}") };
//! assert_eq!(reason, "json at 1:42: nested deeper than 8 levels (decode.max_nesting)");
//! # }
//! ```
//!
//! # What is guaranteed
//!
//! - **No body makes it panic**, run without end, or take more memory than its [`Limits`] allow: they bound bytes,
//!   nesting, values, and the memory of what is made. The work grows with the size of the body.
//! - **Nothing is lost or invented.** Members, keys and items keep their order, unknown members and types are kept,
//!   numbers and decimals keep their digits. What is only unexpected, such as a repeated key or a text that is not of
//!   its type, is kept as well as it can be, with a [`Note`] where the context cannot show it.
//! - **All formats give the same context**, as far as they can carry it.
//! - **Errors hold no record data**, and so may go to a log. A note names members; a key in it may be data.
//! - **Pure.** The same body gives the same context, on any thread, with no I/O, no clock and no state.
//!
//! # How it is made
//!
//! A format is a file here and a line in the table of formats.
//!
//! Sources: *Stand-Alone JSON Serialization* and *Data Contract Serializer* (Microsoft Learn, .NET);
//! \[MC-NBFX\], *.NET Binary Format: XML Data Structure*; \[MC-NBFS\], *.NET Binary Format: SOAP Data Structure*,
//! for the strings that have numbers; *Work with event data in your Azure Event Hubs solution* (Microsoft Learn) for
//! what Dataverse posts.

mod binary;
mod contract;
mod date;
mod dictionary;
mod draft;
mod elements;
mod encoding;
mod foreign;
mod json;
mod limits;
mod recognition;
mod scalar;
mod unknown;
mod xml;

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

pub use dictionary::Dictionary;
pub use limits::Limits;
pub use recognition::{Encoding, Recognition, ToldBy, recognize};
pub use unknown::{Unknown, UnknownType, unknown_in};

use self::draft::{Draft, Fault, NOT_UTF8, Notes};
use self::encoding::Text;
use crate::context::{Document, ExecutionContext, Expected, Note, Tape, WireFormat};

/// What came with a body and may name its format. A label that the first bytes of the body contradict does not
/// count, so a wrong one does no harm; [`Hint::default`] is "nothing came with it".
///
/// Source: *Work with event data in your Azure Event Hubs solution* (Microsoft Learn), for the property.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hint<'a> {
    /// The AMQP property `content-type`.
    pub content_type: Option<&'a str>,
    /// The application property `ContentType`, which is the one that Dataverse sets.
    pub property: Option<&'a str>,
}

/// A body that was understood. It owns all that its [context](Decoded::context) shows, and the body is not needed
/// any more.
///
/// Two are equal where their formats, notes and contexts are.
#[derive(Debug, Clone)]
pub struct Decoded {
    tape: Tape,
    /// The format it was in.
    pub format: WireFormat,
    /// What the context cannot show as it was. Names members, never values, but a key may be data.
    pub notes: Vec<Note>,
}

impl PartialEq for Decoded {
    fn eq(&self, other: &Self) -> bool {
        (self.format, &self.notes, self.context()) == (other.format, &other.notes, other.context())
    }
}

impl Decoded {
    /// What it says.
    pub fn context(&self) -> ExecutionContext<'_> {
        ExecutionContext::of(&self.tape)
    }

    /// How many bytes of memory it takes, about: the measure of [`Limits::expansion`].
    pub fn memory(&self) -> usize {
        let notes = self
            .notes
            .iter()
            .map(|note| note.path.len() + note.text.len());
        self.tape.memory() + notes.sum::<usize>()
    }

    /// The context document, to be [serialized](serde::Serialize). `flagged` tells whether the message property `MessageMaxSizeExceeded` was
    /// set; a context that looks cut counts as truncated without it.
    pub fn document(&self, flagged: bool) -> Document<'_> {
        let context = self.context();
        Document {
            context,
            format: self.format,
            truncated: flagged || context.is_truncated(),
            notes: &self.notes,
        }
    }
}

/// What a body is: what [`Decoder::read`] tells apart.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// An execution context.
    Context(Decoded),
    /// Somebody else's event.
    Foreign(Foreign),
}

/// A body that is sound JSON, an object or an array, and not meant to be an execution context.
///
/// Meant to be one is an object with the member `MessageName`, with the `__type` of a `RemoteExecutionContext`, or
/// with two of the members that hardly anything else has, such as `InputParameters` and `OrganizationId`: where it
/// cannot be decoded it is damaged.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// The JSON: every name, number, string and repeated member as it came. Only the white space between values
    /// is left out, so that it is on one line, and half a surrogate pair is U+FFFD.
    pub json: Box<RawValue>,
    /// The format it was in: JSON, or the binary one where that held it as a string.
    pub format: WireFormat,
}

/// Why a body is no execution context. The sender must act; the text never holds record data.
///
/// # Examples
///
/// ```
/// use dataverse_listener::context::WireFormat;
/// use dataverse_listener::decoder::{Hint, Position, decode};
///
/// # fn main() {
/// let body = b"{\n  \"MessageName\": \"Update\",\n  \"InputParameters\": [1]\n}";
/// let Err(error) = decode(body, Hint::default()) else { panic!("decoded") };
/// assert_eq!(error.format, Some(WireFormat::Json));
/// assert_eq!(error.at, Position::Text { line: 3, column: 23 });
/// assert_eq!(error.to_string(), "json at 3:23: a key/value pair is expected");
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} at {at}: {reason}", .format.map_or("unknown format", WireFormat::as_str))]
pub struct DecodeError {
    /// The format it was read as; `None` where it is none of them.
    pub format: Option<WireFormat>,
    /// Where reading ended.
    pub at: Position,
    /// What is wrong there, as a fragment.
    pub reason: Cow<'static, str>,
}

/// A place in a body, counted from 1; of UTF-16 in its text, without the byte order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// In text.
    Text {
        /// The line.
        line: usize,
        /// The character in the line.
        column: usize,
    },
    /// The byte, in a binary body.
    Byte(usize),
}

impl Position {
    fn new(body: &[u8], offset: usize) -> Self {
        let before = &body[..offset.min(body.len())];
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        Self::Text {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: 1 + String::from_utf8_lossy(&before[line_start..])
                .chars()
                .count(),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(f, "{line}:{column}"),
            Self::Byte(place) => write!(f, "byte {place}"),
        }
    }
}

/// Decodes a body within the default [`Limits`]; see [`Decoder::decode`].
///
/// # Errors
/// As [`Decoder::decode`].
///
/// # Examples
///
/// ```
/// use dataverse_listener::decoder::{Hint, decode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hint = Hint { property: Some("application/json"), ..Hint::default() };
/// let decoded = decode(br#"{"MessageName": "WhoAmI", "Depth": 1}"#, hint)?;
/// assert_eq!(decoded.context().depth(), Some(1));
/// # Ok(())
/// # }
/// ```
pub fn decode(body: &[u8], hint: Hint<'_>) -> Result<Decoded, DecodeError> {
    Decoder::default().decode(body, hint)
}

/// Decodes a body in the given format, whatever its first bytes say, within the default [`Limits`].
///
/// # Errors
/// As [`Decoder::decode`]; a body in another format is damaged then.
///
/// # Examples
///
/// ```
/// use dataverse_listener::context::WireFormat;
/// use dataverse_listener::decoder::decode_as;
///
/// let body = br#"{"MessageName": "WhoAmI"}"#;
/// assert!(decode_as(WireFormat::Json, body).is_ok());
/// assert!(decode_as(WireFormat::Xml, body).is_err());
/// ```
pub fn decode_as(format: WireFormat, body: &[u8]) -> Result<Decoded, DecodeError> {
    let decoder = Decoder {
        format: Some(format),
        ..Decoder::default()
    };
    decoder.decode(body, Hint::default())
}

/// How bodies are decoded, where that is not as usual.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoder {
    /// What each body may cost.
    pub limits: Limits,
    /// The format of every body, whatever its first bytes say; without it each is looked at.
    pub format: Option<WireFormat>,
    /// The strings that binary bodies name by number, where their sender has others than \[MC-NBFS\]. Dataverse
    /// has none.
    pub dictionary: Option<Dictionary>,
}

impl Decoder {
    /// Decodes a body in the format that its label names and its first bytes confirm; where they
    /// contradict, the bytes are right.
    ///
    /// # Errors
    /// Where the body is in none of the formats, is damaged, exceeds a limit, or is no execution context.
    /// What is only unexpected is kept, with a note where the document cannot show it.
    pub fn decode(&self, body: &[u8], hint: Hint<'_>) -> Result<Decoded, DecodeError> {
        // More than that is not looked at.
        let text = Text::new(&body[..body.len().min(self.limits.size)]);
        match self.choose(text.beginning(), hint) {
            Some(format) => format.decode(body, &text, self),
            None => Err(unknown(&text)),
        }
    }

    /// Tells contexts and the events of others apart; see [`Decoder::decode`] and [`Foreign`]. Of the limits, those
    /// of size and nesting count for the events of others too.
    ///
    /// # Errors
    /// Where the body is neither.
    pub fn read(&self, body: &[u8], hint: Hint<'_>) -> Result<Outcome, DecodeError> {
        let error = match self.decode(body, hint) {
            Ok(decoded) => return Ok(Outcome::Context(decoded)),
            Err(error) => error,
        };
        let Some(format) = error
            .format
            .filter(|_| self.limits.size(body.len()).is_ok())
        else {
            return Err(error);
        };
        let read = match format {
            WireFormat::Json => Text::new(body).read().ok().map(|text| {
                let text = text.trim_end_matches(is_padding);
                foreign::read(text, self.limits)
            }),
            WireFormat::Binary => {
                let bytes = without_mark(body).trim_ascii_start();
                let string = binary::string(bytes, self.limits, self.dictionary.as_ref());
                let string = string.ok().flatten();
                string.map(|(text, _)| foreign::read(&text, self.limits))
            }
            WireFormat::Xml => None,
        };
        match read {
            Some(Ok(Some(json))) => Ok(Outcome::Foreign(Foreign { json, format })),
            Some(Err(reason)) => Err(DecodeError { reason, ..error }),
            Some(Ok(None)) | None => Err(error),
        }
    }

    /// The format to read a body in that begins like `text`.
    fn choose(&self, text: &[u8], hint: Hint<'_>) -> Option<&'static Format> {
        if let Some(wanted) = self.format {
            return FORMATS.iter().find(|known| known.wire == wanted);
        }
        recognition::choose(text, hint, self.dictionary.as_ref()).0
    }
}

/// A format: how it is named, how it begins, how it is read.
struct Format {
    wire: WireFormat,
    /// What a media type ends with, after its `/` or `+`.
    subtype: &'static str,
    /// Whether a body, from its first meaningful byte on, begins like one in this format.
    recognizes: fn(&[u8]) -> bool,
    read: Read,
    /// How many bytes of a body have one value, and how many one byte of text: a little fewer than they are as a rule, since
    /// room that is not used costs less than to move to where there is more, as long as it is not twice too much.
    density: (usize, usize),
}

/// How the bodies of a format are read.
enum Read {
    Text(fn(&str, &mut Draft) -> Result<(), Fault>),
    Bytes(fn(&[u8], &mut Draft) -> Result<(), Fault>),
}

const FORMATS: &[Format] = &[
    Format {
        wire: WireFormat::Json,
        subtype: "json",
        recognizes: |body| matches!(body.first(), Some(b'{' | b'[')),
        read: Read::Text(json::read),
        density: (36, 4),
    },
    Format {
        wire: WireFormat::Xml,
        subtype: "xml",
        recognizes: |body| body.first() == Some(&b'<'),
        read: Read::Text(xml::read),
        density: (64, 8),
    },
    Format {
        wire: WireFormat::Binary,
        subtype: "msbin1",
        recognizes: binary::recognizes,
        read: Read::Bytes(binary::read),
        density: (45, 6),
    },
];

impl Format {
    fn is_named(&self, label: &str) -> bool {
        let media_type = label.split(';').next().unwrap_or_default().trim();
        let subtype = media_type.rsplit(['/', '+']).next().unwrap_or_default();
        subtype.eq_ignore_ascii_case(self.subtype)
    }

    fn recognizes(&self, beginning: &[u8]) -> bool {
        (self.recognizes)(beginning)
    }

    /// What a body of this length holds as a rule.
    fn expected(&self, body: &[u8]) -> Expected {
        let (value, text) = self.density;
        Expected {
            values: 8 + body.len() / value,
            texts: body.len() / text,
        }
    }

    /// Reads a body, which is also given as text.
    fn decode(
        &self,
        body: &[u8],
        text: &Text<'_>,
        decoder: &Decoder,
    ) -> Result<Decoded, DecodeError> {
        let bytes = without_mark(body).trim_ascii_start();
        let read = || {
            let allowed = decoder.limits.size(body.len());
            allowed.map_err(|reason| Fault::new(0, reason))?;
            let mut draft = Draft::new(self.expected(body), decoder);
            match self.read {
                // Relays end bodies with padding.
                Read::Text(read) => read(text.read()?.trim_end_matches(is_padding), &mut draft)?,
                Read::Bytes(read) => read(bytes, &mut draft)?,
            }
            draft.finish()
        };
        match read() {
            Ok((tape, notes)) => Ok(Decoded {
                tape,
                format: self.wire,
                notes,
            }),
            Err(fault) => {
                let (offset, reason) = fault.into_parts();
                Err(DecodeError {
                    format: Some(self.wire),
                    at: match self.read {
                        Read::Text(_) => Position::new(text.bytes(), offset),
                        Read::Bytes(_) => Position::Byte(1 + body.len() - bytes.len() + offset),
                    },
                    reason,
                })
            }
        }
    }
}

/// Reads a context that another format holds as a string; an error says what is wrong with it.
fn read_string(text: &str, draft: &mut Draft) -> Result<(), Cow<'static, str>> {
    let body = Text::of_string(text);
    let mut formats = FORMATS.iter();
    let format = formats.find_map(|format| match format.read {
        Read::Text(read) if format.recognizes(body.beginning()) => Some((format.wire, read)),
        _ => None,
    });
    let Some((wire, read)) = format else {
        return Err("the string in it is neither JSON nor XML".into());
    };
    let text = body.read().map(|text| text.trim_end_matches(is_padding));
    text.and_then(|text| read(text, draft)).map_err(|fault| {
        let (offset, reason) = fault.into_parts();
        let at = Position::new(body.bytes(), offset);
        format!("in the string that it holds, {wire} at {at}: {reason}").into()
    })
}

fn unknown(text: &Text<'_>) -> DecodeError {
    let beginning = text.beginning();
    let reason = match beginning.first() {
        None => "the body is empty".into(),
        Some(first) => {
            let advice = binary::advice(beginning).map(|advice| format!("; {advice}"));
            let advice = advice.unwrap_or_default();
            format!("the body begins with 0x{first:02x}, as neither JSON nor XML does{advice}")
                .into()
        }
    };
    DecodeError {
        format: None,
        at: Position::new(text.bytes(), text.bytes().len() - beginning.len()),
        reason,
    }
}

fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Relays end bodies with line breaks or, from C, with zeros.
fn is_padding(end: char) -> bool {
    end.is_ascii_whitespace() || end == '\0'
}

#[cfg(test)]
mod tests;
