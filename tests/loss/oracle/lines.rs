//! The lines of a file that keeps the order of each partition.

use std::collections::BTreeSet;

use super::{Book, Bound, Faults, Repeats};
use crate::plan::Planned;

/// What a file sink has written.
#[derive(Debug)]
pub(crate) struct Lines {
    sink: &'static str,
    wants: fn(&Planned) -> bool,
    /// The sequence number behind the last first occurrence, by partition.
    next: Vec<usize>,
    /// The highest sequence number of this run, by partition.
    highest: Vec<Option<usize>>,
    /// Up to there a run has delivered that was drained, by partition.
    drained: Vec<Option<usize>>,
    /// Numbers that later ones have overtaken.
    missing: BTreeSet<u32>,
    pub(crate) events: usize,
    pub(crate) repeats: Repeats,
    /// Lines written again within one run: a write or an fsync that failed was made again.
    pub(crate) rewritten: usize,
}

impl Lines {
    /// Of the file sink `sink`, which gets what it `wants`.
    pub(crate) fn new(sink: &'static str, wants: fn(&Planned) -> bool, partitions: u16) -> Self {
        Self {
            sink,
            wants,
            next: vec![0; partitions.into()],
            highest: vec![None; partitions.into()],
            drained: vec![None; partitions.into()],
            missing: BTreeSet::new(),
            events: 0,
            repeats: Repeats::new(sink, partitions),
            rewritten: 0,
        }
    }

    /// Takes the next line: the event of this number, from this place.
    pub(crate) fn line(
        &mut self,
        book: &Book,
        number: u32,
        place: (u16, i64),
        faults: &mut Faults,
    ) {
        let sink = self.sink;
        let Some((event, sequence_number)) = book.event(number) else {
            return faults.add(format!("{sink}: {number} was never produced"));
        };
        if place != (event.partition, i64::try_from(sequence_number).unwrap()) {
            return faults.add(format!("{sink}: {number} says it is from {place:?}"));
        }
        if !(self.wants)(&event) {
            return faults.add(format!("{sink}: {number} is not for it"));
        }
        let partition = usize::from(event.partition);
        let highest = self.highest[partition];
        self.highest[partition] = highest.max(Some(sequence_number));
        if self.drained[partition] >= Some(sequence_number) {
            return faults.add(format!(
                "{sink}: {number} came again, though it was drained"
            ));
        }
        if self.missing.remove(&number) {
            self.events += 1;
            faults.add(format!(
                "{sink}: {number} came out of order, behind later ones"
            ));
        } else if sequence_number < self.next[partition] {
            match highest >= Some(sequence_number) {
                true => self.rewritten += 1,
                false => self.repeats.add(event.partition),
            }
        } else {
            self.pass(book, partition, sequence_number);
            self.events += 1;
        }
    }

    /// Moves on to behind `sequence_number`; what it wanted before that is missing.
    fn pass(&mut self, book: &Book, partition: usize, sequence_number: usize) {
        let passed = &book.partitions[partition][self.next[partition]..sequence_number];
        let wanted = |number: &&u32| (self.wants)(&book.plan.event(**number));
        self.missing.extend(passed.iter().filter(wanted));
        self.next[partition] = sequence_number + 1;
    }

    /// The daemon has ended, and all that it wrote was read.
    pub(crate) fn end_run(&mut self, book: &Book, bound: Bound, faults: &mut Faults) {
        for (drained, highest) in self.drained.iter_mut().zip(&mut self.highest) {
            let highest = highest.take();
            if book.is_drained(book.run() - 1) {
                *drained = highest.max(*drained);
            }
        }
        self.repeats.end_run(bound, faults);
    }

    /// How many events are still to come.
    pub(crate) fn awaited(&self, book: &Book) -> usize {
        let rest = book.partitions.iter().zip(&self.next);
        let wanted = rest.flat_map(|(numbers, next)| &numbers[*next..]);
        let wanted = wanted.filter(|number| (self.wants)(&book.plan.event(**number)));
        wanted.count() + self.missing.len()
    }

    /// What never came.
    pub(crate) fn finish(mut self, book: &Book, faults: &mut Faults) {
        for partition in 0..self.next.len() {
            self.pass(book, partition, book.partitions[partition].len());
        }
        for number in self.missing {
            faults.add(format!("{}: {number} is lost", self.sink));
        }
    }
}
