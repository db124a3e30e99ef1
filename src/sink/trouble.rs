//! A sink in trouble, told without filling the log: when it begins, once a minute, and when it is over.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The failures of one thing since it last worked, and what was told of them.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    failures: u64,
    /// When a failure was last told, and when that it was over.
    told: Told,
    told_over: Told,
}

/// When the same was last told. Whoever tells of it shares this.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Option<Instant>>);

/// Nothing is told more often: a server that fails and works by turns must not fill the log.
const EVERY: Duration = Duration::from_secs(60);

impl Trouble {
    /// Counts a failure, and tells of it where it is time.
    pub(super) fn failed(
        &mut self,
        sink: &str,
        reason: &dyn fmt::Display,
        retry_in: Option<Duration>,
    ) {
        self.since.get_or_insert_with(Instant::now);
        self.failures += 1;
        let retry_in = retry_in.map(tracing::field::debug);
        if self.told.is_time() {
            tracing::warn!(sink, %reason, retry_in, failures = self.failures, "delivery failed");
        } else {
            tracing::debug!(sink, %reason, retry_in, "delivery failed");
        }
    }

    /// Tells that it is over, where there was any.
    pub(super) fn over(&mut self, sink: &str) {
        let Some(since) = self.since.take() else {
            return;
        };
        let failures = std::mem::take(&mut self.failures);
        let lasted = since.elapsed();
        if self.told_over.is_time() {
            tracing::info!(sink, failures, ?lasted, "delivering again");
        } else {
            tracing::debug!(sink, failures, ?lasted, "delivering again");
        }
    }
}

impl Told {
    /// True where it was not told for a minute; then it counts as told now.
    pub(crate) fn is_time(&self) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_time = told.is_none_or(|told| now - told >= EVERY);
        if is_time {
            *told = Some(now);
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_told_once_a_minute() {
        let told = Told::default();
        let mut times = 0;
        for _ in 0..180 {
            times += u32::from(told.is_time());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(times, 3);
    }
}
