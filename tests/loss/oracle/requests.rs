//! The requests of a webhook that keeps the order of each row, with several under way at once.

use std::collections::HashMap;

use super::{Book, Bound, Faults, Repeats};
use crate::plan::{Kind, Planned};

/// What a webhook was asked, and what it answered.
#[derive(Debug)]
pub(crate) struct Requests {
    /// By number.
    events: Vec<Seen>,
    /// The first number of each row that has no final answer yet, as an index into its numbers.
    rows: HashMap<u64, Row>,
    /// Every wanted number below has a final answer.
    settled: u32,
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    pub(crate) repeats: Repeats,
    /// Accepted again in the same run: the answer came too late or not at all.
    pub(crate) again: usize,
    /// Answers that the daemon cannot be expected to have got.
    pub(crate) late: usize,
}

#[derive(Debug, Default)]
struct Row {
    numbers: Vec<u32>,
    unsettled: usize,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    attempts: u32,
    is_settled: bool,
    /// The run in which it was last accepted.
    accepted_in: Option<u32>,
    /// A digest of its idempotency key.
    id: Option<u64>,
}

/// A request as it arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) number: u32,
    /// A digest of its idempotency key.
    pub(crate) id: u64,
    /// The run in which its connection was made.
    pub(crate) run: u32,
}

impl Requests {
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            events: Vec::new(),
            rows: HashMap::new(),
            settled: 0,
            accepted: 0,
            refused: 0,
            repeats: Repeats::new("webhook", partitions),
            again: 0,
            late: 0,
        }
    }

    /// Takes down what was produced last.
    pub(crate) fn produced(&mut self, number: u32, event: Planned) {
        self.events.push(Seen::default());
        if is_wanted(&event) {
            self.rows.entry(event.row).or_default().numbers.push(number);
        }
    }

    /// A request has arrived: gives the event and how many attempts there were before.
    pub(crate) fn arrived(
        &mut self,
        book: &Book,
        arrival: Arrival,
        faults: &mut Faults,
    ) -> Option<(Planned, u32)> {
        let Arrival { number, id, .. } = arrival;
        let Some((event, _)) = book.event(number) else {
            faults.add(format!("webhook: {number} was never produced"));
            return None;
        };
        if !is_wanted(&event) {
            faults.add(format!("webhook: {number} is not for it"));
            return None;
        }
        let row = &self.rows[&event.row];
        if let Some(earlier) = row
            .numbers
            .get(row.unsettled)
            .filter(|first| **first < number)
        {
            faults.add(format!(
                "webhook: {number} came out of order, before {earlier} of its row was answered"
            ));
        }
        let seen = &mut self.events[number as usize];
        if *seen.id.get_or_insert(id) != id {
            faults.add(format!(
                "webhook: {number} came with another idempotency key"
            ));
        }
        let attempts = seen.attempts;
        seen.attempts += 1;
        Some((event, attempts))
    }

    /// A request is answered for good, with 200, or with 422 where it `is_refused`.
    pub(crate) fn answered(
        &mut self,
        book: &Book,
        arrival: Arrival,
        is_refused: bool,
        faults: &mut Faults,
    ) {
        let Arrival { number, run, .. } = arrival;
        // Whoever asked has been killed: the answer reaches nobody.
        let is_stale = run < book.run();
        self.late += usize::from(is_stale);
        let seen = &mut self.events[number as usize];
        let is_first = !std::mem::replace(&mut seen.is_settled, true);
        let before = seen.accepted_in;
        seen.accepted_in = before.max(Some(run));
        let event = book.plan.event(number);
        match (is_first, is_refused) {
            (true, true) => self.refused += 1,
            (true, false) => self.accepted += 1,
            (false, _) if is_stale || before == Some(run) => self.again += 1,
            (false, _) if before.is_some_and(|run| book.is_drained(run)) => {
                faults.add(format!(
                    "webhook: {number} came again, though it was drained"
                ));
            }
            (false, _) => self.repeats.add(event.partition),
        }
        if let Some(row) = self.rows.get_mut(&event.row) {
            let is_settled = |number: &u32| self.events[*number as usize].is_settled;
            while row.numbers.get(row.unsettled).is_some_and(is_settled) {
                row.unsettled += 1;
            }
        }
    }

    /// How many have a final answer.
    pub(crate) fn progress(&self) -> usize {
        self.accepted + self.refused
    }

    /// The first number that has no final answer, though it needs one.
    pub(crate) fn settled(&mut self, book: &Book) -> u32 {
        while let Some(seen) = self.events.get(self.settled as usize) {
            if !seen.is_settled && is_wanted(&book.plan.event(self.settled)) {
                break;
            }
            self.settled += 1;
        }
        self.settled
    }

    /// The daemon has ended.
    pub(crate) fn end_run(&mut self, bound: Bound, faults: &mut Faults) {
        self.repeats.end_run(bound, faults);
    }

    /// How many have no final answer yet.
    pub(crate) fn awaited(&self) -> usize {
        let rows = self.rows.values();
        rows.map(|row| row.numbers.len()).sum::<usize>() - self.progress()
    }

    /// What was never answered for good.
    pub(crate) fn finish(&self, faults: &mut Faults) {
        let numbers = self.rows.values().flat_map(|row| &row.numbers);
        let mut lost: Vec<_> = numbers
            .filter(|number| !self.events[**number as usize].is_settled)
            .collect();
        lost.sort();
        for number in lost {
            faults.add(format!("webhook: {number} is lost"));
        }
        if self.again > self.late {
            faults.add(format!(
                "webhook: {} were accepted twice in one run, though only {} answers were late",
                self.again, self.late
            ));
        }
    }
}

fn is_wanted(event: &Planned) -> bool {
    event.kind != Kind::Undecodable
}
