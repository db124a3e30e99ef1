//! What a node of the service, `$cbs` or `$management`, answers to a question.
//!
//! Source: "AMQP Request-Response Operations" and "AMQP Claims-based Security 1.0" (working drafts),
//! and the AMQP protocol guide for Azure Event Hubs.

use std::fmt::Display;

use fe2o3_amqp::types::messaging::ApplicationProperties;
use fe2o3_amqp::types::primitives::{SimpleValue, Value};

use super::encoding::walk;
use super::seam::Failure;

/// A favourable answer.
#[derive(Debug)]
pub(super) struct Answer {
    body: Value,
}

impl Answer {
    /// Reads an answer: what it says of itself, and its body where that is a value, encoded.
    ///
    /// # Errors
    /// When the node refuses, or the answer cannot be read.
    pub(super) fn read(
        properties: &ApplicationProperties,
        body: Option<&[u8]>,
    ) -> Result<Self, Failure> {
        let find = |names: [&str; 2]| {
            names
                .iter()
                .find_map(|name| properties.0.get(*name).filter(|v| **v != SimpleValue::Null))
        };
        let status = match find(["status-code", "statusCode"]) {
            Some(SimpleValue::Int(code)) => i64::from(*code),
            Some(SimpleValue::Uint(code)) => i64::from(*code),
            Some(SimpleValue::Long(code)) => *code,
            _ => {
                return Err(Failure::lost("an answer came without a status code"));
            }
        };
        if (200..300).contains(&status) {
            let body = body.map_or(Ok(Value::Null), value)?;
            return Ok(Self { body });
        }
        let condition = find(["error-condition", "errorCondition"]).and_then(text);
        let description = find(["status-description", "statusDescription"]).and_then(text);
        Err(Failure::Answer {
            condition: condition.unwrap_or_else(|| condition_of(status)).to_owned(),
            description: format!("{} [status {status}]", description.unwrap_or_default()),
        })
    }

    /// A member of the map that is the answer.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        match &self.body {
            Value::Map(map) => map.get(&Value::String(name.to_owned())),
            _ => None,
        }
    }
}

/// Nobody has walked along the body so far.
fn value(encoded: &[u8]) -> Result<Value, Failure> {
    let unreadable =
        |reason: &dyn Display| Failure::lost(format!("an answer cannot be read: {reason}"));
    let mut encoded = encoded.to_vec();
    walk::make_safe(&mut encoded).map_err(|flaw| unreadable(&flaw))?;
    serde_amqp::from_slice(&encoded).map_err(|error| unreadable(&error))
}

fn text(value: &SimpleValue) -> Option<&str> {
    match value {
        SimpleValue::String(text) => Some(text),
        SimpleValue::Symbol(symbol) => Some(&symbol.0),
        _ => None,
    }
}

/// The condition that a status code stands for where the answer names none.
fn condition_of(status: i64) -> &'static str {
    match status {
        400 => "com.microsoft:argument-error",
        401 => "amqp:unauthorized-access",
        403 => "amqp:resource-limit-exceeded",
        404 => "amqp:not-found",
        408 => "com.microsoft:timeout",
        410 => "amqp:link:stolen",
        501 => "amqp:not-implemented",
        503 => "com.microsoft:server-busy",
        _ => "amqp:internal-error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(properties: &[(&str, SimpleValue)]) -> Result<Answer, Failure> {
        let mut map = ApplicationProperties::default();
        for (key, value) in properties {
            map.0.insert((*key).to_owned(), value.clone());
        }
        Answer::read(&map, None)
    }

    fn status(code: i32) -> (&'static str, SimpleValue) {
        ("status-code", SimpleValue::Int(code))
    }

    #[test]
    fn every_status_from_200_to_299_is_favourable() {
        for code in [200, 202, 299] {
            answer(&[status(code)]).unwrap();
        }
    }

    #[test]
    fn a_refusal_carries_its_condition_or_what_its_status_stands_for() {
        let check = |properties: &[(&str, SimpleValue)], expected: &str| match answer(properties)
            .expect_err(expected)
        {
            Failure::Answer { condition, .. } => assert_eq!(condition, expected),
            other => panic!("{other:?}"),
        };
        check(&[status(401)], "amqp:unauthorized-access");
        check(&[status(404)], "amqp:not-found");
        check(&[status(503)], "com.microsoft:server-busy");
        check(&[status(599)], "amqp:internal-error");
        let symbol = SimpleValue::Symbol("amqp:not-allowed".into());
        check(
            &[status(400), ("error-condition", symbol)],
            "amqp:not-allowed",
        );
    }

    #[test]
    fn an_answer_nested_without_end_is_an_answer() {
        let encoded = walk::tests::nested(0xd0, 100_000);
        assert!(matches!(value(&encoded), Ok(Value::List(_))));
        assert!(matches!(value(b"\xa1\x05ab"), Err(Failure::Lost { .. })));
    }

    #[test]
    fn an_answer_without_a_status_is_no_answer() {
        assert!(matches!(answer(&[]), Err(Failure::Lost { .. })));
        let text = SimpleValue::String("200".into());
        assert!(matches!(
            answer(&[("status-code", text)]),
            Err(Failure::Lost { .. })
        ));
    }
}
