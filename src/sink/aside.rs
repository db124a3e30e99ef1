//! Deliveries that wait behind one of their partition that was refused and is to be held; pure.
//!
//! Each such partition is tried again on its own, and the others go on without it. What waits here still has
//! its place in the byte bound of the queue and in the window of its partition: those bound it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::delivery::Delivery;
use super::trouble::Trouble;
use crate::backoff::Backoff;
use crate::event::{PartitionId, SequenceNumber, Source};

/// The partitions of one sink that wait behind a refused delivery.
#[derive(Debug, Default)]
pub(super) struct Aside {
    partitions: HashMap<Partition, Waiting>,
}

/// A partition of whatever event hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Partition {
    hub: Arc<Source>,
    id: PartitionId,
}

/// What waits of one partition.
#[derive(Debug)]
struct Waiting {
    /// In their order, the refused one first.
    deliveries: VecDeque<Delivery>,
    refused: SequenceNumber,
    /// When it is tried again; none while that is under way.
    due: Option<Instant>,
    backoff: Backoff,
    trouble: Trouble,
}

impl Aside {
    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// When the first partition is to be tried again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.partitions
            .values()
            .filter_map(|waiting| waiting.due)
            .min()
    }

    /// Lets go of every delivery of `batch` that must wait here, behind others of its partition.
    pub(super) fn follow(&mut self, batch: &mut Vec<Delivery>) {
        if self.is_empty() {
            return;
        }
        for delivery in std::mem::take(batch) {
            match self.partitions.get_mut(&Partition::of(&delivery)) {
                Some(waiting) => waiting.deliveries.push_back(delivery),
                None => batch.push(delivery),
            }
        }
    }

    /// Sets `refused` aside at `now`, and what is of its partition in the `batch` behind it. `random` is drawn
    /// evenly from 0 to 1. Gives when it is tried again, and the failures there were, to be told.
    pub(super) fn hold(
        &mut self,
        refused: Delivery,
        batch: &mut Vec<Delivery>,
        now: Instant,
        random: f64,
    ) -> (Duration, &mut Trouble) {
        let partition = Partition::of(&refused);
        let number = refused.message().event.sequence_number;
        let is_behind = |delivery: &mut Delivery| Partition::of(delivery) == partition;
        let mut deliveries = VecDeque::from([refused]);
        deliveries.extend(batch.extract_if(.., is_behind));
        let waiting = self
            .partitions
            .entry(partition)
            .or_insert_with(|| Waiting::new(number));
        // What was left here when the batch was taken is behind it.
        deliveries.append(&mut waiting.deliveries);
        if waiting.refused != number {
            *waiting = Waiting::new(number);
        }
        waiting.deliveries = deliveries;
        let delay = waiting.backoff.next_delay(random);
        waiting.due = Some(now + delay);
        (delay, &mut waiting.trouble)
    }

    /// Takes up to `most` deliveries of a partition that is to be tried at `now`, the refused one first.
    /// After the attempt, [`Aside::done`] is due.
    pub(super) fn take(&mut self, now: Instant, most: usize) -> Option<(Partition, Vec<Delivery>)> {
        let (partition, waiting) = self
            .partitions
            .iter_mut()
            .filter(|(_, waiting)| waiting.due.is_some_and(|due| due <= now))
            .min_by_key(|(_, waiting)| waiting.due)?;
        waiting.due = None;
        let count = most.min(waiting.deliveries.len());
        Some((
            partition.clone(),
            waiting.deliveries.drain(..count).collect(),
        ))
    }

    /// The deliveries that were taken of a partition are accepted, or held again. Where they are accepted, what
    /// is left is next; without any, the partition is not aside any more. Gives the failures that are over.
    pub(super) fn done(&mut self, partition: &Partition, now: Instant) -> Option<Trouble> {
        let waiting = self.partitions.get_mut(partition)?;
        if waiting.due.is_some() {
            return None;
        }
        waiting.due = Some(now);
        let trouble = std::mem::take(&mut waiting.trouble);
        if waiting.deliveries.is_empty() {
            self.partitions.remove(partition);
        }
        Some(trouble)
    }

    /// Everything that waits here, in the order of each partition.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Delivery> {
        let partitions = std::mem::take(&mut self.partitions);
        partitions
            .into_values()
            .flat_map(|waiting| waiting.deliveries)
    }

    /// Lets every partition be tried at `now`.
    pub(super) fn wake(&mut self, now: Instant) {
        for waiting in self.partitions.values_mut() {
            waiting.due = waiting.due.map(|due| due.min(now));
        }
    }
}

impl Waiting {
    fn new(refused: SequenceNumber) -> Self {
        Self {
            deliveries: VecDeque::new(),
            refused,
            due: None,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(30)),
            trouble: Trouble::default(),
        }
    }
}

impl Partition {
    fn of(delivery: &Delivery) -> Self {
        let message = delivery.message();
        Self {
            hub: Arc::clone(&message.source),
            id: message.event.partition.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::samples;
    use crate::sink::compliance;

    /// Deliveries of these partitions, with these numbers.
    fn batch(of: &[(&str, i64)]) -> Vec<Delivery> {
        let delivery = |(partition, number): &(&str, i64)| {
            let mut event = samples::event("?");
            event.partition = PartitionId::new(partition);
            event.sequence_number = SequenceNumber(*number);
            compliance::delivery(samples::decoded(event))
        };
        of.iter().map(delivery).collect()
    }

    fn numbers(batch: &[Delivery]) -> Vec<i64> {
        let number = |delivery: &Delivery| delivery.message().event.sequence_number.0;
        batch.iter().map(number).collect()
    }

    /// Holds the first of `batch`; how long.
    fn hold(aside: &mut Aside, batch: &mut Vec<Delivery>, now: Instant) -> Duration {
        let refused = batch.remove(0);
        aside.hold(refused, batch, now, 1.0).0
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_of_a_held_partition_waits_in_order_and_nothing_else_does() {
        let (mut aside, now) = (Aside::default(), Instant::now());
        let mut first = batch(&[("0", 1), ("1", 1), ("0", 2)]);
        hold(&mut aside, &mut first, now);
        assert_eq!(numbers(&first), [1]);
        let mut next = batch(&[("1", 2), ("0", 3), ("1", 3)]);
        aside.follow(&mut next);
        assert_eq!(numbers(&next), [2, 3]);
        assert!(aside.take(now, 10).is_none());
        let (partition, mut taken) = aside.take(now + LONG, 2).unwrap();
        assert_eq!(numbers(&taken), [1, 2]);
        // The first is accepted now and the second is not.
        taken.remove(0);
        hold(&mut aside, &mut taken, now);
        assert!(aside.done(&partition, now).is_none());
        let (_, taken) = aside.take(now + LONG, 10).unwrap();
        assert_eq!(numbers(&taken), [2, 3]);
        assert!(aside.done(&partition, now).is_some() && aside.is_empty());
    }

    #[test]
    fn what_is_left_behind_those_that_were_accepted_is_next() {
        let (mut aside, now) = (Aside::default(), Instant::now());
        hold(&mut aside, &mut batch(&[("0", 1), ("0", 2)]), now);
        let (partition, taken) = aside.take(now + LONG, 1).unwrap();
        assert_eq!(numbers(&taken), [1]);
        aside.done(&partition, now);
        assert_eq!(aside.due(), Some(now));
        assert_eq!(numbers(&aside.take(now, 1).unwrap().1), [2]);
    }

    #[test]
    fn each_partition_has_its_own_delays_until_another_event_is_refused_or_somebody_wakes_it() {
        let (mut aside, now) = (Aside::default(), Instant::now());
        let first = hold(&mut aside, &mut batch(&[("0", 1), ("0", 2)]), now);
        let mut taken = aside.take(now + LONG, 10).unwrap().1;
        let second = hold(&mut aside, &mut taken, now);
        assert_eq!(second, 2 * first);
        assert_eq!(hold(&mut aside, &mut batch(&[("1", 1)]), now), first);
        assert_eq!(aside.due(), Some(now + first));
        aside.wake(now);
        let mut taken = aside.take(now, 10).unwrap().1;
        taken.extend(aside.take(now, 10).unwrap().1);
        taken.retain(|delivery| delivery.message().event.sequence_number.0 == 2);
        assert_eq!(hold(&mut aside, &mut taken, now), first);
    }
}
