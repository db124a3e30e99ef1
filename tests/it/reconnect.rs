//! The hub goes away and comes back.

use std::collections::BTreeSet;

use crate::hub::Hub;
use crate::world::{bodies, daemon, file};

#[test]
fn a_hub_that_comes_back_is_read_on_without_loss_or_repetition() {
    let mut hub = Hub::start(4);
    hub.simulate(["--count", "200", "--seed", "11"]);
    let mut program = hub.program(["listen", "--from", "earliest", "--format", "json"]);
    let mut documents = program.documents(200);
    hub.restart(|| program.says("partition lost"));
    hub.simulate(["--count", "200", "--seed", "12"]);
    documents.extend(program.documents(200));
    let seen: BTreeSet<(String, i64)> = documents
        .iter()
        .map(|document| {
            let partition = document["partition"].as_str().unwrap().to_owned();
            (partition, document["sequence_number"].as_i64().unwrap())
        })
        .collect();
    assert_eq!(seen.len(), 400, "each event once");
    program.signal("INT");
    let ended = program.wait();
    assert!(ended.stdout.is_empty(), "nothing twice: {:?}", ended.stdout);
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn a_hub_that_was_made_anew_is_read_from_its_beginning() {
    let body = |name: &str| {
        let bodies = bodies(".xml");
        let found = bodies.iter().find(|body| body.ends_with(name));
        found.unwrap().to_str().unwrap().to_owned()
    };
    // The old place is beyond the new end, or where the new hub counts fewer events.
    for (before, after, new_body) in [(40, 12, "a03-delete.xml"), (12, 40, "m0032.xml")] {
        let mut hub = Hub::start(1);
        hub.simulate(["--count", &before.to_string(), &body("a03-delete.xml")]);
        let mut program = hub.program(["listen", "--from", "earliest", "--format", "json"]);
        program.documents(before);
        hub.recreate(|| program.says("partition lost"));
        hub.simulate(["--count", &after.to_string(), &body(new_body)]);
        let numbers: Vec<i64> = program
            .documents(after)
            .iter()
            .map(|document| document["sequence_number"].as_i64().unwrap())
            .collect();
        assert_eq!(
            numbers,
            (0..i64::try_from(after).unwrap()).collect::<Vec<_>>()
        );
        program.says("made anew");
    }
}

#[test]
fn listening_to_the_latest_goes_on_with_a_hub_that_was_made_anew() {
    let mut hub = Hub::start(1);
    hub.simulate(["--count", "10"]);
    let mut program = hub.program(["listen", "--format", "json"]);
    program.says("listening to");
    hub.recreate(|| program.says("partition lost"));
    hub.simulate(["--count", "3"]);
    let documents = program.documents(3);
    assert_eq!(documents[0]["sequence_number"], 0);
}

#[test]
fn connections_that_are_cut_again_and_again_lose_nothing() {
    let hub = Hub::start(2);
    let program = hub.program(["listen", "--from", "earliest", "--format", "json"]);
    let mut seen = BTreeSet::new();
    for round in 1..=5u64 {
        hub.simulate(["--count", "100", "--seed", &round.to_string()]);
        for document in program.documents(100) {
            let partition = document["partition"].as_str().unwrap().to_owned();
            assert!(
                seen.insert((partition, document["sequence_number"].as_i64().unwrap())),
                "twice: {document}"
            );
        }
        hub.emulator().drop_connections();
    }
    assert_eq!(seen.len(), 500);
}

#[test]
fn what_has_piled_up_while_a_partition_was_away_is_told_with_its_first_event() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "3"]);
    let file = file(&format!(
        "[[hub]]\nconnection_string = \"{}\"\nstart = \"earliest\"\n\
         [[sink]]\nname = \"out\"\ntype = \"stdout\"\n",
        hub.connection_string()
    ));
    let mut program = daemon(&file, &[]);
    program.documents(3);
    hub.emulator().refuse_tokens();
    hub.emulator().drop_connections();
    program.says("partition lost");
    for _ in 0..20 {
        hub.emulator().append_body(0, b"{}").unwrap();
    }
    hub.emulator().accept_tokens();
    program.says("partition attached again");
    program.says("partition read again partition=0 behind=19");
    program.documents(20);
}
