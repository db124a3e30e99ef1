//! The sending end of a link: for questions, which are small and few.
//!
//! Source: AMQP 1.0, sections 2.6.7 (flow control) and 2.6.12 (transferring a message).

use std::collections::VecDeque;

use super::serial;

/// The sending end of a link.
#[derive(Debug, Default)]
pub(super) struct Sending {
    credit: u32,
    delivery_count: u32,
    /// True where the peer wants each delivery to be settled by itself.
    pub is_unsettled: bool,
    waiting: VecDeque<Vec<u8>>,
    /// How much of the first that waits was sent.
    pub sent: usize,
}

/// So many messages wait for credit, at the most.
const WAITING: usize = 64;

impl Sending {
    /// Takes a message to be sent; false where too many wait.
    pub(super) fn push(&mut self, message: Vec<u8>) -> bool {
        let has_room = self.waiting.len() < WAITING;
        if has_room {
            self.waiting.push_back(message);
        }
        has_room
    }

    /// The peer grants credit, counted from `delivery_count`; it may be more than serial numbers compare.
    pub(super) fn flowed(&mut self, delivery_count: Option<u32>, credit: u32) {
        let seen = delivery_count.unwrap_or(0);
        let on_its_way = serial::ahead(self.delivery_count, seen).unwrap_or(0);
        self.credit = credit.saturating_sub(on_its_way);
    }

    /// Gives back the credit for which there is no message, as the peer wants.
    pub(super) fn drain(&mut self) {
        let left = self.credit.min(u32::from(self.sent > 0));
        self.delivery_count = self.delivery_count.wrapping_add(self.credit - left);
        self.credit = left;
    }

    /// What there is to be sent of the next message, and whether its first byte is among it.
    pub(super) fn next(&self) -> Option<&[u8]> {
        let message = self.waiting.front()?;
        let may_go = self.sent > 0 || self.credit > 0;
        may_go.then(|| &message[self.sent.min(message.len())..])
    }

    /// So many bytes more were sent; where that was all, the next message is next.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        if self
            .waiting
            .front()
            .is_some_and(|message| self.sent >= message.len())
        {
            self.waiting.pop_front();
            self.sent = 0;
            self.credit = self.credit.saturating_sub(1);
            self.delivery_count = self.delivery_count.wrapping_add(1);
        }
    }

    /// What to count from, for the peer.
    pub(super) fn delivery_count(&self) -> u32 {
        self.delivery_count
    }

    /// What may still be sent.
    pub(super) fn credit(&self) -> u32 {
        self.credit
    }
}
