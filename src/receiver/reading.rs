//! What a message means as an event, whoever took it apart: the words for what is missing or of no use,
//! the time, the weight, and a property's value in JSON's terms.
//!
//! Source: AMQP 1.0, sections 1.6 (types) and 3.2 (sections of a message).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use fe2o3_amqp::types::primitives::{SimpleValue, Uuid};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::encoding::Flaw;
use super::seam::Failure;
use crate::event::{Body, SequenceNumber};
use crate::standing::{LastEnqueued, Mark};

/// What an event weighs beside what it carries, in bytes, for credit to reckon with.
const OVERHEAD: usize = 256;

/// About how much an event of this size weighs, both in bytes.
pub(super) fn weight(size: usize) -> usize {
    OVERHEAD + size
}

/// What the service says beside an event of the last one in the partition, as it says it: most often the same again.
///
/// Source: the delivery annotations that Microsoft's SDKs read, `last_enqueued_*` and
/// `runtime_info_retrieval_time_utc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RuntimeMetric {
    sequence_number: i64,
    /// In milliseconds since the epoch.
    enqueued_time: i64,
    /// In milliseconds since the epoch.
    retrieval_time: i64,
}

impl RuntimeMetric {
    /// None where the service does not say all of it.
    pub(super) fn new(
        sequence_number: Option<i64>,
        enqueued_time: Option<i64>,
        retrieval_time: Option<i64>,
    ) -> Option<Self> {
        Some(Self {
            sequence_number: sequence_number?,
            enqueued_time: enqueued_time?,
            retrieval_time: retrieval_time?,
        })
    }

    /// What it means.
    pub(super) fn last_enqueued(self) -> LastEnqueued {
        LastEnqueued {
            mark: Mark {
                sequence_number: SequenceNumber(self.sequence_number),
                enqueued_time: enqueued_time(Some(self.enqueued_time)),
            },
            as_of: enqueued_time(Some(self.retrieval_time)),
        }
    }
}

/// A message that nobody could go on from.
pub(super) fn no_sequence_number() -> Failure {
    Failure::Malformed("it has no sequence number".to_owned())
}

/// A message that nobody could go on from.
pub(super) fn no_offset() -> Failure {
    Failure::Malformed("it has no offset".to_owned())
}

/// A message that cannot be taken apart.
pub(super) fn broken(flaw: Flaw) -> Failure {
    Failure::Malformed(format!("its AMQP encoding is broken: {flaw}"))
}

/// A message without a time, or with one that no calendar holds, is as old as time itself.
pub(super) fn enqueued_time(milliseconds: Option<i64>) -> OffsetDateTime {
    milliseconds
        .and_then(calendar_time)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn calendar_time(milliseconds: i64) -> Option<OffsetDateTime> {
    let second = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000)).ok()?;
    let millisecond = milliseconds.rem_euclid(1000).try_into().ok()?;
    second.replace_millisecond(millisecond).ok()
}

/// A message with a flaw, whose position is known: the sender's affair, that the others need not wait for.
pub(super) fn flawed(flaw: Flaw, message: Bytes) -> Body {
    unreadable(
        format!("the message's AMQP encoding is broken: {flaw}"),
        message,
    )
}

/// A message with no section of a body.
pub(super) fn no_body() -> Body {
    unreadable("the message has no body".to_owned(), Bytes::new())
}

/// A body of sequences, whose elements are encoded one behind the other.
pub(super) fn sequence(elements: Bytes) -> Body {
    unreadable(
        "the message's body is an AMQP sequence".to_owned(),
        elements,
    )
}

/// A body that is a value of a type that no body should have, or text that is none.
pub(super) fn unreadable_value(encoded: Bytes) -> Body {
    let kind = kind(encoded.first().copied());
    unreadable(format!("the message's body is an AMQP {kind}"), encoded)
}

fn unreadable(reason: String, encoded: Bytes) -> Body {
    Body::Unreadable { reason, encoded }
}

/// The name of a type by the first byte of a value, its constructor (AMQP 1.0, section 1.6).
pub(super) fn kind(constructor: Option<u8>) -> &'static str {
    match constructor {
        Some(0xa0 | 0xb0) => "binary",
        Some(0xa1 | 0xb1) => "string",
        Some(0xa3 | 0xb3) => "symbol",
        Some(0x45 | 0xc0 | 0xd0) => "list",
        Some(0xc1 | 0xd1) => "map",
        Some(0xe0 | 0xf0) => "array",
        Some(0x00) => "described value",
        Some(0x40) | None => "null",
        Some(0x41 | 0x42 | 0x56) => "boolean",
        Some(0x72 | 0x82) => "floating-point number",
        Some(0x73) => "char",
        Some(0x74 | 0x84 | 0x94) => "decimal",
        Some(0x83) => "timestamp",
        Some(0x98) => "uuid",
        Some(_) => "integer",
    }
}

/// A property's value in JSON's terms, as [`crate::event::Properties`] lays down.
pub(super) fn json(value: SimpleValue) -> serde_json::Value {
    match value {
        SimpleValue::Null => serde_json::Value::Null,
        SimpleValue::Bool(value) => value.into(),
        SimpleValue::Ubyte(value) => value.into(),
        SimpleValue::Ushort(value) => value.into(),
        SimpleValue::Uint(value) => value.into(),
        SimpleValue::Ulong(value) => value.into(),
        SimpleValue::Byte(value) => value.into(),
        SimpleValue::Short(value) => value.into(),
        SimpleValue::Int(value) => value.into(),
        SimpleValue::Long(value) => value.into(),
        // By way of its text: a widened 0.1 would grow digits that the sender did not give.
        SimpleValue::Float(value) => float(value.0.to_string(), value.0.is_finite()),
        SimpleValue::Double(value) => float(value.0.to_string(), value.0.is_finite()),
        SimpleValue::Decimal32(value) => binary(value.into_inner().as_slice()),
        SimpleValue::Decimal64(value) => binary(value.into_inner().as_slice()),
        SimpleValue::Decimal128(value) => binary(value.into_inner().as_slice()),
        SimpleValue::Char(value) => value.to_string().into(),
        SimpleValue::Timestamp(value) => timestamp(value.milliseconds()).into(),
        SimpleValue::Uuid(value) => uuid(&value).into(),
        SimpleValue::Binary(value) => binary(&value),
        SimpleValue::String(value) => value.into(),
        SimpleValue::Symbol(value) => value.0.into(),
        SimpleValue::Described(_) => serde_json::Value::Null,
    }
}

/// JSON has no infinities: they stay texts.
fn float(digits: String, is_finite: bool) -> serde_json::Value {
    let number = is_finite.then(|| digits.parse().ok()).flatten();
    number.map_or_else(|| digits.into(), serde_json::Value::Number)
}

/// Bytes in JSON's terms.
pub(super) fn binary(bytes: &[u8]) -> serde_json::Value {
    BASE64.encode(bytes).into()
}

fn timestamp(milliseconds: i64) -> String {
    calendar_time(milliseconds)
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| milliseconds.to_string())
}

fn uuid(uuid: &Uuid) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(*uuid.as_inner()));
    let (a, b, c, d, e) = (
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::primitives::{Binary, Timestamp};

    use super::*;

    #[test]
    fn a_value_becomes_json_and_keeps_its_digits() {
        let check = |value: SimpleValue, expected: &str| {
            assert_eq!(json(value.clone()).to_string(), expected, "{value:?}");
        };
        check(SimpleValue::Null, "null");
        check(SimpleValue::Bool(true), "true");
        check(SimpleValue::Ulong(u64::MAX), "18446744073709551615");
        check(SimpleValue::Long(i64::MIN), "-9223372036854775808");
        check(SimpleValue::Float(0.1.into()), "0.1");
        check(SimpleValue::Double(2.5.into()), "2.5");
        check(SimpleValue::Double(f64::INFINITY.into()), "\"inf\"");
        check(SimpleValue::Char('é'), "\"é\"");
        check(SimpleValue::String("text".into()), "\"text\"");
        check(SimpleValue::Symbol("symbol".into()), "\"symbol\"");
        check(
            SimpleValue::Binary(Binary::from(&b"\x00\xff"[..])),
            "\"AP8=\"",
        );
        let time = Timestamp::from_milliseconds(1_700_000_000_000);
        check(SimpleValue::Timestamp(time), "\"2023-11-14T22:13:20Z\"");
        let uuid = Uuid::from(0x0123_4567_89ab_cdef_0123_4567_89ab_cdefu128.to_be_bytes());
        check(
            SimpleValue::Uuid(uuid),
            "\"01234567-89ab-cdef-0123-456789abcdef\"",
        );
    }
}
