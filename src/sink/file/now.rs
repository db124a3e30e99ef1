//! The time, read once for everything that happens at once.

use std::time::Instant;

use time::OffsetDateTime;

/// The time by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// By the clock on the wall, which names and ends periods.
    pub utc: OffsetDateTime,
    /// By the clock that never goes back, which measures.
    pub instant: Instant,
}

impl Now {
    pub(super) fn read() -> Self {
        Self {
            utc: OffsetDateTime::now_utc(),
            instant: Instant::now(),
        }
    }
}
