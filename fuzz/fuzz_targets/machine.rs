//! The AMQP engine's connection against a peer that sends anything: it must neither panic, nor spin, nor grow.
//!
//!     cargo +nightly fuzz run machine fuzz/corpus/machine fuzz/seeds/machine
//!     cargo fuzz run --sanitizer none machine fuzz/corpus/machine fuzz/seeds/machine
//!
//! The first byte says how much of a valid beginning the peer has, in what pieces its bytes come, and whether
//! they are a stream or the bodies of frames, whose heads are put before them: [`framed`].
#![no_main]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dataverse_listener::receiver::engine::{
    Body, Delivery, Happening, Identity, LinkId, Machine, Message, Options,
};
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp::types::messaging::{Source, Target, TargetArchetype};
use fe2o3_amqp::types::performatives::{Attach, Begin, ChannelMax, MaxFrameSize, Open};
use fe2o3_amqp::types::primitives::{Array, Symbol, Value};
use fe2o3_amqp::types::sasl::{SaslCode, SaslMechanisms, SaslOutcome};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let whole = framed(bytes);
    let (begun, bytes): (&[u8], &[u8]) = match first & 3 {
        0 => (&[], bytes),
        1 => (&beginning()[..26 + 8], bytes),
        2 => (beginning(), bytes),
        _ => (beginning(), &whole),
    };
    let mut user = User::new();
    user.hear(begun);
    let piece = match first >> 2 {
        0 => bytes.len(),
        size => usize::from(size),
    };
    for piece in bytes.chunks(piece.max(1)) {
        user.hear(piece);
    }
    user.pass(Duration::from_secs(61));
    assert!(user.is_over, "a silent peer is not given up");
});

/// Frames, of which each is described by the length of its body, its channel, and its body.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let [length, channel, rest @ ..] = bytes {
        let (body, next) = rest.split_at(rest.len().min(usize::from(*length)));
        head(&mut frames, body.len(), 0, u16::from(*channel));
        frames.extend_from_slice(body);
        bytes = next;
    }
    frames
}

/// Whoever uses the machine, and answers to what happens.
struct User {
    machine: Machine,
    now: Instant,
    links: Vec<LinkId>,
    is_over: bool,
    heard: usize,
    happened: usize,
    sent: usize,
}

impl User {
    fn new() -> Self {
        let now = Instant::now();
        let options = Options {
            container_id: "fuzz".to_owned(),
            hostname: "host".to_owned(),
            identity: Identity::Anonymous,
        };
        Self {
            machine: Machine::new(options, now),
            now,
            links: Vec::new(),
            is_over: false,
            heard: 0,
            happened: 0,
            sent: 0,
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.heard += bytes.len();
        self.machine.incoming().extend_from_slice(bytes);
        self.machine.heard(self.now);
        self.work();
        assert!(self.machine.incoming().len() <= self.heard);
        // An answer is not much larger than what it answers.
        assert!(
            self.sent <= 10_000 + 100 * self.heard,
            "{} bytes",
            self.sent
        );
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.machine.tick(self.now);
        self.work();
    }

    fn work(&mut self) {
        loop {
            while let Some(happening) = self.machine.step() {
                self.happened += 1;
                assert!(self.happened <= 100 + self.heard, "it goes on and on");
                self.happens(happening);
            }
            let sent = self.machine.take_outgoing(self.now).len();
            self.sent += sent;
            if sent == 0 {
                return;
            }
        }
    }

    fn happens(&mut self, happening: Happening) {
        assert!(!self.is_over, "something happened after the end");
        match happening {
            Happening::Opened => {
                for _ in 0..2 {
                    self.machine.begin().ok();
                }
            }
            Happening::Begun(session) => {
                for number in 0..2 {
                    self.machine.attach(session, attach(number)).ok();
                }
                if let Ok(node) = self.machine.attach_node(session, "$management", "here") {
                    self.machine
                        .ask(node, &[("operation", "READ")], Value::Null)
                        .ok();
                }
            }
            Happening::Attached(link) => {
                self.machine.grant(link, 10);
                self.links.push(link);
            }
            Happening::Delivered(delivery) => self.read(&delivery),
            Happening::Drained(link) => self.machine.grant(link, 5),
            Happening::Answered(_, message) => drop(Message::read(message)),
            Happening::Detached(..) | Happening::Ended(..) => {
                if let Some(link) = self.links.pop() {
                    self.machine.drain(link);
                    self.machine.detach(link);
                }
            }
            Happening::Closed(_) => self.is_over = true,
        }
    }

    fn read(&mut self, delivery: &Delivery) {
        self.machine.accept(delivery);
        self.machine.grant(delivery.link, 10);
        let Ok(message) = Message::read(delivery.message.clone()) else {
            return;
        };
        message.properties_field(5);
        let properties = message.application_properties();
        assert!(properties.count() <= delivery.message.len() + 1);
        if let Body::Data(body) | Body::Value(body) | Body::Sequence(body) = message.body() {
            assert!(body.len() <= delivery.message.len());
        }
    }
}

fn attach(number: u32) -> Attach {
    Attach {
        name: format!("link-{number}"),
        handle: number.into(),
        role: Role::Receiver,
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(Box::new(Source::builder().address("node").build())),
        target: Some(Box::new(TargetArchetype::Target(
            Target::builder().address("here").build(),
        ))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: None,
        max_message_size: Some(10_000),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

/// What a peer sends that keeps to the rules, up to two attached links.
fn beginning() -> &'static [u8] {
    static BEGINNING: OnceLock<Vec<u8>> = OnceLock::new();
    BEGINNING.get_or_init(|| {
        let mut out = b"AMQP\x03\x01\x00\x00".to_vec();
        let mechanisms = Array::from(vec![Symbol::from("ANONYMOUS")]);
        let mechanisms = SaslMechanisms {
            sasl_server_mechanisms: mechanisms,
        };
        frame(&mut out, 1, 0, &mechanisms);
        let outcome = SaslOutcome {
            code: SaslCode::Ok,
            additional_data: None,
        };
        frame(&mut out, 1, 0, &outcome);
        out.extend_from_slice(b"AMQP\x00\x01\x00\x00");
        let open = Open {
            container_id: "peer".to_owned(),
            hostname: None,
            max_frame_size: MaxFrameSize(512),
            channel_max: ChannelMax(9),
            idle_time_out: Some(1000),
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        frame(&mut out, 0, 0, &open);
        let begin = Begin {
            remote_channel: Some(0),
            next_outgoing_id: 0,
            incoming_window: 100,
            outgoing_window: 100,
            handle_max: 9.into(),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        frame(&mut out, 0, 0, &begin);
        for number in 0..2 {
            let answer = Attach {
                role: Role::Sender,
                initial_delivery_count: Some(0),
                ..attach(number)
            };
            frame(&mut out, 0, 0, &answer);
        }
        let answer = Attach {
            name: "here-sender".to_owned(),
            handle: 2.into(),
            role: Role::Receiver,
            ..attach(0)
        };
        frame(&mut out, 0, 0, &answer);
        let answer = Attach {
            name: "here-receiver".to_owned(),
            handle: 3.into(),
            role: Role::Sender,
            initial_delivery_count: Some(0),
            ..attach(0)
        };
        frame(&mut out, 0, 0, &answer);
        out
    })
}

fn frame(out: &mut Vec<u8>, kind: u8, channel: u16, body: &impl Serialize) {
    let body = serde_amqp::to_vec(body).expect("a frame");
    head(out, body.len(), kind, channel);
    out.extend_from_slice(&body);
}

fn head(out: &mut Vec<u8>, size: usize, kind: u8, channel: u16) {
    out.extend_from_slice(&(8 + size as u32).to_be_bytes());
    out.extend_from_slice(&[2, kind]);
    out.extend_from_slice(&channel.to_be_bytes());
}
