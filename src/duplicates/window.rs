//! The last events that were met, by their identity, each with the place where it was met first; pure.
//!
//! Spec: `OperationId` and `OperationCreatedOn` "facilitate sequencing and duplicate detection if the post
//! must be retried" (Write a custom Azure-aware plug-in, Microsoft Learn).
//!
//! Why suppressing loses nothing: an event is called a duplicate of another place only, and what lies
//! there was given to the sinks, so that no checkpoint passes it undelivered. If it is received again, it
//! is met at its own place and given to the sinks again. That holds while the window never calls it a
//! duplicate of something met later, which is why events that the file still has are not forgotten before
//! the file is written anew: after a crash it would speak of a place that has since been suppressed.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::message::{Identity, Place};

/// The beginning of a SHA-256 of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) [u8; 16]);

/// Where an event was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Its partition, and its number there. The hub is not looked at: a namespace has several names, and
    /// to take one event for two under another of them would lose it.
    pub(super) place: Place,
    /// When the service took it, in milliseconds since 1970: tells apart the events of a hub made anew,
    /// where numbers start again.
    pub(super) enqueued: i64,
}

/// One event that is remembered.
pub(super) type Record = (Key, Sighting);

/// What is known of an event that comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Met {
    /// Nothing, or it was met at this very place: it is received again.
    First,
    /// It was met there before, at another place.
    Again(Sighting),
}

/// The last events that were met.
///
/// It remembers `limit` events, and where they are kept in a file as many again, those that the file has;
/// while the file is written, three times as many.
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    sightings: HashMap<Key, Sighting>,
    /// Those that the file has, the oldest first.
    kept: VecDeque<Key>,
    /// Those met since.
    fresh: VecDeque<Key>,
    /// While the file is written: how many of `kept` the old one has.
    before: usize,
    has_file: bool,
}

impl Key {
    pub(super) fn of(identity: &Identity) -> Self {
        let mut hasher = Sha256::new();
        for part in [identity.source.as_bytes(), &[0], identity.id.as_bytes()] {
            hasher.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize()[..16]);
        Self(key)
    }
}

impl Window {
    /// Remembers the last `limit` events, and nothing yet.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            sightings: HashMap::new(),
            kept: VecDeque::new(),
            fresh: VecDeque::new(),
            before: 0,
            has_file: false,
        }
    }

    /// Remembers at first what its file has.
    ///
    /// Where the file has more than that, `is_whole` is false, and it is to be written anew: of what
    /// is not remembered it must not say later where it was met first.
    pub(super) fn with_kept(
        limit: usize,
        records: impl IntoIterator<Item = Record>,
        is_whole: bool,
    ) -> Self {
        let mut window = Self::new(limit);
        window.has_file = is_whole;
        for (key, sighting) in records {
            if window.sightings.insert(key, sighting).is_none() {
                window.kept.push_back(key);
            }
        }
        window
    }

    /// Takes in an event, and says where it was met before.
    pub(super) fn meet(&mut self, key: Key, sighting: Sighting) -> Met {
        match self.sightings.entry(key) {
            Entry::Occupied(first) if *first.get() == sighting => Met::First,
            Entry::Occupied(first) => Met::Again(first.get().clone()),
            Entry::Vacant(place) => {
                place.insert(sighting);
                self.fresh.push_back(key);
                self.forget_fresh();
                Met::First
            }
        }
    }

    /// Begins to write the file anew, where something has changed; gives what to write, for
    /// [`Self::records`].
    pub(super) fn begin_keeping(&mut self) -> Option<Range<usize>> {
        if self.fresh.is_empty() && self.has_file {
            return None;
        }
        self.before = self.kept.len();
        self.kept.append(&mut self.fresh);
        let all = self.kept.len();
        Some(all.saturating_sub(self.limit)..all)
    }

    /// Events to write, within the range that [`Self::begin_keeping`] gave.
    pub(super) fn records(&self, range: Range<usize>) -> Vec<Record> {
        let known = |key: &Key| Some((*key, self.sightings.get(key)?.clone()));
        self.kept.range(range).filter_map(known).collect()
    }

    /// Ends what [`Self::begin_keeping`] began: the file is the new one, or still the old one.
    pub(super) fn end_keeping(&mut self, is_written: bool) {
        if is_written {
            self.has_file = true;
            forget(&mut self.kept, self.limit, &mut self.sightings);
        } else {
            let mut fresh = self.kept.split_off(self.before);
            fresh.append(&mut self.fresh);
            self.fresh = fresh;
            self.forget_fresh();
        }
    }

    fn forget_fresh(&mut self) {
        forget(&mut self.fresh, self.limit, &mut self.sightings);
    }
}

/// Forgets the oldest of `keys` beyond `limit`.
fn forget(keys: &mut VecDeque<Key>, limit: usize, sightings: &mut HashMap<Key, Sighting>) {
    let beyond = keys.len().saturating_sub(limit);
    for key in keys.drain(..beyond) {
        sightings.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::event::{PartitionId, SequenceNumber};

    fn key(id: &str) -> Key {
        Key::of(&Identity {
            source: "/dataverse/organization".to_owned(),
            id: id.to_owned(),
            is_of_dataverse: true,
        })
    }

    /// `PARTITION/NUMBER@MILLISECONDS`
    fn at(text: &str) -> Sighting {
        let (partition, rest) = text.split_once('/').unwrap();
        let (number, enqueued) = rest.split_once('@').unwrap();
        Sighting {
            place: Place {
                partition: PartitionId::new(partition),
                sequence_number: SequenceNumber(number.parse().unwrap()),
            },
            enqueued: enqueued.parse().unwrap(),
        }
    }

    fn meet(window: &mut Window, id: &str, place: &str) -> Option<Sighting> {
        match window.meet(key(id), at(place)) {
            Met::First => None,
            Met::Again(first) => Some(first),
        }
    }

    /// Meets `ID PARTITION/NUMBER@MILLISECONDS` one after the other; `expected` has where each was met before.
    #[track_caller]
    fn check(window: &mut Window, steps: &[(&str, &str, Option<&str>)]) {
        for (id, place, expected) in steps {
            let before = meet(window, id, place);
            assert_eq!(before, expected.map(at), "{id} at {place}");
        }
    }

    /// Writes the file as far as it is seen from here; the window that a restart makes of it.
    fn restarted(window: &mut Window) -> Window {
        let range = window.begin_keeping().unwrap();
        let written = window.records(range);
        window.end_keeping(true);
        Window::with_kept(window.limit, written, true)
    }

    #[test]
    fn a_repeated_post_is_met_again_and_the_first_place_is_told() {
        let steps = [
            ("a", "0/1@10", None),
            ("b", "0/2@11", None),
            ("a", "3/7@12", Some("0/1@10")),
            ("a", "0/3@13", Some("0/1@10")),
            ("b", "3/8@14", Some("0/2@11")),
        ];
        check(&mut Window::new(10), &steps);
    }

    #[test]
    fn what_is_received_again_is_no_duplicate() {
        let steps = [
            ("a", "0/1@10", None),
            ("a", "1/1@12", Some("0/1@10")),
            // The first one was never delivered and comes once more.
            ("a", "0/1@10", None),
            ("a", "1/1@12", Some("0/1@10")),
        ];
        let mut window = Window::new(10);
        check(&mut window, &steps);
        check(&mut restarted(&mut window), &steps);
    }

    #[test]
    fn a_hub_made_anew_has_other_events_at_the_same_places() {
        let steps = [("a", "0/1@10", None), ("a", "0/1@99", Some("0/1@10"))];
        check(&mut Window::new(10), &steps);
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut window = Window::new(2);
        let steps = [
            ("a", "0/1@1", None),
            ("b", "0/2@2", None),
            ("a", "0/3@3", Some("0/1@1")),
            ("c", "0/4@4", None),
            ("b", "0/5@5", Some("0/2@2")),
            ("a", "0/6@6", None),
        ];
        check(&mut window, &steps);
        assert_eq!((window.sightings.len(), window.fresh.len()), (2, 2));
    }

    #[test]
    fn what_the_file_has_is_not_forgotten_before_it_is_written_anew() {
        let mut window = Window::new(1);
        check(&mut window, &[("a", "0/1@1", None)]);
        let mut window = restarted(&mut window);
        let steps = [
            ("b", "0/2@2", None),
            ("c", "0/3@3", None),
            // Were this taken for the first, the one at 0/1 would be suppressed when it comes once
            // more, and after a crash this one in its turn, on the word of the old file.
            ("a", "1/1@4", Some("0/1@1")),
            ("a", "0/1@1", None),
            ("b", "0/5@5", None),
        ];
        check(&mut window, &steps);
        drop(restarted(&mut window));
        check(&mut window, &[("a", "1/1@4", None)]);
    }

    #[test]
    fn a_file_that_cannot_be_written_changes_nothing_and_takes_no_more_memory() {
        let mut window = Window::new(2);
        for number in 0..10 {
            let id = number.to_string();
            assert_eq!(meet(&mut window, &id, &format!("0/{number}@0")), None);
            assert!(window.begin_keeping().is_some());
            window.end_keeping(false);
        }
        assert_eq!((window.sightings.len(), window.kept.len()), (2, 0));
        check(&mut window, &[("9", "1/0@1", Some("0/9@0"))]);
    }

    #[test]
    fn a_file_that_says_the_same_is_not_written() {
        let mut window = Window::new(2);
        drop(restarted(&mut window));
        assert_eq!(window.begin_keeping(), None);
        check(&mut window, &[("a", "0/1@1", None)]);
        assert_eq!(window.begin_keeping(), Some(0..1));
    }

    /// Two partitions that suppress duplicates, and everything that can befall them.
    struct World {
        events: [Vec<u8>; 2],
        window: Window,
        file: Option<Vec<Record>>,
        /// Of each partition, whether what is received is delivered or suppressed.
        received: [Vec<bool>; 2],
        in_flight: Vec<(usize, usize)>,
        delivered: HashSet<u8>,
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Receive(usize),
        Deliver(usize),
        Keep(bool),
        /// The checkpoint was written so many events ago.
        Crash(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (0..2usize).prop_map(Step::Receive),
            3 => (0..9usize).prop_map(Step::Deliver),
            2 => any::<bool>().prop_map(Step::Keep),
            1 => (0..3usize).prop_map(Step::Crash),
        ];
        proptest::collection::vec(step, 0..80)
    }

    impl World {
        fn new(limit: usize, events: [Vec<u8>; 2]) -> Self {
            Self {
                events,
                window: Window::new(limit),
                file: None,
                received: Default::default(),
                in_flight: Vec::new(),
                delivered: HashSet::new(),
            }
        }

        fn posted(&self) -> HashSet<u8> {
            self.events.concat().into_iter().collect()
        }

        /// Takes these steps, and then delivers all that is left; what was delivered.
        fn run(&mut self, steps: &[Step]) -> HashSet<u8> {
            let receive = [Step::Receive(0), Step::Receive(1)].repeat(8);
            let deliver = vec![Step::Deliver(0); 16];
            for step in steps.iter().chain(&receive).chain(&deliver) {
                self.step(step);
            }
            std::mem::take(&mut self.delivered)
        }

        fn step(&mut self, step: &Step) {
            match *step {
                Step::Receive(partition) => self.receive(partition),
                Step::Deliver(any) if !self.in_flight.is_empty() => {
                    let any = any % self.in_flight.len();
                    let (partition, number) = self.in_flight.remove(any);
                    self.received[partition][number] = true;
                    self.delivered.insert(self.events[partition][number]);
                }
                Step::Deliver(_) => {}
                Step::Keep(succeeds) => {
                    if let Some(range) = self.window.begin_keeping() {
                        let records = self.window.records(range);
                        self.file = succeeds.then_some(records).or_else(|| self.file.take());
                        self.window.end_keeping(succeeds);
                    }
                }
                Step::Crash(ago) => {
                    let limit = self.window.limit;
                    self.window = match &self.file {
                        Some(records) => Window::with_kept(limit, records.clone(), true),
                        None => Window::new(limit),
                    };
                    self.in_flight.clear();
                    for received in &mut self.received {
                        let checkpoint = received.iter().take_while(|is_done| **is_done).count();
                        received.truncate(checkpoint.saturating_sub(ago));
                    }
                }
            }
        }

        fn receive(&mut self, partition: usize) {
            let number = self.received[partition].len();
            let Some(id) = self.events[partition].get(number) else {
                return;
            };
            let place = format!("{partition}/{number}@0");
            let met = self.window.meet(key(&id.to_string()), at(&place));
            self.received[partition].push(met != Met::First);
            if met == Met::First {
                self.in_flight.push((partition, number));
            }
        }
    }

    #[test]
    fn an_old_file_does_not_speak_for_what_was_suppressed_since() {
        let mut world = World::new(1, [vec![1], vec![2, 1]]);
        let posted = world.posted();
        let steps = [
            Step::Receive(0),
            Step::Keep(true),
            Step::Crash(0),
            Step::Receive(1),
            Step::Deliver(0),
            Step::Receive(1),
            Step::Receive(0),
            Step::Crash(0),
        ];
        assert_eq!(world.run(&steps), posted);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happens_every_event_is_delivered(
            limit in 1..4usize,
            first in proptest::collection::vec(0..4u8, 0..8),
            second in proptest::collection::vec(0..4u8, 0..8),
            steps in steps(),
        ) {
            let mut world = World::new(limit, [first, second]);
            let posted = world.posted();
            prop_assert_eq!(world.run(&steps), posted);
        }
    }
}
