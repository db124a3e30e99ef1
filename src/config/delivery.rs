//! The `[delivery]` table: how much may be in flight.

use std::num::NonZeroUsize;

use crate::ack::Limit;
use crate::settings::{Mistake, Settings, Size};

/// How much may be received and not yet delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Of one partition.
    pub in_flight: Limit,
    /// Of all partitions together, in bytes of memory, but for one event of each: many partitions get less each.
    pub total_bytes: usize,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            in_flight: Limit {
                events: 2048,
                bytes: 4 << 20,
            },
            total_bytes: 32 << 20,
        }
    }
}

/// More would make each restart deliver a great many again.
const MOST_EVENTS: usize = 1_000_000;

impl Delivery {
    /// Reads the `[delivery]` table.
    pub(super) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let default = Self::default();
        let events = NonZeroUsize::new(default.in_flight.events).unwrap_or(NonZeroUsize::MIN);
        let events = settings.with_default("in_flight_events", events);
        let mut size = |key, default| {
            let Size(bytes) = settings.with_default(key, Size(default));
            if bytes == 0 {
                settings.mistake(
                    key,
                    "must be more than nothing, or nothing is ever received",
                );
            }
            bytes
        };
        let delivery = Self {
            in_flight: Limit {
                events: events.get(),
                bytes: size("in_flight_bytes", default.in_flight.bytes),
            },
            total_bytes: size("total_in_flight_bytes", default.total_bytes),
        };
        if delivery.in_flight.events > MOST_EVENTS {
            settings.mistake("in_flight_events", format!("must be at most {MOST_EVENTS}"));
        }
        (delivery, settings.finish())
    }
}
