//! How long to wait before trying again: twice as long each time, with jitter, up to a limit.

use std::time::Duration;

/// The delays of one thing that is tried again and again.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
}

impl Backoff {
    /// Delays from about `first` to about `limit`.
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        Self {
            first,
            limit,
            failures: 0,
        }
    }

    /// The next delay: between the half and the whole of the doubled last one. `random` is drawn
    /// evenly from 0 to 1, so that those who failed together do not come back together.
    pub(crate) fn next_delay(&mut self, random: f64) -> Duration {
        let factor = 2u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        let whole = self.first.saturating_mul(factor).min(self.limit);
        whole.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// Begins anew, after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
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
