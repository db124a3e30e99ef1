//! XML as `DataContractSerializer` writes it: elements, attributes in double quotes, text with references. No
//! declaration, comment, processing instruction or section; what has one is not read here.

use std::borrow::Cow;

use memchr::{memchr, memchr3};

use super::character;
use crate::decoder::Fault;
use crate::decoder::elements::{
    Attributes, Elements, Piece, Qualified, Scope, Space, Start, Text, split,
};

/// The pieces of a body.
pub(super) struct Plain<'a> {
    text: &'a str,
    at: usize,
    /// The names of the elements that are open, with their prefixes.
    open: Vec<&'a [u8]>,
    scope: Scope<'a>,
    /// True behind the start of an element that ends with it.
    is_ending: bool,
    start: Start<Qualified<'a>>,
}

impl<'a> Elements<'a> for Plain<'a> {
    type Tag = Qualified<'a>;

    fn next(&mut self) -> Result<Piece<'a>, Fault> {
        if self.is_ending {
            self.is_ending = false;
            self.end();
            return Ok(Piece::End);
        }
        match self.rest() {
            [b'<', b'/', ..] => self.end_tag().map(|()| Piece::End),
            [b'<', ..] => self.start_tag().map(|()| Piece::Start),
            [] => Ok(Piece::Nothing),
            _ => self.characters().map(Piece::Text),
        }
    }

    fn start(&mut self) -> &mut Start<Qualified<'a>> {
        &mut self.start
    }

    fn is_in(&self, space: &Space) -> bool {
        self.scope.resolve(self.start.tag().prefix) == Some(space)
    }

    fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(self.at, reason)
    }

    fn child(&mut self) -> Result<bool, Fault> {
        match self.rest() {
            _ if self.is_ending => self.any_child(),
            [b'<', b'/', ..] => self.end_tag().map(|()| false),
            [b'<', ..] => self.start_tag().map(|()| true),
            _ => self.any_child(),
        }
    }

    fn text(&mut self) -> Result<Text<'a>, Fault> {
        let text = match self.rest() {
            _ if self.is_ending => return self.text_behind(Text::default()),
            [b'<', ..] | [] => Text::default(),
            _ => self.characters()?,
        };
        match self.rest() {
            [b'<', b'/', ..] => self.end_tag().map(|()| text),
            _ => self.text_behind(text),
        }
    }
}

impl<'a> Plain<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            scope: Scope::default(),
            is_ending: false,
            start: Start::new(split(b"")),
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// What is read by somebody else, who says what is wrong where something is.
    fn unusual(&self) -> Fault {
        self.fault("nothing that the serializer writes")
    }

    fn end(&mut self) {
        self.open.pop();
        self.scope.leave();
    }

    fn end_tag(&mut self) -> Result<(), Fault> {
        let name = self.open.last().copied().unwrap_or_default();
        match self.rest()[2..].strip_prefix(name) {
            Some([b'>', ..]) if !name.is_empty() => {
                self.at += name.len() + 3;
                self.end();
                Ok(())
            }
            _ => Err(self.unusual()),
        }
    }

    fn start_tag(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let name = self.name()?;
        self.open.push(name);
        self.scope.enter();
        self.start.begin(split(name));
        if let [b' ', ..] = self.rest() {
            self.attributes()?;
        }
        match self.rest() {
            [b'>', ..] => self.at += 1,
            [b'/', b'>', ..] => {
                self.at += 2;
                self.is_ending = true;
            }
            _ => return Err(self.unusual()),
        }
        Ok(())
    }

    /// Reads the attributes of the element that was started last.
    fn attributes(&mut self) -> Result<(), Fault> {
        let mut attributes = Attributes::default();
        while let [b' ', ..] = self.rest() {
            self.at += 1;
            let (attribute, value) = self.attribute()?;
            match attribute {
                b"xmlns" => self.bind(b"", value)?,
                [b'x', b'm', b'l', b'n', b's', b':', prefix @ ..] => self.bind(prefix, value)?,
                attribute => {
                    let kept = attributes.push(split(attribute), Cow::Borrowed(value));
                    kept.map_err(|reason| self.fault(reason))?;
                }
            }
        }
        let told = self.scope.tell(&mut self.start, &attributes);
        told.map_err(|reason| self.fault(reason))
    }

    /// Reads a name.
    fn name(&mut self) -> Result<&'a [u8], Fault> {
        let rest = self.rest();
        let end = rest.iter().position(|byte| ENDS_NAME[usize::from(*byte)]);
        match end {
            Some(end @ 1..) => {
                self.at += end;
                Ok(&rest[..end])
            }
            _ => Err(self.unusual()),
        }
    }

    /// Reads a name and a value. A value with a reference in it is not read here.
    fn attribute(&mut self) -> Result<(&'a [u8], &'a [u8]), Fault> {
        let name = self.name()?;
        let Some(quoted) = self.rest().strip_prefix(b"=\"") else {
            return Err(self.unusual());
        };
        match memchr3(b'"', b'&', b'<', quoted) {
            Some(end) if quoted[end] == b'"' => {
                self.at += end + 3;
                Ok((name, &quoted[..end]))
            }
            _ => Err(self.unusual()),
        }
    }

    fn bind(&mut self, prefix: &'a [u8], namespace: &[u8]) -> Result<(), Fault> {
        let bound = self.scope.bind(prefix, namespace);
        bound.map_err(|reason| self.fault(reason))
    }

    /// Reads text up to the next tag.
    fn characters(&mut self) -> Result<Text<'a>, Fault> {
        let start = self.at;
        self.plain_characters()?;
        let plain = &self.text[start..self.at];
        if self.rest().first() != Some(&b'&') {
            return Ok(plain.into());
        }
        let mut text = String::with_capacity(2 * plain.len() + 16);
        text.push_str(plain);
        while let [b'&', rest @ ..] = self.rest() {
            let end = memchr(b';', rest).ok_or_else(|| self.unusual())?;
            let name = &self.text[self.at + 1..self.at + 1 + end];
            text.push(character(name).map_err(|reason| self.fault(reason))?);
            self.at += end + 2;
            let start = self.at;
            self.plain_characters()?;
            text.push_str(&self.text[start..self.at]);
        }
        Ok(text.into())
    }

    /// Steps over characters that stand for themselves.
    fn plain_characters(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let end = memchr3(b'<', b'&', b'\r', rest).unwrap_or(rest.len());
        self.at += end;
        match rest.get(end) {
            // Line ends that are not written as references are not the serializer's.
            Some(b'\r') => Err(self.unusual()),
            _ => Ok(()),
        }
    }
}

/// The bytes that no name has.
const ENDS_NAME: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        ends[byte] = byte <= 0x20 || matches!(byte as u8, b'"' | b'&' | b'\'' | b'/' | b'<'..=b'?');
        byte += 1;
    }
    ends
};
