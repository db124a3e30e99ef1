//! The bytes of a body, read from the front. A length is only believed once that much is there.

use std::borrow::Cow;
use std::str::Utf8Error;

use super::dictionary::STRINGS;
use crate::decoder::limits::Limits;
use crate::decoder::{Dictionary, Fault, NOT_UTF8};

/// What to do where the sender names strings by numbers of its own.
pub(super) const GIVE_STRINGS: &str =
    "where the sender has a dictionary of its own, give its strings (decode.dictionary)";

/// A body and how far it was read.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
    limits: Limits,
    /// In place of the static one.
    own: Option<&'a Dictionary>,
    utf8: Utf8,
}

/// When a text is found out not to be UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Utf8 {
    /// Where it is read, which takes long.
    Here,
    /// When all texts are there, by whoever has them.
    Later,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(
        body: &'a [u8],
        limits: Limits,
        own: Option<&'a Dictionary>,
        utf8: Utf8,
    ) -> Self {
        Self {
            body,
            at: 0,
            limits,
            own,
            utf8,
        }
    }

    /// What is wrong here.
    pub(super) fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(self.at, reason)
    }

    /// Whether a text may have so many bytes.
    pub(super) fn room(&self, bytes: usize) -> Result<(), Fault> {
        match bytes <= self.limits.expansion {
            true => Ok(()),
            false => Err(self.fault(self.limits.too_large())),
        }
    }

    /// What is still to be read.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.body[self.at..]
    }

    /// The next byte, which is left to be read.
    pub(super) fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    /// Steps over the byte that was peeked at.
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    /// Reads so many bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let bytes = self.rest().get(..count);
        let bytes = bytes.ok_or_else(|| self.fault("the body ends within a record"))?;
        self.at += count;
        Ok(bytes)
    }

    /// Reads bytes of which the type tells the number.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.rest().first_chunk().copied();
        let bytes = bytes.ok_or_else(|| self.fault("the body ends within a record"))?;
        self.at += N;
        Ok(bytes)
    }

    /// Reads a `MultiByteInt31`: seven bits a byte, the low ones first, while the top bit is set.
    pub(super) fn int31(&mut self) -> Result<usize, Fault> {
        match self.peek() {
            Some(length @ ..=0x7f) => {
                self.step();
                Ok(length.into())
            }
            _ => self.long_int31(),
        }
    }

    fn long_int31(&mut self) -> Result<usize, Fault> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let is_valid = shift < 28 || byte < 8;
                return match usize::try_from(value) {
                    Ok(value) if is_valid => Ok(value),
                    _ => break,
                };
            }
        }
        Err(self.fault("a length of more than 31 bits"))
    }

    /// Reads a string behind its length.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.int31()?;
        self.text(length)
    }

    /// Reads a name behind its length. Whether it is UTF-8 is asked where it matters.
    pub(super) fn name(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.int31()?;
        self.take(length)
    }

    /// Reads a name by its number in the dictionary.
    pub(super) fn known_name(&mut self) -> Result<&'a [u8], Fault> {
        self.dictionary().map(str::as_bytes)
    }

    /// Reads so many bytes of UTF-8.
    pub(super) fn text(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let start = self.at;
        let text = self.take(length)?;
        if self.utf8 == Utf8::Here {
            let broken = |cause: Utf8Error| Fault::new(start + cause.valid_up_to(), NOT_UTF8);
            str::from_utf8(text).map_err(broken)?;
        }
        Ok(text)
    }

    /// Reads the number of a string in the dictionary. Even numbers are those of the static one, or of the
    /// sender's own; odd ones are those of a session, which a body that stands alone does not have.
    pub(super) fn dictionary(&mut self) -> Result<&'a str, Fault> {
        let number = self.int31()?;
        if number % 2 == 1 {
            return Err(
                self.fault("a string by its number in a dictionary that the body does not have")
            );
        }
        let place = number / 2;
        match self.own {
            None => STRINGS.get(place).copied().ok_or_else(|| {
                self.fault(format!(
                    "a string by a number that the static dictionary lacks; {GIVE_STRINGS}"
                ))
            }),
            Some(own) => own.get(place).ok_or_else(|| {
                let count = own.len();
                self.fault(format!(
                    "string {place}, counted from 0, of a dictionary that has {count} (decode.dictionary)"
                ))
            }),
        }
    }
}
