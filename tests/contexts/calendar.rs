//! Dates of truth files and of JSON as RFC 3339, by a calendar of its own.

pub(crate) const TICKS_PER_MILLISECOND: i64 = 10_000;
const TICKS_PER_SECOND: i64 = 10_000_000;
/// Ticks from the year 1 to 1970.
pub(crate) const UNIX_EPOCH_TICKS: i64 = 621_355_968_000_000_000;

/// The minutes of an offset such as +0330.
pub(crate) fn minutes(zone: &str) -> i64 {
    let total = zone[1..3].parse::<i64>().unwrap() * 60 + zone[3..5].parse::<i64>().unwrap();
    if zone.starts_with('-') { -total } else { total }
}

/// A string that JSON has in the place of a date becomes one; every other stays.
pub(crate) fn wire_date(text: &str) -> String {
    let Some(inner) = text
        .strip_prefix("/Date(")
        .and_then(|rest| rest.strip_suffix(")/"))
    else {
        return text.to_owned();
    };
    let zone = inner
        .len()
        .checked_sub(5)
        .filter(|at| matches!(inner.as_bytes()[*at], b'+' | b'-'));
    match zone.map(|at| inner.split_at(at)) {
        None => match inner.parse::<i64>() {
            Ok(milliseconds) => render(milliseconds * TICKS_PER_MILLISECOND, "Z"),
            Err(_) => text.to_owned(),
        },
        Some((digits, zone)) => {
            let wall = digits.parse::<i64>().unwrap() + minutes(zone) * 60_000;
            render(
                wall * TICKS_PER_MILLISECOND,
                &format!("{}:{}", &zone[..3], &zone[3..]),
            )
        }
    }
}

/// The wall clock at so many ticks from 1970, by the proleptic Gregorian calendar.
pub(crate) fn render(ticks: i64, zone: &str) -> String {
    let (seconds, fraction) = (
        ticks.div_euclid(TICKS_PER_SECOND),
        ticks.rem_euclid(TICKS_PER_SECOND),
    );
    let (mut day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    let length = |year: i64| {
        if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) {
            366
        } else {
            365
        }
    };
    while day < 0 {
        year -= 1;
        day += length(year);
    }
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let mut month = 0;
    let february = length(year) - 337;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    trimmed(&format!(
        "{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{fraction:07}{zone}",
        month + 1,
        day + 1
    ))
}

/// Without the zeros at the end of the fraction.
pub(crate) fn trimmed(text: &str) -> String {
    let Some((whole, rest)) = text.split_once('.') else {
        return text.to_owned();
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = rest.split_at(digits);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{zone}"),
        fraction => format!("{whole}.{fraction}{zone}"),
    }
}
