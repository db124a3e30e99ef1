//! Which namespace a prefix stands for, at each place of a body.
//!
//! Source: *Namespaces in XML 1.0*. The serializer binds the same few prefixes again and again.

use std::borrow::Cow;

use super::{Named, Qualified, Start, Tag};
use crate::decoder::contract::{
    ARRAYS, COLLECTIONS, CONTRACTS, INSTANCE, SCHEMA, SERIALIZATION, is_well_known,
};

/// How many prefixes may be bound at one place: looking a prefix up walks over all of them. The
/// serializer binds one or two for each level.
pub(in crate::decoder) const MAX_PREFIXES: usize = 1024;

/// A namespace, as far as it matters which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::decoder) enum Space {
    /// Of Microsoft's contracts.
    Contracts,
    /// Of arrays of primitives and of their items.
    Arrays,
    /// Of `nil` and `type`.
    Instance,
    /// Of XML Schema's primitives.
    Schema,
    /// Of guids, durations and references.
    Serialization,
    /// Another one that says no more than that something is Microsoft's; or none.
    WellKnown,
    /// Any other.
    Other(Box<str>),
}

impl Space {
    /// The namespace of this name; none where that is no text.
    pub(in crate::decoder) fn of(name: &[u8]) -> Option<Self> {
        let known = KNOWN.iter().find(|(known, _)| known.as_bytes() == name);
        if let Some((_, space)) = known {
            return Some(space.clone());
        }
        let name = str::from_utf8(name).ok()?;
        Some(match is_well_known(name) {
            true => Self::WellKnown,
            false => Self::Other(name.into()),
        })
    }
}

const KNOWN: &[(&str, Space)] = &[
    (SCHEMA, Space::Schema),
    (COLLECTIONS, Space::WellKnown),
    (SERIALIZATION, Space::Serialization),
    (ARRAYS, Space::Arrays),
    (CONTRACTS, Space::Contracts),
    (INSTANCE, Space::Instance),
];

/// The prefixes that are bound, the inner ones last.
#[derive(Debug, Default)]
pub(in crate::decoder) struct Scope<'a> {
    bound: Vec<Binding<'a>>,
    /// How many elements are open.
    depth: usize,
}

#[derive(Debug)]
struct Binding<'a> {
    prefix: &'a [u8],
    /// None where the prefix was made to stand for nothing.
    space: Option<Space>,
    depth: usize,
}

impl<'a> Scope<'a> {
    /// Goes into an element, before its prefixes are bound.
    pub(in crate::decoder) fn enter(&mut self) {
        self.depth += 1;
    }

    /// Leaves an element.
    pub(in crate::decoder) fn leave(&mut self) {
        while self
            .bound
            .last()
            .is_some_and(|last| last.depth == self.depth)
        {
            self.bound.pop();
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// How many elements are open.
    pub(in crate::decoder) fn depth(&self) -> usize {
        self.depth
    }

    /// Binds a prefix until the element is left; an error, as a fragment, where that is one too many.
    pub(in crate::decoder) fn bind(
        &mut self,
        prefix: &'a [u8],
        namespace: &[u8],
    ) -> Result<(), &'static str> {
        let space = match namespace {
            [] => None,
            namespace => Some(Space::of(namespace).ok_or("a namespace that is not UTF-8")?),
        };
        self.bind_to(prefix, space)
    }

    /// The same, for a namespace that is known.
    pub(in crate::decoder) fn bind_to(
        &mut self,
        prefix: &'a [u8],
        space: Option<Space>,
    ) -> Result<(), &'static str> {
        if self.bound.len() == MAX_PREFIXES {
            return Err("too many prefixes bound at one place");
        }
        self.bound.push(Binding {
            prefix,
            space,
            depth: self.depth,
        });
        Ok(())
    }

    /// The prefixes that the element itself binds, and what they stand for.
    pub(in crate::decoder) fn own(&self) -> impl Iterator<Item = (&'a [u8], Option<&Space>)> {
        let inner_first = self.bound.iter().rev();
        let own = inner_first.take_while(|binding| binding.depth == self.depth);
        own.map(|binding| (binding.prefix, binding.space.as_ref()))
    }

    /// What a prefix stands for.
    pub(in crate::decoder) fn resolve(&self, prefix: &[u8]) -> Option<&Space> {
        let mut inner_first = self.bound.iter().rev();
        inner_first
            .find(|binding| is_same(binding.prefix, prefix))?
            .space
            .as_ref()
    }

    /// Lets an element whose prefixes are bound know its attributes; an error, as a fragment, where the type that it
    /// names has no namespace.
    pub(in crate::decoder) fn tell<T: Tag>(
        &self,
        start: &mut Start<T>,
        attributes: &Attributes<'_>,
    ) -> Result<(), &'static str> {
        for (Qualified { prefix, name }, value) in attributes.iter() {
            if let Some(value) = start.attribute(self.resolve(prefix), name, value) {
                start.call(self.named(value)?);
            }
        }
        Ok(())
    }

    /// The type of a qualified name, with a prefix or without; an error, as a fragment, where its prefix is not
    /// bound.
    fn named(&self, value: &[u8]) -> Result<Named, &'static str> {
        let Qualified { prefix, name } = split(value);
        match self.resolve(prefix) {
            Some(space) => Named::new(name, space),
            None if prefix.is_empty() => Named::new(name, &Space::WellKnown),
            None => Err("a type whose prefix is not bound"),
        }
    }
}

/// Whether two prefixes are the same, of which each is a letter or nothing as a rule.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([a], [b]) => a == b,
        _ => one == other,
    }
}

/// A qualified name as its prefix, which may be empty, and the name behind it.
pub(in crate::decoder) fn split(name: &[u8]) -> Qualified<'_> {
    let (prefix, name) = match name.iter().position(|byte| *byte == b':') {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (&b""[..], name),
    };
    Qualified { prefix, name }
}

/// Whether an attribute of this name may say something.
pub(in crate::decoder) fn may_say(name: &[u8]) -> bool {
    matches!(name, b"nil" | b"type" | b"Id" | b"Ref")
}

/// The attributes of an element that may say something: nearly always one or none.
#[derive(Debug, Default)]
pub(in crate::decoder) struct Attributes<'a> {
    first: Option<Attribute<'a>>,
    others: Vec<Attribute<'a>>,
}

/// A name and a value.
type Attribute<'a> = (Qualified<'a>, Cow<'a, [u8]>);

impl<'a> Attributes<'a> {
    /// Keeps an attribute that binds no prefix, if it may say something; an error, as a fragment, where there are
    /// too many. Without a prefix it has no namespace, and says nothing.
    pub(in crate::decoder) fn push(
        &mut self,
        tag: Qualified<'a>,
        value: Cow<'a, [u8]>,
    ) -> Result<(), &'static str> {
        if tag.prefix.is_empty() || !may_say(tag.name) {
            return Ok(());
        }
        match self.first {
            None => self.first = Some((tag, value)),
            Some(_) if self.others.len() == MAX_PREFIXES => {
                return Err("too many attributes of one element");
            }
            Some(_) => self.others.push((tag, value)),
        }
        Ok(())
    }

    pub(in crate::decoder) fn iter(&self) -> impl Iterator<Item = &Attribute<'a>> {
        self.first.iter().chain(&self.others)
    }
}
