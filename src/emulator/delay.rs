//! Bytes that wait before they are written, in their order. Knows no clock: it is handed the time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Bytes whose times are closer than this wait together.
const GRAIN: Duration = Duration::from_millis(1);

/// How much of a connection's output may be written already.
#[derive(Debug, Default)]
pub(crate) struct Delay {
    ready: usize,
    waiting: VecDeque<(Instant, usize)>,
}

impl Delay {
    /// Lets what the output has gained wait until `delay` from `now`, and no longer what has waited.
    pub(crate) fn hold(&mut self, output: usize, delay: Duration, now: Instant) {
        let known = self.ready + self.waiting.iter().map(|(_, len)| len).sum::<usize>();
        let gained = output.saturating_sub(known);
        let until = now + delay;
        match self.waiting.back_mut() {
            _ if gained == 0 => {}
            Some((last, len)) if until < *last + GRAIN => *len += gained,
            _ => self.waiting.push_back((until, gained)),
        }
        let over = self.waiting.partition_point(|(until, _)| *until <= now);
        let over = self.waiting.drain(..over).map(|(_, len)| len);
        self.ready += over.sum::<usize>();
    }

    /// How many bytes may be written.
    pub(crate) fn ready(&self) -> usize {
        self.ready
    }

    /// Forgets what was written.
    pub(crate) fn wrote(&mut self, len: usize) {
        self.ready = self.ready.saturating_sub(len);
    }

    /// When the next bytes have waited for long enough.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.front().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_sent_without_a_delay_is_ready_at_once() {
        let (mut delay, now) = (Delay::default(), Instant::now());
        delay.hold(10, Duration::ZERO, now);
        assert_eq!((delay.ready(), delay.next()), (10, None));
        delay.wrote(4);
        delay.hold(8, Duration::ZERO, now);
        assert_eq!(delay.ready(), 8);
    }

    #[test]
    fn what_was_sent_later_is_never_ready_sooner() {
        let (mut delay, begun) = (Delay::default(), Instant::now());
        delay.hold(10, SECOND, begun);
        delay.hold(15, Duration::ZERO, begun + SECOND / 2);
        assert_eq!((delay.ready(), delay.next()), (0, Some(begun + SECOND)));
        delay.hold(15, Duration::ZERO, begun + SECOND);
        assert_eq!((delay.ready(), delay.next()), (15, None));
    }

    #[test]
    fn bytes_wait_in_their_order_each_for_as_long() {
        let (mut delay, begun) = (Delay::default(), Instant::now());
        for at in 0..4 {
            delay.hold(10 * (at as usize + 1), SECOND, begun + SECOND / 2 * at);
        }
        // The first two have waited by then, the last two have not.
        assert_eq!(delay.ready(), 20);
        assert_eq!(delay.next(), Some(begun + SECOND * 2));
    }
}
