//! Which messages may be delivered now, and which must wait for an earlier one; pure.
//!
//! A message has one key or several: those of its partition or of its rows. Messages that share a key are
//! taken in the order in which they came, never two of them by two batches at the same time. A batch may
//! take several in a row.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

/// What orders messages. Two things with one key by accident wait for one another, which is harmless.
pub(super) type Key = u64;

/// Messages in line.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    items: HashMap<Id, Item<T>>,
    lanes: HashMap<Key, Lane>,
    /// Items that wait for nothing, in the order in which they came to that.
    ready: VecDeque<Id>,
    next_id: Id,
    next_batch: u64,
}

type Id = u64;

#[derive(Debug)]
struct Item<T> {
    value: T,
    keys: Vec<Key>,
}

/// The items of one key that are not taken yet, and the batch that has taken those before them.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Id>,
    holder: Option<u64>,
}

/// The lanes that a batch holds until it is done.
#[derive(Debug)]
pub(super) struct Held {
    batch: u64,
    keys: HashSet<Key>,
}

impl Held {
    /// The lanes of all but these `keys`, to be released by themselves; this keeps those.
    pub(super) fn split_off(&mut self, keys: &HashSet<Key>) -> Self {
        let (kept, split) = self.keys.drain().partition(|key| keys.contains(key));
        self.keys = kept;
        Self {
            batch: self.batch,
            keys: split,
        }
    }
}

impl<T> Lanes<T> {
    pub(super) fn new() -> Self {
        Self {
            items: HashMap::new(),
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            next_id: 0,
            next_batch: 0,
        }
    }

    /// Everything that waits, in the order in which it came.
    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        let mut items: Vec<(Id, Item<T>)> = self.items.into_iter().collect();
        items.sort_unstable_by_key(|(id, _)| *id);
        items.into_iter().map(|(_, item)| item.value)
    }

    /// How many wait, ready or not.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The one that would be taken next.
    pub(super) fn next(&self) -> Option<&T> {
        let id = self.ready.front()?;
        self.items.get(id).map(|item| &item.value)
    }

    /// Puts an item in line behind all those with one of its `keys`. Without a key it waits for nothing.
    pub(super) fn push(&mut self, mut keys: Vec<Key>, value: T) {
        keys.sort_unstable();
        keys.dedup();
        let id = self.next_id;
        self.next_id += 1;
        for key in &keys {
            self.lanes.entry(*key).or_default().waiting.push_back(id);
        }
        let item = Item { value, keys };
        if self.is_ready(id, &item.keys, None) {
            self.ready.push_back(id);
        }
        self.items.insert(id, item);
    }

    /// Takes the next batch: as many items as `fits` lets in, at least one. None where nothing is ready.
    pub(super) fn take(&mut self, mut fits: impl FnMut(&T) -> bool) -> Option<(Vec<T>, Held)> {
        let batch = self.next_batch;
        let mut held = Held {
            batch,
            keys: HashSet::new(),
        };
        let mut taken = Vec::new();
        // What follows in a lane of the batch goes first: it would wait for the batch otherwise.
        let mut following = VecDeque::new();
        while let Some(id) = following.front().or_else(|| self.ready.front()).copied() {
            let Some(item) = self.items.get(&id) else {
                break;
            };
            if !fits(&item.value) && !taken.is_empty() {
                break;
            }
            if following.pop_front().is_none() {
                self.ready.pop_front();
            }
            let Some(item) = self.items.remove(&id) else {
                break;
            };
            self.hold(&item.keys, batch, &mut following);
            held.keys.extend(item.keys);
            taken.push(item.value);
        }
        if taken.is_empty() {
            return None;
        }
        self.next_batch += 1;
        Some((taken, held))
    }

    /// Frees the lanes of a batch: everything in it is settled.
    pub(super) fn release(&mut self, held: Held) {
        for key in &held.keys {
            if let Some(lane) = self.lanes.get_mut(key) {
                debug_assert_eq!(lane.holder, Some(held.batch), "a lane has one holder");
                lane.holder = None;
            }
        }
        let mut freed = BTreeSet::new();
        for key in held.keys {
            match self
                .lanes
                .get(&key)
                .map(|lane| lane.waiting.front().copied())
            {
                Some(Some(id)) => drop(freed.insert(id)),
                Some(None) => drop(self.lanes.remove(&key)),
                None => {}
            }
        }
        let is_ready = |id: &Id| {
            let item = self.items.get(id);
            item.is_some_and(|item| self.is_ready(*id, &item.keys, None))
        };
        let ready: Vec<Id> = freed.into_iter().filter(is_ready).collect();
        self.ready.extend(ready);
    }

    /// Lets `batch` hold the lanes of an item that it has taken, and names those that can follow it.
    fn hold(&mut self, keys: &[Key], batch: u64, following: &mut VecDeque<Id>) {
        for key in keys {
            if let Some(lane) = self.lanes.get_mut(key) {
                lane.waiting.pop_front();
                lane.holder = Some(batch);
            }
        }
        for key in keys {
            let next = self
                .lanes
                .get(key)
                .and_then(|lane| lane.waiting.front().copied());
            let Some(id) = next.filter(|id| !following.contains(id)) else {
                continue;
            };
            let Some(item) = self.items.get(&id) else {
                continue;
            };
            if self.is_ready(id, &item.keys, Some(batch)) {
                following.push_back(id);
            }
        }
    }

    /// True when an item is the first of each of its lanes, and nobody but `batch` holds one of them.
    fn is_ready(&self, id: Id, keys: &[Key], batch: Option<u64>) -> bool {
        keys.iter().all(|key| {
            self.lanes.get(key).is_none_or(|lane| {
                lane.waiting.front() == Some(&id)
                    && lane.holder.is_none_or(|holder| Some(holder) == batch)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lanes(items: &[(&[Key], u32)]) -> Lanes<u32> {
        let mut lanes = Lanes::new();
        for (keys, value) in items {
            lanes.push(keys.to_vec(), *value);
        }
        lanes
    }

    fn take(lanes: &mut Lanes<u32>, most: usize) -> Option<(Vec<u32>, Held)> {
        let mut room = most;
        lanes.take(|_| {
            let fits = room > 0;
            room = room.saturating_sub(1);
            fits
        })
    }

    #[test]
    fn items_of_one_lane_wait_for_one_another_and_others_do_not() {
        let mut lanes = lanes(&[(&[1], 10), (&[1], 11), (&[2], 20)]);
        let (first, held) = take(&mut lanes, 1).unwrap();
        let (second, _) = take(&mut lanes, 1).unwrap();
        assert_eq!((first, second), (vec![10], vec![20]));
        assert!(take(&mut lanes, 1).is_none());
        lanes.release(held);
        assert_eq!(take(&mut lanes, 1).unwrap().0, [11]);
    }

    #[test]
    fn a_batch_takes_what_follows_in_its_lanes() {
        let mut lanes = lanes(&[(&[1], 10), (&[2], 20), (&[1], 11), (&[1], 12)]);
        let (batch, held) = take(&mut lanes, 3).unwrap();
        assert_eq!(batch, [10, 11, 12]);
        let (other, _) = take(&mut lanes, 3).unwrap();
        assert_eq!(other, [20]);
        lanes.release(held);
        assert_eq!(lanes.len(), 0);
    }

    #[test]
    fn an_item_with_two_lanes_waits_for_both_and_holds_both() {
        let mut lanes = lanes(&[(&[1], 10), (&[2], 20), (&[1, 2], 12), (&[2], 21)]);
        let (_, first) = take(&mut lanes, 1).unwrap();
        let (_, second) = take(&mut lanes, 1).unwrap();
        lanes.release(first);
        assert!(take(&mut lanes, 1).is_none());
        lanes.release(second);
        let (both, held) = take(&mut lanes, 1).unwrap();
        assert_eq!(both, [12]);
        assert!(take(&mut lanes, 1).is_none());
        lanes.release(held);
        assert_eq!(take(&mut lanes, 1).unwrap().0, [21]);
    }

    #[test]
    fn a_batch_keeps_some_of_its_lanes_and_frees_the_others() {
        let mut lanes = lanes(&[(&[1], 10), (&[2], 20)]);
        let (_, mut held) = take(&mut lanes, 2).unwrap();
        lanes.push(vec![1], 11);
        lanes.push(vec![2], 21);
        assert_eq!(lanes.next(), None);
        lanes.release(held.split_off(&HashSet::from([1])));
        assert_eq!(take(&mut lanes, 2).unwrap().0, [21]);
        lanes.release(held);
        assert_eq!(take(&mut lanes, 2).unwrap().0, [11]);
    }

    #[test]
    fn lanes_that_are_empty_are_forgotten() {
        let mut lanes = lanes(&[(&[1], 10), (&[2, 3], 20)]);
        while let Some((_, held)) = take(&mut lanes, 1) {
            lanes.release(held);
        }
        assert!(lanes.lanes.is_empty() && lanes.items.is_empty() && lanes.ready.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happens_each_lane_is_in_order_and_nothing_is_left(
            items in prop::collection::vec(prop::collection::vec(0..5u64, 0..3), 1..60),
            steps in prop::collection::vec((1..4usize, any::<bool>(), any::<prop::sample::Index>()), 1..40),
        ) {
            let mut lanes = Lanes::new();
            for (number, keys) in items.iter().enumerate() {
                lanes.push(keys.clone(), number);
            }
            let mut under_way: Vec<Held> = Vec::new();
            let mut order = Vec::new();
            let mut steps = steps.into_iter();
            while order.len() < items.len() {
                let step = steps.next().map(|(most, is_release, which)| (most, is_release, Some(which)));
                let (most, is_release, which) = step.unwrap_or((3, true, None));
                let mut room = most;
                if let Some((batch, held)) = lanes.take(|_| { room = room.wrapping_sub(1); room < most }) {
                    prop_assert!(under_way.iter().all(|other| other.keys.is_disjoint(&held.keys)));
                    order.extend(batch);
                    under_way.push(held);
                }
                if is_release && !under_way.is_empty() {
                    let index = which.map_or(0, |which| which.index(under_way.len()));
                    let mut held = under_way.swap_remove(index);
                    let kept: HashSet<Key> = which.map(|which| which.index(5) as Key).into_iter().collect();
                    lanes.release(held.split_off(&kept));
                    under_way.extend(Some(held).filter(|held| !held.keys.is_empty()));
                }
            }
            for key in 0..5u64 {
                let of_lane: Vec<usize> = order.iter().copied().filter(|n| items[*n].contains(&key)).collect();
                prop_assert!(of_lane.is_sorted(), "{of_lane:?}");
            }
        }
    }
}
