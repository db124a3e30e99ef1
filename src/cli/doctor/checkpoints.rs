//! How far the checkpoints of a hub lie behind its last events, and whether reading can go on there.

use std::time::Duration;

use super::super::counted;
use super::super::exit::{Exit, Failure};
use super::lines::{Line, Verdict};
use crate::causes::Causes;
use crate::checkpoint::{self, Checkpoint, CheckpointError, Entry};
use crate::event::{PartitionId, Source};
use crate::receiver::{self, Extent, LostPosition};

/// What a store keeps of one hub.
pub(super) struct Kept(Result<Vec<Entry>, CheckpointError>);

impl Kept {
    /// Reads it, also while a daemon runs; none where checkpoints end with the process.
    pub(super) fn in_store(store: &checkpoint::Config, source: &Source) -> Option<Self> {
        let entries = match store.list() {
            Err(CheckpointError::NotKept) => return None,
            entries => entries,
        };
        let entries = entries.map(|mut entries| {
            entries.retain(|entry| entry.source.folded() == source.folded());
            entries
        });
        Some(Self(entries))
    }

    /// What there is to say of each partition.
    pub(super) fn lines(
        self,
        config: &receiver::Config,
        extents: &[(PartitionId, Extent)],
    ) -> Vec<Line> {
        let mut entries = match self.0 {
            Ok(entries) => entries,
            Err(error) => return vec![line(None, String::new(), failed(&error))],
        };
        let mut lines = Vec::new();
        for (partition, extent) in extents {
            let found = entries
                .iter()
                .position(|entry| entry.partition == *partition)
                .map(|index| entries.swap_remove(index).found);
            let (fact, verdict) = match found {
                None => (
                    format!("none: it begins at {}", config.start_of(partition)),
                    Verdict::Passed,
                ),
                Some(Err(error)) => (String::new(), failed(&error)),
                Some(Ok(record)) => compare(&record.checkpoint, extent, &config.lost_position),
            };
            lines.push(line(Some(partition.clone()), fact, verdict));
        }
        // Nothing is known of these: the hub does not have them, or could not be asked.
        lines.extend(entries.into_iter().map(|entry| {
            let verdict = match &entry.found {
                Err(error) => failed(error),
                Ok(_) => Verdict::Skipped {
                    why: "the hub has said nothing of this partition".to_owned(),
                },
            };
            line(Some(entry.partition), String::new(), verdict)
        }));
        lines
    }
}

/// How far a checkpoint lies behind what the partition holds, and what `policy` makes of it where reading cannot
/// go on there.
fn compare(checkpoint: &Checkpoint, extent: &Extent, policy: &LostPosition) -> (String, Verdict) {
    let Checkpoint::After(position) = checkpoint else {
        return (format!("set: {checkpoint}"), Verdict::Passed);
    };
    let done = position.sequence_number.0;
    let last = extent.last_number.0;
    // The oldest event that can still be read; where none is kept, the next one to come.
    let first = match &extent.last {
        Some(_) => extent.first.0,
        None => last + 1,
    };
    let trouble = if done > last {
        "it is beyond the last event: the hub was made anew".to_owned()
    } else if first > done + 1 {
        let gone = counted(first.abs_diff(done + 1), "event");
        format!("{gone} behind it are not kept any more")
    } else {
        let fact = match last.abs_diff(done) {
            0 => format!("after {done}, which is the last event"),
            behind => format!("after {done}, {} behind", counted(behind, "event")),
        };
        return (fact, Verdict::Passed);
    };
    let fact = format!("after {done}; {trouble}");
    if *policy == LostPosition::Stop {
        let verdict = Verdict::Failed {
            exit: Exit::Unavailable,
            cause: format!("reading cannot go on after {done}: {trouble}"),
            cure: "say where to go on, with `checkpoint set` or another lost_position".to_owned(),
        };
        return (fact, verdict);
    }
    (format!("{fact}; lost_position = {policy}"), Verdict::Passed)
}

fn failed(error: &CheckpointError) -> Verdict {
    let cure = match error {
        CheckpointError::Damaged { .. } => {
            "say where to go on, with `checkpoint set` or `checkpoint reset`"
        }
        _ => "see whether the directory of [checkpoint] is there and may be read and written",
    };
    Verdict::Failed {
        exit: Failure::exit_of_checkpoints(error),
        cause: Causes(error).to_string(),
        cure: cure.to_owned(),
    }
}

fn line(partition: Option<PartitionId>, fact: String, verdict: Verdict) -> Line {
    Line {
        step: "checkpoint".to_owned(),
        partition,
        took: Duration::ZERO,
        fact,
        extent: None,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::event::{Offset, Position, SequenceNumber};
    use crate::receiver::{LastEvent, StartPosition};

    fn after(number: i64) -> Position {
        Position {
            sequence_number: SequenceNumber(number),
            offset: Offset::new("100"),
        }
    }

    /// A partition that keeps the events from `first` to `last`, if any.
    fn holding(first: i64, last: i64) -> Extent {
        let last_event = LastEvent {
            position: after(last),
            enqueued_time: datetime!(2026-01-31 12:00 UTC),
        };
        Extent {
            first: SequenceNumber(first),
            last_number: SequenceNumber(last),
            last: (first <= last).then_some(last_event),
            asked: None,
        }
    }

    #[test]
    fn a_checkpoint_is_compared_with_what_the_partition_holds() {
        let lost = |what: &str| format!("after 9; {what}; lost_position = earliest");
        let made_anew = lost("it is beyond the last event: the hub was made anew");
        for (first, last, expected) in [
            (0, 9, "after 9, which is the last event"),
            (0, 10, "after 9, 1 event behind"),
            (10, 29, "after 9, 20 events behind"),
            (10, 9, "after 9, which is the last event"),
            (12, 29, &lost("2 events behind it are not kept any more")),
            (30, 29, &lost("20 events behind it are not kept any more")),
            (0, 4, &made_anew),
            (0, -1, &made_anew),
        ] {
            let checkpoint = Checkpoint::After(after(9));
            let (fact, verdict) =
                compare(&checkpoint, &holding(first, last), &LostPosition::Earliest);
            assert_eq!((fact.as_str(), verdict), (expected, Verdict::Passed));
        }
    }

    #[test]
    fn a_lost_place_fails_where_the_configuration_wants_to_stop() {
        let checkpoint = Checkpoint::After(after(9));
        let (_, verdict) = compare(&checkpoint, &holding(12, 29), &LostPosition::Stop);
        assert!(matches!(
            verdict,
            Verdict::Failed {
                exit: Exit::Unavailable,
                ..
            }
        ));
        let set = Checkpoint::From(StartPosition::Earliest);
        let (fact, verdict) = compare(&set, &holding(12, 29), &LostPosition::Stop);
        assert_eq!(
            (fact.as_str(), verdict),
            ("set: from earliest", Verdict::Passed)
        );
    }
}
