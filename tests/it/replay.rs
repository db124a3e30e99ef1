//! `replay`: what it delivers once more, where it ends, and what it leaves alone.

use serde_json::Value;

use crate::hub::Hub;
use crate::world::{Ended, File, Program, command, file};

const CONSOLE: &str = "[[sink]]\nname = \"console\"\ntype = \"stdout\"\n";

fn configuration(hub: &Hub, more: &str) -> File {
    file(&format!(
        "[[hub]]\nconnection_string = \"{}\"\n{CONSOLE}{more}",
        hub.connection_string()
    ))
}

fn replay(file: &File, arguments: &[&str]) -> Ended {
    let mut replay = command(["replay", "--config", file.path.to_str().unwrap()]);
    Program::start(replay.args(["--sink", "console"]).args(arguments)).wait()
}

/// Partition and number of what came out.
fn places(ended: &Ended) -> Vec<(String, i64)> {
    let documents = ended.stdout.iter();
    let mut places: Vec<_> = documents
        .map(|line| {
            let document: Value = serde_json::from_str(line).unwrap();
            assert_eq!(document["replay"], true, "{line}");
            (
                document["partition"].as_str().unwrap().to_owned(),
                document["sequence_number"].as_i64().unwrap(),
            )
        })
        .collect();
    places.sort();
    places
}

#[track_caller]
fn check(ended: &Ended, code: i32, said: &str) {
    assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn a_stretch_is_delivered_and_then_it_ends() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "40"]);
    let file = configuration(&hub, "");
    for (arguments, expected) in [
        (vec!["--from", "earliest"], 0..20),
        (vec!["--from", "sequence:5", "--to", "sequence:9"], 5..10),
        (
            vec!["--from", "sequence:18", "--to", "sequence:900"],
            18..20,
        ),
        (vec!["--from", "-1h"], 0..20),
        (vec!["--from", "sequence:20"], 0..0),
        (vec!["--from", "earliest", "--to", "-1h"], 0..0),
        (vec!["--from", "latest"], 0..0),
    ] {
        let ended = replay(&file, &arguments);
        check(&ended, 0, "delivered to \"console\"");
        let all = ["0", "1"].into_iter().flat_map(|partition| {
            expected
                .clone()
                .map(move |number| (partition.to_owned(), number))
        });
        assert_eq!(places(&ended), all.collect::<Vec<_>>(), "{arguments:?}");
    }
}

#[test]
fn only_what_matches_is_delivered() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "200", "--seed", "5"]);
    let file = configuration(&hub, "");
    let ended = replay(
        &file,
        &[
            "--from",
            "earliest",
            "--where",
            "message=Update,table=account",
        ],
    );
    check(&ended, 0, "200 events read");
    assert!(ended.stdout.len() > 3 && ended.stdout.len() < 100);
    for line in &ended.stdout {
        let document: Value = serde_json::from_str(line).unwrap();
        assert_eq!(document["context"]["PrimaryEntityName"], "account");
    }
    let wrong = replay(&file, &["--from", "earliest", "--where", "tabel=x"]);
    check(&wrong, 64, "did you mean table?");
}

#[test]
fn the_checkpoints_of_the_daemon_are_left_alone() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "10"]);
    let folder = tempfile::tempdir().unwrap();
    let file = configuration(
        &hub,
        &format!("[checkpoint]\npath = \"{}\"\n", folder.path().display()),
    );
    let run = |file: &File| {
        Program::start(&mut command([
            "run",
            "--config",
            file.path.to_str().unwrap(),
        ]))
    };
    let daemon = run(&file);
    assert_eq!(daemon.documents(10).len(), 10);
    let ended = replay(&file, &["--from", "sequence:3", "--to", "sequence:4"]);
    assert_eq!(places(&ended).len(), 2);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().status.code(), Some(0));
    hub.simulate(["--count", "1"]);
    let next = run(&file).documents(1);
    assert_eq!(next[0]["sequence_number"], 10);
}

#[test]
fn what_the_sink_refuses_is_told_and_passed_over() {
    let hub = Hub::start(1);
    let garbage = file("no context");
    let path = garbage.path.to_str().unwrap();
    hub.simulate([path]);
    let file = file(&format!(
        "[[hub]]\nconnection_string = \"{}\"\n{CONSOLE}body = \"context\"\n",
        hub.connection_string()
    ));
    let passed_over = replay(&file, &["--from", "earliest"]);
    check(&passed_over, 0, "1 event read, 0 delivered");
    let refused = replay(
        &file,
        &["--from", "earliest", "--where", "undecodable=true"],
    );
    check(&refused, 65, "1 refused");
}

#[test]
fn a_sink_that_there_is_not_is_told() {
    let hub = Hub::start(1);
    let file = configuration(&hub, "");
    let mut wrong = command(["replay", "--config", file.path.to_str().unwrap()]);
    let ended = Program::start(wrong.args(["--sink", "consle", "--from", "earliest"])).wait();
    check(&ended, 64, "did you mean \"console\"?");
}
