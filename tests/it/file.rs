//! The sink `file`: every event in a file, once and in order, whatever happens to the file and the process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use crate::hub::Hub;
use crate::world::{File, PATIENCE, Program, command, daemon, file};

/// A directory for a sink, and the configuration of a daemon that writes there.
struct World {
    hub: Hub,
    directory: TempDir,
    config: File,
}

impl World {
    /// A hub of so many partitions, and a sink with these keys beside its directory.
    fn new(partitions: u16, keys: &str) -> Self {
        let hub = Hub::start(partitions);
        let directory = tempfile::tempdir().unwrap();
        let config = file(&format!(
            "[[hub]]\nconnection_string = \"{}\"\n[[sink]]\nname = \"files\"\ntype = \"file\"\ndirectory = \"{}\"\n{keys}",
            hub.connection_string(),
            directory.path().display()
        ));
        Self {
            hub,
            directory,
            config,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The files there are, in the order of their names, which is that of their lines.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = paths.filter(|path| !is_hidden(path)).collect();
        files.sort();
        files
    }

    /// How many lines there are in all files.
    fn count(&self) -> usize {
        let texts = self
            .files()
            .into_iter()
            .map(|path| fs::read(path).unwrap_or_default());
        texts
            .map(|text| text.iter().filter(|byte| **byte == b'\n').count())
            .sum()
    }

    #[track_caller]
    fn wait_for_lines(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.count() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count} lines",
                self.count()
            );
            sleep(Duration::from_millis(10));
        }
    }

    /// The sequence numbers in all files, by partition and in their order; every line must be whole, but
    /// for one that is being written.
    #[track_caller]
    fn numbers(&self) -> BTreeMap<String, Vec<i64>> {
        let mut numbers = BTreeMap::<String, Vec<i64>>::new();
        for path in self.files() {
            // One may have become an archive just now; the next look finds it.
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            for line in text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'))
            {
                let document: Value = serde_json::from_str(line).unwrap();
                let partition = document["partition"].as_str().unwrap().to_owned();
                let number = document["sequence_number"].as_i64().unwrap();
                numbers.entry(partition).or_default().push(number);
            }
        }
        numbers
    }

    #[track_caller]
    fn assert_whole(&self) {
        for path in self.files() {
            let text = fs::read(&path).unwrap();
            assert!(
                text.is_empty() || text.ends_with(b"\n"),
                "{} ends in half a line",
                path.display()
            );
        }
    }

    /// Checks that so many events are there, each once, those of a partition in their order.
    #[track_caller]
    fn assert_each_once(&self, count: usize) {
        let numbers = self.numbers();
        for (partition, numbers) in &numbers {
            let expected: Vec<i64> = (0..).take(numbers.len()).collect();
            assert_eq!(*numbers, expected, "partition {partition}");
        }
        self.assert_whole();
        assert_eq!(numbers.values().map(Vec::len).sum::<usize>(), count);
    }
}

/// How many different events these are.
fn distinct(numbers: &BTreeMap<String, Vec<i64>>) -> usize {
    let distinct = numbers
        .values()
        .map(|numbers| numbers.iter().collect::<BTreeSet<_>>().len());
    distinct.sum()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with('.')
}

#[track_caller]
fn stop(program: Program) {
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn every_event_is_in_the_files_once_and_in_order() {
    let world = World::new(4, "");
    world.hub.simulate(["--count", "3000"]);
    let program = daemon(&world.config, &[]);
    world.wait_for_lines(3000);
    stop(program);
    world.assert_each_once(3000);
}

#[test]
fn a_file_may_become_many() {
    for (keys, least) in [
        ("path = \"{partition}.ndjson\"", 4),
        ("rotate_bytes = \"1MiB\"", 4),
    ] {
        let world = World::new(4, keys);
        world.hub.simulate(["--count", "500"]);
        let program = daemon(&world.config, &[]);
        world.wait_for_lines(500);
        stop(program);
        world.assert_each_once(500);
        assert!(world.files().len() >= least, "{:?}", world.files());
    }
}

#[test]
fn a_file_that_is_renamed_before_a_hangup_signal_loses_no_line() {
    let world = World::new(1, "");
    world.hub.simulate(["--count", "200"]);
    let mut program = daemon(&world.config, &[]);
    for round in 1..=5 {
        world.wait_for_lines(200 * round);
        // Their names sort as their lines do.
        fs::rename(
            world.path("events.ndjson"),
            world.path(&format!("a{round}")),
        )
        .unwrap();
        program.signal("HUP");
        program.says("SIGHUP: opening files anew");
        world.hub.simulate(["--count", "200"]);
    }
    world.wait_for_lines(1200);
    stop(program);
    world.assert_each_once(1200);
    assert_eq!(world.files().len(), 6);
}

#[test]
fn a_disk_that_is_full_holds_the_events_until_there_is_room() {
    let world = World::new(1, "");
    world.hub.simulate(["--count", "1000"]);
    // A limit on the size of a file stands for the disk: what fits is written, then no more.
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -S -f 100; exec \"$0\" \"$@\""]);
    let run = command(["run", "--config", world.config.path.to_str().unwrap()]);
    limited
        .arg(run.get_program())
        .args(run.get_args())
        .env_clear();
    let mut program = Program::start(&mut limited);
    program.says("delivery failed");
    // Whole lines only, though the limit was in the middle of one.
    world.assert_each_once(world.count());
    assert!((1..1000).contains(&world.count()), "{}", world.count());
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(
        Pid::from_raw(program.id().try_into().unwrap()),
        Resource::Fsize,
        unlimited,
    )
    .unwrap();
    program.says("delivering again");
    world.wait_for_lines(1000);
    stop(program);
    world.assert_each_once(1000);
}

#[test]
fn a_process_that_is_killed_leaves_nothing_that_the_next_one_does_not_mend() {
    let checkpoints = tempfile::tempdir().unwrap();
    let world = World::new(
        2,
        &format!(
            "rotate_bytes = \"2MiB\"\n[checkpoint]\nstore = \"file\"\ninterval = \"50ms\"\npath = \"{}\"\n",
            checkpoints.path().display()
        ),
    );
    world.hub.simulate(["--count", "1000"]);
    for reached in [200, 500, 800] {
        let program = daemon(&world.config, &[]);
        world.wait_for_lines(reached);
        program.signal("KILL");
        program.wait();
    }
    // As the middle of a write leaves it.
    let mut torn = fs::File::options()
        .append(true)
        .create(true)
        .open(world.path("events.ndjson"))
        .unwrap();
    torn.write_all(b"{\"namespace\":\"127.0.0.1\",\"event_hub\"")
        .unwrap();
    let mut program = daemon(&world.config, &[]);
    program.says("the file ended in half a line");
    let deadline = Instant::now() + PATIENCE;
    while distinct(&world.numbers()) < 1000 {
        let reached = distinct(&world.numbers());
        assert!(Instant::now() < deadline, "{reached} of 1000");
        sleep(Duration::from_millis(50));
    }
    stop(program);
    assert_eq!(distinct(&world.numbers()), 1000);
    world.assert_whole();
}

#[test]
fn a_file_that_somebody_else_writes_is_an_error_at_the_start() {
    let world = World::new(1, "");
    world.hub.simulate(["--count", "1"]);
    let program = daemon(&world.config, &[]);
    world.wait_for_lines(1);
    let ended = daemon(&world.config, &[]).wait();
    assert_ne!(ended.status.code(), Some(0));
    assert!(
        ended
            .stderr
            .contains("cannot open sink \"files\": another process writes to the same files"),
        "{}",
        ended.stderr
    );
    stop(program);
}
