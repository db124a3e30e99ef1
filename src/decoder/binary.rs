//! The .NET binary format for XML: records for elements, attributes and typed texts, without a tag or an
//! escape. `XmlDictionaryWriter.CreateBinaryWriter` writes it.
//!
//! Source: \[MC-NBFX\], *.NET Binary Format: XML Data Structure*, and what the serializer writes.

mod cursor;
mod dictionary;
mod text;

use std::borrow::Cow;

use cursor::Cursor;

use super::contract::{SERIALIZATION, Shape};
use super::elements::{self, Elements, MAX_PREFIXES, Named, Piece, Start, Tag};
use super::{Fault, Notes, is_padding, read_string};
use crate::context::{ExecutionContext, NumberKind};

/// How long the name of an array's items may be: it stands in the body once, and for any number of items.
const MAX_ITEM_NAME: usize = 64;

/// True for a body that begins as one of these does: a record for an element with a name. The length of
/// the name, or of its prefix, is a control character, which no text begins with.
pub(super) fn recognizes(body: &[u8]) -> bool {
    let behind_prefix = match body {
        [0x41, prefix @ 1..=0x1f, rest @ ..] => rest.get(usize::from(*prefix)..),
        [0x40 | 0x5e..=0x77, rest @ ..] => Some(rest),
        _ => None,
    };
    let name = match behind_prefix {
        Some([length @ 1..=0x1f, rest @ ..]) => rest.get(..usize::from(*length)),
        _ => None,
    };
    name.is_some_and(|name| name.iter().all(u8::is_ascii_alphanumeric))
}

/// Reads a body: a context, or a string with the text of one.
pub(super) fn read(body: &[u8], notes: &mut Notes) -> Result<ExecutionContext, Fault> {
    match string(body)? {
        Some((text, after)) => read_string(&text, notes).map_err(|reason| Fault {
            offset: after,
            reason,
        }),
        None => elements::read(Records::new(body), notes),
    }
}

/// The text in a body whose root element is a `string` of the serializer, and where it ends; `None` where
/// the root is another. What is sent as a string and not as bytes arrives like this.
fn string(body: &[u8]) -> Result<Option<(Cow<'_, str>, usize)>, Fault> {
    let mut records = Records::new(body);
    match records.next()? {
        Piece::Start(start) if start.name() == "string" => {}
        _ => return Ok(None),
    }
    if records.namespace != Some(SERIALIZATION) {
        return Ok(None);
    }
    let mut text = Cow::Borrowed("");
    loop {
        match records.next()? {
            Piece::Text(more) if text.is_empty() => text = more,
            Piece::Text(more) => text.to_mut().push_str(&more),
            Piece::End => break,
            Piece::Start(_) => return Err(records.fault("an element where text is expected")),
            Piece::Nothing => return Err(records.fault("the body ends within an element")),
        }
    }
    let after = body.len() - records.cursor.rest().len();
    match records.next()? {
        Piece::Nothing => Ok(Some((text, after))),
        _ => Err(records.fault("the body goes on after its end")),
    }
}

/// The prefix that a record names by its number.
fn letter(number: u8) -> Option<&'static str> {
    let place = usize::from(number);
    "abcdefghijklmnopqrstuvwxyz".get(place..=place)
}

impl Tag for &str {
    fn name(&self) -> &str {
        self
    }
}

/// The pieces of a body.
struct Records<'a> {
    cursor: Cursor<'a>,
    open: Vec<Open>,
    /// Prefixes and their namespaces, the inner ones last.
    bound: Vec<(&'a str, &'a str)>,
    /// The namespace of the element that was started last.
    namespace: Option<&'a str>,
    /// True when the record that was read last ends its element too.
    is_ending: bool,
    array: Option<Array<'a>>,
    /// True after the end of the root.
    is_over: bool,
}

/// An element that was started.
struct Open {
    /// How many prefixes are bound around it.
    bound: usize,
    /// True where its text is a 32-bit floating-point number.
    is_single: bool,
}

/// An attribute's prefix, name and value.
struct Attribute<'a>(&'a str, &'a str, Cow<'a, str>);

/// Elements of one name, each with a value of one width.
struct Array<'a> {
    start: Start<&'a str>,
    record: u8,
    left: usize,
    /// True when an item was started whose value is to be read.
    is_within: bool,
}

impl<'a> Elements<'a> for Records<'a> {
    type Tag = &'a str;

    fn next(&mut self) -> Result<Piece<'a, &'a str>, Fault> {
        if std::mem::take(&mut self.is_ending) {
            return self.close();
        }
        if self.array.is_some() {
            return self.item();
        }
        if self.is_over
            && self
                .cursor
                .rest()
                .iter()
                .all(|byte| is_padding((*byte).into()))
        {
            return Ok(Piece::Nothing);
        }
        loop {
            let Some(record) = self.cursor.peek() else {
                return Ok(Piece::Nothing);
            };
            self.cursor.byte()?;
            return match record {
                0x01 => self.close(),
                0x02 => {
                    self.cursor.string()?;
                    continue;
                }
                0x03 => {
                    self.array()?;
                    match self.array.is_some() {
                        true => self.item(),
                        false => continue,
                    }
                }
                0x40..=0x77 => {
                    let bound = self.bound.len();
                    let start = self.element(record)?;
                    self.started(&start, bound);
                    Ok(Piece::Start(start))
                }
                text::FIRST.. => self.text(record),
                _ => Err(self.cursor.fault("no record that can stand here")),
            };
        }
    }

    fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault {
        self.cursor.fault(reason)
    }
}

impl<'a> Records<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(body),
            open: Vec::new(),
            bound: Vec::new(),
            namespace: None,
            is_ending: false,
            array: None,
            is_over: false,
        }
    }

    fn started(&mut self, start: &Start<&'a str>, bound: usize) {
        let is_float = matches!(start.named, Named::Known(Shape::Number(NumberKind::Float)));
        self.open.push(Open {
            bound,
            is_single: is_float || (start.is_primitive_item && start.name() == "float"),
        });
    }

    fn close(&mut self) -> Result<Piece<'a, &'a str>, Fault> {
        let Some(open) = self.open.pop() else {
            return Err(self
                .cursor
                .fault("the end of an element that was not started"));
        };
        self.bound.truncate(open.bound);
        self.is_over = self.open.is_empty();
        Ok(Piece::End)
    }

    fn text(&mut self, record: u8) -> Result<Piece<'a, &'a str>, Fault> {
        let is_single = self.open.last().is_some_and(|open| open.is_single);
        let (text, is_ending) = text::read(&mut self.cursor, record, is_single)?;
        self.is_ending = is_ending;
        Ok(Piece::Text(text))
    }

    /// Reads an element behind its first byte, with its attributes.
    fn element(&mut self, record: u8) -> Result<Start<&'a str>, Fault> {
        let cursor = &mut self.cursor;
        let (prefix, name) = match record {
            0x40 => ("", cursor.string()?),
            0x41 => (cursor.string()?, cursor.string()?),
            0x42 => ("", cursor.dictionary()?),
            0x43 => (cursor.string()?, cursor.dictionary()?),
            0x44..=0x5d => (
                letter(record - 0x44).unwrap_or_default(),
                cursor.dictionary()?,
            ),
            _ => (letter(record - 0x5e).unwrap_or_default(), cursor.string()?),
        };
        // A prefix may be bound behind the attributes that have it.
        let attributes = self.attributes()?;
        self.namespace = self.resolve(prefix);
        let mut start = Start::new(name, self.namespace);
        for Attribute(prefix, name, value) in &attributes {
            if let Some(named) = start.attribute(self.resolve(prefix), name, value) {
                start.named = self.named(named)?;
            }
        }
        Ok(start)
    }

    /// Reads attributes, binds prefixes, and keeps the attributes that have a prefix: the others say nothing.
    fn attributes(&mut self) -> Result<Vec<Attribute<'a>>, Fault> {
        let mut attributes = Vec::new();
        while let Some(record @ 0x04..=0x3f) = self.cursor.peek() {
            let cursor = &mut self.cursor;
            cursor.byte()?;
            let (prefix, name) = match record {
                0x04 => ("", cursor.string()?),
                0x05 => (cursor.string()?, cursor.string()?),
                0x06 => ("", cursor.dictionary()?),
                0x07 => (cursor.string()?, cursor.dictionary()?),
                0x08..=0x0b => {
                    self.bind(record)?;
                    continue;
                }
                0x0c..=0x25 => (
                    letter(record - 0x0c).unwrap_or_default(),
                    cursor.dictionary()?,
                ),
                _ => (letter(record - 0x26).unwrap_or_default(), cursor.string()?),
            };
            let value = cursor.byte()?;
            if value < text::FIRST {
                return Err(cursor.fault("an attribute without a value"));
            }
            let (value, is_ending) = text::read(cursor, value, false)?;
            if is_ending {
                return Err(cursor.fault("the end of an element in an attribute"));
            }
            if !prefix.is_empty() {
                attributes.push(Attribute(prefix, name, value));
            }
        }
        Ok(attributes)
    }

    /// Reads a namespace declaration behind its first byte.
    fn bind(&mut self, record: u8) -> Result<(), Fault> {
        let cursor = &mut self.cursor;
        let bound = match record {
            0x08 => ("", cursor.string()?),
            0x09 => (cursor.string()?, cursor.string()?),
            0x0a => ("", cursor.dictionary()?),
            _ => (cursor.string()?, cursor.dictionary()?),
        };
        if self.bound.len() == MAX_PREFIXES {
            return Err(self.cursor.fault("too many prefixes bound at one place"));
        }
        self.bound.push(bound);
        Ok(())
    }

    fn resolve(&self, prefix: &str) -> Option<&'a str> {
        let mut inner_first = self.bound.iter().rev();
        let (_, namespace) = inner_first.find(|(known, _)| *known == prefix)?;
        (!namespace.is_empty()).then_some(*namespace)
    }

    /// Resolves the qualified name in `i:type` through the prefixes that are bound here.
    fn named(&self, value: &str) -> Result<Named, Fault> {
        let (prefix, name) = value.split_once(':').unwrap_or(("", value));
        let namespace = self.resolve(prefix);
        if namespace.is_none() && !prefix.is_empty() {
            return Err(self.cursor.fault("a type whose prefix is not bound"));
        }
        Named::new(name, namespace.unwrap_or_default()).map_err(|reason| self.cursor.fault(reason))
    }

    /// Reads an array behind its first byte, up to its values.
    fn array(&mut self) -> Result<(), Fault> {
        let bound = self.bound.len();
        let record = self.cursor.byte()?;
        if !matches!(record, 0x40..=0x77) {
            return Err(self.cursor.fault("an array without an element"));
        }
        let start = self.element(record)?;
        self.bound.truncate(bound);
        if start.name().len() > MAX_ITEM_NAME {
            return Err(self
                .cursor
                .fault("an array whose items have too long a name"));
        }
        if self.cursor.byte()? != 0x01 {
            return Err(self.cursor.fault("an array whose element does not end"));
        }
        let record = self.cursor.byte()?;
        let Some(width) = text::width(record) else {
            return Err(self.cursor.fault("an array of records that make none"));
        };
        let left = self.cursor.int31()?;
        if left > self.cursor.rest().len() / width {
            return Err(self.cursor.fault("the body ends within an array"));
        }
        self.array = (left > 0).then_some(Array {
            start,
            record,
            left,
            is_within: false,
        });
        Ok(())
    }

    /// The start of an item of the array, or its value.
    fn item(&mut self) -> Result<Piece<'a, &'a str>, Fault> {
        let Some(array) = &mut self.array else {
            return Err(self.cursor.fault("no array"));
        };
        array.is_within = !array.is_within;
        if array.is_within {
            let start = array.start.clone();
            self.started(&start, self.bound.len());
            return Ok(Piece::Start(start));
        }
        let record = array.record;
        array.left -= 1;
        if array.left == 0 {
            self.array = None;
        }
        self.text(record)
    }
}

#[cfg(test)]
mod tests;
