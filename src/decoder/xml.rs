//! Text XML as a stream of elements and text.
//!
//! Source: *Namespaces in XML 1.0*. Tolerant as the .NET reader is: references to characters that XML
//! forbids are taken. Strict as it is by default: no document type declaration, no entity but the
//! predefined five.

use std::borrow::Cow;

use quick_xml::NsReader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, NamespaceResolver, QName, ResolveResult};

use super::elements::{self, Elements, MAX_PREFIXES, Named, Piece, Start, Tag};
use super::{Fault, Notes};
use crate::context::ExecutionContext;

/// Reads a body.
pub(super) fn read(text: &str, notes: &mut Notes) -> Result<ExecutionContext, Fault> {
    elements::read(Xml::new(text), notes)
}

impl Tag for BytesStart<'_> {
    fn name(&self) -> &str {
        self.local_name().into_inner()
    }
}

/// The pieces of a body.
struct Xml<'a> {
    reader: NsReader<&'a [u8]>,
}

impl<'a> Elements<'a> for Xml<'a> {
    type Tag = BytesStart<'a>;

    /// Processing instructions are no pieces either.
    fn next(&mut self) -> Result<Piece<'a, Self::Tag>, Fault> {
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

    fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault {
        Fault {
            offset: usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX),
            reason: reason.into(),
        }
    }
}

impl<'a> Xml<'a> {
    fn new(text: &'a str) -> Self {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        reader
            .resolver_mut()
            .set_max_namespace_bindings(MAX_PREFIXES);
        Self { reader }
    }

    fn start(&self, tag: BytesStart<'a>) -> Result<Start<BytesStart<'a>>, Fault> {
        let resolver = self.reader.resolver();
        let namespace = bound(resolver.resolve_element(tag.name()).0);
        // A second handle on the same text: the attributes are read while the element is made.
        let attributes = tag.clone();
        let mut start = Start::new(tag, namespace);
        for attribute in attributes.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| self.fault("a broken attribute"))?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let (namespace, name) = resolver.resolve_attribute(attribute.key);
            let named = start.attribute(bound(namespace), name.into_inner(), &attribute.value);
            if let Some(named) = named {
                start.named = self.named(resolver, named)?;
            }
        }
        Ok(start)
    }

    /// Resolves the qualified name in `i:type` through the prefixes that are bound here.
    fn named(&self, resolver: &NamespaceResolver, value: &str) -> Result<Named, Fault> {
        let (namespace, name) = resolver.resolve_element(QName(value));
        match namespace {
            ResolveResult::Unknown(_) => Err(self.fault("a type whose prefix is not bound")),
            namespace => Named::new(name.into_inner(), bound(namespace).unwrap_or_default())
                .map_err(|reason| self.fault(reason)),
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
