//! What probes answer to what is thought of the partitions.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::*;
use crate::event::{PartitionId, Source};
use crate::standing::Standing;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn report(phase: Phase, verdicts: &[Verdict]) -> Report {
    let source = Arc::new(Source {
        namespace: "ns".to_owned(),
        event_hub: "hub".to_owned(),
        consumer_group: "$Default".to_owned(),
    });
    let partitions = verdicts.iter().zip(0..).map(|(verdict, number): (_, u8)| {
        let id = PartitionId::new(&number.to_string());
        let standing = Standing::new(Arc::clone(&source), id, NOW);
        if !matches!(verdict, Verdict::Lost { .. }) {
            standing.attached(NOW);
        }
        (standing.snapshot(), verdict.clone())
    });
    Report {
        phase,
        partitions: partitions.collect(),
    }
}

fn lost(seconds: u64) -> Verdict {
    Verdict::Lost {
        since: Duration::from_secs(seconds),
        reason: Some("refused\nby x".into()),
    }
}

fn stuck() -> Verdict {
    Verdict::Stuck {
        since: Duration::from_secs(301),
        what: "its loop does not turn",
    }
}

/// How far the process is, what is thought of its partitions, and what is answered to each question.
#[test]
fn each_question_has_its_answer() {
    let is_lost = "ns/hub/$Default/0 no link for 40 s: refused by x\n";
    let is_stuck = "ns/hub/$Default/1 stuck for 301 s: its loop does not turn\n";
    for (phase, verdicts, expected) in [
        (
            Phase::Starting,
            vec![],
            ["ok\n", "starting\n", "starting\n"],
        ),
        (
            Phase::Running,
            vec![Verdict::Fine, Verdict::Held],
            ["ok\n"; 3],
        ),
        (Phase::Running, vec![Verdict::Ended, lost(29)], ["ok\n"; 3]),
        (Phase::Running, vec![lost(40)], ["ok\n", is_lost, "ok\n"]),
        (
            Phase::Running,
            vec![Verdict::Fine, stuck()],
            [is_stuck, is_stuck, "ok\n"],
        ),
        (
            Phase::Starting,
            vec![Verdict::Fine, stuck(), lost(40)],
            [
                is_stuck,
                &format!(
                    "starting; {}; ns/hub/$Default/2 no link for 40 s: refused by x\n",
                    is_stuck.trim_end()
                ),
                "starting; ns/hub/$Default/2 no link for 40 s: refused by x\n",
            ],
        ),
        (
            Phase::Stopping,
            vec![Verdict::Ended, stuck()],
            ["ok\n", &format!("stopping; {is_stuck}"), "ok\n"],
        ),
    ] {
        let report = report(phase, &verdicts);
        let answers = [Probe::Live, Probe::Ready, Probe::Startup];
        let answers = answers.map(|probe| probe.line(&report));
        assert_eq!(answers, expected, "{phase:?} {verdicts:?}");
    }
}

#[test]
fn a_hundred_reasons_are_three_and_a_number() {
    let report = report(Phase::Running, &vec![stuck(); 100]);
    let line = Probe::Live.line(&report);
    assert!(line.ends_with("; and 97 more\n"), "{line}");
    assert_eq!(line.matches("stuck").count(), 3, "{line}");
}

#[test]
fn who_asks_for_more_hears_of_every_partition() {
    let report = report(Phase::Running, &[Verdict::Fine, stuck(), lost(3)]);
    let live = "[+]running\n[+]ns/hub/$Default/0 read\n\
                [-]ns/hub/$Default/1 stuck for 301 s: its loop does not turn\n\
                [+]ns/hub/$Default/2 no link for 3 s: refused by x\nlivez check failed\n";
    assert_eq!(Probe::Live.lines(&report), live);
    let started = Probe::Startup.lines(&report);
    assert!(started.ends_with("startupz check passed\n"), "{started}");
    assert!(!started.contains("[-]"), "{started}");
}
