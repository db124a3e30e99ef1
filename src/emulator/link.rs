//! The links of a session, seen from the hub: those it sends on and those it receives on.
//!
//! Implements AMQP 1.0 part 2, section 2.6 as far as the service uses it: what the hub sends is
//! pre-settled, what it receives is settled with its outcome, and no link is ever resumed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::hub::{LinkCount, Membership, Target};
use super::request::Service;

/// The largest message that is taken, in bytes.
pub(crate) const MAX_MESSAGE_SIZE: usize = 1_048_576;

/// The largest request that is answered, in bytes: parts of it come back in the response.
pub(crate) const MAX_REQUEST_SIZE: usize = 65_536;

/// How many deliveries a sender may have under way.
pub(crate) const SENDER_CREDIT: u32 = 1000;

/// How many responses wait for the peer's credit; with more the peer does not read.
const MAX_REPLIES: usize = 64;

/// One end of a link, under the handle that the peer chose.
#[derive(Debug)]
pub(crate) enum Link {
    /// The peer receives.
    Outgoing(Outgoing),
    /// The peer sends.
    Incoming(Incoming),
    /// Detached from here; what still comes for it is dropped until the peer has detached too.
    Closing,
}

impl Link {
    /// The path that needs a token, where the link is to the hub.
    pub(crate) fn resource(&self) -> Option<&str> {
        match self {
            Self::Outgoing(Outgoing {
                feed: Feed::Events(reading),
                ..
            }) => Some(&reading.path),
            Self::Incoming(Incoming {
                sink: Sink::Events { path, .. },
                ..
            }) => Some(path),
            _ => None,
        }
    }

    /// Which hub of this name it was attached to, where it is to the hub.
    pub(crate) fn generation(&self) -> Option<u64> {
        match self {
            Self::Outgoing(Outgoing {
                feed: Feed::Events(reading),
                ..
            }) => Some(reading.member.generation),
            Self::Incoming(Incoming {
                sink: Sink::Events { generation, .. },
                ..
            }) => Some(*generation),
            _ => None,
        }
    }

    /// True when the peer receives from a partition on it.
    pub(crate) fn receives_from(&self, partition: u16) -> bool {
        match self {
            Self::Outgoing(Outgoing {
                feed: Feed::Events(reading),
                ..
            }) => reading.member.partition() == partition,
            _ => false,
        }
    }
}

/// A link that the hub sends on.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) feed: Feed,
    pub(crate) delivery_count: u32,
    pub(crate) credit: u32,
    pub(crate) drain: bool,
    /// A delivery that the session window has cut in two.
    pub(crate) unfinished: Option<Unfinished>,
    _count: LinkCount,
}

/// What is sent on a link.
#[derive(Debug)]
pub(crate) enum Feed {
    /// The events of a partition.
    Events(Reading),
    /// The responses of a service.
    Replies(Replies),
}

/// A receiver's place in a partition.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) path: String,
    pub(crate) member: Membership,
    /// Whether each event tells how the partition stands.
    pub(crate) has_metrics: bool,
}

/// The responses that wait for credit.
#[derive(Debug)]
pub(crate) struct Replies {
    pub(crate) service: Service,
    /// The address that requests give as reply-to.
    pub(crate) address: Option<String>,
    queue: VecDeque<Vec<u8>>,
}

/// The rest of a delivery whose first frames are sent.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) delivery_id: u32,
    pub(crate) message: Vec<u8>,
    pub(crate) sent: usize,
}

impl Outgoing {
    pub(crate) fn new(feed: Feed, count: LinkCount) -> Self {
        Self {
            feed,
            delivery_count: 0,
            credit: 0,
            drain: false,
            unfinished: None,
            _count: count,
        }
    }

    /// Takes the peer's view of the credit: what it granted less what is on its way already.
    pub(crate) fn grant(&mut self, delivery_count: Option<u32>, credit: u32, drain: bool) {
        self.credit = left_of(credit, self.delivery_count, delivery_count.unwrap_or(0));
        self.drain = drain;
    }

    /// Counts a delivery.
    pub(crate) fn spend(&mut self) {
        self.credit -= 1;
        self.delivery_count = self.delivery_count.wrapping_add(1);
    }

    /// Gives back the credit for which there is nothing; true where the peer waits to hear so.
    pub(crate) fn drained(&mut self) -> bool {
        if !self.drain || self.unfinished.is_some() {
            return false;
        }
        self.delivery_count = self.delivery_count.wrapping_add(self.credit);
        self.credit = 0;
        std::mem::take(&mut self.drain)
    }
}

/// What is left of a grant when `sent` is the hub's count and `seen` the peer's, who has yet to see
/// the difference. The counts are serial numbers, which wrap around.
pub(crate) fn left_of(granted: u32, sent: u32, seen: u32) -> u32 {
    let under_way = sent.wrapping_sub(seen);
    match under_way {
        // A peer that claims to have seen more than was sent gets what it asks for.
        ahead if ahead > u32::MAX / 2 => granted,
        behind => granted.saturating_sub(behind),
    }
}

impl Replies {
    pub(crate) fn new(service: Service, address: Option<String>) -> Self {
        Self {
            service,
            address,
            queue: VecDeque::new(),
        }
    }

    /// Keeps a response until there is credit; false where too many wait.
    pub(crate) fn push(&mut self, message: Vec<u8>) -> bool {
        let has_room = self.queue.len() < MAX_REPLIES;
        if has_room {
            self.queue.push_back(message);
        }
        has_room
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// A link that the hub receives on.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) sink: Sink,
    pub(crate) delivery_count: u32,
    pub(crate) credit: u32,
    /// A delivery whose last frame has not come.
    pub(crate) partial: Option<Partial>,
    _count: LinkCount,
}

/// What becomes of the messages on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sink {
    /// They are events.
    Events {
        path: String,
        target: Target,
        /// That of the hub when the link was attached.
        generation: u64,
    },
    /// They are requests.
    Requests(Service),
}

/// A delivery, or the part of it that has come.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) delivery_id: u32,
    pub(crate) format: u32,
    pub(crate) is_settled: bool,
    /// The bytes, none of them once there are more than [`MAX_MESSAGE_SIZE`].
    pub(crate) bytes: Vec<u8>,
    /// How many bytes have come.
    pub(crate) size: u64,
    /// Counts `bytes`, together with those of the connection's other links.
    share: Share,
}

/// A part of the bytes that a connection holds in unfinished deliveries; given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Share {
    total: Arc<AtomicUsize>,
    held: usize,
}

impl Incoming {
    pub(crate) fn new(sink: Sink, delivery_count: u32, count: LinkCount) -> Self {
        Self {
            sink,
            delivery_count,
            credit: SENDER_CREDIT,
            partial: None,
            _count: count,
        }
    }

    /// Counts a delivery; true when it is time to grant credit again.
    pub(crate) fn count(&mut self) -> bool {
        self.delivery_count = self.delivery_count.wrapping_add(1);
        self.credit = self.credit.saturating_sub(1);
        let is_low = self.credit <= SENDER_CREDIT / 2;
        if is_low {
            self.credit = SENDER_CREDIT;
        }
        is_low
    }
}

impl Partial {
    pub(crate) fn new(
        delivery_id: u32,
        format: u32,
        is_settled: bool,
        total: &Arc<AtomicUsize>,
    ) -> Self {
        Self {
            delivery_id,
            format,
            is_settled,
            bytes: Vec::new(),
            size: 0,
            share: Share {
                total: Arc::clone(total),
                held: 0,
            },
        }
    }

    /// Adds the payload of a frame.
    pub(crate) fn extend(&mut self, payload: &[u8]) {
        self.size += payload.len() as u64;
        if self.is_too_large() {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(payload);
        }
        self.share.set(self.bytes.len());
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.size > MAX_MESSAGE_SIZE as u64
    }
}

impl Share {
    fn set(&mut self, held: usize) {
        self.total.fetch_add(held, Ordering::Relaxed);
        self.total.fetch_sub(self.held, Ordering::Relaxed);
        self.held = held;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::hub::tests::hub;

    fn outgoing(delivery_count: u32) -> Outgoing {
        let mut link = Outgoing::new(
            Feed::Replies(Replies::new(Service::Cbs, None)),
            hub().count_link(),
        );
        link.delivery_count = delivery_count;
        link
    }

    #[test]
    fn credit_is_what_the_peer_has_not_seen_used() {
        let check = |ours: u32, theirs: Option<u32>, credit: u32, expected: u32| {
            let mut link = outgoing(ours);
            link.grant(theirs, credit, false);
            assert_eq!(link.credit, expected, "{ours} {theirs:?} {credit}");
        };
        check(0, None, 300, 300);
        check(10, Some(10), 0, 0);
        check(10, Some(4), 8, 2);
        check(10, Some(4), 2, 0);
        check(2, Some(u32::MAX - 1), 10, 6);
        check(10, Some(8), u32::MAX, u32::MAX - 2);
    }

    #[test]
    fn a_drained_link_gives_its_credit_back_once() {
        let mut link = outgoing(5);
        link.grant(Some(5), 20, true);
        assert!(link.drained());
        assert_eq!((link.credit, link.delivery_count), (0, 25));
        assert!(!link.drained());
    }

    #[test]
    fn an_oversized_delivery_is_counted_but_not_kept() {
        let total = Arc::new(AtomicUsize::new(0));
        let mut partial = Partial::new(0, 0, false, &total);
        partial.extend(&[0; 65_536]);
        assert_eq!(total.load(Ordering::Relaxed), 65_536);
        for _ in 1..17 {
            partial.extend(&[0; 65_536]);
        }
        assert_eq!(total.load(Ordering::Relaxed), 0);
        assert!(partial.is_too_large());
        assert_eq!((partial.bytes.capacity(), partial.size), (0, 17 * 65_536));
    }

    #[test]
    fn responses_nobody_reads_do_not_pile_up() {
        let mut replies = Replies::new(Service::Cbs, None);
        assert_eq!(
            (0..1000).filter(|_| replies.push(Vec::new())).count(),
            MAX_REPLIES
        );
    }
}
