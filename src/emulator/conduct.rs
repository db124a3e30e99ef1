//! How the hub behaves while it is told to misbehave, and what it is told to do to open connections.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::condition::Refusal;

/// What goes wrong until it is told to go right again.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    attach: Mutex<Option<Refusal>>,
    throttles_management: AtomicBool,
    refuses_tokens: AtomicBool,
    withholds_listen: AtomicBool,
    is_frozen: AtomicBool,
    /// In milliseconds.
    delay: AtomicU64,
}

impl Conduct {
    /// Refuses links to the hub and its partitions, or takes them again.
    pub(crate) fn refuse_attach(&self, refusal: Option<Refusal>) {
        *self.attach.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    pub(crate) fn attach_refusal(&self) -> Option<Refusal> {
        let refusal = self.attach.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.clone()
    }

    /// Is too busy for what is asked of `$management`, or answers again.
    pub(crate) fn throttle_management(&self, throttles_management: bool) {
        self.throttles_management
            .store(throttles_management, Ordering::SeqCst);
    }

    pub(crate) fn throttles_management(&self) -> bool {
        self.throttles_management.load(Ordering::SeqCst)
    }

    /// Refuses every token, or looks at them again.
    pub(crate) fn refuse_tokens(&self, refuses_tokens: bool) {
        self.refuses_tokens.store(refuses_tokens, Ordering::SeqCst);
    }

    pub(crate) fn refuses_tokens(&self) -> bool {
        self.refuses_tokens.load(Ordering::SeqCst)
    }

    /// Takes the claim Listen from the key, or gives it back.
    pub(crate) fn withhold_listen(&self, withholds_listen: bool) {
        self.withholds_listen
            .store(withholds_listen, Ordering::SeqCst);
    }

    pub(crate) fn withholds_listen(&self) -> bool {
        self.withholds_listen.load(Ordering::SeqCst)
    }

    pub(crate) fn set_frozen(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, Ordering::SeqCst);
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.is_frozen.load(Ordering::SeqCst)
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.delay.store(millis, Ordering::SeqCst);
    }

    /// How long what is sent waits before it is written.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay.load(Ordering::SeqCst))
    }
}

/// What an open connection is to do, once.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// Reset the TCP connection.
    Reset,
    /// End in the middle of the next event, of this partition where one is named.
    Cut(Option<u16>),
    /// Close with an error.
    Close(Refusal),
    /// End every session with an error, or those that receive from a partition.
    End(Refusal, Option<u16>),
}

/// Whether, and where, a connection ends in the middle of a frame.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    #[default]
    Never,
    /// In the next event, of this partition where one is named.
    Armed(Option<u16>),
    /// After so many bytes of the output.
    At(usize),
}

impl Cut {
    /// Looks at an event of `partition` that was added to `out` behind `before`.
    pub(crate) fn strike(&mut self, partition: u16, before: usize, out: &[u8]) {
        let Self::Armed(wanted) = *self else {
            return;
        };
        let size = out.get(before..).and_then(|frame| frame.first_chunk());
        // Without a frame the session's window was full.
        if let Some(size) = size
            && wanted.is_none_or(|wanted| wanted == partition)
        {
            *self = Self::At(before + u32::from_be_bytes(*size) as usize / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_in_the_middle_of_the_first_frame_of_the_partition_it_was_armed_for() {
        let check = |armed: Cut, expected: Cut| {
            let mut cut = armed;
            cut.strike(1, 3, &[9, 9, 9, 0, 0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 12]);
            assert_eq!(cut, expected, "{armed:?}");
        };
        check(Cut::Armed(None), Cut::At(7));
        check(Cut::Armed(Some(1)), Cut::At(7));
        check(Cut::Armed(Some(0)), Cut::Armed(Some(0)));
        check(Cut::Never, Cut::Never);
        check(Cut::At(2), Cut::At(2));
        let mut cut = Cut::Armed(None);
        cut.strike(1, 3, &[9, 9, 9]);
        assert_eq!(cut, Cut::Armed(None));
    }
}
