//! All of XML as a stream of elements and text, by quick-xml.

use std::borrow::Cow;

use quick_xml::NsReader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, NamespaceResolver, QName, ResolveResult};
use smol_str::ToSmolStr;

use super::character;
use crate::decoder::Fault;
use crate::decoder::elements::{
    Elements, MAX_PREFIXES, Named, Piece, Space, Start, Tag, Text, may_say,
};

impl Tag for BytesStart<'_> {
    fn name(&self) -> &[u8] {
        self.local_name().into_inner().as_bytes()
    }
}

/// The pieces of a body.
pub(super) struct Xml<'a> {
    reader: NsReader<&'a [u8]>,
    start: Start<BytesStart<'a>>,
}

impl<'a> Elements<'a> for Xml<'a> {
    type Tag = BytesStart<'a>;

    /// Processing instructions are no pieces either.
    fn next(&mut self) -> Result<Piece<'a>, Fault> {
        loop {
            let event = self
                .reader
                .read_event()
                .map_err(|error| self.broken(&error))?;
            return Ok(match event {
                Event::Start(tag) | Event::Empty(tag) => {
                    self.begin(tag)?;
                    Piece::Start
                }
                Event::End(_) => Piece::End,
                Event::Text(text) => Piece::Text(text.xml10_content().into()),
                Event::CData(text) => Piece::Text(text.xml10_content().into()),
                Event::GeneralRef(reference) => Piece::Text(self.resolve(&reference)?),
                Event::DocType(_) => return Err(self.fault("a document type declaration")),
                Event::Eof => Piece::Nothing,
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => continue,
            });
        }
    }

    fn start(&mut self) -> &mut Start<BytesStart<'a>> {
        &mut self.start
    }

    fn is_in(&self, space: &Space) -> bool {
        let (namespace, _) = self
            .reader
            .resolver()
            .resolve_element(self.start.tag().name());
        matches!(bound(&namespace), Ok(Some(known)) if known == *space)
    }

    fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(
            usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX),
            reason,
        )
    }
}

impl<'a> Xml<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        reader
            .resolver_mut()
            .set_max_namespace_bindings(MAX_PREFIXES);
        Self {
            reader,
            start: Start::new(BytesStart::new("")),
        }
    }

    fn begin(&mut self, tag: BytesStart<'a>) -> Result<(), Fault> {
        let resolver = self.reader.resolver();
        // A second handle on the same text: the attributes are read while the element is made.
        let attributes = tag.clone();
        self.start.begin(tag);
        for attribute in attributes.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| self.fault("a broken attribute"))?;
            let value = resolved(&attribute.value).map_err(|reason| self.fault(reason))?;
            let is_binding = attribute.key.as_namespace_binding().is_some();
            if is_binding || !may_say(attribute.key.local_name().into_inner().as_bytes()) {
                continue;
            }
            let (namespace, name) = resolver.resolve_attribute(attribute.key);
            let name = name.into_inner().as_bytes();
            let space = bound(&namespace).map_err(|reason| self.fault(reason))?;
            let type_name = self.start.attribute(space.as_ref(), name, value.as_bytes());
            if type_name.is_some() {
                let named = self.named(resolver, value.trim())?;
                self.start.call(named);
            }
        }
        Ok(())
    }

    /// Resolves the qualified name in `i:type` through the prefixes that are bound here.
    fn named(&self, resolver: &NamespaceResolver, value: &str) -> Result<Named, Fault> {
        let (namespace, name) = resolver.resolve_element(QName(value));
        match namespace {
            ResolveResult::Unknown(_) => Err(self.fault("a type whose prefix is not bound")),
            namespace => {
                let space = bound(&namespace).map_err(|reason| self.fault(reason))?;
                let space = space.unwrap_or(Space::WellKnown);
                Named::new(name.into_inner().as_bytes(), &space)
                    .map_err(|reason| self.fault(reason))
            }
        }
    }

    fn resolve(&self, reference: &BytesRef<'a>) -> Result<Text<'a>, Fault> {
        let character = character(&reference.xml10_content());
        match character {
            Ok(character) => Ok(Text::Made(character.to_smolstr())),
            Err(reason) => Err(self.fault(reason)),
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
        Fault::new(
            usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX),
            reason,
        )
    }
}

/// The namespace that was found, which the parser gives as it is written; an error, as a fragment, where its references
/// are broken.
fn bound(namespace: &ResolveResult<'_>) -> Result<Option<Space>, &'static str> {
    match namespace {
        ResolveResult::Bound(Namespace(name)) => Ok(Space::of(resolved(name)?.as_bytes())),
        _ => Ok(None),
    }
}

/// The value of an attribute with its references resolved; an error, as a fragment, where one is broken.
fn resolved(value: &str) -> Result<Cow<'_, str>, &'static str> {
    let Some((plain, mut rest)) = value.split_once('&') else {
        return Ok(Cow::Borrowed(value));
    };
    let mut text = plain.to_owned();
    loop {
        let reference = rest
            .split_once(';')
            .ok_or("an ampersand that begins no reference")?;
        text.push(character(reference.0)?);
        match reference.1.split_once('&') {
            Some((plain, behind)) => {
                text.push_str(plain);
                rest = behind;
            }
            None => {
                text.push_str(reference.1);
                return Ok(Cow::Owned(text));
            }
        }
    }
}
