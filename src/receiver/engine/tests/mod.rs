//! The machine against a scripted peer: what it makes of what comes, and what it answers.

mod driven;
mod faults;
mod model;
mod nodes;
mod streams;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use fe2o3_amqp::types::definitions::{
    DeliveryTag, Error, ErrorCondition, ReceiverSettleMode, Role, SenderSettleMode,
};
use fe2o3_amqp::types::messaging::{Source, Target, TargetArchetype};
use fe2o3_amqp::types::performatives::{
    Attach, Begin, ChannelMax, Close, Detach, End, MaxFrameSize, Open, Transfer,
};
use fe2o3_amqp::types::primitives::{Array, Symbol};
use fe2o3_amqp::types::sasl::{SaslCode, SaslMechanisms, SaslOutcome};

use super::frame;
use super::happening::{Happening, LinkId, SessionId};
use super::machine::{Machine, Options};
use super::sasl::Identity;

/// What the peer takes.
const PEER_FRAME_SIZE: u32 = 4096;
/// The peer's channels and handles are so much larger than ours.
const PEER_CHANNEL: u16 = 7;
const PEER_HANDLE: u32 = 3;

/// What a peer sends, in its order.
#[derive(Debug, Default)]
struct Peer {
    bytes: BytesMut,
}

/// A transfer that can be written down in few words.
#[derive(Debug, Clone, Default)]
struct Sent {
    /// Our number of the session and of the link.
    session: u16,
    link: u32,
    id: u32,
    more: bool,
    is_continuation: bool,
    aborted: bool,
    unsettled: bool,
    payload: Vec<u8>,
}

impl Peer {
    /// One that lets anybody in, and has opened the connection.
    fn open(idle_time_out: Option<u32>) -> Self {
        let mut peer = Self::default();
        peer.bytes.extend_from_slice(&frame::SASL_HEADER);
        let offered = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"].map(Symbol::from);
        let offered = SaslMechanisms {
            sasl_server_mechanisms: Array::from(offered.to_vec()),
        };
        frame::put_sasl(&mut peer.bytes, &offered).unwrap();
        let outcome = SaslOutcome {
            code: SaslCode::Ok,
            additional_data: None,
        };
        frame::put_sasl(&mut peer.bytes, &outcome).unwrap();
        peer.bytes.extend_from_slice(&frame::HEADER);
        peer.put(
            0,
            &Open {
                container_id: "peer".to_owned(),
                hostname: None,
                max_frame_size: MaxFrameSize(PEER_FRAME_SIZE),
                channel_max: ChannelMax(99),
                idle_time_out,
                outgoing_locales: None,
                incoming_locales: None,
                offered_capabilities: None,
                desired_capabilities: None,
                properties: None,
            },
        );
        peer
    }

    fn put<T: serde::Serialize>(&mut self, channel: u16, performative: &T) {
        frame::put(&mut self.bytes, channel, performative, u32::MAX).unwrap();
    }

    fn begin(&mut self, session: u16) {
        self.put(
            PEER_CHANNEL + session,
            &Begin {
                remote_channel: Some(session),
                next_outgoing_id: u32::MAX - 1,
                incoming_window: 10,
                outgoing_window: 10,
                handle_max: u32::MAX.into(),
                offered_capabilities: None,
                desired_capabilities: None,
                properties: None,
            },
        );
    }

    /// Answers the attach of a link with this name, on which the peer sends.
    fn attach(&mut self, session: u16, link: u32, is_kept: bool) {
        self.put(
            PEER_CHANNEL + session,
            &Attach {
                role: Role::Sender,
                handle: (PEER_HANDLE + link).into(),
                initial_delivery_count: Some(u32::MAX - 1),
                source: is_kept.then(|| Box::new(Source::builder().address("node").build())),
                ..attach(session, link)
            },
        );
    }

    fn transfer(&mut self, sent: &Sent) {
        let transfer = Transfer {
            handle: (PEER_HANDLE + sent.link).into(),
            delivery_id: (!sent.is_continuation).then_some(sent.id),
            delivery_tag: (!sent.is_continuation).then(|| DeliveryTag::from(vec![7])),
            message_format: Some(0),
            settled: Some(!sent.unsettled),
            more: sent.more,
            rcv_settle_mode: None,
            state: None,
            resume: false,
            aborted: sent.aborted,
            batchable: false,
        };
        let channel = PEER_CHANNEL + sent.session;
        frame::put_transfer(&mut self.bytes, channel, &transfer, &sent.payload, u32::MAX).unwrap();
    }

    fn detach(&mut self, session: u16, link: u32, condition: Option<&str>) {
        let detach = Detach {
            handle: (PEER_HANDLE + link).into(),
            closed: true,
            error: condition.map(error),
        };
        self.put(PEER_CHANNEL + session, &detach);
    }

    fn end(&mut self, session: u16, condition: Option<&str>) {
        let error = condition.map(error);
        self.put(PEER_CHANNEL + session, &End { error });
    }

    fn close(&mut self, condition: Option<&str>) {
        let error = condition.map(error);
        self.put(0, &Close { error });
    }
}

fn error(condition: &str) -> Error {
    Error::new(
        ErrorCondition::Custom(condition.into()),
        "why".to_owned(),
        None,
    )
}

/// How we attach.
fn attach(session: u16, link: u32) -> Attach {
    Attach {
        name: format!("{session}-{link}"),
        handle: 0.into(),
        role: Role::Receiver,
        snd_settle_mode: SenderSettleMode::Settled,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(Box::new(Source::builder().address("node").build())),
        target: Some(Box::new(TargetArchetype::Target(
            Target::builder().address("here").build(),
        ))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: None,
        max_message_size: Some(100_000),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

/// Whoever uses a machine: begins so many sessions with so many links as soon as that is possible.
struct Client {
    machine: Machine,
    now: Instant,
    sessions: u16,
    links: u32,
    credit: u32,
    begun: Vec<SessionId>,
    attached: Vec<LinkId>,
    /// What happened, in words.
    story: Vec<String>,
    /// What was sent.
    sent: BytesMut,
}

impl Client {
    fn new(sessions: u16, links: u32, credit: u32) -> Self {
        let options = Options {
            container_id: "here".to_owned(),
            hostname: "there".to_owned(),
            identity: Identity::Anonymous,
        };
        let now = Instant::now();
        Self {
            machine: Machine::new(options, now),
            now,
            sessions,
            links,
            credit,
            begun: Vec::new(),
            attached: Vec::new(),
            story: Vec::new(),
            sent: BytesMut::new(),
        }
    }

    /// Hears what the peer says, and does what it always does.
    fn hear(&mut self, bytes: &[u8]) {
        self.machine.incoming().extend_from_slice(bytes);
        self.machine.heard(self.now);
        while let Some(happening) = self.machine.step() {
            self.happened(happening);
        }
        self.say();
    }

    fn say(&mut self) {
        let sent = self.machine.take_outgoing(self.now);
        self.sent.extend_from_slice(&sent);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.machine.tick(self.now);
        while let Some(happening) = self.machine.step() {
            self.happened(happening);
        }
    }

    fn happened(&mut self, happening: Happening) {
        self.story.push(match happening {
            Happening::Opened => {
                for _ in 0..self.sessions {
                    // As many as the peer takes.
                    self.machine.begin().ok();
                }
                "opened".to_owned()
            }
            Happening::Begun(session) => {
                let number = self.begun.len() as u16;
                for link in 0..self.links {
                    self.machine.attach(session, attach(number, link)).unwrap();
                }
                self.begun.push(session);
                format!("begun {number}")
            }
            Happening::Attached(link) => {
                self.machine.grant(link, self.credit);
                self.attached.push(link);
                format!("attached {}", self.name(link))
            }
            Happening::Delivered(delivery) => {
                self.machine.accept(&delivery);
                let sum: u64 = delivery.message.iter().map(|byte| u64::from(*byte)).sum();
                let length = delivery.message.len();
                let id = delivery.delivery_id;
                format!(
                    "delivered {} {id}: {length} bytes, {sum}",
                    self.name(delivery.link)
                )
            }
            Happening::Drained(link) => format!("drained {}", self.name(link)),
            Happening::Detached(link, cause) => format!("detached {}: {cause:?}", self.name(link)),
            Happening::Ended(_, cause) => format!("ended: {cause:?}"),
            Happening::Closed(cause) => format!("closed: {cause:?}"),
            Happening::Answered(..) => "answered".to_owned(),
        });
    }

    fn name(&self, link: LinkId) -> String {
        format!("{}-{}", link.session.index(), link.index())
    }

    /// The last things that happened, where they begin so.
    fn happened_last(&self, beginning: &str) -> bool {
        self.story
            .last()
            .is_some_and(|last| last.starts_with(beginning))
    }
}

/// A client and a peer that have come so far that events can be sent.
fn attached(sessions: u16, links: u32, credit: u32) -> (Client, Peer) {
    let mut client = Client::new(sessions, links, credit);
    let mut peer = Peer::open(None);
    for session in 0..sessions {
        peer.begin(session);
    }
    for session in 0..sessions {
        (0..links).for_each(|link| peer.attach(session, link, true));
    }
    client.hear(&peer.bytes.split());
    assert_eq!(
        client.attached.len(),
        usize::from(sessions) * links as usize
    );
    (client, peer)
}

/// The frames of what a client has sent: their performatives' codes, and their channels.
fn frames(mut sent: &[u8]) -> Vec<(u8, u16, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((head, _)) = sent.split_at_checked(8) {
        if head.starts_with(b"AMQP") {
            sent = &sent[8..];
            continue;
        }
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let channel = u16::from_be_bytes([head[6], head[7]]);
        let body = sent[8..size].to_vec();
        frames.push((body.get(2).copied().unwrap_or(0), channel, body));
        sent = &sent[size..];
    }
    assert!(sent.is_empty(), "a frame is not whole");
    frames
}
