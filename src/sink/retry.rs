//! When a delivery that failed is tried again: the `retry` table of a sink.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::settings::{Mistake, Settings};

/// How a sink tries again. Without `give_up` it never ends: an outage of days loses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retry {
    /// The limit of the first delay.
    pub first: Duration,
    /// The limit of every delay, and of what a server may ask for in `Retry-After`.
    pub limit: Duration,
    /// A message that has failed for that long counts as refused; none for never.
    pub give_up: Option<Duration>,
}

impl Retry {
    /// Reads the table `retry` of a sink; what is not in it is as in `default`.
    pub(super) fn read(settings: &mut Settings, default: Self) -> (Self, Vec<Mistake>) {
        let mut table = settings.table("retry");
        let retry = Self {
            first: table.with_default("first", default.first),
            limit: table.with_default("limit", default.limit),
            give_up: table.optional("give_up").or(default.give_up),
        };
        if retry.first.is_zero() || retry.first > retry.limit {
            table.mistake("first", "must be more than nothing and at most `limit`");
        }
        (retry, table.finish())
    }

    /// The delays of one thing that is tried again.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::full_jitter(self.first, self.limit)
    }
}
