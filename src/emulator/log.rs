//! The partitions in memory: append, find a position, read on from there. Knows no clock and no IO.
//!
//! As in the service, sequence numbers are gapless from 0, offsets are byte positions with gaps, and
//! retention drops the oldest events while the numbers go on. Here a size is the limit, not a time.
//! Offsets begin where no earlier log has come to, so that a reader with a position in a log that was
//! lost notices that this is another one.

use std::collections::VecDeque;

use super::condition::Refusal;
use super::message::{Event, Stamp, Stamped};
use super::selector::Position;

/// What an event costs beside its bytes: its place in the queue and its allocation.
const EVENT_OVERHEAD: usize = 96;

/// When nothing was ever enqueued: the first instant of year 1, as .NET's default.
const NEVER: i64 = -62_135_596_800_000;

/// The events of a hub, kept from [`Emulator::stop`](super::Emulator::stop) to the next start.
#[derive(Debug)]
pub struct Log {
    partitions: Vec<Partition>,
    bytes: usize,
}

impl Log {
    /// A log of `partitions` partitions without events, made at `now` (milliseconds since 1970).
    pub(crate) fn new(partitions: u16, now: i64) -> Self {
        Self {
            partitions: (0..partitions)
                .map(|_| Partition::new(first_offset(now)))
                .collect(),
            bytes: 0,
        }
    }

    /// Adds a partition without events, made at `now` (milliseconds since 1970).
    pub(crate) fn add_partition(&mut self, now: i64) {
        self.partitions.push(Partition::new(first_offset(now)));
    }

    /// How many partitions there are.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Takes an event at `now` (milliseconds since 1970) and gives its sequence number.
    pub(crate) fn append(
        &mut self,
        id: u16,
        event: &Event<'_>,
        key: Option<&str>,
        now: i64,
    ) -> i64 {
        let partition = &mut self.partitions[usize::from(id)];
        let (sequence_number, cost) = partition.append(event, key, now);
        self.bytes += cost;
        sequence_number
    }

    /// Drops the oldest events of the whole hub until at most `limit` bytes are kept.
    pub(crate) fn retain(&mut self, limit: usize) {
        while self.bytes > limit {
            let oldest = self
                .partitions
                .iter_mut()
                .filter(|partition| !partition.events.is_empty())
                .min_by_key(|partition| partition.events.front().map(|stored| stored.enqueued));
            let Some(dropped) = oldest.and_then(Partition::drop_oldest) else {
                return;
            };
            self.bytes -= dropped.cost();
        }
    }

    /// Drops the events of a partition before `sequence_number`, and tells how many they were.
    pub(crate) fn expire(&mut self, id: u16, sequence_number: i64) -> usize {
        let partition = &mut self.partitions[usize::from(id)];
        let mut count = 0;
        while partition.first < sequence_number {
            let Some(dropped) = partition.drop_oldest() else {
                break;
            };
            self.bytes -= dropped.cost();
            count += 1;
        }
        count
    }

    /// The sequence number that a receiver at `position` gets first, or would get.
    pub(crate) fn find(&self, id: u16, position: &Position) -> Result<i64, Refusal> {
        self.partitions[usize::from(id)].find(position)
    }

    /// The events from `sequence_number` on, or from the oldest if that one is gone.
    pub(crate) fn read(&self, id: u16, sequence_number: i64) -> impl Iterator<Item = Read<'_>> {
        let partition = &self.partitions[usize::from(id)];
        let skipped = sequence_number.saturating_sub(partition.first).max(0);
        let start = usize::try_from(skipped)
            .unwrap_or(usize::MAX)
            .min(partition.events.len());
        let numbers = partition.first + i64::try_from(start).unwrap_or(i64::MAX)..;
        numbers
            .zip(partition.events.range(start..))
            .map(|(sequence_number, stored)| Read {
                sequence_number,
                message: &stored.message,
            })
    }

    /// How a partition stands.
    pub(crate) fn snapshot(&self, id: u16) -> Snapshot {
        self.partitions[usize::from(id)].snapshot()
    }
}

/// A gigabyte a second would have to be written for offsets to catch up with the clock.
fn first_offset(now: i64) -> i64 {
    now.saturating_mul(1_000_000)
}

/// An event of a partition, ready to be sent.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    pub(crate) sequence_number: i64,
    pub(crate) message: &'a Stamped,
}

/// What `$management` and the runtime metric tell about a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) begin_sequence_number: i64,
    /// -1 when nothing was ever enqueued.
    pub(crate) last_sequence_number: i64,
    /// `-1` when nothing was ever enqueued.
    pub(crate) last_offset: String,
    /// Milliseconds since 1970.
    pub(crate) last_enqueued: i64,
    pub(crate) is_empty: bool,
}

#[derive(Debug)]
struct Partition {
    events: VecDeque<Stored>,
    /// The sequence number of the oldest event, or of the next where there is none.
    first: i64,
    next_offset: i64,
    last_offset: i64,
    last_enqueued: i64,
}

#[derive(Debug)]
struct Stored {
    message: Stamped,
    offset: i64,
    enqueued: i64,
}

impl Stored {
    fn cost(&self) -> usize {
        self.message.bytes.len() + EVENT_OVERHEAD
    }
}

impl Partition {
    fn new(first_offset: i64) -> Self {
        Self {
            events: VecDeque::new(),
            first: 0,
            next_offset: first_offset,
            last_offset: -1,
            last_enqueued: NEVER,
        }
    }

    fn append(&mut self, event: &Event<'_>, key: Option<&str>, now: i64) -> (i64, usize) {
        let sequence_number = self.next();
        let offset = self.next_offset;
        // A clock that is set back does not disorder the partition.
        let enqueued = now.max(self.last_enqueued);
        let message = event.stamped(&Stamp {
            sequence_number,
            offset,
            enqueued,
            partition_key: key,
        });
        let stored = Stored {
            message,
            offset,
            enqueued,
        };
        let cost = stored.cost();
        self.last_offset = offset;
        self.last_enqueued = enqueued;
        self.next_offset += i64::try_from(cost).unwrap_or(i64::MAX);
        self.events.push_back(stored);
        (sequence_number, cost)
    }

    fn drop_oldest(&mut self) -> Option<Stored> {
        let dropped = self.events.pop_front()?;
        self.first += 1;
        Some(dropped)
    }

    /// The sequence number of the next event.
    fn next(&self) -> i64 {
        self.first + i64::try_from(self.events.len()).unwrap_or(i64::MAX)
    }

    fn find(&self, position: &Position) -> Result<i64, Refusal> {
        match position {
            Position::Earliest => Ok(self.first),
            Position::Latest => Ok(self.next()),
            Position::Offset { value, inclusive } => self.find_offset(value, *inclusive),
            Position::SequenceNumber { value, inclusive } => self.find_number(value, *inclusive),
            Position::EnqueuedTime { millis, inclusive } => Ok(self.first_where(|stored| {
                stored.enqueued > *millis || (*inclusive && stored.enqueued == *millis)
            })),
        }
    }

    fn find_offset(&self, value: &str, inclusive: bool) -> Result<i64, Refusal> {
        match value.parse::<i64>() {
            Ok(offset) if offset <= self.last_offset => Ok(self.first_where(|stored| {
                stored.offset > offset || (inclusive && stored.offset == offset)
            })),
            _ => Err(Refusal::offset_above_end(
                value,
                &self.last_offset.to_string(),
            )),
        }
    }

    fn find_number(&self, value: &str, inclusive: bool) -> Result<i64, Refusal> {
        match value.parse::<i64>() {
            Ok(number) if number < self.next() => {
                Ok((number + i64::from(!inclusive)).max(self.first))
            }
            _ => Err(Refusal::sequence_number_above_end(value, self.next() - 1)),
        }
    }

    /// The number of the first event of which `wanted` holds: of none before it, of all after it.
    fn first_where(&self, wanted: impl Fn(&Stored) -> bool) -> i64 {
        let skipped = self.events.partition_point(|stored| !wanted(stored));
        self.first + i64::try_from(skipped).unwrap_or(i64::MAX)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            begin_sequence_number: self.first,
            last_sequence_number: self.next() - 1,
            last_offset: self.last_offset.to_string(),
            last_enqueued: self.last_enqueued,
            is_empty: self.events.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::message::of_data;

    /// Ten events, enqueued at 1000, 1010, ... 1090.
    fn log() -> Log {
        let mut log = Log::new(2, 0);
        for at in 0..10 {
            append(&mut log, 0, 1000 + at * 10);
        }
        log
    }

    fn append(log: &mut Log, partition: u16, now: i64) -> i64 {
        let body = of_data(&[7; 100]);
        log.append(partition, &Event::parse(&body).unwrap(), None, now)
    }

    fn numbers(log: &Log, from: i64) -> Vec<i64> {
        log.read(0, from).map(|read| read.sequence_number).collect()
    }

    fn offset(value: impl ToString, inclusive: bool) -> Position {
        Position::Offset {
            value: value.to_string(),
            inclusive,
        }
    }

    fn number(value: impl ToString, inclusive: bool) -> Position {
        Position::SequenceNumber {
            value: value.to_string(),
            inclusive,
        }
    }

    fn time(millis: i64, inclusive: bool) -> Position {
        Position::EnqueuedTime { millis, inclusive }
    }

    #[test]
    fn every_kind_of_position_finds_its_event() {
        let log = log();
        let third = log.partitions[0].events[3].offset;
        for (position, expected) in [
            (Position::Earliest, 0),
            (Position::Latest, 10),
            (offset(third, false), 4),
            (offset(third, true), 3),
            (offset(third + 1, true), 4),
            (offset(-5, false), 0),
            (number(-1, false), 0),
            (number(3, false), 4),
            (number(3, true), 3),
            (number(9, false), 10),
            (time(0, false), 0),
            (time(1030, false), 4),
            (time(1030, true), 3),
            (time(1035, false), 4),
            (time(5000, false), 10),
        ] {
            assert_eq!(log.find(0, &position), Ok(expected), "{position:?}");
        }
    }

    #[test]
    fn a_position_above_the_end_is_refused_with_the_end() {
        let log = log();
        let last = log.snapshot(0).last_offset;
        let check = |partition: u16, position: Position, text: &str| {
            let refusal = log.find(partition, &position).unwrap_err();
            assert_eq!(refusal.condition, "com.microsoft:argument-error");
            assert_eq!(refusal.description, text);
        };
        check(
            0,
            offset("999999", true),
            &format!(
                "The supplied offset '999999' is invalid. The last offset in the system is '{last}'."
            ),
        );
        check(
            0,
            number(10, true),
            "The supplied sequence number '10' is invalid. The last sequence number in the system is '9'.",
        );
        check(
            1,
            number(0, true),
            "The supplied sequence number '0' is invalid. The last sequence number in the system is '-1'.",
        );
        check(
            1,
            offset("text", true),
            "The supplied offset 'text' is invalid. The last offset in the system is '-1'.",
        );
    }

    #[test]
    fn retention_drops_the_oldest_and_keeps_the_numbers() {
        let mut log = log();
        append(&mut log, 1, 900);
        let size = log.bytes;
        log.retain(size / 2);
        assert!(log.bytes <= size / 2);
        assert_eq!(log.snapshot(1).begin_sequence_number, 1);
        assert!(log.snapshot(1).is_empty);
        assert_eq!(log.snapshot(1).last_sequence_number, 0);
        let first = log.snapshot(0).begin_sequence_number;
        assert!(first > 0);
        assert_eq!(numbers(&log, 0), (first..10).collect::<Vec<_>>());
        assert_eq!(log.find(0, &number(0, true)), Ok(first));
        log.retain(0);
        assert_eq!(log.bytes, 0);
        assert_eq!(append(&mut log, 0, 2000), 10);
    }

    #[test]
    fn what_expires_is_gone_up_to_a_number_and_no_further() {
        let mut log = log();
        append(&mut log, 1, 900);
        for (before, dropped) in [(-1, 0), (4, 4), (4, 0), (i64::MAX, 6)] {
            assert_eq!(log.expire(0, before), dropped);
            let kept = log.partitions.iter().flat_map(|one| &one.events);
            assert_eq!(log.bytes, kept.map(Stored::cost).sum::<usize>());
        }
        assert_eq!(append(&mut log, 0, 2000), 10);
        assert!(!log.snapshot(1).is_empty);
    }

    #[test]
    fn reading_goes_on_where_it_stopped() {
        let log = log();
        assert_eq!(numbers(&log, 8), [8, 9]);
        assert!(numbers(&log, 10).is_empty());
        assert!(numbers(&log, i64::MAX).is_empty());
        assert_eq!(numbers(&log, i64::MIN), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn time_does_not_go_back_in_a_partition() {
        let mut log = log();
        append(&mut log, 0, 5);
        assert_eq!(log.snapshot(0).last_enqueued, 1090);
    }

    #[test]
    fn an_empty_partition_has_the_services_sentinels() {
        assert_eq!(
            Log::new(1, 0).snapshot(0),
            Snapshot {
                begin_sequence_number: 0,
                last_sequence_number: -1,
                last_offset: "-1".to_owned(),
                last_enqueued: NEVER,
                is_empty: true,
            }
        );
    }
}
