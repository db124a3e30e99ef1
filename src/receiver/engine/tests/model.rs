//! Valid sessions, at random, against a model of what credit and windows allow.

use fe2o3_amqp::types::performatives::Flow;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::receiver::engine::serial::ahead;

const SESSIONS: u16 = 2;
const LINKS: u32 = 3;

/// What a peer that keeps to the rules knows of one link.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Deliveries sent, from where it began to count.
    delivery_count: u32,
    /// How far they may go.
    limit: u32,
    /// A delivery that was begun, and how much of it is left.
    begun: Option<(u32, usize)>,
}

struct Rules {
    links: Vec<Vec<Known>>,
    /// Frames sent in each session, and how many may be.
    next_outgoing: Vec<u32>,
    window: Vec<u32>,
    next_delivery: Vec<u32>,
    expected: Vec<String>,
    read: usize,
}

/// One thing that is done.
#[derive(Debug, Clone)]
enum Act {
    /// The peer sends the next piece of this length on a link, where the rules allow it.
    Send {
        session: u16,
        link: u32,
        length: usize,
        is_last: bool,
    },
    /// The client grants so much.
    Grant {
        session: u16,
        link: u32,
        credit: u32,
    },
    /// What was said arrives.
    Exchange,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let place = (0..SESSIONS, 0..LINKS);
    vec(
        prop_oneof![
            6 => (place.clone(), 0..3000_usize, any::<bool>()).prop_map(
                |((session, link), length, is_last)| Act::Send { session, link, length, is_last }
            ),
            1 => (place, 0..20_u32).prop_map(
                |((session, link), credit)| Act::Grant { session, link, credit }
            ),
            1 => Just(Act::Exchange),
        ],
        1..400,
    )
}

impl Rules {
    fn new() -> Self {
        let known = Known {
            delivery_count: u32::MAX - 1,
            limit: u32::MAX - 1,
            begun: None,
        };
        let sessions = usize::from(SESSIONS);
        Self {
            links: vec![vec![known; LINKS as usize]; sessions],
            next_outgoing: vec![u32::MAX - 1; sessions],
            window: vec![5000; sessions],
            next_delivery: vec![u32::MAX - 5; sessions],
            expected: Vec::new(),
            read: 0,
        }
    }

    /// Learns from the flows that the client has sent.
    fn hear(&mut self, sent: &[u8]) {
        for (code, channel, body) in frames(&sent[self.read..]) {
            if code != 0x13 {
                continue;
            }
            let flow: Flow = serde_amqp::from_slice(&body).unwrap();
            let session = usize::from(channel);
            let limit = flow
                .next_incoming_id
                .unwrap()
                .wrapping_add(flow.incoming_window);
            self.window[session] = ahead(limit, self.next_outgoing[session]).unwrap_or(0);
            if let (Some(handle), Some(count), Some(credit)) =
                (flow.handle, flow.delivery_count, flow.link_credit)
            {
                let known = &mut self.links[session][handle.0 as usize];
                let limit = count.wrapping_add(credit);
                assert!(ahead(limit, known.limit).is_some(), "credit was lowered");
                known.limit = limit;
            }
        }
        self.read = sent.len();
    }

    fn send(&mut self, peer: &mut Peer, session: u16, link: u32, length: usize, is_last: bool) {
        let at = usize::from(session);
        let known = &mut self.links[at][link as usize];
        let has_credit =
            known.begun.is_some() || ahead(known.limit, known.delivery_count) > Some(0);
        if !has_credit || self.window[at] == 0 {
            return;
        }
        self.window[at] -= 1;
        self.next_outgoing[at] = self.next_outgoing[at].wrapping_add(1);
        let is_continuation = known.begun.is_some();
        let (id, before) = known.begun.unwrap_or_else(|| {
            known.delivery_count = known.delivery_count.wrapping_add(1);
            let id = self.next_delivery[at];
            self.next_delivery[at] = id.wrapping_add(1);
            (id, 0)
        });
        let total = before + length;
        known.begun = (!is_last).then_some((id, total));
        if is_last {
            let what = format!("delivered {session}-{link} {id}: {total} bytes, {total}");
            self.expected.push(what);
        }
        peer.transfer(&Sent {
            session,
            link,
            id,
            more: !is_last,
            is_continuation,
            payload: vec![1; length],
            ..Sent::default()
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_rules_allow_arrives_whole_and_in_order(acts in acts()) {
        let (mut client, mut peer) = attached(SESSIONS, LINKS, 0);
        let mut rules = Rules::new();
        for act in acts {
            match act {
                Act::Send { session, link, length, is_last } => {
                    rules.send(&mut peer, session, link, length, is_last);
                }
                Act::Grant { session, link, credit } => {
                    let granted = client.attached.iter().find(|id| {
                        id.session.index() == usize::from(session) && id.index() == link as usize
                    });
                    client.machine.grant(*granted.unwrap(), credit);
                }
                Act::Exchange => {
                    client.hear(&peer.bytes.split());
                    rules.hear(&client.sent);
                }
            }
        }
        client.hear(&peer.bytes);
        let delivered: Vec<&String> = client
            .story
            .iter()
            .filter(|what| !what.starts_with("opened") && !what.starts_with("begun") && !what.starts_with("attached"))
            .collect();
        prop_assert_eq!(delivered, rules.expected.iter().collect::<Vec<_>>());
    }
}
