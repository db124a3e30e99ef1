//! What breaks others breaks neither us nor our neighbours.

use fe2o3_amqp::types::performatives::{Disposition, Flow};

use super::*;

#[test]
fn a_frame_shorter_than_its_head_ends_the_connection_and_says_so() {
    for size in 0..8_u8 {
        let (mut client, _) = attached(1, 1, 10);
        client.hear(&[0, 0, 0, size, 2, 0, 0, 0]);
        assert!(client.happened_last("closed: Fault"), "{:?}", client.story);
        assert!(client.story.last().unwrap().contains("framing-error"));
        let last = frames(&client.sent).pop().unwrap();
        assert_eq!(last.0, 0x18, "the peer is told by a close");
    }
}

#[test]
fn what_is_no_frame_ends_the_connection() {
    let check = |bytes: &[u8], expected: &str| {
        let (mut client, _) = attached(1, 1, 10);
        client.hear(bytes);
        assert!(client.happened_last("closed: "), "{:?}", client.story);
        let last = client.story.last().unwrap();
        assert!(last.contains(expected), "{last}");
    };
    check(&[0xff, 0, 0, 0, 2, 0, 0, 0], "larger than agreed");
    check(&[0, 0, 0, 9, 3, 0, 0, 0, 0], "contradict");
    check(&[0, 0, 0, 8, 1, 0, 0, 0], "contradict");
    check(&[0, 0, 0, 8, 2, 9, 0, 0], "type that does not exist");
    check(
        &[0, 0, 0, 12, 2, 0, 0, 0, 0, 0x53, 0x77, 0x45],
        "no performative",
    );
    check(&[0, 0, 0, 9, 2, 0, 0, 0, 0x53], "no descriptor");
    // A transfer on a channel and on a handle that nobody has begun.
    check(
        &[0, 0, 0, 16, 2, 0, 0, 99, 0, 0x53, 0x14, 0xc0, 3, 1, 0x52, 9],
        "without a session",
    );
}

#[test]
fn other_protocols_are_told_from_amqp() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n"[..],
        b"AMQP\x00\x00\x09\x01",
        b"\x15\x03\x01\0\x02\x02\x46\0",
    ] {
        let mut client = Client::new(1, 1, 10);
        client.hear(answer);
        assert_eq!(client.story, ["closed: NotAmqp"]);
    }
}

#[test]
fn a_peer_that_far_overdraws_its_credit_loses_the_link_and_its_neighbours_go_on() {
    let (mut client, mut peer) = attached(1, 2, 2);
    // A thousand are put up with.
    (0..1003).for_each(|id| {
        peer.transfer(&Sent {
            id,
            ..Sent::default()
        })
    });
    peer.transfer(&Sent {
        link: 1,
        id: 5,
        ..Sent::default()
    });
    client.hear(&peer.bytes.split());
    let tail = &client.story[client.story.len() - 3..];
    assert!(tail[0].starts_with("delivered 0-0 1001"), "{tail:?}");
    assert!(tail[1].starts_with("detached 0-0: Fault"), "{tail:?}");
    assert!(tail[1].contains("transfer-limit-exceeded"), "{tail:?}");
    assert!(tail[2].starts_with("delivered 0-1 5"), "{tail:?}");
    // What was on its way when we detached is passed over, and the peer's answer is no news.
    peer.transfer(&Sent {
        id: 6,
        ..Sent::default()
    });
    peer.detach(0, 0, None);
    peer.transfer(&Sent {
        link: 1,
        id: 7,
        ..Sent::default()
    });
    let before = client.story.len();
    client.hear(&peer.bytes.split());
    assert_eq!(client.story.len(), before + 1);
    assert!(client.happened_last("delivered 0-1 7"));
}

#[test]
fn detaching_with_events_on_their_way_leaves_the_neighbours_alone() {
    let (mut client, mut peer) = attached(1, 2, 100);
    client.machine.detach(client.attached[0]);
    for id in 0..50 {
        peer.transfer(&Sent {
            link: id % 2,
            id,
            ..Sent::default()
        });
    }
    peer.detach(0, 0, None);
    client.hear(&peer.bytes.split());
    let delivered = client
        .story
        .iter()
        .filter(|what| what.starts_with("delivered 0-1"));
    assert_eq!(delivered.count(), 25);
    assert!(
        !client
            .story
            .iter()
            .any(|what| what.starts_with("delivered 0-0"))
    );
    assert!(!client.story.iter().any(|what| what.starts_with("ended")));
    // Its place is free for another.
    let again = client
        .machine
        .attach(client.begun[0], attach(0, 9))
        .unwrap();
    assert_eq!(again.index(), 0);
}

#[test]
fn credit_is_never_lowered() {
    let (mut client, mut peer) = attached(1, 1, 50);
    let link = client.attached[0];
    client.sent.clear();
    client.machine.grant(link, 0);
    client.machine.grant(link, 49);
    client.say();
    assert_eq!(frames(&client.sent), [], "nothing to tell");
    for id in 0..50 {
        peer.transfer(&Sent {
            id,
            ..Sent::default()
        });
    }
    client.hear(&peer.bytes.split());
    let delivered = client
        .story
        .iter()
        .filter(|what| what.starts_with("delivered"));
    assert_eq!(delivered.count(), 50);
}

#[test]
fn what_came_before_an_end_is_delivered_before_it_is_told() {
    for ending in ["detach", "end", "close"] {
        let (mut client, mut peer) = attached(1, 1, 50);
        for id in 0..3 {
            peer.transfer(&Sent {
                id,
                ..Sent::default()
            });
        }
        match ending {
            "detach" => peer.detach(0, 0, Some("amqp:link:stolen")),
            "end" => peer.end(0, Some("amqp:link:stolen")),
            _ => peer.close(Some("amqp:link:stolen")),
        }
        client.hear(&peer.bytes.split());
        let tail = &client.story[client.story.len() - 4..];
        for (id, what) in tail[..3].iter().enumerate() {
            assert!(what.starts_with(&format!("delivered 0-0 {id}")), "{tail:?}");
        }
        assert!(
            tail[3].contains("amqp:link:stolen") && tail[3].contains("why"),
            "{tail:?}"
        );
        let answer = frames(&client.sent).pop().unwrap();
        assert!(
            [0x16, 0x17, 0x18].contains(&answer.0),
            "the peer is answered"
        );
    }
}

#[test]
fn a_refused_link_is_not_attached() {
    let mut client = Client::new(1, 1, 10);
    let mut peer = Peer::open(None);
    peer.begin(0);
    peer.attach(0, 0, false);
    peer.detach(0, 0, Some("amqp:not-found"));
    client.hear(&peer.bytes);
    assert!(client.attached.is_empty());
    assert!(
        client.happened_last("detached 0-0: Peer"),
        "{:?}",
        client.story
    );
}

#[test]
fn a_heartbeat_goes_out_at_half_of_what_the_peer_puts_up_with() {
    let mut client = Client::new(0, 0, 0);
    client.hear(&Peer::open(Some(10_000)).bytes);
    client.sent.clear();
    assert_eq!(
        client.machine.deadline(),
        Some(client.now + Duration::from_secs(5))
    );
    client.pass(Duration::from_millis(4_999));
    client.say();
    assert!(client.sent.is_empty());
    client.pass(Duration::from_millis(1));
    client.say();
    assert_eq!(client.sent[..], [0, 0, 0, 8, 2, 0, 0, 0]);
}

#[test]
fn a_peer_is_given_up_that_is_silent_at_any_time() {
    let mut stages = vec![Vec::new(), frame::SASL_HEADER.to_vec()];
    stages.push(Peer::open(None).bytes.to_vec());
    for heard in stages {
        let mut client = Client::new(0, 0, 0);
        client.hear(&heard);
        client.pass(Duration::from_millis(59_999));
        assert!(!client.happened_last("closed"));
        client.pass(Duration::from_millis(1));
        assert!(
            client.happened_last("closed: Silence"),
            "{:?}",
            client.story
        );
        assert!(client.machine.deadline().is_none() && client.machine.is_over());
    }
}

#[test]
fn a_silent_peer_is_not_waited_for_any_longer_after_a_close() {
    let (mut client, _) = attached(1, 1, 10);
    client.machine.close();
    client.say();
    client.pass(Duration::from_secs(60));
    assert!(client.happened_last("closed: Silence"));
}

#[test]
fn an_aborted_delivery_gives_its_credit_back_and_no_event() {
    let (mut client, mut peer) = attached(1, 1, 2);
    peer.transfer(&Sent {
        id: 0,
        more: true,
        payload: vec![1; 10],
        ..Sent::default()
    });
    peer.transfer(&Sent {
        is_continuation: true,
        aborted: true,
        ..Sent::default()
    });
    peer.transfer(&Sent {
        id: 1,
        payload: vec![2; 3],
        ..Sent::default()
    });
    client.hear(&peer.bytes.split());
    assert!(
        client.happened_last("delivered 0-0 1: 3 bytes, 6"),
        "{:?}",
        client.story
    );
    // The peer has used up its credit, and is told that it has one more after all.
    let flow = frames(&client.sent).pop().unwrap();
    let flow: Flow = serde_amqp::from_slice(&flow.2).unwrap();
    assert_eq!(
        (flow.delivery_count, flow.link_credit),
        (Some(u32::MAX), Some(2))
    );
}

#[test]
fn deliveries_that_are_aborted_without_end_use_up_no_credit() {
    let (mut client, mut peer) = attached(1, 1, 2);
    for id in 0..3000 {
        let begun = Sent {
            id,
            more: id % 2 == 0,
            aborted: id % 2 == 1,
            ..Sent::default()
        };
        peer.transfer(&begun);
        if begun.more {
            peer.transfer(&Sent {
                is_continuation: true,
                aborted: true,
                ..Sent::default()
            });
        }
        client.hear(&peer.bytes.split());
        let flow = frames(&client.sent.split()).pop().unwrap();
        let flow: Flow = serde_amqp::from_slice(&flow.2).unwrap();
        assert_eq!(flow.link_credit, Some(2), "{id}");
    }
    peer.transfer(&Sent {
        id: 3000,
        ..Sent::default()
    });
    client.hear(&peer.bytes.split());
    assert!(client.happened_last("delivered 0-0 3000"));
}

#[test]
fn a_message_larger_than_the_link_takes_is_refused_before_all_of_it_has_come() {
    let (mut client, mut peer) = attached(1, 1, 2);
    let piece = vec![0; 60_000];
    peer.transfer(&Sent {
        more: true,
        payload: piece.clone(),
        ..Sent::default()
    });
    peer.transfer(&Sent {
        more: true,
        is_continuation: true,
        payload: piece,
        ..Sent::default()
    });
    client.hear(&peer.bytes);
    assert!(
        client.happened_last("detached 0-0: Fault"),
        "{:?}",
        client.story
    );
    assert!(
        client
            .story
            .last()
            .unwrap()
            .contains("message-size-exceeded")
    );
}

#[test]
fn dispositions_of_deliveries_next_to_each_other_are_one() {
    let (mut client, mut peer) = attached(1, 1, 100);
    for id in [0, 1, 2, 5, 6] {
        peer.transfer(&Sent {
            id,
            unsettled: true,
            ..Sent::default()
        });
    }
    client.sent.clear();
    client.hear(&peer.bytes);
    let told: Vec<(u32, Option<u32>)> = frames(&client.sent)
        .into_iter()
        .filter(|frame| frame.0 == 0x15)
        .map(|frame| {
            let told: Disposition = serde_amqp::from_slice(&frame.2).unwrap();
            assert!(told.settled && told.role == Role::Receiver);
            (told.first, told.last)
        })
        .collect();
    assert_eq!(told, [(0, Some(2)), (5, Some(6))]);
}

#[test]
fn a_drain_is_over_when_the_peer_has_given_its_credit_back() {
    let (mut client, mut peer) = attached(1, 1, 10);
    peer.transfer(&Sent {
        id: 0,
        ..Sent::default()
    });
    client.hear(&peer.bytes.split());
    client.sent.clear();
    client.machine.drain(client.attached[0]);
    client.say();
    let flow: Flow = serde_amqp::from_slice(&frames(&client.sent)[0].2).unwrap();
    assert!(flow.drain);
    assert_eq!(
        (flow.delivery_count, flow.link_credit),
        (Some(u32::MAX), Some(9))
    );
    peer.put(
        PEER_CHANNEL,
        &Flow {
            handle: Some(PEER_HANDLE.into()),
            delivery_count: Some(8),
            link_credit: Some(0),
            drain: true,
            ..flow
        },
    );
    client.hear(&peer.bytes.split());
    assert!(client.happened_last("drained 0-0"));
    client.machine.grant(client.attached[0], 1);
    peer.transfer(&Sent {
        id: 1,
        ..Sent::default()
    });
    client.hear(&peer.bytes);
    assert!(client.happened_last("delivered 0-0 1"));
}

#[test]
fn a_peer_that_asks_without_end_and_does_not_read_is_not_answered_without_end() {
    let (mut client, mut peer) = attached(1, 1, 10);
    let flow = Flow {
        next_incoming_id: Some(0),
        incoming_window: 10,
        next_outgoing_id: 0,
        outgoing_window: 10,
        handle: None,
        delivery_count: None,
        link_credit: None,
        available: None,
        drain: false,
        echo: true,
        properties: None,
    };
    (0..100_000).for_each(|_| peer.put(PEER_CHANNEL, &flow));
    client.machine.incoming().extend_from_slice(&peer.bytes);
    assert!(client.machine.step().is_none());
    let waiting = client.machine.take_outgoing(client.now).len();
    assert!(waiting < 300 * 1024, "{waiting}");
    assert!(
        !client.machine.incoming().is_empty(),
        "the rest was not looked at"
    );
}

#[test]
fn handles_and_channels_beyond_what_was_agreed_are_refused() {
    let mut client = Client::new(1, 1, 10);
    let mut peer = Peer::open(None);
    peer.begin(0);
    peer.attach(0, 1021, true);
    client.hear(&peer.bytes);
    assert!(
        client.story.last().unwrap().contains("a handle is larger"),
        "{:?}",
        client.story
    );

    let mut client = Client::new(300, 0, 0);
    client.hear(&Peer::open(None).bytes);
    let begins = frames(&client.sent)
        .into_iter()
        .filter(|frame| frame.0 == 0x11);
    assert_eq!(
        begins.count(),
        100,
        "as many as the peer's channel-max allows"
    );
}

#[test]
fn the_window_of_a_session_is_renewed_before_it_is_used_up() {
    let (mut client, mut peer) = attached(1, 1, 1_000_000);
    for id in 0..20_000 {
        peer.transfer(&Sent {
            id,
            ..Sent::default()
        });
        if id % 1000 == 0 {
            client.hear(&peer.bytes.split());
        }
    }
    client.hear(&peer.bytes);
    let delivered = client
        .story
        .iter()
        .filter(|what| what.starts_with("delivered"));
    assert_eq!(delivered.count(), 20_000);
    let flows = frames(&client.sent)
        .into_iter()
        .filter(|frame| frame.0 == 0x13);
    assert!((8..12).contains(&(flows.count())));
}

#[test]
fn what_has_come_in_part_is_bounded_for_all_links_together() {
    let (mut client, mut peer) = attached(1, 800, 1);
    for link in 0..800 {
        peer.transfer(&part(link));
        client.hear(&peer.bytes.split());
    }
    let last = client.story.last().unwrap();
    assert!(last.starts_with("closed: Fault"), "{last}");
    assert!(last.contains("have come in part"), "{last}");
}

#[test]
fn what_has_come_in_part_and_is_given_up_does_not_count() {
    for ending in ["abort", "detach", "end"] {
        let (mut client, mut peer) = attached(1, 1, 1);
        // Together far more than may have come in part.
        for _ in 0..1000 {
            peer.transfer(&part(0));
            match ending {
                "abort" => peer.transfer(&Sent {
                    is_continuation: true,
                    aborted: true,
                    ..part(0)
                }),
                "detach" => peer.detach(0, 0, None),
                _ => peer.end(0, None),
            }
            client.hear(&peer.bytes.split());
            match ending {
                "abort" => client.machine.grant(client.attached[0], 1),
                "detach" => drop(
                    client
                        .machine
                        .attach(client.begun[0], attach(0, 0))
                        .unwrap(),
                ),
                _ => {
                    client.begun.clear();
                    client.machine.begin().unwrap();
                    peer.begin(0);
                }
            }
            if ending != "abort" {
                peer.attach(0, 0, true);
                client.hear(&peer.bytes.split());
                assert!(
                    client.happened_last("attached"),
                    "{:?}",
                    client.story.last()
                );
            }
        }
        peer.transfer(&Sent::default());
        client.hear(&peer.bytes);
        assert!(
            client.happened_last("delivered"),
            "{:?}",
            client.story.last()
        );
    }
}

/// The first 90 kB of a message.
fn part(link: u32) -> Sent {
    Sent {
        link,
        more: true,
        payload: vec![0; 90_000],
        ..Sent::default()
    }
}

#[test]
fn what_was_accepted_is_told_before_goodbye() {
    for (goodbye, code) in [("detach", 0x16), ("end", 0x17), ("close", 0x18)] {
        let (mut client, mut peer) = attached(1, 1, 10);
        peer.transfer(&Sent {
            unsettled: true,
            ..Sent::default()
        });
        client.machine.incoming().extend_from_slice(&peer.bytes);
        let happening = client.machine.step().unwrap();
        client.happened(happening);
        client.sent.clear();
        match goodbye {
            "detach" => client.machine.detach(client.attached[0]),
            "end" => client.machine.end(client.begun[0]),
            _ => client.machine.close(),
        }
        client.say();
        let codes: Vec<u8> = frames(&client.sent).iter().map(|frame| frame.0).collect();
        assert_eq!(codes, [0x15, code], "{goodbye}");
    }
}
