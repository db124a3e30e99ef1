//! The judge: compares what reached the sinks with what was produced, and knows nothing of how it came
//! about.
//!
//! At least once: every event is with every sink that it is for. Repeats: within what may be in flight
//! when the daemon is killed. Order: a first occurrence comes behind all that were produced before it in
//! its partition, at the webhook in its row.

mod letters;
mod lines;
mod requests;
mod tests;

pub(crate) use letters::Letters;
pub(crate) use lines::Lines;
pub(crate) use requests::{Arrival, Requests};

use crate::plan::{Plan, Planned};

/// What was produced so far: which number is where.
#[derive(Debug)]
pub(crate) struct Book {
    plan: Plan,
    /// The numbers of each partition, by their sequence numbers.
    partitions: Vec<Vec<u32>>,
    /// The sequence number of each number.
    sequence_numbers: Vec<u32>,
    /// How each run of the daemon ended, but for the one that is under way.
    endings: Vec<Ending>,
}

impl Book {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            partitions: vec![Vec::new(); plan.partitions.into()],
            sequence_numbers: Vec::new(),
            endings: Vec::new(),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    /// How many events were produced.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.sequence_numbers.len()).unwrap()
    }

    /// Takes down that the next number was produced, and gives the sequence number that it must have.
    pub(crate) fn produce(&mut self) -> i64 {
        let event = self.plan.event(self.len());
        let partition = &mut self.partitions[usize::from(event.partition)];
        let sequence_number = u32::try_from(partition.len()).unwrap();
        partition.push(u32::try_from(self.sequence_numbers.len()).unwrap());
        self.sequence_numbers.push(sequence_number);
        sequence_number.into()
    }

    /// The daemon has ended.
    pub(crate) fn end_run(&mut self, ending: Ending) {
        self.endings.push(ending);
    }

    /// The run that is under way, counted from 0.
    pub(crate) fn run(&self) -> u32 {
        u32::try_from(self.endings.len()).unwrap()
    }

    /// True where what that run has delivered must not be delivered again.
    fn is_drained(&self, run: u32) -> bool {
        self.endings.get(run as usize) == Some(&Ending::Drained)
    }

    /// The event of a number, where it was produced.
    fn event(&self, number: u32) -> Option<(Planned, usize)> {
        let sequence_number = *self.sequence_numbers.get(number as usize)?;
        Some((self.plan.event(number), sequence_number as usize))
    }
}

/// How a run of the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Where it stood: what was in flight is delivered again.
    Killed,
    /// With everything delivered and checkpointed: nothing is delivered again.
    Drained,
}

/// How many repeats a run may bring to one sink from one partition: what a killed run may have had in
/// flight, however many were killed before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    /// Received and not delivered to every sink: `delivery.in_flight_events`.
    pub(crate) in_flight: usize,
    /// Delivered and not yet checkpointed: `checkpoint.events`.
    pub(crate) unsaved: usize,
}

impl Bound {
    pub(crate) fn events(self) -> usize {
        self.in_flight + self.unsaved
    }
}

/// What is wrong, as far as it is worth telling.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) list: Vec<String>,
    pub(crate) more: usize,
}

impl Faults {
    const MOST: usize = 20;

    pub(crate) fn add(&mut self, fault: String) {
        if self.list.len() < Self::MOST {
            self.list.push(fault);
        } else {
            self.more += 1;
        }
    }
}

/// The repeats of one sink.
#[derive(Debug, Clone)]
pub(crate) struct Repeats {
    sink: &'static str,
    /// Of this run, by partition.
    run: Vec<usize>,
    pub(crate) total: usize,
    /// The most of one run and partition.
    pub(crate) most: usize,
}

impl Repeats {
    fn new(sink: &'static str, partitions: u16) -> Self {
        Self {
            sink,
            run: vec![0; partitions.into()],
            total: 0,
            most: 0,
        }
    }

    fn add(&mut self, partition: u16) {
        self.run[usize::from(partition)] += 1;
        self.total += 1;
    }

    /// A run has ended.
    fn end_run(&mut self, bound: Bound, faults: &mut Faults) {
        let allowed = bound.events();
        for (partition, repeats) in self.run.iter_mut().enumerate() {
            if *repeats > allowed {
                faults.add(format!(
                    "{}: {repeats} repeats of partition {partition} in one run, {allowed} are allowed",
                    self.sink
                ));
            }
            self.most = self.most.max(*repeats);
            *repeats = 0;
        }
    }
}
