//! How often the other side wants to hear from us: the crate keeps what the peer's open frame says to
//! itself, and waits it out to the last moment, so it is overheard on its way in.
//!
//! Source: AMQP 1.0, sections 2.2 (version negotiation), 2.3 (framing) and 2.4.5 (idle time-out).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fe2o3_amqp::types::performatives::Open;

/// We say something at least this often, whatever the peer puts up with.
const LONGEST: Duration = Duration::from_secs(20);
/// And no more often than this, whatever it asks for.
const SHORTEST: Duration = Duration::from_millis(500);
/// An open frame that does not begin within so many bytes is not looked for any longer.
const MAX_HEARD: usize = 16 * 1024;
/// Every frame, and every protocol header, begins with so many bytes.
const HEAD: usize = 8;

/// The peer's idle time-out in milliseconds, 0 until it has named one.
#[derive(Debug, Clone, Default)]
pub(super) struct PeerIdle(Arc<AtomicU32>);

impl PeerIdle {
    /// How often to say something: three times in what the peer puts up with.
    pub(super) fn heartbeat(&self) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            0 => LONGEST,
            millis => Duration::from_millis(u64::from(millis) / 3).clamp(SHORTEST, LONGEST),
        }
    }
}

/// Listens to what comes in until the peer's open frame has come.
#[derive(Debug)]
pub(super) struct Listener {
    heard: Option<Vec<u8>>,
    idle: PeerIdle,
}

impl Listener {
    /// Listens from the first byte on, and tells what it hears by the first of the pair.
    pub(super) fn new() -> (PeerIdle, Self) {
        let idle = PeerIdle::default();
        let heard = Some(Vec::new());
        (idle.clone(), Self { heard, idle })
    }

    /// Takes in the bytes that came next.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let Some(heard) = &mut self.heard else { return };
        heard.extend_from_slice(&bytes[..bytes.len().min(MAX_HEARD - heard.len())]);
        match find_open(heard) {
            Search::Found(millis) => {
                self.idle.0.store(millis, Ordering::Relaxed);
                self.heard = None;
            }
            Search::GoOn if heard.len() < MAX_HEARD => {}
            Search::GoOn | Search::GiveUp => self.heard = None,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Search {
    Found(u32),
    GoOn,
    GiveUp,
}

/// Steps over protocol headers and SASL frames to the open frame, which is the first of AMQP's own.
fn find_open(mut bytes: &[u8]) -> Search {
    while let Some((head, rest)) = bytes.split_at_checked(HEAD) {
        if head.starts_with(b"AMQP") {
            bytes = rest;
            continue;
        }
        let [a, b, c, d, offset, kind, ..] = *head else {
            return Search::GiveUp;
        };
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        let body = usize::from(offset) * 4;
        if size < HEAD || body < HEAD || body > size {
            return Search::GiveUp;
        }
        let Some((frame, rest)) = bytes.split_at_checked(size) else {
            return Search::GoOn;
        };
        if kind == 0 {
            return serde_amqp::from_slice::<Open>(&frame[body..]).map_or(Search::GiveUp, |open| {
                Search::Found(open.idle_time_out.unwrap_or(0))
            });
        }
        bytes = rest;
    }
    Search::GoOn
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::performatives::Open;

    use super::*;

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEAD + body.len()).unwrap();
        [&size.to_be_bytes()[..], &[2, kind, 0, 0], body].concat()
    }

    /// What a peer says up to its open frame, and a little beyond.
    fn opening(idle_time_out: Option<u32>) -> Vec<u8> {
        let open = Open {
            container_id: "peer".to_owned(),
            hostname: None,
            max_frame_size: 65_536.into(),
            channel_max: 255.into(),
            idle_time_out,
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        [
            b"AMQP\x03\x01\x00\x00".to_vec(),
            frame(1, &[0x00, 0x53, 0x40]),
            b"AMQP\x00\x01\x00\x00".to_vec(),
            frame(0, &serde_amqp::to_vec(&open).unwrap()),
            frame(0, &[]),
        ]
        .concat()
    }

    fn heartbeat_after(bytes: &[u8], piece: usize) -> Duration {
        let (idle, mut listener) = Listener::new();
        bytes.chunks(piece).for_each(|piece| listener.hear(piece));
        idle.heartbeat()
    }

    #[test]
    fn a_third_of_the_peers_idle_time_out_is_heard_however_it_is_cut() {
        for piece in [1, 7, 4096] {
            let heartbeat = heartbeat_after(&opening(Some(6_000)), piece);
            assert_eq!(heartbeat, Duration::from_secs(2), "{piece}");
        }
    }

    #[test]
    fn a_peer_that_names_no_time_out_or_an_odd_one_gets_a_bounded_heartbeat() {
        assert_eq!(heartbeat_after(&opening(None), 4096), LONGEST);
        assert_eq!(heartbeat_after(&opening(Some(u32::MAX)), 4096), LONGEST);
        assert_eq!(heartbeat_after(&opening(Some(1)), 4096), SHORTEST);
    }

    #[test]
    fn what_is_no_amqp_is_passed_on_unheard() {
        assert_eq!(heartbeat_after(&[0; 100], 4096), LONGEST);
        assert_eq!(heartbeat_after(&[0xff; 100_000], 4096), LONGEST);
        assert_eq!(heartbeat_after(&frame(0, &[0xff; 20]), 4096), LONGEST);
    }
}
