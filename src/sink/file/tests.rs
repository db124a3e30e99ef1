//! The files of a sink, whatever happens to them while it writes.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::message::samples;
use crate::sink::compliance::{self, Subject};

mod archives;

const SECOND: Duration = Duration::from_secs(1);

/// A sink's files in a directory of their own, and a clock that is moved by hand.
struct World {
    folder: TempDir,
    config: Config,
    files: Files,
    now: Now,
    /// Messages that were made so far.
    made: i64,
}

impl World {
    /// With these keys beside the directory.
    fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), toml);
        let now = Now::read();
        let files = open(&config, now);
        Self {
            folder,
            config,
            files,
            now,
            made: 0,
        }
    }

    /// What a new process finds.
    fn restart(&mut self) {
        self.files = open(&self.config, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now.utc += time;
        self.now.instant += time;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next messages, of these tables.
    fn messages(&mut self, tables: &[&str]) -> Vec<Delivery> {
        let message = |table: &&str| {
            let mut message = samples::context("Create", table);
            message.event.sequence_number.0 = self.made;
            self.made += 1;
            compliance::delivery(message)
        };
        tables.iter().map(message).collect()
    }

    /// Delivers so many messages as one batch, which must all be accepted.
    #[track_caller]
    fn deliver(&mut self, count: usize) {
        let messages = self.messages(&vec!["account"; count]);
        assert_eq!(self.attempt(&messages), (count, None));
    }

    /// One attempt to deliver a batch: how many were accepted, and what the error says.
    fn attempt(&mut self, messages: &[Delivery]) -> (usize, Option<String>) {
        self.files.render(messages).unwrap();
        let (accepted, result) = self.files.write(self.now);
        (
            accepted,
            result.err().map(|error| Causes(&error).to_string()),
        )
    }

    /// The numbers of the messages in a file, each of whose lines must be whole.
    #[track_caller]
    fn numbers(&self, name: &str) -> Vec<i64> {
        numbers(&fs::read(self.path(name)).unwrap())
    }

    /// The names of the files there are, those of locks left out, in their order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
        names.sort();
        names
    }

    /// Looks after the archives of `events.ndjson`, as the background does.
    fn upkeep(&self) {
        let upkeep = Upkeep {
            root: Root::new(self.config.directory.clone(), self.config.mode),
            compress: self.config.compress,
            keep: self.config.keep,
        };
        upkeep
            .look_after("events.ndjson", &AtomicBool::new(false))
            .unwrap();
    }
}

fn config(directory: &Path, toml: &str) -> Config {
    let toml = format!("directory = \"{}\"\n{toml}", directory.display());
    let file = config::File::from_str(&toml, config::FileFormat::Toml);
    let table = config::Config::builder().add_source(file).build().unwrap();
    let (config, mistakes) =
        Config::read(Settings::new("sink[0]", table.try_deserialize().unwrap()));
    assert_eq!(mistakes, []);
    config
}

fn open(config: &Config, now: Now) -> Files {
    let mut files = Files::new(
        config,
        Root::new(config.directory.clone(), config.mode),
        now,
    );
    files.open_constant().unwrap();
    files
}

#[track_caller]
fn numbers(text: &[u8]) -> Vec<i64> {
    assert!(text.is_empty() || text.ends_with(b"\n"), "a torn line");
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let document: serde_json::Value = serde_json::from_slice(line).unwrap();
            document["sequence_number"].as_i64().unwrap()
        })
        .collect()
}

#[tokio::test]
async fn it_does_what_every_sink_does() {
    compliance::check(|body| {
        let folder = tempfile::tempdir().unwrap();
        let toml = format!("directory = \"{}\"", folder.path().join("below").display());
        Subject {
            config: compliance::parsed(parse, body, &toml),
            arrived: Box::new(move || {
                let text = fs::read(folder.path().join("below/events.ndjson")).unwrap();
                let lines = text.split_inclusive(|byte| *byte == b'\n');
                lines
                    .map(|line| line.strip_suffix(b"\n").unwrap().to_vec())
                    .collect()
            }),
        }
    })
    .await;
}

#[test]
fn every_message_is_in_the_file_it_belongs_to() {
    let mut world = World::new("path = \"{table}/{year}.ndjson\"");
    let messages = world.messages(&["account", "contact", "account", "../x", "contact"]);
    assert_eq!(world.attempt(&messages), (5, None));
    assert_eq!(world.numbers("account/1970.ndjson"), [0, 2]);
    assert_eq!(world.numbers("contact/1970.ndjson"), [1, 4]);
    assert_eq!(world.numbers("_._x/1970.ndjson"), [3]);
}

#[test]
fn a_batch_that_is_large_is_written_in_pieces() {
    let mut world = World::new("");
    let long = format!(
        r#"{{"MessageName":"Create","InputParameters":[],"X":"{}"}}"#,
        "x".repeat(300_000)
    );
    let giant = |number| {
        let mut message = samples::message(&long);
        message.event.sequence_number.0 = number;
        compliance::delivery(message)
    };
    let giants: Vec<Delivery> = (0..5).map(giant).collect();
    let (accepted, error) = world.attempt(&giants);
    assert!((2..5).contains(&accepted) && error.is_none(), "{accepted}");
    assert_eq!(world.attempt(&giants[accepted..]), (5 - accepted, None));
    assert_eq!(world.numbers("events.ndjson"), [0, 1, 2, 3, 4]);
}

#[test]
fn half_a_line_is_cut_off_when_the_file_is_opened() {
    let mut world = World::new("");
    world.deliver(2);
    let whole = fs::read(world.path("events.ndjson")).unwrap();
    let mut torn = whole.clone();
    torn.extend_from_slice(&whole[..100]);
    fs::write(world.path("events.ndjson"), torn).unwrap();
    world.restart();
    assert_eq!(fs::read(world.path("events.ndjson")).unwrap(), whole);
    world.deliver(1);
    assert_eq!(world.numbers("events.ndjson"), [0, 1, 2]);
}

#[test]
fn a_file_that_is_moved_away_keeps_its_lines_and_a_new_one_gets_the_next() {
    for is_created in [false, true] {
        let mut world = World::new("");
        world.deliver(2);
        fs::rename(world.path("events.ndjson"), world.path("events.ndjson.1")).unwrap();
        if is_created {
            fs::write(world.path("events.ndjson"), "").unwrap();
        }
        world.deliver(1);
        assert_eq!(world.numbers("events.ndjson.1"), [0, 1]);
        assert_eq!(world.numbers("events.ndjson"), [2]);
    }
}

#[test]
fn a_file_that_is_moved_away_is_let_go_of_though_nothing_is_delivered() {
    let mut world = World::new("");
    world.deliver(1);
    fs::rename(world.path("events.ndjson"), world.path("events.ndjson.1")).unwrap();
    world.files.tend(world.now).unwrap();
    assert_eq!(world.names(), ["events.ndjson.1"]);
    world.deliver(1);
    assert_eq!(world.numbers("events.ndjson"), [1]);
}

#[test]
fn whoever_moves_a_file_away_is_let_make_the_new_one() {
    // Noticed by the next delivery, by a look in between, and after the file was closed.
    for between in [
        |_: &mut World| {},
        |world: &mut World| world.files.tend(world.now).unwrap(),
        |world: &mut World| world.files.close(world.now).unwrap(),
    ] {
        let mut world = World::new("");
        world.files.set_grace(600 * SECOND);
        world.deliver(1);
        let file = world.path("events.ndjson");
        fs::rename(&file, world.path("events.ndjson.1")).unwrap();
        between(&mut world);
        let creating = std::thread::spawn(move || {
            // Long enough for a delivery that does not wait.
            (0..1000).for_each(|_| std::thread::yield_now());
            File::create_new(file).is_ok()
        });
        world.deliver(1);
        assert!(creating.join().unwrap(), "it was made by the sink");
        assert_eq!(world.numbers("events.ndjson.1"), [0]);
        assert_eq!(world.numbers("events.ndjson"), [1]);
    }
}

#[test]
fn a_directory_that_is_removed_is_made_again() {
    let mut world = World::new("path = \"{table}/events.ndjson\"");
    world.deliver(1);
    world.pass(20 * SECOND);
    world.files.tend(world.now).unwrap();
    fs::remove_dir_all(world.path("account")).unwrap();
    world.deliver(1);
    assert_eq!(world.numbers("account/events.ndjson"), [1]);
}

/// What is in the file after its lines were copied away and taken out of it by `empty`; the lines of the
/// last ten seconds may be missing in the copy.
#[track_caller]
fn check_emptied(empty: impl Fn(&Path), keys: &str, expected: &[i64]) {
    let mut world = World::new(keys);
    world.deliver(2);
    world.pass(9 * SECOND);
    world.files.tend(world.now).unwrap();
    world.deliver(1);
    world.pass(2 * SECOND);
    world.files.tend(world.now).unwrap();
    empty(&world.path("events.ndjson"));
    world.deliver(1);
    assert_eq!(world.numbers("events.ndjson"), expected);
    // What was written again is as safe as anything.
    world.pass(SECOND);
    world.files.tend(world.now).unwrap();
    world.deliver(1);
    assert_eq!(world.numbers("events.ndjson"), [expected, &[4]].concat());
}

#[test]
fn what_was_written_shortly_before_a_truncation_is_written_again() {
    let truncate = |path: &Path| {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(0)
            .unwrap()
    };
    check_emptied(truncate, "", &[2, 3]);
    check_emptied(truncate, "fsync = \"never\"", &[2, 3]);
    check_emptied(truncate, "rewrite_window = \"1min\"", &[0, 1, 2, 3]);
    check_emptied(truncate, "rewrite_window = \"0s\"", &[3]);
    check_emptied(truncate, "rewrite_bytes = 0", &[3]);
    check_emptied(|path| fs::remove_file(path).unwrap(), "", &[2, 3]);
}

#[test]
fn a_truncation_of_a_file_that_was_closed_for_room_loses_no_line() {
    // Found when the next line is written, and otherwise before its lines are forgotten.
    for (is_written, expected) in [(true, vec![0, 2]), (false, vec![0])] {
        let mut world = World::new("path = \"{table}.ndjson\"\nopen_files = 1");
        let one = world.messages(&["account"]);
        assert_eq!(world.attempt(&one), (1, None));
        // logrotate has made its copy just before that line, and truncates just after another file was used.
        let two = world.messages(&["contact"]);
        assert_eq!(world.attempt(&two), (1, None));
        fs::write(world.path("account.ndjson"), "").unwrap();
        if is_written {
            world.pass(SECOND);
            let three = world.messages(&["account"]);
            assert_eq!(world.attempt(&three), (1, None));
        } else {
            world.pass(11 * SECOND);
            world.files.tend(world.now).unwrap();
        }
        assert_eq!(world.numbers("account.ndjson"), expected);
        world.pass(11 * SECOND);
        world.files.tend(world.now).unwrap();
        assert_eq!(world.numbers("account.ndjson"), expected);
        assert_eq!(world.numbers("contact.ndjson"), [1]);
    }
}

#[test]
fn a_truncation_in_the_middle_of_a_line_leaves_no_half_line() {
    let mut world = World::new("");
    world.deliver(3);
    let file = File::options()
        .write(true)
        .open(world.path("events.ndjson"))
        .unwrap();
    file.set_len(file.metadata().unwrap().len() - 10).unwrap();
    world.pass(SECOND);
    world.files.tend(world.now).unwrap();
    assert_eq!(world.numbers("events.ndjson"), [0, 1, 0, 1, 2]);
}

#[test]
fn a_truncation_is_found_though_nothing_is_delivered_and_though_the_file_is_opened_anew() {
    type Step = fn(&mut World);
    let steps: [Step; 2] = [
        |world| world.files.tend(world.now).unwrap(),
        |world| world.files.close(world.now).unwrap(),
    ];
    for step in steps {
        let mut world = World::new("");
        world.deliver(2);
        fs::write(world.path("events.ndjson"), "").unwrap();
        step(&mut world);
        assert_eq!(world.numbers("events.ndjson"), [0, 1]);
        world.deliver(1);
        assert_eq!(world.numbers("events.ndjson"), [0, 1, 2]);
    }
}

#[test]
fn nobody_makes_a_hole_in_a_file_by_truncating_it() {
    let mut world = World::new("rewrite_window = \"0s\"");
    world.deliver(100);
    for _ in 0..3 {
        fs::write(world.path("events.ndjson"), "").unwrap();
        world.deliver(1);
        assert!(!fs::read(world.path("events.ndjson")).unwrap().contains(&0));
        assert_eq!(world.numbers("events.ndjson").len(), 1);
    }
}

#[test]
fn only_so_many_files_are_open_at_once() {
    let mut world = World::new("path = \"{table}.ndjson\"\nopen_files = 2");
    let tables: Vec<String> = (0..10).map(|number| format!("t{number}")).collect();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    for _ in 0..3 {
        let messages = world.messages(&tables);
        assert_eq!(world.attempt(&messages), (10, None));
        assert!(open_in(world.folder.path()) <= 2);
    }
    for (index, table) in (0i64..).zip(&tables) {
        assert_eq!(
            world.numbers(&format!("{table}.ndjson")),
            [index, 10 + index, 20 + index]
        );
    }
}

/// How many files in a folder this process has open.
fn open_in(folder: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    targets
        .filter(|target| target.starts_with(folder) && target != folder)
        .count()
}

#[test]
fn a_file_that_cannot_be_written_holds_its_batch_and_nothing_is_written_twice() {
    let mut world = World::new("path = \"{table}.ndjson\"");
    fs::create_dir(world.path("contact.ndjson")).unwrap();
    let messages = world.messages(&["account", "contact", "account", "lead"]);
    let (accepted, error) = world.attempt(&messages);
    assert_eq!(accepted, 1);
    let place = world.path("contact.ndjson");
    assert_eq!(
        error.unwrap(),
        format!(
            "cannot open {}: Is a directory (os error 21)",
            place.display()
        )
    );
    // The worker comes again with the rest; it still cannot be.
    assert_eq!(world.attempt(&messages[1..]).0, 0);
    fs::remove_dir(place).unwrap();
    assert_eq!(world.attempt(&messages[1..]), (3, None));
    let next = world.messages(&["account"]);
    assert_eq!(world.attempt(&next), (1, None));
    for (name, expected) in [
        ("account", vec![0, 2, 4]),
        ("contact", vec![1]),
        ("lead", vec![3]),
    ] {
        assert_eq!(world.numbers(&format!("{name}.ndjson")), expected, "{name}");
    }
}

#[test]
fn nobody_leads_the_lines_elsewhere() {
    let outside = tempfile::tempdir().unwrap();
    let mut world = World::new("path = \"{table}.ndjson\"");
    let target = outside.path().join("target");
    std::os::unix::fs::symlink(&target, world.path("account.ndjson")).unwrap();
    let messages = world.messages(&["account"]);
    let (accepted, error) = world.attempt(&messages);
    assert_eq!(accepted, 0);
    assert!(
        error
            .unwrap()
            .ends_with("it is a symbolic link, which is not followed")
    );
    assert!(!target.exists());
}

#[test]
fn what_is_accepted_is_safe_when_the_policy_says() {
    for (keys, times) in [
        ("", [true, true, true]),
        (
            "fsync = \"interval\"\nfsync_interval = \"3s\"",
            [false, false, true],
        ),
        ("fsync = \"never\"", [false, false, false]),
    ] {
        let mut world = World::new(keys);
        world.deliver(1);
        assert_eq!(world.files.is_synced(), times[0], "{keys}");
        world.pass(SECOND);
        world.files.tend(world.now).unwrap();
        assert_eq!(world.files.is_synced(), times[1], "{keys}");
        world.pass(3 * SECOND);
        world.files.tend(world.now).unwrap();
        assert_eq!(world.files.is_synced(), times[2], "{keys}");
    }
}

#[test]
fn two_processes_do_not_write_to_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let first = config(folder.path(), "path = \"{table}/x\"");
    let held = FileSink::open(&first, "first".into()).unwrap();
    let error = FileSink::open(&first, "second".into())
        .map(drop)
        .unwrap_err();
    let lock = folder.path().join(".{table}%2Fx.lock");
    assert_eq!(
        error.to_string(),
        format!(
            "another process writes to the same files: {} is locked",
            lock.display()
        )
    );
    // Others in the same directory are not in the way.
    FileSink::open(&config(folder.path(), ""), "other".into()).unwrap();
    drop(held);
    FileSink::open(&first, "second".into()).unwrap();
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_opened_anew_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = FileSink::open(&config(folder.path(), ""), "test".into()).unwrap();
    let message = || compliance::delivery(samples::context("Create", "account"));
    let (file, moved) = (
        folder.path().join("events.ndjson"),
        folder.path().join("moved"),
    );
    assert_eq!(sink.deliver(&[message(), message()]).await.accepted, 2);
    fs::rename(&file, &moved).unwrap();
    sink.reopen().await;
    assert_eq!(
        open_in(folder.path()),
        1,
        "but for the lock, nothing is open"
    );
    assert_eq!(sink.deliver(&[message()]).await.accepted, 1);
    sink.close().await.unwrap();
    assert_eq!(numbers(&fs::read(moved).unwrap()).len(), 2);
    assert_eq!(numbers(&fs::read(file).unwrap()).len(), 1);
}

#[test]
fn only_a_sink_of_messages_takes_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    for (body, is_fit) in [("message", true), ("context", false), ("original", false)] {
        let config = config(folder.path(), &format!("body = \"{body}\""));
        assert_eq!(config.unfit_for_dead_letters().is_none(), is_fit, "{body}");
    }
}
