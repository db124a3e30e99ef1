//! How AMQP encodes values, as far as one must know without decoding them: where a value ends, and whether it
//! is safe to be decoded.
//!
//! Source: AMQP 1.0, part 1.

pub(in crate::receiver) mod constructor;
pub(in crate::receiver) mod cursor;
pub(in crate::receiver) mod walk;

/// What is wrong with encoded bytes, as the end of a sentence.
pub(in crate::receiver) type Flaw = &'static str;

const BEYOND: Flaw = "a value is longer than what holds it";
const TOO_DEEP: Flaw = "described values are nested more than 32 levels deep";
const NO_ROOM: Flaw = "a list, map or array has no room for its count";
const SHORT: Flaw = "a list, map or array is longer than its values";
const NO_VALUE: Flaw = "a map has a key without a value";
const NO_DESCRIPTOR: Flaw = "a descriptor is neither a number nor a symbol";
