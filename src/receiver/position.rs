//! Where in a partition to begin.
//!
//! Source: the selector filter of the AMQP protocol guide for Azure Event Hubs, whose positions are
//! offset, sequence number and enqueued time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::{Offset, SequenceNumber};

/// Where a partition is read from when nothing says how far it has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartPosition {
    /// The oldest event that is still kept.
    Earliest,
    /// What arrives from now on: after the last event at the first attach.
    Latest,
    /// The event after this offset.
    Offset(Offset),
    /// The event with this number, and on from there: `sequence:N` starts **at** N.
    Sequence(SequenceNumber),
    /// The first event that the service took at this time or later, to the millisecond.
    EnqueuedTime(OffsetDateTime),
    /// Like [`Self::EnqueuedTime`], so long before the first attach.
    LookBack(Duration),
}

/// A text names no position. The text is not repeated: it may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason}; a position is latest, earliest, offset:X, sequence:N, time:2026-01-31T12:00:00Z or -2h (-30m, -1d, -1h30m)"
)]
pub struct PositionError {
    reason: String,
}

impl FromStr for StartPosition {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let parsed = match text.split_once(':') {
            _ if text.eq_ignore_ascii_case("latest") => Ok(Self::Latest),
            _ if text.eq_ignore_ascii_case("earliest") => Ok(Self::Earliest),
            Some((kind, value)) if kind.eq_ignore_ascii_case("offset") => offset(value),
            Some((kind, value)) if kind.eq_ignore_ascii_case("sequence") => sequence(value),
            Some((kind, value)) if kind.eq_ignore_ascii_case("time") => enqueued_time(value),
            _ => match text.strip_prefix('-') {
                Some(span) => look_back(span),
                None => Err("that is not a position".to_owned()),
            },
        };
        parsed.map_err(|reason| PositionError { reason })
    }
}

impl fmt::Display for StartPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::Offset(offset) => write!(f, "offset:{offset}"),
            Self::Sequence(number) => write!(f, "sequence:{number}"),
            Self::EnqueuedTime(time) => {
                write!(f, "time:{}", time.format(&Rfc3339).map_err(|_| fmt::Error)?)
            }
            Self::LookBack(span) => write_look_back(f, span.as_secs()),
        }
    }
}

/// The units of a look-back, the largest first, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

fn offset(value: &str) -> Result<StartPosition, String> {
    if value.is_empty() || value.contains(|c: char| c.is_control()) {
        return Err("the offset is empty or unprintable".to_owned());
    }
    Ok(StartPosition::Offset(Offset::new(value)))
}

fn sequence(value: &str) -> Result<StartPosition, String> {
    match value.parse::<i64>() {
        Ok(number) if number >= 0 => Ok(StartPosition::Sequence(SequenceNumber(number))),
        _ => Err("the sequence number is not a whole number from 0 on".to_owned()),
    }
}

fn enqueued_time(value: &str) -> Result<StartPosition, String> {
    OffsetDateTime::parse(value, &Rfc3339)
        .map(StartPosition::EnqueuedTime)
        .map_err(|_| "the time is not in the form of RFC 3339".to_owned())
}

/// Reads `1h30m`: every unit at most once, the larger first.
fn look_back(span: &str) -> Result<StartPosition, String> {
    let wrong = || "the look-back is not a number followed by d, h, m or s".to_owned();
    let (mut rest, mut seconds, mut units) = (span, 0u64, UNITS.iter());
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: u64 = rest[..end].parse().map_err(|_| wrong())?;
        let unit = rest[end..].chars().next().ok_or_else(wrong)?;
        let (_, length) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        seconds = count
            .checked_mul(*length)
            .and_then(|more| seconds.checked_add(more))
            .ok_or_else(wrong)?;
        rest = &rest[end + 1..];
    }
    if span.is_empty() {
        return Err(wrong());
    }
    Ok(StartPosition::LookBack(Duration::from_secs(seconds)))
}

fn write_look_back(f: &mut fmt::Formatter<'_>, mut seconds: u64) -> fmt::Result {
    if seconds == 0 {
        return f.write_str("-0s");
    }
    f.write_str("-")?;
    for (name, length) in UNITS {
        if seconds >= length {
            write!(f, "{}{name}", seconds / length)?;
            seconds %= length;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn check(text: &str, expected: &StartPosition, written: &str) {
        let parsed: StartPosition = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(&parsed, expected, "{text}");
        assert_eq!(parsed.to_string(), written, "{text}");
        assert_eq!(
            &written.parse::<StartPosition>().unwrap(),
            expected,
            "{written}"
        );
    }

    fn back(seconds: u64) -> StartPosition {
        StartPosition::LookBack(Duration::from_secs(seconds))
    }

    #[test]
    fn a_position_is_read_and_written_again() {
        let time = StartPosition::EnqueuedTime(datetime!(2026-01-31 11:00:00.5 +01:00));
        for (text, expected, written) in [
            ("latest", StartPosition::Latest, "latest"),
            (" Earliest ", StartPosition::Earliest, "earliest"),
            (
                "offset:8591964920",
                StartPosition::Offset(Offset::new("8591964920")),
                "offset:8591964920",
            ),
            (
                "offset:1:2:-",
                StartPosition::Offset(Offset::new("1:2:-")),
                "offset:1:2:-",
            ),
            (
                "sequence:0",
                StartPosition::Sequence(SequenceNumber(0)),
                "sequence:0",
            ),
            (
                "time:2026-01-31T11:00:00.5+01:00",
                time,
                "time:2026-01-31T11:00:00.5+01:00",
            ),
            ("-2h", back(7_200), "-2h"),
            ("-30m", back(1_800), "-30m"),
            ("-1d", back(86_400), "-1d"),
            ("-90s", back(90), "-1m30s"),
            ("-1h30m", back(5_400), "-1h30m"),
            ("-0s", back(0), "-0s"),
        ] {
            check(text, &expected, written);
        }
    }

    #[test]
    fn what_is_no_position_is_refused_with_the_forms() {
        for text in [
            "",
            "now",
            "2h",
            "-",
            "-h",
            "-2",
            "-2w",
            "-1m1h",
            "-1h1h",
            "-99999999999999999999d",
            "-18446744073709551615d",
            "-1é",
            "offset:",
            "offset:\u{7}",
            "sequence:-1",
            "sequence:x",
            "sequence:",
            "time:yesterday",
            "time:2026-01-31",
        ] {
            let error = text.parse::<StartPosition>().expect_err(text).to_string();
            assert!(
                error.contains("a position is latest, earliest,"),
                "{text}: {error}"
            );
        }
    }
}
