//! One table of the configuration, read key by key, with every mistake kept instead of the first.
//!
//! A module that has settings reads its own table: it asks for each key it knows, and
//! [`Settings::finish`] calls whatever nobody asked for an unknown key. No value is ever repeated in a
//! mistake, since it may be a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use config::{Value, ValueKind};

use crate::secret::Secret;

/// A table such as `[[sink]]`, its place in the file, and what was found wrong in it so far.
#[derive(Debug)]
pub(crate) struct Settings {
    path: String,
    origin: String,
    values: BTreeMap<String, Value>,
    /// Where each value came from, for those that know it.
    origins: BTreeMap<String, String>,
    known: Vec<&'static str>,
    mistakes: Vec<Mistake>,
}

/// One thing to correct in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where the value came from: a file's path, or "environment variable NAME".
    pub origin: String,
    /// The key with its tables, `sink[0].type`; empty where the whole file is meant.
    pub key: String,
    /// What is wrong and what to do, never the value.
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.origin, &self.key] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.reason)
    }
}

/// A type that a key can have.
pub(crate) trait Setting: Sized {
    /// What the value must be, to follow "must be".
    const EXPECTED: &'static str;

    /// The value, or none where it is something else.
    fn read(value: Value) -> Option<Self>;
}

impl Settings {
    /// The table `value` found under `path`; a value that is no table is one mistake and reads as empty.
    pub(crate) fn new(path: impl Into<String>, value: Value) -> Self {
        let mut settings = Self {
            path: path.into(),
            origin: value.origin().unwrap_or_default().to_owned(),
            values: BTreeMap::new(),
            origins: BTreeMap::new(),
            known: Vec::new(),
            mistakes: Vec::new(),
        };
        match value.kind {
            ValueKind::Table(table) => {
                settings.values = table.into_iter().collect();
                let origins = settings.values.iter();
                settings.origins = origins
                    .filter_map(|(key, value)| Some((key.clone(), value.origin()?.to_owned())))
                    .collect();
            }
            ValueKind::Nil => {}
            _ => settings.mistake("", "must be a table"),
        }
        settings
    }

    /// Says where values come from that do not know it themselves: those of the file.
    pub(crate) fn set_origin(&mut self, origin: String) {
        self.origin = origin;
    }

    /// True when `key` is absent or a list, be it an empty one.
    pub(crate) fn is_list(&self, key: &str) -> bool {
        self.values
            .get(key)
            .is_none_or(|value| matches!(value.kind, ValueKind::Array(_)))
    }

    /// The value of `key`, or none where it is absent; one of the wrong type is a mistake and none.
    pub(crate) fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.known.push(key);
        let value = self.values.remove(key)?;
        let read = T::read(value);
        if read.is_none() {
            let reason = format!("must be {}", T::EXPECTED);
            self.mistake(key, reason);
        }
        read
    }

    /// The value of `key`, or `default` where it is absent or mistaken.
    pub(crate) fn with_default<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value of `key`; its absence is a mistake.
    pub(crate) fn required<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        let is_absent = !self.values.contains_key(key);
        let value = self.optional(key);
        if is_absent {
            self.mistake(key, format!("is missing; give {}", T::EXPECTED));
        }
        value
    }

    /// The text of `key` as a `T`; a text that does not parse is a mistake with `T`'s own reason.
    pub(crate) fn parsed<T>(&mut self, key: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text: String = self.optional(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistake(key, error.to_string());
                None
            }
        }
    }

    /// The text of `key` as one of the values of `T`, as the command line knows them; another text is a mistake.
    pub(crate) fn choice<T: clap::ValueEnum>(&mut self, key: &'static str) -> Option<T> {
        let text: String = self.optional(key)?;
        let choice = T::from_str(&text, false).ok();
        if choice.is_none() {
            let names: Vec<String> = T::value_variants()
                .iter()
                .filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()))
                .collect();
            self.mistake(key, format!("must be one of {}", names.join(", ")));
        }
        choice
    }

    /// The tables of an array such as `[[sink]]`, each with its place; none where it is absent.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        self.known.push(key);
        let Some(value) = self.values.remove(key) else {
            return Vec::new();
        };
        match value.kind {
            ValueKind::Array(entries) => entries
                .into_iter()
                .enumerate()
                .map(|(index, entry)| self.child(&format!("{key}[{index}]"), entry))
                .collect(),
            _ => {
                self.mistake(key, format!("must be a list of tables, written [[{key}]]"));
                Vec::new()
            }
        }
    }

    /// The table under `key`, empty where it is absent.
    pub(crate) fn table(&mut self, key: &'static str) -> Self {
        self.known.push(key);
        let value = self.values.remove(key);
        self.child(
            key,
            value.unwrap_or_else(|| Value::new(None, ValueKind::Nil)),
        )
    }

    fn child(&self, key: &str, value: Value) -> Self {
        let mut child = Self::new(self.key(key), value);
        if child.origin.is_empty() {
            child.origin.clone_from(&self.origin);
        }
        child
    }

    /// Notes that `key` of this table is wrong; an empty `key` means the table itself.
    pub(crate) fn mistake(&mut self, key: &str, reason: impl Into<String>) {
        let origin = self.origins.get(key).unwrap_or(&self.origin);
        self.mistakes.push(Mistake {
            origin: origin.clone(),
            key: self.key(key),
            reason: reason.into(),
        });
    }

    fn key(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// The mistakes so far, for a table whose keys cannot all be known.
    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }

    /// The mistakes of this table, with a mistake for every key that was never asked for.
    pub(crate) fn finish(mut self) -> Vec<Mistake> {
        for (key, _) in std::mem::take(&mut self.values) {
            let reason = match nearest(&key, &self.known) {
                Some(known) => format!("unknown key; did you mean \"{known}\"?"),
                None => format!("unknown key; the keys here are {}", self.known.join(", ")),
            };
            self.mistake(&key, reason);
        }
        self.mistakes
    }
}

/// What to say of a `name` that stands in no table of kinds: the nearest one, or those there are.
pub(crate) fn unknown<T>(what: &str, name: &str, kinds: &[(&str, T)]) -> String {
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    match nearest(name, &names) {
        Some(near) => format!("unknown {what}; did you mean \"{near}\"?"),
        None => format!("unknown {what}; there is {}", names.join(", ")),
    }
}

/// The name in `known` that `name` was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &&str| strsim::damerau_levenshtein(&name.to_lowercase(), known);
    known
        .iter()
        .copied()
        .min_by_key(distance)
        .filter(|known| distance(known) <= 1 + known.len() / 4)
}

impl Setting for String {
    const EXPECTED: &'static str = "a text";

    fn read(value: Value) -> Option<Self> {
        match value.kind {
            ValueKind::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Setting for Secret {
    const EXPECTED: &'static str = "a text";

    fn read(value: Value) -> Option<Self> {
        String::read(value).map(Self::new)
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn read(value: Value) -> Option<Self> {
        String::read(value).map(Self::from)
    }
}

/// What the origin of a value out of the environment begins with.
pub(crate) const VARIABLE: &str = "environment variable ";

/// A list of texts; one text stands for a list of one. A variable has commas between them.
impl Setting for Vec<String> {
    const EXPECTED: &'static str = "a text or a list of texts";

    fn read(value: Value) -> Option<Self> {
        let is_variable = value
            .origin()
            .is_some_and(|origin| origin.starts_with(VARIABLE));
        match value.kind {
            ValueKind::String(text) if is_variable => {
                Some(text.split(',').map(|name| name.trim().to_owned()).collect())
            }
            ValueKind::String(text) => Some(vec![text]),
            ValueKind::Array(values) => values.into_iter().map(String::read).collect(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(toml: &str) -> Settings {
        let file = config::File::from_str(toml, config::FileFormat::Toml);
        let value = config::Config::builder()
            .add_source(file)
            .build()
            .and_then(config::Config::try_deserialize::<Value>)
            .unwrap();
        Settings::new("sink[0]", value)
    }

    #[test]
    fn every_mistake_is_kept_and_no_value_is_shown() {
        let mut table = settings("name = 7\ntpye = \"hunter2\"\nzzz = \"hunter2\"");
        assert_eq!(table.required::<String>("name"), None);
        assert_eq!(table.required::<String>("type"), None);
        assert_eq!(table.optional::<String>("format"), None);
        let shown: Vec<String> = table.finish().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "sink[0].name: must be a text",
                "sink[0].type: is missing; give a text",
                "sink[0].tpye: unknown key; did you mean \"type\"?",
                "sink[0].zzz: unknown key; the keys here are name, type, format",
            ]
        );
    }

    #[test]
    fn one_text_stands_for_a_list_of_one() {
        let mut table = settings("one = \"a\"\nmany = [\"a\", \"b\"]\nwrong = [1]");
        assert_eq!(table.optional("one"), Some(vec!["a".to_owned()]));
        assert_eq!(
            table.optional("many"),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(table.optional::<Vec<String>>("wrong"), None);
        assert_eq!(table.finish().len(), 1);
    }

    #[test]
    fn the_nearest_key_is_offered_only_when_it_is_near() {
        let known = ["connection_string", "consumer_group", "name"];
        for (name, expected) in [
            ("conection_string", Some("connection_string")),
            ("ConsumerGroup", Some("consumer_group")),
            ("nmae", Some("name")),
            ("password", None),
        ] {
            assert_eq!(nearest(name, &known), expected, "{name}");
        }
    }
}
