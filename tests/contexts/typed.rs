//! A decoded context as a tree, with the types that a document does not tell.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dataverse_listener::context::{Bag, ExecutionContext, Number, NumberKind, Object, Value};

use super::tree::{Kind, Tree};

/// The members of a context.
pub(crate) fn context(context: ExecutionContext<'_>) -> Tree {
    Tree::Object(members(context.members()).collect())
}

fn value(decoded: Value<'_>) -> Tree {
    match decoded {
        Value::Null => Tree::Null,
        Value::Bool(value) => Tree::Bool(value),
        Value::Number(value) => number(value),
        Value::String(text) => Tree::String(text.to_owned()),
        Value::Guid(text) => Tree::String(text.to_owned()).typed(Kind::Guid),
        Value::DateTime(date) => Tree::String(date.as_str().to_owned()).typed(Kind::Date),
        Value::Bytes(bytes) => Tree::String(STANDARD.encode(bytes)).typed(Kind::Bytes),
        Value::Array(items) => Tree::Array(items.iter().map(value).collect()),
        Value::Bag(entries) => bag(entries),
        Value::Object(object) => complex(object),
        Value::Context(parent) => {
            let name = Tree::String("RemoteExecutionContext".to_owned());
            let name = [("@type".to_owned(), name)];
            Tree::Object(name.into_iter().chain(members(parent.members())).collect())
        }
    }
}

fn number(number: Number<'_>) -> Tree {
    let digits = || Tree::Number(number.as_str().to_owned());
    match number.kind() {
        NumberKind::Unknown => digits(),
        NumberKind::Integer => digits().typed(Kind::Integer),
        NumberKind::Decimal => digits().typed(Kind::Decimal),
        NumberKind::Double => Tree::Double(number.as_f64().to_bits()).typed(Kind::Double),
        NumberKind::Float => {
            let value: f32 = number.as_str().parse().unwrap();
            Tree::Float(value.to_bits()).typed(Kind::Float)
        }
    }
}

fn bag(bag: Bag<'_>) -> Tree {
    let entry = |(key, entry): (&str, Value<'_>)| (key.to_owned(), value(entry));
    Tree::Object(bag.iter().map(entry).collect()).typed(Kind::Bag)
}

fn complex(object: Object<'_>) -> Tree {
    let mut all = Vec::new();
    if let Some(name) = object.type_name() {
        all.push(("@type".to_owned(), Tree::String(name.name.to_owned())));
        if let Some(namespace) = name.namespace {
            all.push(("@namespace".to_owned(), Tree::String(namespace.to_owned())));
        }
    }
    all.extend(members(object));
    Tree::Object(all)
}

fn members(object: Object<'_>) -> impl Iterator<Item = (String, Tree)> + '_ {
    object
        .iter()
        .map(|(name, member)| (name.to_owned(), value(member)))
}
