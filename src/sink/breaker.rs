//! Whether a server is to be asked at all; pure.
//!
//! After several failures in a row and none but failures, the breaker opens: nothing is sent until a pause
//! is over, and then one attempt alone. When that succeeds everything goes on; otherwise the next pause is
//! longer. Nothing is dropped meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use super::retry::Retry;
use crate::backoff::Backoff;

/// Failures in a row that open it.
const FAILURES: u32 = 5;

/// Counts failures and says when the next attempt may begin.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    pauses: Backoff,
    /// Nothing begins before this: it is open.
    open_until: Option<Instant>,
    /// Nothing begins before this: the server asked for it. An answer to somebody else changes nothing.
    asked_until: Option<Instant>,
    /// True when only one attempt may be under way: the one that finds out.
    is_probing: bool,
    /// True until somebody says to go on.
    is_paused: bool,
}

/// What may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// As many attempts as there is room for.
    All,
    /// One, where none is under way.
    One,
    /// None before this.
    NotBefore(Instant),
    /// None until somebody says to go on.
    Paused,
}

impl Breaker {
    pub(super) fn new(retry: &Retry) -> Self {
        Self {
            failures: 0,
            pauses: retry.backoff(),
            open_until: None,
            asked_until: None,
            is_probing: false,
            is_paused: false,
        }
    }

    /// What may begin at `now`.
    pub(super) fn allowed(&self, now: Instant) -> Allowed {
        match self.open_until.max(self.asked_until) {
            _ if self.is_paused => Allowed::Paused,
            Some(time) if time > now => Allowed::NotBefore(time),
            _ if self.is_probing => Allowed::One,
            _ => Allowed::All,
        }
    }

    /// An attempt was answered as it should be, if only by a refusal of its message.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.is_probing = false;
        self.open_until = None;
        self.pauses.reset();
    }

    /// An attempt failed. Returns how long everything pauses, where the breaker is open now.
    pub(super) fn failed(&mut self, now: Instant, random: f64) -> Option<Duration> {
        if let Some(until) = self.open_until.filter(|until| *until > now) {
            // It was under way when the breaker opened: the same outage, not another one.
            return Some(until - now);
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return None;
        }
        self.is_probing = true;
        let pause = self.pauses.next_delay(random);
        self.open_until = Some(now + pause);
        Some(pause)
    }

    /// The server wants nothing for a while.
    pub(super) fn wait(&mut self, now: Instant, pause: Duration) {
        self.asked_until = self.asked_until.max(Some(now + pause));
    }

    /// The server wants nothing any more.
    pub(super) fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Somebody says to go on: the next attempt finds out. True where the server had wanted nothing any
    /// more.
    pub(super) fn resume(&mut self) -> bool {
        let was_paused = std::mem::take(&mut self.is_paused);
        self.is_probing |= was_paused;
        self.open_until = None;
        self.asked_until = None;
        was_paused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(&Retry {
            first: Duration::from_secs(1),
            limit: Duration::from_secs(60),
            give_up: None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_one_attempt_closes_it() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 1..FAILURES {
            assert_eq!(breaker.failed(now, 1.0), None);
            assert_eq!(breaker.allowed(now), Allowed::All);
        }
        assert_eq!(breaker.failed(now, 1.0), Some(Duration::from_secs(1)));
        let later = now + Duration::from_secs(1);
        assert_eq!(breaker.allowed(now), Allowed::NotBefore(later));
        assert_eq!(breaker.allowed(later), Allowed::One);
        assert_eq!(breaker.failed(later, 1.0), Some(Duration::from_secs(2)));
        breaker.succeeded();
        assert_eq!(breaker.allowed(later), Allowed::All);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_were_under_way_when_it_opened_do_not_make_the_pause_longer() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..16 {
            breaker.failed(now, 1.0);
        }
        let later = now + Duration::from_secs(1);
        assert_eq!(breaker.allowed(now), Allowed::NotBefore(later));
        let half = Duration::from_millis(500);
        assert_eq!(breaker.failed(now + half, 1.0), Some(half));
        assert_eq!(breaker.failed(later, 1.0), Some(Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_in_between_keeps_it_closed() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..3 * FAILURES {
            breaker.failed(now, 1.0);
            breaker.succeeded();
        }
        assert_eq!(breaker.allowed(now), Allowed::All);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_asks_for_is_waited_for() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.wait(now, Duration::from_secs(30));
        breaker.wait(now, Duration::from_secs(5));
        let later = now + Duration::from_secs(30);
        assert_eq!(breaker.allowed(now), Allowed::NotBefore(later));
        assert_eq!(breaker.allowed(later), Allowed::All);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_asks_for_outlasts_an_answer_to_somebody_else() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.wait(now, Duration::from_secs(30));
        breaker.succeeded();
        let later = now + Duration::from_secs(30);
        assert_eq!(breaker.allowed(now), Allowed::NotBefore(later));
        breaker.resume();
        assert_eq!(breaker.allowed(now), Allowed::All);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_lasts_until_somebody_ends_it() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.pause();
        assert_eq!(
            breaker.allowed(now + Duration::from_secs(1_000_000)),
            Allowed::Paused
        );
        breaker.resume();
        assert_eq!(breaker.allowed(now), Allowed::One);
    }
}
