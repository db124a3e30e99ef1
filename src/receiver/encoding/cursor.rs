//! A place in encoded bytes that goes forward value by value, and never beyond their end.
//!
//! Nothing is copied: what is read is a part of what was given. A value is skipped by its size whatever it
//! holds, so no nesting makes it deeper than one call, and no count is believed that has no bytes behind it.
//!
//! A typed reader takes every encoding that AMQP has for its type, and no other type. A null is `None`.
//!
//! Source: AMQP 1.0, sections 1.2 (encodings), 1.3 (type notation) and 1.6 (types).

use super::constructor::{DESCRIBED, NULL, Shape, shape};
use super::walk::MAX_NESTING;
use super::{BEYOND, Flaw, NO_DESCRIPTOR, NO_ROOM, NO_VALUE, SHORT, TOO_DEEP};

const NO_TEXT: Flaw = "a text is not UTF-8";

/// The rest of encoded bytes. Behind a flaw its place is of no more use.
#[derive(Debug, Clone)]
pub(in crate::receiver) struct Cursor<'a> {
    rest: &'a [u8],
    /// The length of all that was given, by which the place is told.
    length: usize,
}

impl<'a> Cursor<'a> {
    /// Begins at the first byte.
    #[inline]
    pub(in crate::receiver) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            length: bytes.len(),
        }
    }

    /// True behind the last byte.
    #[inline]
    pub(in crate::receiver) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A flaw where a list or map has more in it than the values that it counts.
    #[inline]
    pub(in crate::receiver) fn ended(&self) -> Result<(), Flaw> {
        if self.is_empty() { Ok(()) } else { Err(SHORT) }
    }

    /// How many bytes lie behind.
    #[inline]
    pub(in crate::receiver) fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    /// What is still to be read.
    #[inline]
    pub(in crate::receiver) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// One byte as it is.
    #[inline]
    pub(in crate::receiver) fn byte(&mut self) -> Result<u8, Flaw> {
        let (byte, rest) = self.rest.split_first().ok_or(BEYOND)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// So many bytes as they are.
    #[inline]
    pub(in crate::receiver) fn take(&mut self, n: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(BEYOND)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The code of a descriptor, behind which the described value comes. A section of a message may go
    /// by its symbol as well; no other symbol has a code.
    #[inline]
    pub(in crate::receiver) fn descriptor(&mut self) -> Result<u64, Flaw> {
        if self.byte()? != DESCRIBED {
            return Err("a section or performative has no descriptor");
        }
        match self.byte()? {
            0x53 => Ok(self.byte()?.into()),
            0x80 => Ok(u64::from_be_bytes(self.array()?)),
            0x44 => Ok(0),
            0xa3 => section_code(self.sized(1)?),
            0xb3 => section_code(self.sized(4)?),
            _ => Err(NO_DESCRIPTOR),
        }
    }

    /// The elements of a list, and how many there are said to be.
    #[inline]
    pub(in crate::receiver) fn list(&mut self) -> Result<(Self, u32), Flaw> {
        match self.byte()? {
            0x45 => Ok((Self::new(&[]), 0)),
            0xc0 => self.compound(1),
            0xd0 => self.compound(4),
            _ => Err("a value is no list"),
        }
    }

    /// The entries of a map, and how many keys and values there are said to be.
    #[inline]
    pub(in crate::receiver) fn map(&mut self) -> Result<(Self, u32), Flaw> {
        let (entries, count) = match self.byte()? {
            0xc1 => self.compound(1)?,
            0xd1 => self.compound(4)?,
            _ => return Err("a value is no map"),
        };
        if count % 2 == 1 {
            return Err(NO_VALUE);
        }
        Ok((entries, count))
    }

    /// The next value as it is encoded, constructor and all.
    #[inline]
    pub(in crate::receiver) fn value(&mut self) -> Result<&'a [u8], Flaw> {
        let from_here = self.rest;
        self.skip()?;
        let length = from_here.len() - self.rest.len();
        from_here.get(..length).ok_or(BEYOND)
    }

    /// Goes behind the next value.
    #[inline]
    pub(in crate::receiver) fn skip(&mut self) -> Result<(), Flaw> {
        match self.byte()? {
            DESCRIBED => self.skip_described(),
            constructor => self.skip_content(constructor),
        }
    }

    /// An unsigned number of four bytes, or fewer where it is small.
    #[inline]
    pub(in crate::receiver) fn uint(&mut self) -> Result<Option<u32>, Flaw> {
        self.typed(|cursor, constructor| match constructor {
            0x43 => Ok(0),
            0x52 => Ok(cursor.byte()?.into()),
            0x70 => Ok(u32::from_be_bytes(cursor.array()?)),
            _ => Err("a value is no uint"),
        })
    }

    /// An unsigned number of eight bytes, or fewer where it is small.
    #[inline]
    pub(in crate::receiver) fn ulong(&mut self) -> Result<Option<u64>, Flaw> {
        self.typed(|cursor, constructor| match constructor {
            0x44 => Ok(0),
            0x53 => Ok(cursor.byte()?.into()),
            0x80 => Ok(u64::from_be_bytes(cursor.array()?)),
            _ => Err("a value is no ulong"),
        })
    }

    /// A number of four bytes, or one where it is small.
    #[inline]
    pub(in crate::receiver) fn int(&mut self) -> Result<Option<i32>, Flaw> {
        self.typed(|cursor, constructor| match constructor {
            0x54 => Ok(i8::from_be_bytes(cursor.array()?).into()),
            0x71 => Ok(i32::from_be_bytes(cursor.array()?)),
            _ => Err("a value is no int"),
        })
    }

    /// A number of eight bytes, or one where it is small.
    #[inline]
    pub(in crate::receiver) fn long(&mut self) -> Result<Option<i64>, Flaw> {
        self.typed(|cursor, constructor| match constructor {
            0x55 => Ok(i8::from_be_bytes(cursor.array()?).into()),
            0x81 => Ok(i64::from_be_bytes(cursor.array()?)),
            _ => Err("a value is no long"),
        })
    }

    /// Milliseconds since the epoch.
    #[inline]
    pub(in crate::receiver) fn timestamp(&mut self) -> Result<Option<i64>, Flaw> {
        self.typed(|cursor, constructor| match constructor {
            0x83 => Ok(i64::from_be_bytes(cursor.array()?)),
            _ => Err("a value is no timestamp"),
        })
    }

    /// A truth value.
    #[inline]
    pub(in crate::receiver) fn boolean(&mut self) -> Result<Option<bool>, Flaw> {
        self.typed(|cursor, constructor| match constructor {
            0x41 => Ok(true),
            0x42 => Ok(false),
            0x56 => match cursor.byte()? {
                0 => Ok(false),
                1 => Ok(true),
                _ => Err("a boolean is neither true nor false"),
            },
            _ => Err("a value is no boolean"),
        })
    }

    /// Bytes.
    #[inline]
    pub(in crate::receiver) fn binary(&mut self) -> Result<Option<&'a [u8]>, Flaw> {
        self.typed(|cursor, constructor| match constructor {
            0xa0 => cursor.sized(1),
            0xb0 => cursor.sized(4),
            _ => Err("a value is no binary"),
        })
    }

    /// A text.
    #[inline]
    pub(in crate::receiver) fn string(&mut self) -> Result<Option<&'a str>, Flaw> {
        self.typed(|cursor, constructor| match constructor {
            0xa1 => text(cursor.sized(1)?),
            0xb1 => text(cursor.sized(4)?),
            _ => Err("a value is no string"),
        })
    }

    /// A symbol. It should be ASCII; that it is UTF-8 will do.
    #[inline]
    pub(in crate::receiver) fn symbol(&mut self) -> Result<Option<&'a str>, Flaw> {
        self.typed(|cursor, constructor| match constructor {
            0xa3 => text(cursor.sized(1)?),
            0xb3 => text(cursor.sized(4)?),
            _ => Err("a value is no symbol"),
        })
    }

    /// Goes behind a text, which is looked through and no more. False where it is null.
    #[inline]
    pub(in crate::receiver) fn skip_string(&mut self) -> Result<bool, Flaw> {
        Ok(self.skip_short(0xa1) || self.string()?.is_some())
    }

    /// The same of a symbol.
    #[inline]
    pub(in crate::receiver) fn skip_symbol(&mut self) -> Result<bool, Flaw> {
        Ok(self.skip_short(0xa3) || self.symbol()?.is_some())
    }

    /// Goes behind a text that is short and of ASCII, as most are: that is found sooner than that one is UTF-8. Stays
    /// before any other.
    #[inline]
    fn skip_short(&mut self, constructor: u8) -> bool {
        if let [first, size, rest @ ..] = self.rest
            && *first == constructor
            && let Some((text, rest)) = rest.split_at_checked(usize::from(*size))
            && text.iter().fold(0, |all, byte| all | byte) < 0x80
        {
            self.rest = rest;
            return true;
        }
        false
    }

    /// A value by its constructor, unless it is null.
    #[inline]
    fn typed<T>(
        &mut self,
        read: impl FnOnce(&mut Self, u8) -> Result<T, Flaw>,
    ) -> Result<Option<T>, Flaw> {
        match self.byte()? {
            NULL => Ok(None),
            constructor => read(self, constructor).map(Some),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(BEYOND)?;
        self.rest = rest;
        Ok(*array)
    }

    /// A size or count of one byte or four.
    #[inline]
    fn number(&mut self, width: u8) -> Result<u32, Flaw> {
        if width == 1 {
            self.byte().map(u32::from)
        } else {
            self.array().map(u32::from_be_bytes)
        }
    }

    /// A size, and the bytes that it counts.
    #[inline]
    fn sized(&mut self, width: u8) -> Result<&'a [u8], Flaw> {
        let size = self.number(width)?;
        self.take(size as usize)
    }

    #[inline]
    fn compound(&mut self, width: u8) -> Result<(Self, u32), Flaw> {
        let mut content = Self::new(self.sized(width)?);
        let count = content.number(width).map_err(|_| NO_ROOM)?;
        // No value takes less than a byte.
        if count as usize > content.rest.len() {
            return Err(BEYOND);
        }
        Ok((Self::new(content.rest), count))
    }

    /// A described value may be described again: it is followed in a loop, and not for ever.
    fn skip_described(&mut self) -> Result<(), Flaw> {
        for _ in 0..MAX_NESTING {
            match self.byte()? {
                constructor @ (0x44 | 0x53 | 0x80 | 0xa3 | 0xb3) => {
                    self.skip_content(constructor)?;
                }
                _ => return Err(NO_DESCRIPTOR),
            }
            match self.byte()? {
                DESCRIBED => {}
                constructor => return self.skip_content(constructor),
            }
        }
        Err(TOO_DEEP)
    }

    #[inline]
    fn skip_content(&mut self, constructor: u8) -> Result<(), Flaw> {
        match shape(constructor)? {
            Shape::Fixed(width) => self.take(width.into())?,
            Shape::Variable(width) | Shape::Compound(width) | Shape::Array(width) => {
                self.sized(width)?
            }
        };
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, Flaw> {
    std::str::from_utf8(bytes).map_err(|_| NO_TEXT)
}

/// The code that stands for the same section as a symbol (AMQP 1.0, sections 3.2.1 to 3.2.9).
fn section_code(symbol: &[u8]) -> Result<u64, Flaw> {
    Ok(match symbol {
        b"amqp:header:list" => 0x70,
        b"amqp:delivery-annotations:map" => 0x71,
        b"amqp:message-annotations:map" => 0x72,
        b"amqp:properties:list" => 0x73,
        b"amqp:application-properties:map" => 0x74,
        b"amqp:data:binary" => 0x75,
        b"amqp:amqp-sequence:list" => 0x76,
        b"amqp:amqp-value:*" => 0x77,
        b"amqp:footer:map" => 0x78,
        _ => return Err("a descriptor is a symbol that names no section"),
    })
}

#[cfg(test)]
mod tests;
