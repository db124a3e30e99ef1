//! The .NET binary format for XML: records for elements, attributes and typed texts, without a tag or an
//! escape. `XmlDictionaryWriter.CreateBinaryWriter` writes it.
//!
//! Source: \[MC-NBFX\], *.NET Binary Format: XML Data Structure*, and what the serializer writes.

mod cursor;
mod dictionary;
mod recent;
mod text;

use std::borrow::Cow;

use cursor::{Cursor, GIVE_STRINGS, Utf8};
use recent::Recent;

use super::contract::CONTEXT;
use super::elements::{
    self, Attributes, Elements, Piece, Qualified, Said, Scope, Space, Start, Text,
};
use super::{Dictionary, Draft, Fault, Limits, NOT_UTF8, is_padding, read_string};
use crate::context::NumberKind;

const NO_PREFIX: &[u8] = b"";

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

/// True for a body that names its root by a number in this dictionary, as one of those that are read.
pub(super) fn is_named_in(body: &[u8], dictionary: &Dictionary) -> bool {
    if !has_numbered_root(body) {
        return false;
    }
    let mut cursor = Cursor::new(&body[1..], Limits::default(), Some(dictionary), Utf8::Here);
    if body[0] == 0x43 && cursor.name().is_err() {
        return false;
    }
    let name = cursor.known_name();
    name.is_ok_and(|name| name == CONTEXT.name.as_bytes() || name == b"string")
}

/// What to do with a body that nothing names a format of, where it may have such a root: the number is a control
/// character, which is no second one of a text.
pub(super) fn advice(body: &[u8]) -> Option<&'static str> {
    let is_number = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    let is_numbered = has_numbered_root(body) && body.get(1).is_some_and(is_number);
    is_numbered.then_some(GIVE_STRINGS)
}

fn has_numbered_root(body: &[u8]) -> bool {
    matches!(body.first(), Some(0x42..=0x5d))
}

/// Reads a body: a context, or a string with the text of one.
pub(super) fn read(body: &[u8], draft: &mut Draft) -> Result<(), Fault> {
    let (limits, own) = (draft.limits, draft.dictionary.clone());
    match string(body, limits, own.as_ref())? {
        Some((text, after)) => {
            read_string(&text, draft).map_err(|reason| Fault::new(after, reason))
        }
        // The static dictionary does not have the name of a context.
        None if own.is_none() && has_numbered_root(body) => Err(Fault::new(
            0,
            format!("the root element has a number for a name; {GIVE_STRINGS}"),
        )),
        None => {
            let read = |utf8, draft: &mut Draft| {
                elements::read(Records::new(body, limits, own.as_ref(), utf8), draft)
            };
            if read(Utf8::Later, draft).is_ok() && draft.values.seal() {
                return Ok(());
            }
            // Once more, to tell what comes first of all that is wrong.
            draft.clear();
            read(Utf8::Here, draft)
        }
    }
}

/// The text in a body whose root element is a `string` of the serializer, and where it ends; `None` where
/// the root is another. What is sent as a string and not as bytes arrives like this.
pub(super) fn string(
    body: &[u8],
    limits: Limits,
    own: Option<&Dictionary>,
) -> Result<Option<(String, usize)>, Fault> {
    let mut records = Records::new(body, limits, own, Utf8::Here);
    match records.next()? {
        Piece::Start
            if records.start.name() == b"string" && records.is_in(&Space::Serialization) => {}
        _ => return Ok(None),
    }
    let text = records.text()?;
    let after = body.len() - records.cursor.rest().len();
    let text = String::from_utf8(text.to_vec()).map_err(|_| records.fault(NOT_UTF8))?;
    match records.next()? {
        Piece::Nothing => Ok(Some((text, after))),
        _ => Err(records.fault("the body goes on after its end")),
    }
}

/// True for what begins an attribute.
fn is_attribute(record: Option<u8>) -> bool {
    matches!(record, Some(0x04..=0x3f))
}

/// The prefix that a record names by its number.
fn letter(number: u8) -> Option<&'static [u8]> {
    let place = usize::from(number);
    b"abcdefghijklmnopqrstuvwxyz".get(place..=place)
}

/// The pieces of a body.
struct Records<'a> {
    cursor: Cursor<'a>,
    scope: Scope<'a>,
    recent: Recent<'a>,
    start: Start<Qualified<'a>>,
    /// True where the text of the element that was started last is a 32-bit floating-point number.
    is_single: bool,
    /// True when the record that was read last ends its element too.
    is_ending: bool,
    array: Option<Array<'a>>,
    /// True within the last item of an array.
    is_last_item: bool,
    /// True after the end of the root.
    is_over: bool,
}

/// Elements of one name, each with a value of one width.
struct Array<'a> {
    tag: Qualified<'a>,
    said: Option<Said>,
    record: u8,
    left: usize,
    /// True when an item was started whose value is to be read.
    is_within: bool,
}

impl<'a> Elements<'a> for Records<'a> {
    type Tag = Qualified<'a>;

    fn next(&mut self) -> Result<Piece<'a>, Fault> {
        if std::mem::take(&mut self.is_ending) {
            return self.close().map(|()| Piece::End);
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
                0x01 => self.close().map(|()| Piece::End),
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
                    self.scope.enter();
                    self.element(record)?;
                    Ok(Piece::Start)
                }
                text::FIRST.. => self.text_piece(record),
                _ => Err(self.cursor.fault("no record that can stand here")),
            };
        }
    }

    fn start(&mut self) -> &mut Start<Qualified<'a>> {
        &mut self.start
    }

    fn is_in(&self, space: &Space) -> bool {
        self.scope.resolve(self.start.tag().prefix) == Some(space)
    }

    fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault {
        self.cursor.fault(reason)
    }

    fn room(&self, bytes: usize) -> Result<(), Fault> {
        self.cursor.room(bytes)
    }

    fn child(&mut self) -> Result<bool, Fault> {
        match self.cursor.peek() {
            Some(record @ 0x40..=0x77) if self.is_between() => {
                self.cursor.step();
                self.scope.enter();
                self.element(record).map(|()| true)
            }
            Some(0x01) if self.is_between() => {
                self.cursor.step();
                self.close().map(|()| false)
            }
            _ => self.any_child(),
        }
    }

    fn text(&mut self) -> Result<Text<'a>, Fault> {
        match self.cursor.peek() {
            // What nearly all texts are, with the end of their element.
            Some(0x99) if self.is_between() => {
                self.cursor.step();
                let length = self.cursor.byte()?;
                let text = self.cursor.text(length.into())?;
                self.close()?;
                Ok(text.into())
            }
            Some(record @ text::FIRST..) if self.is_between() => {
                self.cursor.step();
                let (text, is_ending) = text::read(&mut self.cursor, record, self.is_single)?;
                match is_ending {
                    true => self.close().map(|()| text),
                    false => self.text_behind(text),
                }
            }
            _ => self.text_behind(Text::default()),
        }
    }
}

impl<'a> Records<'a> {
    /// True where the text of the element is a 32-bit floating-point number.
    fn is_single(&self) -> bool {
        self.start.is_named(NumberKind::Float)
            || (self.start.name() == b"float" && self.is_in(&Space::Arrays))
    }

    /// True where the next piece begins with the next record.
    fn is_between(&self) -> bool {
        !self.is_ending && self.array.is_none()
    }

    fn new(body: &'a [u8], limits: Limits, own: Option<&'a Dictionary>, utf8: Utf8) -> Self {
        Self {
            cursor: Cursor::new(body, limits, own, utf8),
            scope: Scope::default(),
            recent: Recent::default(),
            start: Start::new(Qualified {
                prefix: NO_PREFIX,
                name: b"",
            }),
            is_single: false,
            is_ending: false,
            array: None,
            is_last_item: false,
            is_over: false,
        }
    }

    fn close(&mut self) -> Result<(), Fault> {
        if self.scope.depth() == 0 {
            return Err(self
                .cursor
                .fault("the end of an element that was not started"));
        }
        self.scope.leave();
        if std::mem::take(&mut self.is_last_item) {
            // What the element of the array bound counts no longer.
            self.scope.leave();
        }
        self.is_over = self.scope.depth() == 0;
        Ok(())
    }

    fn text_piece(&mut self, record: u8) -> Result<Piece<'a>, Fault> {
        let (text, is_ending) = text::read(&mut self.cursor, record, self.is_single)?;
        self.is_ending = is_ending;
        Ok(Piece::Text(text))
    }

    /// Reads an element behind its first byte, with its attributes.
    fn element(&mut self, record: u8) -> Result<(), Fault> {
        let cursor = &mut self.cursor;
        let (prefix, name) = match record {
            0x40 => (NO_PREFIX, cursor.name()?),
            0x41 => (cursor.name()?, cursor.name()?),
            0x42 => (NO_PREFIX, cursor.known_name()?),
            0x43 => (cursor.name()?, cursor.known_name()?),
            0x44..=0x5d => (
                letter(record - 0x44).unwrap_or_default(),
                cursor.known_name()?,
            ),
            _ => (letter(record - 0x5e).unwrap_or_default(), cursor.name()?),
        };
        self.start.begin(Qualified { prefix, name });
        if is_attribute(self.cursor.peek()) {
            self.tell()?;
        }
        self.is_single = self.is_single();
        Ok(())
    }

    /// Reads the attributes of an element.
    fn tell(&mut self) -> Result<(), Fault> {
        let rest = self.cursor.rest();
        if let Some(length) = self.recent.tell(rest, &mut self.scope, &mut self.start) {
            return self.cursor.take(length).map(|_| ());
        }
        // A prefix may be bound behind the attributes that have it.
        let mut attributes = Attributes::default();
        self.attributes(&mut attributes)?;
        let told = self.scope.tell(&mut self.start, &attributes);
        told.map_err(|reason| self.cursor.fault(reason))?;
        let length = rest.len() - self.cursor.rest().len();
        self.recent
            .learn(rest, length, &attributes, &self.scope, &self.start);
        Ok(())
    }

    /// Reads attributes, binds prefixes, and keeps the attributes that may say something.
    fn attributes(&mut self, attributes: &mut Attributes<'a>) -> Result<(), Fault> {
        while let Some(record @ 0x04..=0x3f) = self.cursor.peek() {
            let cursor = &mut self.cursor;
            cursor.byte()?;
            let (prefix, name) = match record {
                0x04 => (NO_PREFIX, cursor.name()?),
                0x05 => (cursor.name()?, cursor.name()?),
                0x06 => (NO_PREFIX, cursor.known_name()?),
                0x07 => (cursor.name()?, cursor.known_name()?),
                0x08..=0x0b => {
                    self.bind(record)?;
                    continue;
                }
                0x0c..=0x25 => (
                    letter(record - 0x0c).unwrap_or_default(),
                    cursor.known_name()?,
                ),
                _ => (letter(record - 0x26).unwrap_or_default(), cursor.name()?),
            };
            let value = text::attribute(cursor)?;
            let kept = attributes.push(Qualified { prefix, name }, value);
            kept.map_err(|reason| self.cursor.fault(reason))?;
        }
        Ok(())
    }

    /// Reads a namespace declaration behind its first byte.
    fn bind(&mut self, record: u8) -> Result<(), Fault> {
        let cursor = &mut self.cursor;
        let (prefix, namespace) = match record {
            0x08 => (NO_PREFIX, cursor.name()?),
            0x09 => (cursor.name()?, cursor.name()?),
            0x0a => (NO_PREFIX, cursor.known_name()?),
            _ => (cursor.name()?, cursor.known_name()?),
        };
        let bound = self.scope.bind(prefix, namespace);
        bound.map_err(|reason| self.cursor.fault(reason))
    }

    /// Reads an array behind its first byte, up to its values.
    fn array(&mut self) -> Result<(), Fault> {
        let record = self.cursor.byte()?;
        if !matches!(record, 0x40..=0x77) {
            return Err(self.cursor.fault("an array without an element"));
        }
        self.scope.enter();
        self.element(record)?;
        if self.start.name().len() > MAX_ITEM_NAME {
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
        match left {
            0 => self.scope.leave(),
            _ => {
                self.array = Some(Array {
                    tag: *self.start.tag(),
                    said: self.start.take(),
                    record,
                    left,
                    is_within: false,
                });
            }
        }
        Ok(())
    }

    /// The start of an item of the array, or its value.
    fn item(&mut self) -> Result<Piece<'a>, Fault> {
        let Some(array) = &mut self.array else {
            return Err(self.cursor.fault("no array"));
        };
        array.is_within = !array.is_within;
        if array.is_within {
            self.start.begin(array.tag);
            self.start.tell(array.said.clone());
            self.scope.enter();
            self.is_single = self.is_single();
            return Ok(Piece::Start);
        }
        let record = array.record;
        array.left -= 1;
        if array.left == 0 {
            self.array = None;
            self.is_last_item = true;
        }
        self.text_piece(record)
    }
}

#[cfg(test)]
mod tests;
