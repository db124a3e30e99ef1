//! The bytes of an event as an execution context. Pure: no I/O, no clock, and nothing that a body can
//! say makes it panic.
//!
//! Dataverse posts `RemoteExecutionContext` as JSON (`DataContractJsonSerializer`), as text XML
//! (`DataContractSerializer`) or as the same XML in .NET's binary format. A format is a file here and a
//! line in the table of formats. A hub may have events of others too: see [`Foreign`].

mod binary;
mod contract;
mod date;
mod elements;
mod foreign;
mod json;
mod limits;
mod scalar;
mod xml;

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

pub use limits::Limits;

use crate::context::{
    Document, ExecutionContext, Name, Names, Note, Slot, Span, Tape, TypeAt, WireFormat, Writer,
};
use contract::{CONTEXT, Contract};

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

    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let notes = self
            .notes
            .iter()
            .map(|note| note.path.len() + note.text.len());
        self.tape.memory() + notes.sum::<usize>()
    }

    /// The context document. `flagged` tells whether the message property `MessageMaxSizeExceeded` was
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

/// What a body is.
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

/// Decodes a body within the default [`Limits`]; see [`Decoder::decode`].
pub fn decode(body: &[u8], hint: Hint<'_>) -> Result<Decoded, DecodeError> {
    Decoder::default().decode(body, hint)
}

/// Decodes a body in the given format, whatever its first bytes say, within the default [`Limits`].
pub fn decode_as(format: WireFormat, body: &[u8]) -> Result<Decoded, DecodeError> {
    let decoder = Decoder {
        format: Some(format),
        ..Decoder::default()
    };
    decoder.decode(body, Hint::default())
}

/// How bodies are decoded, where that is not as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decoder {
    /// What a body may cost.
    pub limits: Limits,
    /// The format of every body, whatever its first bytes say; without it each is looked at.
    pub format: Option<WireFormat>,
}

impl Decoder {
    /// Decodes a body in the format that its label names and its first bytes confirm; where they
    /// contradict, the bytes are right.
    ///
    /// # Errors
    /// Where the body is in none of the formats, is damaged, exceeds a limit, or is no execution context.
    /// What is only unexpected is kept, with a note where the document cannot show it.
    pub fn decode(&self, body: &[u8], hint: Hint<'_>) -> Result<Decoded, DecodeError> {
        let text = trimmed(body);
        match self.choose(text, hint) {
            Some(format) => format.decode(body, self.limits),
            None => Err(unknown(body, text)),
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
        let json = match error.format {
            _ if self.limits.size(body.len()).is_err() => None,
            Some(WireFormat::Json) => text(without_mark(body)).ok().map(elements::Text::from),
            Some(WireFormat::Binary) => binary::string(trimmed(body), self.limits)
                .ok()
                .flatten()
                .map(|(text, _)| text),
            _ => None,
        };
        let (Some(json), Some(format)) = (json, error.format) else {
            return Err(error);
        };
        match foreign::read(&json, self.limits) {
            Ok(Some(json)) => Ok(Outcome::Foreign(Foreign { json, format })),
            Ok(None) => Err(error),
            Err(reason) => Err(DecodeError { reason, ..error }),
        }
    }

    /// The format to read a body in that begins like `text`.
    fn choose(&self, text: &[u8], hint: Hint<'_>) -> Option<&'static Format> {
        if let Some(wanted) = self.format {
            return FORMATS.iter().find(|known| known.wire == wanted);
        }
        let labelled = [hint.content_type, hint.property]
            .into_iter()
            .flatten()
            .find_map(|label| FORMATS.iter().find(|format| format.is_named(label)));
        let confirmed = labelled.filter(|format| format.recognizes(text));
        confirmed
            .or_else(|| FORMATS.iter().find(|format| format.recognizes(text)))
            .or_else(|| labelled.filter(|_| !text.is_empty()))
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
    Text(fn(&str, &mut Draft) -> Result<(), Fault>),
    Bytes(fn(&[u8], &mut Draft) -> Result<(), Fault>),
}

const FORMATS: &[Format] = &[
    Format {
        wire: WireFormat::Json,
        subtype: "json",
        recognizes: |body| matches!(body.first(), Some(b'{' | b'[')),
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

    fn decode(&self, body: &[u8], limits: Limits) -> Result<Decoded, DecodeError> {
        let meaningful = match self.read {
            Read::Text(_) => without_mark(body),
            Read::Bytes(_) => trimmed(body),
        };
        let base = body.len() - meaningful.len();
        let allowed = limits.size(body.len());
        let draft = allowed.map(|()| Draft::new(body.len(), limits));
        let decoded = draft
            .map_err(|reason| Fault::new(0, reason))
            .and_then(|mut draft| {
                match self.read {
                    Read::Text(read) => read(text(meaningful)?, &mut draft)?,
                    Read::Bytes(read) => read(meaningful, &mut draft)?,
                }
                draft.finish(self.wire)
            });
        decoded.map_err(|fault| {
            let (offset, reason) = fault.into_parts();
            DecodeError {
                format: Some(self.wire),
                at: match self.read {
                    Read::Text(_) => Position::new(body, base + offset),
                    Read::Bytes(_) => Position::Byte(1 + base + offset),
                },
                reason,
            }
        })
    }
}

/// A body as text, without the padding at its end.
fn text(body: &[u8]) -> Result<&str, Fault> {
    let text =
        str::from_utf8(body).map_err(|cause| Fault::new(cause.valid_up_to(), "not UTF-8"))?;
    Ok(text.trim_end_matches(is_padding))
}

/// Reads a context that another format holds as a string; an error says what is wrong with it.
fn read_string(body: &str, draft: &mut Draft) -> Result<(), Cow<'static, str>> {
    let meaningful = without_mark(body.as_bytes());
    let mut formats = FORMATS.iter();
    let format = formats.find_map(|format| match format.read {
        Read::Text(read) if format.recognizes(meaningful.trim_ascii_start()) => {
            Some((format.wire, read))
        }
        _ => None,
    });
    let Some((wire, read)) = format else {
        return Err("the string in it is neither JSON nor XML".into());
    };
    let read = text(meaningful).and_then(|text| read(text, draft));
    read.map_err(|fault| {
        let (offset, reason) = fault.into_parts();
        let base = body.len() - meaningful.len();
        let at = Position::new(body.as_bytes(), base + offset);
        format!("in the string that it holds, {wire} at {at}: {reason}").into()
    })
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

/// What stops a reader, with the offset into the body. In a box: it is rare, and every step of a reader hands a
/// result on.
#[derive(Debug)]
struct Fault(Box<(usize, Cow<'static, str>)>);

impl Fault {
    fn new(offset: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new((offset, reason.into())))
    }

    fn into_parts(self) -> (usize, Cow<'static, str>) {
        *self.0
    }
}

/// What is being made of a body.
#[derive(Debug)]
struct Draft {
    values: Writer,
    notes: Notes,
    limits: Limits,
}

impl Draft {
    fn new(body: usize, limits: Limits) -> Self {
        Self {
            values: Writer::new(body, limits.attributes.saturating_add(1), limits.expansion),
            notes: Notes::default(),
            limits,
        }
    }

    /// Begins anew.
    fn clear(&mut self) {
        self.values.clear();
        self.notes = Notes::default();
    }

    fn finish(self, format: WireFormat) -> Result<Decoded, Fault> {
        let tape = self.values.finish();
        let fault = |reason: &'static str| Fault::new(0, reason);
        if !tape.is_context() {
            return Err(fault("no execution context: the body names another type"));
        }
        let members = ExecutionContext::of(&tape).members();
        if members.get("MessageName").is_none() {
            return Err(fault("no execution context: MessageName is missing"));
        }
        Ok(Decoded {
            tape,
            format,
            notes: self.notes.list,
        })
    }

    /// Ends the bag at `at`, whose keys are `names`.
    fn close_bag(&mut self, at: usize, count: usize, names: &Names) {
        let count = self.unrepeated(at, count, names, "key");
        self.values.close(at, count, Slot::Bag);
    }

    /// Ends the complex value at `at`, whose members are `names`.
    fn close_members(
        &mut self,
        at: usize,
        count: usize,
        names: &Names,
        contract: Option<&'static Contract>,
        sent_type: Option<TypeAt>,
    ) {
        let count = self.unrepeated(at, count, names, "member");
        let is_context = contract.is_some_and(|contract| std::ptr::eq(contract, &CONTEXT));
        if is_context {
            return self.values.close(at, count, Slot::Context);
        }
        let type_at = sent_type.or_else(|| {
            let contract = contract.filter(|contract| !contract.name.is_empty())?;
            Some(self.values.known_type(contract.name))
        });
        self.values
            .close(at, count, |extent| Slot::Object(type_at, extent));
    }

    fn unrepeated(&mut self, at: usize, count: usize, names: &Names, kind: &str) -> usize {
        if !names.is_repeated() {
            return count;
        }
        let notes = &mut self.notes;
        self.values.keep_last(at, |name| notes.repeated(kind, name))
    }

    /// Makes a bag of the array at `at`, which was declared as `object`, where its items are pairs.
    /// True where it was one.
    fn pair_up(&mut self, at: usize) -> bool {
        let is_bag = self.values.pair_up(at);
        if is_bag {
            let notes = &mut self.notes;
            let count = self.values.keep_last(at, |key| notes.repeated("key", key));
            self.values.close(at, count, Slot::Bag);
        }
        is_bag
    }

    /// Says that the notes after the first `count` lie under the key `key`.
    fn notes_within(&mut self, count: usize, key: Span) {
        if self.notes.count() > count {
            self.notes.within(count, self.values.shown(key));
        }
    }

    /// Says that the notes after the first `count` lie in the member `name`.
    fn notes_within_name(&mut self, count: usize, name: Name) {
        match name {
            Name::Known(name) => self.notes.within(count, name),
            Name::Sent(name) => self.notes_within(count, name),
        }
    }
}

/// The notes on one body. A path grows on the way out, so that it costs nothing while there is nothing
/// to say.
#[derive(Debug, Default)]
struct Notes {
    list: Vec<Note>,
}

impl Notes {
    fn count(&self) -> usize {
        self.list.len()
    }

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
        if self.list.len() == count {
            return;
        }
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

#[cfg(test)]
mod tests;
