//! How fast, how many at once, and in which order a server is asked: what the configuration says of it.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::super::retry::Retry;
use crate::settings::{Mistake, Settings, Size};

/// How fast, how many at once, and in which order a [`super::Service`] is asked.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Which messages wait for one another.
    pub order: Order,
    /// How many attempts may be under way at once, at the most.
    pub concurrency: NonZeroUsize,
    /// True when the number is found by trying.
    pub is_adaptive: bool,
    /// Messages of one attempt, at the most.
    pub batch_events: NonZeroUsize,
    /// Bytes of the bodies of one attempt, at the most; a larger message goes alone.
    pub batch_bytes: usize,
    /// How long a batch that is not full may wait for more.
    pub batch_wait: Duration,
    /// When a failed attempt is made again.
    pub retry: Retry,
}

/// Which messages are delivered one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// Those of a partition.
    #[default]
    Partition,
    /// Those of a row: the table and the id. What names no row keeps the order of its partition.
    Row,
}

/// A server may be away for days; it is asked every five minutes then.
const RETRY: Retry = Retry {
    first: Duration::from_secs(1),
    limit: Duration::from_secs(300),
    give_up: None,
};

/// No server wants more at once.
const MOST: usize = 1000;

impl Default for Pace {
    fn default() -> Self {
        Self {
            order: Order::default(),
            concurrency: const { NonZeroUsize::new(16).expect("not zero") },
            is_adaptive: false,
            batch_events: NonZeroUsize::MIN,
            batch_bytes: 1 << 20,
            batch_wait: Duration::from_millis(100),
            retry: RETRY,
        }
    }
}

impl Pace {
    /// Reads the keys `order`, `concurrency`, `adaptive`, `batch_events`, `batch_bytes`, `batch_wait` and
    /// the table `retry` of a sink.
    pub(in crate::sink) fn read(settings: &mut Settings) -> (Self, Vec<Mistake>) {
        let default = Self::default();
        let (retry, mistakes) = Retry::read(settings, default.retry);
        let of_batches = ["batch_bytes", "batch_wait"].map(|key| (key, settings.has(key)));
        let batch_bytes = settings.optional("batch_bytes");
        let batch_bytes = batch_bytes.unwrap_or(Size(default.batch_bytes));
        let batch_wait = settings.optional("batch_wait");
        let pace = Self {
            order: settings.choice_or_default("order"),
            concurrency: settings.with_default("concurrency", default.concurrency),
            is_adaptive: settings.with_default("adaptive", default.is_adaptive),
            batch_events: settings.with_default("batch_events", default.batch_events),
            batch_bytes: batch_bytes.0,
            batch_wait: batch_wait.unwrap_or(default.batch_wait),
            retry,
        };
        if pace.batch_events.get() > 1 {
            settings.in_force("batch_bytes", &batch_bytes);
            settings.in_force("batch_wait", &pace.batch_wait);
        }
        for (key, number) in [
            ("concurrency", pace.concurrency),
            ("batch_events", pace.batch_events),
        ] {
            if number.get() > MOST {
                settings.mistake(key, format!("must be at most {MOST}"));
            }
        }
        if batch_bytes.0 == 0 {
            settings.mistake("batch_bytes", "must be more than nothing");
        }
        for (key, is_given) in of_batches {
            if is_given && pace.batch_events.get() == 1 {
                settings.mistake(key, "needs batch_events = 2 or more");
            }
        }
        if pace.is_adaptive && pace.concurrency.get() == 1 {
            settings.mistake("adaptive", "needs concurrency = 2 or more");
        }
        (pace, mistakes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(toml: &str, expected: &[&str]) {
        let mut settings = Settings::of_toml("sink[0]", toml);
        let (_, mut mistakes) = Pace::read(&mut settings);
        mistakes.extend(settings.finish());
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(mistakes, expected, "{toml}");
    }

    #[test]
    fn what_would_do_nothing_is_a_mistake() {
        check(
            "batch_events = 2\nbatch_bytes = 1\nbatch_wait = \"1s\"",
            &[],
        );
        check("adaptive = true", &[]);
        check("adaptive = false\nconcurrency = 1", &[]);
        check(
            "batch_bytes = \"1MiB\"\nbatch_wait = \"1s\"",
            &[
                "sink[0].batch_bytes: needs batch_events = 2 or more",
                "sink[0].batch_wait: needs batch_events = 2 or more",
            ],
        );
        check(
            "adaptive = true\nconcurrency = 1",
            &["sink[0].adaptive: needs concurrency = 2 or more"],
        );
        check(
            "batch_events = 2\nbatch_bytes = 0",
            &["sink[0].batch_bytes: must be more than nothing"],
        );
        check(
            "concurrency = 1001",
            &["sink[0].concurrency: must be at most 1000"],
        );
    }

    #[test]
    fn no_delay_is_longer_than_time_can_count() {
        for key in ["first", "limit", "give_up"] {
            let mut settings =
                Settings::of_toml("sink[0]", &format!("retry.{key} = \"99999999999days\""));
            let (_, mistakes) = Pace::read(&mut settings);
            assert_eq!(mistakes.len(), 1, "{key}");
        }
    }
}
