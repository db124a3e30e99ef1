//! The names of archives: `events.ndjson` becomes `events-20261124T181522Z-0001.ndjson`, and compressed
//! `events-20261124T181522Z-0001.ndjson.zst`. They sort by time, and no two are the same.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// When an archive was closed: a second in UTC, and its number among those of that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    /// Whole seconds.
    time: PrimitiveDateTime,
    /// From 1 to [`LAST`].
    number: u16,
}

/// How an archive is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Compression {
    /// As it was written.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// A name that an archive of a certain file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    /// When it was closed.
    pub stamp: Stamp,
    /// How it is stored.
    pub compression: Compression,
    /// True while it is being compressed: not whole yet.
    pub is_part: bool,
}

/// Four digits sort as texts.
const LAST: u16 = 9999;

const TIME: &[BorrowedFormatItem<'static>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Bytes of a time in a name.
const TIME_LENGTH: usize = "20261124T181522Z".len();

impl Stamp {
    /// The stamp of a file that is closed `now`, behind `newest`, also where the clock was set back.
    pub(super) fn next(now: OffsetDateTime, newest: Option<Self>) -> Self {
        let now = now.to_offset(time::UtcOffset::UTC);
        let now = PrimitiveDateTime::new(now.date(), now.time()).truncate_to_second();
        match newest {
            Some(newest) if newest.time >= now && newest.number < LAST => Self {
                number: newest.number + 1,
                ..newest
            },
            Some(newest) if newest.time >= now => Self {
                time: newest.time.saturating_add(time::Duration::SECOND),
                number: 1,
            },
            _ => Self {
                time: now,
                number: 1,
            },
        }
    }
}

impl Compression {
    fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

impl Name {
    /// The name of an archive of `file`.
    pub(super) fn of(self, file: &str) -> String {
        let (stem, extension) = split(file);
        let Stamp { time, number } = self.stamp;
        let (before, behind) = if self.is_part { (".", PART) } else { ("", "") };
        // A date can always be written.
        let time = time.format(TIME).unwrap_or_default();
        let compression = self.compression.extension();
        format!("{before}{stem}-{time}-{number:04}{extension}{compression}{behind}")
    }

    /// Reads `name` as the name of an archive of `file`; none where it is not.
    pub(super) fn read(name: &str, file: &str) -> Option<Self> {
        let (stem, extension) = split(file);
        let part = name
            .strip_prefix('.')
            .and_then(|name| name.strip_suffix(PART));
        let rest = part.unwrap_or(name).strip_prefix(stem)?.strip_prefix('-')?;
        let (time, rest) = rest.split_at_checked(TIME_LENGTH)?;
        let (number, rest) = rest.strip_prefix('-')?.split_at_checked(4)?;
        let rest = rest.strip_prefix(extension)?;
        let compression = [Compression::None, Compression::Gzip, Compression::Zstd];
        let name_read = Self {
            stamp: Stamp {
                time: PrimitiveDateTime::parse(time, TIME).ok()?,
                number: number.parse().ok()?,
            },
            compression: compression
                .into_iter()
                .find(|kind| kind.extension() == rest)?,
            is_part: part.is_some(),
        };
        // Nothing else would be written the same.
        (name_read.of(file) == name).then_some(name_read)
    }
}

/// What the name of an archive ends in that is not whole yet.
const PART: &str = ".part";

/// A file's name before and from its last dot on.
pub(super) fn split(file: &str) -> (&str, &str) {
    match file.rfind('.') {
        Some(0) | None => (file, ""),
        Some(dot) => file.split_at(dot),
    }
}

/// True when `name` could be that of an archive, whatever the file.
pub(super) fn is_like_one(name: &str) -> bool {
    let is_compressed = [Compression::Gzip, Compression::Zstd]
        .iter()
        .any(|compression| name.ends_with(compression.extension()));
    is_compressed || name.match_indices('-').any(|(at, _)| is_stamp(&name[at..]))
}

/// True when `text` begins as the part of an archive's name that is its time and number.
fn is_stamp(text: &str) -> bool {
    let shape = "-00000000T000000Z-0000";
    text.len() >= shape.len()
        && text
            .bytes()
            .zip(shape.bytes())
            .all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                _ => byte == shape,
            })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const FILE: &str = "events.ndjson";

    fn name(number: u16, compression: Compression) -> Name {
        let now = datetime!(2026-11-24 18:15:22.9 UTC);
        let stamp = Stamp {
            number,
            ..Stamp::next(now, None)
        };
        Name {
            stamp,
            compression,
            is_part: false,
        }
    }

    #[test]
    fn an_archive_is_named_after_its_file_and_its_time() {
        for (file, compression, expected) in [
            (
                FILE,
                Compression::None,
                "events-20261124T181522Z-0001.ndjson",
            ),
            (
                FILE,
                Compression::Zstd,
                "events-20261124T181522Z-0001.ndjson.zst",
            ),
            (
                "a.b.log",
                Compression::Gzip,
                "a.b-20261124T181522Z-0001.log.gz",
            ),
            ("plain", Compression::None, "plain-20261124T181522Z-0001"),
            (
                ".hidden",
                Compression::None,
                ".hidden-20261124T181522Z-0001",
            ),
        ] {
            let name = name(1, compression);
            assert_eq!(name.of(file), expected);
            assert_eq!(Name::read(expected, file), Some(name));
            assert!(is_like_one(expected));
            let part = Name {
                is_part: true,
                ..name
            };
            assert_eq!(Name::read(&part.of(file), file), Some(part));
        }
    }

    #[test]
    fn what_another_made_is_no_archive() {
        for other in [
            FILE,
            "events.ndjson.1",
            "events-20261124.ndjson",
            "events-20261124T181522Z.ndjson",
            "events-20261124T181522Z-1.ndjson",
            "events-20261124T181522Z-00001.ndjson",
            "events-20261324T181522Z-0001.ndjson",
            "events-20261124T181522Z-0001.log",
            "events-20261124T181522Z-0001.ndjson.bz2",
            "events-20261124T181522Z-0001.ndjson.zst.bak",
            "events-20261124T181522Z-+001.ndjson",
            "events-old-20261124T181522Z-0001.ndjson",
            "vents-20261124T181522Z-0001.ndjson",
            ".events-20261124T181522Z-0001.ndjson",
            "events-ä",
            "",
        ] {
            assert_eq!(Name::read(other, FILE), None, "{other}");
        }
    }

    #[test]
    fn names_sort_by_time_even_when_the_clock_is_set_back() {
        let now = datetime!(2026-11-24 18:15:22 UTC);
        let mut newest = None;
        let mut names: Vec<String> = Vec::new();
        for seconds in [0, 0, 1, -3600, 1, 2, 10_000] {
            let stamp = Stamp::next(now + time::Duration::seconds(seconds), newest);
            newest = Some(stamp);
            names.push(
                Name {
                    stamp,
                    compression: Compression::None,
                    is_part: false,
                }
                .of(FILE),
            );
        }
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        let full = Stamp {
            number: LAST,
            ..name(1, Compression::None).stamp
        };
        assert!(Stamp::next(now, Some(full)) > full);
        assert_eq!(Stamp::next(now, Some(full)).number, 1);
    }
}
