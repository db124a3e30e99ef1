//! One connection as a state machine: bytes in, bytes out, no socket and no clock.
//!
//! Implements AMQP 1.0 part 2, sections 2.2 to 2.4 (version negotiation, frames, open and close) and
//! the order SASL, then AMQP of part 5. A frame's size and structure are checked before it is decoded.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use fe2o3_amqp::frames::amqp::{Frame, FrameBody};
use fe2o3_amqp::types::performatives;

use super::address::Node;
use super::condition::{Refusal, quoted};
use super::conduct::{Cut, Order};
use super::delivery::OUTPUT_TARGET;
use super::frame::{self, MAX_FRAME, Terminals};
use super::hub::Registration;
use super::intake::Reply;
use super::performative::{self, Open};
use super::scope::{MIN_MAX_FRAME, Scope};
use super::session::Session;
use super::{attach, sasl};

/// The highest channel, as the service has it.
const CHANNEL_MAX: u16 = 4999;

/// After how long without a frame the hub says it gives a peer up, in milliseconds.
pub(crate) const IDLE_TIME_OUT: u32 = 240_000;

/// With so much waiting to be written, no more is read.
const OUTPUT_LIMIT: usize = 1024 * 1024;

const SASL_HEADER: &[u8; 8] = b"AMQP\x03\x01\x00\x00";
const AMQP_HEADER: &[u8; 8] = b"AMQP\x00\x01\x00\x00";

/// A connection, from the first byte of the peer to the last byte of the hub.
#[derive(Debug)]
pub(crate) struct Connection {
    phase: Phase,
    scope: Scope,
    sessions: BTreeMap<u16, Session>,
    /// How much of the output is written already.
    written: usize,
    /// Which sending link is first at the next turn.
    turn: usize,
    heartbeat: Option<u64>,
    is_reset: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A protocol header comes next.
    Header,
    /// The client's choice of a mechanism comes next.
    Sasl,
    /// `open` comes next.
    Open,
    /// Open on both sides.
    Running,
    /// Closed from here; only the peer's `close` counts.
    Closing,
    /// Nothing more is read; what is left is written.
    Over,
}

impl Connection {
    pub(crate) fn new(registration: Registration) -> Self {
        Self {
            phase: Phase::Header,
            scope: Scope::new(registration),
            sessions: BTreeMap::new(),
            written: 0,
            turn: 0,
            heartbeat: None,
            is_reset: false,
        }
    }

    /// Takes the whole frames in `input`; `now` in milliseconds since 1970.
    pub(crate) fn receive(&mut self, input: &mut BytesMut, now: i64) {
        self.scope.now = now;
        loop {
            match self.step(input) {
                Ok(true) => {}
                Ok(false) => break,
                Err(refusal) => {
                    self.close(&refusal);
                    break;
                }
            }
        }
        for session in self.sessions.values_mut() {
            session.flush(&mut self.scope.out);
        }
    }

    /// Does what the hub ordered, ends what a token's end ends, and sends what there is.
    pub(crate) fn attend(&mut self, now: i64) {
        self.scope.now = now;
        while let Some(order) = self.scope.mailbox().take_order() {
            self.obey(order);
        }
        if self.phase == Phase::Running {
            let has_expired = self.scope.access.expire(now);
            for session in self.sessions.values_mut() {
                session.attend(has_expired, &mut self.scope);
            }
            self.fill();
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Reset => {
                self.is_reset = true;
                self.phase = Phase::Over;
            }
            Order::Cut(partition) => self.scope.cut = Cut::Armed(partition),
            Order::Close(refusal) => self.close(&refusal),
            Order::End(refusal, partition) => self.end(&refusal, partition),
        }
    }

    /// Ends every session with an error, or those that receive from a partition.
    fn end(&mut self, refusal: &Refusal, partition: Option<u16>) {
        self.sessions.retain(|channel, session| {
            let stays = partition.is_some_and(|partition| !session.receives_from(partition));
            if !stays {
                performative::end(*channel, Some(refusal), &mut self.scope.out);
            }
            stays
        });
    }

    /// Closes with an error, where there is an open connection to close.
    pub(crate) fn close(&mut self, refusal: &Refusal) {
        tracing::debug!(
            condition = refusal.condition,
            text = refusal.description,
            "closing"
        );
        self.sessions.clear();
        match self.phase {
            Phase::Running => {
                performative::close(Some(refusal), &mut self.scope.out);
                self.phase = Phase::Closing;
            }
            // No error can be told before `open`, so one is sent first.
            Phase::Open => {
                self.write_open();
                performative::close(Some(refusal), &mut self.scope.out);
                self.phase = Phase::Closing;
            }
            Phase::Closing => {}
            Phase::Header | Phase::Sasl | Phase::Over => self.phase = Phase::Over,
        }
    }

    /// The peer says nothing more: what waits is written, and that is all.
    pub(crate) fn hang_up(&mut self) {
        self.sessions.clear();
        self.phase = Phase::Over;
    }

    /// What waits to be written.
    pub(crate) fn output(&self) -> &[u8] {
        &self.scope.out.0[self.written..]
    }

    /// Forgets what was written.
    pub(crate) fn wrote(&mut self, len: usize) {
        self.written += len;
        let out = &mut self.scope.out.0;
        if self.written == out.len() {
            out.clear();
            out.shrink_to(OUTPUT_TARGET * 2);
            self.written = 0;
        } else if self.written > out.len() / 2 {
            out.drain(..self.written);
            self.written = 0;
        }
    }

    /// An empty frame, which tells the peer that the hub is there.
    pub(crate) fn beat(&mut self) {
        if self.phase == Phase::Running {
            self.scope.out.frame(0, |_| {});
        }
    }

    /// How often the peer wants to hear something, in milliseconds.
    pub(crate) fn heartbeat(&self) -> Option<u64> {
        self.heartbeat
    }

    /// When a token ends next that links may need, in milliseconds since 1970.
    pub(crate) fn next_expiry(&self) -> Option<i64> {
        let is_running = self.phase == Phase::Running;
        self.scope.access.next_expiry().filter(|_| is_running)
    }

    /// False while the peer does not read what it asked for.
    pub(crate) fn wants_input(&self) -> bool {
        self.phase != Phase::Over && self.output().len() < OUTPUT_LIMIT
    }

    /// Closed from here, and waiting for the peer to do the same.
    pub(crate) fn is_closing(&self) -> bool {
        self.phase == Phase::Closing
    }

    /// Nothing is left to do but to write what waits.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The connection is to be reset, not closed.
    pub(crate) fn is_reset(&self) -> bool {
        self.is_reset
    }

    /// Takes one protocol header or frame; false where none is complete.
    fn step(&mut self, input: &mut BytesMut) -> Result<bool, Refusal> {
        match self.phase {
            Phase::Header => Ok(self.header(input)),
            Phase::Over => {
                input.clear();
                Ok(false)
            }
            _ => match frame::take(input)? {
                Some(frame) => self.frame(frame).map(|()| true),
                None => Ok(false),
            },
        }
    }

    fn header(&mut self, input: &mut BytesMut) -> bool {
        if input.len() < 8 {
            return false;
        }
        match &input.split_to(8)[..] {
            header if header == SASL_HEADER => {
                self.scope.out.raw(SASL_HEADER);
                sasl::write_mechanisms(&mut self.scope.out);
                self.phase = Phase::Sasl;
            }
            header if header == AMQP_HEADER => {
                self.scope.out.raw(AMQP_HEADER);
                self.phase = Phase::Open;
            }
            // As the specification has it: say what is spoken here, and end.
            _ => {
                self.scope.out.raw(SASL_HEADER);
                self.phase = Phase::Over;
            }
        }
        true
    }

    fn frame(&mut self, frame: BytesMut) -> Result<(), Refusal> {
        if self.phase == Phase::Sasl {
            return self.sasl_init(&frame);
        }
        let terminals = frame::check(&frame)?;
        let Frame { channel, body } = frame::decode(frame)?;
        match (self.phase, body) {
            (_, FrameBody::Empty) => Ok(()),
            (Phase::Open, FrameBody::Open(open)) => {
                self.open(&open);
                Ok(())
            }
            (Phase::Closing, FrameBody::Close(_)) => {
                self.phase = Phase::Over;
                Ok(())
            }
            (Phase::Closing, _) => Ok(()),
            (Phase::Running, FrameBody::Close(_)) => {
                self.sessions.clear();
                performative::close(None, &mut self.scope.out);
                self.phase = Phase::Over;
                Ok(())
            }
            (Phase::Running, body) => self.running(channel, body, &terminals),
            (_, _) => Err(Refusal::new(
                "amqp:not-allowed",
                "The first frame must be an open.",
            )),
        }
    }

    fn sasl_init(&mut self, frame: &[u8]) -> Result<(), Refusal> {
        let access = sasl::admit(frame, &self.scope.hub().key())?;
        sasl::write_outcome(access.is_some(), &mut self.scope.out);
        match access {
            Some(access) => {
                self.scope.access = access;
                self.phase = Phase::Header;
            }
            None => self.phase = Phase::Over,
        }
        Ok(())
    }

    fn open(&mut self, open: &performatives::Open) {
        let asked = usize::try_from(open.max_frame_size.0).unwrap_or(MAX_FRAME);
        self.scope.max_frame = asked.clamp(MIN_MAX_FRAME, MAX_FRAME);
        self.scope.host = quoted(open.hostname.as_deref().unwrap_or_default()).to_owned();
        // Half of what the peer waits, but never so little that beating is all that is done.
        let idle = open.idle_time_out.filter(|idle| *idle > 0);
        self.heartbeat = idle.map(|idle| u64::from(idle / 2).max(100));
        self.write_open();
        self.phase = Phase::Running;
    }

    fn write_open(&mut self) {
        let open = Open {
            container_id: "emulator_G0",
            max_frame_size: MAX_FRAME as u32,
            channel_max: CHANNEL_MAX,
            idle_time_out: IDLE_TIME_OUT,
        };
        open.write(&mut self.scope.out);
    }

    fn running(
        &mut self,
        channel: u16,
        body: FrameBody,
        terminals: &Terminals,
    ) -> Result<(), Refusal> {
        match body {
            FrameBody::Begin(begin) => return self.begin(channel, &begin),
            FrameBody::Attach(attach) => return self.attach(channel, &attach, terminals),
            FrameBody::Transfer {
                performative,
                payload,
            } => {
                return self.transfer(channel, &performative, &payload);
            }
            FrameBody::Open(_) => {
                return Err(Refusal::new(
                    "amqp:not-allowed",
                    "The connection is open already.",
                ));
            }
            _ => {}
        }
        // Frames that cross an end are of no interest any more.
        let Some(session) = self.sessions.get_mut(&channel) else {
            return Ok(());
        };
        match body {
            FrameBody::Flow(flow) => session.flow(&flow, &mut self.scope),
            FrameBody::Detach(detach) => session.detached(&detach, &mut self.scope),
            FrameBody::End(_) => {
                self.sessions.remove(&channel);
                performative::end(channel, None, &mut self.scope.out);
            }
            // What the hub sends is settled, and what it receives it settles itself.
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, channel: u16, begin: &performatives::Begin) -> Result<(), Refusal> {
        if channel > CHANNEL_MAX {
            let text = format!("The channel {channel} is above {CHANNEL_MAX}.");
            return Err(Refusal::new("amqp:connection:framing-error", text));
        }
        if self.sessions.contains_key(&channel) {
            let text = format!("The channel {channel} has a session already.");
            return Err(Refusal::new("amqp:not-allowed", text));
        }
        let session = Session::begin(channel, begin, &mut self.scope.out);
        self.sessions.insert(channel, session);
        Ok(())
    }

    fn attach(
        &mut self,
        channel: u16,
        attach: &performatives::Attach,
        terminals: &Terminals,
    ) -> Result<(), Refusal> {
        let is_cbs = attach::node(attach) == Node::Cbs;
        let is_second = is_cbs
            && self
                .sessions
                .values()
                .any(|session| session.has_cbs(&attach.role));
        let refusal = is_second.then(Refusal::cbs_opened_twice);
        match self.sessions.get_mut(&channel) {
            Some(session) => session.attach(attach, terminals, refusal, &mut self.scope),
            None => Ok(()),
        }
    }

    fn transfer(
        &mut self,
        channel: u16,
        transfer: &performatives::Transfer,
        payload: &Bytes,
    ) -> Result<(), Refusal> {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return Ok(());
        };
        let mut reply = session.transfer(transfer, payload, &mut self.scope)?;
        if reply.is_some() {
            self.route(channel, &mut reply);
        }
        Ok(())
    }

    /// Finds the link for a response: of its address, else of its session, else any of the service.
    fn route(&mut self, channel: u16, reply: &mut Option<Reply>) {
        if reply.as_ref().is_some_and(|reply| reply.to.is_some()) {
            for session in self.sessions.values_mut() {
                session.take_reply(reply, true);
            }
        }
        if let Some(session) = self.sessions.get_mut(&channel) {
            session.take_reply(reply, false);
        }
        for session in self.sessions.values_mut() {
            session.take_reply(reply, false);
        }
    }

    /// Lets the links send in turn until the output is full or nothing may be sent.
    fn fill(&mut self) {
        if self.output().len() >= OUTPUT_TARGET {
            return;
        }
        let mut senders: Vec<_> = self
            .sessions
            .iter()
            .flat_map(|(channel, session)| session.senders().map(|handle| (*channel, handle)))
            .collect();
        if senders.is_empty() {
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % senders.len();
        senders.rotate_left(first);
        let hub = std::sync::Arc::clone(self.scope.hub());
        let log = hub.log();
        while !senders.is_empty() && self.scope.out.0.len() < OUTPUT_TARGET {
            senders.retain(|(channel, handle)| {
                let session = self.sessions.get_mut(channel);
                session.is_some_and(|session| session.send(*handle, &log, &mut self.scope))
            });
        }
        drop(log);
        if let Cut::At(len) = self.scope.cut {
            self.scope.out.0.truncate(len);
            self.hang_up();
        }
    }
}

#[cfg(test)]
mod tests;
