//! Questions to a node of the service, `$cbs` or `$management`, and their answers.
//!
//! Source: "AMQP Request-Response Operations" and "AMQP Claims-based Security 1.0" (working drafts),
//! and the AMQP protocol guide for Azure Event Hubs.

use std::fmt::Display;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{Receiver, Sender};
use fe2o3_amqp::session::{Session, SessionHandle};
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Body, Message, MessageId, Properties, Source, Target,
};
use fe2o3_amqp::types::primitives::{LazyValue, SimpleValue, Value};

use super::step;
use crate::receiver::encoding::walk;
use crate::receiver::seam::Failure;

/// How many answers a node may send ahead; one is asked for at a time.
const ANSWER_CREDIT: u32 = 10;
/// An answer is text and numbers: this many bytes are plenty.
const MAX_ANSWER_SIZE: u64 = 1024 * 1024;

/// A pair of links to one node, on a session of its own. The links go before their session.
#[derive(Debug)]
pub(super) struct Requests {
    node: &'static str,
    answers: Receiver,
    questions: Sender,
    _session: SessionHandle<()>,
    reply_to: String,
    asked: u64,
}

impl Requests {
    /// Attaches both links.
    pub(super) async fn attach(
        connection: &mut ConnectionHandle<()>,
        node: &'static str,
    ) -> Result<Self, Failure> {
        let mut session = step("begin", Session::begin(connection)).await?;
        let reply_to = format!("{}-{:016x}", &node[1..], fastrand::u64(..));
        let questions = Sender::builder()
            .name(format!("{reply_to}-sender"))
            .source(Source::builder().address(reply_to.as_str()).build())
            .target(node)
            .sender_settle_mode(SenderSettleMode::Settled)
            .verify_incoming_target(false)
            .attach(&mut session);
        let questions = step(&format!("the attach to {node}"), questions).await?;
        let answers = Receiver::builder()
            .name(format!("{reply_to}-receiver"))
            .source(node)
            .target(Target::builder().address(reply_to.as_str()).build())
            .receiver_settle_mode(ReceiverSettleMode::First)
            .verify_incoming_source(false)
            .max_message_size(MAX_ANSWER_SIZE)
            .credit_mode(CreditMode::Auto(ANSWER_CREDIT))
            .auto_accept(true)
            .attach(&mut session);
        let answers = step(&format!("the attach to {node}"), answers).await?;
        Ok(Self {
            node,
            answers,
            questions,
            _session: session,
            reply_to,
            asked: 0,
        })
    }

    /// Asks, and waits for the answer to this question; answers to earlier ones are passed over.
    /// After a failure the pair is of no more use.
    pub(super) async fn ask(
        &mut self,
        properties: &[(&str, &str)],
        body: Value,
    ) -> Result<Answer, Failure> {
        let name = format!("the request to {}", self.node);
        step(&name, self.exchange(properties, body)).await
    }

    /// Puts a frame on the wire that says nothing: the peer hears that we are there.
    pub(super) async fn heartbeat(&self) -> Result<(), Failure> {
        step("a flow", self.answers.send_properties()).await
    }

    async fn exchange(
        &mut self,
        properties: &[(&str, &str)],
        body: Value,
    ) -> Result<Answer, Failure> {
        self.asked += 1;
        let id = MessageId::String(format!("{}:{}", self.reply_to, self.asked));
        let question = Message::builder()
            .properties(
                Properties::builder()
                    .message_id(id.clone())
                    .reply_to(self.reply_to.as_str())
                    .build(),
            )
            .application_properties(application_properties(properties))
            .value(body)
            .build();
        self.questions.send(question).await?;
        loop {
            let answer = self.answers.recv::<Body<LazyValue>>().await?.into_message();
            let about = answer
                .properties
                .as_ref()
                .and_then(|p| p.correlation_id.as_ref());
            if about == Some(&id) {
                return Answer::read(answer);
            }
        }
    }
}

fn application_properties(properties: &[(&str, &str)]) -> ApplicationProperties {
    let mut builder = ApplicationProperties::builder();
    for (key, value) in properties {
        builder = builder.insert((*key).to_owned(), (*value).to_owned());
    }
    builder.build()
}

/// A favourable answer.
#[derive(Debug)]
pub(super) struct Answer {
    body: Value,
}

impl Answer {
    fn read(message: Message<Body<LazyValue>>) -> Result<Self, Failure> {
        let properties = message.application_properties.unwrap_or_default();
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
                return Err(Failure::Lost(
                    "an answer came without a status code".to_owned(),
                ));
            }
        };
        if (200..300).contains(&status) {
            let body = match message.body {
                Body::Value(encoded) => value(encoded.0.as_slice())?,
                _ => Value::Null,
            };
            return Ok(Self { body });
        }
        let condition = find(["error-condition", "errorCondition"]).and_then(text);
        let description = find(["status-description", "statusDescription"]).and_then(text);
        Err(Failure::Condition {
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

/// Bodies pass the guard unread, so this one is made safe here.
fn value(encoded: &[u8]) -> Result<Value, Failure> {
    let unreadable =
        |reason: &dyn Display| Failure::Lost(format!("an answer cannot be read: {reason}"));
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

    fn answer(
        properties: &[(&str, SimpleValue)],
        body: Body<LazyValue>,
    ) -> Result<Answer, Failure> {
        let mut map = ApplicationProperties::default();
        for (key, value) in properties {
            map.0.insert((*key).to_owned(), value.clone());
        }
        let message = Message::builder()
            .application_properties(map)
            .body(body)
            .build();
        Answer::read(message)
    }

    fn status(code: i32) -> (&'static str, SimpleValue) {
        ("status-code", SimpleValue::Int(code))
    }

    #[test]
    fn every_status_from_200_to_299_is_favourable() {
        for code in [200, 202, 299] {
            answer(&[status(code)], Body::Empty).unwrap();
        }
    }

    #[test]
    fn a_refusal_carries_its_condition_or_what_its_status_stands_for() {
        let check = |properties: &[(&str, SimpleValue)], expected: &str| match answer(
            properties,
            Body::Empty,
        )
        .expect_err(expected)
        {
            Failure::Condition { condition, .. } => assert_eq!(condition, expected),
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
        assert!(matches!(value(b"\xa1\x05ab"), Err(Failure::Lost(_))));
    }

    #[test]
    fn an_answer_without_a_status_is_no_answer() {
        assert!(matches!(answer(&[], Body::Empty), Err(Failure::Lost(_))));
        let text = SimpleValue::String("200".into());
        assert!(matches!(
            answer(&[("status-code", text)], Body::Empty),
            Err(Failure::Lost(_))
        ));
    }
}
