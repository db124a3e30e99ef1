//! When a file becomes an archive: by its size, and by the clock; pure.

use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;

/// When a file becomes an archive. Without a limit it never does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rotation {
    /// Before a write that would make it larger than that.
    pub bytes: Option<u64>,
    /// When a period of this length is over.
    pub every: Option<Every>,
}

/// A period of the clock in UTC: each begins at a multiple of its length since 1970, so that an hour begins
/// with the hour and a day at midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Every(Duration);

/// The number of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Period(i128);

impl Rotation {
    /// True when files become archives at all.
    pub(super) fn is_wanted(&self) -> bool {
        self.bytes.is_some() || self.every.is_some()
    }

    /// The period that `time` is in; none where the clock does not matter.
    pub(super) fn period(&self, time: OffsetDateTime) -> Option<Period> {
        let Every(length) = self.every?;
        let length = i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
        Some(Period(time.unix_timestamp_nanos().div_euclid(length)))
    }

    /// True when a file of `length` bytes, last written in the period `written`, becomes an archive before
    /// `more` bytes are written `now`. An empty file never does.
    pub(super) fn is_due(
        &self,
        length: u64,
        written: Option<Period>,
        more: u64,
        now: OffsetDateTime,
    ) -> bool {
        let is_full = self
            .bytes
            .is_some_and(|bytes| length.saturating_add(more) > bytes);
        // A clock that is set back ends no period.
        let is_over = written.is_some_and(|written| self.period(now) > Some(written));
        length > 0 && (is_full && more > 0 || is_over)
    }
}

impl FromStr for Every {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = match text {
            "hour" => Duration::from_secs(60 * 60),
            "day" => Duration::from_secs(24 * 60 * 60),
            other => humantime::parse_duration(other)
                .map_err(|_| "must be \"hour\", \"day\" or a duration such as \"15min\"")?,
        };
        if length < Duration::from_secs(1) {
            return Err("must be at least a second");
        }
        Ok(Self(length))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn rotation(bytes: Option<u64>, every: Option<&str>) -> Rotation {
        Rotation {
            bytes,
            every: every.map(|every| every.parse().unwrap()),
        }
    }

    #[test]
    fn a_file_is_full_before_it_is_too_large() {
        let rotation = rotation(Some(100), None);
        let now = datetime!(2026-11-24 12:00 UTC);
        for (length, more, expected) in [
            (0, 50, false),
            (0, 500, false),
            (50, 50, false),
            (50, 51, true),
            (100, 1, true),
            (100, 0, false),
            (u64::MAX, u64::MAX, true),
        ] {
            assert_eq!(
                rotation.is_due(length, None, more, now),
                expected,
                "{length} {more}"
            );
        }
    }

    #[test]
    fn periods_begin_with_the_clock() {
        let before = datetime!(2026-11-24 12:59:59.9 UTC);
        for (every, now, expected) in [
            ("hour", datetime!(2026-11-24 12:59:59.99 UTC), false),
            ("hour", datetime!(2026-11-24 13:00 UTC), true),
            ("hour", datetime!(2026-11-24 15:00 +2), true),
            ("hour", datetime!(2026-11-24 11:00 UTC), false),
            ("day", datetime!(2026-11-24 23:59:59 UTC), false),
            ("day", datetime!(2026-11-25 00:00 UTC), true),
            ("15min", datetime!(2026-11-24 13:00 UTC), true),
            ("2h", datetime!(2026-11-24 13:59 UTC), false),
            ("2h", datetime!(2026-11-24 14:00 UTC), true),
        ] {
            let rotation = rotation(None, Some(every));
            let written = rotation.period(before);
            assert_eq!(
                rotation.is_due(10, written, 0, now),
                expected,
                "{every} {now}"
            );
            assert!(!rotation.is_due(0, written, 10, now), "{every} {now}");
        }
    }

    #[test]
    fn a_period_is_told_in_words_or_as_a_duration() {
        assert_eq!("day".parse::<Every>(), "24h".parse());
        assert_eq!(
            "soon".parse::<Every>(),
            Err("must be \"hour\", \"day\" or a duration such as \"15min\"")
        );
        assert_eq!("0s".parse::<Every>(), Err("must be at least a second"));
        assert_eq!("10ms".parse::<Every>(), Err("must be at least a second"));
    }
}
