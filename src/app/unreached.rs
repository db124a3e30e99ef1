//! A hub that is not reached, told without filling the log: at once, then once a minute, and what is new at once.

use std::time::Duration;

use tokio::time::Instant;

use crate::causes::Causes;
use crate::receiver::ReceiverError;

/// The same is told no more often.
const EVERY: Duration = Duration::from_secs(60);

/// The attempts to reach one hub since the first.
#[derive(Debug, Default)]
pub(super) struct Unreached {
    attempts: u32,
    /// What was told last, and when.
    told: Option<(String, Instant)>,
}

impl Unreached {
    /// One more attempt has failed, and the next comes after `retry_in`.
    pub(super) fn tell(&mut self, event_hub: &str, error: &ReceiverError, retry_in: Duration) {
        let reason = Causes(error).to_string();
        if self.is_time(&reason) {
            let attempts = self.attempts;
            tracing::warn!(
                event_hub,
                error = %reason,
                ?retry_in,
                attempts,
                "event hub not reached"
            );
        } else {
            tracing::debug!(
                event_hub,
                error = %reason,
                ?retry_in,
                "event hub not reached"
            );
        }
    }

    /// Counts an attempt that failed for this reason. True where it is to be told.
    fn is_time(&mut self, reason: &str) -> bool {
        self.attempts += 1;
        let now = Instant::now();
        let told = self.told.as_ref();
        let is_known = told.is_some_and(|(told, at)| told == reason && now - *at < EVERY);
        if !is_known {
            self.told = Some((reason.to_owned(), now));
        }
        !is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_told_once_a_minute_and_something_else_at_once() {
        let mut unreached = Unreached::default();
        let mut told = Vec::new();
        for second in 0..150 {
            let reason = if second < 130 {
                "refused"
            } else {
                "no such name"
            };
            if unreached.is_time(reason) {
                told.push((second, unreached.attempts));
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(told, [(0, 1), (60, 61), (120, 121), (130, 131)]);
    }
}
