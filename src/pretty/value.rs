//! One value in a few words, safe to show.

use std::fmt;

use crate::context::{Array, EntityReference, Object, Value};

/// At most that many characters of a text are shown.
const SHOWN: usize = 80;

/// A value in a few words, with its label where Dataverse sent one that says more.
pub(super) struct Brief<'a> {
    value: Value<'a>,
    label: Option<&'a str>,
}

impl<'a> Brief<'a> {
    pub(super) fn new(value: Value<'a>, label: Option<&'a str>) -> Self {
        Self { value, label }
    }

    fn object(&self, object: Object<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = object.type_name().map_or("object", |known| known.name);
        if object.is("EntityReference") {
            return reference(self.value, f);
        }
        if object.is("Relationship") {
            return write!(f, "{}", Name(object.text("SchemaName").unwrap_or(kind)));
        }
        if let Some(rows) = object.get("Entities").and_then(|rows| rows.as_array()) {
            return match rows.len() {
                1 => f.write_str("1 row"),
                several => write!(f, "{several} rows"),
            };
        }
        if let (Some(id), Some(table)) = (object.text("Id"), object.text("LogicalName")) {
            return write!(f, "{} {}", Name(table), Name(id));
        }
        match object.get("Value") {
            Some(value) => write!(f, "{}", Brief::new(value, self.label)),
            None => write!(f, "({})", Name(kind)),
        }
    }
}

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Value::Null => return f.write_str("(empty)"),
            Value::Bool(value) => write!(f, "{value}")?,
            Value::Number(number) => {
                f.write_str(number.as_str())?;
                if self.label == Some(number.as_str()) {
                    return Ok(());
                }
            }
            Value::String(text) => return write!(f, "{}", Quoted(text)),
            Value::Guid(guid) => write!(f, "{}", Name(guid))?,
            Value::DateTime(date) => return f.write_str(date.as_str()),
            Value::Bytes(bytes) => return write!(f, "({} bytes)", bytes.len()),
            Value::Array(items) => list(items, f)?,
            Value::Bag(bag) => return write!(f, "({} entries)", bag.len()),
            Value::Object(object) => return self.object(object, f),
            Value::Context(_) => return f.write_str("(context)"),
        }
        match self.label {
            Some(label) => write!(f, " ({})", Name(label)),
            None => Ok(()),
        }
    }
}

fn reference(value: Value<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let reference = EntityReference::new(value);
    let table = reference
        .and_then(|reference| reference.logical_name())
        .unwrap_or("row");
    write!(f, "{}", Name(table))?;
    match reference.and_then(|reference| reference.name()) {
        Some(name) => write!(f, " {}", Quoted(name)),
        None => write!(
            f,
            " {}",
            Name(
                reference
                    .and_then(|reference| reference.id())
                    .unwrap_or("(no id)")
            )
        ),
    }
}

/// Items of a list that are shown.
const ITEMS: usize = 8;

fn list(items: Array<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("[")?;
    for (index, item) in items.iter().take(ITEMS).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        match item {
            // One level is enough for a glance, and a hostile body may have a hundred.
            Value::Array(inner) => write!(f, "{comma}[{} items]", inner.len())?,
            item => write!(f, "{comma}{}", Brief::new(item, None))?,
        }
    }
    match items.len().saturating_sub(ITEMS) {
        0 => f.write_str("]"),
        hidden => write!(f, ", and {hidden} more]"),
    }
}

/// What was and what is, each in a few words. Of two long texts that begin alike, the part is shown from
/// which on they differ.
pub(super) fn pair(
    (old, old_label): (Value<'_>, Option<&str>),
    (new, new_label): (Value<'_>, Option<&str>),
) -> (String, String) {
    if let (Value::String(old), Value::String(new)) = (old, new)
        && let Some(start) = difference(old, new)
    {
        let from = |text: &str| format!("...{}", Quoted(text.get(start..).unwrap_or(text)));
        return (from(old), from(new));
    }
    (
        Brief::new(old, old_label).to_string(),
        Brief::new(new, new_label).to_string(),
    )
}

/// How many characters that are alike stand before the difference.
const BEFORE: usize = 20;

/// Where to begin with two texts that would look the same from their beginning, in bytes.
fn difference(old: &str, new: &str) -> Option<usize> {
    let alike = old.chars().zip(new.chars()).take_while(|(a, b)| a == b);
    let alike = alike.count();
    // The difference is to be seen well within what is shown.
    if alike + BEFORE < SHOWN {
        return None;
    }
    old.char_indices().nth(alike - BEFORE).map(|(at, _)| at)
}

/// A text in quotes, escaped and cut.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
        }
    }
}

/// A name without quotes, escaped and cut.
pub(super) struct Name<'a>(pub(super) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(4 * SHOWN) {
            match character {
                '"' | '\'' | '\\' => write!(f, "{character}")?,
                other => write!(f, "{}", other.escape_debug())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::{Hint, decode};

    /// Expects a value, which is given as JSON, to be told like this.
    #[track_caller]
    fn check(value: &str, label: Option<&str>, expected: &str) {
        let body =
            format!(r#"{{"MessageName":"x","InputParameters":[{{"key":"v","value":{value}}}]}}"#);
        let decoded = decode(body.as_bytes(), Hint::default()).unwrap();
        let value = decoded.context().input_parameters().unwrap().get("v");
        assert_eq!(Brief::new(value.unwrap(), label).to_string(), expected);
    }

    /// A complex value as JSON.
    fn object(type_name: &str, members: &str) -> String {
        format!(
            r#"{{"__type":"{type_name}:http://schemas.microsoft.com/xrm/2011/Contracts",{members}}}"#
        )
    }

    #[test]
    fn a_value_is_told_in_a_few_words() {
        check("null", None, "(empty)");
        check("false", Some("No"), "false (No)");
        check("10.1200", None, "10.1200");
        check("321", Some("321"), "321");
        check(
            &object("OptionSetValue", r#""Value":1"#),
            Some("Open"),
            "1 (Open)",
        );
        check(&object("Unheard", r#""Foo":null"#), None, "(Unheard)");
        check("[1,[]]", None, "[1, [0 items]]");
        check(
            &object("EntityCollection", r#""Entities":[null]"#),
            None,
            "1 row",
        );
    }

    #[test]
    fn a_reference_is_told_by_its_name_or_else_its_id() {
        let reference = |name: &str| {
            let id = "6420f0cc-916b-ee11-9ae6-000d3a688809";
            object(
                "EntityReference",
                &format!(r#""Id":"{id}","LogicalName":"account","Name":{name}"#),
            )
        };
        check(&reference(r#""Contoso""#), None, "account \"Contoso\"");
        check(
            &reference("null"),
            None,
            "account 6420f0cc-916b-ee11-9ae6-000d3a688809",
        );
    }

    #[test]
    fn nothing_off_the_wire_reaches_the_terminal_unescaped() {
        let hostile = "\u{1b}]0;owned\u{7}\u{202e}\r\n";
        for shown in [Quoted(hostile).to_string(), Name(hostile).to_string()] {
            assert!(
                !shown.chars().any(|c| c.is_control() || c == '\u{202e}'),
                "{shown:?}"
            );
        }
    }

    #[test]
    fn long_texts_are_shown_where_they_differ() {
        let same = "\u{e4}".repeat(3 * SHOWN);
        let (old, new) = (format!("{same}one"), format!("{same}another"));
        let lead = "\u{e4}".repeat(BEFORE);
        assert_eq!(
            pair((Value::String(&old), None), (Value::String(&new), None)),
            (format!("...\"{lead}one\""), format!("...\"{lead}another\""))
        );
        let (old, new) = ("one".to_owned(), format!("one{same}"));
        assert_eq!(
            pair((Value::String(&old), None), (Value::String(&new), None)).0,
            "\"one\""
        );
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let long = "\u{e4}".repeat(SHOWN + 1);
        assert_eq!(
            Quoted(&long).to_string(),
            format!("{:?}...", "\u{e4}".repeat(SHOWN))
        );
    }
}
