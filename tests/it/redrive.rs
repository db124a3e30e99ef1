//! `redrive`: dead letters out of a file, to the real sink, and on from where it was stopped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

#[cfg(feature = "emulator")]
use crate::http::{Answer, Server};
use crate::world::{Ended, PATIENCE, Program, command};

/// A dead-letter file beside a configuration with the sink `console`.
struct World {
    folder: TempDir,
    file: PathBuf,
}

impl World {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        let config = "[[hub]]\nconnection_string = \"Endpoint=sb://h;SharedAccessKeyName=k;SharedAccessKey=hunter2;EntityPath=e\"\n\
                      [[sink]]\nname = \"console\"\ntype = \"stdout\"\n";
        fs::write(folder.path().join("daemon.toml"), config).unwrap();
        Self { folder, file }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.file.display()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let config = self.folder.path().join("daemon.toml");
        let mut command = command(["redrive"]);
        command.arg(&self.file).arg("--config").arg(config);
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Program::start(&mut self.command(arguments)).wait()
    }

    /// Redrives to `console`: the numbers of the events that were printed.
    #[track_caller]
    fn redrive(&self, code: i32) -> Vec<i64> {
        let ended = self.run(&["--sink", "console"]);
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        numbers(ended.stdout.iter().map(String::as_str))
    }

    /// How many lines are done, as it is kept.
    fn done(&self) -> Option<i64> {
        let text = fs::read(self.beside(".redriven")).ok()?;
        let document: Value = serde_json::from_slice(&text).unwrap();
        document["redriven"][0]["lines"].as_i64()
    }
}

const BODY: &str = r#"{"MessageName":"Update","PrimaryEntityName":"account","InputParameters":[],"OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73"}"#;

fn dead(number: i64) -> Value {
    use base64::Engine as _;
    let body = base64::prelude::BASE64_STANDARD.encode(BODY);
    json!({
        "namespace": "contoso.servicebus.windows.net", "event_hub": "events",
        "consumer_group": "$Default", "partition": "0", "sequence_number": number,
        "offset": (number * 100).to_string(), "enqueued_time": "2026-01-31T12:00:00Z",
        "properties": {}, "context": {},
        "dead_letter": {
            "sink": "crm", "reason": "the server answered 422",
            "time": "2026-01-31T12:00:00Z", "body": body,
        },
    })
}

fn file(count: i64) -> String {
    (0..count)
        .map(|number| format!("{}\n", dead(number)))
        .collect()
}

fn numbers<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<i64> {
    lines
        .map(|line| {
            let document: Value = serde_json::from_str(line).unwrap();
            document["sequence_number"].as_i64().unwrap()
        })
        .collect()
}

#[test]
fn a_dead_letter_becomes_the_message_that_it_was() {
    let world = World::new("dead.ndjson", file(3));
    let ended = world.run(&["--sink", "console"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("3 events delivered to \"console\""),
        "{}",
        ended.stderr
    );
    for (number, line) in ended.stdout.iter().enumerate() {
        let message: Value = serde_json::from_str(line).unwrap();
        assert_eq!(message["sequence_number"], number);
        assert_eq!(message["offset"], (number * 100).to_string());
        assert_eq!(message["context"]["PrimaryEntityName"], "account");
        assert_eq!(message.get("dead_letter"), None);
    }
    assert_eq!(world.done(), Some(3));
    assert_eq!(world.redrive(0), [0; 0]);
}

#[test]
fn an_archive_is_redriven_as_it_is() {
    let text = file(300);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    for (name, content) in [
        ("dead.ndjson.gz", gzip.finish().unwrap()),
        (
            "dead.ndjson.zst",
            zstd::encode_all(text.as_bytes(), 0).unwrap(),
        ),
    ] {
        let world = World::new(name, content);
        assert_eq!(world.redrive(0), (0..300).collect::<Vec<_>>(), "{name}");
        assert_eq!(world.done(), Some(300), "{name}");
    }
}

#[test]
fn what_is_no_dead_letter_is_told_with_its_line_and_kept() {
    let text = format!("{}\n{{\"hunter2\": 1}}\n{}\n", dead(0), dead(1));
    let world = World::new("dead.ndjson", text);
    let ended = world.run(&["--sink", "console"]);
    assert_eq!(ended.status.code(), Some(65), "{}", ended.stderr);
    assert_eq!(numbers(ended.stdout.iter().map(String::as_str)), [0, 1]);
    for said in [
        "line 2 is no dead letter",
        "1 damaged line, now in ",
        ".refused",
    ] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    let refused = fs::read_to_string(world.beside(".refused")).unwrap();
    assert_eq!(refused, "{\"hunter2\": 1}\n");
    assert_eq!(world.redrive(0), [0; 0]);
}

#[test]
fn a_dry_run_prints_each_and_does_nothing() {
    let world = World::new("dead.ndjson", format!("{}garbage\n", file(2)));
    let ended = world.run(&["--sink", "console", "--dry-run"]);
    assert_eq!(ended.status.code(), Some(65), "{}", ended.stderr);
    let expected = |line: usize| {
        format!("line {line}: Update account, refused by crm: the server answered 422")
    };
    assert_eq!(ended.stdout[..2], [expected(1), expected(2)]);
    assert!(
        ended.stdout[2].starts_with("line 3: is not JSON"),
        "{:?}",
        ended.stdout
    );
    assert!(
        ended.stderr.contains("2 events would be delivered"),
        "{}",
        ended.stderr
    );
    assert!(!world.beside(".redriven").exists() && !world.beside(".refused").exists());
}

#[test]
fn only_what_a_sink_refused_can_be_chosen() {
    let world = World::new("dead.ndjson", file(2));
    for (by, expected) in [("erp", 0), ("crm", 2)] {
        let ended = world.run(&["--sink", "console", "--refused-by", by]);
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout.len(), expected, "{by}");
    }
}

#[test]
fn only_what_matches_can_be_chosen() {
    let world = World::new("dead.ndjson", file(2));
    for (filter, expected) in [("table=contact", 0), ("table=acc*,message!=Create", 2)] {
        let ended = world.run(&["--sink", "console", "--where", filter]);
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout.len(), expected, "{filter}");
    }
    let wrong = world.run(&["--sink", "console", "--where", "tabel=x"]);
    assert_eq!(wrong.status.code(), Some(64), "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("did you mean table?"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn what_cannot_be_done_is_told() {
    let world = World::new("dead.ndjson", file(1));
    let ended = world.run(&["--sink", "consol"]);
    assert_eq!(ended.status.code(), Some(64), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("did you mean \"console\"?"),
        "{}",
        ended.stderr
    );

    let held = File::open(&world.file).unwrap();
    held.lock().unwrap();
    let ended = world.run(&["--sink", "console"]);
    assert_eq!(ended.status.code(), Some(75), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("is being redriven by another"),
        "{}",
        ended.stderr
    );
    drop(held);

    fs::write(world.beside(".redriven"), "garbage").unwrap();
    let ended = world.run(&["--sink", "console"]);
    assert_eq!(ended.status.code(), Some(65), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("remove it to begin at the first line"),
        "{}",
        ended.stderr
    );
    fs::remove_file(world.beside(".redriven")).unwrap();

    fs::remove_file(&world.file).unwrap();
    let ended = world.run(&["--sink", "console"]);
    assert_eq!(ended.status.code(), Some(66), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("dead.ndjson cannot be read"),
        "{}",
        ended.stderr
    );
}

/// Waits for a file.
fn appears(path: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(
            Instant::now() < deadline,
            "{} did not appear",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Redrives into a pipe that is read no further than a third, until it has kept how far it is; then ends
/// it. What it has printed, and how it ended.
fn interrupted(world: &World, end: impl FnOnce(&mut Program)) -> (Vec<i64>, Ended) {
    let (reader, output) = std::io::pipe().unwrap();
    let mut reader = BufReader::new(reader);
    let mut command = world.command(&["--sink", "console"]);
    command.env("DATAVERSE_LISTENER_LOG", "info");
    let mut program = Program::start_with_stdout(&mut command, output);
    // The command holds our copy of the writing end.
    drop(command);
    let mut text = String::new();
    for _ in 0..MANY / 3 {
        reader.read_line(&mut text).unwrap();
    }
    appears(&world.beside(".redriven"));
    end(&mut program);
    let ended = program.wait();
    reader.read_to_string(&mut text).unwrap();
    // The last line may be torn: it was not accepted.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    (numbers(whole.lines()), ended)
}

const MANY: i64 = 3000;

/// The first run got so far, the second did the rest.
#[track_caller]
fn check_resumed(world: &World, printed: &[i64]) {
    let done = world.done().unwrap();
    assert!(done > 0 && done < MANY, "{done}");
    // Nothing counts as done that was not printed.
    assert!(
        done <= i64::try_from(printed.len()).unwrap(),
        "{done} {}",
        printed.len()
    );
    assert_eq!(printed, (0..).take(printed.len()).collect::<Vec<_>>());
    assert_eq!(world.redrive(0), (done..MANY).collect::<Vec<_>>());
    assert_eq!(world.done(), Some(MANY));
}

#[cfg(feature = "emulator")]
#[test]
fn a_redrive_that_pauses_goes_on_when_it_is_told_to() {
    let world = World::new("dead.ndjson", file(3));
    let server = Server::start(|before, _| match before {
        0 => Answer::status(410),
        _ => Answer::status(204),
    });
    let config = world.folder.path().join("daemon.toml");
    let text = fs::read_to_string(&config).unwrap().replace(
        "type = \"stdout\"",
        &format!("type = \"webhook\"\nurl = \"{}\"", server.url("/in")),
    );
    fs::write(config, text).unwrap();
    let mut program = Program::start(&mut world.command(&["--sink", "console"]));
    program.says("pauses until SIGHUP");
    program.signal("HUP");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(server.wait_for(|requests| requests.len() >= 4).len(), 4);
}

#[test]
fn a_redrive_that_was_killed_goes_on_where_it_was() {
    let world = World::new("dead.ndjson", file(MANY));
    let (printed, ended) = interrupted(&world, |program| program.signal("KILL"));
    assert_eq!(ended.status.code(), None);
    check_resumed(&world, &printed);
}

#[test]
fn a_redrive_that_was_told_to_stop_goes_on_where_it_was() {
    let world = World::new("dead.ndjson", file(MANY));
    let (printed, ended) = interrupted(&world, |program| {
        program.signal("TERM");
        program.says("SIGTERM: stopping");
        program.signal("TERM");
    });
    assert_eq!(ended.status.code(), Some(75), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("give the same command again"),
        "{}",
        ended.stderr
    );
    check_resumed(&world, &printed);
}
