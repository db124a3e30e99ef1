//! SIGTERM in every state that a daemon can be in: it ends soon, and well.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use crate::hub::Hub;
use crate::world::{File, PATIENCE, Program, command, daemon, file};

/// Long enough for a goodbye to somebody who does not answer, and less than the time for deliveries.
const SOON: Duration = Duration::from_secs(10);

fn configuration(string: &str, engine: &str) -> File {
    file(&format!(
        "[[hub]]\nconnection_string = \"{string}\"\nengine = \"{engine}\"\n\
         [[sink]]\nname = \"console\"\ntype = \"stdout\"\n"
    ))
}

/// The connection string of an emulator at a port where there is none.
fn string_of(port: u16) -> String {
    format!(
        "Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true;EntityPath=h"
    )
}

/// Ends a daemon by one SIGTERM, or by two, and checks that it ends soon and well.
fn ends(state: &str, engine: &str, program: Program, signals: usize) {
    let begun = Instant::now();
    let kill = format!("kill -TERM {}; ", program.id()).repeat(signals);
    let sent = Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.unwrap().success());
    let ended = program.wait();
    let took = begun.elapsed();
    let of = format!("{state}, {engine}, {signals} signals: {}", ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{of}");
    assert!(took < SOON, "{took:?}, {of}");
}

/// Lets each engine come into a state, and ends it there.
fn check(reach: impl Fn(&str, usize)) {
    for engine in ["own", "fe2o3"] {
        for signals in [1, 2] {
            reach(engine, signals);
        }
    }
}

fn until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        yield_now();
    }
}

#[test]
fn a_signal_while_it_connects_ends_it() {
    check(|engine, signals| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = configuration(&string_of(listener.local_addr().unwrap().port()), engine);
        let program = daemon(&file, &[]);
        // Whoever accepts, and never says a word.
        let _connection = listener.accept().unwrap();
        ends("connecting", engine, program, signals);
    });
}

#[test]
fn a_signal_while_it_claims_ends_it() {
    check(|engine, signals| {
        let hub = Hub::start(1);
        let emulator = hub.emulator();
        emulator.set_delay(Duration::from_millis(40));
        let file = configuration(&hub.connection_string(), engine);
        let program = daemon(&file, &[]);
        // The first links of a connection are those to `$cbs`.
        until(|| emulator.open_links() > 0);
        emulator.freeze();
        ends("claiming", engine, program, signals);
    });
}

#[test]
fn a_signal_while_it_claims_again_ends_it() {
    check(|engine, signals| {
        let hub = Hub::start(1);
        let emulator = hub.emulator();
        let file = configuration(&hub.connection_string(), engine);
        let mut program = daemon(&file, &[]);
        program.says("listening");
        emulator.set_delay(Duration::from_millis(40));
        emulator.drop_connections();
        until(|| emulator.open_links() == 0);
        until(|| emulator.open_links() > 0);
        emulator.freeze();
        ends("claiming again", engine, program, signals);
    });
}

#[test]
fn a_signal_while_it_waits_for_a_hub_ends_it() {
    check(|engine, signals| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let file = configuration(&string_of(port), engine);
        let mut program = daemon(&file, &[]);
        program.says("event hub not reached");
        ends("waiting for a hub", engine, program, signals);
    });
}

#[test]
fn a_signal_while_its_partitions_wait_to_be_read_again_ends_it() {
    check(|engine, signals| {
        let hub = Hub::start(2);
        let file = configuration(&hub.connection_string(), engine);
        let mut program = daemon(&file, &[]);
        program.says("listening");
        hub.emulator().throttle_attach();
        hub.emulator().drop_connections();
        program.says("server-busy");
        ends("waiting for partitions", engine, program, signals);
    });
}

#[test]
fn a_signal_while_the_hub_plays_dead_ends_it() {
    check(|engine, signals| {
        let hub = Hub::start(2);
        let file = configuration(&hub.connection_string(), engine);
        let mut program = daemon(&file, &[]);
        program.says("listening");
        hub.emulator().freeze();
        ends("frozen", engine, program, signals);
    });
}

#[test]
fn a_signal_while_it_opens_its_files_anew_ends_it() {
    check(|engine, signals| {
        let hub = Hub::start(2);
        let file = configuration(&hub.connection_string(), engine);
        let mut program = daemon(&file, &[]);
        program.says("listening");
        program.signal("HUP");
        ends("reopening", engine, program, signals);
    });
}

#[test]
fn a_signal_while_checkpoints_are_written_repeats_and_loses_nothing() {
    const EVENTS: i64 = 600;
    let hub = Hub::start(2);
    hub.simulate(["--count", "600", "--seed", "9"]);
    let folder = tempfile::tempdir().unwrap();
    let file = file(&format!(
        "[[hub]]\nconnection_string = \"{}\"\n\
         [checkpoint]\nstore = \"file\"\npath = \"{}\"\ninterval = \"1ms\"\nevents = 1\n\
         [[sink]]\nname = \"console\"\ntype = \"stdout\"\n",
        hub.connection_string(),
        folder.path().join("state").display()
    ));
    let mut next = BTreeMap::new();
    let mut runs = 0;
    while next.values().sum::<i64>() < EVENTS {
        let program = daemon(&file, &[]);
        // Each time a little later.
        let mut lines: Vec<String> = (0..1 + runs * 13 % 89).map(|_| program.line()).collect();
        program.signal("TERM");
        let ended = program.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert!(!ended.stderr.contains("left behind"), "{}", ended.stderr);
        lines.extend(ended.stdout);
        for line in lines {
            let document: serde_json::Value = serde_json::from_str(&line).unwrap();
            let partition = document["partition"].as_str().unwrap().to_owned();
            let number: &mut i64 = next.entry(partition).or_default();
            assert_eq!(document["sequence_number"].as_i64(), Some(*number));
            *number += 1;
        }
        runs += 1;
        let left = EVENTS - next.values().sum::<i64>();
        if left < 100 {
            break;
        }
    }
    assert!(runs >= 2, "all came in {runs} run");
}

/// The checkpoint of partition 0 somewhere below a folder, once there is one.
fn checkpoint(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.find_map(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => checkpoint(&path),
            false => path.ends_with("0.json").then_some(path),
        }
    })
}

/// Lets whoever looks at the file wait for ever.
fn replace_by_pipe(path: &Path) {
    let pipe = path.with_extension("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    fs::rename(&pipe, path).unwrap();
}

#[test]
fn a_store_that_hangs_holds_up_neither_the_events_nor_the_end() {
    for signals in [1, 2] {
        let hub = Hub::start(1);
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let file = file(&format!(
            "[[hub]]\nconnection_string = \"{}\"\n\
             [checkpoint]\nstore = \"file\"\npath = \"{}\"\ninterval = \"10ms\"\n\
             [[sink]]\nname = \"console\"\ntype = \"stdout\"\n",
            hub.connection_string(),
            state.display()
        ));
        let start = || {
            let config = file.path.to_str().unwrap();
            Program::start(&mut command(["run", "--grace", "2", "--config", config]))
        };
        hub.simulate(["--count", "5"]);
        let program = start();
        program.documents(5);
        let mut path = None;
        until(|| {
            path = checkpoint(&state);
            path.is_some()
        });
        let path = path.unwrap();
        replace_by_pipe(&path);
        hub.simulate(["--count", "50"]);
        program.documents(50);
        ends("a store that hangs", "own", program, signals);
        // What the store had before counts: events come again, and none is missing.
        fs::remove_file(&path).unwrap();
        let program = start();
        let documents = program.documents(50);
        let first = documents[0]["sequence_number"].as_i64().unwrap();
        assert!(first <= 5, "{first}");
    }
}
