//! The `[decode]` table: what a body may cost.

use std::num::NonZeroUsize;

use crate::decoder::Limits;
use crate::settings::{Mistake, Settings, Size};

/// No event is larger than 20 MB on any tier of Event Hubs.
const LARGEST: usize = 32 << 20;

/// Reads the `[decode]` table.
pub(super) fn read(mut settings: Settings) -> (Limits, Vec<Mistake>) {
    let default = Limits::default();
    let mut count = |key, default| {
        let default = NonZeroUsize::new(default).unwrap_or(NonZeroUsize::MIN);
        settings.with_default(key, default).get()
    };
    let nesting = count("max_nesting", default.nesting);
    let attributes = count("max_attributes", default.attributes);
    let mut size = |key, default| {
        let Size(bytes) = settings.with_default(key, Size(default));
        if bytes == 0 {
            settings.mistake(key, "must be more than nothing, or no body is ever decoded");
        }
        bytes
    };
    let limits = Limits {
        size: size("max_size", default.size),
        nesting,
        attributes,
        expansion: size("max_expansion", default.expansion),
    };
    if limits.size > LARGEST {
        settings.mistake("max_size", "must be at most 32MiB: no event is larger");
    }
    if limits.nesting > Limits::MAX_NESTING {
        let most = Limits::MAX_NESTING;
        settings.mistake(
            "max_nesting",
            format!("must be at most {most}: more levels do not fit the stack of a thread"),
        );
    }
    (limits, settings.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_or_told_to_be_none() {
        for (toml, expected) in [
            ("", Ok(Limits::default())),
            (
                "max_size = \"20MB\"\nmax_nesting = 320\nmax_attributes = 7\nmax_expansion = \"1KiB\"",
                Ok(Limits {
                    size: 20_000_000,
                    nesting: 320,
                    attributes: 7,
                    expansion: 1024,
                }),
            ),
            (
                "max_size = 0",
                Err("decode.max_size: must be more than nothing, or no body is ever decoded"),
            ),
            (
                "max_size = \"33MiB\"",
                Err("decode.max_size: must be at most 32MiB: no event is larger"),
            ),
            (
                "max_nesting = 321",
                Err(
                    "decode.max_nesting: must be at most 320: more levels do not fit the stack of a thread",
                ),
            ),
        ] {
            let (limits, mistakes) = read(Settings::of_toml("decode", toml));
            let told = match mistakes.first() {
                Some(mistake) => Err(mistake.to_string()),
                None => Ok(limits),
            };
            assert_eq!(told, expected.map_err(str::to_owned), "{toml}");
        }
    }
}
