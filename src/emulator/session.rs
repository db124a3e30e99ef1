//! One session of a connection: its windows, its links, and the deliveries on them.
//!
//! Implements AMQP 1.0 part 2, sections 2.5 (sessions) and 2.6 (links) from the container that takes
//! sessions and links but opens none. The hub's handles and channels are those of the peer.

use std::collections::BTreeMap;

use fe2o3_amqp::types::definitions::{Role, SenderSettleMode};
use fe2o3_amqp::types::performatives;

use super::attach;
use super::condition::Refusal;
use super::delivery;
use super::encode::{Encoded, Encoder};
use super::frame::Terminals;
use super::intake::Reply;
use super::link::{Feed, Incoming, Link, MAX_MESSAGE_SIZE, SENDER_CREDIT, Sink, left_of};
use super::log::Log;
use super::performative::{self, Attach, Begin, Flow, LinkFlow};
use super::request::Service;
use super::scope::Scope;

/// How many frames either side may have under way.
pub(super) const WINDOW: u32 = 5000;

/// The highest handle, as the service has it.
const HANDLE_MAX: u32 = 255;

/// The transfer-id that the hub's first frame in a session has.
const FIRST_OUTGOING_ID: u32 = 1;

const SOURCE: u8 = 0x28;
const TARGET: u8 = 0x29;

/// The state of a session, from the peer's `begin` to its `end`.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) channel: u16,
    next_outgoing_id: u32,
    /// How many frames the peer still takes.
    remote_window: u32,
    pub(super) next_incoming_id: u32,
    /// Frames received since the peer was last told of the window.
    pub(super) unannounced: u32,
    next_delivery_id: u32,
    pub(super) links: BTreeMap<u32, Link>,
    /// Deliveries taken but not yet settled, first and last.
    pub(super) accepted: Option<(u32, u32)>,
}

impl Session {
    /// Answers a `begin`.
    pub(crate) fn begin(channel: u16, begin: &performatives::Begin, out: &mut Encoder) -> Self {
        let session = Self {
            channel,
            next_outgoing_id: FIRST_OUTGOING_ID,
            remote_window: begin.incoming_window,
            next_incoming_id: begin.next_outgoing_id,
            unannounced: 0,
            next_delivery_id: 0,
            links: BTreeMap::new(),
            accepted: None,
        };
        let answer = Begin {
            channel,
            next_outgoing_id: session.next_outgoing_id,
            window: WINDOW,
            handle_max: HANDLE_MAX,
        };
        answer.write(out);
        session
    }

    /// Answers an `attach`. An error here is one of the connection.
    pub(crate) fn attach(
        &mut self,
        attach: &performatives::Attach,
        terminals: &Terminals,
        refusal: Option<Refusal>,
        scope: &mut Scope,
    ) -> Result<(), Refusal> {
        let handle = attach.handle.0;
        if handle > HANDLE_MAX {
            let text = format!("The handle {handle} is above {HANDLE_MAX}.");
            return Err(Refusal::new("amqp:connection:framing-error", text));
        }
        if self.links.contains_key(&handle) {
            let text = format!("The handle {handle} is attached already.");
            return Err(Refusal::new("amqp:session:handle-in-use", text));
        }
        let admitted = refusal.map_or_else(|| attach::admit(attach, scope), Err);
        let link = match admitted {
            Ok(link) => self.attached(attach, terminals, link, scope),
            Err(refusal) => self.refused(attach, &refusal, scope),
        };
        self.links.insert(handle, link);
        Ok(())
    }

    fn attached(
        &self,
        attach: &performatives::Attach,
        terminals: &Terminals,
        link: Link,
        scope: &mut Scope,
    ) -> Link {
        let mut answer = self.answer(attach);
        let (source, target) = (
            present(&terminals.source, SOURCE),
            present(&terminals.target, TARGET),
        );
        answer.source = Some(&source);
        answer.target = Some(&target);
        answer.initial_delivery_count = Some(0);
        answer.offered_capabilities = encoded(&terminals.desired_capabilities);
        answer.write(&mut scope.out);
        if let Link::Incoming(incoming) = &link {
            let handle = attach.handle.0;
            self.flow_of(Some(link_flow(handle, incoming)))
                .write(&mut scope.out);
        }
        link
    }

    /// As the service refuses: an answer without source and target, and a detach that says why.
    fn refused(
        &self,
        attach: &performatives::Attach,
        refusal: &Refusal,
        scope: &mut Scope,
    ) -> Link {
        tracing::debug!(
            condition = refusal.condition,
            link = attach.name,
            "link refused"
        );
        self.answer(attach).write(&mut scope.out);
        performative::detach(
            self.channel,
            attach.handle.0,
            true,
            Some(refusal),
            &mut scope.out,
        );
        Link::Closing
    }

    fn answer<'a>(&self, attach: &'a performatives::Attach) -> Attach<'a> {
        let peer_is_receiver = attach.role == Role::Receiver;
        Attach {
            channel: self.channel,
            name: &attach.name,
            handle: attach.handle.0,
            peer_is_receiver,
            snd_settle_mode: match (&attach.snd_settle_mode, peer_is_receiver) {
                (_, true) | (SenderSettleMode::Settled, _) => 1,
                (SenderSettleMode::Unsettled, _) => 0,
                (SenderSettleMode::Mixed, _) => 2,
            },
            source: None,
            target: None,
            initial_delivery_count: None,
            max_message_size: MAX_MESSAGE_SIZE as u64,
            offered_capabilities: None,
        }
    }

    /// Takes the peer's view of windows and credit.
    pub(crate) fn flow(&mut self, flow: &performatives::Flow, scope: &mut Scope) {
        let seen = flow.next_incoming_id.unwrap_or(FIRST_OUTGOING_ID);
        self.remote_window = left_of(flow.incoming_window, self.next_outgoing_id, seen);
        let handle = flow.handle.as_ref().map(|handle| handle.0);
        let link = handle.and_then(|handle| self.links.get_mut(&handle));
        let answer = match (handle, link) {
            (None, _) => None,
            (Some(handle), Some(Link::Outgoing(link))) => {
                link.grant(
                    flow.delivery_count,
                    flow.link_credit.unwrap_or(0),
                    flow.drain,
                );
                Some(LinkFlow {
                    handle,
                    delivery_count: link.delivery_count,
                    credit: link.credit,
                    drain: link.drain,
                })
            }
            // A sender's idea of its credit is of no interest, though the Python SDK sends it.
            (Some(handle), Some(Link::Incoming(link))) => Some(link_flow(handle, link)),
            (Some(_), _) => return,
        };
        if flow.echo {
            self.flow_of(answer).write(&mut scope.out);
        }
    }

    /// Answers a `detach`, or takes the answer to one.
    pub(crate) fn detached(&mut self, detach: &performatives::Detach, scope: &mut Scope) {
        let handle = detach.handle.0;
        self.flush(&mut scope.out);
        match self.links.remove(&handle) {
            Some(Link::Closing) | None => {}
            Some(_) => {
                performative::detach(self.channel, handle, detach.closed, None, &mut scope.out)
            }
        }
    }

    /// Ends a link from here.
    pub(crate) fn detach(&mut self, handle: u32, refusal: &Refusal, scope: &mut Scope) {
        self.flush(&mut scope.out);
        self.links.insert(handle, Link::Closing);
        performative::detach(self.channel, handle, true, Some(refusal), &mut scope.out);
    }

    /// Ends the links that the hub or the end of a token ends.
    pub(crate) fn attend(&mut self, has_expired: bool, scope: &mut Scope) {
        let ended: Vec<_> = self
            .links
            .iter()
            .filter_map(|(handle, link)| Some((*handle, end_of(link, has_expired, scope)?)))
            .collect();
        for (handle, refusal) in ended {
            self.detach(handle, &refusal, scope);
        }
    }

    /// The handles of the links that could send something.
    pub(crate) fn senders(&self) -> impl Iterator<Item = u32> {
        self.links.iter().filter_map(|(handle, link)| match link {
            Link::Outgoing(link) if link.credit > 0 || link.unfinished.is_some() || link.drain => {
                Some(*handle)
            }
            _ => None,
        })
    }

    /// Sends some of what waits on a link; false where there is nothing that may be sent.
    pub(crate) fn send(&mut self, handle: u32, log: &Log, scope: &mut Scope) -> bool {
        let Some(Link::Outgoing(link)) = self.links.get_mut(&handle) else {
            return false;
        };
        let mut channel = delivery::Channel {
            channel: self.channel,
            handle,
            next_outgoing_id: &mut self.next_outgoing_id,
            next_delivery_id: &mut self.next_delivery_id,
            window: &mut self.remote_window,
        };
        let progress = delivery::send(link, &mut channel, log, scope);
        if progress.is_exhausted && link.drained() {
            let flow = LinkFlow {
                handle,
                delivery_count: link.delivery_count,
                credit: 0,
                drain: true,
            };
            self.flow_of(Some(flow)).write(&mut scope.out);
        }
        progress.has_sent
    }

    /// True when it has a receiver of a partition.
    pub(crate) fn receives_from(&self, partition: u16) -> bool {
        self.links
            .values()
            .any(|link| link.receives_from(partition))
    }

    /// True when it has a link to `$cbs` of this role.
    pub(crate) fn has_cbs(&self, role: &Role) -> bool {
        self.links.values().any(|link| match (link, role) {
            (Link::Incoming(link), Role::Sender) => link.sink == Sink::Requests(Service::Cbs),
            (Link::Outgoing(link), Role::Receiver) => {
                matches!(&link.feed, Feed::Replies(replies) if replies.service == Service::Cbs)
            }
            _ => false,
        })
    }

    /// The link that takes responses of `service`, of the address given where one is.
    pub(crate) fn take_reply(&mut self, reply: &mut Option<Reply>, by_address: bool) {
        let Some(wanted) = reply.as_ref() else {
            return;
        };
        let found = self.links.values_mut().find_map(|link| match link {
            Link::Outgoing(link) => match &mut link.feed {
                Feed::Replies(replies) if replies.service == wanted.service => {
                    (!by_address || replies.address == wanted.to).then_some(replies)
                }
                _ => None,
            },
            _ => None,
        });
        if let Some(replies) = found
            && let Some(reply) = reply.take()
            && !replies.push(reply.message)
        {
            tracing::debug!("response dropped: the peer does not read them");
        }
    }

    pub(super) fn flow_of(&self, link: Option<LinkFlow>) -> Flow {
        Flow {
            channel: self.channel,
            next_incoming_id: self.next_incoming_id,
            next_outgoing_id: self.next_outgoing_id,
            window: WINDOW,
            link,
        }
    }
}

/// Why a link ends now, if it does.
fn end_of(link: &Link, has_expired: bool, scope: &Scope) -> Option<Refusal> {
    if let Link::Outgoing(link) = link
        && let Feed::Events(reading) = &link.feed
        && let Some(refusal) = reading.member.notice.take()
    {
        return Some(refusal);
    }
    let path = link.resource()?;
    if link.generation() != Some(scope.hub().generation()) {
        return Some(Refusal::entity_not_found(&scope.host, path));
    }
    (has_expired && !scope.access.covers(path, scope.now)).then(Refusal::token_expired)
}

pub(super) fn link_flow(handle: u32, link: &Incoming) -> LinkFlow {
    debug_assert!(link.credit <= SENDER_CREDIT);
    LinkFlow {
        handle,
        delivery_count: link.delivery_count,
        credit: link.credit,
        drain: false,
    }
}

/// The terminus as the peer wrote it, or an empty one: no SDK takes null for an attached link.
fn present(terminus: &[u8], code: u8) -> Vec<u8> {
    match encoded(terminus) {
        Some(bytes) => bytes.to_vec(),
        None => {
            let mut empty = Encoder::default();
            empty.composite(code, 0, |_| {});
            empty.0
        }
    }
}

/// Absent fields and nulls are both none.
fn encoded(field: &[u8]) -> Encoded<'_> {
    match field {
        [] | [0x40] => None,
        bytes => Some(bytes),
    }
}
