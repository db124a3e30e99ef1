//! The bytes of an event as an execution context. Pure: no I/O, no clock, and nothing that a body can
//! say makes it panic.
//!
//! Dataverse posts `RemoteExecutionContext` as JSON (`DataContractJsonSerializer`), as text XML
//! (`DataContractSerializer`) or as the same XML in .NET's binary format. A format is a file here and a
//! line in the table of formats.

mod binary;
mod contract;
mod date;
mod elements;
mod json;
mod scalar;
mod xml;

use std::borrow::Cow;
use std::fmt;

use crate::context::{Bag, Document, ExecutionContext, Note, Value, WireFormat};

/// How deep values may lie in one another. Sixty parents and two hundred nested arrays, the deepest
/// that the serializers were seen to write, fit; a thread with 2 MiB of stack bears it in a debug build.
pub const MAX_DEPTH: usize = 256;

/// How many notes are kept: a body of repeated keys must not grow without end.
const MAX_NOTES: usize = 20;

/// How many bytes of a path and how many characters of a key a note shows: both are the sender's.
const MAX_NOTE_PATH: usize = 512;
const MAX_NOTE_NAME: usize = 64;

/// What came with a body and may name its format.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hint<'a> {
    /// The AMQP property `content-type`.
    pub content_type: Option<&'a str>,
    /// The application property `ContentType`, which is the one that Dataverse sets.
    pub property: Option<&'a str>,
}

/// A body that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// What it says.
    pub context: ExecutionContext,
    /// The format it was in.
    pub format: WireFormat,
    /// What the context cannot show as it was. Names members, never values, but a key may be data.
    pub notes: Vec<Note>,
}

impl Decoded {
    /// The context document. `flagged` tells whether the message property `MessageMaxSizeExceeded` was
    /// set; a context that looks cut counts as truncated without it.
    pub fn document(&self, flagged: bool) -> Document<'_> {
        Document {
            context: &self.context,
            format: self.format,
            truncated: flagged || self.context.is_truncated(),
            notes: &self.notes,
        }
    }
}

/// Why a body is no execution context. The sender must act; the text never holds record data.
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

/// A place in a body, counted from 1.
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

/// Decodes a body in the format that its label names and its first bytes confirm; where they
/// contradict, the bytes are right.
///
/// Fails where the body is in none of the formats, is damaged, nests deeper than [`MAX_DEPTH`], or is no
/// execution context. What is only unexpected is kept, with a note where the document cannot show it.
pub fn decode(body: &[u8], hint: Hint<'_>) -> Result<Decoded, DecodeError> {
    let text = trimmed(body);
    let labelled = [hint.content_type, hint.property]
        .into_iter()
        .flatten()
        .find_map(|label| FORMATS.iter().find(|format| format.is_named(label)));
    let confirmed = labelled.filter(|format| format.recognizes(text));
    let format = confirmed
        .or_else(|| FORMATS.iter().find(|format| format.recognizes(text)))
        .or_else(|| labelled.filter(|_| !text.is_empty()));
    match format {
        Some(format) => format.decode(body),
        None => Err(unknown(body, text)),
    }
}

/// Decodes a body in the given format, whatever its first bytes say.
pub fn decode_as(format: WireFormat, body: &[u8]) -> Result<Decoded, DecodeError> {
    match FORMATS.iter().find(|known| known.wire == format) {
        Some(format) => format.decode(body),
        None => Err(unknown(body, body)),
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
}

/// How the bodies of a format are read.
enum Read {
    Text(fn(&str, &mut Notes) -> Result<ExecutionContext, Fault>),
    Bytes(fn(&[u8], &mut Notes) -> Result<ExecutionContext, Fault>),
}

const FORMATS: &[Format] = &[
    Format {
        wire: WireFormat::Json,
        subtype: "json",
        recognizes: |body| body.first() == Some(&b'{'),
        read: Read::Text(json::read),
    },
    Format {
        wire: WireFormat::Xml,
        subtype: "xml",
        recognizes: |body| body.first() == Some(&b'<'),
        read: Read::Text(xml::read),
    },
    Format {
        wire: WireFormat::Binary,
        subtype: "msbin1",
        recognizes: binary::recognizes,
        read: Read::Bytes(binary::read),
    },
];

impl Format {
    fn is_named(&self, label: &str) -> bool {
        let media_type = label.split(';').next().unwrap_or_default().trim();
        let subtype = media_type.rsplit(['/', '+']).next().unwrap_or_default();
        subtype.eq_ignore_ascii_case(self.subtype)
    }

    fn recognizes(&self, text: &[u8]) -> bool {
        (self.recognizes)(text)
    }

    fn decode(&self, body: &[u8]) -> Result<Decoded, DecodeError> {
        let mut notes = Notes::default();
        let meaningful = match self.read {
            Read::Text(_) => without_mark(body),
            Read::Bytes(_) => trimmed(body),
        };
        let base = body.len() - meaningful.len();
        let context = match self.read {
            Read::Text(read) => text(meaningful).and_then(|text| read(text, &mut notes)),
            Read::Bytes(read) => read(meaningful, &mut notes),
        };
        let context = context.and_then(|context| {
            let is_named = context.members().get("MessageName").is_some();
            is_named.then_some(context).ok_or_else(|| Fault {
                offset: 0,
                reason: "no execution context: MessageName is missing".into(),
            })
        });
        match context {
            Ok(context) => Ok(Decoded {
                context,
                format: self.wire,
                notes: notes.list,
            }),
            Err(Fault { offset, reason }) => Err(DecodeError {
                format: Some(self.wire),
                at: match self.read {
                    Read::Text(_) => Position::new(body, base + offset),
                    Read::Bytes(_) => Position::Byte(1 + base + offset),
                },
                reason,
            }),
        }
    }
}

/// A body as text, without the padding at its end.
fn text(body: &[u8]) -> Result<&str, Fault> {
    let text = str::from_utf8(body).map_err(|cause| Fault {
        offset: cause.valid_up_to(),
        reason: "not UTF-8".into(),
    })?;
    Ok(text.trim_end_matches(is_padding))
}

/// Reads a context that another format holds as a string; an error says what is wrong with it.
fn read_string(text: &str, notes: &mut Notes) -> Result<ExecutionContext, Cow<'static, str>> {
    let body = text.as_bytes();
    let mut formats = FORMATS
        .iter()
        .filter(|format| matches!(format.read, Read::Text(_)));
    let Some(format) = formats.find(|format| format.recognizes(trimmed(body))) else {
        return Err("the string in it is neither JSON nor XML".into());
    };
    let decoded = format
        .decode(body)
        .map_err(|error| format!("in the string that it holds, {error}"))?;
    *notes = Notes {
        list: decoded.notes,
    };
    Ok(decoded.context)
}

fn unknown(body: &[u8], text: &[u8]) -> DecodeError {
    let reason = match text.first() {
        None => "the body is empty".into(),
        Some(first) => {
            format!("the body begins with 0x{first:02x}, as neither JSON nor XML does").into()
        }
    };
    DecodeError {
        format: None,
        at: Position::new(body, body.len() - text.len()),
        reason,
    }
}

/// A body from its first meaningful byte on.
fn trimmed(body: &[u8]) -> &[u8] {
    without_mark(body).trim_ascii_start()
}

fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Relays end bodies with line breaks or, from C, with zeros.
fn is_padding(end: char) -> bool {
    end.is_ascii_whitespace() || end == '\0'
}

/// What stops a reader, with the offset into the text.
#[derive(Debug)]
struct Fault {
    offset: usize,
    reason: Cow<'static, str>,
}

/// The notes on one body. A path grows on the way out, so that it costs nothing while there is nothing
/// to say.
#[derive(Debug, Default)]
struct Notes {
    list: Vec<Note>,
}

impl Notes {
    fn add(&mut self, text: impl Into<String>) {
        if self.list.len() < MAX_NOTES {
            self.list.push(Note {
                path: String::new(),
                text: text.into(),
            });
        }
    }

    fn repeated(&mut self, kind: &str, name: &str) {
        let name = shortened(name);
        self.add(format!(
            "the {kind} {name:?} came again, the last value is kept"
        ));
    }

    /// Says that the notes after the first `count` lie in the item `place`.
    fn within_item(&mut self, count: usize, place: usize) {
        if self.list.len() > count {
            self.within(count, &format!("[{place}]"));
        }
    }

    /// Says that the notes after the first `count` lie in the member, key or item `name`.
    fn within(&mut self, count: usize, name: &str) {
        for note in self.list.iter_mut().skip(count) {
            let separator = match note.path.as_bytes().first() {
                None | Some(b'[') => "",
                Some(_) => ".",
            };
            if note.path.len() < MAX_NOTE_PATH {
                note.path = format!("{}{separator}{}", shortened(name), note.path);
            }
        }
    }
}

fn shortened(name: &str) -> &str {
    let end = name
        .char_indices()
        .nth(MAX_NOTE_NAME)
        .map_or(name.len(), |(at, _)| at);
    &name[..end]
}

/// A collection declared as `object`: a bag where its items are pairs, else an array.
fn pairs(items: Vec<Value>, notes: &mut Notes) -> Value {
    if items.is_empty() || !items.iter().all(is_pair) {
        return Value::Array(items);
    }
    let entries = items.into_iter().filter_map(|item| match item {
        Value::Object(pair) => {
            let mut members = pair.into_members().into_iter();
            match (members.next()?.1, members.next()?.1) {
                (Value::String(key), value) => Some((key, value)),
                _ => None,
            }
        }
        _ => None,
    });
    let entries = entries.collect();
    Value::Bag(Bag::new(entries, |key| notes.repeated("key", key)))
}

fn is_pair(item: &Value) -> bool {
    let Some(pair) = item.as_object() else {
        return false;
    };
    let is_pair_type = pair
        .type_name()
        .is_none_or(|known| known.name.starts_with("KeyValue"));
    let mut members = pair.iter();
    is_pair_type
        && pair.len() == 2
        && matches!(members.next(), Some(("key" | "Key", Value::String(_))))
        && matches!(members.next(), Some(("value" | "Value", _)))
}

#[cfg(test)]
mod tests;
