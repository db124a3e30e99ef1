//! The dates of all formats as RFC 3339.
//!
//! `DataContractJsonSerializer` writes `/Date(ms)/` for UTC and `/Date(ms+hhmm)/` for local and
//! unspecified dates; the milliseconds are UTC in both. One date is an exception: Dataverse reads
//! `OperationCreatedOn` of an asynchronous step from its database without saying that it is UTC, so the
//! serializer shifts it by the server's offset, and adding the offset again gives the true instant.

use time::{OffsetDateTime, UtcOffset};

use crate::context::DateTime;

/// Reads `/Date(ms)/` into a date in UTC and `/Date(ms+hhmm)/` into one at that offset.
pub(super) fn from_json(text: &[u8]) -> Option<String> {
    let (milliseconds, offset) = parse(str::from_utf8(text).ok()?)?;
    let instant = instant(milliseconds)?;
    match offset {
        None => (instant.year() >= 0).then(|| render(instant, "Z")),
        Some(minutes) => {
            let offset = UtcOffset::from_whole_seconds(minutes * 60).ok()?;
            let sign = if minutes < 0 { '-' } else { '+' };
            let zone = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            let date = render(instant.checked_to_offset(offset)?, &zone);
            DateTime::new(&date).is_some().then_some(date)
        }
    }
}

/// Reads `OperationCreatedOn` from JSON: into UTC, with the shift undone.
pub(super) fn created_from_json(text: &[u8]) -> Option<String> {
    let Some((milliseconds, offset)) = str::from_utf8(text).ok().and_then(parse) else {
        return created_from_text(text);
    };
    let shift = i64::from(offset.unwrap_or(0)) * 60_000;
    let instant = instant(milliseconds.checked_add(shift)?)?;
    (instant.year() >= 0).then(|| render(instant, "Z"))
}

/// Reads `OperationCreatedOn` from ISO 8601 text: into UTC, which is also what a text without a zone is in.
pub(super) fn created_from_text(text: &[u8]) -> Option<String> {
    let text = str::from_utf8(text).ok()?;
    let date = DateTime::new(text)?;
    if text.ends_with('Z') {
        return Some(text.to_owned());
    }
    match date.instant() {
        None => Some(format!("{text}Z")),
        Some(instant) => Some(render(instant.checked_to_offset(UtcOffset::UTC)?, "Z")),
    }
}

/// The text of a date in .NET's binary form (`DateTime.ToBinary`): ticks of 100 ns from the year 1 below two
/// bits for the kind, which is unspecified, UTC or local. A local date is in UTC there, and its offset is
/// gone. Ticks that are no date stay a number.
pub(super) fn from_binary(binary: u64) -> String {
    let (kind, ticks) = (binary >> 62, binary & (TICKS_CEILING - 1));
    let zone = if kind == 0 { "" } else { "Z" };
    let ticks = match kind {
        // The offset may have led over either end of the calendar; the binary form wraps below zero.
        2 | 3 if ticks >= TICKS_CEILING - TICKS_PER_DAY => 0,
        2 | 3 if ticks < TICKS_END + TICKS_PER_DAY => ticks.min(TICKS_END - 1),
        _ => ticks,
    };
    match from_ticks(ticks) {
        Some(instant) if ticks < TICKS_END => render(instant, zone),
        _ => ticks.to_string(),
    }
}

const TICKS_CEILING: u64 = 1 << 62;
const TICKS_PER_DAY: u64 = 864_000_000_000;
/// Ticks from the year 1 to the year 10000.
const TICKS_END: u64 = 3_652_059 * TICKS_PER_DAY;
const TICKS_PER_SECOND: u64 = 10_000_000;
const SECONDS_TO_1970: i64 = 62_135_596_800;

fn from_ticks(ticks: u64) -> Option<OffsetDateTime> {
    let second = i64::try_from(ticks / TICKS_PER_SECOND).ok()? - SECONDS_TO_1970;
    let rest = u32::try_from(ticks % TICKS_PER_SECOND * 100).ok()?;
    let second = OffsetDateTime::from_unix_timestamp(second).ok()?;
    second.replace_nanosecond(rest).ok()
}

/// Milliseconds and, where given, minutes of offset.
fn parse(text: &str) -> Option<(i64, Option<i32>)> {
    let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    let digits = inner.strip_prefix('-').unwrap_or(inner);
    let end = digits
        .find(['+', '-'])
        .map_or(inner.len(), |at| inner.len() - digits.len() + at);
    let (milliseconds, zone) = inner.split_at(end);
    if milliseconds.starts_with('+') {
        return None;
    }
    Some((
        milliseconds.parse().ok()?,
        if zone.is_empty() {
            None
        } else {
            Some(minutes(zone)?)
        },
    ))
}

fn minutes(zone: &str) -> Option<i32> {
    let (sign, digits) = zone.split_at_checked(1)?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (
        digits[..2].parse::<i32>().ok()?,
        digits[2..].parse::<i32>().ok()?,
    );
    let total = (minutes < 60).then_some(hours * 60 + minutes)?;
    Some(if sign == "-" { -total } else { total })
}

fn instant(milliseconds: i64) -> Option<OffsetDateTime> {
    let second = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000)).ok()?;
    let rest = u16::try_from(milliseconds.rem_euclid(1000)).ok()?;
    second.replace_millisecond(rest).ok()
}

fn render(date: OffsetDateTime, zone: &str) -> String {
    let (year, month, day) = date.to_calendar_date();
    let (hour, minute, second, nanosecond) = date.to_hms_nano();
    let mut text = String::with_capacity(40);
    // Years before the first have a sign, which makes them no date here.
    if year < 0 {
        text.push('-');
    }
    let year = year.unsigned_abs();
    push_digits(&mut text, year, 4);
    for (mark, number) in [
        ('-', u8::from(month)),
        ('-', day),
        ('T', hour),
        (':', minute),
        (':', second),
    ] {
        text.push(mark);
        push_digits(&mut text, number.into(), 2);
    }
    if nanosecond != 0 {
        text.push('.');
        push_digits(&mut text, nanosecond, 9);
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push_str(zone);
    text
}

/// Adds the last so many decimal digits of a number.
fn push_digits(text: &mut String, number: u32, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        text.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: fn(&[u8]) -> Option<String>, text: &str, expected: Option<&str>) {
        assert_eq!(read(text.as_bytes()).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_json_date_is_rendered_in_its_own_zone() {
        for (text, expected) in [
            ("/Date(0)/", "1970-01-01T00:00:00Z"),
            ("/Date(1697398445000)/", "2023-10-15T19:34:05Z"),
            ("/Date(1704164645678)/", "2024-01-02T03:04:05.678Z"),
            ("/Date(1704164645600)/", "2024-01-02T03:04:05.6Z"),
            ("/Date(-1)/", "1969-12-31T23:59:59.999Z"),
            ("/Date(-62135596800000)/", "0001-01-01T00:00:00Z"),
            ("/Date(253402300799999)/", "9999-12-31T23:59:59.999Z"),
            ("/Date(1697398446000+0000)/", "2023-10-15T19:34:06+00:00"),
            (
                "/Date(1704157445678+0200)/",
                "2024-01-02T03:04:05.678+02:00",
            ),
            (
                "/Date(1704157445678-0330)/",
                "2024-01-01T21:34:05.678-03:30",
            ),
        ] {
            check(from_json, text, Some(expected));
        }
    }

    #[test]
    fn a_text_that_only_looks_like_a_date_is_none() {
        for text in [
            "",
            "/Date()/",
            "/Date(1)",
            "Date(1)/",
            "/Date(+1)/",
            "/Date(1+2)/",
            "/Date(1+00000)/",
            "/Date(1+0060)/",
            "/Date(1x)/",
            "/Date(--1)/",
            "/Date(99999999999999999)/",
            "/Date(9223372036854775808)/",
            "/Date(1+aé)/",
            "/Date(1)//Date(1)/",
            " /Date(1)/",
        ] {
            check(from_json, text, None);
        }
    }

    #[test]
    fn operation_created_on_is_in_utc_with_the_servers_shift_undone() {
        for (text, expected) in [
            ("/Date(1697398446000)/", "2023-10-15T19:34:06Z"),
            ("/Date(1697398446000+0000)/", "2023-10-15T19:34:06Z"),
            ("/Date(1697387646000+0300)/", "2023-10-15T19:34:06Z"),
            ("/Date(1697423646000-0700)/", "2023-10-15T19:34:06Z"),
            ("2023-10-15T19:34:06", "2023-10-15T19:34:06Z"),
            ("2023-10-15T22:34:06.5+03:00", "2023-10-15T19:34:06.5Z"),
        ] {
            check(created_from_json, text, Some(expected));
        }
        check(created_from_json, "yesterday", None);
    }
}
