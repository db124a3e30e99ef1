//! The types that a key can have, and how each is written in a file or in a variable.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use config::{Value, ValueKind};

use super::{Setting, Shown, VARIABLE};
use crate::secret::Secret;

impl Setting for String {
    const EXPECTED: &'static str = "a text";

    fn read(value: Value) -> Option<Self> {
        match value.kind {
            ValueKind::String(text) => Some(text),
            _ => None,
        }
    }

    fn shown(&self) -> Shown {
        Shown::Text(self.clone())
    }
}

impl Setting for Secret {
    const EXPECTED: &'static str = "a text";

    fn read(value: Value) -> Option<Self> {
        String::read(value).map(Self::new)
    }

    fn shown(&self) -> Shown {
        Shown::Text(self.to_string())
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn read(value: Value) -> Option<Self> {
        String::read(value).map(Self::from)
    }

    fn shown(&self) -> Shown {
        Shown::Text(self.display().to_string())
    }
}

/// A list of texts, numbers or facts as texts; one stands for a list of one. A variable has commas
/// between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words(pub Vec<String>);

impl Setting for Words {
    const EXPECTED: &'static str = "a text, a number, or a list of them";

    fn read(value: Value) -> Option<Self> {
        let word = |value: Value| match value.kind {
            ValueKind::String(text) => Some(text),
            ValueKind::I64(number) => Some(number.to_string()),
            ValueKind::Float(number) => Some(number.to_string()),
            ValueKind::Boolean(fact) => Some(fact.to_string()),
            _ => None,
        };
        match value.kind {
            ValueKind::Array(values) => values
                .into_iter()
                .map(word)
                .collect::<Option<_>>()
                .map(Self),
            ValueKind::String(_) => Vec::read(value).map(Self),
            _ => word(value).map(|word| Self(vec![word])),
        }
    }

    fn shown(&self) -> Shown {
        match self.0.as_slice() {
            [word] => word.shown(),
            words => words.to_vec().shown(),
        }
    }
}

/// The text of a value that came from a variable, where everything is text.
fn text_of_variable(value: &Value) -> Option<&str> {
    let is_variable = value
        .origin()
        .is_some_and(|origin| origin.starts_with(VARIABLE));
    match &value.kind {
        ValueKind::String(text) if is_variable => Some(text.trim()),
        _ => None,
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: Value) -> Option<Self> {
        match (text_of_variable(&value), &value.kind) {
            (Some(text), _) => text.parse().ok(),
            (None, ValueKind::Boolean(value)) => Some(*value),
            _ => None,
        }
    }

    fn shown(&self) -> Shown {
        Shown::Fact(*self)
    }
}

impl Setting for i64 {
    const EXPECTED: &'static str = "a whole number";

    fn read(value: Value) -> Option<Self> {
        match (text_of_variable(&value), &value.kind) {
            (Some(text), _) => text.parse().ok(),
            (None, ValueKind::I64(value)) => Some(*value),
            _ => None,
        }
    }

    fn shown(&self) -> Shown {
        Shown::Number(*self)
    }
}

impl Setting for f64 {
    const EXPECTED: &'static str = "a number";

    fn read(value: Value) -> Option<Self> {
        match (text_of_variable(&value), &value.kind) {
            (Some(text), _) => text.parse().ok(),
            (None, ValueKind::Float(value)) => Some(*value),
            // Whole numbers of configurations are small.
            (None, ValueKind::I64(value)) => i32::try_from(*value).ok().map(Self::from),
            _ => None,
        }
    }

    fn shown(&self) -> Shown {
        Shown::Fraction(*self)
    }
}

/// A count: a whole number from 1 on.
impl Setting for NonZeroUsize {
    const EXPECTED: &'static str = "a whole number, 1 or more";

    fn read(value: Value) -> Option<Self> {
        i64::read(value)
            .and_then(|number| usize::try_from(number).ok())
            .and_then(Self::new)
    }

    fn shown(&self) -> Shown {
        Shown::Number(i64::try_from(self.get()).unwrap_or(i64::MAX))
    }
}

/// Ten years of 365.25 days: no sum with a time overflows.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 31_557_600);

impl Setting for Duration {
    const EXPECTED: &'static str =
        "a duration such as \"500ms\", \"30s\", \"1h 30m\" or \"7days\", of 10 years at most";

    fn read(value: Value) -> Option<Self> {
        String::read(value)
            .and_then(|text| humantime::parse_duration(&text).ok())
            .filter(|duration| *duration <= LONGEST)
    }

    fn shown(&self) -> Shown {
        Shown::Text(humantime::format_duration(*self).to_string())
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub usize);

impl Setting for Size {
    const EXPECTED: &'static str = "a number of bytes, or a size such as \"64KiB\" or \"16MiB\"";

    fn read(value: Value) -> Option<Self> {
        let bytes = match value.kind {
            ValueKind::String(text) => text.parse::<bytesize::ByteSize>().ok()?.as_u64(),
            ValueKind::I64(number) => number.try_into().ok()?,
            _ => return None,
        };
        usize::try_from(bytes).ok().map(Self)
    }

    /// In the largest unit of which it is a whole number.
    fn shown(&self) -> Shown {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let unit = units
            .into_iter()
            .find(|(bits, _)| self.0 > 0 && self.0.trailing_zeros() >= *bits);
        Shown::Text(match unit {
            Some((bits, unit)) => format!("{}{unit}", self.0 >> bits),
            None => format!("{}B", self.0),
        })
    }
}

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

    fn shown(&self) -> Shown {
        Shown::Texts(self.clone())
    }
}
