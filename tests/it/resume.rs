//! A daemon goes on where the last one stopped, or where somebody has set it.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::hub::Hub;
use crate::world::{Ended, Program, command};

/// A hub of one partition with so many events, and a daemon's configuration with a file store.
struct World {
    hub: Hub,
    folder: TempDir,
}

impl World {
    fn new(events: &str) -> Self {
        let world = Self {
            hub: Hub::start(1),
            folder: tempfile::tempdir().unwrap(),
        };
        world.hub.simulate(["--count", events]);
        let state = world.folder.path().join("state");
        let text = format!(
            "[[hub]]\nconnection_string = \"{}\"\n[checkpoint]\nstore = \"file\"\npath = \"{}\"\n\
             [[sink]]\nname = \"console\"\ntype = \"stdout\"\n",
            world.hub.connection_string(),
            state.display()
        );
        fs::write(world.config(), text).unwrap();
        world
    }

    fn config(&self) -> String {
        self.folder
            .path()
            .join("daemon.toml")
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn daemon(&self) -> Program {
        Program::start(&mut command(["run", "--config", &self.config()]))
    }

    /// What a daemon delivers, which is started and stopped when it has delivered `count`.
    fn deliver(&self, count: usize) -> Vec<i64> {
        let daemon = self.daemon();
        let delivered = daemon.documents(count);
        daemon.signal("TERM");
        let ended = daemon.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
        let number = |document: &Value| document["sequence_number"].as_i64().unwrap();
        delivered.iter().map(number).collect()
    }

    fn checkpoint(&self, action: &str, arguments: &[&str]) -> Ended {
        let config = self.config();
        let command_line = ["checkpoint", action, "--config", &config];
        let arguments = arguments.iter().copied();
        Program::start(&mut command(command_line.into_iter().chain(arguments))).wait()
    }

    /// The checkpoints as they are listed.
    fn list(&self) -> Vec<Value> {
        let ended = self.checkpoint("list", &["--format", "json"]);
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        let parse = |line: &String| serde_json::from_str(line).unwrap();
        ended.stdout.iter().map(parse).collect()
    }

    /// Changes checkpoints, which must go well.
    fn change(&self, action: &str, arguments: &[&str]) -> Vec<String> {
        let ended = self.checkpoint(action, arguments);
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        ended.stdout
    }
}

#[test]
fn the_next_daemon_goes_on_after_the_last_event_delivered() {
    let world = World::new("5");
    assert_eq!(world.deliver(5), [0, 1, 2, 3, 4]);
    let listed = world.list();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["sequence_number"], 4);
    assert_eq!(listed[0]["event_hub"], "dataverse-events");
    world.hub.simulate(["--count", "2"]);
    assert_eq!(world.deliver(2), [5, 6]);
}

#[test]
fn a_partition_that_is_set_goes_on_there() {
    let world = World::new("5");
    assert_eq!(world.deliver(5).len(), 5);
    let offset = world.list()[0]["offset"].as_str().unwrap().to_owned();
    let after = format!("offset:{offset}");
    let set = |to: &str| world.change("set", &["--partition", "0", "--to", to]);
    let told = set("sequence:2");
    let was = format!("partition 0: after sequence number 4, offset {offset} -> from sequence:2");
    assert!(told[0].ends_with(&was), "{told:?}");
    assert_eq!(world.deliver(3), [2, 3, 4]);
    set("earliest");
    assert_eq!(world.deliver(5), [0, 1, 2, 3, 4]);
    set("time:2000-01-01T00:00:00Z");
    assert_eq!(world.deliver(5), [0, 1, 2, 3, 4]);
    set(&after);
    world.hub.simulate(["--count", "1"]);
    assert_eq!(world.deliver(1), [5]);
    world.change("reset", &["--partition", "0"]);
    assert_eq!(world.deliver(6), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_is_imported_goes_on_as_it_was_exported() {
    let world = World::new("3");
    assert_eq!(world.deliver(3).len(), 3);
    let copy = world.folder.path().join("copy.json");
    let copy = copy.to_str().unwrap();
    world.change("export", &[copy]);
    world.hub.simulate(["--count", "2"]);
    assert_eq!(world.deliver(2), [3, 4]);
    world.change("import", &[copy]);
    assert_eq!(world.deliver(2), [3, 4]);
}

#[test]
fn while_a_daemon_runs_its_checkpoints_are_seen_and_not_changed() {
    let world = World::new("1");
    let mut daemon = world.daemon();
    daemon.documents(1);
    daemon.says("partition attached");
    let copy = world.folder.path().join("copy.json");
    let export = world.checkpoint("export", &[copy.to_str().unwrap()]);
    assert_eq!(export.status.code(), Some(0), "{}", export.stderr);
    assert_eq!(world.checkpoint("list", &[]).status.code(), Some(0));
    for (action, arguments) in [
        ("set", &["--partition", "0", "--to", "earliest"][..]),
        (
            "set",
            &["--partition", "0", "--to", "earliest", "--dry-run"],
        ),
        ("reset", &["--all"]),
        ("import", &[copy.to_str().unwrap()]),
    ] {
        let ended = world.checkpoint(action, arguments);
        assert_eq!(ended.status.code(), Some(75), "{}", ended.stderr);
        let said = format!("is in use by process {}; ", daemon.id());
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
    }
    let second = world.daemon().wait();
    assert_eq!(second.status.code(), Some(75), "{}", second.stderr);
    assert!(
        second.stderr.contains("cannot open the checkpoints"),
        "{}",
        second.stderr
    );
    // However it ends, its checkpoints are free then.
    daemon.signal("KILL");
    daemon.wait();
    world.change("set", &["--partition", "0", "--to", "earliest"]);
}

#[test]
fn a_damaged_checkpoint_is_no_new_beginning() {
    let world = World::new("3");
    assert_eq!(world.deliver(3).len(), 3);
    let mut files = vec![world.folder.path().join("state")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.to_str().unwrap().contains(".json") {
            fs::write(path, "").unwrap();
        }
    }
    let ended = world.daemon().wait();
    assert_eq!(ended.status.code(), Some(65), "{}", ended.stderr);
    assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
    for said in ["0.json is empty", "`dataverse-listener checkpoint set`"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    world.change("set", &["--partition", "0", "--to", "sequence:1"]);
    assert_eq!(world.deliver(2), [1, 2]);
}
