//! What is printed of the events of a hub: completeness, order, positions, formats.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::hub::Hub;
use crate::world::{Program, bodies, command};

/// The sequence numbers by partition, in the order printed.
fn by_partition(documents: &[Value]) -> BTreeMap<String, Vec<i64>> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for document in documents {
        let partition = document["partition"].as_str().unwrap().to_owned();
        found
            .entry(partition)
            .or_default()
            .push(document["sequence_number"].as_i64().unwrap());
    }
    found
}

#[test]
fn every_event_is_printed_once_and_in_order_per_partition() {
    let hub = Hub::start(4);
    hub.simulate(["--count", "400", "--seed", "7"]);
    let program = hub.program(["listen", "--from", "earliest", "--events", "400"]);
    let documents = program.documents(400);
    let ended = program.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout.is_empty());
    let found = by_partition(&documents);
    assert_eq!(found.len(), 4);
    for (partition, numbers) in found {
        let expected: Vec<i64> = (0..i64::try_from(numbers.len()).unwrap()).collect();
        assert_eq!(numbers, expected, "partition {partition}");
    }
    assert!(
        documents
            .iter()
            .all(|document| document["context"]["MessageName"].is_string())
    );
}

#[test]
fn strings_that_bodies_name_by_number_are_given_on_the_command_line() {
    let hub = Hub::start(1);
    let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus/odd");
    let body = odd.join("x11-static-dictionary.bin");
    let strings = odd.join("x11-static-dictionary.strings.txt");
    hub.simulate([body.to_str().unwrap()]);
    let listen = ["listen", "--from", "earliest", "--events", "1"];
    let given = ["--dictionary", strings.to_str().unwrap()];
    let arguments = listen.iter().chain(&given).copied();
    let shown = hub.program(arguments).documents(1).remove(0);
    assert_eq!(shown["context"]["MessageName"], "Update");

    let absent = ["--dictionary", "absent.txt"];
    let ended = hub.program(listen.iter().chain(&absent).copied()).wait();
    assert_eq!(ended.status.code(), Some(66), "{}", ended.stderr);
    let told = "cannot read the strings in absent.txt";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[test]
fn what_listen_prints_of_a_body_is_what_decode_prints() {
    let hub = Hub::start(1);
    let files: Vec<_> = bodies(".json").into_iter().chain(bodies(".xml")).collect();
    let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    hub.simulate(names.iter().copied());
    let count = names.len().to_string();
    let listened = hub
        .program(["listen", "--from", "earliest", "--events", &count])
        .documents(files.len());
    let decoded = Program::start(&mut command(
        ["decode"].into_iter().chain(names.iter().copied()),
    ))
    .documents(files.len());
    for ((name, listened), decoded) in names.iter().zip(&listened).zip(&decoded) {
        assert_eq!(&listened["context"], decoded, "{name}");
    }
}

#[test]
fn the_original_format_prints_the_bytes_that_were_posted() {
    let hub = Hub::start(1);
    let file = bodies(".xml").remove(0);
    hub.simulate([file.to_str().unwrap()]);
    let ended = hub
        .program([
            "listen", "--from", "earliest", "--format", "original", "--events", "1",
        ])
        .wait();
    assert_eq!(
        ended.stdout.join("\n"),
        std::fs::read_to_string(&file)
            .unwrap()
            .trim_end_matches('\n')
    );
}

#[test]
fn an_undecodable_body_is_printed_with_its_bytes_and_the_reason() {
    let hub = Hub::start(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, "\u{1b}[31mno context").unwrap();
    hub.simulate([file.to_str().unwrap()]);
    let document = hub
        .program(["listen", "--from", "earliest", "--events", "1"])
        .documents(1)
        .remove(0);
    assert_eq!(document["undecodable"]["body"], "G1szMW1ubyBjb250ZXh0");
    assert!(document["undecodable"]["reason"].is_string());
    assert_eq!(document.get("context"), None);
    let pretty = hub
        .program([
            "listen", "--from", "earliest", "--events", "1", "--format", "pretty",
        ])
        .wait()
        .stdout;
    assert!(pretty[0].contains("UNDECODABLE"), "{pretty:?}");
    assert!(
        !pretty.concat().contains('\u{1b}'),
        "an event must not colour the terminal: {pretty:?}"
    );
}

#[test]
fn listening_begins_where_it_is_told_to() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "20"]);
    let all = hub
        .program(["listen", "--from", "earliest", "--events", "20"])
        .documents(20);
    let offset = format!("offset:{}", all[9]["offset"].as_str().unwrap());
    let time = format!("time:{}", all[0]["enqueued_time"].as_str().unwrap());
    for (from, first) in [
        ("earliest", 0),
        ("sequence:5", 5),
        (offset.as_str(), 10),
        (time.as_str(), 0),
        ("-1h", 0),
    ] {
        let document = hub
            .program(["listen", "--from", from, "--events", "1"])
            .documents(1)
            .remove(0);
        assert_eq!(document["sequence_number"], first, "{from}");
    }
}

#[test]
fn latest_is_what_arrives_from_now_on() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "10"]);
    let mut program = hub.program(["listen", "--events", "10"]);
    program.says("listening to");
    hub.simulate(["--count", "10"]);
    let documents = program.documents(10);
    let found = by_partition(&documents);
    assert_eq!(
        found.values().collect::<Vec<_>>(),
        [&[5, 6, 7, 8, 9], &[5, 6, 7, 8, 9]]
    );
}

#[test]
fn only_the_partitions_that_were_named_are_read() {
    let hub = Hub::start(4);
    hub.simulate(["--count", "40"]);
    let documents = hub
        .program([
            "listen",
            "--from",
            "earliest",
            "--partition",
            "1",
            "--partition",
            "3",
            "--events",
            "20",
        ])
        .documents(20);
    assert_eq!(
        by_partition(&documents).into_keys().collect::<Vec<_>>(),
        ["1", "3"]
    );
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "5000", "--seed", "2"]);
    let said = hub.program(["listen", "--from", "earliest"]).hang_up();
    assert_eq!(
        said.lines().count(),
        1,
        "nothing after the line that says where it listens: {said}"
    );
}

#[test]
fn colour_is_for_terminals_and_no_color_is_honoured() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "3"]);
    for (no_color, is_colored) in [(None, true), (Some("1"), false)] {
        let mut listen = command(["listen", "--from", "earliest", "--events", "3"]);
        listen.env("EVENTHUB_CONNECTION_STRING", hub.connection_string());
        listen.envs(no_color.map(|value| ("NO_COLOR", value)));
        let ended = Program::start_on_terminal(listen).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        let shown = ended.stdout.concat();
        assert!(shown.contains("[partition 0 #2]"), "{shown}");
        assert_eq!(shown.contains("\x1b["), is_colored, "{shown}");
    }
}
