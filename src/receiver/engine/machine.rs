//! A connection as a machine: bytes and the time go in; bytes, a deadline and what happened come out.
//!
//! It does nothing by itself. Whoever drives it puts what was read into [`Machine::incoming`], asks
//! [`Machine::step`] what happened until nothing did, sends what [`Machine::take_outgoing`] gives, and calls
//! [`Machine::tick`] at the [`Machine::deadline`]. Work is done frame by frame as it is asked for, so nothing
//! piles up in here but the bytes of one frame and of messages that have come in part.
//!
//! Source: AMQP 1.0, section 2.4 (connections).

mod nodes;
mod opening;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fe2o3_amqp::types::definitions::Error;
use fe2o3_amqp::types::performatives::{Attach, Begin, Close, End};

use super::fault::{Cause, Fault};
use super::frame::{self, Frame};
use super::happening::{Delivery, Happening, LinkId, SessionId};
use super::link::End as LinkEnd;
use super::receiving::Receiving;
use super::requests::{ANSWER_CREDIT, Node};
use super::sasl::{self, Identity};
use super::session::{Outcome, Session, SessionPhase};
use super::slots;
use super::transfer::Transfer;

/// The largest frame that we take, in bytes. The service sends none over 64 KiB.
pub(super) const MAX_FRAME_SIZE: u32 = 256 * 1024;
/// The largest channel that a peer may use.
const CHANNEL_MAX: u16 = 255;
/// What any peer takes, before it has said more (section 2.3).
const LEAST_FRAME_SIZE: u32 = 512;
/// We ask the peer to say something so often.
const IDLE_TIME_OUT: Duration = Duration::from_secs(30);
/// We hold a peer for dead that says nothing for so long.
const SILENCE: Duration = Duration::from_secs(60);
/// Heartbeats go out no more often, whatever the peer asks for.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(250);
/// Nothing more is read while so many bytes wait to be sent.
const MAX_OUTGOING: usize = 256 * 1024;
/// Messages that have come in part may take so many bytes, of all links together.
const MAX_HELD: usize = 64 * 1024 * 1024;

/// Who opens a connection, to whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The peer tells its clients apart by this.
    pub container_id: String,
    /// The host that is meant, whatever address was dialled.
    pub hostname: String,
    /// Who one says one is.
    pub identity: Identity,
}

/// How far the connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    SaslHeader,
    Mechanisms,
    Outcome,
    Header,
    Opening,
    Open,
    /// We have closed it, and the peer has not answered.
    Closing,
    Closed,
}

/// One connection.
#[derive(Debug)]
pub struct Machine {
    options: Options,
    phase: Phase,
    incoming: BytesMut,
    outgoing: BytesMut,
    happenings: VecDeque<Happening>,
    /// By our channel.
    sessions: Vec<Option<Session>>,
    /// Our channel for each of the peer's.
    channels: Vec<Option<u16>>,
    nodes: Vec<Option<Node>>,
    requests: u64,
    /// Our channels of the sessions that have accepted something and not told it.
    untold: Vec<u16>,
    /// Bytes of messages that have come in part.
    held: usize,
    /// What the peer takes.
    max_frame_size: u32,
    channel_max: u16,
    heartbeat: Option<Duration>,
    heard: Instant,
    said: Instant,
}

impl Machine {
    /// Begins to say who one is.
    pub fn new(options: Options, now: Instant) -> Self {
        Self {
            options,
            phase: Phase::SaslHeader,
            incoming: BytesMut::new(),
            outgoing: BytesMut::from(&frame::SASL_HEADER[..]),
            happenings: VecDeque::new(),
            sessions: Vec::new(),
            channels: Vec::new(),
            nodes: Vec::new(),
            requests: 0,
            untold: Vec::new(),
            held: 0,
            max_frame_size: LEAST_FRAME_SIZE,
            channel_max: CHANNEL_MAX,
            heartbeat: None,
            heard: now,
            said: now,
        }
    }

    /// Where bytes that were read go to, at the end.
    pub fn incoming(&mut self) -> &mut BytesMut {
        &mut self.incoming
    }

    /// How many more bytes are needed before the next thing can happen, as far as that is known.
    pub fn missing(&self) -> usize {
        frame::missing(&self.incoming, MAX_FRAME_SIZE)
    }

    /// Something was read.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The stream is over, for this reason.
    pub fn dropped(&mut self, cause: Cause) {
        self.over(cause);
    }

    /// What is to be sent.
    pub fn take_outgoing(&mut self, now: Instant) -> BytesMut {
        self.tell_accepted();
        if !self.outgoing.is_empty() {
            self.said = now;
        }
        self.outgoing.split()
    }

    fn tell_accepted(&mut self) {
        for channel in self.untold.drain(..) {
            if let Some(Some(session)) = self.sessions.get_mut(usize::from(channel)) {
                // Small as the frame is, any peer takes it.
                session.tell_accepted(&mut self.outgoing).ok();
            }
        }
    }

    /// True when nothing will ever happen again.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Closed && self.happenings.is_empty()
    }

    /// When to call [`Self::tick`], whatever else happens; none where that is not needed.
    pub fn deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Closed {
            return None;
        }
        let silence = self.heard + SILENCE;
        let heartbeat = self.heartbeat.map(|interval| self.said + interval);
        Some(heartbeat.map_or(silence, |heartbeat| heartbeat.min(silence)))
    }

    /// Says something where it is time to, and gives up a peer that is silent.
    pub fn tick(&mut self, now: Instant) {
        if self.phase == Phase::Closed {
            return;
        }
        if now.saturating_duration_since(self.heard) >= SILENCE {
            self.over(Cause::Silence);
            return;
        }
        let is_due = |interval: Duration| now.saturating_duration_since(self.said) >= interval;
        if self.heartbeat.is_some_and(is_due) && self.outgoing.is_empty() {
            frame::put_empty(&mut self.outgoing);
        }
    }

    /// What happened next; none until more was read, or something was sent.
    pub fn step(&mut self) -> Option<Happening> {
        loop {
            if let Some(happening) = self.happenings.pop_front() {
                return Some(happening);
            }
            if self.phase == Phase::Closed || self.outgoing.len() > MAX_OUTGOING {
                return None;
            }
            match self.advance() {
                Ok(Advance::Starved) => return None,
                Ok(Advance::Quietly) => {}
                Ok(Advance::To(happening)) => return Some(happening),
                Err(Cause::Fault(fault)) => self.fail(fault),
                Err(cause) => self.over(cause),
            }
        }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub fn begin(&mut self) -> Result<SessionId, Fault> {
        let at = slots::free(&self.sessions);
        let channel = u16::try_from(at).unwrap_or(u16::MAX);
        if channel > self.channel_max.min(CHANNEL_MAX) {
            return Err(Fault::limit(
                "the connection has as many sessions as it may have",
            ));
        }
        let session = Session::new(channel, self.max_frame_size);
        frame::put(
            &mut self.outgoing,
            channel,
            &session.begin(),
            self.max_frame_size,
        )?;
        slots::put(&mut self.sessions, at, session);
        Ok(SessionId(channel))
    }

    /// Attaches a link, as `attach` says but for the handle.
    ///
    /// # Errors
    /// When the session has as many as it may have, or is over.
    pub fn attach(&mut self, session: SessionId, attach: Attach) -> Result<LinkId, Fault> {
        let (open, out) = self.session(session)?;
        let handle = open.attach(attach, out)?;
        Ok(LinkId { session, handle })
    }

    /// Lets the peer send so many more messages in all. Credit is never lowered.
    pub fn grant(&mut self, link: LinkId, credit: u32) {
        self.on_receiving(link, |receiving| receiving.grant(credit));
    }

    /// Tells the peer to use up its credit, or to give it back.
    pub fn drain(&mut self, link: LinkId) {
        self.on_receiving(link, |receiving| {
            receiving.drain();
            true
        });
    }

    fn on_receiving(&mut self, link: LinkId, change: impl FnOnce(&mut Receiving) -> bool) {
        let Ok((session, out)) = self.session(link.session) else {
            return;
        };
        let is_to_be_told = match session.link(link.handle) {
            Some(link) if link.is_attached() => match &mut link.end {
                LinkEnd::Receiving(receiving) => change(receiving),
                LinkEnd::Sending(_) => false,
            },
            _ => false,
        };
        if is_to_be_told && let Err(fault) = session.flow(Some(link.handle), out) {
            self.fail(fault);
        }
    }

    /// Accepts a delivery that was not settled.
    pub fn accept(&mut self, delivery: &Delivery) {
        if delivery.settled {
            return;
        }
        let Ok((session, out)) = self.session(delivery.link.session) else {
            return;
        };
        match session.accept(delivery.delivery_id, out) {
            Ok(true) => self.untold.push(delivery.link.session.0),
            Ok(false) => {}
            Err(fault) => self.fail(fault),
        }
    }

    /// Sends a message on a link; it waits for the peer's credit.
    ///
    /// # Errors
    /// When the link is none that sends, or too many messages wait.
    pub(super) fn send(&mut self, link: LinkId, message: Vec<u8>) -> Result<(), Fault> {
        let (session, out) = self.session(link.session)?;
        let is_taken = match session.link(link.handle).map(|link| &mut link.end) {
            Some(LinkEnd::Sending(sending)) => sending.push(message),
            _ => return Err(Fault::not_allowed("the link does not send")),
        };
        if !is_taken {
            return Err(Fault::limit("too many messages wait for credit"));
        }
        session.send_waiting(out)
    }

    /// Detaches a link for good. What still comes on it is passed over.
    pub fn detach(&mut self, link: LinkId) {
        if let Ok((session, out)) = self.session(link.session)
            && let Err(fault) = session.detach(link.handle, None, out)
        {
            self.fail(fault);
        }
    }

    /// Ends a session, and with it its links.
    pub fn end(&mut self, session: SessionId) {
        self.give_up_nodes_in(session);
        if let Ok((session, out)) = self.session(session)
            && let Err(fault) = session.end(None, out)
        {
            self.fail(fault);
        }
    }

    /// Closes the connection; it is over when the peer has answered.
    pub fn close(&mut self) {
        match self.phase {
            Phase::Open => self.say_close(None),
            Phase::Closing | Phase::Closed => {}
            _ => self.over(Cause::Asked),
        }
    }

    fn session(&mut self, id: SessionId) -> Result<(&mut Session, &mut BytesMut), Fault> {
        let session = self
            .sessions
            .get_mut(usize::from(id.0))
            .and_then(Option::as_mut);
        match session.filter(|session| session.phase == SessionPhase::Begun) {
            Some(session) if self.phase == Phase::Open => Ok((session, &mut self.outgoing)),
            _ => Err(Fault::not_allowed("the session is over")),
        }
    }

    /// Works off the next frame, or header, of what was read.
    fn advance(&mut self) -> Result<Advance, Cause> {
        if let Phase::SaslHeader | Phase::Header = self.phase {
            return self.take_header();
        }
        let frame = frame::take(&mut self.incoming, MAX_FRAME_SIZE).map_err(Cause::Fault)?;
        let Some(frame) = frame else {
            return Ok(Advance::Starved);
        };
        match (self.phase, frame) {
            (_, Frame::Empty) => Ok(Advance::Quietly),
            (Phase::Open, Frame::Transfer(channel, transfer, payload)) => self
                .transfer(channel, transfer, payload)
                .map_err(Cause::Fault),
            (Phase::Mechanisms, Frame::Mechanisms(offered)) => {
                let init = self
                    .options
                    .identity
                    .answer(&offered, &self.options.hostname)?;
                frame::put_sasl(&mut self.outgoing, &init).map_err(Cause::Fault)?;
                self.phase = Phase::Outcome;
                Ok(Advance::Quietly)
            }
            (Phase::Outcome, Frame::Outcome(outcome)) => {
                sasl::judge(&outcome)?;
                self.outgoing.extend_from_slice(&frame::HEADER);
                self.phase = Phase::Header;
                Ok(Advance::Quietly)
            }
            (Phase::Opening, Frame::Open(open)) => Ok(self.opened(&open)),
            (Phase::Opening | Phase::Open, Frame::Close(close)) => {
                frame::put(
                    &mut self.outgoing,
                    0,
                    &Close { error: None },
                    self.max_frame_size,
                )
                .map_err(Cause::Fault)?;
                Err(close.error.into())
            }
            (Phase::Open, frame) => self.control(frame).map_err(Cause::Fault),
            (Phase::Closing, Frame::Close(_)) => Err(Cause::Asked),
            (Phase::Closing, _) => Ok(Advance::Quietly),
            _ => Err(Cause::Fault(Fault::not_allowed("a frame came out of turn"))),
        }
    }

    fn transfer(
        &mut self,
        channel: u16,
        transfer: Transfer,
        payload: Bytes,
    ) -> Result<Advance, Fault> {
        let Some((id, session)) = by_theirs(&self.channels, &mut self.sessions, channel) else {
            return Err(Fault::not_allowed(
                "a frame came on a channel without a session",
            ));
        };
        if session.phase != SessionPhase::Begun {
            return Ok(Advance::Quietly);
        }
        let before = session.held();
        let taken = session.transfer(&transfer, payload);
        self.held = self.held - before + session.held();
        let outcome = match taken {
            Ok(Ok(outcome)) => outcome,
            Ok(Err((handle, fault))) => {
                session.detach(handle, Some(fault.error()), &mut self.outgoing)?;
                let cause = Cause::Fault(fault);
                return Ok(self.become_of(id, Outcome::Detached { handle, cause }));
            }
            Err(fault) => return self.end_with(id, fault),
        };
        session.renew(&mut self.outgoing)?;
        if self.held > MAX_HELD {
            return Err(Fault::limit("too many bytes of messages have come in part"));
        }
        Ok(self.become_of(id, outcome))
    }

    /// Frames that are not events.
    fn control(&mut self, frame: Frame) -> Result<Advance, Fault> {
        let channel = match &frame {
            Frame::Begin(channel, begin) => return self.begun(*channel, begin),
            Frame::End(channel, end) => return self.ended(*channel, end),
            Frame::Attach(channel, _)
            | Frame::Flow(channel, _)
            | Frame::Disposition(channel)
            | Frame::Detach(channel, _) => *channel,
            _ => return Err(Fault::not_allowed("a frame came out of turn")),
        };
        let Some((id, session)) = by_theirs(&self.channels, &mut self.sessions, channel) else {
            return Err(Fault::not_allowed(
                "a frame came on a channel without a session",
            ));
        };
        if session.phase != SessionPhase::Begun {
            return Ok(Advance::Quietly);
        }
        let out = &mut self.outgoing;
        let before = session.held();
        let outcome = match frame {
            Frame::Attach(_, attach) => session.attached(&attach),
            Frame::Flow(_, flow) => session.flowed(&flow, out),
            Frame::Detach(_, detach) => session.detached(*detach, out),
            _ => Ok(Outcome::Nothing),
        };
        self.held = self.held - before + session.held();
        match outcome {
            Ok(outcome) => Ok(self.become_of(id, outcome)),
            Err(fault) => self.end_with(id, fault),
        }
    }

    fn begun(&mut self, channel: u16, begin: &Begin) -> Result<Advance, Fault> {
        let ours = begin.remote_channel.map(usize::from);
        let session = ours.and_then(|ours| self.sessions.get_mut(ours)?.as_mut());
        let Some(session) = session.filter(|session| session.phase != SessionPhase::Begun) else {
            return Err(Fault::not_allowed("the peer begins a session of its own"));
        };
        if channel > CHANNEL_MAX {
            return Err(Fault::framing("a channel is larger than agreed"));
        }
        if slots::put(&mut self.channels, channel.into(), session.channel).is_some() {
            return Err(Fault::not_allowed("a channel is given to a second session"));
        }
        session.begun(begin);
        Ok(match session.phase {
            SessionPhase::Begun => Advance::To(Happening::Begun(SessionId(session.channel))),
            _ => Advance::Quietly,
        })
    }

    fn ended(&mut self, channel: u16, end: &End) -> Result<Advance, Fault> {
        let Some((id, session)) = by_theirs(&self.channels, &mut self.sessions, channel) else {
            return Err(Fault::not_allowed("a session ends that was not begun"));
        };
        let is_answer = session.phase == SessionPhase::Ending;
        if !is_answer {
            session.end(None, &mut self.outgoing)?;
        }
        self.held -= session.held();
        self.sessions[usize::from(id.0)] = None;
        self.channels[usize::from(channel)] = None;
        if is_answer {
            return Ok(Advance::Quietly);
        }
        self.give_up_nodes_in(id);
        let cause = end.error.clone().into();
        Ok(Advance::To(Happening::Ended(id, cause)))
    }

    /// The session has a fault of the peer's: it ends, and the connection goes on.
    fn end_with(&mut self, id: SessionId, fault: Fault) -> Result<Advance, Fault> {
        let (session, out) = self.session(id)?;
        session.end(Some(fault.error()), out)?;
        self.give_up_nodes_in(id);
        Ok(Advance::To(Happening::Ended(id, Cause::Fault(fault))))
    }

    fn become_of(&mut self, session: SessionId, outcome: Outcome) -> Advance {
        let link = |handle| LinkId { session, handle };
        Advance::To(match outcome {
            Outcome::Nothing => return Advance::Quietly,
            Outcome::Attached { handle } => {
                let link = link(handle);
                if self.nodes.iter().flatten().any(|node| node.answers == link) {
                    self.grant(link, ANSWER_CREDIT);
                }
                Happening::Attached(link)
            }
            Outcome::Drained { handle } => Happening::Drained(link(handle)),
            Outcome::GivenBack { handle } => {
                self.on_receiving(link(handle), |_| true);
                return Advance::Quietly;
            }
            Outcome::Detached { handle, cause } => {
                self.give_up_node_of(link(handle));
                Happening::Detached(link(handle), cause)
            }
            Outcome::Delivered {
                handle,
                delivery_id,
                settled,
                message,
            } => {
                let delivery = Delivery {
                    link: link(handle),
                    delivery_id,
                    settled,
                    message,
                };
                let mut nodes = self.nodes.iter_mut().flatten();
                match nodes.find(|node| node.answers == delivery.link) {
                    Some(node) => {
                        let request = node.answered(&delivery.message);
                        return self.answered(request, delivery);
                    }
                    None => Happening::Delivered(delivery),
                }
            }
        })
    }

    /// The peer has broken the protocol: it is told, and nothing more is heard.
    fn fail(&mut self, fault: Fault) {
        if matches!(self.phase, Phase::Opening | Phase::Open) {
            self.say_close(Some(fault.error()));
        }
        self.over(Cause::Fault(fault));
    }

    fn say_close(&mut self, error: Option<Error>) {
        self.tell_accepted();
        self.phase = Phase::Closing;
        let close = Close { error };
        if let Err(fault) = frame::put(&mut self.outgoing, 0, &close, self.max_frame_size) {
            self.over(Cause::Fault(fault));
        }
    }

    fn over(&mut self, cause: Cause) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        self.incoming.clear();
        self.sessions.clear();
        self.happenings.push_back(Happening::Closed(cause));
    }
}

/// What came of working off a frame.
#[derive(Debug)]
enum Advance {
    /// It has not come whole.
    Starved,
    /// Nothing that anybody is to know.
    Quietly,
    To(Happening),
}

fn by_theirs<'a>(
    channels: &[Option<u16>],
    sessions: &'a mut [Option<Session>],
    channel: u16,
) -> Option<(SessionId, &'a mut Session)> {
    let ours = channels.get(usize::from(channel)).copied().flatten()?;
    let session = sessions.get_mut(usize::from(ours))?.as_mut()?;
    Some((SessionId(ours), session))
}
