//! The connection, fed with frames and a clock of the test's own.

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

    fn transfer(&mut self, id: u32, settled: bool, more: bool, payload: &[u8]) -> Vec<FrameBody> {
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
    let key = scope.hub().key();
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
