//! How long to wait before trying again: twice as long each time, with jitter, up to a limit.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The delays of one thing that is tried again and again.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    /// The part of a delay that chance decides.
    jitter: f64,
    failures: u32,
}

impl Backoff {
    /// Delays from about `first` to about `limit`, of which chance decides the half.
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        Self {
            first,
            limit,
            jitter: 0.5,
            failures: 0,
        }
    }

    /// Delays from nothing to a whole that grows from `first` to `limit`: many that wait for the same
    /// server spread evenly.
    pub(crate) fn full_jitter(first: Duration, limit: Duration) -> Self {
        Self {
            jitter: 1.0,
            ..Self::new(first, limit)
        }
    }

    /// The next delay: the doubled last one, less what chance takes of it. `random` is drawn
    /// evenly from 0 to 1, so that those who failed together do not come back together.
    pub(crate) fn next_delay(&mut self, random: f64) -> Duration {
        let factor = 2u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        let whole = self.first.saturating_mul(factor).min(self.limit);
        whole.mul_f64(1.0 - self.jitter * (1.0 - random.clamp(0.0, 1.0)))
    }

    /// Begins anew, after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Waits for a time, or for ever where there is none.
pub(crate) async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(random: f64) -> Vec<u128> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        (0..6)
            .map(|_| backoff.next_delay(random).as_millis())
            .collect()
    }

    #[test]
    fn delays_double_up_to_the_limit() {
        assert_eq!(delays(1.0), [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn jitter_takes_at_most_half_of_a_delay() {
        assert_eq!(delays(0.0), [50, 100, 200, 400, 500, 500]);
    }

    #[test]
    fn full_jitter_may_take_all_of_a_delay() {
        let mut backoff = Backoff::full_jitter(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(backoff.next_delay(0.0), Duration::ZERO);
        assert_eq!(backoff.next_delay(0.5), Duration::from_millis(100));
        assert_eq!(backoff.next_delay(1.0), Duration::from_millis(400));
    }

    #[test]
    fn a_success_starts_over_and_many_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for _ in 0..100 {
            backoff.next_delay(1.0);
        }
        assert_eq!(backoff.next_delay(1.0), Duration::from_secs(30));
        backoff.reset();
        assert_eq!(backoff.next_delay(1.0), Duration::from_secs(1));
    }
}
