//! JSON as it stands: members in their order, numbers by their digits; and what a document must equal.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON text, or an expectation of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// Expected: a number with this value, whatever its digits.
    Double(u64),
    /// Expected: a number with this value in 32 bits.
    Float(u32),
}

impl Tree {
    pub(crate) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        members
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Self::String(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn items(&self, name: &str) -> &[Self] {
        match self.get(name) {
            Some(Self::Array(items)) => items,
            _ => &[],
        }
    }
}

/// Fails with the path to the first difference.
pub(crate) fn assert_same(actual: &Tree, expected: &Tree, path: &str) {
    match (actual, expected) {
        (Tree::Object(actual), Tree::Object(expected)) => {
            let names = |members: &[(String, Tree)]| {
                members
                    .iter()
                    .map(|(name, _)| name.clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(actual), names(expected), "members of {path}");
            for ((name, actual), (_, expected)) in actual.iter().zip(expected) {
                assert_same(actual, expected, &format!("{path}.{name}"));
            }
        }
        (Tree::Array(actual), Tree::Array(expected)) => {
            assert_eq!(actual.len(), expected.len(), "items of {path}");
            for (place, (actual, expected)) in actual.iter().zip(expected).enumerate() {
                assert_same(actual, expected, &format!("{path}[{place}]"));
            }
        }
        (Tree::Number(actual), Tree::Double(expected)) => {
            assert_eq!(
                actual.parse::<f64>().unwrap(),
                f64::from_bits(*expected),
                "{path}"
            );
        }
        (Tree::Number(actual), Tree::Float(expected)) => {
            assert_eq!(
                actual.parse::<f32>().unwrap(),
                f32::from_bits(*expected),
                "{path}"
            );
        }
        _ => assert_eq!(actual, expected, "{path}"),
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Tree>()? {
            // serde_json hands out in this form the numbers that are no 64-bit integers.
            if name == "$serde_json::private::Number" {
                let Tree::String(digits) = value else {
                    unreachable!()
                };
                return Ok(Tree::Number(digits));
            }
            members.push((name, value));
        }
        Ok(Tree::Object(members))
    }
}
