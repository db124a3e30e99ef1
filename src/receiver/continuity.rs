//! Whether the next event is the next one: sequence numbers have no gaps in a partition, so that a
//! missing one tells of every loss, whatever its cause.

use crate::event::SequenceNumber;

/// Watches the sequence numbers of one partition.
#[derive(Debug, Default)]
pub(crate) struct Continuity {
    last: Option<SequenceNumber>,
    /// True until the first event of a link: that link was opened right after `last`.
    fresh: bool,
}

/// What to do with an event, by its number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is the next one, or the first.
    Take,
    /// Events are missing within a link: open another one after the last event and look again.
    Reopen {
        /// How many.
        missing: u64,
    },
    /// Events are missing although the link began after the last one: the service has dropped them. Where the
    /// event is taken all the same, [`Continuity::take`] is told.
    Gap {
        /// How many.
        missing: u64,
    },
    /// An event came again within a link: open another one after the last event.
    Again,
    /// Numbers went back although the link began after the last one: the hub was made anew and counts
    /// anew. Its first events may lie before this one: begin at the beginning.
    Restart {
        /// The last number of the old count.
        last: SequenceNumber,
    },
}

impl Continuity {
    /// The next number is the one after `last`.
    pub(crate) fn after(last: SequenceNumber) -> Self {
        Self {
            last: Some(last),
            fresh: false,
        }
    }

    /// A link was attached after the last event.
    pub(crate) fn attached(&mut self) {
        self.fresh = true;
    }

    /// The partition is read from its beginning: whatever comes next is the first.
    pub(crate) fn restarted(&mut self) {
        self.last = None;
    }

    /// An event was taken after a gap.
    pub(crate) fn take(&mut self, number: SequenceNumber) {
        self.last = Some(number);
    }

    /// Looks at an event; [`Step::Take`] takes it, the others do not.
    pub(crate) fn step(&mut self, number: SequenceNumber) -> Step {
        let fresh = std::mem::take(&mut self.fresh);
        let step = match self.last {
            None => Step::Take,
            Some(last) if number.0.checked_sub(1) == Some(last.0) => Step::Take,
            Some(last) if number <= last && fresh => return Step::Restart { last },
            Some(last) if number <= last => return Step::Again,
            Some(last) => {
                let missing = last.0.abs_diff(number.0) - 1;
                return match fresh {
                    true => Step::Gap { missing },
                    false => Step::Reopen { missing },
                };
            }
        };
        self.last = Some(number);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` stands for an attach.
    fn steps(story: &str) -> Vec<Step> {
        let mut continuity = Continuity::default();
        let mut steps = Vec::new();
        for word in story.split(' ') {
            match word {
                "|" => continuity.attached(),
                number => {
                    let number = SequenceNumber(number.parse().unwrap());
                    let step = continuity.step(number);
                    if matches!(step, Step::Gap { .. }) {
                        continuity.take(number);
                    }
                    steps.push(step);
                }
            }
        }
        steps
    }

    #[test]
    fn numbers_in_a_row_are_taken_across_links_and_the_first_may_be_any() {
        assert_eq!(
            steps("| 7 8 | 9 | | 10"),
            [Step::Take, Step::Take, Step::Take, Step::Take]
        );
    }

    #[test]
    fn a_gap_within_a_link_is_looked_at_again_and_one_that_stays_is_real() {
        assert_eq!(
            steps("| 7 10 | 10 11"),
            [
                Step::Take,
                Step::Reopen { missing: 2 },
                Step::Gap { missing: 2 },
                Step::Take
            ]
        );
        assert_eq!(
            steps("| 7 10 | 8"),
            [Step::Take, Step::Reopen { missing: 2 }, Step::Take]
        );
    }

    #[test]
    fn numbers_that_go_back_begin_a_new_count() {
        let last = SequenceNumber(9);
        assert_eq!(steps("| 9 | 4"), [Step::Take, Step::Restart { last }]);
        assert_eq!(steps("| 9 9 | 10"), [Step::Take, Step::Again, Step::Take]);
        let mut continuity = Continuity {
            last: Some(last),
            fresh: true,
        };
        continuity.restarted();
        assert_eq!(continuity.step(SequenceNumber(0)), Step::Take);
    }

    #[test]
    fn the_ends_of_the_number_range_do_not_overflow() {
        let story = format!("| {} | {}", i64::MIN, i64::MAX);
        assert_eq!(
            steps(&story)[1],
            Step::Gap {
                missing: u64::MAX - 1
            }
        );
        assert_eq!(steps(&format!("| {} | {}", i64::MAX, i64::MIN)).len(), 2);
    }
}
