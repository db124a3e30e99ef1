//! What is thought of a partition, after what was seen of it.

use time::OffsetDateTime;

use super::*;
use crate::event::SequenceNumber;
use crate::standing::{LastEnqueued, LossKind, Mark, Standing, samples};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn standing() -> Standing {
    samples::standing("hub", "0", NOW)
}

/// An event came, and the service had so many then.
fn receive(standing: &Standing, number: i64, last: i64) {
    let [event, mark] = [number, last].map(|number| Mark {
        sequence_number: SequenceNumber(number),
        enqueued_time: NOW,
    });
    standing.received(event, Some(LastEnqueued { mark, as_of: NOW }));
}

/// The service was asked and has had so many events; whether all that is wanted of them has come.
fn ask(standing: &Standing, last: i64, is_drained: bool) {
    let last = Mark {
        sequence_number: SequenceNumber(last),
        enqueued_time: NOW,
    };
    standing.asked(Some(last), is_drained, NOW);
}

/// What is thought of it after `seconds`, when `each` happened every five of them.
fn after(standing: &Standing, seconds: u64, each: impl Fn(&Standing)) -> Report {
    let mut health = Health::new(Config::default());
    let look = |health: &mut Health, second| {
        let now = Duration::from_secs(second);
        health.look(Phase::Running, vec![standing.snapshot()], now)
    };
    for second in (0..seconds).step_by(5) {
        look(&mut health, second);
        each(standing);
    }
    look(&mut health, seconds)
}

type Step = fn(&Standing);

/// What happened, what happens every five seconds for ten minutes, what is thought of it then, and whether the process
/// is live and ready.
const TABLE: &[(&str, Step, Step, &str, bool, bool)] = &[
    (
        "nothing comes, and nothing is to come",
        |it| it.attached(NOW),
        |it| it.beat(true),
        "read",
        true,
        true,
    ),
    (
        "a backlog is being read",
        |it| it.attached(NOW),
        |it| {
            receive(
                it,
                it.snapshot().received.map_or(0, |last| last.0 + 1),
                10_000,
            )
        },
        "read",
        true,
        true,
    ),
    (
        "the loop does not turn",
        |it| it.attached(NOW),
        |_| {},
        "stuck for 600 s: its loop does not turn",
        false,
        false,
    ),
    (
        "what the service has does not come",
        |it| {
            it.attached(NOW);
            receive(it, 3, 9);
        },
        |it| it.beat(true),
        "stuck for 600 s: the service has events that do not come",
        false,
        false,
    ),
    (
        "it goes on after a checkpoint, behind which there is nothing",
        |it| {
            it.goes_on_after(SequenceNumber(9));
            it.attached(NOW);
            ask(it, 9, true);
        },
        |it| it.beat(true),
        "read",
        true,
        true,
    ),
    (
        "it goes on after a checkpoint, and what lies behind that does not come",
        |it| {
            it.goes_on_after(SequenceNumber(9));
            it.attached(NOW);
            ask(it, 12, false);
        },
        |it| it.beat(true),
        "stuck for 600 s: the service has events that do not come",
        false,
        false,
    ),
    (
        "a sink has not taken what was received",
        |it| {
            it.attached(NOW);
            receive(it, 3, 9);
            it.beat(false);
        },
        |it| it.beat(false),
        "held up by a sink",
        true,
        true,
    ),
    (
        "the service is away, and is tried again and again",
        |_| {},
        |it| {
            it.connecting(NOW);
            it.waits(LossKind::Unreachable, "connection refused", NOW);
        },
        "no link for 600 s: connection refused",
        true,
        false,
    ),
    (
        "opening the link neither succeeds nor fails",
        |it| it.connecting(NOW),
        |_| {},
        "stuck for 600 s: its link is being opened and neither opens nor fails",
        false,
        false,
    ),
    (
        "it is read to its end",
        |it| it.ended(None, NOW),
        |_| {},
        "not read any more",
        true,
        true,
    ),
];

#[test]
fn a_partition_is_judged_by_its_progress() {
    for (what, begin, each, expected, is_live, is_ready) in TABLE {
        let standing = standing();
        begin(&standing);
        let report = after(&standing, 600, each);
        let (_, verdict) = &report.partitions[0];
        assert_eq!(verdict.to_string(), *expected, "{what}");
        assert_eq!(report.is_live(), *is_live, "{what}");
        assert_eq!(report.is_ready(), *is_ready, "{what}");
    }
}

#[test]
fn a_link_that_was_only_just_lost_is_no_reason_to_be_unready() {
    let standing = standing();
    standing.waits(LossKind::Detached, "idle", NOW);
    assert!(after(&standing, 25, |_| ()).is_ready());
    assert!(!after(&standing, 30, |_| ()).is_ready());
}

#[test]
fn who_was_stopped_together_with_everything_has_its_time_anew() {
    let standing = standing();
    standing.attached(NOW);
    let mut health = Health::new(Config::default());
    let mut verdicts = Vec::new();
    for second in [0, 1000, 1299, 1300] {
        let now = Duration::from_secs(second);
        let report = health.look(Phase::Running, vec![standing.snapshot()], now);
        verdicts.push(report.is_live());
    }
    // Nobody looked from 1000 to 1299.
    assert_eq!(verdicts, [true, true, true, true]);
}

#[test]
fn who_stops_is_live_and_not_ready() {
    let standing = standing();
    standing.attached(NOW);
    let mut health = Health::new(Config::default());
    let mut report = None;
    for second in 0..400 {
        let now = Duration::from_secs(second);
        report = Some(health.look(Phase::Stopping, vec![standing.snapshot()], now));
    }
    let report = report.unwrap();
    assert!(report.is_live() && report.is_started() && !report.is_ready());
}

#[test]
fn patience_has_a_least() {
    for (toml, is_good) in [
        ("", true),
        ("stuck_after = \"10s\"", true),
        ("stuck_after = \"9s\"", false),
    ] {
        let (_, mistakes) = Config::read(Settings::of_toml("health", toml));
        assert_eq!(mistakes.is_empty(), is_good, "{toml}: {mistakes:?}");
    }
}
