//! The dead letters: what nobody could take, in any order.

use super::{Book, Bound, Faults, Repeats};
use crate::plan::Kind;

/// What the dead-letter sink has written.
#[derive(Debug)]
pub(crate) struct Letters {
    /// The run that delivered a number last.
    seen: Vec<Option<u32>>,
    pub(crate) events: usize,
    pub(crate) repeats: Repeats,
}

impl Letters {
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            seen: Vec::new(),
            events: 0,
            repeats: Repeats::new("dead letters", partitions),
        }
    }

    /// Takes the next one: the event of this number, that `refused_by` did not want.
    pub(crate) fn letter(
        &mut self,
        book: &Book,
        number: u32,
        refused_by: Option<&str>,
        faults: &mut Faults,
    ) {
        let Some((event, _)) = book.event(number) else {
            return faults.add(format!("dead letters: {number} was never produced"));
        };
        let expected = match event.kind {
            Kind::Wanted => {
                return faults.add(format!("dead letters: {number} should not be there"));
            }
            Kind::Refused => Some("hook"),
            Kind::Undecodable => None,
        };
        if refused_by != expected {
            faults.add(format!("dead letters: {number} is from {refused_by:?}"));
        }
        let index = number as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, None);
        }
        match self.seen[index].replace(book.run()) {
            None => self.events += 1,
            Some(run) if book.is_drained(run) => {
                faults.add(format!(
                    "dead letters: {number} came again, though it was drained"
                ));
            }
            Some(_) => self.repeats.add(event.partition),
        }
    }

    /// The daemon has ended, and all that it wrote was read.
    pub(crate) fn end_run(&mut self, bound: Bound, faults: &mut Faults) {
        self.repeats.end_run(bound, faults);
    }

    /// Those that are still to come.
    fn missing<'a>(&'a self, book: &'a Book) -> impl Iterator<Item = u32> + 'a {
        (0..book.len()).filter(|number| {
            book.plan.event(*number).kind != Kind::Wanted
                && !self.seen.get(*number as usize).is_some_and(Option::is_some)
        })
    }

    /// How many are still to come.
    pub(crate) fn awaited(&self, book: &Book) -> usize {
        self.missing(book).count()
    }

    /// What never came.
    pub(crate) fn finish(self, book: &Book, faults: &mut Faults) {
        for number in self.missing(book) {
            faults.add(format!("dead letters: {number} is lost"));
        }
    }
}
