//! What `DataContractSerializer` writes, be it text or binary: an element for each member, `i:type` where
//! the declared type does not say what it is, `i:nil` for null, collections of pairs as elements with `key`
//! and `value`.
//!
//! Source: *Data Contract Serializer* in the .NET documentation, and what the serializer writes.

mod generic;
mod references;
mod scope;
mod stream;

pub(super) use scope::{Attributes, MAX_PREFIXES, Scope, Space, may_say, split};
pub(super) use stream::{Elements, Named, Piece, Qualified, Said, Start, Tag, Text};

use references::{References, Referent};
use stream::{CUT, Identity, is_blank};

use super::contract::{CONTEXT, Contract, KEYED, Shape};
use super::draft::is_taken;
use super::{Draft, Fault, scalar};
use crate::context::{Full, Name, Names, Slot, Span};

/// Reads a body.
pub(super) fn read<'a>(elements: impl Elements<'a>, draft: &mut Draft) -> Result<(), Fault> {
    let mut reader = Reader {
        elements,
        draft,
        depth: 0,
        references: References::default(),
    };
    reader.root()?;
    let is_context = reader.elements.start().name() == CONTEXT.name.as_bytes();
    if !is_context || !reader.elements.is_in(&Space::Contracts) {
        return Err(reader
            .elements
            .fault("no execution context: another root element"));
    }
    reader.value(Name::NONE, Shape::Complex(&CONTEXT))?;
    reader.end()
}

struct Reader<'d, E> {
    elements: E,
    draft: &'d mut Draft,
    depth: usize,
    references: References,
}

impl<'a, E: Elements<'a>> Reader<'_, E> {
    fn root(&mut self) -> Result<(), Fault> {
        loop {
            match self.elements.next()? {
                Piece::Start => return Ok(()),
                Piece::Text(text) if is_blank(&text) => {}
                _ => return Err(self.elements.fault("an element is expected")),
            }
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        loop {
            match self.elements.next()? {
                Piece::Nothing => return Ok(()),
                Piece::Text(text) if is_blank(&text) => {}
                _ => return Err(self.elements.fault("the body goes on after its end")),
            }
        }
    }

    /// Reads the element that was started last, to its end.
    fn value(&mut self, name: Name, shape: Shape) -> Result<(), Fault> {
        let allowed = self.draft.limits.level(self.depth);
        allowed.map_err(|reason| self.elements.fault(reason))?;
        self.depth += 1;
        match self.elements.start().take() {
            None => self.shaped(name, shape),
            Some(said) => self.told(said, name, shape),
        }?;
        self.depth -= 1;
        Ok(())
    }

    /// Reads an element of which the attributes say something.
    fn told(&mut self, said: Said, name: Name, shape: Shape) -> Result<(), Fault> {
        let at = self.draft.values.place();
        let identity = said.identity.map(|identity| *identity);
        if let Some(Identity::Reference(reference)) = &identity {
            self.skip()?;
            return self.referenced(reference, name);
        }
        if said.is_nil {
            self.skip()?;
            self.push(name, Slot::Null)?;
        } else {
            match said.named {
                Named::Nothing => self.shaped(name, shape),
                named => self.named(&named, name, shape),
            }?;
        }
        if let Some(Identity::Id(id)) = identity {
            self.references.add(id, Referent::Value(at));
        }
        Ok(())
    }

    /// Adds what an element stands for that came before.
    fn referenced(&mut self, reference: &[u8], name: Name) -> Result<(), Fault> {
        match self.references.get(reference) {
            Some(Referent::Value(at)) => {
                let copied = self.draft.values.copy(at, name);
                copied.map_err(|full| self.full(full))
            }
            Some(Referent::Text(text)) => self.push(name, Slot::String(text)),
            None => {
                self.draft
                    .notes
                    .add("a reference to an element that is not there, or that this one lies in");
                self.push(name, Slot::Null)
            }
        }
    }

    fn push(&mut self, name: Name, slot: Slot) -> Result<(), Fault> {
        let pushed = self.draft.values.push(name, slot);
        pushed.map_err(|full| self.full(full))
    }

    fn open(&mut self, name: Name) -> Result<usize, Fault> {
        let opened = self.draft.values.open(name);
        opened.map_err(|full| self.full(full))
    }

    fn full(&self, full: Full) -> Fault {
        self.elements.fault(self.draft.limits.reason(full))
    }

    /// Reads an element that names its type, which counts more than the one that is declared.
    fn named(&mut self, named: &Named, name: Name, declared: Shape) -> Result<(), Fault> {
        match (named, declared) {
            (Named::Nothing, _) => self.generic(name, None),
            (Named::Known(shape), _) => self.shaped(name, *shape),
            (Named::Pairs, _) => self.dictionary(name),
            (Named::ArrayOf(item), _) => self.items(name, item),
            // What stands for a declared type has at least its members. Nothing stands for a context.
            (Named::Unknown(type_name), Shape::Complex(contract))
                if !std::ptr::eq(contract, &CONTEXT) =>
            {
                self.complex(name, contract, Some(type_name))
            }
            (Named::Unknown(type_name), _) => self.generic(name, Some(type_name)),
        }
    }

    fn shaped(&mut self, name: Name, shape: Shape) -> Result<(), Fault> {
        match shape {
            Shape::Any => self.generic(name, None),
            Shape::Complex(contract) => self.complex(name, contract, None),
            Shape::Bag(value) => self.bag(name, *value),
            Shape::List(item) => self.items(name, &Named::Known(*item)),
            shape => {
                let text = self.elements.text()?;
                let slot = scalar::read(&text, shape, self.draft);
                self.push(name, slot)
            }
        }
    }

    /// Reads over the rest of an element, whatever is in it.
    fn skip(&mut self) -> Result<(), Fault> {
        let mut depth = 0_usize;
        loop {
            match self.elements.next()? {
                Piece::Start => depth += 1,
                Piece::End if depth == 0 => return Ok(()),
                Piece::End => depth -= 1,
                Piece::Text(_) => {}
                Piece::Nothing => return Err(self.elements.fault(CUT)),
            }
        }
    }

    /// Reads members, of a type that the element may have named by itself.
    fn complex(
        &mut self,
        name: Name,
        contract: &'static Contract,
        type_name: Option<&(String, Option<String>)>,
    ) -> Result<(), Fault> {
        let at = self.open(name)?;
        let mut names = Names::default();
        let (mut next, mut count) = (0, 0);
        while self.elements.child()? {
            let noted = self.draft.notes.count();
            let (name, shape) = match contract.member(self.elements.start().name(), &mut next) {
                Some((name, shape)) => {
                    names.add_known(next - 1);
                    (Name::Known(name), shape)
                }
                None if is_taken(self.elements.start().name()) => {
                    self.leave_out()?;
                    continue;
                }
                None => {
                    let name = self.sent_name()?;
                    names.add(self.draft.values.shown(name), &self.draft.values, at);
                    (Name::Sent(name), Shape::Any)
                }
            };
            self.value(name, shape)?;
            self.draft.notes_within_name(noted, name);
            count += 1;
        }
        self.close_members(at, count, &mut names, Some(contract), type_name);
        Ok(())
    }

    /// Reads over an element whose name the document has for something else.
    fn leave_out(&mut self) -> Result<(), Fault> {
        let name = self.elements.start().name();
        self.draft.notes.left_out("member", name);
        self.skip()
    }

    /// Keeps the name of an element that no contract has.
    fn sent_name(&mut self) -> Result<Span, Fault> {
        match str::from_utf8(self.elements.start().name()) {
            Ok(name) => Ok(self.draft.values.text(name.as_bytes())),
            Err(_) => Err(self.elements.fault("a name that is not UTF-8")),
        }
    }

    fn bag(&mut self, name: Name, shape: Shape) -> Result<(), Fault> {
        let at = self.open(name)?;
        let mut names = Names::default();
        let mut count = 0;
        while self.elements.child()? {
            self.pair(shape, at, &mut names)?;
            count += 1;
        }
        self.draft.close_bag(at, count, &mut names);
        self.references.forget(at, &mut names);
        Ok(())
    }

    /// Reads the pairs of a dictionary or of a list of pairs. Where each key is a text it is a bag, else it stays a list.
    fn dictionary(&mut self, name: Name) -> Result<(), Fault> {
        let at = self.open(name)?;
        let mut count = 0;
        while self.elements.child()? {
            let noted = self.draft.notes.count();
            self.value(Name::NONE, Shape::Complex(&KEYED))?;
            self.draft.notes.within_item(noted, count);
            count += 1;
        }
        match count {
            0 => self.draft.values.close(at, 0, Slot::Bag),
            _ => self.close_list(at, count),
        }
        Ok(())
    }

    /// Ends a list, which is a bag where its items are pairs.
    fn close_list(&mut self, at: usize, count: usize) {
        self.draft.values.close(at, count, Slot::Array);
        if self.draft.pair_up(at) {
            self.references.forget_from(at + 1);
        }
    }

    /// Ends what has members, of a type that the element may have named by itself.
    fn close_members(
        &mut self,
        at: usize,
        count: usize,
        names: &mut Names,
        contract: Option<&'static Contract>,
        type_name: Option<&(String, Option<String>)>,
    ) {
        let type_at = type_name
            .map(|(name, namespace)| self.draft.values.sent_type(name, namespace.as_deref()));
        self.draft
            .close_members(at, count, names, contract, type_at);
        self.references.forget(at, names);
    }

    /// Reads a pair whose own element began: `key` and `value`, in a dictionary `Key` and `Value`.
    fn pair(&mut self, shape: Shape, bag: usize, names: &mut Names) -> Result<(), Fault> {
        let mut pair = self.draft.begin_pair(bag);
        while self.elements.child()? {
            match self.elements.start().name() {
                b"key" | b"Key" => {
                    let key = self.key()?;
                    self.draft.take_key(&mut pair, key, names);
                }
                b"value" | b"Value" => {
                    let name = self.draft.begin_value(&mut pair, names);
                    // Of an earlier value of this pair nothing is left.
                    self.references.forget_from(self.draft.values.place());
                    self.value(name, shape)?;
                }
                name => {
                    self.draft.notes.left_out("member of a pair", name);
                    self.skip()?;
                }
            }
        }
        let ended = self.draft.end_pair(&pair, names);
        ended.map_err(|reason| self.elements.fault(reason))
    }

    /// Reads a key, which may stand for an earlier text.
    fn key(&mut self) -> Result<Span, Fault> {
        let said = self.elements.start().take();
        let text = self.elements.text()?;
        let identity = said.and_then(|said| said.identity);
        match identity.map(|identity| *identity) {
            None => Ok(self.draft.values.text(&text)),
            Some(Identity::Id(id)) => {
                let text = self.draft.values.text(&text);
                self.references.add(id, Referent::Text(text));
                Ok(text)
            }
            Some(Identity::Reference(reference)) => {
                let referent = self.references.get(&reference);
                let text = referent.and_then(|referent| referent.text(&self.draft.values));
                text.ok_or_else(|| self.elements.fault("a key that refers to no earlier text"))
            }
        }
    }

    /// Reads the items of a list whose type names theirs.
    fn items(&mut self, name: Name, named: &Named) -> Result<(), Fault> {
        let at = self.open(name)?;
        let declared = match named {
            Named::Known(shape) => *shape,
            _ => Shape::Any,
        };
        let mut count = 0;
        while self.elements.child()? {
            let noted = self.draft.notes.count();
            let start = self.elements.start();
            let is_told = start
                .said()
                .is_some_and(|said| !matches!(said.named, Named::Nothing));
            if !is_told && !matches!(named, Named::Known(_)) {
                start.call(named.clone());
            }
            self.value(Name::NONE, declared)?;
            self.draft.notes.within_item(noted, count);
            count += 1;
        }
        self.draft.values.close(at, count, Slot::Array);
        Ok(())
    }
}
