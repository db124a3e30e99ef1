//! Questions to a node, and which of them an answer belongs to.
//!
//! Source: "AMQP Request-Response Operations" (working draft); AMQP 1.0, section 3.2.4 (properties).

use std::collections::VecDeque;

use bytes::Bytes;
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp::types::messaging::message::__private::Serializable;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Message as AmqpMessage, MessageId, Properties, Source, Target,
    TargetArchetype,
};
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::Value;

use super::fault::Fault;
use super::happening::LinkId;
use super::message::Message;
use crate::receiver::encoding::cursor::Cursor;

/// How many answers a node may send ahead.
pub(super) const ANSWER_CREDIT: u32 = 10;
/// An answer is text and numbers: so many bytes are plenty.
const MAX_ANSWER_SIZE: u64 = 1024 * 1024;
/// So many questions are remembered; the oldest has waited too long by then.
const WAITING: usize = 64;
/// The properties' field that names the question of an answer.
const CORRELATION_ID: usize = 5;

/// One of a connection's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(pub(super) usize);

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub(super) u64);

/// A node that answers questions, over a pair of links.
#[derive(Debug)]
pub(super) struct Node {
    pub questions: LinkId,
    pub answers: LinkId,
    reply_to: String,
    waiting: VecDeque<RequestId>,
}

impl Node {
    pub(super) fn new(questions: LinkId, answers: LinkId, reply_to: &str) -> Self {
        Self {
            questions,
            answers,
            reply_to: reply_to.to_owned(),
            waiting: VecDeque::new(),
        }
    }

    /// The peer has taken its links away, whose places others may get: none of them is its own any more.
    pub(super) fn give_up(&mut self) {
        self.questions = LinkId::NOWHERE;
        self.answers = LinkId::NOWHERE;
    }

    /// True once it was given up.
    pub(super) fn is_over(&self) -> bool {
        self.questions == LinkId::NOWHERE
    }

    /// The link that questions go out on.
    pub(super) fn questions(address: &str, reply_to: &str) -> Attach {
        Attach {
            name: format!("{reply_to}-sender"),
            handle: 0.into(),
            role: Role::Sender,
            snd_settle_mode: SenderSettleMode::Settled,
            rcv_settle_mode: ReceiverSettleMode::First,
            source: Some(Box::new(Source::builder().address(reply_to).build())),
            target: Some(Box::new(TargetArchetype::Target(
                Target::builder().address(address).build(),
            ))),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: Some(0),
            max_message_size: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }

    /// The link that answers come in on.
    pub(super) fn answers(address: &str, reply_to: &str) -> Attach {
        Attach {
            name: format!("{reply_to}-receiver"),
            role: Role::Receiver,
            snd_settle_mode: SenderSettleMode::Mixed,
            source: Some(Box::new(Source::builder().address(address).build())),
            target: Some(Box::new(TargetArchetype::Target(
                Target::builder().address(reply_to).build(),
            ))),
            initial_delivery_count: None,
            max_message_size: Some(MAX_ANSWER_SIZE),
            ..Self::questions(address, reply_to)
        }
    }

    /// Encodes a question, and remembers it until it is answered.
    pub(super) fn question(
        &mut self,
        id: RequestId,
        properties: &[(&str, &str)],
        body: Value,
    ) -> Result<Vec<u8>, Fault> {
        let mut application = ApplicationProperties::builder();
        for (key, value) in properties {
            application = application.insert((*key).to_owned(), (*value).to_owned());
        }
        let message = AmqpMessage::builder()
            .properties(
                Properties::builder()
                    .message_id(MessageId::String(self.message_id(id)))
                    .reply_to(self.reply_to.as_str())
                    .build(),
            )
            .application_properties(application.build())
            .value(body)
            .build();
        let encoded = serde_amqp::to_vec(&Serializable(message))
            .map_err(|_| Fault::not_allowed("a question of ours cannot be encoded"))?;
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(id);
        Ok(encoded)
    }

    /// The question that a message answers, where it still waits.
    pub(super) fn answered(&mut self, message: &Bytes) -> Option<RequestId> {
        let message = Message::read(message.clone()).ok()?;
        let about = message.properties_field(CORRELATION_ID)?;
        let about = Cursor::new(about).string().ok()??;
        let at = self
            .waiting
            .iter()
            .position(|id| self.message_id(*id) == about)?;
        self.waiting.remove(at)
    }

    fn message_id(&self, id: RequestId) -> String {
        format!("{}:{}", self.reply_to, id.0)
    }
}
