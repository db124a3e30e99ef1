//! Files of dead letters and what becomes of their lines.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::sink::{Delivery, DeliveryError, Queue, Sink, SinkConfig};

/// What a sink does with the event of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Accept,
    Refuse,
    Fail,
    Close,
}

/// A sink that notes the numbers of what it accepts.
#[derive(Debug, Clone)]
struct Noting {
    seen: watch::Sender<Vec<i64>>,
    answer: fn(i64) -> Answer,
}

impl SinkConfig for Noting {
    fn start(self: Box<Self>, queue: Queue) -> io::Result<SinkWorker> {
        Ok(sink::spawn(*self, queue))
    }
}

impl Sink for Noting {
    async fn deliver(&mut self, messages: &[Delivery]) -> sink::Progress {
        for (accepted, delivery) in messages.iter().enumerate() {
            let number = delivery.message().event.sequence_number.0;
            let error = match (self.answer)(number) {
                Answer::Accept => {
                    self.seen.send_modify(|seen| seen.push(number));
                    continue;
                }
                Answer::Refuse => DeliveryError::Refused("the server answered 422".to_owned()),
                Answer::Fail => DeliveryError::Unavailable(io::Error::other("it is away")),
                Answer::Close => DeliveryError::Closed,
            };
            let error = Some(error);
            return sink::Progress { accepted, error };
        }
        sink::Progress {
            accepted: messages.len(),
            error: None,
        }
    }
}

/// A dead-letter file, and the sinks that its lines go to.
struct World {
    folder: TempDir,
    shutdown: Shutdown,
    choice: fn() -> Choice,
}

impl World {
    fn new(text: &str) -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            shutdown: Shutdown::new(Duration::ZERO),
            choice: Choice::default,
        };
        fs::write(world.file(), text).unwrap();
        world
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("dead.ndjson")
    }

    fn redrive(&self, answer: fn(i64) -> Answer) -> (Redrive, watch::Receiver<Vec<i64>>) {
        let (noted, seen) = watch::channel(Vec::new());
        let sink = sink::Config {
            name: "crm".to_owned(),
            type_name: "scripted",
            queue: QueueLimit::default(),
            kind: Box::new(Noting {
                seen: noted,
                answer,
            }),
            fingerprint: Default::default(),
        };
        let redrive = Redrive {
            file: self.file(),
            sink,
            choice: (self.choice)(),
            decode: Default::default(),
        };
        (redrive, seen)
    }

    /// What a sink that answers so has got, and what is said of it.
    async fn run(&self, answer: fn(i64) -> Answer) -> (Vec<i64>, Result<Summary, RedriveError>) {
        let (redrive, seen) = self.redrive(answer);
        let outcome = redrive.run(&self.shutdown).await;
        let seen = seen.borrow().clone();
        (seen, outcome)
    }

    /// The same, of a run that stops with `stop` events accepted.
    async fn run_until(&self, stop: usize, answer: fn(i64) -> Answer) -> Summary {
        let (redrive, mut seen) = self.redrive(answer);
        let running = redrive.run(&self.shutdown);
        let stopping = async {
            seen.wait_for(|seen| seen.len() >= stop).await.unwrap();
            self.shutdown.stop();
        };
        let (outcome, ()) = tokio::join!(running, stopping);
        outcome.unwrap()
    }

    /// The lines that are done, as it is kept.
    fn done(&self) -> Option<u64> {
        let text = fs::read(progress::path_for(&self.file())).ok()?;
        let document: Value = serde_json::from_slice(&text).unwrap();
        document["redriven"][0]["lines"].as_u64()
    }

    fn refused(&self) -> String {
        fs::read_to_string(refusals::path_for(&self.file())).unwrap_or_default()
    }
}

/// The dead letter of the event with this number, refused by this sink.
fn dead(number: i64, sink: &str) -> String {
    let document = json!({
        "namespace": "contoso.servicebus.windows.net", "event_hub": "events",
        "consumer_group": "$Default", "partition": "0", "sequence_number": number,
        "offset": number.to_string(), "enqueued_time": "2026-01-31T12:00:00Z", "properties": {},
        "undecodable": {"format": null, "reason": "?", "body": "Pw=="},
        "dead_letter": {"sink": sink, "reason": "it was wrong", "time": "2026-01-31T12:00:00Z", "body": "Pw=="},
    });
    format!("{document}\n")
}

fn file(numbers: std::ops::Range<i64>) -> String {
    numbers.map(|number| dead(number, "crm")).collect()
}

fn accept(_: i64) -> Answer {
    Answer::Accept
}

#[tokio::test]
async fn everything_is_delivered_in_order_and_only_once() {
    let world = World::new(&file(0..1000));
    let (seen, outcome) = world.run(accept).await;
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    let expected = Summary {
        delivered: 1000,
        is_complete: true,
        ..Summary::default()
    };
    assert_eq!(outcome.unwrap(), expected);
    assert_eq!((world.done(), world.refused()), (Some(1000), String::new()));
    let (seen, outcome) = world.run(accept).await;
    assert!(seen.is_empty());
    let summary = outcome.unwrap();
    assert_eq!(
        (summary.before, summary.delivered, summary.is_complete),
        (1000, 0, true)
    );
}

#[tokio::test]
async fn what_is_refused_or_damaged_is_kept_and_can_be_redriven() {
    let lines = [
        &dead(0, "crm"),
        "hunter2\n",
        "\n",
        &dead(1, "crm"),
        "{\"a\":1}\n",
        &dead(2, "crm"),
    ];
    let world = World::new(&lines.concat());
    let (seen, outcome) = world
        .run(|number| {
            if number == 1 {
                Answer::Refuse
            } else {
                Answer::Accept
            }
        })
        .await;
    let summary = outcome.unwrap();
    assert_eq!(seen, [0, 2]);
    assert_eq!(
        (summary.delivered, summary.refused, summary.damaged),
        (2, 1, 2)
    );
    assert!(summary.is_complete);
    assert_eq!(world.done(), Some(6));
    let mut refused: Vec<String> = world.refused().lines().map(str::to_owned).collect();
    refused.sort();
    assert_eq!(refused[0], "hunter2");
    assert_eq!(refused[1], "{\"a\":1}");
    let again: Value = serde_json::from_str(&refused[2]).unwrap();
    assert_eq!(again["dead_letter"]["reason"], "the server answered 422");
    assert_eq!(again["dead_letter"]["body"], "Pw==");

    let world = World::new(&world.refused());
    let (seen, outcome) = world.run(accept).await;
    assert_eq!((seen, outcome.unwrap().damaged), (vec![1], 2));
}

#[tokio::test]
async fn a_run_that_was_stopped_goes_on_behind_what_is_done() {
    let world = World::new(&file(0..10));
    let fails = |number| {
        if number == 4 {
            Answer::Fail
        } else {
            Answer::Accept
        }
    };
    let summary = world.run_until(4, fails).await;
    assert_eq!((summary.delivered, summary.is_complete), (4, false));
    assert_eq!(world.done(), Some(4));
    let next = World {
        shutdown: Shutdown::new(Duration::ZERO),
        ..world
    };
    let (seen, outcome) = next.run(accept).await;
    assert_eq!(seen, (4..10).collect::<Vec<_>>());
    assert_eq!(outcome.unwrap().before, 4);
}

#[tokio::test]
async fn a_sink_that_closes_ends_it_and_leaves_the_rest() {
    let world = World::new(&file(0..5000));
    let closes = |number| {
        if number == 3 {
            Answer::Close
        } else {
            Answer::Accept
        }
    };
    let (seen, outcome) = world.run(closes).await;
    let summary = outcome.unwrap();
    assert_eq!(seen, [0, 1, 2]);
    assert!(summary.is_closed && !summary.is_complete);
    assert_eq!(world.done(), Some(3));
}

#[tokio::test]
async fn every_choice_of_lines_has_a_place_of_its_own() {
    let text = [dead(0, "crm"), dead(1, "erp"), dead(2, "crm")].concat();
    let mut world = World::new(&text);
    world.choice = || Choice {
        refused_by: Some("erp".to_owned()),
        condition: None,
    };
    let (seen, outcome) = world.run(accept).await;
    assert_eq!((seen, outcome.unwrap().left_out), (vec![1], 2));
    world.choice = || Choice {
        refused_by: None,
        condition: Some(Condition::new("number=2", |message| {
            message.event.sequence_number.0 == 2
        })),
    };
    let (seen, _) = world.run(accept).await;
    assert_eq!(seen, [2]);
    let (seen, outcome) = world.run(accept).await;
    assert_eq!((seen, outcome.unwrap().before), (vec![], 3));
    world.choice = Choice::default;
    let (seen, _) = world.run(accept).await;
    assert_eq!(seen, [0, 1, 2]);
}

#[tokio::test]
async fn a_file_with_other_lines_is_not_taken_for_the_one_that_was_redriven() {
    let world = World::new(&file(0..4));
    world.run(accept).await.1.unwrap();
    for text in [
        file(1..5),
        file(0..3),
        file(0..4).replacen("wrong", "weird", 1),
    ] {
        fs::write(world.file(), text).unwrap();
        let (seen, outcome) = world.run(accept).await;
        assert!(seen.is_empty());
        let error = outcome.unwrap_err().to_string();
        assert!(
            error.contains("remove ") && error.contains(".redriven"),
            "{error}"
        );
    }
    // More lines behind those are what is left to do.
    fs::write(world.file(), file(0..6)).unwrap();
    assert_eq!(world.run(accept).await.0, [4, 5]);
}

#[tokio::test]
async fn a_last_line_that_is_not_at_its_end_waits_for_it() {
    let whole = file(0..2);
    let world = World::new(&whole[..whole.len() - 10]);
    let (seen, outcome) = world.run(accept).await;
    let summary = outcome.unwrap();
    assert_eq!((seen, summary.unfinished), (vec![0], Some(2)));
    assert_eq!((world.done(), world.refused()), (Some(1), String::new()));
    // Only the line feed is missing: it is whole.
    fs::write(world.file(), whole.trim_end()).unwrap();
    assert_eq!(world.run(accept).await.0, [1]);
    fs::write(world.file(), file(0..3)).unwrap();
    assert_eq!(world.run(accept).await.0, [2]);
}

#[tokio::test]
async fn progress_that_cannot_be_kept_is_an_error_and_repeats_at_worst() {
    let world = World::new(&file(0..3));
    let obstacle = durable_draft(&world);
    fs::create_dir(&obstacle).unwrap();
    let (seen, outcome) = world.run(accept).await;
    assert_eq!(seen.len(), 3);
    let error = outcome.unwrap_err();
    assert!(matches!(error, RedriveError::Write { .. }), "{error:?}");
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(world.run(accept).await.0, [0, 1, 2]);
}

fn durable_draft(world: &World) -> PathBuf {
    let progress = progress::path_for(&world.file());
    crate::durable::beside(&progress, crate::durable::DRAFT)
}

#[tokio::test]
async fn what_is_refused_and_cannot_be_kept_is_not_done() {
    let world = World::new(&file(0..3));
    fs::create_dir(refusals::path_for(&world.file())).unwrap();
    let refuses = |number| {
        if number == 1 {
            Answer::Refuse
        } else {
            Answer::Accept
        }
    };
    let summary = world.run_until(2, refuses).await;
    assert!(!summary.is_complete);
    assert_eq!(world.done(), Some(1));

    let world = World::new("damaged\n");
    fs::create_dir(refusals::path_for(&world.file())).unwrap();
    let error = world.run(accept).await.1.unwrap_err();
    assert!(matches!(error, RedriveError::Write { .. }), "{error:?}");
    assert_eq!(world.done(), None);
}

#[tokio::test]
async fn only_one_at_a_time_redrives_a_file() {
    let world = World::new(&file(0..1));
    let held = lock(&world.file()).unwrap();
    let error = world.run(accept).await.1.unwrap_err();
    assert!(matches!(error, RedriveError::InUse { .. }), "{error:?}");
    drop(held);
    assert_eq!(world.run(accept).await.0, [0]);
}

#[test]
fn whoever_still_reads_a_file_does_not_keep_it_locked() {
    let world = World::new(&file(0..1));
    let (held, reading) = lock(&world.file()).unwrap();
    drop(held);
    lock(&world.file()).unwrap();
    drop(reading);
}

#[tokio::test]
async fn an_archive_that_is_cut_is_delivered_as_far_as_it_goes() {
    let world = World::new("");
    let whole = zstd::encode_all(file(0..5000).as_bytes(), 0).unwrap();
    let archive = world.folder.path().join("dead.ndjson.zst");
    fs::write(&archive, &whole[..whole.len() - 20]).unwrap();
    let (mut redrive, seen) = world.redrive(accept);
    redrive.file.clone_from(&archive);
    let error = redrive.run(&world.shutdown).await.unwrap_err();
    let delivered = seen.borrow().len();
    let RedriveError::Read { line, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(line, delivered as u64 + 1);
    fs::write(&archive, whole).unwrap();
    let (mut redrive, seen) = world.redrive(accept);
    redrive.file = archive;
    redrive.run(&world.shutdown).await.unwrap();
    assert_eq!(seen.borrow().len() + delivered, 5000);
}

#[test]
fn a_rehearsal_looks_and_leaves_nothing() {
    let world = World::new(&[&dead(0, "crm"), "damaged\n", &dead(1, "crm")].concat());
    let mut lines = Vec::new();
    let (redrive, _) = world.redrive(accept);
    let summary = redrive
        .rehearse(|found| {
            lines.push(found.line);
            Ok(())
        })
        .unwrap();
    assert_eq!(lines, [1, 2, 3]);
    assert_eq!((summary.delivered, summary.damaged), (2, 1));
    assert_eq!(fs::read_dir(world.folder.path()).unwrap().count(), 1);
}
