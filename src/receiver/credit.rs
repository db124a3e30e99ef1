//! How many events the service may send ahead: bounded in number and in bytes.
//!
//! Source: flow control of AMQP 1.0, section 2.6.7. Credit is only ever raised: lowering it makes
//! events in flight exceed it.

use std::sync::Arc;

use crate::budget::Share;

/// What one link may send ahead of its reader.
#[derive(Debug)]
pub(crate) struct Credit {
    max_events: u64,
    /// How many bytes: fewer as soon as more partitions are read, but for what was granted before.
    share: Arc<Share>,
    /// The size to reckon with: the largest of late, fading.
    event_size: usize,
    taken: u64,
    granted: u64,
}

/// What an event is reckoned to weigh before one came: Dataverse's own limit.
const FIRST_EVENT_SIZE: usize = 256 * 1024;
/// A large event is half forgotten after some ninety smaller ones.
const FADING: usize = 128;

impl Credit {
    /// No more than `max_events` or the bytes of the share ahead, and at least one event.
    pub(crate) fn new(max_events: u32, share: Arc<Share>) -> Self {
        Self {
            max_events: u64::from(max_events.max(1)),
            share,
            event_size: FIRST_EVENT_SIZE,
            taken: 0,
            granted: 0,
        }
    }

    /// The same for the next link, which remembers how large events have been.
    pub(crate) fn renewed(&self) -> Self {
        Self {
            taken: 0,
            granted: 0,
            share: Arc::clone(&self.share),
            ..*self
        }
    }

    /// The reader took an event of this size in bytes.
    pub(crate) fn take(&mut self, size: usize) {
        self.taken += 1;
        self.event_size = size.max(self.event_size - self.event_size / FADING).max(1);
    }

    /// The link's new credit, where it is time to grant more; then call [`Self::grant`].
    pub(crate) fn due(&self) -> Option<u32> {
        let ahead = self.granted.saturating_sub(self.taken);
        // However much may be sent, that is enough: asked for each event, it answers nearly each without reckoning.
        if ahead > self.max_events / 2 {
            return None;
        }
        let affordable = (self.share.limit() / self.event_size) as u64;
        let window = affordable.clamp(1, self.max_events);
        // Half a window at a time, for one flow frame an event would cost more than the event.
        (ahead <= window / 2 && ahead < window).then_some(window as u32)
    }

    /// The link was granted this credit.
    pub(crate) fn grant(&mut self, credit: u32) {
        self.granted = self.granted.max(self.taken + u64::from(credit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    /// Of a partition that is read alone.
    fn credit(max_events: u32, max_bytes: usize) -> Credit {
        let budget = Budget::new(usize::MAX);
        Credit::new(max_events, Share::new(&budget, max_bytes))
    }

    /// Takes `count` events of `size` bytes; returns the largest number that was ever ahead.
    fn run(credit: &mut Credit, count: usize, size: usize) -> u64 {
        let mut most = 0;
        for _ in 0..count {
            if let Some(more) = credit.due() {
                let before = credit.granted;
                credit.grant(more);
                assert!(credit.granted >= before, "credit was lowered");
            }
            most = most.max(credit.granted - credit.taken);
            assert!(credit.granted > credit.taken, "the link would stand still");
            credit.take(size);
        }
        most
    }

    #[test]
    fn the_first_credit_reckons_with_large_events() {
        assert_eq!(credit(300, 8 << 20).due(), Some(32));
        assert_eq!(credit(10, 8 << 20).due(), Some(10));
    }

    #[test]
    fn small_events_reach_the_limit_in_number() {
        let mut credit = credit(300, 8 << 20);
        assert_eq!(run(&mut credit, 5_000, 1_000), 300);
    }

    #[test]
    fn large_events_stay_within_the_bytes() {
        let mut credit = credit(300, 8 << 20);
        run(&mut credit, 5_000, 1_000);
        run(&mut credit, 300, 1 << 20);
        assert_eq!(run(&mut credit, 100, 1 << 20), 8);
    }

    #[test]
    fn an_event_larger_than_the_bytes_still_comes() {
        assert_eq!(run(&mut credit(300, 1_000), 100, 1 << 20), 1);
        assert_eq!(run(&mut credit(0, 0), 10, 0), 1);
    }

    #[test]
    fn a_renewed_credit_starts_at_nothing_but_remembers_the_size() {
        let mut credit = credit(300, 8 << 20);
        run(&mut credit, 5_000, 1_000);
        assert_eq!(credit.renewed().due(), Some(300));
    }

    #[test]
    fn a_partition_that_joins_leaves_the_others_less_from_then_on() {
        let budget = Budget::new(8 << 20);
        let share = || Share::new(&budget, 8 << 20);
        let mut credit = Credit::new(300, share());
        run(&mut credit, 100, 1 << 20);
        assert_eq!(run(&mut credit, 300, 1 << 20), 8);
        let another = share();
        run(&mut credit, 8, 1 << 20);
        assert_eq!(run(&mut credit, 300, 1 << 20), 4);
        drop(another);
        assert_eq!(run(&mut credit, 300, 1 << 20), 8);
    }

    #[test]
    fn flows_are_rare() {
        let mut credit = credit(300, 8 << 20);
        run(&mut credit, 1_000, 1_000);
        let flows = (0..3_000)
            .filter(|_| {
                let due = credit.due();
                due.into_iter().for_each(|more| credit.grant(more));
                credit.take(1_000);
                due.is_some()
            })
            .count();
        assert!((15..=25).contains(&flows), "{flows}");
    }
}
