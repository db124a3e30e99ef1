//! The proof: a producer, a daemon that is killed again and again, and a judge who reads all that it
//! delivered.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataverse_listener::emulator::{Emulator, Options};
use serde_json::Value;

use crate::PARTITIONS;
use crate::daemon::{Daemon, PATIENCE, Setup, TICK, until};
use crate::disk::Disk;
use crate::faults::{self, Answered, Schedule};
use crate::oracle::{Arrival, Book, Bound, Ending, Faults, Letters, Lines, Requests};
use crate::plan::{self, Kind, Plan, Planned, ROUTED};
use crate::report::Report;
use crate::server::{Answer, Judge, Request, Server};
use crate::tail::Tail;

/// What the daemon may have in flight.
const BOUND: Bound = Bound {
    in_flight: 256,
    unsaved: 100,
};

/// How far the producer is ahead of the webhook, in events.
const AHEAD: u32 = 4096;

/// What a proof is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) seed: u64,
    pub(crate) events: u32,
    pub(crate) kills: usize,
}

/// What the producer, the webhook and the proof share.
struct Shared {
    book: Book,
    requests: Requests,
    answered: Answered,
    faults: Faults,
}

struct Ledger(Mutex<Shared>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic elsewhere has said what is wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has been read of the files.
struct Files {
    tails: Vec<Tail>,
    all: Lines,
    routed_tail: Tail,
    routed: Lines,
    letters_tail: Tail,
    letters: Letters,
}

struct Proof<'a> {
    scale: Scale,
    hub: &'a Emulator,
    disk: Option<&'a Disk>,
    setup: Setup,
    ledger: &'a Ledger,
    files: Files,
    schedule: Schedule,
    chance: fastrand::Rng,
    report: Report,
    /// What the run before said at its end.
    last_words: String,
}

/// Runs a proof in `folder`, on `disk` where there is one that can be filled.
pub(crate) fn prove(scale: Scale, folder: &Path, disk: Option<&Disk>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options {
        partitions: PARTITIONS,
        ..Options::default()
    };
    let hub = runtime.block_on(Emulator::start(options)).unwrap();
    let plan = Plan {
        seed: scale.seed,
        partitions: PARTITIONS,
    };
    let ledger = Arc::new(Ledger(Mutex::new(Shared {
        book: Book::new(plan),
        requests: Requests::new(PARTITIONS),
        answered: Answered::default(),
        faults: Faults::default(),
    })));
    let server = Server::start(runtime.handle(), Arc::clone(&ledger));
    let state = disk.map_or(folder, |disk| &disk.path);
    let configuration = configuration(&hub.connection_string(), &server.url(), state);
    let each = scale.kills.div_ceil(12);
    let mut proof = Proof {
        scale,
        hub: &hub,
        disk,
        setup: Setup::new(folder, &configuration),
        ledger: &ledger,
        files: Files::new(state),
        schedule: Schedule::new(scale.seed, scale.events as usize, each, disk.is_some()),
        chance: fastrand::Rng::with_seed(scale.seed),
        report: Report::default(),
        last_words: String::new(),
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| produce(&hub, &ledger, scale.events, &is_over));
        // However the proof ends, the producer does too.
        let _over = SetOnDrop(&is_over);
        proof.run();
    });
    proof.finish();
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Appends every event to the hub, never far ahead of what was delivered.
fn produce(hub: &Emulator, ledger: &Ledger, events: u32, is_over: &AtomicBool) {
    while !is_over.load(Relaxed) {
        let (plan, numbers) = {
            let mut shared = ledger.lock();
            let Shared { book, requests, .. } = &mut *shared;
            let numbers = book.len()..events.min(requests.settled(book) + AHEAD);
            (book.plan(), numbers)
        };
        if numbers.start == events {
            return;
        }
        if numbers.is_empty() {
            std::thread::sleep(TICK);
        }
        for number in numbers {
            let event = plan.event(number);
            let body = plan.body(number);
            // Known before it is there: nobody may see an event that the book does not have.
            let sequence_number = {
                let mut shared = ledger.lock();
                shared.requests.produced(number, event);
                shared.book.produce()
            };
            let appended = hub.append_body(event.partition, body.as_bytes());
            assert_eq!(appended.unwrap(), sequence_number);
        }
    }
}

fn configuration(hub: &str, url: &str, state: &Path) -> String {
    let state = state.display();
    let Bound { in_flight, unsaved } = BOUND;
    let timeout = faults::TIMEOUT.as_millis();
    format!(
        r#"
[[hub]]
connection_string = "{hub}"
[delivery]
in_flight_events = {in_flight}
[checkpoint]
store = "file"
path = "{state}/checkpoints"
interval = "100ms"
events = {unsaved}
[dead_letter]
sink = "dead-letters"
[[sink]]
name = "files"
type = "file"
directory = "{state}/files"
path = "{{partition}}.ndjson"
[[sink]]
name = "routed"
type = "file"
directory = "{state}/routed"
path = "routed.ndjson"
[[sink]]
name = "hook"
type = "webhook"
url = "{url}"
order = "row"
concurrency = 8
timeout = "{timeout}ms"
retry = {{ first = "10ms", limit = "200ms" }}
[[sink]]
name = "dead-letters"
type = "file"
directory = "{state}/dead"
path = "letters.ndjson"
[[route]]
table = "{ROUTED}"
sinks = ["files", "routed", "hook"]
[[route]]
default = true
sinks = ["files", "hook"]
"#
    )
}

impl Judge for Ledger {
    fn run(&self) -> u32 {
        self.lock().book.run()
    }

    fn arrived(&self, request: &Request) -> Answer {
        let Some(arrival) = arrival(request) else {
            self.lock()
                .faults
                .add("webhook: a request that is no message".to_owned());
            return Answer::Status(400, None);
        };
        let mut shared = self.lock();
        let Shared {
            book,
            requests,
            answered,
            faults,
        } = &mut *shared;
        let Some((event, attempt)) = requests.arrived(book, arrival, faults) else {
            return Answer::Status(400, None);
        };
        let answer = faults::answer(book.plan().seed, arrival.number, attempt, &event);
        answered.count(answer);
        answer
    }

    fn answering(&self, request: &Request, answer: Answer) {
        let (Answer::Status(status, _) | Answer::Late(_, status)) = answer else {
            return;
        };
        if let (200 | 422, Some(arrival)) = (status, arrival(request)) {
            let Shared {
                book,
                requests,
                faults,
                ..
            } = &mut *self.lock();
            requests.late += usize::from(matches!(answer, Answer::Late(..)));
            requests.answered(book, arrival, status == 422, faults);
        }
    }
}

/// Which event a request is about.
fn arrival(request: &Request) -> Option<Arrival> {
    let message: Value = serde_json::from_slice(&request.body).ok()?;
    Some(Arrival {
        number: plan::number_of(message["context"]["OperationId"].as_str()?)?,
        id: request
            .id
            .bytes()
            .fold(0, |digest, byte| plan::mix(digest, byte.into())),
        run: request.run,
    })
}

impl Files {
    fn new(state: &Path) -> Self {
        let is_decodable = |event: &Planned| event.kind != Kind::Undecodable;
        let is_routed =
            |event: &Planned| event.kind != Kind::Undecodable && plan::table(event.row) == ROUTED;
        let tail = |partition| Tail::new(state.join(format!("files/{partition}.ndjson")));
        Self {
            tails: (0..PARTITIONS).map(tail).collect(),
            all: Lines::new("files", is_decodable, PARTITIONS),
            routed_tail: Tail::new(state.join("routed/routed.ndjson")),
            routed: Lines::new("routed", is_routed, PARTITIONS),
            letters_tail: Tail::new(state.join("dead/letters.ndjson")),
            letters: Letters::new(PARTITIONS),
        }
    }

    /// Reads what was added to the files.
    fn read(&mut self, book: &Book, faults: &mut Faults) {
        for line in self.tails.iter_mut().flat_map(Tail::read) {
            add_line(&line, &mut self.all, book, faults);
        }
        for line in self.routed_tail.read() {
            add_line(&line, &mut self.routed, book, faults);
        }
        for line in self.letters_tail.read() {
            match number_of_letter(&line) {
                Some(number) => {
                    let refused_by = line["dead_letter"]["sink"].as_str();
                    self.letters.letter(book, number, refused_by, faults);
                }
                None => faults.add(format!("dead letters: of which event is {line}")),
            }
        }
    }

    fn end_run(&mut self, book: &Book, faults: &mut Faults) {
        self.all.end_run(book, BOUND, faults);
        self.routed.end_run(book, BOUND, faults);
        self.letters.end_run(BOUND, faults);
        let tails = self.tails.iter_mut();
        let tails = tails.chain([&mut self.routed_tail, &mut self.letters_tail]);
        tails.for_each(Tail::trim);
    }

    fn awaited(&self, book: &Book) -> usize {
        self.all.awaited(book) + self.routed.awaited(book) + self.letters.awaited(book)
    }
}

fn add_line(line: &Value, lines: &mut Lines, book: &Book, faults: &mut Faults) {
    let number = line["context"]["OperationId"]
        .as_str()
        .and_then(plan::number_of);
    let partition = line["partition"]
        .as_str()
        .and_then(|text| text.parse().ok());
    match (number, partition, line["sequence_number"].as_i64()) {
        (Some(number), Some(partition), Some(sequence_number)) => {
            lines.line(book, number, (partition, sequence_number), faults);
        }
        _ => faults.add(format!("a file: of which event is {line}")),
    }
}

/// The number of a dead letter, by the bytes of its body.
fn number_of_letter(letter: &Value) -> Option<u32> {
    use base64::Engine as _;
    let body = letter["dead_letter"]["body"].as_str()?;
    let body = base64::prelude::BASE64_STANDARD.decode(body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let (_, rest) = body.split_once("\"OperationId\":\"")?;
    plan::number_of(rest.get(..36)?)
}

impl Proof<'_> {
    /// Every run of the daemon, the last until there is nothing more to deliver.
    fn run(&mut self) {
        let Scale { kills, events, .. } = self.scale;
        let mut instants: Vec<usize> = (0..kills + kills / 5)
            .map(|_| self.chance.usize(..events as usize))
            .collect();
        instants.sort_unstable();
        for instant in instants {
            let daemon = self.setup.start();
            let daemon = self.wait_for(daemon, instant);
            let ending = self.end(daemon);
            self.end_run(ending);
        }
        let daemon = self.setup.start();
        let mut daemon = self.wait_for(daemon, usize::MAX);
        self.schedule.finish(self.hub, self.disk);
        self.wait_for_files(&mut daemon);
        // Before that it hears no signals.
        daemon.says("listening");
        let status = daemon.stop();
        assert!(status.success(), "{status}");
        self.end_run(Ending::Drained);
    }

    /// Lets the daemon work until the webhook has settled so many events, or all, and a little longer.
    fn wait_for(&mut self, mut daemon: Daemon, instant: usize) -> Daemon {
        let is_early = self.chance.u8(..10) == 0;
        let extra = Duration::from_millis(self.chance.u64(..if is_early { 150 } else { 20 }));
        let (mut progress, mut since) = (0, Instant::now());
        loop {
            daemon.must_run();
            let (settled, is_complete) = {
                let shared = self.ledger.lock();
                let is_complete =
                    shared.book.len() == self.scale.events && shared.requests.awaited() == 0;
                (shared.requests.progress(), is_complete)
            };
            self.schedule.tick(settled, self.hub, self.disk);
            if settled >= instant || is_complete || is_early && instant != usize::MAX {
                std::thread::sleep(extra);
                return daemon;
            }
            if settled > progress {
                (progress, since) = (settled, Instant::now());
            }
            assert!(
                since.elapsed() < PATIENCE,
                "no progress after {settled} events; the daemon says:\n{}",
                daemon.said()
            );
            std::thread::sleep(TICK);
        }
    }

    /// Ends it: by SIGKILL, and the sixth time by SIGTERM.
    fn end(&mut self, daemon: Daemon) -> Ending {
        let ends = self.report.kills + self.report.stops;
        if !(ends + 1).is_multiple_of(6) {
            daemon.kill();
            self.report.kills += 1;
            return Ending::Killed;
        }
        self.report.stops += 1;
        let mut daemon = daemon;
        daemon.signal("TERM");
        let status = until("the end of the daemon", || {
            let settled = self.ledger.lock().requests.progress();
            self.schedule.tick(settled, self.hub, self.disk);
            daemon.ended()
        });
        self.last_words = daemon.said();
        match status.code() {
            Some(0) if !daemon.said().contains("left behind") => Ending::Drained,
            // Its time was up while something was failing, or it had not yet come to hear signals.
            Some(0 | 75) | None => Ending::Killed,
            _ => panic!(
                "SIGTERM ended it with {status}; it said:\n{}",
                daemon.said()
            ),
        }
    }

    /// Reads what the run has left, and judges it.
    fn end_run(&mut self, ending: Ending) {
        let mut shared = self.ledger.lock();
        let Shared {
            book,
            requests,
            faults,
            ..
        } = &mut *shared;
        self.files.read(book, faults);
        book.end_run(ending);
        self.files.end_run(book, faults);
        requests.end_run(BOUND, faults);
        assert!(
            faults.list.is_empty(),
            "seed {}: {faults:#?}\nat its last SIGTERM, the daemon said:\n{}",
            self.scale.seed,
            self.last_words
        );
        let done = self.report.kills + self.report.stops;
        if done.is_multiple_of(50) {
            println!("{done} ends, {} events", requests.progress());
        }
    }

    fn wait_for_files(&mut self, daemon: &mut Daemon) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            daemon.must_run();
            let shared = &mut *self.ledger.lock();
            self.files.read(&shared.book, &mut shared.faults);
            let awaited = self.files.awaited(&shared.book);
            if awaited == 0 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "seed {}: {awaited} are missing in the files; the daemon says:\n{}",
                self.scale.seed,
                daemon.said()
            );
            std::thread::sleep(TICK);
        }
    }

    fn finish(mut self) {
        let shared = &mut *self.ledger.lock();
        let Shared {
            book,
            requests,
            answered,
            faults,
        } = shared;
        let runs = self.report.kills + self.report.stops;
        let bound = runs * usize::from(PARTITIONS) * BOUND.events();
        self.report.scale(self.scale, BOUND, bound);
        let Files {
            all,
            routed,
            letters,
            ..
        } = &self.files;
        self.report
            .sink("files", all.events, &all.repeats, all.rewritten);
        self.report
            .sink("routed", routed.events, &routed.repeats, routed.rewritten);
        self.report.sink(
            "hook",
            requests.progress(),
            &requests.repeats,
            requests.again,
        );
        self.report
            .sink("dead letters", letters.events, &letters.repeats, 0);
        self.report
            .faults(&self.schedule.done, answered, self.disk.is_some());
        let Files {
            all,
            routed,
            letters,
            ..
        } = self.files;
        all.finish(book, faults);
        routed.finish(book, faults);
        letters.finish(book, faults);
        requests.finish(faults);
        println!("{}", self.report);
        assert!(
            faults.list.is_empty(),
            "seed {}: {faults:#?}",
            self.scale.seed
        );
    }
}
