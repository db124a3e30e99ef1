//! One table of the configuration, read key by key, with every mistake kept instead of the first.
//!
//! A module that has settings reads its own table: it asks for each key it knows, and
//! [`Settings::finish`] calls whatever nobody asked for an unknown key. No value is ever repeated in a
//! mistake, since it may be a secret.

mod effective;
mod fingerprint;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use config::{Value, ValueKind};

use crate::secret::{self, Secret};
use effective::Source;

pub(crate) use effective::{Effective, Shown};
pub(crate) use fingerprint::Fingerprint;
pub(crate) use values::{Size, Words};

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
    /// What was given out, for those who ask what is in force.
    effective: Effective,
}

/// One thing to correct in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where the value came from: a file's path, with the line where it is known, or "environment variable NAME".
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

    /// The value as a configuration says it; `***` for a secret.
    fn shown(&self) -> Shown;
}

impl Settings {
    /// The table `value` found under `path`; a value that is no table is one mistake and reads as empty.
    pub(crate) fn new(path: impl Into<String>, value: Value) -> Self {
        let mut settings = Self {
            path: path.into(),
            origin: origin(&value).unwrap_or_default().to_owned(),
            values: BTreeMap::new(),
            origins: BTreeMap::new(),
            known: Vec::new(),
            mistakes: Vec::new(),
            effective: Effective::default(),
        };
        match value.kind {
            ValueKind::Table(table) => {
                settings.values = table.into_iter().collect();
                let origins = settings.values.iter();
                settings.origins = origins
                    .filter_map(|(key, value)| Some((key.clone(), origin(value)?.to_owned())))
                    .collect();
            }
            ValueKind::Nil => {}
            _ => settings.mistake("", "must be a table"),
        }
        settings
    }

    /// The table that `toml` holds, for tests.
    #[cfg(test)]
    pub(crate) fn of_toml(path: &str, toml: &str) -> Self {
        let file = config::File::from_str(toml, config::FileFormat::Toml);
        let value = config::Config::builder()
            .add_source(file)
            .build()
            .and_then(config::Config::try_deserialize::<Value>)
            .expect("the test's TOML is sound");
        Self::new(path, value)
    }

    /// The table that these keys and texts make, for options of a command that are read as settings.
    pub(crate) fn of_texts(texts: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let texts = texts.into_iter();
        let table: config::Map<String, Value> = texts
            .map(|(key, text)| (key.to_owned(), Value::new(None, ValueKind::String(text))))
            .collect();
        Self::new("", Value::new(None, ValueKind::Table(table)))
    }

    /// What this table says, before any of it is read: see [`Fingerprint`].
    pub(crate) fn fingerprint(&self, is_watched: fn(&str) -> bool) -> Fingerprint {
        Fingerprint::of(&self.values, is_watched)
    }

    /// Says where values come from that do not know it themselves: those of the file.
    pub(crate) fn set_origin(&mut self, origin: String) {
        self.origin = origin;
    }

    /// What is in force of this table and the tables in it, as far as it is read by the time it is shown.
    pub(crate) fn effective(&self) -> Effective {
        self.effective.clone()
    }

    /// True when `key` is absent or a list, be it an empty one.
    pub(crate) fn is_list(&self, key: &str) -> bool {
        self.values
            .get(key)
            .is_none_or(|value| matches!(value.kind, ValueKind::Array(_)))
    }

    /// The value of `key`, or none where it is absent; one of the wrong type is a mistake and none.
    ///
    /// For a key without a default: [`Self::with_default`] and its like are for the others, since what is in
    /// force is shown as they say.
    pub(crate) fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.known.push(key);
        let value = self.values.remove(key)?;
        let source = source(&value);
        let read = T::read(value);
        match &read {
            Some(value) => self.effective.note(key, value.shown(), source),
            None => self.mistake(key, format!("must be {}", T::EXPECTED)),
        }
        read
    }

    /// The value of `key`, or `default` where it is absent or mistaken.
    pub(crate) fn with_default<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        let value = self.optional(key).unwrap_or(default);
        self.in_force(key, &value);
        value
    }

    /// Says what is in force where `key` was absent, of a key whose default depends on others. To be called
    /// when it was asked for.
    pub(crate) fn in_force<T: Setting>(&self, key: &'static str, value: &T) {
        if !self.effective.has(key) {
            self.effective.note(key, value.shown(), Source::Default);
        }
    }

    /// Says what is in force where `key` was absent and the variable `name` stands for it: one of another program's.
    pub(crate) fn in_force_of(&self, key: &'static str, value: &impl Setting, name: &str) {
        let source = Source::Variable(name.to_owned());
        self.effective.note(key, value.shown(), source);
    }

    /// Shows `text` as the value of a `key` that has a secret in it, where it is given: the same without that.
    pub(crate) fn mask(&self, key: &str, text: impl Into<String>) {
        self.effective.replace(key, Shown::Text(text.into()));
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

    /// The same, or `default` where it is absent or mistaken.
    pub(crate) fn parsed_or<T>(&mut self, key: &'static str, default: T) -> T
    where
        T: FromStr + fmt::Display,
        T::Err: fmt::Display,
    {
        let value = self.parsed(key).unwrap_or(default);
        self.in_force(key, &value.to_string());
        value
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

    /// The same, or the default of `T` where it is absent or mistaken.
    pub(crate) fn choice_or_default<T: clap::ValueEnum + Default>(
        &mut self,
        key: &'static str,
    ) -> T {
        let choice = self.choice(key).unwrap_or_default();
        self.choice_in_force(key, &choice);
        choice
    }

    /// [`Self::in_force`] for one of the values of `T`.
    pub(crate) fn choice_in_force<T: clap::ValueEnum>(&self, key: &'static str, choice: &T) {
        if let Some(value) = choice.to_possible_value() {
            self.in_force(key, &value.get_name().to_owned());
        }
    }

    /// The path of `key`, whose file is a secret, or goes with one: see [`secret::locate`].
    pub(crate) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        self.optional(key)
            .map(|path: PathBuf| secret::locate(&path))
    }

    /// The secret of `key`, or of the file that `key_file` names; none where both are absent.
    ///
    /// Given twice, empty, or in a file that cannot be read, it is a mistake and none.
    pub(crate) fn secret(&mut self, key: &'static str, key_file: &'static str) -> Option<Secret> {
        let inline = self.optional::<Secret>(key);
        let file = self.file(key_file);
        let (key, secret) = match (inline, file) {
            (Some(_), Some(_)) => {
                self.mistake(key, format!("is given twice: here and by {key_file}"));
                return None;
            }
            (Some(inline), None) => (key, inline),
            (None, Some(file)) => match Secret::from_file(&file) {
                Ok(secret) => (key_file, secret),
                Err(error) => {
                    let reason = format!("{} cannot be read: {error}", file.display());
                    self.mistake(key_file, reason);
                    return None;
                }
            },
            (None, None) => return None,
        };
        if secret.reveal().is_empty() {
            self.mistake(key, "is empty");
            return None;
        }
        Some(secret)
    }

    /// The same, where the absence of both is a mistake.
    pub(crate) fn required_secret(
        &mut self,
        key: &'static str,
        key_file: &'static str,
    ) -> Option<Secret> {
        if !self.has(key) && !self.has(key_file) {
            self.mistake(key, format!("is missing; give it, or {key_file}"));
        }
        self.secret(key, key_file)
    }

    /// The user that a proxy is told of in `proxy_user`, and the password of `proxy_password` or
    /// `proxy_password_file`; none where both are absent. One without the other is a mistake.
    pub(crate) fn proxy_user(&mut self) -> Option<(String, Secret)> {
        let (user_key, key, key_file) = ("proxy_user", "proxy_password", "proxy_password_file");
        let password_key = self.given(key, key_file);
        let has_password = self.has(password_key);
        let has_user = self.has(user_key);
        let user = self.optional::<String>(user_key);
        let password = self.secret(key, key_file);
        if has_user && !has_password {
            self.mistake(
                user_key,
                format!("is of no use without {key} or {key_file}"),
            );
        }
        if has_password && !has_user {
            self.mistake(password_key, format!("is of no use without {user_key}"));
        }
        user.zip(password)
    }

    /// The one of two keys that is given, for mistakes in what it stands for; before it is read.
    pub(crate) fn given(&self, key: &'static str, key_file: &'static str) -> &'static str {
        if self.has(key_file) { key_file } else { key }
    }

    /// Where the file of a secret lies, for those who look at it again later; before it is read.
    pub(crate) fn peek_file(&self, key_file: &str) -> Option<PathBuf> {
        let value = self.values.get(key_file)?.clone();
        PathBuf::read(value).map(|path| secret::locate(&path))
    }

    /// The tables of an array such as `[[sink]]`, each with its place; none where it is absent. A gap, which only
    /// variables can leave, is a mistake, and what is behind it is not looked at.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        self.known.push(key);
        let Some(value) = self.values.remove(key) else {
            return Vec::new();
        };
        match value.kind {
            ValueKind::Array(mut entries) => {
                let is_absent = |entry: &Value| matches!(entry.kind, ValueKind::Nil);
                if let Some(gap) = entries.iter().position(is_absent) {
                    let place = format!("{key}[{gap}]");
                    let behind = entries.split_off(gap);
                    if let Some(origin) = behind.iter().find_map(origin) {
                        self.origins.insert(place.clone(), origin.to_owned());
                    }
                    let reason = "is missing, and this numbers a table behind it; the first table is number 0";
                    self.mistake(&place, reason);
                }
                let entries = entries.into_iter().enumerate();
                entries
                    .map(|(index, entry)| {
                        let table = self.effective.child(key, true);
                        self.child(&format!("{key}[{index}]"), entry, table)
                    })
                    .collect()
            }
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
            self.effective.child(key, false),
        )
    }

    /// The table under `key`, or none where it is absent.
    pub(crate) fn optional_table(&mut self, key: &'static str) -> Option<Self> {
        self.known.push(key);
        let value = self.values.remove(key)?;
        Some(self.child(key, value, self.effective.child(key, false)))
    }

    /// Every entry of this table, whose keys are names of the user's own, in their order; one of the
    /// wrong type is a mistake and left out.
    pub(crate) fn entries<T: Setting>(&mut self) -> Vec<(String, T)> {
        let mut entries = Vec::new();
        for (key, value) in std::mem::take(&mut self.values) {
            let source = source(&value);
            match T::read(value) {
                Some(value) => {
                    self.effective.note(&key, value.shown(), source);
                    entries.push((key, value));
                }
                None => self.mistake(&key, format!("must be {}", T::EXPECTED)),
            }
        }
        entries
    }

    /// Takes `key` as known, whatever it holds.
    pub(crate) fn known(&mut self, key: &'static str) {
        self.known.push(key);
        self.values.remove(key);
    }

    /// Notes that `key` has no place beside others, where it is given.
    pub(crate) fn refuse(&mut self, key: &'static str, reason: &str) {
        self.known.push(key);
        if self.values.remove(key).is_some() {
            self.mistake(key, reason);
        }
    }

    /// True when `key` is given, whatever it holds.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    fn child(&self, key: &str, value: Value, effective: Effective) -> Self {
        let mut child = Self::new(self.key(key), value);
        child.effective = effective;
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

    /// The same, with a mistake for every key that is near to one that was asked for.
    pub(crate) fn finish_near(mut self) -> Vec<Mistake> {
        let known = std::mem::take(&mut self.known);
        self.values.retain(|key, _| nearest(key, &known).is_some());
        self.known = known;
        self.finish()
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

/// What the origin of a value out of the environment begins with.
pub(crate) const VARIABLE: &str = "environment variable ";

/// Where a value comes from that knows it; of a table or a list the first of several, where all that is in it does.
fn origin(value: &Value) -> Option<&str> {
    let values: Vec<&Value> = match &value.kind {
        ValueKind::Table(table) => table.values().collect(),
        ValueKind::Array(values) => values.iter().collect(),
        _ => return value.origin(),
    };
    let origins: Option<Vec<&str>> = values.into_iter().map(origin).collect();
    origins?.into_iter().min()
}

/// Where a value comes from.
fn source(value: &Value) -> Source {
    let variable = value
        .origin()
        .and_then(|origin| origin.strip_prefix(VARIABLE));
    variable.map_or(Source::File, |name| Source::Variable(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::values::LONGEST;
    use super::*;

    fn settings(toml: &str) -> Settings {
        Settings::of_toml("sink[0]", toml)
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
    fn no_duration_is_longer_than_ten_years() {
        let mut table =
            settings("most = \"10years\"\nmore = \"10years 1s\"\nhuge = \"99999999999days\"");
        let most: Option<Duration> = table.optional("most");
        assert_eq!(most, Some(LONGEST));
        for key in ["more", "huge"] {
            assert_eq!(table.optional::<Duration>(key), None, "{key}");
        }
        assert_eq!(table.finish().len(), 2);
    }

    #[test]
    fn a_secret_is_given_once_and_is_something() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2\n").unwrap();
        let (file, folder) = (path.display(), folder.path().display());
        let absent = "is missing; give it, or token_file";
        for (toml, expected) in [
            ("token = \"hunter2\"".to_owned(), Ok(())),
            (format!("token_file = \"{file}\""), Ok(())),
            (String::new(), Err(format!("token: {absent}"))),
            ("token = \"\"".to_owned(), Err("token: is empty".to_owned())),
            (
                format!("token = \"hunter2\"\ntoken_file = \"{file}\""),
                Err("token: is given twice: here and by token_file".to_owned()),
            ),
            (
                "token_file = \"/dev/null\"".to_owned(),
                Err("token_file: is empty".to_owned()),
            ),
            (
                format!("token_file = \"{folder}/none\""),
                Err(format!(
                    "token_file: {folder}/none cannot be read: No such file or directory (os error 2)"
                )),
            ),
        ] {
            let mut table = settings(&toml);
            let secret = table.required_secret("token", "token_file");
            let mistakes: Vec<String> = table.finish().iter().map(ToString::to_string).collect();
            match expected {
                Ok(()) => {
                    assert_eq!(secret.unwrap().reveal(), "hunter2", "{toml}");
                    assert!(mistakes.is_empty(), "{mistakes:?}");
                }
                Err(reason) => assert_eq!(mistakes, [format!("sink[0].{reason}")], "{toml}"),
            }
        }
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
