//! What a configuration says, key by key, in a form that gives nothing away: enough to see what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use config::{Value, ValueKind};
use sha2::{Digest, Sha256};

use crate::durable;
use crate::secret;

/// The keys of a table and of those below it, each with a digest of what it says. A key that names a file has the
/// file's content in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint(BTreeMap<String, [u8; 32]>);

/// Of a file, so much counts, in bytes: none of those that a configuration names is larger.
const LARGEST: u64 = 16 << 20;

impl Fingerprint {
    /// That of the table with these `values`. Files whose key `is_watched` count by their name alone: somebody
    /// else sees when they change.
    pub(super) fn of(values: &BTreeMap<String, Value>, is_watched: fn(&str) -> bool) -> Self {
        let mut keys = BTreeMap::new();
        for (key, value) in values {
            add(&mut keys, key.clone(), value, is_watched);
        }
        Self(keys)
    }

    /// Takes what `other` says of one key.
    pub(crate) fn adopt(&mut self, key: &str, other: &Self) {
        match other.0.get(key) {
            Some(digest) => self.0.insert(key.to_owned(), *digest),
            None => self.0.remove(key),
        };
    }

    /// The keys that the two do not have alike.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> BTreeSet<&'a str> {
        let keys = self.0.keys().chain(other.0.keys()).map(String::as_str);
        keys.filter(|key| self.0.get(*key) != other.0.get(*key))
            .collect()
    }
}

fn add(
    keys: &mut BTreeMap<String, [u8; 32]>,
    key: String,
    value: &Value,
    is_watched: fn(&str) -> bool,
) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (name, value) in table {
                add(keys, format!("{key}.{name}"), value, is_watched);
            }
        }
        ValueKind::Array(entries) if entries.iter().any(is_table) => {
            for (number, value) in entries.iter().enumerate() {
                add(keys, format!("{key}[{number}]"), value, is_watched);
            }
        }
        _ => {}
    }
    let mut digest = Sha256::new();
    match &value.kind {
        // What is in it has keys of its own; that it is there counts too.
        ValueKind::Table(_) => digest.update("table"),
        ValueKind::Array(entries) if entries.iter().any(is_table) => digest.update("tables"),
        kind => digest.update(format!("{kind:?}")),
    }
    if let ValueKind::String(path) = &value.kind
        && (key.ends_with("_file") || key == "decode.dictionary")
        && !is_watched(&key)
    {
        match durable::read(&secret::locate(Path::new(path)), LARGEST) {
            Ok(bytes) => digest.update(Sha256::digest(bytes)),
            Err(error) => digest.update(error.to_string()),
        }
    }
    keys.insert(key, digest.finalize().into());
}

fn is_table(value: &Value) -> bool {
    matches!(value.kind, ValueKind::Table(_))
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn fingerprint(toml: &str) -> Fingerprint {
        let is_watched = |key: &str| key.ends_with("watched_file");
        Settings::of_toml("", toml).fingerprint(is_watched)
    }

    #[test]
    fn what_differs_is_told_by_its_key() {
        let before = "a = 1\nl = [1, 2]\n[t]\nb = \"x\"\n[[s]]\nc = true\n";
        for (after, expected) in [
            (before, &[][..]),
            ("l = [1, 2]\na = 1\n[[s]]\nc = true\n[t]\nb = \"x\"\n", &[]),
            (
                "a = 2\nl = [1, 2]\n[t]\nb = \"x\"\n[[s]]\nc = true\n",
                &["a"],
            ),
            (
                "a = 1\nl = [2, 1]\n[t]\nb = \"x\"\n[[s]]\nc = true\n",
                &["l"],
            ),
            ("a = 1\nl = [1, 2]\n[t]\n[[s]]\nc = true\n", &["t.b"]),
            (
                "a = 1\nl = [1, 2]\n[t]\nb = \"x\"\n[[s]]\nc = true\n[[s]]\nc = true\n",
                &["s[1]", "s[1].c"],
            ),
        ] {
            let (before, after) = (fingerprint(before), fingerprint(after));
            let differences: Vec<&str> = before.differences(&after).into_iter().collect();
            assert_eq!(differences, expected);
            assert_eq!(before == after, expected.is_empty());
        }
    }

    #[test]
    fn a_file_that_changes_changes_the_key_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let toml = format!(
            "token_file = \"{0}\"\nwatched_file = \"{0}\"\npath = \"{0}\"\n[decode]\ndictionary = \"{0}\"\n",
            file.display()
        );
        let absent = fingerprint(&toml);
        std::fs::write(&file, "hunter2").unwrap();
        let before = fingerprint(&toml);
        assert_eq!(before, fingerprint(&toml));
        std::fs::write(&file, "hunter3").unwrap();
        let after = fingerprint(&toml);
        for other in [&absent, &after] {
            let differences = before.differences(other);
            let differences: Vec<&str> = differences.into_iter().collect();
            assert_eq!(differences, ["decode.dictionary", "token_file"]);
        }
        assert!(!format!("{before:?}").contains("hunter2"));
    }
}
