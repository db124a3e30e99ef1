//! The hub, or the daemon, is stopped in the middle of its work (SIGSTOP) and goes on later, as a machine that sleeps.
//!
//! The short form takes a second each and is part of `cargo test`. Longer than the idle time-outs of both engines,
//! 30 and 60 seconds:
//!
//! ```text
//! FREEZE_SECONDS=75 cargo test --test it frozen -- --nocapture
//! ```

#![expect(clippy::print_stdout, reason = "what was seen is for whoever runs it")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::emulator::Hub;
use crate::world::{File, Program, bodies, daemon, file};

const EVENTS: usize = 600;

/// Who is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Hub,
    Daemon,
}

/// For how long nothing comes before it goes on.
fn lasting() -> Duration {
    let seconds = std::env::var("FREEZE_SECONDS").ok();
    Duration::from_secs(seconds.map_or(1, |text| text.parse().expect("FREEZE_SECONDS")))
}

fn configuration(hub: &Hub, engine: &str) -> File {
    file(&format!(
        "[[hub]]\nconnection_string = \"{}\"\nengine = \"{engine}\"\n\
         [[sink]]\nname = \"out\"\ntype = \"stdout\"\n",
        hub.string
    ))
}

/// Posts so many events, which go to one partition after the other.
fn post(hub: &Hub, events: usize) {
    let bodies = bodies(".xml");
    let body = bodies.iter().find(|body| body.ends_with("a03-delete.xml"));
    let body = body.unwrap().to_str().unwrap();
    let ended = hub.run(&format!("simulate --count {events} {body}")).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
}

/// Counts an event, which must be the next one of its partition.
fn count(document: &Value, seen: &mut BTreeMap<String, i64>) {
    let partition = document["partition"].as_str().unwrap().to_owned();
    let next = seen.entry(partition).or_default();
    assert_eq!(document["sequence_number"].as_i64(), Some(*next));
    *next += 1;
}

/// Waits until the daemon has lost every partition, where that is to be expected.
fn loses_all(program: &mut Program) {
    for _ in 0..4 {
        program.says("partition lost");
    }
}

fn goes_on(engine: &str, who: Who) {
    let mut hub = Hub::start();
    post(&hub, EVENTS);
    let file = configuration(&hub, engine);
    let mut program = daemon(&file, &[]);
    let mut seen = BTreeMap::new();
    for document in program.documents(10) {
        count(&document, &mut seen);
    }
    let stopped = match who {
        Who::Hub => hub.program.id(),
        Who::Daemon => program.id(),
    };
    signal(stopped, "STOP");
    let lasting = lasting();
    for line in program.lines_until_quiet(lasting) {
        count(&serde_json::from_str(&line).unwrap(), &mut seen);
    }
    let before: i64 = seen.values().sum();
    if who == Who::Hub && lasting > Duration::from_secs(70) {
        loses_all(&mut program);
    }
    signal(stopped, "CONT");
    for document in program.documents(EVENTS - usize::try_from(before).unwrap()) {
        count(&document, &mut seen);
    }
    hub.obeys("receivers", "done: receivers: 1 1 1 1");
    post(&hub, 40);
    for document in program.documents(40) {
        count(&document, &mut seen);
    }
    hub.obeys("receivers", "done: receivers: 1 1 1 1");
    assert_eq!(seen.into_values().sum::<i64>(), EVENTS as i64 + 40);
    program.signal("TERM");
    let ended = program.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout.is_empty(), "nothing twice: {:?}", ended.stdout);
    println!(
        "{engine}, the {who:?} stopped for {lasting:?} after {before} of {EVENTS} events: each came once, over one \
         link to each partition"
    );
}

fn signal(process: u32, name: &str) {
    let kill = format!("kill -{name} {process}");
    let sent = std::process::Command::new("sh")
        .args(["-c", &kill])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_hub_that_was_frozen_is_read_on() {
    goes_on("own", Who::Hub);
}

#[test]
fn a_hub_that_was_frozen_is_read_on_by_the_other_engine() {
    goes_on("fe2o3", Who::Hub);
}

#[test]
fn a_daemon_that_was_frozen_reads_on() {
    goes_on("own", Who::Daemon);
}

#[test]
fn a_daemon_that_was_frozen_reads_on_with_the_other_engine() {
    goes_on("fe2o3", Who::Daemon);
}
