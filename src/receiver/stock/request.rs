//! Questions to a node of the service, `$cbs` or `$management`.
//!
//! Source: "AMQP Request-Response Operations" (working draft).

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{Receiver, Sender};
use fe2o3_amqp::session::{Session, SessionHandle};
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Body, Message, MessageId, Properties, Source, Target,
};
use fe2o3_amqp::types::primitives::{LazyValue, Value};

use crate::receiver::answer::Answer;
use crate::receiver::seam::Failure;
use crate::receiver::step::step;

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
                let properties = answer.application_properties.unwrap_or_default();
                return match &answer.body {
                    Body::Value(value) => Answer::read(&properties, Some(value.0.as_slice())),
                    _ => Answer::read(&properties, None),
                };
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
