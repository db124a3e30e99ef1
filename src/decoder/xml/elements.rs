//! XML as a stream of elements and text, with what the reader of contracts needs to know of each
//! element: whether it is nil and which type it names.
//!
//! Source: *Namespaces in XML 1.0* and the attributes `type` and `nil` of XML Schema. Tolerant as the
//! .NET reader is: references to characters that XML forbids are taken. Strict as it is by default:
//! no document type declaration, no entity but the predefined five.

use std::borrow::Cow;

use quick_xml::NsReader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, NamespaceResolver, QName, ResolveResult};

use crate::context::TypeName;
use crate::decoder::Fault;
use crate::decoder::contract::{self, ARRAYS, CONTRACTS, INSTANCE, Shape};

/// How many prefixes may be bound at one place: looking a prefix up walks over all of them. The
/// serializer binds one or two for each level.
const MAX_PREFIXES: usize = 4 * crate::decoder::MAX_DEPTH;

/// The next piece of a body.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Start(Start<'a>),
    Text(Cow<'a, str>),
    /// The end of the element that was started last.
    End,
    /// The end of the body.
    Nothing,
}

/// The beginning of an element.
#[derive(Debug)]
pub(super) struct Start<'a> {
    tag: BytesStart<'a>,
    /// `i:nil="true"`.
    pub(super) is_nil: bool,
    /// `z:Ref`: the element stands for one that came before.
    pub(super) is_reference: bool,
    /// `i:type`.
    pub(super) named: Named,
    /// True for items of arrays of primitives, whose own names are types.
    pub(super) is_primitive_item: bool,
    /// True in the namespace of Microsoft's contracts.
    pub(super) is_contract: bool,
}

impl Start<'_> {
    /// The name without its prefix.
    pub(super) fn name(&self) -> &str {
        self.tag.local_name().into_inner()
    }
}

/// The type that an element names.
#[derive(Debug, Clone)]
pub(super) enum Named {
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
    pub(super) fn new(name: &str, namespace: &str) -> Self {
        if let Some(shape) = contract::known(name, namespace) {
            return Self::Known(shape);
        }
        if let Some(item) = name.strip_prefix("ArrayOf") {
            return Self::ArrayOf(item.to_owned(), namespace.to_owned());
        }
        Self::Unknown(TypeName {
            name: name.to_owned().into(),
            namespace: (!contract::is_well_known(namespace)).then(|| namespace.to_owned()),
        })
    }
}

/// The pieces of a body.
pub(super) struct Elements<'a> {
    reader: NsReader<&'a [u8]>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        reader
            .resolver_mut()
            .set_max_namespace_bindings(MAX_PREFIXES);
        Self { reader }
    }

    /// Reads the next piece. Comments and processing instructions are none.
    pub(super) fn next(&mut self) -> Result<Piece<'a>, Fault> {
        loop {
            let event = self
                .reader
                .read_event()
                .map_err(|error| self.broken(&error))?;
            return Ok(match event {
                Event::Start(tag) | Event::Empty(tag) => Piece::Start(self.start(tag)?),
                Event::End(_) => Piece::End,
                Event::Text(text) => Piece::Text(text.xml10_content()),
                Event::CData(text) => Piece::Text(text.xml10_content()),
                Event::GeneralRef(reference) => Piece::Text(self.resolve(&reference)?),
                Event::DocType(_) => return Err(self.fault("a document type declaration")),
                Event::Eof => Piece::Nothing,
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => continue,
            });
        }
    }

    /// What is wrong here.
    pub(super) fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault {
        Fault {
            offset: usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX),
            reason: reason.into(),
        }
    }

    fn start(&self, tag: BytesStart<'a>) -> Result<Start<'a>, Fault> {
        let resolver = self.reader.resolver();
        let namespace = bound(resolver.resolve_element(tag.name()).0);
        let is_primitive_item = namespace == Some(ARRAYS);
        let is_contract = namespace == Some(CONTRACTS);
        let (mut is_nil, mut is_reference, mut named) = (false, false, Named::Nothing);
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| self.fault("a broken attribute"))?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let (namespace, name) = resolver.resolve_attribute(attribute.key);
            let value = attribute.value.trim_matches([' ', '\t', '\r', '\n']);
            match (bound(namespace), name.into_inner()) {
                (Some(INSTANCE), "nil") => is_nil = matches!(value, "true" | "1"),
                (Some(INSTANCE), "type") => named = self.named(resolver, value)?,
                (Some(contract::SERIALIZATION), "Ref") => is_reference = true,
                _ => {}
            }
        }
        Ok(Start {
            tag,
            is_nil,
            is_reference,
            named,
            is_primitive_item,
            is_contract,
        })
    }

    /// Resolves the qualified name in `i:type` through the prefixes that are bound here.
    fn named(&self, resolver: &NamespaceResolver, value: &str) -> Result<Named, Fault> {
        let (namespace, name) = resolver.resolve_element(QName(value));
        match namespace {
            ResolveResult::Unknown(_) => Err(self.fault("a type whose prefix is not bound")),
            namespace => Ok(Named::new(
                name.into_inner(),
                bound(namespace).unwrap_or_default(),
            )),
        }
    }

    fn resolve(&self, reference: &BytesRef<'a>) -> Result<Cow<'a, str>, Fault> {
        let name = reference.xml10_content();
        let character = match &*name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            name => match name.strip_prefix('#') {
                Some(code) => self.character(code)?,
                None => return Err(self.fault("an entity that is not predefined")),
            },
        };
        Ok(Cow::Owned(character.to_string()))
    }

    fn character(&self, code: &str) -> Result<char, Fault> {
        let (digits, radix) = match code.strip_prefix('x') {
            Some(digits) => (digits, 16),
            None => (code, 10),
        };
        match u32::from_str_radix(digits, radix) {
            Ok(0xd800..=0xdfff) => Ok(char::REPLACEMENT_CHARACTER),
            Ok(code) => char::from_u32(code)
                .ok_or_else(|| self.fault("a character that Unicode does not have")),
            Err(_) => Err(self.fault("a broken character reference")),
        }
    }

    /// The parser's error in words of ours: its own texts may quote what stands there, which may be data.
    fn broken(&self, error: &Error) -> Fault {
        let reason = match error {
            Error::Syntax(error) => Cow::Owned(error.to_string()),
            Error::IllFormed(IllFormedError::MissingEndTag(_)) => {
                "the body ends within an element".into()
            }
            Error::IllFormed(
                IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_),
            ) => "an end tag without its start tag".into(),
            Error::IllFormed(IllFormedError::UnclosedReference) => {
                "an ampersand that begins no reference".into()
            }
            Error::Namespace(_) => "a namespace declaration that is not allowed".into(),
            _ => "not well-formed".into(),
        };
        Fault {
            offset: usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX),
            reason,
        }
    }
}

fn bound(namespace: ResolveResult<'_>) -> Option<&str> {
    match namespace {
        ResolveResult::Bound(Namespace(name)) => Some(name),
        _ => None,
    }
}
