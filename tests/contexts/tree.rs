//! JSON as it stands: members in their order, numbers by their digits; and what a context or its document
//! must equal.

use super::reader::Reader;

/// A JSON text, a decoded context, or an expectation of one of these.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// A number with this value, whatever its digits.
    Double(u64),
    /// A number with this value in 32 bits.
    Float(u32),
    /// What a document does not tell and the decoded context does.
    Typed(Kind, Box<Self>),
}

/// What is more than its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Decimal,
    Double,
    Float,
    Guid,
    Date,
    Bytes,
    Bag,
}

impl Tree {
    /// Reads a JSON text. Half a surrogate pair becomes U+FFFD, and it may be nested as deep as it likes.
    pub(crate) fn parse(text: &str) -> Self {
        Reader::new(text).document()
    }

    pub(crate) fn typed(self, kind: Kind) -> Self {
        Self::Typed(kind, Box::new(self))
    }

    /// Without what a document does not tell.
    pub(crate) fn plain(self) -> Self {
        match self {
            Self::Typed(_, inner) => inner.plain(),
            Self::Array(items) => Self::Array(items.into_iter().map(Self::plain).collect()),
            Self::Object(members) => {
                let member = |(name, value): (String, Self)| (name, value.plain());
                Self::Object(members.into_iter().map(member).collect())
            }
            other => other,
        }
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

    /// The same with `change` done to what is no array and no object; `None` leaves it.
    pub(crate) fn with(self, change: &impl Fn(&Self) -> Option<Self>) -> Self {
        if let Some(changed) = change(&self) {
            return changed;
        }
        match self {
            Self::Typed(kind, inner) => inner.with(change).typed(kind),
            Self::Array(items) => {
                Self::Array(items.into_iter().map(|item| item.with(change)).collect())
            }
            Self::Object(members) => {
                let member = |(name, value): (String, Self)| (name, value.with(change));
                Self::Object(members.into_iter().map(member).collect())
            }
            other => other,
        }
    }
}

/// Fails with the path to the first difference.
pub(crate) fn assert_same(actual: &Tree, expected: &Tree, path: &str) {
    match (actual, expected) {
        (Tree::Typed(one, actual), Tree::Typed(other, expected)) if one == other => {
            assert_same(actual, expected, path);
        }
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
                actual.parse::<f64>().unwrap().to_bits(),
                *expected,
                "{path}: {actual}"
            );
        }
        (Tree::Number(actual), Tree::Float(expected)) => {
            assert_eq!(
                actual.parse::<f32>().unwrap().to_bits(),
                *expected,
                "{path}: {actual}"
            );
        }
        _ => assert_eq!(actual, expected, "{path}"),
    }
}
