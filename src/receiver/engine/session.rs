//! A session: its windows, and the links that it carries.
//!
//! Source: AMQP 1.0, section 2.5 (sessions), 2.5.6 (flow control of a session).

use bytes::{Bytes, BytesMut};
use fe2o3_amqp::types::definitions::{DeliveryTag, Error, Role};
use fe2o3_amqp::types::messaging::{Accepted, DeliveryState};
use fe2o3_amqp::types::performatives::{
    self, Attach, Begin, Detach, Disposition, End as EndOfSession, Flow,
};

use super::fault::{Cause, Fault};
use super::frame;
use super::link::{End, Link, Phase};
use super::serial;
use super::slots;
use super::transfer::Transfer;

/// So many frames may come without a word of ours.
const INCOMING_WINDOW: u32 = 5000;
/// The largest handle that a peer may use.
const HANDLE_MAX: u32 = 1023;

/// A session on one channel.
#[derive(Debug)]
pub(super) struct Session {
    pub channel: u16,
    pub phase: SessionPhase,
    next_incoming: u32,
    incoming_window: u32,
    next_outgoing: u32,
    /// What the peer still takes of frames.
    outgoing_window: u32,
    next_delivery: u32,
    /// The largest handle that the peer lets us use.
    handle_max: u32,
    links: Vec<Option<Link>>,
    /// Our handle for each of the peer's.
    handles: Vec<Option<u32>>,
    /// Deliveries accepted and not yet told, from the first to the last of them.
    accepted: Option<(u32, u32)>,
    held: usize,
    max_frame_size: u32,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionPhase {
    Beginning,
    Begun,
    /// We have ended it. What still comes is passed over.
    Ending,
}

/// What a frame came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Nothing,
    Attached {
        handle: u32,
    },
    Delivered {
        handle: u32,
        delivery_id: u32,
        settled: bool,
        message: Bytes,
    },
    Drained {
        handle: u32,
    },
    /// A delivery came to nothing, and the peer may send another for it.
    GivenBack {
        handle: u32,
    },
    Detached {
        handle: u32,
        cause: Cause,
    },
}

impl Session {
    /// One that we begin on this channel.
    pub(super) fn new(channel: u16, max_frame_size: u32) -> Self {
        Self {
            channel,
            phase: SessionPhase::Beginning,
            next_incoming: 0,
            incoming_window: INCOMING_WINDOW,
            next_outgoing: 0,
            outgoing_window: 0,
            next_delivery: 0,
            handle_max: u32::MAX,
            links: Vec::new(),
            handles: Vec::new(),
            accepted: None,
            held: 0,
            max_frame_size,
        }
    }

    /// The performative that begins it.
    pub(super) fn begin(&self) -> Begin {
        Begin {
            remote_channel: None,
            next_outgoing_id: self.next_outgoing,
            incoming_window: INCOMING_WINDOW,
            outgoing_window: INCOMING_WINDOW,
            handle_max: HANDLE_MAX.into(),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }

    /// The peer has begun it too.
    pub(super) fn begun(&mut self, begin: &Begin) {
        self.next_incoming = begin.next_outgoing_id;
        self.outgoing_window = begin.incoming_window;
        self.handle_max = begin.handle_max.0;
        if self.phase == SessionPhase::Beginning {
            self.phase = SessionPhase::Begun;
        }
    }

    /// Attaches a link, as `attach` says but for the handle; gives the handle.
    pub(super) fn attach(&mut self, mut attach: Attach, out: &mut BytesMut) -> Result<u32, Fault> {
        let at = slots::free(&self.links);
        let handle = at as u32;
        if handle > self.handle_max.min(HANDLE_MAX) {
            return Err(Fault::limit("the session has as many links as it may have"));
        }
        attach.handle = handle.into();
        frame::put(out, self.channel, &attach, self.max_frame_size)?;
        slots::put(&mut self.links, at, Link::new(&attach));
        Ok(handle)
    }

    pub(super) fn link(&mut self, handle: u32) -> Option<&mut Link> {
        self.links.get_mut(handle as usize)?.as_mut()
    }

    /// Bytes of messages that have come in part.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// The peer has attached.
    pub(super) fn attached(&mut self, answer: &Attach) -> Result<Outcome, Fault> {
        let theirs = answer.handle.0;
        if theirs > HANDLE_MAX {
            return Err(Fault::framing("a handle is larger than agreed"));
        }
        let mut links = self.links.iter_mut().enumerate();
        let found = links.find_map(|(at, link)| {
            let link = link.as_mut().filter(|link| link.is_answered_by(answer))?;
            Some((at as u32, link))
        });
        let Some((handle, link)) = found else {
            return Err(Fault::not_allowed("the peer attaches a link of its own"));
        };
        if slots::put(&mut self.handles, theirs as usize, handle).is_some() {
            return Err(Fault {
                condition: "amqp:session:handle-in-use",
                flaw: "a handle is given to a second link",
            });
        }
        Ok(match link.attached(answer) {
            true => Outcome::Attached { handle },
            false => Outcome::Nothing,
        })
    }

    /// Takes a transfer. A fault of the inner kind is the link's alone.
    pub(super) fn transfer(
        &mut self,
        transfer: &Transfer,
        payload: Bytes,
    ) -> Result<Result<Outcome, (u32, Fault)>, Fault> {
        if self.incoming_window == 0 {
            return Err(Fault {
                condition: "amqp:session:window-violation",
                flaw: "more frames came than the session's window has room for",
            });
        }
        self.incoming_window -= 1;
        self.next_incoming = self.next_incoming.wrapping_add(1);
        let (handle, link) = self.by_theirs(transfer.handle)?;
        let taken = match (&mut link.end, link.phase) {
            (End::Receiving(receiving), Phase::Attached(_)) => {
                let before = receiving.held();
                let taken = receiving.take(transfer, payload);
                let after = receiving.held();
                let gives_back = matches!(taken, Ok(None)) && receiving.owed_word();
                self.held = self.held - before + after;
                if gives_back {
                    return Ok(Ok(Outcome::GivenBack { handle }));
                }
                taken
            }
            (_, Phase::Detaching(_)) => return Ok(Ok(Outcome::Nothing)),
            _ => Err(Fault::not_allowed(
                "a transfer came on a link that takes none",
            )),
        };
        Ok(match taken {
            Ok(None) => Ok(Outcome::Nothing),
            Ok(Some(whole)) => Ok(Outcome::Delivered {
                handle,
                delivery_id: whole.delivery_id,
                settled: whole.settled,
                message: whole.message,
            }),
            Err(fault) => Err((handle, fault)),
        })
    }

    fn by_theirs(&mut self, theirs: u32) -> Result<(u32, &mut Link), Fault> {
        let ours = self.handles.get(theirs as usize).copied().flatten();
        let link = ours.and_then(|ours| Some((ours, self.links.get_mut(ours as usize)?.as_mut()?)));
        link.ok_or(Fault {
            condition: "amqp:session:unattached-handle",
            flaw: "a frame names a link that is not attached",
        })
    }

    /// The peer tells how far it has come; it may ask the same of us.
    pub(super) fn flowed(&mut self, flow: &Flow, out: &mut BytesMut) -> Result<Outcome, Fault> {
        // What it has not seen yet counts; its window may be larger than serial numbers compare.
        let seen = flow.next_incoming_id.unwrap_or(0);
        let on_its_way = serial::ahead(self.next_outgoing, seen).unwrap_or(0);
        self.outgoing_window = flow.incoming_window.saturating_sub(on_its_way);
        let mut outcome = Outcome::Nothing;
        let mut handle = None;
        if let Some(theirs) = &flow.handle {
            let (ours, link) = self.by_theirs(theirs.0)?;
            handle = Some(ours);
            match &mut link.end {
                End::Receiving(receiving) => {
                    if receiving.flowed(flow.delivery_count) {
                        outcome = Outcome::Drained { handle: ours };
                    }
                }
                End::Sending(sending) => {
                    sending.flowed(flow.delivery_count, flow.link_credit.unwrap_or(0));
                }
            }
        }
        self.send_waiting(out)?;
        let is_drained = flow.drain && handle.is_some_and(|handle| self.drain_sending(handle));
        if flow.echo || is_drained {
            self.flow(handle, out)?;
        }
        Ok(outcome)
    }

    /// True where a link of ours sends, and has nothing more to send for the peer's credit, which it gives back.
    fn drain_sending(&mut self, handle: u32) -> bool {
        match self.link(handle).map(|link| &mut link.end) {
            Some(End::Sending(sending)) => {
                sending.drain();
                true
            }
            _ => false,
        }
    }

    /// Tells the peer how far we have come, on one link or none.
    pub(super) fn flow(&mut self, handle: Option<u32>, out: &mut BytesMut) -> Result<(), Fault> {
        self.incoming_window = INCOMING_WINDOW;
        let mut flow = Flow {
            next_incoming_id: (self.phase != SessionPhase::Beginning).then_some(self.next_incoming),
            incoming_window: INCOMING_WINDOW,
            next_outgoing_id: self.next_outgoing,
            outgoing_window: INCOMING_WINDOW,
            handle: None,
            delivery_count: None,
            link_credit: None,
            available: None,
            drain: false,
            echo: false,
            properties: None,
        };
        let link = handle.and_then(|handle| Some((handle, self.link(handle)?)));
        if let Some((handle, link)) = link.filter(|(_, link)| link.is_attached()) {
            flow.handle = Some(handle.into());
            let (count, credit) = match &link.end {
                End::Receiving(receiving) => {
                    flow.drain = receiving.is_draining();
                    (receiving.delivery_count(), receiving.credit())
                }
                End::Sending(sending) => (sending.delivery_count(), sending.credit()),
            };
            flow.delivery_count = Some(count);
            flow.link_credit = Some(credit);
        }
        frame::put(out, self.channel, &flow, self.max_frame_size)
    }

    /// Renews the session's window where half of it is used up.
    pub(super) fn renew(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        if self.incoming_window > INCOMING_WINDOW / 2 {
            return Ok(());
        }
        self.flow(None, out)
    }

    /// Accepts a delivery, together with those next to it; true where it is the first that is not told.
    pub(super) fn accept(&mut self, delivery_id: u32, out: &mut BytesMut) -> Result<bool, Fault> {
        let is_first = self.accepted.is_none();
        match &mut self.accepted {
            Some((_, last)) if delivery_id == last.wrapping_add(1) => *last = delivery_id,
            None => self.accepted = Some((delivery_id, delivery_id)),
            Some(_) => {
                self.tell_accepted(out)?;
                self.accepted = Some((delivery_id, delivery_id));
            }
        }
        Ok(is_first)
    }

    /// Tells the peer what was accepted.
    pub(super) fn tell_accepted(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        let Some((first, last)) = self.accepted.take() else {
            return Ok(());
        };
        let disposition = Disposition {
            role: Role::Receiver,
            first,
            last: (last != first).then_some(last),
            settled: true,
            state: Some(DeliveryState::Accepted(Accepted {})),
            batchable: false,
        };
        frame::put(out, self.channel, &disposition, self.max_frame_size)
    }

    /// Sends what waits on any link, as far as the peer takes it.
    pub(super) fn send_waiting(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        // Of a frame, so much is not payload, at the most.
        const AROUND: usize = 64;
        let room = (self.max_frame_size as usize).saturating_sub(AROUND).max(1);
        for (at, link) in self.links.iter_mut().enumerate() {
            let Some(link) = link.as_mut().filter(|link| link.is_attached()) else {
                continue;
            };
            let End::Sending(sending) = &mut link.end else {
                continue;
            };
            while self.outgoing_window > 0
                && let Some(rest) = sending.next()
            {
                let piece = &rest[..rest.len().min(room)];
                let is_first = sending.sent == 0;
                let transfer = performatives::Transfer {
                    handle: (at as u32).into(),
                    delivery_id: Some(self.next_delivery),
                    delivery_tag: is_first
                        .then(|| DeliveryTag::from(self.next_delivery.to_be_bytes().to_vec())),
                    message_format: is_first.then_some(0),
                    settled: Some(!sending.is_unsettled),
                    more: piece.len() < rest.len(),
                    rcv_settle_mode: None,
                    state: None,
                    resume: false,
                    aborted: false,
                    batchable: false,
                };
                frame::put_transfer(out, self.channel, &transfer, piece, self.max_frame_size)?;
                self.outgoing_window -= 1;
                self.next_outgoing = self.next_outgoing.wrapping_add(1);
                if !transfer.more {
                    self.next_delivery = self.next_delivery.wrapping_add(1);
                }
                let count = piece.len();
                sending.advance(count);
            }
        }
        Ok(())
    }

    /// Detaches a link, for good; the peer has yet to answer.
    pub(super) fn detach(
        &mut self,
        handle: u32,
        error: Option<Error>,
        out: &mut BytesMut,
    ) -> Result<(), Fault> {
        let channel = self.channel;
        let max_frame_size = self.max_frame_size;
        let Some(link) = self.link(handle) else {
            return Ok(());
        };
        if matches!(link.phase, Phase::Detaching(_)) {
            return Ok(());
        }
        link.phase = Phase::Detaching(link.remote_handle());
        self.tell_accepted(out)?;
        let detach = Detach {
            handle: handle.into(),
            closed: true,
            error,
        };
        frame::put(out, channel, &detach, max_frame_size)
    }

    /// The peer has detached a link, or answered our detach.
    pub(super) fn detached(
        &mut self,
        detach: Detach,
        out: &mut BytesMut,
    ) -> Result<Outcome, Fault> {
        let (handle, link) = self.by_theirs(detach.handle.0)?;
        let is_answer = matches!(link.phase, Phase::Detaching(_));
        let held = link.held();
        self.held -= held;
        self.links[handle as usize] = None;
        self.handles[detach.handle.0 as usize] = None;
        if is_answer {
            return Ok(Outcome::Nothing);
        }
        let answer = Detach {
            handle: handle.into(),
            closed: detach.closed,
            error: None,
        };
        frame::put(out, self.channel, &answer, self.max_frame_size)?;
        Ok(Outcome::Detached {
            handle,
            cause: detach.error.into(),
        })
    }

    /// Ends the session; the peer has yet to answer.
    pub(super) fn end(&mut self, error: Option<Error>, out: &mut BytesMut) -> Result<(), Fault> {
        if self.phase == SessionPhase::Ending {
            return Ok(());
        }
        self.tell_accepted(out)?;
        self.phase = SessionPhase::Ending;
        frame::put(
            out,
            self.channel,
            &EndOfSession { error },
            self.max_frame_size,
        )
    }
}
