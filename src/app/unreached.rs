//! A hub that is not reached, told without filling the log: at once, then once a minute, and what is new at once.

use std::time::Duration;

use crate::causes::Causes;
use crate::receiver::ReceiverError;
use crate::sink::Told;

/// The attempts to reach one hub since the first.
#[derive(Debug, Default)]
pub(super) struct Unreached {
    attempts: u32,
    /// Why the last one failed, and when that was told.
    reason: String,
    told: Told,
}

impl Unreached {
    /// One more attempt has failed, and the next comes after `retry_in`.
    pub(super) fn tell(&mut self, event_hub: &str, error: &ReceiverError, retry_in: Duration) {
        let reason = Causes(error).to_string();
        let is_time = self.is_time(&reason);
        let attempts = self.attempts;
        if is_time {
            tracing::warn!(event_hub, error = %reason, ?retry_in, attempts, "event hub not reached");
        } else {
            tracing::debug!(event_hub, error = %reason, ?retry_in, attempts, "event hub not reached");
        }
    }

    /// Counts an attempt that failed for this reason. True where it is to be told.
    fn is_time(&mut self, reason: &str) -> bool {
        self.attempts += 1;
        if self.reason != reason {
            reason.clone_into(&mut self.reason);
            self.told = Told::default();
        }
        self.told.is_time()
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
