//! The `[decode]` table: what a body may cost, and what binary ones name by number.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::decoder::{Decoder, Dictionary, Limits};
use crate::durable;
use crate::settings::{Mistake, Settings, Size};

/// No event is larger than 20 MB on any tier of Event Hubs.
const LARGEST: usize = 32 << 20;

/// Every name and namespace that serializers write of a context takes some kilobytes.
const LARGEST_DICTIONARY: u64 = 1 << 20;

/// Reads the strings in a file, one a line.
///
/// # Errors
/// When it cannot be read, is no text, is larger than 1 MiB, or has no string in it.
pub(crate) fn dictionary(file: &Path) -> io::Result<Dictionary> {
    let text = durable::read_text(file, LARGEST_DICTIONARY)?;
    let dictionary = Dictionary::from_lines(&text);
    match dictionary.is_empty() {
        true => Err(io::Error::other(
            "there is no string in it; write one a line, the first is number 0",
        )),
        false => Ok(dictionary),
    }
}

/// Reads the `[decode]` table.
pub(super) fn read(mut settings: Settings) -> (Decoder, Vec<Mistake>) {
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
    let file: Option<PathBuf> = settings.optional("dictionary");
    let dictionary = file.and_then(|file| {
        let cannot = |error| format!("{} cannot be read: {error}", file.display());
        dictionary(&file)
            .map_err(|error| settings.mistake("dictionary", cannot(error)))
            .ok()
    });
    let decoder = Decoder {
        limits,
        dictionary,
        ..Decoder::default()
    };
    (decoder, settings.finish())
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
            let (decoder, mistakes) = read(Settings::of_toml("decode", toml));
            let told = match mistakes.first() {
                Some(mistake) => Err(mistake.to_string()),
                None => Ok(decoder.limits),
            };
            assert_eq!(told, expected.map_err(str::to_owned), "{toml}");
            assert_eq!(decoder.dictionary, None, "{toml}");
        }
    }

    #[test]
    fn the_strings_of_a_dictionary_are_read_or_it_is_told_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("strings.txt");
        let toml = format!("dictionary = {:?}", file.to_str().unwrap());
        for (bytes, expected) in [
            (&b"a\r\nb\n"[..], Ok(2)),
            (
                b"",
                Err("there is no string in it; write one a line, the first is number 0"),
            ),
            (b"\xff\n", Err("it is not text in UTF-8")),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let (decoder, mistakes) = read(Settings::of_toml("decode", &toml));
            let told = match mistakes.first() {
                Some(mistake) => Err(mistake.to_string()),
                None => Ok(decoder.dictionary.unwrap().len()),
            };
            let cannot = format!("decode.dictionary: {} cannot be read: ", file.display());
            assert_eq!(told, expected.map_err(|reason| format!("{cannot}{reason}")));
        }
    }
}
