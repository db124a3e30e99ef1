//! The hub goes away and comes back.

use std::collections::BTreeSet;

use crate::hub::Hub;

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
