//! SIGHUP: the configuration is read again, and what it says is done, while the links to the partitions stay.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::yield_now;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Answer, Request, Server};
use crate::hub::Hub;
use crate::world::{File, PATIENCE, Program, daemon, file};

/// A hub, a configuration that may change, and a folder for what is written.
struct World {
    hub: Hub,
    folder: TempDir,
    file: File,
}

impl World {
    fn new(partitions: u16, rest: &str) -> Self {
        let hub = Hub::start(partitions);
        let folder = tempfile::tempdir().unwrap();
        let world = Self {
            hub,
            folder,
            file: file(""),
        };
        world.write(rest);
        world
    }

    /// Writes another configuration, in which FOLDER stands for the folder.
    fn write(&self, rest: &str) {
        self.write_with_hub("", rest);
    }

    /// The same, with more keys of the hub.
    fn write_with_hub(&self, keys: &str, rest: &str) {
        let text = format!(
            "[[hub]]\nconnection_string = \"{}\"\n{keys}\n{rest}\n",
            self.hub.connection_string()
        );
        let text = text.replace("FOLDER", self.folder.path().to_str().unwrap());
        fs::write(&self.file.path, text).unwrap();
    }

    fn start(&self) -> Program {
        let level = "info,dataverse_listener::receiver=debug";
        let mut program = daemon(&self.file, &[("DATAVERSE_LISTENER__LOG__LEVEL", level)]);
        program.says("listening");
        program
    }

    /// The lines of a file, once there are so many.
    fn lines(&self, name: &str, count: usize) -> Vec<Value> {
        let path = self.folder.path().join(name);
        let mut lines = Vec::new();
        until(|| {
            lines = documents(&path);
            lines.len() >= count
        });
        assert_eq!(lines.len(), count, "{name}");
        lines
    }
}

/// The whole lines of a file; none where it is not there.
fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        yield_now();
    }
}

fn reload(program: &mut Program, outcome: &str) {
    program.signal("HUP");
    program.says(outcome);
}

fn stop(program: Program) -> String {
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    ended.stderr
}

/// A sink that writes into the file of its name.
fn file_sink(name: &str, settings: &str) -> String {
    format!(
        "[[sink]]\nname = \"{name}\"\ntype = \"file\"\ndirectory = \"FOLDER\"\npath = \"{name}\"\n{settings}\n"
    )
}

fn webhook(url: &str, settings: &str) -> String {
    format!("[[sink]]\nname = \"crm\"\ntype = \"webhook\"\nurl = \"{url}\"\n{settings}\n")
}

fn route(sinks: &str) -> String {
    format!("[[route]]\ndefault = true\nsinks = [{sinks}]\n")
}

/// Checks that every event of each partition is there once, in its order, and how many there are.
fn check_each_once<'a>(documents: impl IntoIterator<Item = &'a Value>, count: usize) {
    let mut next: BTreeMap<&str, i64> = BTreeMap::new();
    let mut seen = 0;
    for document in documents {
        let next = next
            .entry(document["partition"].as_str().unwrap())
            .or_default();
        assert_eq!(
            document["sequence_number"], *next,
            "{}",
            document["partition"]
        );
        *next += 1;
        seen += 1;
    }
    assert_eq!(seen, count);
}

fn document(request: &Request) -> Value {
    serde_json::from_str(request.text()).unwrap()
}

/// A server that answers nobody until it is told to.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn server(self: &Arc<Self>, status: u16) -> Server {
        let gate = Arc::clone(self);
        Server::start(move |_, _| {
            let is_open = gate.is_open.lock().unwrap();
            drop(
                gate.opened
                    .wait_while(is_open, |is_open| !*is_open)
                    .unwrap(),
            );
            Answer::status(status)
        })
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// Impatient: nobody waits long in a test.
const RETRY: &str = "retry = { first = \"10ms\", limit = \"100ms\" }\n";

#[test]
fn routes_and_sinks_change_from_one_event_to_the_next_and_no_link_is_attached_anew() {
    let both = file_sink("a", "") + &file_sink("b", "");
    let world = World::new(4, &(both.clone() + &route("\"a\"")));
    let mut program = world.start();
    let links = world.hub.emulator().open_links();
    world.hub.simulate(["--count", "40"]);
    let a = world.lines("a", 40);

    world.write(&(both.clone() + &route("\"b\"")));
    reload(
        &mut program,
        "configuration applied tables=\"route\" routes=1",
    );
    world.hub.simulate(["--count", "40", "--seed", "2"]);
    let b = world.lines("b", 40);

    world.write(&(both.clone() + &file_sink("c", "") + &route("\"b\", \"c\"")));
    reload(
        &mut program,
        "configuration applied added=\"c\" tables=\"route\" routes=1",
    );
    world.hub.simulate(["--count", "40", "--seed", "3"]);
    let c = world.lines("c", 40);
    world.lines("b", 80);

    world.write(&(file_sink("c", "") + &route("\"c\"")));
    reload(
        &mut program,
        "configuration applied removed=\"a, b\" tables=\"route\" routes=1",
    );
    world.hub.simulate(["--count", "40", "--seed", "4"]);
    world.lines("c", 80);
    check_each_once(a.iter().chain(&b).chain(&c), 120);
    check_each_once(a.iter().chain(&b).chain(&world.lines("c", 80)), 160);

    reload(&mut program, "configuration unchanged");
    assert_eq!(world.hub.emulator().open_links(), links);
    let said = stop(program);
    assert_eq!(said.matches("partition attached").count(), 4, "{said}");
    assert!(said.contains("stopped received=160"), "{said}");
    for (sink, accepted) in [("a", 40), ("b", 80), ("c", 80)] {
        let line = format!("sink stopped sink=\"{sink}\" accepted={accepted} ");
        assert!(said.contains(&line), "{line}: {said}");
    }
}

#[test]
fn a_bad_file_changes_nothing_and_every_mistake_is_told() {
    let sink = file_sink("a", "");
    let world = World::new(2, &sink);
    let mut program = world.start();
    let path = world.file.path.to_str().unwrap();
    for (bad, said) in [
        (
            sink.clone() + "[log]\nlevel = \"trace\"\n[[sink]]\nname = \"b\"\ntype = \"stdoot\"\n",
            format!("the configuration is wrong: {path}:14: sink[1].type: unknown type of sink"),
        ),
        (
            "[[sink]".to_owned(),
            format!("the configuration is wrong: {path}: "),
        ),
        (
            file_sink("a", "open_files = 3") + &file_sink("b", "").replace("FOLDER", "/dev/null/b"),
            "the configuration cannot be applied error=cannot open sink \"b\": ".to_owned(),
        ),
    ] {
        world.write(&bad);
        reload(&mut program, &said);
        program.says("nothing has changed: the configuration of before stays in force");
    }
    fs::remove_file(&world.file.path).unwrap();
    reload(
        &mut program,
        &format!("the configuration is wrong: {path}: cannot be read"),
    );
    world.hub.simulate(["--count", "20"]);
    check_each_once(&world.lines("a", 20), 20);
    // What was opened in vain is closed: it can be opened again.
    world.write(&(file_sink("a", "open_files = 3") + &file_sink("b", "")));
    reload(
        &mut program,
        "configuration applied added=\"b\" changed=\"a\"",
    );
    world.hub.simulate(["--count", "20", "--seed", "2"]);
    world.lines("b", 20);
    check_each_once(&world.lines("a", 40), 40);
    let said = stop(program);
    assert!(!said.contains(" TRACE "), "{said}");
    assert!(!said.contains("SAS_KEY_VALUE"), "{said}");
}

#[test]
fn a_slow_sink_delivers_what_it_has_as_it_did_before_the_new_one_begins() {
    let gate = Arc::new(Gate::default());
    let slow = gate.server(204);
    let quick = Server::start(|_, _| Answer::status(204));
    let world = World::new(4, &webhook(&slow.url("/"), ""));
    let mut program = world.start();
    world.hub.simulate(["--count", "200"]);
    until(|| !slow.wait_for(|_| true).is_empty());
    world.write(&webhook(&quick.url("/"), ""));
    reload(&mut program, "configuration applied changed=\"crm\"");
    world.hub.simulate(["--count", "200", "--seed", "2"]);
    // Again, while the first has not ended, and back to what is the same as at first.
    world.write(&webhook(&quick.url("/again"), ""));
    reload(&mut program, "configuration applied changed=\"crm\"");
    assert_eq!(quick.connections(), 0);
    gate.open();
    program.says("sink drained: nothing is left of its earlier configuration");
    until(|| {
        let first = slow.wait_for(|_| true).len();
        first + quick.wait_for(|_| true).len() >= 400
    });
    let all: Vec<Value> = slow
        .wait_for(|_| true)
        .iter()
        .chain(&quick.wait_for(|_| true))
        .map(document)
        .collect();
    check_each_once(&all, 400);
    let said = stop(program);
    assert!(
        said.contains("sink stopped sink=\"crm\" accepted=400 "),
        "{said}"
    );
}

#[test]
fn what_the_old_configuration_of_a_sink_cannot_deliver_the_new_one_does() {
    let world = World::new(4, "");
    let server = Server::start(|_, request| match &*request.target {
        "/gone" => Answer::status(410),
        "/held" => Answer::status(401),
        "/unfit" => Answer::status(422),
        "/away" => Answer::Reset,
        _ => Answer::status(204),
    });
    let mut delivered = 0;
    for trouble in ["/gone", "/held", "/unfit", "/away"] {
        world.write(&webhook(&server.url(trouble), RETRY));
        let mut program = world.start();
        world.hub.simulate(["--count", "100"]);
        // It may have said so before it was listening.
        let is_tried = |request: &Request| request.target == trouble;
        server.wait_for(|requests| requests.iter().any(is_tried));
        world.write(&webhook(&server.url(&format!("/well{trouble}")), RETRY));
        reload(&mut program, "configuration applied changed=\"crm\"");
        program.says("left to the new configuration of the sink");
        // Without a checkpoint each daemon begins at the beginning.
        delivered += 100;
        let target = format!("/well{trouble}");
        let is_well = |request: &&Request| request.target == target;
        let requests =
            server.wait_for(|requests| requests.iter().filter(is_well).count() >= delivered);
        let well: Vec<Value> = requests.iter().filter(is_well).map(document).collect();
        check_each_once(&well, delivered);
        stop(program);
    }
}

#[test]
fn a_file_that_stays_where_it_is_gets_every_line_once_however_often_its_sink_changes() {
    let world = World::new(2, &file_sink("a", ""));
    let mut program = world.start();
    for round in 0..6 {
        world.hub.simulate(["--count", "100", "--seed", "7"]);
        // Twice in a row, in the middle of the work.
        for keys in ["fsync = \"never\"", "open_files = 9"] {
            world.write(&file_sink(
                "a",
                &format!("{keys}\nqueue_events = {}", 50 + round),
            ));
            program.signal("HUP");
        }
    }
    let lines = world.lines("a", 600);
    check_each_once(&lines, 600);
    world.write(&file_sink("a", "mode = \"0600\""));
    reload(&mut program, "configuration applied changed=\"a\"");
    let said = stop(program);
    assert!(
        said.contains("sink stopped sink=\"a\" accepted=600 "),
        "{said}"
    );
    assert!(!said.contains("another process"), "{said}");
}

#[test]
fn the_level_of_the_log_changes_and_the_command_line_wins() {
    let sink = file_sink("a", "");
    let world = World::new(1, &sink);
    let mut program = daemon(&world.file, &[]);
    program.says("listening");
    world.write(&(sink.clone() + "[log]\nlevel = \"warn,dataverse_listener::partition=trace\"\n"));
    program.signal("HUP");
    world.hub.simulate(["--count", "1"]);
    program.says("event received");
    world.write(&(sink.clone() + "[log]\nformat = \"json\"\n"));
    reload(&mut program, "\"message\":\"configuration applied\"");
    let said = stop(program);
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "stopped");

    let mut program = daemon(&world.file, &[("DATAVERSE_LISTENER_LOG", "info")]);
    program.says("listening");
    world.write(&(sink + "[log]\nlevel = \"off\"\n"));
    reload(&mut program, "configuration applied");
    stop(program);
}

#[test]
fn what_takes_a_restart_is_told_by_its_key_and_the_rest_is_applied() {
    let both = file_sink("a", "") + &file_sink("b", "");
    let world = World::new(1, &(both.clone() + &route("\"a\"")));
    let mut program = world.start();
    let rest =
        both + &route("\"b\"") + "[checkpoint]\nevents = 7\n[delivery]\nin_flight_events = 2048\n";
    world.write_with_hub("consumer_group = \"other\"\nowner_level = 3", &rest);
    let keys = "keys=\"checkpoint, checkpoint.events, hub[0].consumer_group, hub[0].owner_level\"";
    reload(&mut program, keys);
    program.says("configuration applied tables=\"route\"");
    // It is told again for as long as it is so.
    reload(&mut program, keys);
    program.says("configuration unchanged");
    world.hub.simulate(["--count", "5"]);
    world.lines("b", 5);
    stop(program);
}

#[test]
fn another_key_in_the_connection_string_of_a_hub_takes_no_restart() {
    let world = World::new(1, &file_sink("a", ""));
    let mut program = world.start();
    let text = fs::read_to_string(&world.file.path).unwrap();
    fs::write(&world.file.path, text.replace("SAS_KEY_VALUE", "hunter2")).unwrap();
    reload(
        &mut program,
        "the secret of event hub \"dataverse-events\" has changed",
    );
    program.says("configuration applied tables=\"hub\" routes=0");
    // The hub does not know it: that it is used shows when the daemon connects again.
    world.hub.emulator().drop_connections();
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(77), "{}", ended.stderr);
    let said = ended.stderr;
    assert!(said.contains("InvalidSignature"), "{said}");
    assert!(
        !said.contains("restart") && !said.contains("hunter2"),
        "{said}"
    );
}

#[test]
fn an_event_that_nobody_takes_goes_on_when_somebody_does() {
    let sink = file_sink("a", "") + "[[route]]\ndefault = true\nsinks = [\"a\"]\n";
    let world = World::new(1, &sink);
    let mut program = world.start();
    world.hub.emulator().append_body(0, b"{broken").unwrap();
    program.says("partition held by an event that nobody takes");
    world.hub.simulate(["--count", "5"]);
    world.write(&(sink + &file_sink("dead", "") + "[dead_letter]\nsink = \"dead\"\n"));
    reload(
        &mut program,
        "configuration applied added=\"dead\" tables=\"dead_letter\" routes=1",
    );
    let letters = world.lines("dead", 1);
    assert!(
        letters[0]["dead_letter"]["reason"].is_string(),
        "{letters:?}"
    );
    world.lines("a", 5);
    let said = stop(program);
    assert!(said.contains("dead_lettered=1 "), "{said}");
}

#[test]
fn dead_letters_go_where_the_new_configuration_says_and_are_counted_on() {
    let server = Server::start(|_, _| Answer::status(422));
    let crm = webhook(&server.url("/"), "");
    let dead = |name: &str| file_sink(name, "") + &format!("[dead_letter]\nsink = \"{name}\"\n");
    let world = World::new(2, &(crm.clone() + &dead("x")));
    let mut program = world.start();
    world.hub.simulate(["--count", "10"]);
    world.lines("x", 10);
    world.write(&(crm + &dead("y")));
    reload(
        &mut program,
        "configuration applied added=\"y\" removed=\"x\" tables=\"dead_letter\" routes=0",
    );
    program.says("sink drained: nothing is left of its earlier configuration sink=\"x\"");
    world.hub.simulate(["--count", "10", "--seed", "2"]);
    world.lines("y", 10);
    // The one that refused is gone, and what it has done counts.
    world.write(&file_sink("z", ""));
    reload(
        &mut program,
        "configuration applied added=\"z\" removed=\"crm, y\" tables=\"dead_letter\" routes=0",
    );
    world.hub.simulate(["--count", "10", "--seed", "3"]);
    world.lines("z", 10);
    let said = stop(program);
    assert!(said.contains("received=30 "), "{said}");
    assert!(said.contains(" dead_lettered=20 "), "{said}");
}

#[test]
fn a_log_table_that_the_command_line_outweighs_is_not_told_as_applied() {
    let sink = file_sink("a", "");
    let world = World::new(1, &sink);
    let mut program = daemon(&world.file, &[("DATAVERSE_LISTENER_LOG", "info")]);
    program.says("listening");
    world.write(&(sink + "[log]\nlevel = \"warn\"\n"));
    reload(&mut program, "configuration unchanged");
    stop(program);
}

#[test]
fn the_configuration_is_read_again_before_there_is_a_hub_and_not_at_the_end() {
    let mut world = World::new(1, &file_sink("a", ""));
    world.hub.simulate(["--count", "5"]);
    let gate = Arc::new(Gate::default());
    let slow = gate.server(204);
    let (configuration, changed) = (file_sink("a", ""), webhook(&slow.url("/"), ""));
    let text = fs::read_to_string(&world.file.path).unwrap();
    let folder = world.folder.path().to_str().unwrap().to_owned();
    let changed = text.replace(&configuration.replace("FOLDER", &folder), &changed);
    let path = world.file.path.clone();
    let file = &world.file;
    let mut program = None;
    world.hub.restart(|| {
        let mut waiting = daemon(file, &[]);
        waiting.says("event hub not reached");
        fs::write(&path, changed).unwrap();
        reload(
            &mut waiting,
            "configuration applied added=\"crm\" removed=\"a\"",
        );
        program = Some(waiting);
    });
    let mut program = program.unwrap();
    until(|| !slow.wait_for(|_| true).is_empty());
    program.signal("TERM");
    program.says("SIGTERM: stopping");
    fs::write(&path, "").unwrap();
    reload(
        &mut program,
        "the configuration is not read again: the daemon is stopping",
    );
    gate.open();
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    // However many had come by then, the new sink has them all.
    let received = ended.stderr.split_once("stopped received=").unwrap().1;
    let received = received.split(' ').next().unwrap();
    let accepted = format!("sink stopped sink=\"crm\" accepted={received} ");
    assert!(
        received != "0" && ended.stderr.contains(&accepted),
        "{}",
        ended.stderr
    );
}
