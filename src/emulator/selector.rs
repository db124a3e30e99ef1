//! Where a receiver wants to start: the selector expression of its source's filter.
//!
//! Source: the filter `apache.org:selector-filter:string` of the AMQP protocol guide for Azure Event
//! Hubs. The SDKs quote the value or not, and put spaces around the operator or not.

use fe2o3_amqp::types::messaging::FilterSet;
use fe2o3_amqp::types::primitives::Value;

use super::condition::Refusal;

const FILTER: &str = "apache.org:selector-filter:string";

/// A position in a partition, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Position {
    /// Before the oldest event.
    Earliest,
    /// After the newest event at the time of attaching.
    Latest,
    /// At or after the byte position in the text.
    Offset { value: String, inclusive: bool },
    /// At or after the number in the text.
    SequenceNumber { value: String, inclusive: bool },
    /// The first event enqueued then (when inclusive) or later; milliseconds since 1970.
    EnqueuedTime { millis: i64, inclusive: bool },
}

impl Position {
    /// The position a source asks for; a source without a selector starts at the oldest event.
    pub(crate) fn of(filter: Option<&FilterSet>) -> Result<Self, Refusal> {
        let selector = filter.and_then(|set| set.iter().find(|(name, _)| name.as_str() == FILTER));
        match selector {
            None => Ok(Self::Earliest),
            Some((_, Value::Described(described))) => match &described.value {
                Value::String(expression) => {
                    Self::parse(expression).ok_or_else(|| Refusal::selector(expression))
                }
                _ => Err(Refusal::filter_type()),
            },
            Some(_) => Err(Refusal::filter_type()),
        }
    }

    /// Reads `amqp.annotation.x-opt-offset > '-1'` and its relatives.
    fn parse(expression: &str) -> Option<Self> {
        let (name, comparison) = expression.split_once('>')?;
        let (inclusive, value) = match comparison.strip_prefix('=') {
            Some(value) => (true, value),
            None => (false, comparison),
        };
        let value = unquoted(value.trim())?;
        match name.trim().strip_prefix("amqp.annotation.")? {
            "x-opt-offset" => Some(Self::from_offset(value, inclusive)),
            "x-opt-sequence-number" => Some(Self::SequenceNumber {
                value: value.to_owned(),
                inclusive,
            }),
            "x-opt-enqueued-time" | "x-opt-enqueuedtimeutc" => Some(Self::EnqueuedTime {
                millis: value.parse().ok()?,
                inclusive,
            }),
            _ => None,
        }
    }

    fn from_offset(value: &str, inclusive: bool) -> Self {
        match value {
            "-1" => Self::Earliest,
            "@latest" => Self::Latest,
            _ => Self::Offset {
                value: value.to_owned(),
                inclusive,
            },
        }
    }
}

/// The value without its quotes; none where only one end is quoted or nothing is there.
fn unquoted(value: &str) -> Option<&str> {
    let inner = match value.strip_prefix('\'') {
        Some(rest) => rest.strip_suffix('\'')?,
        None if value.ends_with('\'') => return None,
        None => value,
    };
    (!inner.is_empty()).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: Option<Position>) {
        assert_eq!(Position::parse(expression), expected, "{expression}");
    }

    #[test]
    fn every_spelling_of_the_sdks_is_read() {
        let offset = |value: &str, inclusive| {
            Some(Position::Offset {
                value: value.to_owned(),
                inclusive,
            })
        };
        let number = |value: &str, inclusive| {
            Some(Position::SequenceNumber {
                value: value.to_owned(),
                inclusive,
            })
        };
        let time = |millis, inclusive| Some(Position::EnqueuedTime { millis, inclusive });
        check(
            "amqp.annotation.x-opt-offset > '@latest'",
            Some(Position::Latest),
        );
        check(
            "amqp.annotation.x-opt-offset > @latest",
            Some(Position::Latest),
        );
        check(
            "amqp.annotation.x-opt-offset > '-1'",
            Some(Position::Earliest),
        );
        check(
            "amqp.annotation.x-opt-offset >= '-1'",
            Some(Position::Earliest),
        );
        check("amqp.annotation.x-opt-offset >'123'", offset("123", false));
        check("amqp.annotation.x-opt-offset >='123'", offset("123", true));
        check("amqp.annotation.x-opt-offset > 123", offset("123", false));
        check(
            "amqp.annotation.x-opt-sequence-number > '7'",
            number("7", false),
        );
        check(
            "amqp.annotation.x-opt-sequence-number >= '-1'",
            number("-1", true),
        );
        check(
            "amqp.annotation.x-opt-enqueued-time > '1700000000000'",
            time(1_700_000_000_000, false),
        );
        check("amqp.annotation.x-opt-enqueuedtimeutc >= 5", time(5, true));
    }

    #[test]
    fn other_expressions_are_no_positions() {
        for expression in [
            "",
            "x > 1",
            "amqp.annotation.x-opt-offset < '1'",
            "amqp.annotation.x-opt-offset = '1'",
            "amqp.annotation.x-opt-offset > '",
            "amqp.annotation.x-opt-offset > ''",
            "amqp.annotation.x-opt-offset > 1'",
            "amqp.annotation.x-opt-enqueued-time > 'yesterday'",
            "amqp.annotation.x-opt-publisher > 'p'",
        ] {
            check(expression, None);
        }
    }

    #[test]
    fn a_selector_must_be_a_described_string() {
        let set = |value| FilterSet::from_iter([(FILTER.into(), value)]);
        assert_eq!(Position::of(None), Ok(Position::Earliest));
        assert_eq!(
            Position::of(Some(&set(Value::String(
                "amqp.annotation.x-opt-offset > '1'".into()
            )))),
            Err(Refusal::filter_type())
        );
    }
}
