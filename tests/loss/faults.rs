//! What goes wrong, and when: drawn from the seed, counted in events that the webhook has settled.

use std::time::{Duration, Instant};

use dataverse_listener::emulator::Emulator;

use crate::disk::Disk;
use crate::plan::{Kind, Planned, mix};
use crate::server::Answer;

/// How long the daemon waits for an answer of the webhook.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(800);

/// How the webhook answers the attempt of this number.
pub(crate) fn answer(seed: u64, number: u32, attempt: u32, event: &Planned) -> Answer {
    let good = match event.kind {
        Kind::Refused => Answer::Status(422, None),
        _ => Answer::Status(200, None),
    };
    let drawn = mix(seed ^ u64::from(attempt + 1).rotate_left(40), number.into());
    // Of ten thousand. Those that take time are rare, so that the others come to their turn.
    match drawn % 10_000 {
        0..40 => Answer::Status(500, None),
        40..55 => Answer::Status(503, None),
        55..70 => Answer::Status(429, None),
        70..74 => Answer::Status(429, Some(1)),
        74..78 => Answer::Status(429, Some(3600)),
        78..81 => Answer::Never,
        81..111 => Answer::Reset,
        111..114 => match good {
            Answer::Status(status, _) => Answer::Late(TIMEOUT + TIMEOUT / 8, status),
            other => other,
        },
        _ => good,
    }
}

/// How often each of [`answer`]'s bad answers was given.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answered {
    pub(crate) errors: usize,
    pub(crate) busy: usize,
    pub(crate) never: usize,
    pub(crate) resets: usize,
    pub(crate) late: usize,
}

impl Answered {
    pub(crate) fn count(&mut self, answer: Answer) {
        match answer {
            Answer::Status(500.., _) => self.errors += 1,
            Answer::Status(429, _) => self.busy += 1,
            Answer::Status(..) => {}
            Answer::Never => self.never += 1,
            Answer::Reset => self.resets += 1,
            Answer::Late(..) => self.late += 1,
        }
    }
}

/// What happens to the hub and to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every connection is reset.
    Drop,
    /// Every connection is closed with an error.
    Close,
    /// Every link of one partition is detached with an error.
    Detach,
    /// The hub says nothing for a while.
    Freeze,
    /// The hub refuses links for a while.
    Refuse,
    /// The disk is full for a while.
    Fill,
}

/// What is to happen, in order, and what has yet to end.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// From the last to the first.
    coming: Vec<(usize, Fault)>,
    under_way: Vec<(Instant, Fault)>,
    chance: fastrand::Rng,
    pub(crate) done: Vec<Fault>,
}

/// The longest that a fault lasts.
const LONGEST_MS: u64 = 700;

impl Schedule {
    /// About `each` of every fault over `events` events; without a disk none is filled.
    pub(crate) fn new(seed: u64, events: usize, each: usize, has_disk: bool) -> Self {
        use Fault::{Close, Detach, Drop, Fill, Freeze, Refuse};
        let mut chance = fastrand::Rng::with_seed(seed ^ 0xfa17);
        let kinds = [Drop, Close, Detach, Freeze, Refuse, Fill];
        let kinds = kinds.iter().filter(|fault| has_disk || **fault != Fill);
        let mut coming: Vec<_> = kinds
            .flat_map(|fault| std::iter::repeat_n(*fault, each))
            .map(|fault| (chance.usize(..events), fault))
            .collect();
        coming.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Self {
            coming,
            under_way: Vec::new(),
            chance,
            done: Vec::new(),
        }
    }

    /// Does what is due after so many events, and ends what has lasted for long enough.
    pub(crate) fn tick(&mut self, events: usize, hub: &Emulator, disk: Option<&Disk>) {
        let now = Instant::now();
        let over = self.under_way.extract_if(.., |(until, _)| *until <= now);
        over.for_each(|(_, fault)| end(fault, hub, disk));
        while self.coming.last().is_some_and(|(at, _)| *at <= events) {
            let Some((_, fault)) = self.coming.pop() else {
                return;
            };
            // Two of a kind at a time are one.
            if self.under_way.iter().any(|(_, known)| *known == fault) {
                continue;
            }
            let lasting = Duration::from_millis(self.chance.u64(50..LONGEST_MS));
            if self.begin(fault, hub, disk) {
                self.under_way.push((now + lasting, fault));
            }
            self.done.push(fault);
        }
    }

    /// Ends everything.
    pub(crate) fn finish(&mut self, hub: &Emulator, disk: Option<&Disk>) {
        let over = self.under_way.drain(..);
        over.for_each(|(_, fault)| end(fault, hub, disk));
    }

    /// True where the fault lasts.
    fn begin(&mut self, fault: Fault, hub: &Emulator, disk: Option<&Disk>) -> bool {
        match fault {
            Fault::Drop => hub.drop_connections(),
            Fault::Close => hub.close_connections("amqp:connection:forced", "closed by the proof"),
            Fault::Detach => {
                let partition = self.chance.u16(..crate::PARTITIONS);
                hub.detach(
                    partition,
                    "amqp:link:detach-forced",
                    "detached by the proof",
                );
            }
            Fault::Freeze => hub.freeze(),
            Fault::Refuse => hub.refuse_attach("com.microsoft:server-busy", "refused by the proof"),
            Fault::Fill => disk.into_iter().for_each(Disk::fill),
        }
        matches!(fault, Fault::Freeze | Fault::Refuse | Fault::Fill)
    }
}

fn end(fault: Fault, hub: &Emulator, disk: Option<&Disk>) {
    match fault {
        Fault::Freeze => hub.thaw(),
        Fault::Refuse => hub.allow_attach(),
        Fault::Fill => disk.into_iter().for_each(Disk::free),
        Fault::Drop | Fault::Close | Fault::Detach => {}
    }
}
