//! Deliveries from a peer: put together, handed to the hub or to a node, and settled.
//!
//! Implements AMQP 1.0 part 2, section 2.6.12 from the receiving side. An outcome is final when it is
//! sent: deliveries are settled first, whatever the peer asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fe2o3_amqp::types::performatives;

use super::condition::Refusal;
use super::encode::Encoder;
use super::link::{Incoming, Link, MAX_MESSAGE_SIZE, MAX_REQUEST_SIZE, Partial, Sink};
use super::performative::Disposition;
use super::request::{Request, Response, Service};
use super::sas::TokenError;
use super::scope::Scope;
use super::session::{Session, WINDOW, link_flow};
use super::{cbs, management};

/// What a connection holds of deliveries that have begun to arrive, on all of its links, in bytes.
const MAX_REASSEMBLING: usize = 64 * 1024 * 1024;

/// A response on its way to a link, which may be in another session.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) service: Service,
    pub(crate) to: Option<String>,
    pub(crate) message: Vec<u8>,
}

impl Session {
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
        // Taking the delivery may have ended the link.
        let is_attached = matches!(self.links.get(&handle), Some(Link::Incoming(_)));
        if flow.is_some() && is_attached {
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
        let outcome = match (sink, limit_of(sink)) {
            (_, limit) if delivery.size > limit as u64 => {
                let (id, size) = (delivery.delivery_id, delivery.size);
                Err(Refusal::message_too_large(id, size, limit))
            }
            (Sink::Events { target, .. }, _) => {
                let (format, now) = (delivery.format, scope.now);
                scope.hub().publish(*target, format, &delivery.bytes, now)
            }
            (Sink::Requests(service), _) => {
                answer(*service, &delivery.bytes, scope).map(|answer| reply = Some(answer))
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

/// The largest message of a link, in bytes.
fn limit_of(sink: &Sink) -> usize {
    match sink {
        Sink::Events { .. } => MAX_MESSAGE_SIZE,
        Sink::Requests(_) => MAX_REQUEST_SIZE,
    }
}

fn answer(service: Service, message: &[u8], scope: &mut Scope) -> Result<Reply, Refusal> {
    let request = Request::parse(message).map_err(Refusal::undecodable)?;
    let hub = Arc::clone(scope.hub());
    let response = match service {
        // As where the key was made anew.
        Service::Cbs if hub.conduct.refuses_tokens() => {
            Response::new(401, TokenError::InvalidSignature.to_string())
        }
        Service::Cbs => cbs::answer(&request, &mut scope.access, &hub, scope.now),
        Service::Management => management::answer(&request, &scope.access, &hub, scope.now),
    };
    Ok(Reply {
        service,
        to: request.reply_to.map(str::to_owned),
        message: request.answer(&response),
    })
}
