//! A body as a stream of elements and text, with what the reader of contracts needs to know of each
//! element: whether it is nil and which type it names.
//!
//! Source: *Namespaces in XML 1.0* and the attributes `type` and `nil` of XML Schema.

use std::borrow::Cow;
use std::ops::Deref;
use std::rc::Rc;

use smol_str::SmolStr;

use super::scope::Space;
use crate::context::NumberKind;
use crate::decoder::Fault;
use crate::decoder::contract::{self, Shape};

/// How long the name of a type and its namespace may be, in bytes: a short prefix stands for the
/// namespace in any number of elements, and each value keeps its own.
const MAX_TYPE_NAME: usize = 1024;

/// What gives the pieces of a body, one after the other.
pub(in crate::decoder) trait Elements<'a> {
    /// What it names elements by.
    type Tag: Tag;

    /// Reads the next piece. Comments are none.
    fn next(&mut self) -> Result<Piece<'a>, Fault>;

    /// The element that was started last.
    fn start(&mut self) -> &mut Start<Self::Tag>;

    /// What is wrong here.
    fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault;

    /// True where the element that was started last is in this namespace.
    fn is_in(&self, space: &Space) -> bool;

    /// Whether a text that is made of several may have so many bytes. As a rule none is larger than the body.
    fn room(&self, _bytes: usize) -> Result<(), Fault> {
        Ok(())
    }

    /// Starts the next element within this one; false at its end. Text between elements is indentation.
    fn child(&mut self) -> Result<bool, Fault> {
        self.any_child()
    }

    /// The same, whatever comes before it.
    fn any_child(&mut self) -> Result<bool, Fault> {
        loop {
            match self.next()? {
                Piece::Start => return Ok(true),
                Piece::End => return Ok(false),
                Piece::Text(text) if is_blank(&text) => {}
                Piece::Text(_) => return Err(self.fault("text where elements are expected")),
                Piece::Nothing => return Err(self.fault(CUT)),
            }
        }
    }

    /// The text of this element, which has no other in it, up to its end.
    fn text(&mut self) -> Result<Text<'a>, Fault> {
        self.text_behind(Text::default())
    }

    /// The text of this element, of which `text` was read, up to its end.
    fn text_behind(&mut self, mut text: Text<'a>) -> Result<Text<'a>, Fault> {
        loop {
            match self.next()? {
                Piece::Text(more) if text.is_empty() => text = more,
                Piece::Text(more) => {
                    text.append(&more);
                    self.room(text.len())?;
                }
                Piece::End => return Ok(text),
                Piece::Start => return Err(self.fault("an element where text is expected")),
                Piece::Nothing => return Err(self.fault(CUT)),
            }
        }
    }
}

/// What is wrong where a body ends too early.
pub(in crate::decoder) const CUT: &str = "the body ends within an element";

/// True for the white space of XML.
pub(in crate::decoder) fn is_blank(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// The name of an element.
pub(in crate::decoder) trait Tag {
    /// The name without its prefix, which is UTF-8 as a rule.
    fn name(&self) -> &[u8];
}

/// A name and its prefix, which may be empty.
#[derive(Debug, Clone, Copy)]
pub(in crate::decoder) struct Qualified<'a> {
    pub(in crate::decoder) prefix: &'a [u8],
    pub(in crate::decoder) name: &'a [u8],
}

impl Tag for Qualified<'_> {
    fn name(&self) -> &[u8] {
        self.name
    }
}

/// The next piece of a body.
#[derive(Debug)]
pub(in crate::decoder) enum Piece<'a> {
    /// The beginning of an element.
    Start,
    Text(Text<'a>),
    /// The end of the element that was started last.
    End,
    /// The end of the body.
    Nothing,
}

/// A text as it was sent, or made of what was: UTF-8, where the sender kept to that.
#[derive(Debug)]
pub(in crate::decoder) enum Text<'a> {
    Sent(Cow<'a, [u8]>),
    /// Short ones need no memory of their own.
    Made(SmolStr),
}

impl Text<'_> {
    /// Takes more of the same text behind this one.
    pub(in crate::decoder) fn append(&mut self, more: &[u8]) {
        match self {
            Self::Sent(text) => text.to_mut().extend_from_slice(more),
            Self::Made(text) => *self = Self::Sent(Cow::Owned([text.as_bytes(), more].concat())),
        }
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Sent(text) => text,
            Self::Made(text) => text.as_bytes(),
        }
    }
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self::Sent(Cow::Borrowed(b""))
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self::Sent(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        text.as_bytes().into()
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Sent(Cow::Owned(text.into_bytes()))
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// The beginning of an element.
#[derive(Debug)]
pub(in crate::decoder) struct Start<T> {
    tag: T,
    /// What its attributes say; most have none.
    said: Said,
    /// True where they say something.
    is_told: bool,
}

/// What attributes say of their element.
#[derive(Debug, Clone, Default)]
pub(in crate::decoder) struct Said {
    /// `i:nil="true"`.
    pub(in crate::decoder) is_nil: bool,
    /// `i:type`.
    pub(in crate::decoder) named: Named,
    /// `z:Id` or `z:Ref`.
    pub(in crate::decoder) identity: Option<Box<Identity>>,
}

/// What an element has to do with others.
#[derive(Debug, Clone)]
pub(in crate::decoder) enum Identity {
    /// Later elements may stand for this one.
    Id(Box<[u8]>),
    /// The element stands for one that came before.
    Reference(Box<[u8]>),
}

impl<T: Tag> Start<T> {
    /// An element without attributes.
    pub(in crate::decoder) fn new(tag: T) -> Self {
        Self {
            tag,
            said: Said::default(),
            is_told: false,
        }
    }

    /// Begins another element, in place of this one.
    pub(in crate::decoder) fn begin(&mut self, tag: T) {
        self.tag = tag;
        self.take();
    }

    /// What it is named by.
    pub(in crate::decoder) fn tag(&self) -> &T {
        &self.tag
    }

    /// The name without its prefix.
    pub(in crate::decoder) fn name(&self) -> &[u8] {
        self.tag.name()
    }

    /// What the attributes say, if they say something.
    pub(in crate::decoder) fn said(&self) -> Option<&Said> {
        self.is_told.then_some(&self.said)
    }

    /// The same, which is forgotten.
    pub(in crate::decoder) fn take(&mut self) -> Option<Said> {
        std::mem::take(&mut self.is_told).then(|| std::mem::take(&mut self.said))
    }

    /// Takes over what attributes say.
    pub(in crate::decoder) fn tell(&mut self, said: Option<Said>) {
        self.is_told = said.is_some();
        self.said = said.unwrap_or_default();
    }

    /// Takes a type that the element names.
    pub(in crate::decoder) fn call(&mut self, named: Named) {
        self.is_told = true;
        self.said.named = named;
    }

    /// True where it names a type of numbers of this kind.
    pub(in crate::decoder) fn is_named(&self, kind: NumberKind) -> bool {
        matches!(self.said(), Some(Said { named: Named::Known(Shape::Number(named)), .. }) if *named == kind)
    }

    /// Takes an attribute. Where it is `i:type`, gives its value back: a qualified name, to be resolved
    /// through the prefixes that are bound here.
    pub(in crate::decoder) fn attribute<'v>(
        &mut self,
        namespace: Option<&Space>,
        name: &[u8],
        value: &'v [u8],
    ) -> Option<&'v [u8]> {
        let value = value.trim_ascii();
        let identity = match (namespace, name) {
            (Some(Space::Instance), b"type") => return Some(value),
            (Some(Space::Instance), b"nil") => {
                self.said.is_nil = matches!(value, b"true" | b"1");
                self.is_told = true;
                return None;
            }
            (Some(Space::Serialization), b"Id") => Identity::Id(value.into()),
            (Some(Space::Serialization), b"Ref") => Identity::Reference(value.into()),
            _ => return None,
        };
        self.said.identity = Some(Box::new(identity));
        self.is_told = true;
        None
    }
}

/// The type that an element names. Each item of an array has a copy.
#[derive(Debug, Clone, Default)]
pub(in crate::decoder) enum Named {
    /// None.
    #[default]
    Nothing,
    /// One that the contracts know.
    Known(Shape),
    /// `ArrayOfKeyValue...`.
    Pairs,
    /// `ArrayOf...`, with the type of its items.
    ArrayOf(Rc<Self>),
    /// Any other, with its name and, where it is none of Microsoft's, its namespace.
    Unknown(Rc<(String, Option<String>)>),
}

impl Named {
    /// The type of this name; an error, as a fragment, where it is too long to be one.
    pub(in crate::decoder) fn new(name: &[u8], namespace: &Space) -> Result<Self, &'static str> {
        if let Some(shape) = contract::known(name, namespace) {
            return Ok(Self::Known(shape));
        }
        let sent = match namespace {
            Space::Other(namespace) => Some(namespace),
            _ => None,
        };
        if name.len().max(sent.map_or(0, |namespace| namespace.len())) > MAX_TYPE_NAME {
            return Err("a type whose name or namespace is longer than 1024 bytes");
        }
        Ok(match name.strip_prefix(b"ArrayOf") {
            Some(item) if item.starts_with(b"KeyValue") => Self::Pairs,
            Some(item) => Self::ArrayOf(Rc::new(Self::new(item, namespace)?)),
            None => {
                let name = str::from_utf8(name).map_err(|_| "a type whose name is not UTF-8")?;
                Self::Unknown(Rc::new((
                    name.to_owned(),
                    sent.map(|namespace| namespace.to_string()),
                )))
            }
        })
    }
}
