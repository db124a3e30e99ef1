//! One value in a few words, safe to show.

use std::fmt;

use crate::context::{EntityReference, Object, Value};

/// At most that many characters of a text are shown.
const SHOWN: usize = 80;

/// A value in a few words, with its label where Dataverse sent one that says more.
pub(super) struct Brief<'a> {
    value: &'a Value,
    label: Option<&'a str>,
}

impl<'a> Brief<'a> {
    pub(super) fn new(value: &'a Value, label: Option<&'a str>) -> Self {
        Self { value, label }
    }

    fn object(&self, object: &Object, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = object.type_name().map_or("object", |name| &name.name);
        if object.is("EntityReference") {
            return reference(self.value, f);
        }
        if object.is("Relationship") {
            return write!(f, "{}", Name(object.text("SchemaName").unwrap_or(kind)));
        }
        if let Some(rows) = object.get("Entities").and_then(Value::as_array) {
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

fn reference(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

fn list(items: &[Value], f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    use crate::context::{Number, NumberKind, TypeName};

    fn object(type_name: &'static str, members: Vec<(&'static str, Value)>) -> Value {
        let name = TypeName {
            name: type_name.into(),
            namespace: None,
        };
        let members = members
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect();
        Value::Object(Object::new(Some(name), members, |_| ()))
    }

    fn number(text: &str) -> Value {
        Value::Number(Number::new(text, NumberKind::Unknown).unwrap())
    }

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[track_caller]
    fn check(value: &Value, label: Option<&str>, expected: &str) {
        assert_eq!(Brief::new(value, label).to_string(), expected);
    }

    #[test]
    fn a_value_is_told_in_a_few_words() {
        check(&Value::Null, None, "(empty)");
        check(&Value::Bool(false), Some("No"), "false (No)");
        check(&number("10.1200"), None, "10.1200");
        check(&number("321"), Some("321"), "321");
        check(
            &object("OptionSetValue", vec![("Value", number("1"))]),
            Some("Open"),
            "1 (Open)",
        );
        check(
            &object("Unheard", vec![("Foo", Value::Null)]),
            None,
            "(Unheard)",
        );
        check(
            &Value::Array(vec![number("1"), Value::Array(vec![])]),
            None,
            "[1, [0 items]]",
        );
        check(
            &object(
                "EntityCollection",
                vec![("Entities", Value::Array(vec![Value::Null]))],
            ),
            None,
            "1 row",
        );
    }

    #[test]
    fn a_reference_is_told_by_its_name_or_else_its_id() {
        let reference = |name: Value| {
            object(
                "EntityReference",
                vec![
                    ("Id", text("6420f0cc")),
                    ("LogicalName", text("account")),
                    ("Name", name),
                ],
            )
        };
        check(&reference(text("Contoso")), None, "account \"Contoso\"");
        check(&reference(Value::Null), None, "account 6420f0cc");
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
    fn a_long_text_is_cut_at_a_character() {
        let long = "\u{e4}".repeat(SHOWN + 1);
        assert_eq!(
            Quoted(&long).to_string(),
            format!("{:?}...", "\u{e4}".repeat(SHOWN))
        );
    }
}
