//! The loss proof: kill the daemon at any instant, and no event is missing.
//!
//! A producer numbers events and appends them to an event hub in this process. The daemon delivers them
//! to two file sinks, a webhook and a dead-letter file, and is ended at random instants, mostly by
//! SIGKILL. Meanwhile the hub drops connections and links, the webhook answers 200, 422, 500, 429, late,
//! nothing, or with a reset, and in the long form the file system is full from time to time. At the end
//! the judge says whether every event is where it should be, in order, with no more repeats than what
//! was in flight.
//!
//! The short form is part of `cargo test`. The long form, which mounts a file system to fill and so
//! needs root or user name spaces:
//!
//! ```text
//! LOSS_KILLS=500 LOSS_EVENTS=1000000 cargo test --release --test loss -- --nocapture
//! ```
//!
//! Both print what they drew from; `LOSS_SEED=...` draws the same again.
#![cfg(feature = "emulator")]
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so does what it calls"
)]
#![expect(
    clippy::print_stdout,
    reason = "what was proved is for whoever runs it"
)]

mod daemon;
mod disk;
mod faults;
mod oracle;
mod plan;
mod proof;
mod report;
mod scenarios;
mod server;
mod tail;

use disk::Disk;
use proof::Scale;

/// How many partitions the hub of the proof has.
pub(crate) const PARTITIONS: u16 = 4;

#[test]
fn nothing_is_lost() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect(name))
    };
    let (kills, events) = (number("LOSS_KILLS"), number("LOSS_EVENTS"));
    let is_long = kills.is_some() || events.is_some();
    if is_long && !disk::may_mount("nothing_is_lost") {
        return;
    }
    let scale = Scale {
        seed: number("LOSS_SEED").unwrap_or_else(|| fastrand::u64(..)),
        events: u32::try_from(events.unwrap_or(6000)).expect("LOSS_EVENTS"),
        kills: usize::try_from(kills.unwrap_or(6)).expect("LOSS_KILLS"),
    };
    println!("LOSS_SEED={}", scale.seed);
    let folder = tempfile::tempdir().unwrap();
    let mounted = folder.path().join("disk");
    let disk = is_long.then(|| {
        std::fs::create_dir(&mounted).unwrap();
        Disk::mount(&mounted)
    });
    proof::prove(scale, folder.path(), disk.as_ref());
}
