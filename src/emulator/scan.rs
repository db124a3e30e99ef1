//! Walks encoded AMQP values without building them: how long each is, where its parts lie.
//!
//! Implements the encodings of AMQP 1.0 part 1 (types), section 1.6. Everything a peer sends goes
//! through [`value_len`] before any other decoder sees it, so that a claimed length, a claimed count
//! or a deep nesting is refused here and costs neither memory nor stack.

/// How deep lists, maps, arrays and described values may lie in one another.
const MAX_DEPTH: usize = 32;

/// How many elements an array may claim whose elements take no bytes (nulls, `true`, ...).
const MAX_EMPTY_ELEMENTS: usize = 255;

/// Why bytes are not an AMQP value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// The bytes end before the value does, or a part is longer than the whole.
    #[error("a value is cut short")]
    Truncated,
    /// No encoding has this code.
    #[error("0x{0:02x} is no AMQP encoding")]
    UnknownCode(u8),
    /// Nested deeper than `MAX_DEPTH`.
    #[error("values are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// The parts of a compound do not add up to its size or count.
    #[error("a compound's size or count is wrong")]
    Miscounted,
    /// A well-formed value of another type than the place asks for.
    #[error("a value has an unexpected type")]
    Unexpected,
}

/// The length in bytes of the first value in `bytes`, all of its parts checked.
pub(crate) fn value_len(bytes: &[u8]) -> Result<usize, Malformed> {
    let mut cursor = Cursor { rest: bytes };
    cursor.skip_value(MAX_DEPTH)?;
    Ok(bytes.len() - cursor.rest.len())
}

/// Splits the first value off `bytes`.
pub(crate) fn split_value(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    Ok(bytes.split_at(value_len(bytes)?))
}

/// A described value taken apart, and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Described<'a> {
    /// The number of the descriptor; none where it is spelled as a symbol.
    pub(crate) descriptor: Option<u64>,
    pub(crate) value: &'a [u8],
    pub(crate) rest: &'a [u8],
}

/// Splits the described value that `bytes` begins with.
pub(crate) fn split_described(bytes: &[u8]) -> Result<Described<'_>, Malformed> {
    let Some((0x00, after)) = bytes.split_first().map(|(code, rest)| (*code, rest)) else {
        return Err(Malformed::Unexpected);
    };
    let (descriptor, after) = split_value(after)?;
    let (value, rest) = split_value(after)?;
    Ok(Described {
        descriptor: as_ulong(descriptor),
        value,
        rest,
    })
}

/// The elements of an encoded list or map (keys and values in turn), each as its encoded bytes.
pub(crate) fn elements(compound: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let (code, rest) = compound.split_first().ok_or(Malformed::Truncated)?;
    let mut cursor = Cursor { rest };
    let count = match code {
        0x45 => return Ok(Vec::new()),
        0xc0 | 0xc1 => cursor.compound_header(1)?.1,
        0xd0 | 0xd1 => cursor.compound_header(4)?.1,
        _ => return Err(Malformed::Unexpected),
    };
    let mut found = Vec::new();
    for _ in 0..count {
        let (value, rest) = split_value(cursor.rest)?;
        found.push(value);
        cursor.rest = rest;
    }
    Ok(found)
}

/// The text of an encoded string or symbol.
pub(crate) fn as_text(value: &[u8]) -> Option<&str> {
    match value.first()? {
        0xa1 | 0xa3 => std::str::from_utf8(value.get(2..)?).ok(),
        0xb1 | 0xb3 => std::str::from_utf8(value.get(5..)?).ok(),
        _ => None,
    }
}

/// The bytes of an encoded binary.
pub(crate) fn as_binary(value: &[u8]) -> Option<&[u8]> {
    match value.first()? {
        0xa0 => value.get(2..),
        0xb0 => value.get(5..),
        _ => None,
    }
}

/// The number in an encoded ulong.
pub(crate) fn as_ulong(value: &[u8]) -> Option<u64> {
    match (value.first()?, &value[1..]) {
        (0x44, []) => Some(0),
        (0x53, [small]) => Some(u64::from(*small)),
        (0x80, wide) => Some(u64::from_be_bytes(wide.try_into().ok()?)),
        _ => None,
    }
}

/// Reads forward and never past the end.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    /// A length or count of 1 or 4 bytes.
    fn length(&mut self, width: usize) -> Result<usize, Malformed> {
        let bytes = self.take(width)?;
        Ok(bytes
            .iter()
            .fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    }

    /// The size (count included) and the count of a compound.
    fn compound_header(&mut self, width: usize) -> Result<(usize, usize), Malformed> {
        let size = self.length(width)?;
        if size > self.rest.len() {
            return Err(Malformed::Truncated);
        }
        Ok((size, self.length(width)?))
    }

    fn skip_value(&mut self, depth: usize) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
        let code = self.byte()?;
        if code == 0x00 {
            self.skip_value(depth)?;
            return self.skip_value(depth);
        }
        self.skip_contents(code, depth)
    }

    /// What follows the code of a value.
    fn skip_contents(&mut self, code: u8, depth: usize) -> Result<(), Malformed> {
        match code {
            0xc0 | 0xc1 => self.skip_compound(1, code == 0xc1, depth),
            0xd0 | 0xd1 => self.skip_compound(4, code == 0xd1, depth),
            0xe0 => self.skip_array(1, depth),
            0xf0 => self.skip_array(4, depth),
            0xa0 | 0xa1 | 0xa3 => self.length(1).and_then(|len| self.take(len)).map(|_| ()),
            0xb0 | 0xb1 | 0xb3 => self.length(4).and_then(|len| self.take(len)).map(|_| ()),
            _ => self.take(fixed_width(code)?).map(|_| ()),
        }
    }

    fn skip_compound(&mut self, width: usize, is_map: bool, depth: usize) -> Result<(), Malformed> {
        let (size, count) = self.compound_header(width)?;
        let mut inner = Cursor {
            rest: self.take(size.checked_sub(width).ok_or(Malformed::Miscounted)?)?,
        };
        // Every element takes a byte at least.
        if count > inner.rest.len() || (is_map && count % 2 != 0) {
            return Err(Malformed::Miscounted);
        }
        for _ in 0..count {
            inner.skip_value(depth)?;
        }
        inner.end()
    }

    fn skip_array(&mut self, width: usize, depth: usize) -> Result<(), Malformed> {
        let (size, count) = self.compound_header(width)?;
        let mut inner = Cursor {
            rest: self.take(size.checked_sub(width).ok_or(Malformed::Miscounted)?)?,
        };
        if inner.rest.is_empty() && count == 0 {
            return Ok(());
        }
        let mut code = inner.byte()?;
        if code == 0x00 {
            inner.skip_value(depth.checked_sub(1).ok_or(Malformed::TooDeep)?)?;
            code = inner.byte()?;
        }
        if count > inner.rest.len().max(MAX_EMPTY_ELEMENTS) {
            return Err(Malformed::Miscounted);
        }
        let depth = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
        for _ in 0..count {
            inner.skip_contents(code, depth)?;
        }
        inner.end()
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Miscounted)
        }
    }
}

/// The width of a value of fixed width, after its code.
fn fixed_width(code: u8) -> Result<usize, Malformed> {
    match code {
        0x40..=0x45 => Ok(0),
        0x50..=0x56 => Ok(1),
        0x60 | 0x61 => Ok(2),
        0x70..=0x74 => Ok(4),
        0x80..=0x84 => Ok(8),
        0x94 | 0x98 => Ok(16),
        _ => Err(Malformed::UnknownCode(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<usize, Malformed>) {
        assert_eq!(value_len(bytes), expected, "{bytes:02x?}");
    }

    #[test]
    fn a_value_is_measured_and_what_follows_it_is_left() {
        check(&[0x40, 9], Ok(1));
        check(&[0x53, 7, 9], Ok(2));
        check(&[0xa1, 2, b'h', b'i', 9], Ok(4));
        check(&[0x00, 0x53, 0x75, 0xa0, 1, 0xff, 9], Ok(6));
        check(&[0xc0, 3, 2, 0x41, 0x42, 9], Ok(5));
        check(&[0xc1, 3, 2, 0x41, 0x42], Ok(5));
        check(&[0xe0, 4, 2, 0x50, 1, 2], Ok(6));
        check(&[0xf0, 0, 0, 0, 4, 0, 0, 0, 0], Ok(9));
        check(&[0xe0, 2, 9, 0x41], Ok(4));
    }

    #[test]
    fn a_claimed_length_is_not_believed() {
        check(&[], Err(Malformed::Truncated));
        check(
            &[0xb0, 0xff, 0xff, 0xff, 0xff, 1],
            Err(Malformed::Truncated),
        );
        check(
            &[0xd0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1],
            Err(Malformed::Truncated),
        );
        check(&[0xc0, 2, 200, 0x40], Err(Malformed::Miscounted));
        check(&[0xc0, 3, 1, 0x40, 0x40], Err(Malformed::Miscounted));
        check(&[0xc0, 0, 0], Err(Malformed::Miscounted));
        check(&[0xc1, 2, 1, 0x40], Err(Malformed::Miscounted));
        check(
            &[0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x41],
            Err(Malformed::Miscounted),
        );
        check(&[0x07], Err(Malformed::UnknownCode(7)));
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_is() {
        check(&[0x00; 65536], Err(Malformed::TooDeep));
        let mut nested = vec![0x40];
        for _ in 0..40 {
            let size = u8::try_from(nested.len() + 1).unwrap();
            nested.splice(0..0, [0xc0, size, 1]);
        }
        check(&nested, Err(Malformed::TooDeep));
    }

    #[test]
    fn parts_are_found_as_they_were_encoded() {
        let list = [0xc0, 6, 2, 0xa1, 2, b'h', b'i', 0x43];
        assert_eq!(elements(&list), Ok(vec![&list[3..7], &list[7..]]));
        assert_eq!(as_text(&list[3..7]), Some("hi"));
        assert_eq!(elements(&[0x45]), Ok(vec![]));
        assert_eq!(elements(&[0x40]), Err(Malformed::Unexpected));
        let section = [0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x75, 0xa0, 1, 7, 9];
        let described = Described {
            descriptor: Some(0x75),
            value: &section[10..13],
            rest: &section[13..],
        };
        assert_eq!(split_described(&section), Ok(described));
        assert_eq!(as_binary(&section[10..13]), Some(&[7][..]));
    }
}
