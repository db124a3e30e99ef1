//! What `DataContractSerializer` writes, be it text or binary: an element for each member, `i:type` where
//! the declared type does not say what it is, `i:nil` for null, collections of pairs as elements with `key`
//! and `value`.
//!
//! Source: *Data Contract Serializer* in the .NET documentation, and what the serializer writes.

mod stream;

use smol_str::SmolStr;
pub(super) use stream::{Elements, MAX_PREFIXES, Named, Piece, Start, Tag};

use super::contract::{self, ARRAYS, CONTEXT, Contract, Shape};
use super::{Fault, MAX_DEPTH, Notes, pairs, scalar};
use crate::context::{Bag, ExecutionContext, Name, Object, TypeName, Value};

/// Reads a body.
pub(super) fn read<'a>(
    elements: impl Elements<'a>,
    notes: &mut Notes,
) -> Result<ExecutionContext, Fault> {
    let mut reader = Reader {
        elements,
        notes,
        depth: 0,
    };
    let root = reader.root()?;
    if root.name() != CONTEXT.name || !root.is_contract {
        return Err(reader
            .elements
            .fault("no execution context: another root element"));
    }
    let members = reader.complex(&CONTEXT)?;
    reader.end()?;
    Ok(ExecutionContext::new(members))
}

struct Reader<'n, E> {
    elements: E,
    notes: &'n mut Notes,
    depth: usize,
}

impl<'a, E: Elements<'a>> Reader<'_, E> {
    fn root(&mut self) -> Result<Start<E::Tag>, Fault> {
        loop {
            match self.elements.next()? {
                Piece::Start(start) => return Ok(start),
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

    /// Reads the element that `start` began, to its end.
    fn value(&mut self, start: Start<E::Tag>, shape: Shape) -> Result<Value, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(self
                .elements
                .fault(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let value = self.element(start, shape);
        self.depth -= 1;
        value
    }

    fn element(&mut self, start: Start<E::Tag>, shape: Shape) -> Result<Value, Fault> {
        if start.is_reference {
            self.notes
                .add("a reference to an earlier element, not followed");
        }
        if start.is_nil {
            self.generic(None)?;
            return Ok(Value::Null);
        }
        match start.named {
            Named::Nothing => self.shaped(shape),
            named => self.named(&named),
        }
    }

    fn named(&mut self, named: &Named) -> Result<Value, Fault> {
        match named {
            Named::Nothing => self.generic(None),
            Named::Known(shape) => self.shaped(*shape),
            Named::ArrayOf(item, _) if item.starts_with("KeyValue") => self.bag(Shape::Any),
            Named::ArrayOf(item, namespace) => {
                let item =
                    Named::new(item, namespace).map_err(|reason| self.elements.fault(reason))?;
                self.items(&item).map(Value::Array)
            }
            Named::Unknown(type_name) => self.generic(Some(type_name.clone())),
        }
    }

    fn shaped(&mut self, shape: Shape) -> Result<Value, Fault> {
        match shape {
            Shape::Any => self.generic(None),
            Shape::Complex(contract) => self.complex(contract).map(|object| {
                if std::ptr::eq(contract, &CONTEXT) {
                    Value::Context(Box::new(ExecutionContext::new(object)))
                } else {
                    Value::Object(object)
                }
            }),
            Shape::Bag(value) => self.bag(*value),
            Shape::List(item) => self.items(&Named::Known(*item)).map(Value::Array),
            shape => {
                let text = self.text()?;
                Ok(scalar::read(text, shape, self.notes))
            }
        }
    }

    /// The next element within this one; `None` at its end. Text between elements is indentation.
    fn child(&mut self) -> Result<Option<Start<E::Tag>>, Fault> {
        loop {
            match self.elements.next()? {
                Piece::Start(start) => return Ok(Some(start)),
                Piece::End => return Ok(None),
                Piece::Text(text) if is_blank(&text) => {}
                Piece::Text(_) => {
                    return Err(self.elements.fault("text where elements are expected"));
                }
                Piece::Nothing => return Err(self.cut()),
            }
        }
    }

    fn text(&mut self) -> Result<String, Fault> {
        let mut text = String::new();
        loop {
            match self.elements.next()? {
                Piece::Text(more) if text.is_empty() => text = more.into_owned(),
                Piece::Text(more) => text.push_str(&more),
                Piece::End => return Ok(text),
                Piece::Start(_) => {
                    return Err(self.elements.fault("an element where text is expected"));
                }
                Piece::Nothing => return Err(self.cut()),
            }
        }
    }

    fn complex(&mut self, contract: &'static Contract) -> Result<Object, Fault> {
        let mut members = Vec::new();
        let mut next = 0;
        while let Some(start) = self.child()? {
            let noted = self.notes.list.len();
            let (name, shape) = match contract.member(start.name(), &mut next) {
                Some((name, shape)) => (Name::Borrowed(name), shape),
                None => (Name::Owned(start.name().to_owned()), Shape::Any),
            };
            let value = self.value(start, shape)?;
            self.notes.within(noted, &name);
            members.push((name, value));
        }
        let type_name = (!contract.name.is_empty()).then_some(TypeName {
            name: contract.name.into(),
            namespace: None,
        });
        Ok(Object::new(type_name, members, |name| {
            self.notes.repeated("member", name)
        }))
    }

    fn bag(&mut self, shape: Shape) -> Result<Value, Fault> {
        let mut entries = Vec::new();
        while self.child()?.is_some() {
            entries.push(self.pair(shape)?);
        }
        Ok(Value::Bag(Bag::new(entries, |key| {
            self.notes.repeated("key", key)
        })))
    }

    /// Reads a pair whose own element began: `key` and `value`, in a dictionary `Key` and `Value`.
    fn pair(&mut self, shape: Shape) -> Result<(SmolStr, Value), Fault> {
        let noted = self.notes.list.len();
        let (mut key, mut value) = (None, None);
        while let Some(start) = self.child()? {
            match start.name() {
                "key" | "Key" => key = Some(SmolStr::from(self.text()?)),
                "value" | "Value" => value = Some(self.value(start, shape)?),
                _ => drop(self.value(start, Shape::Any)?),
            }
        }
        let key = key.ok_or_else(|| self.elements.fault("a key/value pair without a key"))?;
        self.notes.within(noted, &key);
        Ok((key, value.unwrap_or(Value::Null)))
    }

    /// Reads the items of a list whose type names theirs.
    fn items(&mut self, named: &Named) -> Result<Vec<Value>, Fault> {
        let mut items = Vec::new();
        while let Some(mut start) = self.child()? {
            let noted = self.notes.list.len();
            if matches!(start.named, Named::Nothing) {
                start.named = named.clone();
            }
            items.push(self.value(start, Shape::Any)?);
            self.notes.within_item(noted, items.len() - 1);
        }
        Ok(items)
    }

    /// Reads an element that no contract describes: as text, as a list where its elements say so, else
    /// as members.
    fn generic(&mut self, type_name: Option<TypeName>) -> Result<Value, Fault> {
        let mut text = String::new();
        let mut children = Children::default();
        loop {
            match self.elements.next()? {
                Piece::Text(more) => text.push_str(&more),
                Piece::Start(start) => self.generic_child(start, &mut children)?,
                Piece::End => break,
                Piece::Nothing => return Err(self.cut()),
            }
        }
        if !children.members.is_empty() {
            return Ok(children.into_value(type_name, self.notes));
        }
        let Some(type_name) = type_name else {
            return Ok(Value::String(text.into()));
        };
        let content =
            (!text.is_empty()).then_some((Name::Borrowed("@value"), Value::String(text.into())));
        let members = content.into_iter().collect();
        Ok(Value::Object(Object::new(Some(type_name), members, |_| {})))
    }

    fn generic_child(
        &mut self,
        start: Start<E::Tag>,
        children: &mut Children,
    ) -> Result<(), Fault> {
        let noted = self.notes.list.len();
        let name = start.name().to_owned();
        let is_item = start.is_primitive_item;
        let shape = match is_item {
            true => contract::known(&name, ARRAYS).unwrap_or(Shape::Any),
            false => Shape::Any,
        };
        let value = self.value(start, shape)?;
        self.notes.within(noted, &name);
        children.are_items &= is_item;
        children.members.push((name.into(), value));
        Ok(())
    }

    fn cut(&self) -> Fault {
        self.elements.fault("the body ends within an element")
    }
}

/// What an element without a contract holds.
struct Children {
    members: Vec<(Name, Value)>,
    are_items: bool,
}

impl Default for Children {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            are_items: true,
        }
    }
}

impl Children {
    fn into_value(self, type_name: Option<TypeName>, notes: &mut Notes) -> Value {
        if self.are_items || self.are_repeated() {
            let items = self.members.into_iter().map(|(_, value)| value).collect();
            return pairs(items, notes);
        }
        Value::Object(Object::new(type_name, self.members, |name| {
            notes.repeated("member", name)
        }))
    }

    /// Elements of one name are the items of a list; a single one is too if its name says "pair".
    fn are_repeated(&self) -> bool {
        let first = &self.members[0].0;
        let are_same = self.members.iter().all(|(name, _)| name == first);
        are_same && (self.members.len() > 1 || first.starts_with("KeyValue"))
    }
}

fn is_blank(text: &str) -> bool {
    text.trim_matches([' ', '\t', '\r', '\n']).is_empty()
}
