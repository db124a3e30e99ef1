//! How fast bodies are decoded, and beside it what less than decoding takes for the same bytes.
//!
//!     cargo bench --bench decode [-- ROUNDS]
//!
//! Reads the bodies of tests/data/corpus/random again and again on one thread, with the allocator of the daemon.
//! Each round does everything once, so that whatever disturbs the machine disturbs all of it; of ROUNDS (51) the
//! best and the middle one are told. What is measured is the CPU time of the thread. Allocations are counted all the
//! while, which costs some nanoseconds each: the decoder does not feel it, serde_json's `Value` does.
//!
//! A second table tells what a byte costs in small bodies and in large ones: all are a context of the corpus, with
//! hardly anything but a row, and its attributes repeated under other names.
#![expect(
    clippy::print_stdout,
    reason = "what it prints is what it is asked for"
)]

mod bodies;
mod work;

use std::env;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use alloc_tracker::{Allocator, Session};
use mimalloc::MiMalloc;
use rustix::time::{ClockId, clock_gettime};

use self::work::{KINDS, Kind, Scratch, Work};

/// Counts for the allocator that the daemon has.
#[global_allocator]
static ALLOCATOR: Allocator<MiMalloc> = Allocator::new(MiMalloc);

/// How many rounds `cargo bench` does.
const ROUNDS: usize = 51;

/// A measurement goes over at least so many bytes in each round: several times over the largest body, so that none
/// finds the caches cold.
const LEAST: usize = 4_000_000;

/// The sizes of bodies that are made, in bytes, of which the first has no attribute repeated. The decoder takes a MiB.
const SIZES: &[usize] = &[0, 4_000, 16_000, 64_000, 250_000, 1_000_000];

/// Bodies of one format that are read one after another.
struct Bodies {
    all: Vec<Vec<u8>>,
    /// How often they are all read in a round.
    passes: usize,
}

impl Bodies {
    fn new(all: Vec<Vec<u8>>) -> Self {
        let mut bodies = Self { all, passes: 1 };
        bodies.passes = LEAST.div_ceil(bodies.bytes().max(1));
        bodies
    }

    fn bytes(&self) -> usize {
        self.all.iter().map(Vec::len).sum()
    }

    fn pass(&self, work: Work, scratch: &mut Scratch) -> Result<(), Box<dyn Error>> {
        self.all.iter().try_for_each(|body| work(body, scratch))
    }
}

/// One thing that is done with some bodies, and how long it took.
struct Measurement {
    bodies: Rc<Bodies>,
    work: Work,
    /// Of a body.
    allocations: f64,
    /// Nanoseconds of CPU that a byte took, of each round.
    rounds: Vec<f64>,
}

impl Measurement {
    /// Does it twice: so that `scratch` has grown, and to count how often memory is asked for.
    fn new(bodies: &Rc<Bodies>, work: Work, scratch: &mut Scratch) -> Result<Self, Box<dyn Error>> {
        bodies.pass(work, scratch)?;
        let session = Session::new();
        let counted = session.operation("pass");
        {
            let _span = counted.measure_thread();
            bodies.pass(work, scratch)?;
        }
        let report = session.to_report();
        let count: u64 = report
            .operations()
            .map(|(_, operation)| operation.total_allocations_count())
            .sum();
        Ok(Self {
            bodies: Rc::clone(bodies),
            work,
            allocations: count as f64 / bodies.all.len() as f64,
            rounds: Vec::new(),
        })
    }

    fn round(&mut self, scratch: &mut Scratch) -> Result<(), Box<dyn Error>> {
        let start = cpu();
        for _ in 0..self.bodies.passes {
            self.bodies.pass(self.work, scratch)?;
        }
        let taken = cpu() - start;
        let bytes = self.bodies.bytes() * self.bodies.passes;
        self.rounds.push(taken.as_nanos() as f64 / bytes as f64);
        self.rounds.sort_by(f64::total_cmp);
        Ok(())
    }

    /// Nanoseconds a byte, in the best round.
    fn best(&self) -> f64 {
        self.rounds.first().copied().unwrap_or(f64::NAN)
    }

    /// Nanoseconds a byte, in the middle round.
    fn middle(&self) -> f64 {
        let middle = self.rounds.get(self.rounds.len() / 2);
        middle.copied().unwrap_or(f64::NAN)
    }
}

/// What is measured of a format.
struct Set {
    kind: &'static Kind,
    random: Rc<Bodies>,
    /// What is done with the corpus, and how fast that is wanted to be.
    corpus: Vec<(&'static str, Option<f64>, Measurement)>,
    /// Bodies of more and more attributes: decoded, and with the document.
    sizes: Vec<[Measurement; 2]>,
}

impl Set {
    fn new(kind: &'static Kind, scratch: &mut Scratch) -> Result<Self, Box<dyn Error>> {
        let random = bodies::random(kind)?;
        let mut sizes = Vec::new();
        for size in SIZES {
            let body = bodies::grown(kind, *size)?;
            let body = Rc::new(Bodies::new(vec![body]));
            sizes.push([
                Measurement::new(&body, kind.decode, scratch)?,
                Measurement::new(&body, kind.document, scratch)?,
            ]);
        }
        let ours = [
            ("decoded", Some(kind.target), kind.decode),
            (
                "decoded, and its document written",
                Some(kind.target / 2.0),
                kind.document,
            ),
        ];
        let floors = kind.floors.iter().map(|(name, work)| (*name, None, *work));
        let random = Rc::new(Bodies::new(random));
        let mut corpus = Vec::new();
        for (name, target, work) in ours.into_iter().chain(floors) {
            let measured = Measurement::new(&random, work, scratch)
                .map_err(|error| format!("{}, {name}: {error}", kind.name))?;
            corpus.push((name, target, measured));
        }
        Ok(Self {
            kind,
            random,
            corpus,
            sizes,
        })
    }

    fn round(&mut self, scratch: &mut Scratch) -> Result<(), Box<dyn Error>> {
        let corpus = self.corpus.iter_mut().map(|(_, _, measured)| measured);
        let mut all = corpus.chain(self.sizes.iter_mut().flatten());
        all.try_for_each(|measured| measured.round(scratch))
    }

    fn print(&self) {
        let title = format!(
            "{}, {} bodies, {:.2} MB",
            self.kind.name,
            self.random.all.len(),
            self.random.bytes() as f64 / 1e6
        );
        println!("\n{title:<36}    best  middle  target  allocations a body");
        for (name, target, measured) in &self.corpus {
            let target = target.map_or_else(String::new, |target| format!("{target:.0}"));
            println!(
                "  {name:<34}{:>8.0}{:>8.0}{target:>8}{:>20.1}",
                1e3 / measured.best(),
                1e3 / measured.middle(),
                measured.allocations
            );
        }
    }
}

fn print_sizes(sets: &[Set]) {
    let names = sets.iter().map(|set| format!("{:>30}", set.kind.name));
    println!("{}", names.collect::<String>());
    println!(
        "{}",
        format!("{:>10}{:>10}{:>10}", "KB", "decoded", "document").repeat(sets.len())
    );
    for at in 0..SIZES.len() {
        let cells = sets.iter().filter_map(|set| set.sizes.get(at));
        let cells = cells.map(|[decoded, document]| {
            let size = decoded.bodies.bytes() as f64 / 1e3;
            format!(
                "{size:>10.1}{:>10.2}{:>10.2}",
                decoded.best(),
                document.best()
            )
        });
        println!("{}", cells.collect::<String>());
    }
}

/// The CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` says no `--bench`: then it is seen to run, and no more.
    let (told, arguments): (Vec<String>, Vec<String>) = env::args()
        .skip(1)
        .partition(|argument| argument == "--bench");
    let rounds = match arguments.as_slice() {
        [] if told.is_empty() => 1,
        [] => ROUNDS,
        [rounds] => rounds.parse().unwrap_or(0),
        _ => 0,
    };
    if rounds == 0 {
        return Err("usage: cargo bench --bench decode [-- ROUNDS]".into());
    }
    if cfg!(debug_assertions) {
        println!("not optimized: these are no measurements\n");
    }

    let mut scratch = Scratch::new();
    let sets = KINDS.iter().map(|kind| Set::new(kind, &mut scratch));
    let mut sets = sets.collect::<Result<Vec<_>, _>>()?;
    for _ in 0..rounds {
        sets.iter_mut()
            .try_for_each(|set| set.round(&mut scratch))?;
    }
    println!(
        "MB (a million bytes of the body) in a second of CPU, best and middle of {rounds} rounds"
    );
    sets.iter().for_each(Set::print);
    println!("\nCounting allocations takes about an eighth from `Value`; the rest do not feel it.");
    println!("\nns of CPU for a byte of the body, by its size in KB, best of {rounds} rounds\n");
    print_sizes(&sets);
    Ok(())
}
