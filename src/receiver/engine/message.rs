//! A received message: its bytes, and where in them lies what an event needs.
//!
//! One pass finds every section, and copies nothing. What few will ask for, the application properties
//! and single fields, stays encoded until somebody does. Where a section comes more than once, the last
//! one counts, but for data and sequences, of which a message may have several in a row.
//!
//! Source: AMQP 1.0, section 3.2; the annotations `x-opt-*` of the AMQP protocol guide for Event Hubs.

use std::borrow::Cow;

use bytes::{Buf, Bytes};

use crate::receiver::encoding::Flaw;
use crate::receiver::encoding::cursor::Cursor;

const HEADER: u64 = 0x70;
const DELIVERY_ANNOTATIONS: u64 = 0x71;
const MESSAGE_ANNOTATIONS: u64 = 0x72;
const PROPERTIES: u64 = 0x73;
const APPLICATION_PROPERTIES: u64 = 0x74;
const DATA: u64 = 0x75;
const SEQUENCE: u64 = 0x76;
const VALUE: u64 = 0x77;
const FOOTER: u64 = 0x78;

/// What is wrong with a property whose name is null.
pub(super) const NO_NAME: Flaw = "an application property has no name";
/// The place of the content type among the fields of the properties.
const CONTENT_TYPE: u32 = 6;
/// A body of fewer bytes is copied: as a slice it would keep alive a whole buffer of the wire.
const WORTH_KEEPING: usize = 4096;

/// A message that has been found whole; by default one that carries nothing.
#[derive(Debug, Default)]
pub struct Message {
    bytes: Bytes,
    sections: Sections,
    /// What was found to be wrong with it.
    flaw: Option<Flaw>,
}

/// What a message carries.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// No section of a body.
    None,
    /// The content of all data sections.
    Data(Bytes),
    /// A value of any type, as it is encoded.
    Value(Bytes),
    /// The elements of all sequences, as they are encoded, one behind the other.
    Sequence(Bytes),
}

impl Body {
    /// Of the sections with this code, where there is one.
    fn of(code: u64, content: Bytes) -> Self {
        match code {
            DATA => Self::Data(content),
            SEQUENCE => Self::Sequence(content),
            VALUE => Self::Value(content),
            _ => Self::None,
        }
    }
}

#[derive(Debug, Default)]
struct Sections {
    metric: Metric,
    message_annotations: Option<Span>,
    annotations: Annotations,
    properties: Option<Span>,
    content_type: Option<Span>,
    application_properties: Option<Entries>,
    body: Parts,
}

/// The annotations that the service gives a delivery, where it was asked for the receiver runtime metric.
#[derive(Debug, Default)]
struct Metric {
    sequence_number: Option<i64>,
    enqueued_time: Option<i64>,
    retrieval_time: Option<i64>,
}

/// The annotations that the service gives an event.
#[derive(Debug, Default)]
struct Annotations {
    sequence_number: Option<i64>,
    offset: Option<Offset>,
    enqueued_time: Option<i64>,
    partition_key: Option<Span>,
}

#[derive(Debug, Clone, Copy)]
enum Offset {
    Text(Span),
    Number(i64),
}

/// The entries of a map.
#[derive(Debug, Clone, Copy)]
struct Entries {
    span: Span,
    count: u32,
}

/// The sections of a body, which are all of one kind: the code in their descriptors.
#[derive(Debug, Default)]
struct Parts {
    code: u64,
    first: Span,
    /// Where there is only one, as nearly always, this takes no memory.
    more: Vec<Span>,
}

/// A part of a message. Messages of 4 GiB are none of ours.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Message {
    /// Finds the sections of a message that begins and ends with these bytes.
    pub fn read(bytes: Bytes) -> Result<Self, Flaw> {
        let message = Self::read_until_flaw(bytes);
        match message.flaw {
            None => Ok(message),
            Some(flaw) => Err(flaw),
        }
    }

    /// The same, as far as there is no flaw: what the service says of an event stands before what its sender says.
    pub(in crate::receiver) fn read_until_flaw(bytes: Bytes) -> Self {
        let mut sections = Sections::default();
        let flaw = match u32::try_from(bytes.len()) {
            Ok(_) => sections.read(&bytes).err(),
            Err(_) => Some("it is longer than 4 GiB"),
        };
        Self {
            bytes,
            sections,
            flaw,
        }
    }

    /// What is wrong with it, as far as somebody has looked.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }

    /// Another part of it was found to be wrong.
    #[cold]
    pub(super) fn found(&mut self, flaw: Flaw) {
        self.flaw = Some(flaw);
    }

    /// The whole of it, of which nothing is left.
    pub(super) fn take_bytes(&mut self) -> Bytes {
        std::mem::take(self).bytes
    }

    /// The annotation `x-opt-sequence-number`, where it is an int or a long, signed or not.
    pub fn sequence_number(&self) -> Option<i64> {
        self.sections.annotations.sequence_number
    }

    /// The annotation `x-opt-offset`, where it is a string, or a number as that of an event.
    pub fn offset(&self) -> Option<Cow<'_, str>> {
        match self.sections.annotations.offset? {
            Offset::Text(span) => Some(self.text(span).into()),
            Offset::Number(number) => Some(number.to_string().into()),
        }
    }

    /// The annotation `x-opt-enqueued-time`, where it is a timestamp: milliseconds since the epoch.
    pub fn enqueued_time(&self) -> Option<i64> {
        self.sections.annotations.enqueued_time
    }

    /// The annotation `x-opt-partition-key`, where it is a string.
    pub fn partition_key(&self) -> Option<&str> {
        let span = self.sections.annotations.partition_key?;
        Some(self.text(span))
    }

    /// The delivery annotation `last_enqueued_sequence_number`, where it is a number as that of an event.
    pub fn last_enqueued_sequence_number(&self) -> Option<i64> {
        self.sections.metric.sequence_number
    }

    /// The delivery annotation `last_enqueued_time_utc`, where it is a timestamp: milliseconds since the epoch.
    pub fn last_enqueued_time(&self) -> Option<i64> {
        self.sections.metric.enqueued_time
    }

    /// The delivery annotation `runtime_info_retrieval_time_utc`, where it is a timestamp: milliseconds since the
    /// epoch.
    pub fn runtime_info_retrieval_time(&self) -> Option<i64> {
        self.sections.metric.retrieval_time
    }

    /// The property `content-type`.
    pub fn content_type(&self) -> Option<&str> {
        Some(self.text(self.sections.content_type?))
    }

    /// The map of all message annotations, as it is encoded.
    pub fn message_annotations(&self) -> Option<&[u8]> {
        Some(self.part(self.sections.message_annotations?))
    }

    /// A field of the properties as it is encoded, counted from 0; none where it is null.
    pub fn properties_field(&self, index: usize) -> Option<&[u8]> {
        let properties = self.part(self.sections.properties?);
        let (mut fields, _) = Cursor::new(properties).list().ok()?;
        for _ in 0..index {
            fields.skip().ok()?;
        }
        fields.value().ok().filter(|field| *field != [0x40])
    }

    /// The application properties in their order, each with its value as it is encoded.
    pub fn application_properties(&self) -> ApplicationProperties<'_> {
        let (encoded, count) = self.properties_part().unwrap_or_default();
        ApplicationProperties::new(encoded, count)
    }

    /// The application properties as they are encoded, one behind the other, and how many there are.
    pub(super) fn properties_part(&self) -> Option<(&[u8], u32)> {
        let entries = self.sections.application_properties?;
        Some((self.part(entries.span), entries.count / 2))
    }

    /// The same, to keep.
    pub(super) fn encoded_properties(&self) -> Option<(Bytes, u32)> {
        let entries = self.sections.application_properties?;
        Some((self.bytes.slice(entries.span.range()), entries.count / 2))
    }

    /// What the message carries. A large part of it is a slice of the message, a small one is a copy,
    /// and several are put together.
    pub fn body(&self) -> Body {
        let Parts { code, first, more } = &self.sections.body;
        let range = first.range();
        let content = if !more.is_empty() {
            self.joined()
        } else if range.len() < WORTH_KEEPING {
            Bytes::copy_from_slice(self.part(*first))
        } else {
            self.bytes.slice(range)
        };
        Body::of(*code, content)
    }

    /// The same, and nothing is left of the message, of which nothing else is wanted any more: whatever its size, one
    /// part is what was the message, and costs no count of who holds it.
    #[inline]
    pub(super) fn take_body(&mut self) -> Body {
        if !self.sections.body.more.is_empty() {
            let body = self.body();
            self.bytes = Bytes::new();
            return body;
        }
        let Parts { code, first, .. } = &self.sections.body;
        let (code, range) = (*code, first.range());
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(range.end);
        bytes.advance(range.start.min(bytes.len()));
        Body::of(code, bytes)
    }

    fn joined(&self) -> Bytes {
        let parts = &self.sections.body;
        let first = self.part(parts.first);
        let length = parts.more.iter().map(|span| span.range().len());
        let mut all = Vec::with_capacity(first.len() + length.sum::<usize>());
        all.extend_from_slice(first);
        for span in &parts.more {
            all.extend_from_slice(self.part(*span));
        }
        all.into()
    }

    /// Nothing, where the body was taken.
    fn part(&self, span: Span) -> &[u8] {
        self.bytes.get(span.range()).unwrap_or_default()
    }

    /// A part that was found to be UTF-8.
    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.part(span)).unwrap_or_default()
    }
}

impl Sections {
    fn read(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        let mut cursor = Cursor::new(bytes);
        let mut last = None;
        while !cursor.is_empty() {
            let code = cursor.descriptor()?;
            match code {
                HEADER | FOOTER => cursor.skip()?,
                // Nothing depends on them: what cannot be read of them is none.
                DELIVERY_ANNOTATIONS => {
                    self.metric = Metric::read(cursor.value()?).unwrap_or_default();
                }
                MESSAGE_ANNOTATIONS => self.message_annotations(&mut cursor)?,
                PROPERTIES => self.properties(&mut cursor)?,
                APPLICATION_PROPERTIES => {
                    let (entries, count) = cursor.map()?;
                    let span = Span::before(cursor.position(), entries.rest());
                    self.application_properties = Some(Entries { span, count });
                }
                DATA | SEQUENCE | VALUE => {
                    let part = part(code, &mut cursor)?;
                    let goes_on = last == Some(code) && code != VALUE;
                    self.body.add(code, part, goes_on);
                }
                _ => return Err("it has a section that does not exist"),
            }
            last = Some(code);
        }
        Ok(())
    }

    fn message_annotations(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Flaw> {
        let start = cursor.position();
        let (entries, count) = cursor.map()?;
        let end = cursor.position();
        self.message_annotations = Some(Span::new(start, end));
        self.annotations = Annotations::read(entries, count, end)?;
        Ok(())
    }

    /// Every field is looked at, so that none is missing when somebody asks for it.
    fn properties(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Flaw> {
        let start = cursor.position();
        let (mut fields, count) = cursor.list()?;
        let end = cursor.position();
        let base = end - fields.rest().len();
        self.properties = Some(Span::new(start, end));
        self.content_type = None;
        for index in 0..count {
            if index == CONTENT_TYPE {
                let content_type = fields.symbol()?.map(str::as_bytes);
                let here = base + fields.position();
                self.content_type = content_type.map(|text| Span::before(here, text));
            } else {
                fields.skip()?;
            }
        }
        fields.ended()
    }
}

impl Metric {
    fn read(annotations: &[u8]) -> Result<Self, Flaw> {
        let (mut entries, count) = Cursor::new(annotations).map()?;
        let mut metric = Self::default();
        for _ in 0..count / 2 {
            let name = name(entries.value()?);
            let value = entries.value()?;
            match name {
                Some(b"last_enqueued_sequence_number") => metric.sequence_number = integer(value)?,
                Some(b"last_enqueued_time_utc") => metric.enqueued_time = timestamp(value)?,
                Some(b"runtime_info_retrieval_time_utc") => {
                    metric.retrieval_time = timestamp(value)?;
                }
                _ => {}
            }
        }
        Ok(metric)
    }
}

impl Annotations {
    /// Reads a map that ends so far into the message. An annotation of another type is none.
    fn read(mut entries: Cursor<'_>, count: u32, end: usize) -> Result<Self, Flaw> {
        let base = end - entries.rest().len();
        let mut annotations = Self::default();
        for _ in 0..count / 2 {
            let name = name(entries.value()?);
            let value = entries.value()?;
            let here = base + entries.position();
            match name {
                Some(b"x-opt-sequence-number") => annotations.sequence_number = integer(value)?,
                Some(b"x-opt-offset") => annotations.offset = offset(value, here)?,
                Some(b"x-opt-enqueued-time") => annotations.enqueued_time = timestamp(value)?,
                Some(b"x-opt-partition-key") => annotations.partition_key = text(value, here)?,
                _ => {}
            }
        }
        entries.ended()?;
        Ok(annotations)
    }
}

impl Parts {
    fn add(&mut self, code: u64, part: Span, goes_on: bool) {
        if goes_on {
            self.more.push(part);
            return;
        }
        self.code = code;
        self.first = part;
        self.more.clear();
    }
}

impl Span {
    /// Both places are within the message, whose length has been found to be a `u32`.
    fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// A part that ends here.
    fn before(here: usize, part: &[u8]) -> Self {
        Self::new(here - part.len(), here)
    }

    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The application properties of a message, and none any more behind a flaw.
#[derive(Debug)]
pub struct ApplicationProperties<'a> {
    entries: Cursor<'a>,
    left: u32,
}

impl<'a> Iterator for ApplicationProperties<'a> {
    type Item = Result<(&'a str, &'a [u8]), Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = match self.left {
            0 => Err(self.entries.ended().err()?),
            _ => self.entry(),
        };
        match entry {
            Ok(_) => self.left -= 1,
            Err(_) => {
                self.entries = Cursor::new(&[]);
                self.left = 0;
            }
        }
        Some(entry)
    }
}

impl<'a> ApplicationProperties<'a> {
    /// So many of them, encoded one behind the other.
    pub(super) fn new(encoded: &'a [u8], count: u32) -> Self {
        Self {
            entries: Cursor::new(encoded),
            left: count,
        }
    }

    fn entry(&mut self) -> Result<(&'a str, &'a [u8]), Flaw> {
        let name = self.entries.string()?;
        let name = name.ok_or(NO_NAME)?;
        Ok((name, self.entries.value()?))
    }
}

/// What a section of a body carries.
fn part(code: u64, cursor: &mut Cursor<'_>) -> Result<Span, Flaw> {
    let part = match code {
        DATA => cursor.binary()?.ok_or("a data section is null")?,
        SEQUENCE => {
            let (mut elements, count) = cursor.list()?;
            let part = elements.rest();
            for _ in 0..count {
                elements.skip()?;
            }
            elements.ended()?;
            part
        }
        _ => cursor.value()?,
    };
    Ok(Span::before(cursor.position(), part))
}

/// The name of an annotation, unless it is no symbol. It is only compared, and need not be a text.
fn name(key: &[u8]) -> Option<&[u8]> {
    match key {
        [0xa3, _, name @ ..] | [0xb3, _, _, _, _, name @ ..] => Some(name),
        _ => None,
    }
}

fn integer(value: &[u8]) -> Result<Option<i64>, Flaw> {
    let mut cursor = Cursor::new(value);
    match value.first() {
        Some(0x55 | 0x81) => cursor.long(),
        Some(0x54 | 0x71) => Ok(cursor.int()?.map(i64::from)),
        Some(0x43 | 0x52 | 0x70) => Ok(cursor.uint()?.map(i64::from)),
        Some(0x44 | 0x53 | 0x80) => Ok(cursor.ulong()?.and_then(|number| number.try_into().ok())),
        _ => Ok(None),
    }
}

fn timestamp(value: &[u8]) -> Result<Option<i64>, Flaw> {
    match value.first() {
        Some(0x83) => Cursor::new(value).timestamp(),
        _ => Ok(None),
    }
}

fn offset(value: &[u8], here: usize) -> Result<Option<Offset>, Flaw> {
    match value.first() {
        Some(0xa1 | 0xb1) => Ok(text(value, here)?.map(Offset::Text)),
        _ => Ok(integer(value)?.map(Offset::Number)),
    }
}

/// The text of a string that ends here.
fn text(value: &[u8], here: usize) -> Result<Option<Span>, Flaw> {
    match value.first() {
        Some(0xa1 | 0xb1) => {
            let text = Cursor::new(value).string()?;
            Ok(text.map(|text| Span::before(here, text.as_bytes())))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
