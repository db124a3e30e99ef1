//! Events of others in the hub: their JSON goes on as it came, and nothing waits for it; and bodies that cost
//! more than the daemon takes, or name strings by numbers of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::hub::Hub;
use crate::world::{PATIENCE, Program, command};

/// What Event Grid sends, in several lines.
const EVENT_GRID: &str = "[\n  {\"id\": \"1\", \"eventType\": \"Microsoft.Storage.BlobCreated\", \"data\": {\"size\": 1.50}}\n]\n";

const CONTEXT: &str =
    r#"{"MessageName":"Create","PrimaryEntityName":"account","InputParameters":[],"Stage":40}"#;

/// A context that was damaged on its way.
const DAMAGED: &str = r#"{"InputParameters":[],"PrimaryEntityName":"account"}"#;

struct World {
    hub: Hub,
    folder: TempDir,
}

impl World {
    /// A hub with these bodies, in this order.
    fn new(bodies: &[&str]) -> Self {
        let world = Self {
            hub: Hub::start(1),
            folder: tempfile::tempdir().unwrap(),
        };
        for (number, body) in bodies.iter().enumerate() {
            let path = world.path(&format!("body-{number}"));
            fs::write(&path, body).unwrap();
            world.hub.simulate([path.to_str().unwrap()]);
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A daemon with these tables behind a hub, a file store and a sink `files`.
    fn daemon(&self, tables: &str) -> Program {
        let folder = self.folder.path().display();
        let config = format!(
            "[[hub]]\nconnection_string = \"{}\"\n[checkpoint]\nstore = \"file\"\npath = \"{folder}/state\"\ninterval = \"0s\"\n\
             [[sink]]\nname = \"files\"\ntype = \"file\"\ndirectory = \"{folder}\"\npath = \"out.ndjson\"\n{tables}",
            self.hub.connection_string(),
        );
        let path = self.path("daemon.toml");
        fs::write(&path, config).unwrap();
        Program::start(&mut command(["run", "--config", path.to_str().unwrap()]))
    }

    /// The documents in a file, once there are so many.
    fn documents(&self, file: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(self.path(file)).unwrap_or_default();
            if text.matches('\n').count() >= count {
                let documents = text.lines().map(|line| serde_json::from_str(line).unwrap());
                return documents.collect();
            }
            assert!(Instant::now() < deadline, "{text}");
            sleep(Duration::from_millis(10));
        }
    }

    /// Stops the daemon, which must have been content; what it said of its end.
    fn stop(&self, daemon: Program) -> String {
        daemon.signal("TERM");
        let ended = daemon.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        ended.stderr
    }
}

fn business_event() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/foreign/business-event.json");
    fs::read_to_string(path).unwrap()
}

#[test]
fn an_event_of_somebody_else_is_delivered_as_it_is_and_the_checkpoint_moves_on() {
    let business_event = business_event();
    let world = World::new(&[&business_event, EVENT_GRID, CONTEXT]);
    let daemon = world.daemon("");
    let documents = world.documents("out.ndjson", 3);
    let stderr = world.stop(daemon);
    assert!(stderr.contains("foreign=2 undecodable=0"), "{stderr}");
    let text = fs::read_to_string(world.path("out.ndjson")).unwrap();
    for exact in [
        r#""InvoiceAmountInAccountingCurrency":1210.10,"#,
        r#""foreign":[{"id":"1","eventType":"Microsoft.Storage.BlobCreated","data":{"size":1.50}}]}"#,
    ] {
        assert!(text.contains(exact), "{text}");
    }
    let expected: Value = serde_json::from_str(&business_event).unwrap();
    assert_eq!(documents[0]["foreign"], expected);
    assert_eq!(documents[2]["context"]["MessageName"], "Create");
    assert_eq!(documents[2].get("foreign"), None);
    // Nothing comes again: what comes next is the next one.
    let path = world.path("body-2");
    world.hub.simulate([path.to_str().unwrap()]);
    let daemon = world.daemon("");
    let documents = world.documents("out.ndjson", 4);
    world.stop(daemon);
    let numbers: Vec<i64> = documents
        .iter()
        .map(|document| document["sequence_number"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
}

#[test]
fn a_route_takes_the_events_of_others_or_keeps_them_away() {
    let world = World::new(&[&business_event(), CONTEXT, DAMAGED]);
    let folder = world.folder.path().display().to_string();
    let daemon = world.daemon(&format!(
        "[[sink]]\nname = \"others\"\ntype = \"file\"\ndirectory = \"{folder}\"\npath = \"others.ndjson\"\nbody = \"cloudevent\"\n\
         [[sink]]\nname = \"dead\"\ntype = \"file\"\ndirectory = \"{folder}\"\npath = \"dead.ndjson\"\n\
         [dead_letter]\nsink = \"dead\"\n\
         [[route]]\nforeign = true\nsinks = \"others\"\n\
         [[route]]\nforeign = false\nsinks = \"files\"\n\
         [[route]]\ndefault = true\nsinks = []\n"
    ));
    let own = world.documents("out.ndjson", 1);
    let others = world.documents("others.ndjson", 1);
    let dead = world.documents("dead.ndjson", 1);
    world.stop(daemon);
    assert_eq!((own.len(), others.len(), dead.len()), (1, 1, 1));
    assert_eq!(own[0]["context"]["MessageName"], "Create");
    assert_eq!(others[0]["type"], "dataverse-listener.foreign");
    assert_eq!(others[0]["data"]["ControlNumber"], 5_637_166_326_i64);
    let reason = "json at 1:1: no execution context: MessageName is missing";
    assert_eq!(dead[0]["undecodable"]["reason"], reason);
}

#[test]
fn it_is_listened_to_and_told_from_what_cannot_be_decoded() {
    let world = World::new(&[&business_event(), "?"]);
    let listen = |format: &str| {
        let arguments = [
            "listen", "--from", "earliest", "--events", "2", "--format", format,
        ];
        world.hub.program(arguments).wait()
    };
    let ended = listen("pretty");
    assert!(
        ended.stdout[0].contains(" FOREIGN 536 bytes of JSON"),
        "{:?}",
        ended.stdout
    );
    assert!(
        ended.stdout[1].ends_with(r#"PostedBusinessEvent\",\"BusinessEventLegalE"..."#),
        "{:?}",
        ended.stdout
    );
    assert!(
        ended.stderr.contains("2 events, 1 foreign, 1 undecodable"),
        "{}",
        ended.stderr
    );
    let ended = listen("json");
    let document: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(document["foreign"]["MajorVersion"], 0);
    let original = listen("original").stdout.join("\n");
    // A body that ends in a line feed is followed by that of its line.
    assert_eq!(original, format!("{}\n?", business_event()));
}

#[test]
fn a_dead_letter_that_is_another_s_event_is_redriven() {
    let world = World::new(&[&business_event()]);
    let folder = world.folder.path().display().to_string();
    let tables = format!(
        "body = \"context\"\n[[sink]]\nname = \"dead\"\ntype = \"file\"\ndirectory = \"{folder}\"\npath = \"dead.ndjson\"\n\
         [[sink]]\nname = \"again\"\ntype = \"file\"\ndirectory = \"{folder}\"\npath = \"again.ndjson\"\n\
         [dead_letter]\nsink = \"dead\"\n[[route]]\ndefault = true\nsinks = \"files\"\n"
    );
    let daemon = world.daemon(&tables);
    let dead = world.documents("dead.ndjson", 1).remove(0);
    world.stop(daemon);
    let reason = dead["dead_letter"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("the event is no execution context, and the sink takes contexts"),
        "{reason}"
    );
    let (config, file) = (world.path("daemon.toml"), world.path("dead.ndjson"));
    let redrive = |more: &[&str]| {
        let mut arguments = vec!["redrive", "--config", config.to_str().unwrap()];
        arguments.extend(["--sink", "again", file.to_str().unwrap()]);
        arguments.extend(more);
        Program::start(&mut command(arguments)).wait()
    };
    let shown = redrive(&["--dry-run", "--where", "foreign=true"]).stdout;
    assert!(
        shown[0].starts_with("line 1: foreign, refused by files: "),
        "{shown:?}"
    );
    let ended = redrive(&[]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let again = world.documents("again.ndjson", 1).remove(0);
    assert_eq!(again["foreign"], dead["foreign"]);
}

#[test]
fn a_body_that_costs_more_than_is_taken_goes_to_the_dead_letters_and_says_why() {
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(2000));
    let deep = r#"{"MessageName":"Update","InputParameters":[{"key":"a","value":[[[[]]]]}]}"#;
    let world = World::new(&[&large, deep, CONTEXT]);
    let folder = world.folder.path().display().to_string();
    let daemon = world.daemon(&format!(
        "[decode]\nmax_size = \"1KiB\"\nmax_nesting = 5\n\
         [[sink]]\nname = \"dead\"\ntype = \"file\"\ndirectory = \"{folder}\"\npath = \"dead.ndjson\"\n\
         [dead_letter]\nsink = \"dead\"\n"
    ));
    let dead = world.documents("dead.ndjson", 2);
    let own = world.documents("out.ndjson", 1);
    world.stop(daemon);
    let reasons: Vec<&str> = dead
        .iter()
        .map(|document| document["undecodable"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "json at 1:1: more than 1024 bytes (decode.max_size)",
            "json at 1:66: nested deeper than 5 levels (decode.max_nesting)",
        ]
    );
    assert_eq!(own[0]["sequence_number"], 2);
}

#[test]
fn a_body_with_strings_of_its_own_is_a_dead_letter_until_the_strings_are_given() {
    let world = World::new(&[]);
    let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus/odd");
    let body = odd.join("x11-static-dictionary.bin");
    let strings = odd.join("x11-static-dictionary.strings.txt");
    let post = || world.hub.simulate([body.to_str().unwrap()]);
    let folder = world.folder.path().display().to_string();
    let dead = format!(
        "[[sink]]\nname = \"dead\"\ntype = \"file\"\ndirectory = \"{folder}\"\npath = \"dead.ndjson\"\n\
         [dead_letter]\nsink = \"dead\"\n"
    );
    post();
    let daemon = world.daemon(&dead);
    let letter = world.documents("dead.ndjson", 1).remove(0);
    world.stop(daemon);
    let reason = letter["undecodable"]["reason"].as_str().unwrap();
    assert!(reason.ends_with("(decode.dictionary)"), "{reason}");

    post();
    let with_strings = format!(
        "{dead}[decode]\ndictionary = {:?}\n",
        strings.to_str().unwrap()
    );
    let daemon = world.daemon(&with_strings);
    let own = world.documents("out.ndjson", 1).remove(0);
    world.stop(daemon);
    assert_eq!(own["sequence_number"], 1);
    assert_eq!(own["context"]["@format"], "binary");
    assert_eq!(own["context"]["MessageName"], "Update");

    let (config, file) = (world.path("daemon.toml"), world.path("dead.ndjson"));
    let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
    let mut redrive = command(["redrive", "--config", config, "--sink", "files", file]);
    let ended = Program::start(&mut redrive).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let again = world.documents("out.ndjson", 2).remove(1);
    assert_eq!(again["sequence_number"], 0);
    assert_eq!(again["context"], own["context"]);
}
