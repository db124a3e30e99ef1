// A storm: faults of every kind at random instants, while eight partitions are read. `main.rs` includes this behind
// the others, once for each engine.
//
// The short form is part of `cargo test`, on a clock that does not wait. The long form takes its time:
//
//   STORM_SECONDS=300 STORM_EVENTS=200000 cargo test --test receiver a_storm -- --nocapture
//
// Both print what they drew from; STORM_SEED draws the same again, as far as real sockets allow.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinSet;

const STORM_PARTITIONS: u16 = 8;
/// Reading must go on within this of a fault's end.
const RESUMES_WITHIN: Duration = Duration::from_secs(60);
/// What a hub that thaws takes to see that somebody has hung up on it meanwhile.
const SEES_AFTER_A_THAW: Duration = Duration::from_secs(1);
/// How often events are appended, and the hub is looked at.
const BEAT: Duration = Duration::from_millis(10);

/// What can strike. None of it loses an event by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Drop,
    CutFrame,
    Close,
    EndOfSession,
    Detach,
    Steal,
    /// A detach, or the close of every connection, with a condition that the service has.
    Condition,
    Freeze,
    RefuseTokens,
    ReplaceKey,
    Throttle,
    Quota,
    Disable,
    ThrottleManagement,
    Delay,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Drop,
        Self::CutFrame,
        Self::Close,
        Self::EndOfSession,
        Self::Detach,
        Self::Steal,
        Self::Condition,
        Self::Freeze,
        Self::RefuseTokens,
        Self::ReplaceKey,
        Self::Throttle,
        Self::Quota,
        Self::Disable,
        Self::ThrottleManagement,
        Self::Delay,
    ];

    /// True for what goes on until it is ended.
    fn lasts(self) -> bool {
        self >= Self::Freeze
    }
}

/// Conditions with which the service ends links and connections, beside those of [`Fault`].
///
/// Source: "Errors" in the documentation of Event Hubs, and the conditions that its SDKs know.
const CONDITIONS: [&str; 9] = [
    "com.microsoft:server-busy",
    "com.microsoft:timeout",
    "com.microsoft:operation-cancelled",
    "com.microsoft:container-close",
    "com.microsoft:entity-disabled",
    "amqp:unauthorized-access",
    "amqp:not-found",
    "amqp:link:transfer-limit-exceeded",
    "amqp:resource-limit-exceeded",
];

/// How one partition is read.
#[derive(Debug, Default)]
struct Reading {
    /// The number of the event that must come next.
    next: i64,
    /// How many events it has.
    appended: i64,
    /// Since when it has had the chance to go on, and has not: the next event that was appended has yet to come.
    waits_since: Option<(tokio::time::Instant, i64)>,
    /// The longest such wait that ended with an event.
    worst: Duration,
}

type Readings = Arc<[std::sync::Mutex<Reading>; STORM_PARTITIONS as usize]>;

/// A hub in a storm, and what is known of its readers.
struct Storm {
    emulator: Emulator,
    seed: u64,
    chance: fastrand::Rng,
    /// What is to strike, from the last to the first: a kind, and whether all partitions or one.
    deck: VecDeque<(Kind, bool)>,
    lasting: Vec<(tokio::time::Instant, Kind)>,
    thawed: Option<tokio::time::Instant>,
    readings: Readings,
    key: u32,
    secret: std::path::PathBuf,
    struck: BTreeMap<Kind, usize>,
    most_links: usize,
    _folder: tempfile::TempDir,
}

/// The body of an event; some are larger, so that frames end within.
fn storm_body(number: i64) -> String {
    let width = usize::try_from(number * 7919 % 600).expect("a width");
    format!("{number:width$}")
}

impl Storm {
    async fn new(seed: u64) -> Self {
        let options = Options {
            partitions: STORM_PARTITIONS,
            retention_bytes: usize::MAX,
            ..Options::default()
        };
        let folder = tempfile::tempdir().expect("a directory");
        let storm = Self {
            emulator: Emulator::start(options).await.expect("a hub"),
            seed,
            chance: fastrand::Rng::with_seed(seed),
            deck: VecDeque::new(),
            lasting: Vec::new(),
            thawed: None,
            readings: Readings::default(),
            key: 0,
            secret: folder.path().join("eventhub"),
            struck: BTreeMap::new(),
            most_links: 0,
            _folder: folder,
        };
        storm.write_secret();
        storm
    }

    fn write_secret(&self) {
        std::fs::write(&self.secret, self.emulator.connection_string()).expect("a file");
    }

    fn receiver(&self, partition: u16) -> Receiver {
        let string = ConnectionString::from_file(&self.secret).expect("a connection string");
        let config = Config {
            connection_string: string,
            ..config(&self.emulator.connection_string())
        };
        let id = PartitionId::new(&partition.to_string());
        EventHub::new(config).receiver(id, StartPosition::Earliest)
    }

    fn reading<T>(&self, partition: u16, look: impl FnOnce(&mut Reading) -> T) -> T {
        let reading = &self.readings[usize::from(partition)];
        look(&mut reading.lock().expect("no panic"))
    }

    /// Those that have yet to go on.
    fn waiting(&self) -> usize {
        let waits = |partition: &u16| self.reading(*partition, |it| it.waits_since.is_some());
        (0..STORM_PARTITIONS).filter(waits).count()
    }

    /// From now on, a partition or all of them can go on.
    fn can_go_on(&self, of: Option<u16>) {
        let now = tokio::time::Instant::now();
        for partition in of.map_or(0..STORM_PARTITIONS, |of| of..of + 1) {
            self.reading(partition, |it| it.waits_since = Some((now, it.appended)));
        }
    }

    /// Ends what has lasted for long enough.
    fn end_what_is_over(&mut self) {
        let now = tokio::time::Instant::now();
        let over: Vec<_> = self
            .lasting
            .extract_if(.., |(until, _)| *until <= now)
            .collect();
        for (_, kind) in over {
            match kind {
                Kind::Freeze => {
                    self.emulator.thaw();
                    self.thawed = Some(now);
                }
                Kind::RefuseTokens => self.emulator.accept_tokens(),
                Kind::ReplaceKey => self.write_secret(),
                Kind::ThrottleManagement => self.emulator.allow_management(),
                Kind::Delay => self.emulator.set_delay(Duration::ZERO),
                _ => self.emulator.allow_attach(),
            }
            self.can_go_on(None);
        }
    }

    /// Takes the next fault of the deck that may strike now. Mostly one that lasts waits until all is well again, and
    /// so does what strikes all: else there would be no end that something could be measured from.
    fn strike(&mut self) {
        if self.deck.is_empty() {
            // What strikes one partition once leaves the others as they are: there is more of it.
            let mut deck = Vec::new();
            for kind in Kind::ALL {
                deck.push((kind, self.chance.bool()));
                deck.extend((1..6).filter(|_| !kind.lasts()).map(|_| (kind, false)));
            }
            self.chance.shuffle(&mut deck);
            self.deck.extend(deck);
        }
        let is_well = self.lasting.is_empty() && self.waiting() == 0;
        let may = is_well || self.chance.u8(..16) == 0;
        let fits = |(kind, all): &(Kind, bool)| {
            (may || !kind.lasts() && !all)
                && !self.lasting.iter().any(|(_, other)| clash(*kind, *other))
        };
        let Some(at) = self.deck.iter().position(fits) else {
            return;
        };
        let Some((kind, all)) = self.deck.remove(at) else {
            return;
        };
        let of = (!all).then(|| self.choose());
        *self.struck.entry(kind).or_default() += 1;
        self.begin(kind, of);
        if kind.lasts() {
            let most = if kind == Kind::Freeze { 70_000 } else { 15_000 };
            let lasting = Duration::from_millis(self.chance.u64(500..most));
            self.lasting
                .push((tokio::time::Instant::now() + lasting, kind));
        } else {
            self.can_go_on(of);
        }
    }

    /// A partition; rather one that does not wait, so that the end of a wait is measured.
    fn choose(&mut self) -> u16 {
        let mut partition = self.chance.u16(..STORM_PARTITIONS);
        for _ in 0..STORM_PARTITIONS {
            if self.reading(partition, |it| it.waits_since.is_none()) {
                break;
            }
            partition = (partition + 1) % STORM_PARTITIONS;
        }
        partition
    }

    /// What is refused is refused to those that come again: somebody has to go first.
    fn begin(&mut self, kind: Kind, of: Option<u16>) {
        let hub = &self.emulator;
        match kind {
            Kind::Drop => return hub.disturb(Fault::Drop, of),
            Kind::CutFrame => return hub.disturb(Fault::CutFrame, of),
            Kind::Close => return hub.disturb(Fault::Close, of),
            Kind::EndOfSession => return hub.disturb(Fault::End, of),
            Kind::Detach => return hub.disturb(Fault::Detach, of),
            Kind::Steal => return hub.disturb(Fault::Steal, of),
            Kind::Freeze => return hub.disturb(Fault::Freeze, of),
            Kind::ThrottleManagement => return hub.throttle_management(),
            Kind::Delay => {
                return hub.set_delay(Duration::from_millis(self.chance.u64(50..3_000)));
            }
            Kind::Condition => {
                let condition = CONDITIONS[self.chance.usize(..CONDITIONS.len())];
                return match of {
                    Some(partition) => hub.detach(partition, condition, "a storm"),
                    None => hub.close_connections(condition, "a storm"),
                };
            }
            Kind::RefuseTokens => hub.refuse_tokens(),
            Kind::ReplaceKey => {
                self.key += 1;
                hub.replace_key(&format!("KEY_{}", self.key));
            }
            Kind::Throttle => hub.throttle_attach(),
            Kind::Quota => hub.exhaust_quota(),
            Kind::Disable => hub.disable(),
        }
        hub.disturb(Fault::Drop, of);
    }

    /// Nobody waits for too long, and nobody has two links.
    fn look(&mut self) {
        let now = tokio::time::Instant::now();
        let seed = self.seed;
        for partition in 0..STORM_PARTITIONS {
            let waits_since = self.reading(partition, |it| it.waits_since);
            let waited = waits_since.map_or(Duration::ZERO, |(since, _)| now - since);
            assert!(
                !self.lasting.is_empty() || waited <= RESUMES_WITHIN,
                "partition {partition} has not gone on for {waited:?}, seed {seed}"
            );
            let links = self.emulator.receivers(partition);
            let has_just_thawed = self.thawed.is_some_and(|at| now - at < SEES_AFTER_A_THAW);
            assert!(
                links <= 1 || has_just_thawed,
                "{links} links to partition {partition}, seed {seed}"
            );
            if !has_just_thawed {
                self.most_links = self.most_links.max(links);
            }
        }
    }

    fn append(&self, numbers: Range<i64>) {
        for number in numbers {
            let partition = u16::try_from(number % i64::from(STORM_PARTITIONS)).expect("a number");
            let number = number / i64::from(STORM_PARTITIONS);
            self.reading(partition, |it| it.appended = number + 1);
            let body = storm_body(number);
            let appended = self.emulator.append_body(partition, body.as_bytes());
            appended.expect("a partition");
        }
    }

    fn received(&self) -> i64 {
        (0..STORM_PARTITIONS)
            .map(|partition| self.reading(partition, |it| it.next))
            .sum()
    }

    /// Appends so many events over such a time, while it storms.
    async fn rage(&mut self, events: i64, lasting: Duration) {
        let begun = tokio::time::Instant::now();
        let (mut appended, mut next) = (0, begun);
        while appended < events {
            tokio::time::sleep(BEAT).await;
            let elapsed = begun.elapsed();
            let due = (events as f64 * elapsed.as_secs_f64() / lasting.as_secs_f64()) as i64;
            let due = due.min(events);
            self.append(appended..due);
            appended = due;
            // Whoever has never worked is told what is wrong, and does not wait.
            let all_work = (0..STORM_PARTITIONS).all(|it| self.reading(it, |it| it.next > 0));
            if all_work && next <= tokio::time::Instant::now() {
                self.strike();
                next =
                    tokio::time::Instant::now() + Duration::from_millis(self.chance.u64(..2_000));
            }
            self.end_what_is_over();
            self.look();
        }
        self.emulator.recover();
        self.write_secret();
        self.thawed = Some(tokio::time::Instant::now());
        self.lasting.clear();
        self.can_go_on(None);
        while self.received() < events {
            tokio::time::sleep(BEAT).await;
            // Whoever has read all of it does not go on.
            for partition in 0..STORM_PARTITIONS {
                self.reading(partition, |it| {
                    it.waits_since.take_if(|_| it.next == it.appended)
                });
            }
            self.look();
        }
    }
}

/// Those of which the end of one ends the other as well.
fn clash(one: Kind, other: Kind) -> bool {
    let attach = [Kind::Throttle, Kind::Quota, Kind::Disable];
    one == other || attach.contains(&one) && attach.contains(&other)
}

/// Takes what comes, without end: the next one every time.
async fn follow(mut receiver: Receiver, readings: Readings, partition: u16) {
    loop {
        let event = receiver.receive().await;
        let event = event.unwrap_or_else(|error| panic!("partition {partition}: {error:?}"));
        let mut reading = readings[usize::from(partition)].lock().expect("no panic");
        assert_eq!(event.sequence_number.0, reading.next, "of {partition}");
        assert!(event.body.bytes() == storm_body(reading.next).as_bytes());
        let number = reading.next;
        reading.next += 1;
        if let Some((since, _)) = reading.waits_since.take_if(|(_, from)| *from <= number) {
            reading.worst = reading.worst.max(since.elapsed());
        }
    }
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

#[tokio::test]
async fn a_storm_of_every_fault_loses_and_repeats_nothing_and_is_over_soon() {
    let number = |name| {
        let text = std::env::var(name).ok();
        text.map(|text| text.parse::<u64>().expect(name))
    };
    let (seconds, events) = (number("STORM_SECONDS"), number("STORM_EVENTS"));
    if seconds.is_none() && events.is_none() {
        tokio::time::pause();
    }
    let seed = number("STORM_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("STORM_SEED={seed}");
    let events = i64::try_from(events.unwrap_or(8_000)).expect("a number");
    let lasting = Duration::from_secs(seconds.unwrap_or(300));

    let mut storm = Storm::new(seed).await;
    let mut readers = JoinSet::new();
    for partition in 0..STORM_PARTITIONS {
        let receiver = storm.receiver(partition);
        readers.spawn(follow(receiver, Arc::clone(&storm.readings), partition));
    }
    let settled = async |storm: &Storm| {
        let connections = usize::from(STORM_PARTITIONS);
        let links = || (0..STORM_PARTITIONS).map(|it| storm.emulator.receivers(it));
        while links().any(|it| it != 1) || storm.emulator.open_connections() != connections {
            tokio::time::sleep(BEAT).await;
        }
        alive_tasks()
    };
    let before = settled(&storm).await;
    let begun = tokio::time::Instant::now();
    tokio::select! {
        () = storm.rage(events, lasting) => {}
        Some(ended) = readers.join_next() => panic!("seed {seed}: {:?}", ended.err()),
    }
    let took = begun.elapsed();
    let after = settled(&storm).await;
    let worst = (0..STORM_PARTITIONS).map(|it| storm.reading(it, |it| it.worst));
    println!(
        "{ENGINE:?}: {events} events in {took:.0?}, reading resumed after {:.1?} at the most, {} link to a \
         partition at the most, {before} tasks before and {after} after; faults: {:?}",
        worst.max().unwrap_or_default(),
        storm.most_links,
        storm.struck,
    );
    assert_eq!(storm.struck.len(), Kind::ALL.len(), "seed {seed}");
    assert!(after <= before, "seed {seed}: {after} tasks, not {before}");
    readers.shutdown().await;
    while storm.emulator.open_connections() > 0 {
        tokio::time::sleep(BEAT).await;
    }
}
