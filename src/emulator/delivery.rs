//! Sends what waits on a link, as far as credit, session window and the output buffer allow.
//!
//! Implements AMQP 1.0 part 2, section 2.6.12 (transferring messages), for pre-settled deliveries.

use super::encode::{Encoder, code};
use super::link::{Feed, Outgoing, Unfinished};
use super::log::{Log, Snapshot};
use super::performative::Transfer;
use super::scope::Scope;

/// How much may wait to be written to the socket before no more events are added, in bytes.
pub(crate) const OUTPUT_TARGET: usize = 256 * 1024;

/// How many deliveries a link sends before the next link has its turn.
const BURST: usize = 32;

/// The session's counters, which every frame moves, and the names it is sent under.
#[derive(Debug)]
pub(crate) struct Channel<'a> {
    pub(crate) channel: u16,
    pub(crate) handle: u32,
    pub(crate) next_outgoing_id: &'a mut u32,
    pub(crate) next_delivery_id: &'a mut u32,
    /// How many frames the peer still takes.
    pub(crate) window: &'a mut u32,
}

/// What [`send`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) has_sent: bool,
    /// Nothing waits any more.
    pub(crate) is_exhausted: bool,
}

/// Sends at most [`BURST`] deliveries.
pub(crate) fn send(
    link: &mut Outgoing,
    channel: &mut Channel<'_>,
    log: &Log,
    scope: &mut Scope,
) -> Progress {
    let before = *channel.next_outgoing_id;
    if let Some(unfinished) = link.unfinished.take() {
        let Unfinished {
            delivery_id,
            message,
            sent,
        } = unfinished;
        link.unfinished = channel.continue_delivery(delivery_id, &message, sent, scope);
    }
    let is_exhausted = match link.feed {
        Feed::Events(_) => send_events(link, channel, log, scope),
        Feed::Replies(_) => send_replies(link, channel, scope),
    };
    Progress {
        has_sent: *channel.next_outgoing_id != before,
        is_exhausted,
    }
}

fn send_events(
    link: &mut Outgoing,
    channel: &mut Channel<'_>,
    log: &Log,
    scope: &mut Scope,
) -> bool {
    let Feed::Events(reading) = &mut link.feed else {
        return false;
    };
    if reading.member.generation != scope.hub().generation() {
        return false;
    }
    let partition = reading.member.partition();
    let metrics = reading
        .has_metrics
        .then(|| delivery_annotations(&log.snapshot(partition), scope.now));
    let (mut next, mut is_exhausted) = (reading.member.next, true);
    for (at, read) in log.read(partition, next).enumerate() {
        if at == BURST || !has_room(link, channel, scope) {
            is_exhausted = false;
            break;
        }
        next = read.sequence_number + 1;
        let before = scope.out.0.len();
        match &metrics {
            None => channel.deliver(link, &read.message.bytes, scope),
            Some(metrics) => {
                let message = read.message.with_delivery_annotations(metrics);
                channel.deliver(link, &message, scope);
            }
        }
        scope.cut.strike(partition, before, &scope.out.0);
    }
    if let Feed::Events(reading) = &mut link.feed {
        reading.member.next = next;
    }
    is_exhausted
}

fn send_replies(link: &mut Outgoing, channel: &mut Channel<'_>, scope: &mut Scope) -> bool {
    while has_room(link, channel, scope) {
        let Feed::Replies(replies) = &mut link.feed else {
            return false;
        };
        let Some(message) = replies.pop() else {
            return true;
        };
        channel.deliver(link, &message, scope);
    }
    matches!(&link.feed, Feed::Replies(replies) if replies.is_empty())
}

fn has_room(link: &Outgoing, channel: &Channel<'_>, scope: &Scope) -> bool {
    link.credit > 0
        && link.unfinished.is_none()
        && *channel.window > 0
        && scope.out.0.len() < OUTPUT_TARGET
}

impl Channel<'_> {
    /// Begins a delivery, and ends it where the window allows.
    fn deliver(&mut self, link: &mut Outgoing, message: &[u8], scope: &mut Scope) {
        let delivery_id = *self.next_delivery_id;
        *self.next_delivery_id = delivery_id.wrapping_add(1);
        link.spend();
        link.unfinished = self.continue_delivery(delivery_id, message, 0, scope);
    }

    /// Writes frames from `sent` on, and gives what the window left over.
    fn continue_delivery(
        &mut self,
        delivery_id: u32,
        message: &[u8],
        mut sent: usize,
        scope: &mut Scope,
    ) -> Option<Unfinished> {
        let room = scope.max_frame - Transfer::OVERHEAD;
        loop {
            if *self.window == 0 {
                return Some(Unfinished {
                    delivery_id,
                    message: message.to_vec(),
                    sent,
                });
            }
            let end = message.len().min(sent + room);
            let transfer = Transfer {
                channel: self.channel,
                handle: self.handle,
                delivery_id,
                more: end < message.len(),
            };
            transfer.write(&message[sent..end], &mut scope.out);
            *self.window -= 1;
            *self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
            sent = end;
            if !transfer.more {
                return None;
            }
        }
    }
}

/// How the partition stands, for receivers that track its last event.
fn delivery_annotations(snapshot: &Snapshot, now: i64) -> Vec<u8> {
    let mut out = Encoder::default();
    out.descriptor(code::DELIVERY_ANNOTATIONS);
    out.map(4, |map| {
        map.symbol("last_enqueued_sequence_number");
        map.long(snapshot.last_sequence_number);
        map.symbol("last_enqueued_offset");
        map.string(&snapshot.last_offset);
        map.symbol("last_enqueued_time_utc");
        map.timestamp(snapshot.last_enqueued);
        map.symbol("runtime_info_retrieval_time_utc");
        map.timestamp(now);
    });
    out.0
}
