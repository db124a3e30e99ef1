//! The values that an execution context holds: what Microsoft's contracts call `object`, with the
//! types that the wire formats can tell apart.
//!
//! Source: the known types of `Microsoft.Xrm.Sdk` (`Entity`, `EntityReference`, `OptionSetValue`, …)
//! and the primitives of `DataContractSerializer`.

use std::borrow::Cow;
use std::collections::HashMap;

use smol_str::SmolStr;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, PrimitiveDateTime};

/// One value: of an attribute, a parameter, a member or an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Null, which is neither an absent value nor an empty one.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer, a decimal or a floating-point number, with the digits that were sent.
    Number(Number),
    /// A string; a duration, a URI, a character or an enum's member as text; in JSON a guid too,
    /// wherever the contract does not say that it is one.
    String(SmolStr),
    /// A guid in lower case.
    Guid(String),
    /// A date and time.
    DateTime(DateTime),
    /// A byte array. JSON writes it as an array of numbers, which stays an [`Value::Array`].
    Bytes(Vec<u8>),
    /// An array or a collection without keys.
    Array(Vec<Self>),
    /// A collection of key/value pairs with text keys.
    Bag(Bag),
    /// A complex value: `Entity`, `Money`, and every type that nobody here knows.
    Object(Object),
    /// The context of the operation that caused this one (`ParentContext`).
    Context(Box<super::ExecutionContext>),
}

impl Value {
    /// True for null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a string, a guid or a date.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Guid(text) => Some(text),
            Self::DateTime(date) => Some(date.as_str()),
            _ => None,
        }
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The number, where it is an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    /// The date.
    pub fn as_date_time(&self) -> Option<&DateTime> {
        match self {
            Self::DateTime(date) => Some(date),
            _ => None,
        }
    }

    /// The items of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The bag. An empty array counts as an empty bag, since JSON writes both the same.
    pub fn as_bag(&self) -> Option<&Bag> {
        match self {
            Self::Bag(bag) => Some(bag),
            Self::Array(items) if items.is_empty() => Some(Bag::EMPTY),
            _ => None,
        }
    }

    /// The complex value.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// A number as it was written, so that decimals keep their scale and 64-bit integers stay exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    text: SmolStr,
    kind: NumberKind,
}

impl Number {
    /// Takes the text of a number: what JSON allows, or `NaN`, `INF`, `-INF`. `None` for anything else.
    pub fn new(text: impl Into<SmolStr>, kind: NumberKind) -> Option<Self> {
        let text = text.into();
        (is_json_number(text.as_bytes()) || is_special(&text)).then_some(Self { text, kind })
    }

    /// The digits as they were sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What kind of number the wire said it is.
    pub fn kind(&self) -> NumberKind {
        self.kind
    }

    /// The value, where it is an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.text.parse().ok()
    }

    /// The nearest floating-point value.
    pub fn as_f64(&self) -> f64 {
        match self.text.as_str() {
            "INF" => f64::INFINITY,
            "-INF" => f64::NEG_INFINITY,
            text => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// False for `NaN`, `INF` and `-INF`, which JSON has no number for.
    pub fn is_finite(&self) -> bool {
        !is_special(&self.text)
    }
}

/// What the wire says about a number: XML names the type, JSON does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// Not said, as in JSON.
    Unknown,
    /// A signed or unsigned integer of 8 to 64 bits.
    Integer,
    /// A decimal (`System.Decimal`, `Money.Value`).
    Decimal,
    /// A floating-point number of 32 bits.
    Float,
    /// A floating-point number of 64 bits.
    Double,
}

fn is_special(text: &str) -> bool {
    matches!(text, "NaN" | "INF" | "-INF")
}

fn is_json_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = split_digits(text);
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(rest) => match split_digits(rest) {
            ([], _) => return false,
            (_, rest) => rest,
        },
        None => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', digits @ ..] | [b'e' | b'E', digits @ ..] => {
            matches!(split_digits(digits), ([_, ..], []))
        }
        _ => false,
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// A date and time as RFC 3339 text, with the precision and the zone that were sent; without a zone
/// where XML gave none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateTime(SmolStr);

impl DateTime {
    /// Takes an RFC 3339 text, or one without a zone (`2024-11-08T08:05:06`). `None` for anything else.
    pub fn new(text: impl Into<SmolStr>) -> Option<Self> {
        let date = Self(text.into());
        let bytes = date.0.as_bytes();
        (bytes.get(10) == Some(&b'T') && (date.instant().is_some() || date.local().is_some()))
            .then_some(date)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The instant; `None` where the zone is not known.
    pub fn instant(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(&self.0, &Rfc3339).ok()
    }

    /// The wall clock of a date whose zone is not known.
    fn local(&self) -> Option<PrimitiveDateTime> {
        OffsetDateTime::parse(&format!("{}Z", self.0), &Rfc3339)
            .ok()
            .map(|date| PrimitiveDateTime::new(date.date(), date.time()))
    }
}

/// A collection of key/value pairs in the order sent, each key once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bag {
    entries: Vec<(SmolStr, Value)>,
}

impl Bag {
    const EMPTY: &Self = &Self {
        entries: Vec::new(),
    };

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Every entry in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes its entries take, without what they point to.
    pub(super) fn table_size(&self) -> usize {
        self.entries.capacity() * size_of::<(SmolStr, Value)>()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Builds a bag; of two entries with one key the later value stands in the earlier one's place.
    /// Calls `repeated` with each key that came again.
    pub fn new(entries: Vec<(SmolStr, Value)>, mut repeated: impl FnMut(&str)) -> Self {
        Self {
            entries: keep_last(entries, |key| repeated(key)),
        }
    }
}

/// A complex value: its type, where it has one, and its members in the order sent, each name once.
#[derive(Debug, Clone, PartialEq)]
pub struct Object(Box<Inner>);

/// In a box of its own, so that a value is small whatever it holds: contexts are full of values.
#[derive(Debug, Clone, PartialEq)]
struct Inner {
    type_name: Option<TypeName>,
    members: Vec<(Name, Value)>,
}

/// The name of a member or a type: static where the contract knows it.
pub type Name = Cow<'static, str>;

impl Object {
    /// Builds a complex value; of two members with one name the later value stands in the earlier
    /// one's place. Calls `repeated` with each name that came again.
    pub fn new(
        type_name: Option<TypeName>,
        members: Vec<(Name, Value)>,
        mut repeated: impl FnMut(&str),
    ) -> Self {
        Self(Box::new(Inner {
            type_name,
            members: keep_last(members, |name| repeated(name)),
        }))
    }

    /// How many bytes its members take, without what they point to.
    pub(super) fn table_size(&self) -> usize {
        self.0.members.capacity() * size_of::<(Name, Value)>()
    }

    /// The type, where the wire or the contract names one.
    pub fn type_name(&self) -> Option<&TypeName> {
        self.0.type_name.as_ref()
    }

    /// True where the value is of this type of Microsoft's contracts: `is("Entity")`.
    pub fn is(&self, name: &str) -> bool {
        self.0
            .type_name
            .as_ref()
            .is_some_and(|known| known.namespace.is_none() && known.name == name)
    }

    /// The member `name`; `None` where it is absent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter()
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The text of the member `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Every member in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0
            .members
            .iter()
            .map(|(name, value)| (name.as_ref(), value))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.members.len()
    }

    /// True without members.
    pub fn is_empty(&self) -> bool {
        self.0.members.is_empty()
    }

    /// Gives the members away.
    pub fn into_members(self) -> Vec<(Name, Value)> {
        self.0.members
    }
}

/// The type of a complex value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    /// The name without a namespace: `Entity`.
    pub name: Name,
    /// The namespace, where it is none of Microsoft's well-known ones.
    pub namespace: Option<String>,
}

/// Few entries are searched, many are indexed: a hundred thousand keys must not cost their square.
const SEARCHED: usize = 32;

fn keep_last<K: AsRef<str> + Clone + Eq + std::hash::Hash>(
    entries: Vec<(K, Value)>,
    mut repeated: impl FnMut(&str),
) -> Vec<(K, Value)> {
    if !has_repeated(&entries) {
        return entries;
    }
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut kept: Vec<(K, Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if let Some(&place) = places.get(&key) {
            repeated(key.as_ref());
            kept[place].1 = value;
        } else {
            places.insert(key.clone(), kept.len());
            kept.push((key, value));
        }
    }
    kept
}

fn has_repeated<K: AsRef<str>>(entries: &[(K, Value)]) -> bool {
    if entries.len() > SEARCHED {
        let mut seen = std::collections::HashSet::with_capacity(entries.len());
        return entries.iter().any(|(key, _)| !seen.insert(key.as_ref()));
    }
    entries.iter().enumerate().any(|(at, (key, _))| {
        entries[..at]
            .iter()
            .any(|(earlier, _)| earlier.as_ref() == key.as_ref())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_json_allows_or_not_a_number_at_all() {
        for text in [
            "0",
            "-0",
            "1.10",
            "79228162514264337593543950335",
            "1E+16",
            "4.9e-324",
            "NaN",
            "-INF",
        ] {
            assert_eq!(
                Number::new(text, NumberKind::Unknown).unwrap().as_str(),
                text
            );
        }
        for text in [
            "", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", "nan", "1 ", "--1",
        ] {
            assert_eq!(Number::new(text, NumberKind::Unknown), None, "{text}");
        }
    }

    #[test]
    fn a_date_is_kept_with_its_zone_and_precision() {
        for text in [
            "2024-11-08T08:05:06",
            "0001-01-01T00:00:00",
            "9999-12-31T23:59:59.9999999Z",
            "2024-02-29T00:00:00-03:30",
        ] {
            assert_eq!(DateTime::new(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "2024-11-08",
            "2023-02-29T00:00:00",
            "2024-11-08 08:05:06Z",
            "2024-11-08T25:00:00Z",
        ] {
            assert_eq!(DateTime::new(text), None, "{text}");
        }
    }

    #[test]
    fn of_repeated_keys_the_last_value_stands_in_the_first_place() {
        for filler in [0, 2 * SEARCHED] {
            let mut entries = vec![
                (SmolStr::new("a"), Value::Bool(false)),
                (SmolStr::new("b"), Value::Null),
            ];
            entries.extend((0..filler).map(|n| (format!("filler{n}").into(), Value::Null)));
            entries.push((SmolStr::new("a"), Value::Bool(true)));
            let mut repeated = Vec::new();
            let bag = Bag::new(entries, |key| repeated.push(key.to_owned()));
            assert_eq!(bag.iter().next(), Some(("a", &Value::Bool(true))));
            assert_eq!((bag.len(), repeated), (2 + filler, vec!["a".to_owned()]));
        }
    }
}
