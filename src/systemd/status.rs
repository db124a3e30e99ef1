//! The one line that `systemctl status` shows. Numbers only: what peers say does not get there.

use time::{Duration, OffsetDateTime};

use crate::health::{Phase, Report, Verdict};

/// What the process does, and how far behind it is.
pub(super) fn of(report: &Report, now: OffsetDateTime) -> String {
    match report.phase {
        Phase::Starting => starting(report),
        Phase::Running => running(report, now),
        Phase::Stopping => "stopping: delivering what was received".to_owned(),
    }
}

fn starting(report: &Report) -> String {
    let all = report.partitions.len();
    if all == 0 {
        return "starting: asking for the partitions of the event hubs".to_owned();
    }
    let open = count(report, |it| matches!(it, Verdict::Fine | Verdict::Held));
    format!("starting: {open} of {all} known partitions open")
}

fn running(report: &Report, now: OffsetDateTime) -> String {
    let ended = count(report, |it| *it == Verdict::Ended);
    let all = report.partitions.len() - ended;
    let mut text = format!("{all} partition{}, ", plural(all as u64));
    match report.behind() {
        Some(behind) => text += &format!("{behind} event{} behind", plural(behind)),
        None => text += "not known how far behind",
    }
    let oldest = report
        .partitions
        .iter()
        .map(|(one, _)| one.time_behind(now));
    match oldest.flatten().max() {
        Some(oldest) if report.behind() != Some(0) => text += &format!(", oldest {}", age(oldest)),
        _ => {}
    }
    let troubles = [
        (
            "without a link",
            count(report, |it| matches!(it, Verdict::Lost { .. })),
        ),
        (
            "held up by a sink",
            count(report, |it| *it == Verdict::Held),
        ),
        (
            "stuck",
            count(report, |it| matches!(it, Verdict::Stuck { .. })),
        ),
    ];
    let mut mark = ';';
    for (trouble, count) in troubles.iter().filter(|(_, count)| *count > 0) {
        text += &format!("{mark} {count} {trouble}");
        mark = ',';
    }
    text
}

fn count(report: &Report, is: impl Fn(&Verdict) -> bool) -> usize {
    let verdicts = report.partitions.iter().map(|(_, verdict)| verdict);
    verdicts.filter(|verdict| is(verdict)).count()
}

fn plural(count: u64) -> &'static str {
    match count {
        1 => "",
        _ => "s",
    }
}

/// In a unit in which it has at least two of something.
fn age(age: Duration) -> String {
    match age.whole_seconds() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::event::SequenceNumber;
    use crate::standing::{LastEnqueued, Mark, Standing, samples};

    const NOW: OffsetDateTime = datetime!(2026-01-31 12:00 UTC);

    fn standing() -> Standing {
        samples::standing("hub", "0", NOW)
    }

    /// The partition got its first event so long ago, and there are so many; none was delivered.
    fn behind(events: i64, seconds: i64) -> Standing {
        let standing = standing();
        let first = Mark {
            sequence_number: SequenceNumber(0),
            enqueued_time: NOW - Duration::seconds(seconds),
        };
        let mark = Mark {
            sequence_number: SequenceNumber(events - 1),
            enqueued_time: NOW,
        };
        standing.received(first, Some(LastEnqueued { mark, as_of: NOW }));
        standing.took_in(first);
        standing
    }

    fn drained() -> Standing {
        let standing = standing();
        standing.asked(None, true, NOW);
        standing
    }

    #[track_caller]
    fn check(phase: Phase, partitions: Vec<(Standing, Verdict)>, expected: &str) {
        let report = Report {
            phase,
            partitions: partitions
                .into_iter()
                .map(|(standing, verdict)| (standing.snapshot(), verdict))
                .collect(),
        };
        assert_eq!(of(&report, NOW), expected);
    }

    fn lost() -> Verdict {
        Verdict::Lost {
            since: Default::default(),
            reason: Some("what a peer says".into()),
        }
    }

    fn stuck() -> Verdict {
        Verdict::Stuck {
            since: Default::default(),
            what: "its loop does not turn",
        }
    }

    #[test]
    fn it_says_what_it_waits_for_and_how_far_behind_it_is() {
        use Phase::{Running, Starting, Stopping};
        use Verdict::{Ended, Fine, Held};
        check(
            Starting,
            vec![],
            "starting: asking for the partitions of the event hubs",
        );
        check(
            Starting,
            vec![(standing(), Fine), (standing(), lost())],
            "starting: 1 of 2 known partitions open",
        );
        check(
            Running,
            vec![(drained(), Fine), (drained(), Fine)],
            "2 partitions, 0 events behind",
        );
        check(
            Running,
            vec![(behind(1, 3), Fine)],
            "1 partition, 1 event behind, oldest 3 s",
        );
        check(
            Running,
            vec![(behind(2, 7_000), Held), (behind(10, 130), Fine)],
            "2 partitions, 12 events behind, oldest 116 min; 1 held up by a sink",
        );
        check(
            Running,
            vec![(standing(), lost()), (behind(9, 180_000), stuck())],
            "2 partitions, not known how far behind, oldest 2 days; 1 without a link, 1 stuck",
        );
        check(
            Running,
            vec![(drained(), Ended), (behind(2, 9_000), Fine)],
            "1 partition, 2 events behind, oldest 2 h",
        );
        check(
            Stopping,
            vec![(behind(2, 9), Fine)],
            "stopping: delivering what was received",
        );
    }
}
