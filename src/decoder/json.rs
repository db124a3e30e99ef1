//! `DataContractJsonSerializer`'s shape: objects with `__type` where the declared type is `object`,
//! collections of pairs as arrays of `{"key", "value"}`, dates as `/Date(ms)/`.
//!
//! Source: *Stand-Alone JSON Serialization* in the .NET documentation, and what the serializer writes.

mod hints;
mod lexer;

use hints::{Hint, Hints};
use lexer::Lexer;

use super::contract::{CONTEXT, Contract, Shape};
use super::draft::is_taken;
use super::{Draft, Fault, date, scalar};
use crate::context::{Full, Name, Names, NumberKind, Slot, Span, is_date_time, is_number};

/// Reads a body. Members that are not of their declared type are kept as they came.
pub(super) fn read(text: &str, draft: &mut Draft) -> Result<(), Fault> {
    let mut reader = Reader {
        lexer: Lexer::new(text),
        hints: Hints::new(text),
        draft,
        depth: 0,
    };
    if reader.lexer.peek() != Some(b'{') {
        return Err(reader.lexer.fault("an object is expected"));
    }
    reader.value(Name::NONE, Shape::Complex(&CONTEXT))?;
    match reader.lexer.peek() {
        Some(_) => Err(reader.lexer.fault("the body goes on after its end")),
        None => Ok(()),
    }
}

struct Reader<'a, 'd> {
    lexer: Lexer<'a>,
    hints: Hints<'a>,
    draft: &'d mut Draft,
    depth: usize,
}

impl Reader<'_, '_> {
    fn value(&mut self, name: Name, shape: Shape) -> Result<(), Fault> {
        match self.lexer.peek() {
            Some(b'"') => self.string(name, shape),
            Some(b'{') => self.nested(|reader| reader.object(name, shape)),
            Some(b'[') => self.nested(|reader| reader.array(name, shape)),
            Some(b't') => self.word(name, "true", Slot::Bool(true)),
            Some(b'f') => self.word(name, "false", Slot::Bool(false)),
            Some(b'n') => self.word(name, "null", Slot::Null),
            _ => self.number(name, shape),
        }
    }

    fn push(&mut self, name: Name, slot: Slot) -> Result<(), Fault> {
        let pushed = self.draft.values.push(name, slot);
        pushed.map_err(|full| self.full(full))
    }

    fn full(&self, full: Full) -> Fault {
        self.lexer.fault(self.draft.limits.reason(full))
    }

    fn word(&mut self, name: Name, word: &'static str, slot: Slot) -> Result<(), Fault> {
        self.lexer.word(word)?;
        self.push(name, slot)
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        let allowed = self.draft.limits.level(self.depth);
        allowed.map_err(|reason| self.lexer.fault(reason))?;
        self.depth += 1;
        read(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn number(&mut self, name: Name, shape: Shape) -> Result<(), Fault> {
        let text = match self.lexer.whole_number() {
            Some(text) => text,
            None => {
                let before = self.lexer.clone();
                let text = self.lexer.number();
                if !is_number(text.as_bytes()) {
                    return Err(before.fault("a value is expected"));
                }
                text
            }
        };
        if let (Shape::Enum(names), Ok(place)) = (shape, text.parse::<usize>())
            && let Some(member) = names.get(place)
        {
            let span = self.draft.values.text(member.as_bytes());
            return self.push(name, Slot::String(span));
        }
        let kind = match shape {
            Shape::Number(kind) => kind,
            _ => NumberKind::Unknown,
        };
        let span = self.draft.values.text(text.as_bytes());
        self.push(name, Slot::Number(kind, span))
    }

    fn string(&mut self, name: Name, shape: Shape) -> Result<(), Fault> {
        let span = self.text()?;
        let slot = self.text_slot(span, shape);
        self.push(name, slot)
    }

    /// Reads a string and keeps it.
    fn text(&mut self) -> Result<Span, Fault> {
        self.lexer.expect(b'"', "a string")?;
        let values = &mut self.draft.values;
        match self.lexer.string_start()? {
            (plain, true) => Ok(values.text(plain.as_bytes())),
            (plain, false) => {
                let span = values.write(|texts| {
                    texts.extend_from_slice(plain.as_bytes());
                    self.lexer
                        .string_rest(|part| texts.extend_from_slice(part.as_bytes()))
                })?;
                self.note_half();
                Ok(span)
            }
        }
    }

    /// Notes half a surrogate pair in the string that was read last.
    fn note_half(&mut self) {
        if self.lexer.take_half() {
            let notes = &mut self.draft.notes;
            notes.add("half a surrogate pair, shown as U+FFFD");
        }
    }

    /// What a string is where `shape` is declared.
    fn text_slot(&mut self, span: Span, shape: Shape) -> Slot {
        let values = &mut self.draft.values;
        let text = values.shown(span);
        let date = match shape {
            Shape::Guid if scalar::is_guid(text) => {
                values.lowercase(span);
                return Slot::Guid(span);
            }
            Shape::Any if text.starts_with(b"/Date(") => date::from_json(text),
            Shape::Created => date::created_from_json(text),
            Shape::DateTime if is_date_time(text) => return Slot::DateTime(span),
            Shape::DateTime => date::from_json(text),
            _ => None,
        };
        if let Some(date) = date {
            values.forget(span);
            return Slot::DateTime(values.text(date.as_bytes()));
        }
        if matches!(shape, Shape::Guid | Shape::Created | Shape::DateTime) {
            scalar::unlike(shape, &mut self.draft.notes);
        }
        Slot::String(span)
    }

    fn array(&mut self, name: Name, shape: Shape) -> Result<(), Fault> {
        self.lexer.expect(b'[', "an array")?;
        if let Shape::Bag(value) = shape {
            return self.bag(name, *value);
        }
        let item = match shape {
            Shape::List(item) => *item,
            _ => Shape::Any,
        };
        let at = self.open(name)?;
        let mut count = 0;
        while self.lexer.another(b']', count == 0)? {
            let noted = self.draft.notes.count();
            self.value(Name::NONE, item)?;
            self.draft.notes.within_item(noted, count);
            count += 1;
        }
        self.draft.values.close(at, count, Slot::Array);
        if !matches!(shape, Shape::List(_)) {
            self.draft.pair_up(at);
        }
        Ok(())
    }

    fn open(&mut self, name: Name) -> Result<usize, Fault> {
        let opened = self.draft.values.open(name);
        opened.map_err(|full| self.full(full))
    }

    fn bag(&mut self, name: Name, shape: Shape) -> Result<(), Fault> {
        let at = self.open(name)?;
        let mut names = Names::default();
        let mut count = 0;
        while self.lexer.another(b']', count == 0)? {
            self.pair(shape, at, &mut names)?;
            count += 1;
        }
        self.draft.close_bag(at, count, &mut names);
        Ok(())
    }

    /// Reads `{"key": ..., "value": ...}` with its members in any order, as an entry of the bag at `bag`.
    fn pair(&mut self, shape: Shape, bag: usize, names: &mut Names) -> Result<(), Fault> {
        let mut pair = self.draft.begin_pair(bag);
        self.lexer.expect(b'{', "a key/value pair")?;
        let mut is_first = true;
        while self.lexer.another(b'}', is_first)? {
            is_first = false;
            match self.part_of_pair()? {
                Part::Key => {
                    let key = self.text()?;
                    self.draft.take_key(&mut pair, key, names);
                }
                Part::Value => {
                    let name = self.draft.begin_value(&mut pair, names);
                    self.value(name, shape)?;
                }
                Part::Other => self.lexer.skip()?,
            }
        }
        let ended = self.draft.end_pair(&pair, names);
        ended.map_err(|reason| self.lexer.fault(reason))
    }

    /// Reads the name of a member of a pair.
    fn part_of_pair(&mut self) -> Result<Part, Fault> {
        if self.lexer.accept_name("key") {
            return Ok(Part::Key);
        }
        if self.lexer.accept_name("value") {
            return Ok(Part::Value);
        }
        let name = self.lexer.name()?;
        self.note_half();
        Ok(match &*name {
            "key" => Part::Key,
            "value" => Part::Value,
            "__type" => Part::Other,
            name => {
                self.draft
                    .notes
                    .left_out("member of a pair", name.as_bytes());
                Part::Other
            }
        })
    }

    fn object(&mut self, name: Name, shape: Shape) -> Result<(), Fault> {
        let start = self.lexer.clone();
        self.lexer.expect(b'{', "an object")?;
        let mut hint = self.first_hint()?;
        let is_first = hint.is_none();
        if hint.is_none() && matches!(shape, Shape::Any) {
            hint = self.hints.later(&start, self.draft)?;
        }
        let declared = match shape {
            Shape::Complex(contract) => Some(contract),
            _ => None,
        };
        let contract = hint.and_then(|hint| hint.contract).or(declared);
        let at = self.open(name)?;
        let (count, mut names) = self.members(at, contract, is_first)?;
        let type_at = hint.and_then(|hint| hint.type_at);
        self.draft
            .close_members(at, count, &mut names, contract, type_at);
        Ok(())
    }

    /// Reads the members of the object at `at`; gives back how many there are.
    fn members(
        &mut self,
        at: usize,
        contract: Option<&'static Contract>,
        mut is_first: bool,
    ) -> Result<(usize, Names), Fault> {
        let mut names = Names::default();
        let mut next = 0;
        let mut count = 0;
        while self.lexer.another(b'}', is_first)? {
            is_first = false;
            let noted = self.draft.notes.count();
            let expected = contract.and_then(|contract| contract.expected(next));
            let (name, shape) = match expected {
                Some((name, shape)) if self.lexer.accept_name(name) => {
                    names.add_known(next);
                    next += 1;
                    (Name::Known(name), shape)
                }
                _ => match self.other_member(at, contract, &mut next, &mut names)? {
                    Some(member) => member,
                    None => continue,
                },
            };
            self.value(name, shape)?;
            self.draft.notes_within_name(noted, name);
            count += 1;
        }
        Ok((count, names))
    }

    /// Reads the name of a member that is not the next one of the contract; none where it was `__type` or one that the
    /// document has for something else, which is read over.
    fn other_member(
        &mut self,
        at: usize,
        contract: Option<&'static Contract>,
        next: &mut usize,
        names: &mut Names,
    ) -> Result<Option<(Name, Shape)>, Fault> {
        let name = self.lexer.name()?;
        self.note_half();
        if name == "__type" && self.lexer.peek() == Some(b'"') {
            self.lexer.skip()?;
            return Ok(None);
        }
        if is_taken(name.as_bytes()) {
            self.draft.notes.left_out("member", name.as_bytes());
            self.lexer.skip()?;
            return Ok(None);
        }
        let values = &mut self.draft.values;
        Ok(Some(
            match contract.and_then(|contract| contract.member(name.as_bytes(), next)) {
                Some((name, shape)) => {
                    names.add_known(*next - 1);
                    (Name::Known(name), shape)
                }
                None => {
                    names.add(name.as_bytes(), values, at);
                    (Name::Sent(values.text(name.as_bytes())), Shape::Any)
                }
            },
        ))
    }

    /// Reads `__type` where it is the first member of the object that has begun, which is where the
    /// serializer writes it.
    fn first_hint(&mut self) -> Result<Option<Hint>, Fault> {
        let before = self.lexer.clone();
        if self.lexer.peek() == Some(b'"')
            && *self.lexer.name()? == *"__type"
            && self.lexer.peek() == Some(b'"')
        {
            let raw = self.lexer.raw_string()?;
            let hint = self.hints.read(raw, self.draft);
            return hint
                .map(Some)
                .map_err(|fault| self.lexer.fault(fault.into_parts().1));
        }
        self.lexer = before;
        Ok(None)
    }
}

/// What a member of a pair is.
enum Part {
    Key,
    Value,
    Other,
}
