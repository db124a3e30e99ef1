//! Recorded streams: however they are cut into pieces, and whatever is changed in them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Two sessions with three links each, whose events come in turns, whole and in pieces, and every way to end.
fn recorded() -> Vec<u8> {
    let mut peer = Peer::open(Some(1000));
    for session in 0..2 {
        peer.begin(session);
        (0..3).for_each(|link| peer.attach(session, link, true));
    }
    for round in 0..2_u32 {
        for session in 0..2_u16 {
            for link in 0..3_u32 {
                let id = (u32::MAX - 2).wrapping_add(round * 3 + link);
                let is_split = (round + link).is_multiple_of(2);
                let sent = Sent {
                    session,
                    link,
                    id,
                    more: is_split,
                    unsettled: link == 1,
                    payload: vec![link as u8; 10 + 7 * round as usize],
                    ..Sent::default()
                };
                peer.transfer(&sent);
                frame::put_empty(&mut peer.bytes);
                if is_split {
                    // Another link goes on in between.
                    let rest = Sent {
                        more: false,
                        is_continuation: true,
                        aborted: round == 1,
                        ..sent
                    };
                    peer.transfer(&rest);
                }
            }
        }
    }
    peer.detach(0, 0, Some("amqp:link:stolen"));
    peer.end(1, None);
    peer.close(Some("amqp:connection:forced"));
    peer.bytes.to_vec()
}

fn story(pieces: &[&[u8]]) -> Vec<String> {
    let mut client = Client::new(2, 3, 100);
    pieces.iter().for_each(|piece| client.hear(piece));
    client.story
}

#[test]
fn a_recorded_stream_tells_its_story() {
    let recorded = recorded();
    let story = story(&[&recorded]);
    let count = |beginning: &str| {
        story
            .iter()
            .filter(|what| what.starts_with(beginning))
            .count()
    };
    assert_eq!(
        (count("opened"), count("begun"), count("attached")),
        (1, 2, 6)
    );
    // One of three in the last round was split, and aborted, in each of the sessions.
    assert_eq!(count("delivered"), 12 - 2);
    assert_eq!(
        (count("detached"), count("ended"), count("closed: Peer")),
        (1, 1, 1)
    );
}

#[test]
fn a_stream_that_comes_byte_by_byte_is_the_same() {
    let recorded = recorded();
    let bytes: Vec<&[u8]> = recorded.chunks(1).collect();
    assert_eq!(story(&bytes), story(&[&recorded]));
}

#[test]
fn a_stream_that_ends_anywhere_is_the_beginning_of_the_story() {
    let recorded = recorded();
    let whole = story(&[&recorded]);
    for end in 0..recorded.len() {
        let begun = story(&[&recorded[..end]]);
        assert_eq!(begun[..], whole[..begun.len()], "{end}");
    }
}

#[test]
fn no_change_of_one_byte_breaks_anything() {
    let recorded = recorded();
    let mut changed = recorded.clone();
    for at in 0..recorded.len() {
        for byte in [
            recorded[at] ^ 1,
            recorded[at] ^ 0x80,
            0x00,
            0x40,
            0x45,
            0xd0,
            0xff,
        ] {
            changed[at] = byte;
            let mut client = Client::new(2, 3, 100);
            client.hear(&changed);
            assert!(client.sent.len() < 100_000, "{at}");
            assert!(client.story.len() < 100, "{at}");
            assert!(client.machine.incoming().len() <= changed.len(), "{at}");
        }
        changed[at] = recorded[at];
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_splitting_of_a_stream_gives_the_same_story(sizes in vec(1..300_usize, 1..200)) {
        let recorded = recorded();
        let mut rest = &recorded[..];
        let mut pieces = Vec::new();
        for size in sizes {
            let (piece, more) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        pieces.push(rest);
        prop_assert_eq!(story(&pieces), story(&[&recorded]));
    }

    #[test]
    fn noise_ends_a_connection_and_does_nothing_else(noise in vec(any::<u8>(), 1..2000)) {
        let (mut client, _) = attached(1, 1, 10);
        client.hear(&noise);
        prop_assert!(client.sent.len() < 100_000);
    }
}
