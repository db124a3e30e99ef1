//! A body as a stream of elements and text, with what the reader of contracts needs to know of each
//! element: whether it is nil and which type it names.
//!
//! Source: *Namespaces in XML 1.0* and the attributes `type` and `nil` of XML Schema.

use std::borrow::Cow;

use crate::context::TypeName;
use crate::decoder::Fault;
use crate::decoder::contract::{self, ARRAYS, CONTRACTS, INSTANCE, SERIALIZATION, Shape};

/// How many prefixes may be bound at one place: looking a prefix up walks over all of them. The
/// serializer binds one or two for each level.
pub(in crate::decoder) const MAX_PREFIXES: usize = 4 * crate::decoder::MAX_DEPTH;

/// How long the name of a type and its namespace may be, in bytes: a short prefix stands for the
/// namespace in any number of elements, and each value keeps its own.
const MAX_TYPE_NAME: usize = 1024;

/// What gives the pieces of a body, one after the other.
pub(in crate::decoder) trait Elements<'a> {
    /// What it names elements by.
    type Tag: Tag;

    /// Reads the next piece. Comments are none.
    fn next(&mut self) -> Result<Piece<'a, Self::Tag>, Fault>;

    /// What is wrong here.
    fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault;
}

/// The name of an element.
pub(in crate::decoder) trait Tag {
    /// The name without its prefix.
    fn name(&self) -> &str;
}

/// The next piece of a body.
#[derive(Debug)]
pub(in crate::decoder) enum Piece<'a, T> {
    Start(Start<T>),
    Text(Cow<'a, str>),
    /// The end of the element that was started last.
    End,
    /// The end of the body.
    Nothing,
}

/// The beginning of an element.
#[derive(Debug, Clone)]
pub(in crate::decoder) struct Start<T> {
    tag: T,
    /// `i:nil="true"`.
    pub(super) is_nil: bool,
    /// `z:Ref`: the element stands for one that came before.
    pub(super) is_reference: bool,
    /// `i:type`.
    pub(in crate::decoder) named: Named,
    /// True for items of arrays of primitives, whose own names are types.
    pub(in crate::decoder) is_primitive_item: bool,
    /// True in the namespace of Microsoft's contracts.
    pub(super) is_contract: bool,
}

impl<T: Tag> Start<T> {
    /// An element without attributes.
    pub(in crate::decoder) fn new(tag: T, namespace: Option<&str>) -> Self {
        Self {
            tag,
            is_nil: false,
            is_reference: false,
            named: Named::Nothing,
            is_primitive_item: namespace == Some(ARRAYS),
            is_contract: namespace == Some(CONTRACTS),
        }
    }

    /// The name without its prefix.
    pub(in crate::decoder) fn name(&self) -> &str {
        self.tag.name()
    }

    /// Takes an attribute. Where it is `i:type`, gives its value back: a qualified name, to be resolved
    /// through the prefixes that are bound here.
    pub(in crate::decoder) fn attribute<'v>(
        &mut self,
        namespace: Option<&str>,
        name: &str,
        value: &'v str,
    ) -> Option<&'v str> {
        let value = value.trim_matches([' ', '\t', '\r', '\n']);
        match (namespace, name) {
            (Some(INSTANCE), "nil") => self.is_nil = matches!(value, "true" | "1"),
            (Some(INSTANCE), "type") => return Some(value),
            (Some(SERIALIZATION), "Ref") => self.is_reference = true,
            _ => {}
        }
        None
    }
}

/// The type that an element names.
#[derive(Debug, Clone)]
pub(in crate::decoder) enum Named {
    /// None.
    Nothing,
    /// One that the contracts know.
    Known(Shape),
    /// `ArrayOf...`, with the name and the namespace of its items' type.
    ArrayOf(String, String),
    /// Any other.
    Unknown(TypeName),
}

impl Named {
    /// The type of this name; an error, as a fragment, where it is too long to be one.
    pub(in crate::decoder) fn new(name: &str, namespace: &str) -> Result<Self, &'static str> {
        if let Some(shape) = contract::known(name, namespace) {
            return Ok(Self::Known(shape));
        }
        if name.len().max(namespace.len()) > MAX_TYPE_NAME {
            return Err("a type whose name or namespace is longer than 1024 bytes");
        }
        if let Some(item) = name.strip_prefix("ArrayOf") {
            return Ok(Self::ArrayOf(item.to_owned(), namespace.to_owned()));
        }
        Ok(Self::Unknown(TypeName {
            name: name.to_owned().into(),
            namespace: (!contract::is_well_known(namespace)).then(|| namespace.to_owned()),
        }))
    }
}
