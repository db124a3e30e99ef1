//! How AMQP encodes values, as far as one must know without decoding them: where a value ends, and whether it
//! is safe to be decoded.
//!
//! Source: AMQP 1.0, part 1.

pub(in crate::receiver) mod constructor;
pub(in crate::receiver) mod walk;

/// What is wrong with encoded bytes, as the end of a sentence.
pub(in crate::receiver) type Flaw = &'static str;
