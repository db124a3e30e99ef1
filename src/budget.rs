//! Bytes that several may hold together, and how much of them each may hold; pure.
//!
//! What is held is counted, not divided: one alone may hold all of it, one among idle others half of it, and those
//! who are busy get the same each, as soon as who held more before has given back. The sum stays within the whole,
//! but for the little that each may always hold, one event: whoever may hold nothing would stand still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// So many bytes, for all who share them.
#[derive(Debug)]
pub struct Budget {
    whole: usize,
    sharers: AtomicUsize,
    held: AtomicUsize,
}

/// The part of one sharer. Dropped, it leaves more to the others.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    most: usize,
}

/// Bytes that are held out of a share. Dropped, it gives them back.
#[derive(Debug)]
pub struct Hold {
    share: Arc<Share>,
    least: usize,
    held: AtomicUsize,
    /// True since there was no room for somebody who may wait for it.
    is_refused: AtomicBool,
}

impl Budget {
    /// A budget of so many bytes, which nobody shares yet.
    pub fn new(whole: usize) -> Arc<Self> {
        Arc::new(Self {
            whole,
            sharers: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
        })
    }

    /// The bytes that are held out of it now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// What each sharer is due when all want as much as they can get, in bytes.
    fn due(&self) -> usize {
        self.whole / self.sharers.load(Ordering::SeqCst).max(1)
    }
}

impl Share {
    /// One more sharer, who holds at most so many bytes.
    pub fn new(budget: &Arc<Budget>, most: usize) -> Arc<Self> {
        budget.sharers.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self {
            budget: Arc::clone(budget),
            most,
        })
    }

    /// What it may count on while nobody joins, in bytes.
    pub fn limit(&self) -> usize {
        self.most.min(self.budget.due())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.sharers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hold {
    /// Nothing yet; with fewer than `least` bytes there is always room for more, whatever others hold.
    pub fn new(share: Arc<Share>, least: usize) -> Self {
        Self {
            share,
            least,
            held: AtomicUsize::new(0),
            is_refused: AtomicBool::new(false),
        }
    }

    /// One that shares with nobody: room ends at so many bytes.
    pub fn alone(most: usize) -> Self {
        Self::new(Share::new(&Budget::new(most), most), most.min(1))
    }

    /// True when more may be held. Where it may not, the holder hears of it when it gives back enough: with so
    /// little that it never waits for others.
    pub fn has_room(&self) -> bool {
        if self.may_take() {
            return true;
        }
        self.is_refused.store(true, Ordering::SeqCst);
        // Whoever gave back in between has told nobody.
        self.may_take()
    }

    fn may_take(&self) -> bool {
        let held = self.held.load(Ordering::SeqCst);
        if held < self.least {
            return true;
        }
        let Share { budget, most } = &*self.share;
        let all = budget.held();
        // What nobody has a use for may be lent, but for a half: else whoever wakes up finds all of it gone.
        held < *most && all < budget.whole && (all < budget.whole / 2 || held < budget.due())
    }

    /// The bytes that are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// So many bytes more are held.
    pub fn take(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::SeqCst);
        self.share.budget.held.fetch_add(bytes, Ordering::SeqCst);
    }

    /// So many bytes are not held any more, or all where that is less. True when there is room and there was none
    /// when somebody asked.
    pub fn give_back(&self, bytes: usize) -> bool {
        let less = |held: usize| Some(held.saturating_sub(bytes));
        let before = self
            .held
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        let given = before.map_or(0, |before| before.min(bytes));
        self.share.budget.held.fetch_sub(given, Ordering::SeqCst);
        self.is_refused.load(Ordering::SeqCst)
            && self.may_take()
            && self.is_refused.swap(false, Ordering::SeqCst)
    }

    /// Nothing is held any more. True when there was no room
    /// when somebody asked.
    pub fn give_back_all(&self) -> bool {
        self.give_back(usize::MAX)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.give_back_all();
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// One of several, who may hold one event whatever the others hold.
    fn sharer(budget: &Arc<Budget>, most: usize) -> Hold {
        Hold::new(Share::new(budget, most), 1)
    }

    /// Takes events of this size until there is no room; returns what is held then.
    fn fill(hold: &Hold, size: usize) -> usize {
        while hold.has_room() {
            hold.take(size);
        }
        hold.held.load(Ordering::SeqCst)
    }

    #[test]
    fn one_alone_may_hold_all_and_no_more_than_its_most() {
        for (whole, most, expected) in [(1000, 400, 400), (1000, 5000, 1000), (0, 0, 10)] {
            assert_eq!(fill(&sharer(&Budget::new(whole), most), 10), expected);
        }
        assert_eq!(fill(&Hold::alone(100), 10), 100);
        assert!(!Hold::alone(0).has_room());
    }

    #[test]
    fn all_who_are_busy_get_what_they_are_due() {
        let budget = Budget::new(32 << 20);
        for (sharers, expected) in [(1, 8 << 20), (4, 8 << 20), (8, 4 << 20), (32, 1 << 20)] {
            let all: Vec<Hold> = (0..sharers).map(|_| sharer(&budget, 8 << 20)).collect();
            for hold in &all {
                assert_eq!(hold.share.limit(), expected, "{sharers}");
                // From their due on they take what is left below the half, of which the last find none.
                while hold.held.load(Ordering::SeqCst) < expected && hold.has_room() {
                    hold.take(1 << 16);
                }
            }
            for hold in &all {
                assert_eq!(hold.held.load(Ordering::SeqCst), expected, "{sharers}");
            }
        }
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn one_busy_among_idle_ones_may_hold_half_of_all() {
        let budget = Budget::new(1000);
        let _idle: Vec<Hold> = (0..99).map(|_| sharer(&budget, 1000)).collect();
        assert_eq!(fill(&sharer(&budget, 1000), 10), 500);
        assert_eq!(fill(&sharer(&budget, 300), 10), 300);
    }

    #[test]
    fn who_joins_later_gets_one_event_at_once_and_its_due_when_others_have_given_back() {
        let budget = Budget::new(1000);
        let first = sharer(&budget, 1000);
        assert_eq!(fill(&first, 10), 1000);
        let second = sharer(&budget, 1000);
        assert_eq!(fill(&second, 10), 10);
        first.give_back(600);
        assert_eq!(fill(&first, 10), 500, "half is due to the other");
        assert_eq!(fill(&second, 10), 500);
        drop(second);
        assert_eq!(fill(&first, 10), 1000);
    }

    #[test]
    fn giving_back_more_than_is_held_does_not_underflow() {
        let hold = Hold::alone(100);
        hold.take(10);
        hold.give_back(30);
        assert_eq!(hold.share.budget.held(), 0);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Join { most: usize },
        Leave(usize),
        Take(usize, usize),
        GiveBack(usize, usize),
    }

    /// The largest event.
    const EVENT: usize = 50;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => (0..2000_usize).prop_map(|most| Step::Join { most }),
            1 => any::<usize>().prop_map(Step::Leave),
            8 => (any::<usize>(), 0..=EVENT).prop_map(|(who, size)| Step::Take(who, size)),
            4 => (any::<usize>(), 0..200_usize).prop_map(|(who, size)| Step::GiveBack(who, size)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whoever_comes_and_goes_the_sum_stays_within_the_whole_but_for_one_event_each(
            whole in 0..2000_usize, steps in vec(step(), 0..500),
        ) {
            let budget = Budget::new(whole);
            let mut holds: Vec<Hold> = Vec::new();
            for step in steps {
                let count = holds.len().max(1);
                match step {
                    Step::Join { most } => holds.push(sharer(&budget, most)),
                    Step::Leave(who) if !holds.is_empty() => drop(holds.swap_remove(who % count)),
                    Step::Leave(_) => {}
                    Step::Take(who, size) => {
                        let hold = holds.get(who % count);
                        if let Some(hold) = hold.filter(|hold| hold.has_room()) {
                            hold.take(size);
                        }
                    }
                    Step::GiveBack(who, size) => {
                        if let Some(hold) = holds.get(who % count) {
                            let had_room = hold.has_room();
                            let is_told = hold.give_back(size);
                            prop_assert!(had_room || is_told == hold.has_room());
                        }
                    }
                }
                let each = holds.iter().map(|hold| hold.held.load(Ordering::SeqCst));
                prop_assert_eq!(budget.held(), each.sum::<usize>());
                prop_assert!(budget.held() <= whole + holds.len() * EVENT);
                let is_held = |hold: &Hold| hold.held.load(Ordering::SeqCst) > 0;
                prop_assert!(holds.iter().all(|hold| is_held(hold) || hold.has_room()));
                let due: usize = holds.iter().map(|hold| hold.share.limit()).sum();
                prop_assert!(due <= whole);
            }
        }
    }
}
