//! Numbers, ages and sizes as a person reads them.

use bytesize::ByteSize;
use time::{Duration, OffsetDateTime};

/// What is not known.
pub(super) const UNKNOWN: &str = "-";

/// "1,234,567".
pub(super) fn number(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    if number < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "3.2 s", "5 min", "7 h", "12 days": so exact that it can be compared, and no more.
pub(super) fn lasting(duration: Duration) -> String {
    let seconds = duration.as_seconds_f64().max(0.0);
    match duration.whole_seconds() {
        ..10 => format!("{seconds:.1} s"),
        10..120 => format!("{seconds:.0} s"),
        120..7_200 => format!("{} min", duration.whole_minutes()),
        7_200..172_800 => format!("{} h", duration.whole_hours()),
        _ => format!("{} days", duration.whole_days()),
    }
}

/// "1.2 MiB".
pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// "12:03:07", in UTC.
pub(super) fn clock(time: OffsetDateTime) -> String {
    let (hour, minute, second) = time.to_hms();
    format!("{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short_and_can_be_compared() {
        for (given, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (-1_234, "-1,234"),
        ] {
            assert_eq!(number(given), expected);
        }
        for (milliseconds, expected) in [
            (-5, "0.0 s"),
            (3_200, "3.2 s"),
            (42_400, "42 s"),
            (119_000, "119 s"),
            (300_000, "5 min"),
            (7_200_000, "2 h"),
            (1_036_800_000, "12 days"),
        ] {
            assert_eq!(lasting(Duration::milliseconds(milliseconds)), expected);
        }
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1_258_291), "1.2 MiB");
        let time = OffsetDateTime::UNIX_EPOCH + Duration::seconds(3_661);
        assert_eq!(clock(time), "01:01:01");
    }
}
