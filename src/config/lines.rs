//! Where a key stands in the file: whoever is told of a mistake need not look for it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration file, and the places of its keys.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a str,
    root: Option<Spanned<DeTable<'a>>>,
}

impl<'a> Lines<'a> {
    /// The lines of a file; one that is no TOML has no keys.
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            text,
            root: DeTable::parse(text).ok(),
        }
    }

    /// The line of a key such as `sink[0].type`, counted from 1; where it is not there, that of the innermost table
    /// around it which is.
    pub(super) fn of_key(&self, key: &str) -> Option<usize> {
        let mut table = self.root.as_ref()?.get_ref();
        let mut at = None;
        for part in key.split('.') {
            let (name, number) = numbered(part);
            let Some((found, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else {
                break;
            };
            at = Some(found.span().start);
            let value = match (value.get_ref(), number) {
                (DeValue::Array(entries), Some(number)) => {
                    let Some(entry) = entries.get(number) else {
                        break;
                    };
                    at = Some(entry.span().start);
                    entry.get_ref()
                }
                (value, _) => value,
            };
            match value {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        let before = self.text.get(..at?)?;
        Some(before.matches('\n').count() + 1)
    }
}

/// A part of a key without its number, and that.
fn numbered(part: &str) -> (&str, Option<usize>) {
    let split = part.strip_suffix(']').and_then(|part| part.split_once('['));
    match split {
        Some((name, number)) => (name, number.parse().ok()),
        None => (part, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_line_and_one_that_is_absent_that_of_its_table() {
        let text = "a = 1\n\n[b]\nc = [\n  1,\n]\n[[d]]\ne = 1\n[[d]]\nf = { g = 1 }\n[d.h]\ni = 'ä'\nj = 2\n";
        let lines = Lines::of(text);
        for (key, expected) in [
            ("a", Some(1)),
            ("b", Some(3)),
            ("b.c", Some(4)),
            ("b.x", Some(3)),
            ("d[0].e", Some(8)),
            ("d[0].x", Some(7)),
            ("d[1]", Some(9)),
            ("d[1].f.g", Some(10)),
            ("d[1].h.j", Some(13)),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(lines.of_key(key), expected, "{key}");
        }
        assert_eq!(Lines::of("a = ").of_key("a"), None);
    }
}
