//! One failure at a time: what the checkpoint says, and what the others do meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use dataverse_listener::emulator::{Emulator, Options};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::daemon::{Daemon, Setup, until};
use crate::plan;
use crate::server::{Answer, Judge, Request, Server};

/// A hub, a webhook server whose answers a test decides, and a folder.
struct World {
    _runtime: Runtime,
    hub: Emulator,
    folder: TempDir,
    webhook: Arc<Webhook>,
    url: String,
}

/// Where an event is: its partition and its sequence number.
type Place = (u16, i64);

/// Answers as a test wants, and remembers.
struct Webhook {
    /// The status for the event at a place.
    decide: Box<dyn Fn(Place) -> u16 + Send + Sync>,
    /// True once it answers 200 to everything.
    is_well: AtomicBool,
    attempts: Mutex<BTreeMap<Place, usize>>,
    accepted: Mutex<Vec<Place>>,
}

impl Judge for Webhook {
    fn arrived(&self, request: &Request) -> Answer {
        let message: Value = serde_json::from_slice(&request.body).unwrap();
        let partition = message["partition"].as_str().unwrap().parse().unwrap();
        let place = (partition, message["sequence_number"].as_i64().unwrap());
        *self.attempts.lock().unwrap().entry(place).or_default() += 1;
        let status = match self.is_well.load(Relaxed) {
            true => 200,
            false => (self.decide)(place),
        };
        if status == 200 {
            self.accepted.lock().unwrap().push(place);
        }
        Answer::Status(status, None)
    }
}

impl World {
    /// A hub of so many partitions, and a webhook that answers with what `decide` says of a place.
    fn new(partitions: u16, decide: impl Fn(Place) -> u16 + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let options = Options {
            partitions,
            retention_bytes: 1 << 30,
            ..Options::default()
        };
        let webhook = Arc::new(Webhook {
            decide: Box::new(decide),
            is_well: AtomicBool::new(false),
            attempts: Mutex::default(),
            accepted: Mutex::default(),
        });
        let server = Server::start(runtime.handle(), Arc::clone(&webhook));
        Self {
            hub: runtime.block_on(Emulator::start(options)).unwrap(),
            _runtime: runtime,
            folder: tempfile::tempdir().unwrap(),
            webhook,
            url: server.url(),
        }
    }

    /// Appends the events of these numbers to a partition; each is about a row of its own.
    fn append(&self, partition: u16, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let body = plan::context(number, number.into());
            self.hub.append_body(partition, body.as_bytes()).unwrap();
        }
    }

    /// A daemon that keeps its checkpoints in files, with these sinks besides.
    fn daemon(&self, sinks: &str) -> Daemon {
        let configuration = format!(
            "[[hub]]\nconnection_string = \"{}\"\n[checkpoint]\nstore = \"file\"\npath = \"{}\"\ninterval = \"10ms\"\n{sinks}",
            self.hub.connection_string(),
            self.state().display(),
        );
        Setup::new(self.folder.path(), &configuration).start()
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A webhook sink that tries again soon.
    fn hook(&self) -> String {
        format!(
            "[[sink]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\norder = \"row\"\nretry = {{ first = \"5ms\", limit = \"20ms\" }}\n",
            self.url
        )
    }

    /// A file sink.
    fn file(&self) -> String {
        format!(
            "[[sink]]\nname = \"file\"\ntype = \"file\"\ndirectory = \"{}\"\npath = \"all.ndjson\"\n",
            self.folder.path().join("files").display()
        )
    }

    fn lines_path(&self) -> PathBuf {
        self.folder.path().join("files/all.ndjson")
    }

    /// How many lines the file has.
    fn lines(&self) -> usize {
        let text = fs::read(self.lines_path()).unwrap_or_default();
        text.iter().filter(|byte| **byte == b'\n').count()
    }

    /// The sequence number in the checkpoint of a partition; none where it has no checkpoint.
    fn checkpoint(&self, partition: u16) -> Option<i64> {
        let text = fs::read(find(&self.state(), &format!("{partition}.json"))?).unwrap();
        let checkpoint: Value = serde_json::from_slice(&text).unwrap();
        checkpoint["sequence_number"].as_i64()
    }

    fn attempts(&self, place: Place) -> usize {
        let attempts = self.webhook.attempts.lock().unwrap();
        attempts.get(&place).copied().unwrap_or_default()
    }

    fn has_accepted(&self, place: Place) -> bool {
        self.webhook.accepted.lock().unwrap().contains(&place)
    }

    /// How many bytes of memory the daemon has, once it has come to a standstill.
    fn resident_at_rest(&self, daemon: &mut Daemon) -> usize {
        const STILL: usize = 400;
        let (mut written, mut ticks) = (0, 0);
        until("a standstill", || {
            daemon.must_run();
            let now = fs::metadata(self.lines_path()).map_or(0, |metadata| metadata.len());
            ticks = if now == written { ticks + 1 } else { 0 };
            written = now;
            (written > 0 && ticks > STILL).then_some(())
        });
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.unwrap().trim().strip_suffix(" kB").unwrap();
        kilobytes.parse::<usize>().unwrap() << 10
    }

    fn mend(&self) {
        self.webhook.is_well.store(true, Relaxed);
    }
}

/// The file of this name somewhere below `folder`.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.find_map(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => find(&path, name),
            false => path.ends_with(name).then_some(path),
        }
    })
}

#[test]
fn a_failure_for_the_third_of_four_events_leaves_the_checkpoint_at_the_second() {
    let world = World::new(1, |(_, number)| if number == 2 { 500 } else { 200 });
    world.append(0, 0..4);
    let daemon = world.daemon(&world.hook());
    until("the checkpoint", || world.checkpoint(0));
    until("the fourth event", || {
        world.has_accepted((0, 3)).then_some(())
    });
    let before = world.attempts((0, 2));
    until("more attempts", || {
        (world.attempts((0, 2)) > before + 5).then_some(())
    });
    assert_eq!(world.checkpoint(0), Some(1));
    world.mend();
    until("the last", || {
        (world.checkpoint(0) == Some(3)).then_some(())
    });
    assert!(daemon.stop().success());
}

#[test]
fn of_two_partitions_of_which_one_fails_only_the_other_moves() {
    let world = World::new(2, |(partition, _)| if partition == 0 { 500 } else { 200 });
    world.append(0, 0..50);
    world.append(1, 50..100);
    let daemon = world.daemon(&format!("{}concurrency = 64\n", world.hook()));
    until("the other partition", || {
        (world.checkpoint(1) == Some(49)).then_some(())
    });
    until("attempts", || (world.attempts((0, 0)) > 2).then_some(()));
    assert_eq!(world.checkpoint(0), None);
    world.mend();
    until("the one that failed", || {
        (world.checkpoint(0) == Some(49)).then_some(())
    });
    assert!(daemon.stop().success());
}

#[test]
fn with_one_of_two_sinks_down_nothing_is_lost() {
    let world = World::new(2, |_| 503);
    world.append(0, 0..300);
    world.append(1, 300..600);
    let sinks = format!("{}{}", world.file(), world.hook());
    let mut daemon = world.daemon(&sinks);
    until("the file", || (world.lines() == 600).then_some(()));
    assert_eq!((world.checkpoint(0), world.checkpoint(1)), (None, None));
    daemon.must_run();
    daemon.kill();
    world.mend();
    let daemon = world.daemon(&sinks);
    until("the checkpoints", || {
        let is_done = [0, 1]
            .iter()
            .all(|partition| world.checkpoint(*partition) == Some(299));
        is_done.then_some(())
    });
    for place in (0..2).flat_map(|partition| (0..300).map(move |number| (partition, number))) {
        assert!(world.has_accepted(place), "{place:?}");
    }
    assert!(daemon.stop().success());
}

/// What the daemon may hold with its defaults: `delivery.total_in_flight_bytes`, what the service may send
/// ahead of all partitions, and the program itself with the buffers of 32 connections and what its allocator
/// keeps for the next time.
const MOST_RESIDENT: usize = (32 + 32 + 64) << 20;

#[test]
fn with_32_partitions_and_a_dead_sink_memory_stays_within_its_limits() {
    const LARGE: &[u8] = include_bytes!("../data/corpus/random/m0005.json");
    const PARTITIONS: u16 = 32;
    let world = World::new(PARTITIONS, |_| 503);
    let append = |events: usize| {
        for partition in (0..PARTITIONS).cycle().take(events) {
            world.hub.append_body(partition, LARGE).unwrap();
        }
    };
    // As much as all limits together, and then as much again.
    let many = (MOST_RESIDENT).div_ceil(LARGE.len());
    append(many);
    let mut daemon = world.daemon(&format!("{}{}", world.file(), world.hook()));
    let first = world.resident_at_rest(&mut daemon);
    append(many);
    let second = world.resident_at_rest(&mut daemon);
    println!(
        "resident with 32 partitions and a dead sink: {} MiB of {} MiB waiting, {} MiB of {} MiB",
        first >> 20,
        (many * LARGE.len()) >> 20,
        second >> 20,
        (2 * many * LARGE.len()) >> 20,
    );
    assert!(first < MOST_RESIDENT, "{first}");
    assert!(second < MOST_RESIDENT, "{second}");
    assert!(world.lines() < many / 2, "{} lines", world.lines());
}
