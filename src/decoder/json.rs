//! `DataContractJsonSerializer`'s shape: objects with `__type` where the declared type is `object`,
//! collections of pairs as arrays of `{"key", "value"}`, dates as `/Date(ms)/`.
//!
//! Source: *Stand-Alone JSON Serialization* in the .NET documentation, and what the serializer writes.

mod lexer;

use std::borrow::Cow;

use lexer::Lexer;
use smol_str::SmolStr;

use super::contract::{self, CLR, CONTEXT, Contract, PAIR, Shape};
use super::{Fault, MAX_DEPTH, Notes, date, scalar};
use crate::context::{
    Bag, DateTime, ExecutionContext, Name, Number, NumberKind, Object, TypeName, Value,
};

/// Reads a body. Members that are not of their declared type are kept as they came.
pub(super) fn read(text: &str, notes: &mut Notes) -> Result<ExecutionContext, Fault> {
    let mut reader = Reader {
        lexer: Lexer::new(text),
        notes,
        depth: 0,
    };
    if reader.lexer.peek() != Some(b'{') {
        return Err(reader.lexer.fault("an object is expected"));
    }
    let context = reader.value(Shape::Complex(&CONTEXT))?;
    if reader.lexer.peek().is_some() {
        return Err(reader.lexer.fault("the body goes on after its end"));
    }
    match context {
        Value::Context(context) => Ok(*context),
        _ => Err(reader
            .lexer
            .fault("no execution context: the body names another type")),
    }
}

struct Reader<'a, 'n> {
    lexer: Lexer<'a>,
    notes: &'n mut Notes,
    depth: usize,
}

impl<'a> Reader<'a, '_> {
    fn value(&mut self, shape: Shape) -> Result<Value, Fault> {
        match self.lexer.peek() {
            Some(b'{') => self.nested(|reader| reader.object(shape)),
            Some(b'[') => self.nested(|reader| reader.array(shape)),
            Some(b'"') => self.string(shape),
            Some(b't') => self.lexer.word("true").map(|()| Value::Bool(true)),
            Some(b'f') => self.lexer.word("false").map(|()| Value::Bool(false)),
            Some(b'n') => self.lexer.word("null").map(|()| Value::Null),
            _ => self.number(shape),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value, Fault>,
    ) -> Result<Value, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(self
                .lexer
                .fault(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn number(&mut self, shape: Shape) -> Result<Value, Fault> {
        let before = self.lexer.fault("a value is expected");
        let text = self.lexer.number();
        let kind = match shape {
            Shape::Number(kind) => kind,
            _ => NumberKind::Unknown,
        };
        let Some(number) = Number::new(text, kind) else {
            return Err(before);
        };
        if let (Shape::Enum(names), Ok(place)) = (shape, text.parse::<usize>())
            && let Some(name) = names.get(place)
        {
            return Ok(Value::String(SmolStr::new_static(name)));
        }
        Ok(Value::Number(number))
    }

    fn string(&mut self, shape: Shape) -> Result<Value, Fault> {
        let text = self.lexer.string()?;
        let value = match shape {
            Shape::Any => date::from_json(&text).map(Value::DateTime),
            Shape::Guid => scalar::guid(&text).map(Value::Guid),
            Shape::Created => date::created_from_json(&text).map(Value::DateTime),
            Shape::DateTime => date::from_json(&text)
                .or_else(|| DateTime::new(&*text))
                .map(Value::DateTime),
            _ => None,
        };
        Ok(match (value, shape) {
            (Some(value), _) => value,
            (None, Shape::Guid | Shape::Created | Shape::DateTime) => {
                scalar::unlike(text.into(), shape, self.notes)
            }
            (None, _) => Value::String(text.into()),
        })
    }

    fn array(&mut self, shape: Shape) -> Result<Value, Fault> {
        self.lexer.expect(b'[', "an array")?;
        match shape {
            Shape::Bag(value) => self.bag(*value),
            Shape::List(item) => self.items(*item).map(Value::Array),
            _ => {
                let items = self.items(Shape::Any)?;
                Ok(super::pairs(items, self.notes))
            }
        }
    }

    fn items(&mut self, shape: Shape) -> Result<Vec<Value>, Fault> {
        let mut items = Vec::new();
        while self.lexer.another(b']', items.is_empty())? {
            let noted = self.notes.list.len();
            items.push(self.value(shape)?);
            self.notes.within_item(noted, items.len() - 1);
        }
        Ok(items)
    }

    fn bag(&mut self, shape: Shape) -> Result<Value, Fault> {
        let mut entries = Vec::new();
        while self.lexer.another(b']', entries.is_empty())? {
            entries.push(self.pair(shape)?);
        }
        Ok(Value::Bag(Bag::new(entries, |key| {
            self.notes.repeated("key", key)
        })))
    }

    /// Reads `{"key": ..., "value": ...}` with its members in any order.
    fn pair(&mut self, shape: Shape) -> Result<(SmolStr, Value), Fault> {
        let noted = self.notes.list.len();
        self.lexer.expect(b'{', "a key/value pair")?;
        let (mut key, mut value) = (None, None);
        let mut is_first = true;
        while self.lexer.another(b'}', is_first)? {
            is_first = false;
            let name = self.lexer.string()?;
            self.lexer.expect(b':', "a colon")?;
            match &*name {
                "key" => key = Some(SmolStr::from(self.lexer.string()?)),
                "value" => value = Some(self.value(shape)?),
                _ => self.lexer.skip()?,
            }
        }
        let key = key.ok_or_else(|| self.lexer.fault("a key/value pair without a key"))?;
        self.notes.within(noted, &key);
        Ok((key, value.unwrap_or(Value::Null)))
    }

    fn object(&mut self, shape: Shape) -> Result<Value, Fault> {
        self.lexer.expect(b'{', "an object")?;
        let first = self.first_hint()?;
        let is_first = first.is_none();
        let hint = match first {
            None if matches!(shape, Shape::Any) => self.later_hint()?,
            first => first,
        };
        let declared = match shape {
            Shape::Complex(contract) => Some(contract),
            _ => None,
        };
        let hinted = hint.as_deref().map(parse_hint);
        let contract = hinted
            .as_ref()
            .and_then(|(contract, _)| *contract)
            .or(declared);
        let type_name = match hinted {
            Some((_, type_name)) => Some(type_name),
            None => contract
                .filter(|contract| !contract.name.is_empty())
                .map(|contract| TypeName {
                    name: contract.name.into(),
                    namespace: None,
                }),
        };
        let members = self.members(contract, is_first)?;
        let object = Object::new(type_name, members, |name| {
            self.notes.repeated("member", name)
        });
        Ok(match contract {
            Some(contract) if std::ptr::eq(contract, &CONTEXT) => {
                Value::Context(Box::new(ExecutionContext::new(object)))
            }
            _ => Value::Object(object),
        })
    }

    fn members(
        &mut self,
        contract: Option<&'static Contract>,
        mut is_first: bool,
    ) -> Result<Vec<(Name, Value)>, Fault> {
        // So many come nearly always, and no body can make it more.
        let mut members = Vec::with_capacity(contract.map_or(0, Contract::len));
        let mut next = 0;
        while self.lexer.another(b'}', is_first)? {
            is_first = false;
            let noted = self.notes.list.len();
            let name = self.lexer.string()?;
            self.lexer.expect(b':', "a colon")?;
            if name == "__type" && self.lexer.peek() == Some(b'"') {
                self.lexer.skip()?;
                continue;
            }
            let (name, shape) =
                match contract.and_then(|contract| contract.member(&name, &mut next)) {
                    Some((name, shape)) => (Name::Borrowed(name), shape),
                    None => (Name::Owned(name.into_owned()), Shape::Any),
                };
            let value = self.value(shape)?;
            self.notes.within(noted, &name);
            members.push((name, value));
        }
        Ok(members)
    }

    /// Reads `__type` where it is the first member of the object that has begun, which is where the
    /// serializer writes it.
    fn first_hint(&mut self) -> Result<Option<Cow<'a, str>>, Fault> {
        let mut ahead = self.lexer.clone();
        if !ahead.another(b'}', true)? {
            return Ok(None);
        }
        let name = ahead.string()?;
        ahead.expect(b':', "a colon")?;
        if name != "__type" || ahead.peek() != Some(b'"') {
            return Ok(None);
        }
        let hint = ahead.string()?;
        self.lexer = ahead;
        Ok(Some(hint))
    }

    /// Looks for `__type` among all members of the object that has begun. Only where the declared type
    /// says nothing is this done: it reads the object over once more, at most [`MAX_DEPTH`] times for any
    /// byte.
    fn later_hint(&self) -> Result<Option<Cow<'a, str>>, Fault> {
        let mut ahead = self.lexer.clone();
        let mut is_first = true;
        while ahead.another(b'}', is_first)? {
            is_first = false;
            let name = ahead.string()?;
            ahead.expect(b':', "a colon")?;
            if name == "__type" && ahead.peek() == Some(b'"') {
                return ahead.string().map(Some);
            }
            ahead.skip()?;
        }
        Ok(None)
    }
}

/// `Name:Namespace`, with `#` for the namespaces of CLR types.
fn parse_hint(hint: &str) -> (Option<&'static Contract>, TypeName) {
    let (name, namespace) = hint.split_once(':').unwrap_or((hint, ""));
    let namespace = match namespace.strip_prefix('#') {
        Some(clr) => Cow::Owned(format!("{CLR}{clr}")),
        None => Cow::Borrowed(namespace.strip_prefix('\\').unwrap_or(namespace)),
    };
    let contract = match contract::known(name, &namespace) {
        Some(Shape::Complex(contract)) => Some(contract),
        _ if name.starts_with("KeyValuePairOf") => Some(&PAIR),
        _ => None,
    };
    let type_name = TypeName {
        name: match contract {
            Some(contract) if contract.name == name => contract.name.into(),
            _ => name.to_owned().into(),
        },
        namespace: (!contract::is_well_known(&namespace)).then(|| namespace.into_owned()),
    };
    (contract, type_name)
}
