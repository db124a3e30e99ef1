//! A walk along AMQP values that makes them safe to decode, byte by byte and in place.
//!
//! The crate's decoder goes one call deeper for each level of nesting and believes counts over sizes.
//! So the walk keeps levels few and counts true. A compound that is nested too deep becomes a binary of
//! the same length: `list32` and `vbin32` differ in their first byte alone, as `list8` and `vbin8` do.
//! What has no size to skip by, a described value, and what contradicts itself is a flaw.
//!
//! Bodies are not looked into, for they are never decoded. A map of application properties holds simple
//! values only, so a compound in it is changed whatever its depth. Arrays in messages are changed too:
//! the decoder loses its place in one that is empty or has compounds as elements.
//!
//! Source: AMQP 1.0, sections 1.6 (types) and 3.2 (sections of a message).

use super::constructor::{DESCRIBED, NULL, Shape, binary, shape, width};
use super::{BEYOND, Flaw, NO_DESCRIPTOR, NO_ROOM, NO_VALUE, SHORT, TOO_DEEP};

/// A section or performative, and what it holds directly, may hold so many levels more.
pub(in crate::receiver) const MAX_NESTING: usize = 32;
/// A section and its own value are two levels.
const MAX_LEVELS: usize = MAX_NESTING + 2;
/// The fields of a performative that are noted, counted from its first.
const NOTED: usize = 10;

const CUT_SHORT: Flaw = "it ends within a value";

/// What is walked along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::receiver) enum Subject {
    /// The sections of a message, up to its end.
    Message,
    /// One described list.
    Performative,
    /// One value of any type.
    Value,
}

/// Where a walk has come to. It holds no bytes, and never more than a fixed number of levels.
#[derive(Debug)]
pub(in crate::receiver) struct Walk {
    subject: Subject,
    levels: Vec<Level>,
    next: Next,
    position: u64,
    end: u64,
    is_done: bool,
    code: Option<u64>,
    fields: [u64; NOTED],
    field_count: u32,
}

/// An open described value, compound or array.
#[derive(Debug, Clone, Copy)]
struct Level {
    end: u64,
    taken: u32,
    left: u32,
    is_described: bool,
    /// The width of the elements' sizes, in an array: its elements have no constructors.
    element: Option<u8>,
    inside: Inside,
}

/// What becomes of the compounds in a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Walked,
    Skipped,
    Changed,
    /// The compound is walked along, and those in it are skipped or changed.
    SkippedBelow,
    ChangedBelow,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Constructor,
    Number { left: u8, value: u64, of: Number },
    ElementConstructor { end: u64, count: u32 },
    Skip(u64),
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Scalar,
    VariableSize,
    Size { constructor: u8 },
    Count { constructor: u8, end: u64 },
}

impl Walk {
    /// Begins at a first constructor; nothing may go beyond `end` bytes.
    pub(in crate::receiver) fn new(subject: Subject, end: u64) -> Self {
        Self {
            subject,
            levels: Vec::new(),
            next: Next::Constructor,
            position: 0,
            end,
            is_done: false,
            code: None,
            fields: [0; NOTED],
            field_count: 0,
        }
    }

    /// Begins again, and keeps its memory.
    pub(in crate::receiver) fn restart(&mut self, end: u64) {
        self.levels.clear();
        self.next = Next::Constructor;
        self.position = 0;
        self.end = end;
        self.is_done = false;
        self.code = None;
        if std::mem::take(&mut self.field_count) > 0 {
            self.fields = [0; NOTED];
        }
    }

    /// Walks on, and says how many bytes it took: all, unless what was to be walked ends before.
    pub(in crate::receiver) fn feed(&mut self, bytes: &mut [u8]) -> Result<usize, Flaw> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done {
            let room = bytes.len() - at;
            let taken = match self.next {
                Next::Skip(left) => left.min(room as u64) as usize,
                Next::Number { left, .. } => room.min(usize::from(left)),
                Next::Constructor | Next::ElementConstructor { .. } => 1,
            };
            self.position += taken as u64;
            self.step(&mut bytes[at..at + taken])?;
            at += taken;
        }
        Ok(at)
    }

    /// True between two sections, or behind the one value.
    pub(in crate::receiver) fn is_whole(&self) -> bool {
        self.levels.is_empty() && matches!(self.next, Next::Constructor)
    }

    /// True behind the one value.
    pub(in crate::receiver) fn is_done(&self) -> bool {
        self.is_done
    }

    /// The descriptor's code.
    pub(in crate::receiver) fn code(&self) -> Option<u64> {
        self.code
    }

    /// How many fields the performative has.
    pub(in crate::receiver) fn field_count(&self) -> u32 {
        self.field_count
    }

    /// A field that is a number or a truth value; 0 where it is missing.
    pub(in crate::receiver) fn field(&self, index: usize) -> u64 {
        self.fields[index]
    }

    /// Takes bytes that belong to one step, though perhaps not all that it needs.
    fn step(&mut self, bytes: &mut [u8]) -> Result<(), Flaw> {
        match self.next {
            Next::Constructor => self.constructor(&mut bytes[0]),
            Next::ElementConstructor { end, count } => self.elements(&mut bytes[0], end, count),
            Next::Number { left, value, of } => {
                let value = bytes
                    .iter()
                    .fold(value, |value, byte| value << 8 | u64::from(*byte));
                match left - bytes.len() as u8 {
                    0 => self.number(value, of),
                    left => {
                        self.next = Next::Number { left, value, of };
                        Ok(())
                    }
                }
            }
            Next::Skip(left) => self.skip(left - bytes.len() as u64),
        }
    }

    fn constructor(&mut self, byte: &mut u8) -> Result<(), Flaw> {
        if self.position > self.bound() {
            return Err(BEYOND);
        }
        let is_descriptor = self.levels.last().is_some_and(Level::is_at_descriptor);
        if is_descriptor && !matches!(*byte, 0x44 | 0x53 | 0x80 | 0xa3 | 0xb3) {
            return Err(NO_DESCRIPTOR);
        }
        match (self.subject, self.levels.len()) {
            (Subject::Message | Subject::Performative, 0) if *byte != DESCRIBED => {
                return Err("a section has no descriptor");
            }
            (Subject::Performative, 1)
                if !is_descriptor && !matches!(*byte, 0x45 | 0xc0 | 0xd0) =>
            {
                return Err("a performative is no list");
            }
            _ if *byte == DESCRIBED => return self.described(),
            _ => {}
        }
        match shape(*byte)? {
            Shape::Fixed(width) => self.fixed(*byte, width),
            Shape::Variable(width) => self.read(width, Number::VariableSize),
            Shape::Compound(width) | Shape::Array(width) => {
                if self.is_changed(*byte) {
                    *byte = binary(width);
                    return self.read(width, Number::VariableSize);
                }
                let constructor = *byte;
                self.read(
                    width,
                    match self.inside() {
                        Inside::Skipped => Number::VariableSize,
                        _ => Number::Size { constructor },
                    },
                )
            }
        }
    }

    fn is_changed(&self, constructor: u8) -> bool {
        let is_array = matches!(shape(constructor), Ok(Shape::Array(_)));
        match self.inside() {
            Inside::Skipped => false,
            Inside::Changed => true,
            _ if is_array && self.subject == Subject::Message => true,
            _ => self.levels.len() >= MAX_LEVELS,
        }
    }

    fn described(&mut self) -> Result<(), Flaw> {
        if self.levels.len() >= MAX_LEVELS {
            return Err(TOO_DEEP);
        }
        if self.levels.is_empty() {
            self.code = None;
        }
        let inside = match self.inside() {
            Inside::Skipped => Inside::Skipped,
            _ => Inside::Walked,
        };
        self.levels.push(Level {
            end: self.bound(),
            taken: 0,
            left: 2,
            is_described: true,
            element: None,
            inside,
        });
        Ok(())
    }

    fn fixed(&mut self, constructor: u8, width: u8) -> Result<(), Flaw> {
        if self.position + u64::from(width) > self.bound() {
            return Err(BEYOND);
        }
        if !self.is_noted() || width > 8 {
            return self.skip(u64::from(width));
        }
        if width == 0 {
            return self.number(u64::from(constructor == 0x41), Number::Scalar);
        }
        self.read(width, Number::Scalar)
    }

    /// True for the descriptor of the whole, and for the fields of a performative.
    fn is_noted(&self) -> bool {
        match self.levels.as_slice() {
            [level] => level.is_at_descriptor(),
            [_, _] => self.subject == Subject::Performative,
            _ => false,
        }
    }

    fn note(&mut self, value: u64) {
        match self.levels.as_slice() {
            [level] if level.is_at_descriptor() => self.code = Some(value),
            [_, list] => {
                let index = list.taken as usize;
                if let Some(field) = self.fields.get_mut(index) {
                    *field = value;
                }
            }
            _ => {}
        }
    }

    fn number(&mut self, value: u64, of: Number) -> Result<(), Flaw> {
        match of {
            Number::Scalar => {
                self.note(value);
                self.completed()
            }
            Number::VariableSize if value > self.room() => Err(BEYOND),
            Number::VariableSize => self.skip(value),
            Number::Size { .. } if value > self.room() => Err(BEYOND),
            Number::Size { constructor } => {
                let width = width(constructor);
                if value < u64::from(width) {
                    return Err(NO_ROOM);
                }
                let end = self.position + value;
                self.read(width, Number::Count { constructor, end })
            }
            Number::Count { constructor, end } => self.counted(constructor, end, value as u32),
        }
    }

    fn counted(&mut self, constructor: u8, end: u64, count: u32) -> Result<(), Flaw> {
        if let Ok(Shape::Array(_)) = shape(constructor) {
            if self.position < end {
                self.next = Next::ElementConstructor { end, count };
                return Ok(());
            }
            return if count == 0 {
                self.completed()
            } else {
                Err(BEYOND)
            };
        }
        if matches!(constructor, 0xc1 | 0xd1) && count % 2 == 1 {
            return Err(NO_VALUE);
        }
        if u64::from(count) > end - self.position {
            return Err(BEYOND);
        }
        if self.levels.len() == 1 {
            self.field_count = count;
        }
        self.open(end, count, None)
    }

    /// The constructor that all elements of an array share.
    fn elements(&mut self, byte: &mut u8, end: u64, count: u32) -> Result<(), Flaw> {
        let room = end - self.position;
        if count == 0 {
            // The decoder leaves this byte unread, and would take it for the next value's constructor.
            *byte = NULL;
            return if room == 0 {
                self.completed()
            } else {
                Err(SHORT)
            };
        }
        match shape(*byte)? {
            Shape::Fixed(width) if u64::from(width) * u64::from(count) == room => self.skip(room),
            Shape::Fixed(_) => Err(SHORT),
            Shape::Variable(width) => self.open(end, count, Some(width)),
            Shape::Compound(width) | Shape::Array(width) => {
                *byte = binary(width);
                self.open(end, count, Some(width))
            }
        }
    }

    fn open(&mut self, end: u64, count: u32, element: Option<u8>) -> Result<(), Flaw> {
        if count == 0 {
            return if self.position == end {
                self.completed()
            } else {
                Err(SHORT)
            };
        }
        let inside = match self.inside() {
            Inside::SkippedBelow => Inside::Skipped,
            Inside::ChangedBelow => Inside::Changed,
            _ => Inside::Walked,
        };
        self.levels.push(Level {
            end,
            taken: 0,
            left: count,
            is_described: false,
            element,
            inside,
        });
        self.expect_value();
        Ok(())
    }

    /// A value is behind us, and with it perhaps what it was the last of.
    fn completed(&mut self) -> Result<(), Flaw> {
        while let Some(level) = self.levels.last_mut() {
            level.taken += 1;
            level.left -= 1;
            let level = *level;
            if level.left > 0 {
                self.described_by_now(level);
                self.expect_value();
                return Ok(());
            }
            if !level.is_described && self.position != level.end {
                return Err(SHORT);
            }
            self.levels.pop();
        }
        self.next = Next::Constructor;
        self.is_done = self.subject != Subject::Message;
        Ok(())
    }

    /// Behind its descriptor it is known what a section is.
    fn described_by_now(&mut self, level: Level) {
        if self.subject != Subject::Message || self.levels.len() != 1 || !level.is_described {
            return;
        }
        let inside = match self.code {
            Some(0x74) => Inside::ChangedBelow,
            Some(0x75 | 0x77) => Inside::Skipped,
            Some(0x76) => Inside::SkippedBelow,
            _ => Inside::Walked,
        };
        if let Some(level) = self.levels.last_mut() {
            level.inside = inside;
        }
    }

    fn expect_value(&mut self) {
        let element = self.levels.last().and_then(|level| level.element);
        self.next = element.map_or(Next::Constructor, |left| Next::Number {
            left,
            value: 0,
            of: Number::VariableSize,
        });
    }

    fn read(&mut self, left: u8, of: Number) -> Result<(), Flaw> {
        if u64::from(left) > self.room() {
            return Err(BEYOND);
        }
        let value = 0;
        self.next = Next::Number { left, value, of };
        Ok(())
    }

    fn skip(&mut self, left: u64) -> Result<(), Flaw> {
        if left == 0 {
            return self.completed();
        }
        self.next = Next::Skip(left);
        Ok(())
    }

    fn inside(&self) -> Inside {
        self.levels
            .last()
            .map_or(Inside::Walked, |level| level.inside)
    }

    fn bound(&self) -> u64 {
        self.levels.last().map_or(self.end, |level| level.end)
    }

    fn room(&self) -> u64 {
        self.bound().saturating_sub(self.position)
    }
}

impl Level {
    fn is_at_descriptor(&self) -> bool {
        self.is_described && self.taken == 0
    }
}

/// Makes one encoded value safe to decode.
pub(in crate::receiver) fn make_safe(encoded: &mut [u8]) -> Result<(), Flaw> {
    let mut walk = Walk::new(Subject::Value, encoded.len() as u64);
    walk.feed(encoded)?;
    if walk.is_done() {
        Ok(())
    } else {
        Err(CUT_SHORT)
    }
}

#[cfg(test)]
pub(in crate::receiver) mod tests;
