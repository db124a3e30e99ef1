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
use super::delivery::OUTPUT_TARGET;
use super::frame::{self, MAX_FRAME, Terminals};
use super::hub::{Fault, Registration};
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
        match self.scope.mailbox().take_fault() {
            Some(Fault::Reset) => {
                self.is_reset = true;
                self.phase = Phase::Over;
            }
            Some(Fault::Close(refusal)) => self.close(&refusal),
            None => {}
        }
        if self.phase == Phase::Running {
            let has_expired = self.scope.access.expire(now);
            for session in self.sessions.values_mut() {
                session.attend(has_expired, &mut self.scope);
            }
            self.fill();
        }
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
        let access = sasl::admit(frame, &self.scope.hub().key)?;
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
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::definitions::{ErrorCondition, Handle, Role, SenderSettleMode};
    use fe2o3_amqp::types::messaging::{DeliveryState, Source, Target, TargetArchetype};
    use fe2o3_amqp::types::performatives::{Attach, Begin, Flow, Open, Performative, Transfer};

    use super::*;
    use crate::emulator::encode::Encoder;
    use crate::emulator::hub::tests::hub;
    use crate::emulator::message::of_data;
    use crate::emulator::scan;

    /// How many fields each performative has, from `open` on.
    const WIDTHS: [usize; 9] = [10, 8, 14, 11, 11, 6, 3, 1, 1];

    const CONSUMER: &str = "hub/ConsumerGroups/$Default/Partitions/0";

    /// A peer without a socket: what it says is encoded, what it hears decoded, by fe2o3-amqp.
    struct Peer {
        connection: Connection,
        now: i64,
    }

    impl Peer {
        /// With a session on channel 3, and every right.
        fn open() -> Self {
            let mut peer = Self {
                connection: Connection::new(hub().connect()),
                now: 1000,
            };
            peer.connection.scope.access = crate::emulator::access::Access::of_key_holder();
            peer.feed(AMQP_HEADER);
            assert_eq!(peer.connection.output(), AMQP_HEADER);
            peer.connection.wrote(8);
            peer.say(&Performative::Open(Open {
                container_id: "peer".to_owned(),
                hostname: Some("localhost".to_owned()),
                max_frame_size: 65_536.into(),
                channel_max: 10.into(),
                idle_time_out: None,
                outgoing_locales: None,
                incoming_locales: None,
                offered_capabilities: None,
                desired_capabilities: None,
                properties: None,
            }));
            peer.say(&Performative::Begin(Begin {
                remote_channel: None,
                next_outgoing_id: 0,
                incoming_window: 100,
                outgoing_window: 100,
                handle_max: Handle(255),
                offered_capabilities: None,
                desired_capabilities: None,
                properties: None,
            }));
            assert!(matches!(
                peer.hear()[..],
                [FrameBody::Open(_), FrameBody::Begin(_)]
            ));
            peer
        }

        fn feed(&mut self, bytes: &[u8]) {
            self.connection
                .receive(&mut BytesMut::from(bytes), self.now);
            self.connection.attend(self.now);
        }

        fn say(&mut self, performative: &Performative) {
            self.say_with(performative, &[]);
        }

        fn say_with(&mut self, performative: &Performative, payload: &[u8]) {
            let body = serde_amqp::to_vec(performative).unwrap();
            let mut frame = Encoder::default();
            frame.frame(3, |frame| {
                frame.raw(&body);
                frame.raw(payload);
            });
            self.feed(&frame.0);
        }

        /// The frames since it last listened, each of full width.
        fn hear(&mut self) -> Vec<FrameBody> {
            let mut input = BytesMut::from(self.connection.output());
            self.connection.wrote(input.len());
            let mut heard = Vec::new();
            while let Some(frame) = frame::take(&mut input).unwrap() {
                let performative = scan::split_described(&frame[8..]).unwrap();
                let width = scan::elements(performative.value).unwrap().len();
                let code = usize::try_from(performative.descriptor.unwrap()).unwrap();
                assert_eq!(width, WIDTHS[code - 0x10], "0x{code:x}");
                heard.push(frame::decode(frame).unwrap().body);
            }
            assert!(input.is_empty());
            heard
        }

        fn attach(&mut self, role: Role, address: &str) -> Vec<FrameBody> {
            self.say(&Performative::Attach(Attach {
                name: "link".to_owned(),
                handle: Handle(1),
                role,
                snd_settle_mode: SenderSettleMode::Unsettled,
                rcv_settle_mode: fe2o3_amqp::types::definitions::ReceiverSettleMode::Second,
                source: Some(Box::new(Source::from(address))),
                target: Some(Box::new(TargetArchetype::Target(Target::from(address)))),
                unsettled: None,
                incomplete_unsettled: false,
                initial_delivery_count: Some(0),
                max_message_size: None,
                offered_capabilities: None,
                desired_capabilities: None,
                properties: None,
            }));
            self.hear()
        }

        fn flow(&mut self, credit: u32, window: u32, drain: bool) -> Vec<FrameBody> {
            self.say(&Performative::Flow(Flow {
                next_incoming_id: Some(1),
                incoming_window: window,
                next_outgoing_id: 0,
                outgoing_window: 100,
                handle: Some(Handle(1)),
                delivery_count: Some(0),
                link_credit: Some(credit),
                available: None,
                drain,
                echo: false,
                properties: None,
            }));
            self.hear()
        }

        fn transfer(
            &mut self,
            id: u32,
            settled: bool,
            more: bool,
            payload: &[u8],
        ) -> Vec<FrameBody> {
            let transfer = Transfer {
                handle: Handle(1),
                delivery_id: Some(id),
                delivery_tag: Some(vec![1].into()),
                message_format: Some(0),
                settled: Some(settled),
                more,
                rcv_settle_mode: None,
                state: None,
                resume: false,
                aborted: false,
                batchable: false,
            };
            self.say_with(&Performative::Transfer(transfer), payload);
            self.hear()
        }

        fn append(&self, count: usize) {
            let body = of_data(b"x");
            for _ in 0..count {
                let hub = self.connection.scope.hub();
                hub.publish(
                    crate::emulator::hub::Target::Partition(0),
                    0,
                    &body,
                    self.now,
                )
                .unwrap();
            }
        }
    }

    #[test]
    fn a_receiver_is_answered_settled_and_with_its_own_termini() {
        let mut peer = Peer::open();
        let heard = peer.attach(Role::Receiver, CONSUMER);
        let [FrameBody::Attach(attach)] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(attach.role, Role::Sender);
        assert_eq!(attach.snd_settle_mode, SenderSettleMode::Settled);
        assert_eq!(attach.initial_delivery_count, Some(0));
        let source = attach.source.as_ref().unwrap();
        assert_eq!(source.address.as_deref(), Some(CONSUMER));
        assert!(attach.target.is_some());
    }

    #[test]
    fn a_refused_link_has_no_termini_and_is_detached() {
        let mut peer = Peer::open();
        let heard = peer.attach(Role::Receiver, "other/ConsumerGroups/$Default/Partitions/0");
        let [FrameBody::Attach(attach), FrameBody::Detach(detach)] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert!(attach.source.is_none() && attach.target.is_none());
        assert_eq!(attach.initial_delivery_count, None);
        assert!(detach.closed && detach.error.is_some());
    }

    #[test]
    fn deliveries_are_settled_numbered_and_of_format_0() {
        let mut peer = Peer::open();
        peer.append(3);
        peer.attach(Role::Receiver, CONSUMER);
        assert!(peer.flow(0, 100, false).is_empty());
        for (at, body) in peer.flow(2, 100, false).iter().enumerate() {
            let FrameBody::Transfer { performative, .. } = body else {
                panic!("{body:?}");
            };
            assert_eq!(performative.delivery_id, u32::try_from(at).ok());
            assert_eq!(performative.settled, Some(true));
            assert_eq!(performative.message_format, Some(0));
        }
        assert_eq!(peer.flow(3, 100, false).len(), 1);
    }

    #[test]
    fn the_window_holds_deliveries_back() {
        let mut peer = Peer::open();
        peer.append(5);
        peer.attach(Role::Receiver, CONSUMER);
        assert_eq!(peer.flow(5, 2, false).len(), 2);
        assert_eq!(peer.flow(5, 4, false).len(), 2);
    }

    #[test]
    fn a_drained_receiver_gets_what_there_is_and_its_credit_back() {
        let mut peer = Peer::open();
        peer.append(2);
        peer.attach(Role::Receiver, CONSUMER);
        let heard = peer.flow(10, 100, true);
        let [.., FrameBody::Flow(flow)] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(heard.len(), 3);
        assert_eq!(
            (flow.delivery_count, flow.link_credit, flow.drain),
            (Some(10), Some(0), true)
        );
        peer.append(1);
        peer.feed(&[]);
        assert!(peer.hear().is_empty());
    }

    #[test]
    fn a_sender_gets_credit_and_an_outcome_for_a_range() {
        let mut peer = Peer::open();
        let heard = peer.attach(Role::Sender, "hub");
        let [FrameBody::Attach(attach), FrameBody::Flow(flow)] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(attach.max_message_size, Some(1_048_576));
        assert_eq!(
            attach.rcv_settle_mode,
            fe2o3_amqp::types::definitions::ReceiverSettleMode::First
        );
        assert_eq!(flow.link_credit, Some(1000));
        let body = of_data(b"x");
        assert!(peer.transfer(0, true, false, &body).is_empty());
        let heard = peer.transfer(1, false, false, &body);
        let [FrameBody::Disposition(disposition)] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!((disposition.first, disposition.last), (1, Some(1)));
        assert!(disposition.settled);
        assert!(matches!(
            disposition.state,
            Some(DeliveryState::Accepted(_))
        ));
    }

    #[test]
    fn an_oversized_delivery_is_rejected_or_ends_the_link() {
        for settled in [false, true] {
            let mut peer = Peer::open();
            peer.attach(Role::Sender, "hub");
            for _ in 0..17 {
                assert!(peer.transfer(7, settled, true, &[0; 65_000]).is_empty());
            }
            let total = &peer.connection.scope.reassembling;
            assert_eq!(total.load(std::sync::atomic::Ordering::Relaxed), 0);
            let heard = peer.transfer(7, settled, false, &[]);
            let error = match &heard[..] {
                [FrameBody::Disposition(disposition)] if !settled => match &disposition.state {
                    Some(DeliveryState::Rejected(rejected)) => rejected.error.clone().unwrap(),
                    other => panic!("{other:?}"),
                },
                [FrameBody::Detach(detach)] if settled => detach.error.clone().unwrap(),
                other => panic!("{other:?}"),
            };
            assert_eq!(
                error.description.as_deref(),
                Some(
                    "The received message (delivery-id:7, size:1105000 bytes) exceeds the limit \
                     (1048576 bytes) currently allowed on the link."
                )
            );
        }
    }

    #[test]
    fn links_end_with_the_token_that_opened_them() {
        const TOKEN: &str = "SharedAccessSignature sr=sb%3A%2F%2Flocalhost%2Feh1\
            &sig=bXwnzzxeV2PFlM%2BGaXaWproC2URqPYHFIhvxuIqXTAA%3D&se=1700000000&skn=RootManageSharedAccessKey";
        let mut peer = Peer::open();
        let mut hub = std::sync::Arc::try_unwrap(hub()).unwrap();
        hub.name = "eh1".to_owned();
        peer.connection.scope.registration = std::sync::Arc::new(hub).connect();
        peer.connection.scope.access = crate::emulator::access::Access::default();
        let scope = &mut peer.connection.scope;
        let key = scope.hub().key.clone();
        scope
            .access
            .put_token(&key, "", "sb://localhost/eh1", TOKEN, 0)
            .unwrap();
        assert_eq!(peer.attach(Role::Sender, "eh1").len(), 2);
        assert_eq!(peer.connection.next_expiry(), Some(1_700_000_000_000));
        peer.now = 1_700_000_000_000;
        peer.feed(&[]);
        let heard = peer.hear();
        let [FrameBody::Detach(detach)] = &heard[..] else {
            panic!("{heard:?}");
        };
        let error = detach.error.clone().unwrap();
        assert!(matches!(error.condition, ErrorCondition::AmqpError(_)));
        assert_eq!(
            error.description.as_deref(),
            Some("ExpiredToken: The token is expired.")
        );
    }

    #[test]
    fn input_may_come_byte_by_byte() {
        let mut connection = Connection::new(hub().connect());
        let mut input = BytesMut::new();
        let close = [0, 0, 0, 15, 2, 0, 0, 0, 0, 0x53, 0x18, 0xc0, 2, 1, 0x40];
        let open = [
            0, 0, 0, 17, 2, 0, 0, 0, 0, 0x53, 0x10, 0xc0, 4, 1, 0xa1, 1, b'x',
        ];
        for byte in [&AMQP_HEADER[..], &open, &close].concat() {
            assert!(!connection.is_over());
            input.extend_from_slice(&[byte]);
            connection.receive(&mut input, 0);
        }
        assert!(connection.is_over());
        assert!(connection.output().starts_with(AMQP_HEADER));
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(noise: Vec<u8>, code in 0x10_u8..0x19, field in 0_u8..8) {
            let mut peer = Peer::open();
            peer.attach(Role::Sender, "hub");
            let mut frame = Encoder::default();
            frame.frame(3, |frame| {
                frame.composite(code, u32::from(field), |list| list.raw(&noise));
            });
            peer.feed(&frame.0);
            peer.feed(&noise);
        }
    }
}
