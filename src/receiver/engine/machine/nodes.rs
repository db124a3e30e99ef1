//! The nodes of a connection: asked over one link, answering over another.

use fe2o3_amqp::types::primitives::Value;

use super::{Advance, Machine};
use crate::receiver::engine::fault::Fault;
use crate::receiver::engine::happening::{Delivery, Happening, LinkId, SessionId};
use crate::receiver::engine::requests::{ANSWER_CREDIT, Node, NodeId, RequestId};
use crate::receiver::engine::slots;

const NO_NODE: Fault = Fault {
    condition: "amqp:not-found",
    flaw: "there is no such node",
};

impl Machine {
    /// Attaches a pair of links to a node that answers questions; `reply_to` names the way back.
    ///
    /// # Errors
    /// As [`Self::attach`].
    pub fn attach_node(
        &mut self,
        session: SessionId,
        address: &str,
        reply_to: &str,
    ) -> Result<NodeId, Fault> {
        let questions = self.attach(session, Node::questions(address, reply_to))?;
        let answers = self.attach(session, Node::answers(address, reply_to))?;
        let node = Node::new(questions, answers, reply_to);
        let at = slots::free(&self.nodes);
        slots::put(&mut self.nodes, at, node);
        Ok(NodeId(at))
    }

    /// Detaches the links of a node.
    pub(in crate::receiver::engine) fn detach_node(&mut self, node: NodeId) {
        if let Some(node) = self.nodes.get_mut(node.0).and_then(Option::take) {
            self.detach(node.questions);
            self.detach(node.answers);
        }
    }

    /// True where a node has no links any more: the peer has detached one of them, or ended their session.
    pub(in crate::receiver::engine) fn is_node_over(&self, node: NodeId) -> bool {
        let node = self.nodes.get(node.0).and_then(Option::as_ref);
        node.is_none_or(Node::is_over)
    }

    /// A link is over. The node that it belonged to, where it did, is over with it.
    pub(super) fn give_up_node_of(&mut self, link: LinkId) {
        let mut nodes = self.nodes.iter_mut().flatten();
        if let Some(node) = nodes.find(|node| [node.questions, node.answers].contains(&link)) {
            let left = [node.questions, node.answers];
            node.give_up();
            left.into_iter()
                .filter(|left| *left != link)
                .for_each(|left| self.detach(left));
        }
    }

    /// A session is over, and with it its nodes.
    pub(super) fn give_up_nodes_in(&mut self, session: SessionId) {
        let nodes = self.nodes.iter_mut().flatten();
        nodes
            .filter(|node| node.answers.session == session)
            .for_each(Node::give_up);
    }

    /// Asks a node.
    ///
    /// # Errors
    /// When the node's links are over, or too many questions wait.
    pub fn ask(
        &mut self,
        node: NodeId,
        properties: &[(&str, &str)],
        body: Value,
    ) -> Result<RequestId, Fault> {
        self.requests += 1;
        let id = RequestId(self.requests);
        let asked = self.nodes.get_mut(node.0).and_then(Option::as_mut);
        let asked = asked.filter(|node| !node.is_over()).ok_or(NO_NODE)?;
        let question = asked.question(id, properties, body)?;
        let questions = asked.questions;
        self.send(questions, question)?;
        Ok(id)
    }

    /// The links of a node: of its questions, and of its answers.
    ///
    /// # Errors
    /// When there is no such node.
    pub(in crate::receiver::engine) fn links_of(&self, node: NodeId) -> Result<[LinkId; 2], Fault> {
        let node = self.nodes.get(node.0).and_then(Option::as_ref);
        let node = node.ok_or(NO_NODE)?;
        Ok([node.questions, node.answers])
    }

    /// A node has sent something; what answers no question that waits is passed over.
    pub(super) fn answered(&mut self, request: Option<RequestId>, delivery: Delivery) -> Advance {
        self.accept(&delivery);
        self.grant(delivery.link, ANSWER_CREDIT);
        match request {
            Some(request) => Advance::To(Happening::Answered(request, delivery.message)),
            None => Advance::Quietly,
        }
    }
}
