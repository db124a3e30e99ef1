//! One session of a connection: its windows, its links, and the deliveries on them.
//!
//! Implements AMQP 1.0 part 2, sections 2.5 (sessions) and 2.6 (links) from the container that takes
//! sessions and links but opens none. The hub's handles and channels are those of the peer.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fe2o3_amqp::types::definitions::{Role, SenderSettleMode};
use fe2o3_amqp::types::performatives;

use super::condition::Refusal;
use super::delivery;
use super::encode::{self, Attach, Begin, Disposition, Encoded, Encoder, Flow, LinkFlow};
use super::link::{Feed, Incoming, Link, MAX_MESSAGE_SIZE, Partial, SENDER_CREDIT, Sink};
use super::log::Log;
use super::request::{Request, Service};
use super::scope::Scope;
use super::{attach, cbs, management};

/// How many frames either side may have under way.
const WINDOW: u32 = 5000;

/// The highest handle, as the service has it.
const HANDLE_MAX: u32 = 255;

/// What a connection holds of deliveries that have begun to arrive, on all of its links, in bytes.
const MAX_REASSEMBLING: usize = 64 * 1024 * 1024;

const SOURCE: u8 = 0x28;
const TARGET: u8 = 0x29;

/// The state of a session, from the peer's `begin` to its `end`.
#[derive(Debug)]
pub(crate) struct Session {
    channel: u16,
    next_outgoing_id: u32,
    /// How many frames the peer still takes.
    remote_window: u32,
    next_incoming_id: u32,
    /// Frames received since the peer was last told of the window.
    unannounced: u32,
    next_delivery_id: u32,
    links: BTreeMap<u32, Link>,
    /// Deliveries taken but not yet settled, first and last.
    accepted: Option<(u32, u32)>,
}

/// The parts of a peer's `attach` that are given back as they came.
#[derive(Debug, Default)]
pub(crate) struct Terminals {
    pub(crate) source: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) desired_capabilities: Vec<u8>,
}

/// A response on its way to a link, which may be in another session.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) service: Service,
    pub(crate) to: Option<String>,
    pub(crate) message: Vec<u8>,
}

impl Session {
    /// Answers a `begin`.
    pub(crate) fn begin(channel: u16, begin: &performatives::Begin, out: &mut Encoder) -> Self {
        let session = Self {
            channel,
            next_outgoing_id: 1,
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
        encode::detach(
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
        let expected = flow.next_incoming_id.unwrap_or(1);
        let limit = expected.wrapping_add(flow.incoming_window);
        let window = limit.wrapping_sub(self.next_outgoing_id);
        self.remote_window = if window > u32::MAX / 2 { 0 } else { window };
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

    /// Takes a frame of a delivery. A request gives its response, an error is one of the connection.
    pub(crate) fn transfer(
        &mut self,
        transfer: &performatives::Transfer,
        payload: &Bytes,
        scope: &mut Scope,
    ) -> Result<Option<Reply>, Refusal> {
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        self.unannounced += 1;
        let handle = transfer.handle.0;
        let Some(Link::Incoming(link)) = self.links.get_mut(&handle) else {
            return Ok(None);
        };
        let delivery = assemble(link, transfer, payload, scope);
        if scope.reassembling.load(Ordering::Relaxed) > MAX_REASSEMBLING {
            let text = "Too many deliveries have begun and not ended.";
            return Err(Refusal::new("amqp:resource-limit-exceeded", text));
        }
        let is_over = delivery.is_some() || transfer.aborted;
        let must_flow = (is_over && link.count()) || self.unannounced >= WINDOW / 2;
        let flow = must_flow.then(|| link_flow(handle, link));
        let sink = link.sink.clone();
        let reply = delivery.and_then(|delivery| self.take(handle, &sink, &delivery, scope));
        if flow.is_some() {
            self.unannounced = 0;
            self.flow_of(flow).write(&mut scope.out);
        }
        Ok(reply)
    }

    /// Does with a complete delivery what its link is for, and settles it.
    fn take(
        &mut self,
        handle: u32,
        sink: &Sink,
        delivery: &Partial,
        scope: &mut Scope,
    ) -> Option<Reply> {
        let mut reply = None;
        let outcome = if delivery.is_too_large() {
            let (id, size) = (delivery.delivery_id, delivery.size);
            Err(Refusal::message_too_large(id, size, MAX_MESSAGE_SIZE))
        } else {
            match sink {
                Sink::Events { target, .. } => {
                    let now = scope.now;
                    scope
                        .hub()
                        .publish(*target, delivery.format, &delivery.bytes, now)
                }
                Sink::Requests(service) => {
                    answer(*service, &delivery.bytes, scope).map(|answer| reply = Some(answer))
                }
            }
        };
        self.settle(handle, delivery, outcome.err(), scope);
        reply
    }

    fn settle(
        &mut self,
        handle: u32,
        delivery: &Partial,
        refusal: Option<Refusal>,
        scope: &mut Scope,
    ) {
        match refusal {
            None if delivery.is_settled => {}
            None => self.accept(delivery.delivery_id, &mut scope.out),
            // Nobody waits for an outcome: only the link can tell.
            Some(refusal) if delivery.is_settled => self.detach(handle, &refusal, scope),
            Some(refusal) => {
                self.flush(&mut scope.out);
                let disposition = Disposition {
                    channel: self.channel,
                    first: delivery.delivery_id,
                    last: delivery.delivery_id,
                    rejected: Some(&refusal),
                };
                disposition.write(&mut scope.out);
            }
        }
    }

    /// Accepts a delivery, together with its neighbours where it has some.
    fn accept(&mut self, id: u32, out: &mut Encoder) {
        match &mut self.accepted {
            Some((_, last)) if last.wrapping_add(1) == id => *last = id,
            _ => {
                self.flush(out);
                self.accepted = Some((id, id));
            }
        }
    }

    /// Writes the dispositions that were held back to be sent together.
    pub(crate) fn flush(&mut self, out: &mut Encoder) {
        if let Some((first, last)) = self.accepted.take() {
            let disposition = Disposition {
                channel: self.channel,
                first,
                last,
                rejected: None,
            };
            disposition.write(out);
        }
    }

    /// Answers a `detach`, or takes the answer to one.
    pub(crate) fn detached(&mut self, detach: &performatives::Detach, scope: &mut Scope) {
        let handle = detach.handle.0;
        self.flush(&mut scope.out);
        match self.links.remove(&handle) {
            Some(Link::Closing) | None => {}
            Some(_) => encode::detach(self.channel, handle, detach.closed, None, &mut scope.out),
        }
    }

    /// Ends a link from here.
    pub(crate) fn detach(&mut self, handle: u32, refusal: &Refusal, scope: &mut Scope) {
        self.flush(&mut scope.out);
        self.links.insert(handle, Link::Closing);
        encode::detach(self.channel, handle, true, Some(refusal), &mut scope.out);
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

    fn flow_of(&self, link: Option<LinkFlow>) -> Flow {
        Flow {
            channel: self.channel,
            next_incoming_id: self.next_incoming_id,
            next_outgoing_id: self.next_outgoing_id,
            window: WINDOW,
            link,
        }
    }
}

/// Adds a frame to its delivery, and gives that when it is complete.
fn assemble(
    link: &mut Incoming,
    transfer: &performatives::Transfer,
    payload: &Bytes,
    scope: &Scope,
) -> Option<Partial> {
    let mut partial = link.partial.take().unwrap_or_else(|| {
        Partial::new(
            transfer.delivery_id.unwrap_or(0),
            transfer.message_format.unwrap_or(0),
            transfer.settled.unwrap_or(false),
            &scope.reassembling,
        )
    });
    if transfer.aborted {
        return None;
    }
    partial.extend(payload);
    if transfer.more {
        link.partial = Some(partial);
        return None;
    }
    Some(partial)
}

fn answer(service: Service, message: &[u8], scope: &mut Scope) -> Result<Reply, Refusal> {
    let request = Request::parse(message).map_err(Refusal::undecodable)?;
    let hub = std::sync::Arc::clone(scope.hub());
    let response = match service {
        Service::Cbs => cbs::answer(&request, &mut scope.access, &hub.key, scope.now),
        Service::Management => management::answer(&request, &scope.access, &hub, scope.now),
    };
    Ok(Reply {
        service,
        to: request.reply_to.map(str::to_owned),
        message: request.answer(&response),
    })
}

/// Why a link ends now, if it does.
fn end_of(link: &Link, has_expired: bool, scope: &Scope) -> Option<Refusal> {
    if let Link::Outgoing(link) = link
        && let Feed::Events(reading) = &link.feed
        && let Some(refusal) = reading.member.notice.take()
    {
        return Some(refusal);
    }
    let path = link.resource().filter(|_| has_expired)?;
    (!scope.access.covers(path, scope.now)).then(Refusal::token_expired)
}

fn link_flow(handle: u32, link: &Incoming) -> LinkFlow {
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
