//! Which file a message belongs to: the template `path`, filled in so that nothing leaves the directory.
//!
//! What a message says comes from outside. It can choose between names, and nothing else.

use std::borrow::Cow;
use std::path::{Component, Path};

use super::archive;
use crate::message::{Message, Template};

/// A template of paths beneath the directory of a sink.
#[derive(Debug, Clone)]
pub(super) struct PathTemplate(Template);

/// Bytes of a name, at the most: file systems take 255, and the name of an archive is longer than the
/// file's.
const LONGEST: usize = 200;

/// Stands for a field that the message does not have.
const ABSENT: &str = "none";

impl Default for PathTemplate {
    fn default() -> Self {
        Self(Template::parse("events.ndjson").expect("it has no field in it"))
    }
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong, as a fragment.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let template = Template::parse(text)?;
        let is_plain = Path::new(text)
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        let has_odd_part = text.split('/').any(|part| matches!(part, "" | "." | ".."));
        if !is_plain || has_odd_part || text.contains(char::is_control) {
            return Err("must be a relative path, without \"..\" or empty parts".to_owned());
        }
        let path = Self(template);
        let is_taken = |mut text: String| {
            let before = text.clone();
            tame(&mut text);
            text != before
        };
        if path.constant().is_some_and(is_taken) {
            return Err(
                "is too long, or looks like the name of an archive; choose another".to_owned(),
            );
        }
        Ok(path)
    }

    /// The template as it was written.
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The path of every message, where there is only one.
    pub(super) fn constant(&self) -> Option<String> {
        self.0.constant()
    }

    /// The path of `message`, relative to the directory, into `path`.
    pub(super) fn render(&self, message: &Message, path: &mut String) {
        path.clear();
        self.0.write(message, path, push_value);
        tame(path);
    }
}

/// Appends the value of a field, with `_` for each character that has a meaning in a path or a shell.
fn push_value(value: Option<Cow<'_, str>>, path: &mut String) {
    let value = value
        .as_deref()
        .filter(|value| !value.is_empty())
        .unwrap_or(ABSENT);
    let start = path.len();
    for character in value.chars() {
        let is_first = path.len() == start;
        let is_safe = character.is_alphanumeric()
            || matches!(character, '-' | '_')
            || (character == '.' && !is_first);
        let character = if is_safe { character } else { '_' };
        if path.len() - start + character.len_utf8() > LONGEST {
            break;
        }
        path.push(character);
    }
}

/// Shortens names that are too long, and changes one that could be taken for an archive of another file.
fn tame(path: &mut String) {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_tame = name.len() <= LONGEST && folders.split('/').all(|folder| folder.len() <= LONGEST);
    if is_tame && !archive::is_like_one(name) {
        return;
    }
    let mut tamed = String::new();
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        tamed.push_str(cut(folder, LONGEST));
        tamed.push('/');
    }
    let (stem, extension) = archive::split(name);
    tamed.push_str(cut(stem, LONGEST.saturating_sub(extension.len())));
    tamed.push_str(cut(extension, LONGEST));
    if archive::is_like_one(name) {
        tamed.push('_');
    }
    *path = tamed;
}

/// The first `longest` bytes, or fewer where a character would be cut.
fn cut(text: &str, longest: usize) -> &str {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::message::samples;

    fn rendered(template: &str, message: &Message) -> String {
        let mut path = "left from before".to_owned();
        PathTemplate::parse(template)
            .unwrap()
            .render(message, &mut path);
        path
    }

    #[track_caller]
    fn check(template: &str, table: &str, expected: &str) {
        assert_eq!(
            rendered(template, &samples::context("Create", table)),
            expected
        );
    }

    #[test]
    fn values_become_names() {
        check("events.ndjson", "account", "events.ndjson");
        check(
            "{table}/{year}-{month}.ndjson",
            "account",
            "account/1970-01.ndjson",
        );
        check(
            "{table}.ndjson",
            "../../etc/passwd",
            "_._.._etc_passwd.ndjson",
        );
        check("{table}", "..", "_.");
        check("{table}", ".", "_");
        check("{table}", ".hidden", "_hidden");
        check("{table}", "a\\nb\\u0000c d", "a_b_c_d");
        check("{table}", "straße", "straße");
        check("{table}/x", "", "none/x");
        check("{table}/{id}", "account", "account/none");
        check(
            "{table}.ndjson",
            &"ä".repeat(150),
            &format!("{}.ndjson", "ä".repeat(96)),
        );
        check(
            "{table}-{table}/x",
            &"a".repeat(150),
            &format!("{}-{}/x", "a".repeat(150), "a".repeat(49)),
        );
    }

    #[test]
    fn no_file_is_called_like_an_archive_of_another() {
        let archive = "account-20261124T181522Z-0001";
        check("{table}.ndjson", archive, &format!("{archive}.ndjson_"));
        check("{table}", archive, &format!("{archive}_"));
        check("a.{table}", "gz", "a.gz_");
        check("a.{table}", "zst", "a.zst_");
        check(
            "{table}.ndjson",
            "account-20261124T181522Z",
            "account-20261124T181522Z.ndjson",
        );
    }

    #[test]
    fn a_template_that_leaves_the_directory_is_told() {
        let relative = "must be a relative path, without \"..\" or empty parts";
        let taken = "is too long, or looks like the name of an archive; choose another";
        for (template, expected) in [
            ("/var/log/events", relative),
            ("../events", relative),
            ("a/../../b", relative),
            ("a/./b", relative),
            ("a//b", relative),
            ("a/", relative),
            ("", relative),
            (".", relative),
            ("a\nb", relative),
            ("events.ndjson.zst", taken),
            (
                "{tabel}",
                "has an unknown field {tabel}; did you mean {table}?",
            ),
        ] {
            assert_eq!(
                PathTemplate::parse(template).unwrap_err(),
                expected,
                "{template:?}"
            );
        }
        assert!(PathTemplate::parse(&"a".repeat(300)).is_err());
    }

    #[test]
    fn a_template_without_fields_has_one_path() {
        let constant = |template| PathTemplate::parse(template).unwrap().constant();
        assert_eq!(constant("a/b.ndjson").as_deref(), Some("a/b.ndjson"));
        assert_eq!(constant("{{a}}").as_deref(), Some("{a}"));
        assert_eq!(constant("{table}"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_leaves_the_directory(value in any::<String>(), dots in "[./\\\\~\0]{0,8}", long in 0usize..400) {
            let table = format!("{dots}{value}{}", "x".repeat(long));
            let body = serde_json::json!({
                "MessageName": "Create", "PrimaryEntityName": table, "InputParameters": [], "OrganizationName": value,
            });
            let message = samples::message(&body.to_string());
            for template in ["{table}", "a/{table}/{organization}.ndjson", ".{table}", "{table}{organization}/b"] {
                let path = rendered(template, &message);
                let components: Vec<_> = Path::new(&path).components().collect();
                prop_assert!(components.iter().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
                prop_assert_eq!(components.len(), template.split('/').count(), "{:?}", path);
                prop_assert!(components.iter().all(|part| part.as_os_str().len() <= 201), "{path:?}");
                prop_assert!(!path.contains(char::is_control), "{path:?}");
                prop_assert_eq!(components.iter().collect::<PathBuf>(), PathBuf::from(&path));
            }
        }
    }
}
