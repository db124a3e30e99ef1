//! `doctor`: what it says of a hub that is well, of one that is not, and with which exit code.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use crate::hub::Hub;
use crate::world::{Ended, Program, command};

fn doctor(connection_string: &str, more: &[&str]) -> Ended {
    let arguments = ["doctor"].into_iter().chain(more.iter().copied());
    let mut doctor = command(arguments);
    Program::start(doctor.env("EVENTHUB_CONNECTION_STRING", connection_string)).wait()
}

/// Checks what it says of a hub that is not well: on standard output alone, and without a secret.
#[track_caller]
fn finds(ended: &Ended, code: i32, said: &[&str]) {
    let text = ended.stdout.join("\n");
    assert_eq!(ended.status.code(), Some(code), "{text}{}", ended.stderr);
    assert_eq!(ended.stderr, "");
    for part in said {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    for secret in ["SAS_KEY_VALUE", "hunter2", "sig="] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_hub_that_is_well_is_told_so_step_by_step() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "4"]);
    let ended = doctor(&hub.connection_string(), &[]);
    finds(
        &ended,
        0,
        &["\"dataverse-events\" of 127.0.0.1 as $Default"],
    );
    let steps = &ended.stdout[1..ended.stdout.len() - 1];
    assert!(
        steps.iter().all(|step| step.starts_with("  ok  ")),
        "{steps:?}"
    );
    assert_eq!(ended.stdout.last().unwrap(), "all is well: 12 steps passed");
    let both = ["partition 1", "events 0 to 1, the last at "];
    assert!(
        steps
            .iter()
            .any(|step| both.iter().all(|part| step.contains(part)))
    );
}

#[test]
fn what_is_wrong_has_its_cause_its_cure_and_the_exit_code_of_listen() {
    let hub = Hub::start(1);
    let there = hub.connection_string();
    let wrong = there.replace("SAS_KEY_VALUE", "hunter2");
    let key = ["FAILED   token", "signature", "-> the key does not fit"];
    finds(&doctor(&wrong, &[]), 77, &key);
    let group = ["FAILED   consumer group", "-> make the consumer group"];
    finds(&doctor(&there, &["--consumer-group", "nobody"]), 69, &group);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let closed = doctor(&there, &["--endpoint", &endpoint]);
    let refused = [
        "FAILED   TCP",
        "Connection refused",
        "-> nothing listens there",
        "skipped  AMQP                        TCP has failed",
        "1 step failed, 2 passed, 7 skipped",
    ];
    finds(&closed, 69, &refused);
}

#[test]
fn a_program_gets_one_document_for_each_step() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "3"]);
    hub.emulator().withhold_listen();
    let ended = doctor(&hub.connection_string(), &["--output", "json"]);
    finds(&ended, 77, &[]);
    let parse = |line: &String| -> Value { serde_json::from_str(line).unwrap() };
    let documents: Vec<Value> = ended.stdout.iter().map(parse).collect();
    let of = |step: &str| documents.iter().find(|document| document["step"] == step);
    let partition = of("partition").unwrap();
    assert_eq!(partition["partition"], "0");
    assert_eq!(partition["status"], "passed");
    assert_eq!(partition["first_sequence_number"], 0);
    assert_eq!(partition["last_sequence_number"], 2);
    assert!(partition["last_enqueued_time"].is_string());
    let attach = of("attach").unwrap();
    assert_eq!(attach["status"], "failed");
    assert_eq!(attach["exit_code"], 77);
    assert!(attach["cause"].as_str().unwrap().contains("'Listen' claim"));
    assert!(attach["cure"].is_string());
    let group = of("consumer group").unwrap();
    assert_eq!(group["status"], "skipped");
    assert!(group["why"].is_string());
}

#[test]
fn every_hub_of_a_configuration_is_checked_and_how_far_its_checkpoints_are_behind() {
    let (hub, other) = (Hub::start(1), Hub::start(1));
    hub.simulate(["--count", "5"]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("daemon.toml");
    let state = folder.path().join("state");
    let write = |hubs: &[String]| {
        let hubs: String = hubs
            .iter()
            .map(|there| {
                format!("[[hub]]\nconnection_string = \"{there}\"\nstart = \"earliest\"\n")
            })
            .collect();
        let state = state.display();
        let text = format!(
            "{hubs}[checkpoint]\npath = \"{state}\"\n[[sink]]\nname = \"out\"\ntype = \"stdout\"\n"
        );
        fs::write(&config, text).unwrap();
    };
    let path = config.to_str().unwrap();
    write(&[hub.connection_string()]);
    let daemon = Program::start(&mut command(["run", "--config", path]));
    daemon.documents(5);
    daemon.signal("TERM");
    assert!(daemon.wait().status.success());

    hub.simulate(["--count", "2"]);
    let missing = other
        .connection_string()
        .replace("dataverse-events", "nothere");
    write(&[hub.connection_string(), missing]);
    let ended = doctor("hunter2", &["--config", path]);
    let said = [
        "\"dataverse-events\" of 127.0.0.1 as $Default",
        "after 4, 2 events behind",
        "all is well: 11 steps passed",
        "\"nothere\" of 127.0.0.1 as $Default",
        "FAILED   event hub",
    ];
    finds(&ended, 69, &said);

    let check = |there: String, expected: &str| {
        write(&[there]);
        let ended = doctor("hunter2", &["--config", path]);
        finds(&ended, 0, &["checkpoint 0", expected]);
    };
    let elsewhere = other.connection_string().replace("127.0.0.1", "localhost");
    check(elsewhere, "none: it begins at earliest");
    hub.emulator().expire(0, 7).unwrap();
    let gone = "2 events behind it are not kept any more; lost_position = earliest";
    check(hub.connection_string(), gone);
    // Checkpoints do not know of ports: this is the same hub, made anew.
    check(other.connection_string(), "the hub was made anew");
}

#[test]
fn a_daemon_that_runs_is_not_disturbed() {
    let hub = Hub::start(1);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("daemon.toml");
    let text = format!(
        "[[hub]]\nconnection_string = \"{}\"\nstart = \"earliest\"\nowner_level = 0\n\
         [checkpoint]\npath = \"{}\"\n[[sink]]\nname = \"out\"\ntype = \"stdout\"\n",
        hub.connection_string(),
        folder.path().join("state").display()
    );
    fs::write(&config, text).unwrap();
    let path = config.to_str().unwrap();
    let daemon = Program::start(&mut command(["run", "--config", path]));
    hub.simulate(["--count", "1"]);
    daemon.documents(1);
    let ended = doctor("", &["--config", path]);
    finds(&ended, 0, &["skipped  attach 0", "is left alone"]);
    hub.simulate(["--count", "1"]);
    daemon.documents(1);
    daemon.signal("TERM");
    let ended = daemon.wait();
    assert!(!ended.stderr.contains("partition lost"), "{}", ended.stderr);
}

#[test]
fn a_signal_ends_it_while_it_waits() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let there = format!(
        "Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=n;SharedAccessKey=hunter2;EntityPath=h"
    );
    let mut doctor = command(["doctor"]);
    let program = Program::start(doctor.env("EVENTHUB_CONNECTION_STRING", there));
    while !program.line().contains("TCP") {}
    // Not INT, which who runs the tests in the background has ignored.
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.signal(), Some(15), "{:?}", ended.status);
    assert_eq!(ended.stdout, [""; 0]);
}

#[test]
fn what_belongs_to_a_configuration_is_not_given_beside_it() {
    let ended = doctor("", &["--config", "/none", "--hub", "h"]);
    assert_eq!(ended.status.code(), Some(64), "{}", ended.stderr);
    let ended = doctor("", &["--config", "/none"]);
    assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
    let ended = Program::start(&mut command(["doctor"])).wait();
    assert_eq!(ended.status.code(), Some(64), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("EVENTHUB_CONNECTION_STRING"),
        "{}",
        ended.stderr
    );
}
