//! The first byte of an encoded AMQP value, its constructor, and what it tells of the value's length.
//!
//! Source: AMQP 1.0, sections 1.2 (encodings) and 1.6 (types).

use super::Flaw;

/// Begins a descriptor and the value that it describes.
pub(in crate::receiver) const DESCRIBED: u8 = 0x00;
/// A value without a byte of its own.
pub(in crate::receiver) const NULL: u8 = 0x40;
/// A binary with a size of one byte.
pub(in crate::receiver) const VBIN8: u8 = 0xa0;
/// A binary with a size of four bytes.
pub(in crate::receiver) const VBIN32: u8 = 0xb0;

/// How a constructor says how long its value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::receiver) enum Shape {
    /// So many bytes.
    Fixed(u8),
    /// A size of so many bytes, and what it counts.
    Variable(u8),
    /// A size and a count of so many bytes each, and values.
    Compound(u8),
    /// A size and a count of so many bytes each, a constructor, and elements.
    Array(u8),
}

/// The shape of a value, unless it is described.
pub(in crate::receiver) fn shape(constructor: u8) -> Result<Shape, Flaw> {
    Ok(match constructor {
        0x40..=0x45 => Shape::Fixed(0),
        0x50..=0x56 => Shape::Fixed(1),
        0x60 | 0x61 => Shape::Fixed(2),
        0x70..=0x74 => Shape::Fixed(4),
        0x80..=0x84 => Shape::Fixed(8),
        0x94 | 0x98 => Shape::Fixed(16),
        0xa0 | 0xa1 | 0xa3 => Shape::Variable(1),
        0xb0 | 0xb1 | 0xb3 => Shape::Variable(4),
        0xc0 | 0xc1 => Shape::Compound(1),
        0xd0 | 0xd1 => Shape::Compound(4),
        0xe0 => Shape::Array(1),
        0xf0 => Shape::Array(4),
        _ => return Err("a value has a type that does not exist"),
    })
}

/// The bytes of a compound's or array's size.
pub(in crate::receiver) fn width(constructor: u8) -> u8 {
    if matches!(constructor, 0xc0 | 0xc1 | 0xe0) {
        1
    } else {
        4
    }
}

/// The constructor of a binary whose size has so many bytes.
pub(in crate::receiver) fn binary(width: u8) -> u8 {
    if width == 1 { VBIN8 } else { VBIN32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constructor_tells_the_shape_of_its_value() {
        let check = |constructor: u8, expected: Shape| assert_eq!(shape(constructor), Ok(expected));
        check(0x45, Shape::Fixed(0));
        check(0x56, Shape::Fixed(1));
        check(0x61, Shape::Fixed(2));
        check(0x74, Shape::Fixed(4));
        check(0x83, Shape::Fixed(8));
        check(0x98, Shape::Fixed(16));
        check(0xa3, Shape::Variable(1));
        check(0xb1, Shape::Variable(4));
        check(0xc1, Shape::Compound(1));
        check(0xd0, Shape::Compound(4));
        check(0xe0, Shape::Array(1));
        check(0xf0, Shape::Array(4));
        for unknown in [0x00, 0x3f, 0x46, 0xa2, 0xff] {
            assert!(shape(unknown).is_err(), "{unknown:x}");
        }
    }

    #[test]
    fn a_binary_has_a_size_as_wide_as_the_compound_that_it_replaces() {
        for constructor in [0xc0, 0xc1, 0xd0, 0xd1, 0xe0, 0xf0] {
            let width = width(constructor);
            assert_eq!(shape(binary(width)), Ok(Shape::Variable(width)));
        }
    }
}
