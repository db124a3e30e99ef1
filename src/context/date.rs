//! Dates and times as RFC 3339 text.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A date and time as RFC 3339 text, with the precision and the zone that were sent; without a zone
/// where XML gave none.
///
/// Dataverse keeps most dates in UTC. One without a zone is a wall clock that is the same everywhere, such as a
/// birthday, or a time of which the sender did not say where.
///
/// # Examples
///
/// ```
/// use dataverse_listener::context::DateTime;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let date = DateTime::new("2024-11-08T08:05:06.0070000Z").ok_or("no date")?;
/// assert_eq!(date.as_str(), "2024-11-08T08:05:06.0070000Z");
/// let instant = date.instant().ok_or("no zone")?;
/// assert_eq!(instant.unix_timestamp_nanos(), 1_731_053_106_007_000_000);
///
/// let birthday = DateTime::new("1980-02-29T00:00:00").ok_or("no date")?;
/// assert_eq!(birthday.instant(), None);
/// assert_eq!(DateTime::new("1981-02-29T00:00:00"), None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime<'a>(&'a str);

impl<'a> DateTime<'a> {
    /// Takes an RFC 3339 text, or one without a zone (`2024-11-08T08:05:06`). `None` for anything else.
    pub fn new(text: &'a str) -> Option<Self> {
        is_date_time(text.as_bytes()).then_some(Self(text))
    }

    /// Takes a text that was checked before.
    pub(super) fn checked(text: &'a str) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// The instant; `None` where the zone is not known.
    pub fn instant(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(self.0, &Rfc3339).ok()
    }
}

/// True for an RFC 3339 text, and for one without a zone.
pub(crate) fn is_date_time(text: &[u8]) -> bool {
    is_usual(text) || str::from_utf8(text).is_ok_and(is_unusual)
}

/// True for the forms that the serializers write, which need no calendar but the days that all months have.
fn is_usual(text: &[u8]) -> bool {
    let Some((date, rest)) = text.split_first_chunk::<19>() else {
        return false;
    };
    let number = |at: usize| match [date[at], date[at + 1]] {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => (tens - b'0') * 10 + (ones - b'0'),
        _ => u8::MAX,
    };
    let are_marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')]
        .iter()
        .all(|(at, mark)| date[*at] == *mark);
    let is_clock = number(11) < 24 && number(14) < 60 && number(17) < 60;
    let is_day = (1..=12).contains(&number(5)) && (1..=28).contains(&number(8));
    let is_year = number(0) < 100 && number(2) < 100;
    let zone = match rest.split_first() {
        Some((b'.', fraction)) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit());
            match digits.count() {
                count @ 1..=9 => &fraction[count..],
                _ => return false,
            }
        }
        _ => rest,
    };
    are_marks && is_clock && is_day && is_year && matches!(zone, b"" | b"Z")
}

fn is_unusual(text: &str) -> bool {
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).is_ok();
    text.as_bytes().get(10) == Some(&b'T') && (parse(text) || parse(&format!("{text}Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_kept_with_its_zone_and_precision() {
        for text in [
            "2024-11-08T08:05:06",
            "0001-01-01T00:00:00",
            "9999-12-31T23:59:59.9999999Z",
            "2024-02-29T00:00:00-03:30",
        ] {
            assert_eq!(DateTime::new(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "2024-11-08",
            "2023-02-29T00:00:00",
            "2024-11-08 08:05:06Z",
            "2024-11-08T25:00:00Z",
        ] {
            assert_eq!(DateTime::new(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_usual_is_also_a_date_by_the_calendar() {
        let texts = [
            "2024-11-08T08:05:06",
            "2024-11-08T08:05:06Z",
            "0001-01-28T23:59:59.1Z",
            "9999-12-01T00:00:00.123456789",
        ];
        for text in texts {
            assert!(is_usual(text.as_bytes()) && is_unusual(text), "{text}");
            for at in 0..text.len() {
                for byte in [b'0', b'3', b'9', b'x', b':'] {
                    let mut changed = text.as_bytes().to_vec();
                    changed[at] = byte;
                    let changed = String::from_utf8(changed).unwrap();
                    assert!(
                        !is_usual(changed.as_bytes()) || is_unusual(&changed),
                        "{changed}"
                    );
                }
            }
        }
    }
}
