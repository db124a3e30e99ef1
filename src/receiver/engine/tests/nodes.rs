//! Nodes that are asked: a peer whose windows are as large as they get, and one that takes its links away.

use fe2o3_amqp::types::performatives::Flow;
use fe2o3_amqp::types::primitives::Value;

use super::*;
use crate::receiver::engine::requests::NodeId;

/// The peer's handles of a node's links.
const QUESTIONS: u32 = 20;
const ANSWERS: u32 = 21;

/// A client that has attached a node, whose links the peer keeps.
fn attached_node() -> (Client, Peer, NodeId) {
    let mut client = Client::new(1, 0, 10);
    let mut peer = Peer::open(None);
    peer.begin(0);
    client.hear(&peer.bytes.split());
    let node = client
        .machine
        .attach_node(client.begun[0], "$node", "me")
        .unwrap();
    answer_attach(&mut peer, "me", QUESTIONS, ANSWERS);
    client.hear(&peer.bytes.split());
    assert_eq!(client.attached.len(), 2, "{:?}", client.story);
    client.sent.clear();
    (client, peer, node)
}

fn answer_attach(peer: &mut Peer, reply_to: &str, questions: u32, answers: u32) {
    for (end, handle, role) in [
        ("sender", questions, Role::Receiver),
        ("receiver", answers, Role::Sender),
    ] {
        let answer = Attach {
            name: format!("{reply_to}-{end}"),
            role,
            handle: handle.into(),
            initial_delivery_count: Some(0),
            ..attach(0, 0)
        };
        peer.put(PEER_CHANNEL, &answer);
    }
}

/// The peer has room for so many frames, and credit for so many questions.
fn allow(peer: &mut Peer, window: u32, credit: u32) {
    let flow = Flow {
        next_incoming_id: Some(0),
        incoming_window: window,
        next_outgoing_id: 0,
        outgoing_window: 10,
        handle: Some(QUESTIONS.into()),
        delivery_count: Some(0),
        link_credit: Some(credit),
        available: None,
        drain: false,
        echo: false,
        properties: None,
    };
    peer.put(PEER_CHANNEL, &flow);
}

fn detach(peer: &mut Peer, handle: u32) {
    let detach = Detach {
        handle: handle.into(),
        closed: true,
        error: Some(error("amqp:link:detach-forced")),
    };
    peer.put(PEER_CHANNEL, &detach);
}

fn count(client: &Client, code: u8) -> usize {
    let sent = frames(&client.sent);
    sent.iter().filter(|frame| frame.0 == code).count()
}

#[test]
fn whatever_room_and_credit_a_peer_has_questions_go_out() {
    for (window, credit, expected) in [
        (10, 10, 3),
        (2, 10, 2),
        (10, 1, 1),
        (0, 10, 0),
        (1 << 31, 10, 3),
        (u32::MAX, 10, 3),
        (10, 1 << 31, 3),
        (u32::MAX, u32::MAX, 3),
    ] {
        let (mut client, mut peer, node) = attached_node();
        allow(&mut peer, window, credit);
        client.hear(&peer.bytes.split());
        for _ in 0..3 {
            client.machine.ask(node, &[], Value::Null).unwrap();
        }
        // Said again, it counts from where it did.
        allow(&mut peer, window, credit);
        client.hear(&peer.bytes.split());
        assert_eq!(count(&client, 0x14), expected, "{window} {credit}");
    }
}

#[test]
fn credit_that_is_to_be_drained_is_given_back_and_said_so() {
    let (mut client, mut peer, node) = attached_node();
    client.machine.ask(node, &[], Value::Null).unwrap();
    let flow = |count, credit, drain| Flow {
        next_incoming_id: Some(0),
        incoming_window: 10,
        next_outgoing_id: 0,
        outgoing_window: 10,
        handle: Some(QUESTIONS.into()),
        delivery_count: Some(count),
        link_credit: Some(credit),
        available: None,
        drain,
        echo: false,
        properties: None,
    };
    peer.put(PEER_CHANNEL, &flow(0, 5, true));
    client.hear(&peer.bytes.split());
    // What waited is sent first.
    assert_eq!(count(&client, 0x14), 1);
    let answer = frames(&client.sent.split()).pop().unwrap();
    let answer: Flow = serde_amqp::from_slice(&answer.2).unwrap();
    assert_eq!(
        (answer.delivery_count, answer.link_credit),
        (Some(5), Some(0))
    );
    client.machine.ask(node, &[], Value::Null).unwrap();
    client.say();
    assert_eq!(count(&client, 0x14), 0);
    peer.put(PEER_CHANNEL, &flow(5, 1, false));
    client.hear(&peer.bytes.split());
    assert_eq!(count(&client, 0x14), 1);
}

#[test]
fn a_node_whose_links_the_peer_has_taken_away_takes_no_event_of_those_that_come_after() {
    for taken in [&[QUESTIONS, ANSWERS][..], &[ANSWERS], &[QUESTIONS]] {
        let (mut client, mut peer, node) = attached_node();
        taken.iter().for_each(|link| detach(&mut peer, *link));
        client.hear(&peer.bytes.split());
        assert!(client.machine.ask(node, &[], Value::Null).is_err());
        // What is left of the node is given up.
        assert_eq!(count(&client, 0x16), 2, "{taken:?}");
        for link in [QUESTIONS, ANSWERS] {
            if !taken.contains(&link) {
                detach(&mut peer, link);
            }
        }
        client.hear(&peer.bytes.split());
        client.attached.clear();
        for link in 0..2 {
            let session = client.begun[0];
            client.machine.attach(session, attach(0, link)).unwrap();
            peer.attach(0, link, true);
        }
        client.hear(&peer.bytes.split());
        for link in 0..2 {
            peer.transfer(&Sent {
                link,
                id: link,
                ..Sent::default()
            });
        }
        client.hear(&peer.bytes.split());
        let delivered = client
            .story
            .iter()
            .filter(|what| what.contains("delivered"));
        assert_eq!(delivered.count(), 2, "{:?}", client.story);
        // Nor does whoever gives it up take one of their links away.
        client.sent.clear();
        client.machine.detach_node(node);
        client.say();
        assert_eq!(count(&client, 0x16), 0);
    }
}

#[test]
fn a_node_of_a_session_that_is_over_is_over() {
    let (mut client, mut peer, node) = attached_node();
    peer.end(0, None);
    client.hear(&peer.bytes.split());
    assert!(client.machine.ask(node, &[], Value::Null).is_err());
    client.attached.clear();
    let session = client.machine.begin().unwrap();
    peer.begin(0);
    client.hear(&peer.bytes.split());
    for link in 0..2 {
        client.machine.attach(session, attach(0, link)).ok();
        peer.attach(0, link, true);
    }
    // Names of links are numbered by their session.
    client.hear(&peer.bytes.split());
    peer.transfer(&Sent {
        link: 1,
        ..Sent::default()
    });
    client.hear(&peer.bytes.split());
    assert!(client.happened_last("delivered 0-1"), "{:?}", client.story);
}
