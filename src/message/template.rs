//! A text with fields of a message in it: `{table}/{year}-{month}-{day}.ndjson`.

use std::borrow::Cow;

use super::Message;
use super::field::{FIELDS, Read, field};
use crate::settings::nearest;

/// A parsed template. `{name}` is a field; `{{` and `}}` are braces.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parts: Vec<Part>,
    text: String,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Field(Read),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong, as a fragment: a brace without its other, a field that there is not.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(doubled) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = doubled;
                continue;
            }
            let (name, behind) = (brace == "{")
                .then(|| rest.split_once('}'))
                .flatten()
                .ok_or("has a brace without its other; write {{ or }} for the character itself")?;
            parts.push(Part::Literal(std::mem::take(&mut literal)));
            parts.push(Part::Field(field(name).ok_or_else(|| unknown(name))?));
            rest = behind;
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal));
        parts.retain(|part| !matches!(part, Part::Literal(text) if text.is_empty()));
        Ok(Self {
            parts,
            text: text.to_owned(),
        })
    }

    /// True when it has no field in it.
    pub(crate) fn is_constant(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part, Part::Literal(_)))
    }

    /// The text for every message, where there is no field in it.
    pub(crate) fn constant(&self) -> Option<String> {
        let literals = self.parts.iter().map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Field(_) => None,
        });
        literals.collect()
    }

    /// The template as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The text for `message`; `field` gives what stands for the value of a field, or for its absence.
    pub(crate) fn render(
        &self,
        message: &Message,
        field: impl Fn(Option<Cow<'_, str>>) -> String,
    ) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.clone(),
                Part::Field(read) => field(read(message)),
            })
            .collect()
    }

    /// Appends the text for `message`; `field` appends what stands for the value of a field, or for its
    /// absence.
    pub(crate) fn write(
        &self,
        message: &Message,
        text: &mut String,
        field: impl Fn(Option<Cow<'_, str>>, &mut String),
    ) {
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Field(read) => field(read(message), text),
            }
        }
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
    match nearest(name, &known) {
        Some(near) => format!("has an unknown field {{{name}}}; did you mean {{{near}}}?"),
        None => format!(
            "has an unknown field {{{name}}}; the fields are {}",
            known.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn fields_are_filled_in_and_doubled_braces_are_braces() {
        let message = samples::context("Create", "account");
        for (text, expected) in [
            ("plain", "plain"),
            ("{table}/{message}.x", "account/Create.x"),
            ("{id}", "-"),
            ("{{{table}}}", "{account}"),
            ("", ""),
        ] {
            let template = Template::parse(text).unwrap();
            let rendered = template.render(&message, |value| {
                value.map_or_else(|| "-".to_owned(), Cow::into_owned)
            });
            assert_eq!(rendered, expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_template_is_told() {
        for (text, expected) in [
            (
                "{tabel}",
                "has an unknown field {tabel}; did you mean {table}?",
            ),
            (
                "a{",
                "has a brace without its other; write {{ or }} for the character itself",
            ),
            (
                "a}b",
                "has a brace without its other; write {{ or }} for the character itself",
            ),
        ] {
            assert_eq!(Template::parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
