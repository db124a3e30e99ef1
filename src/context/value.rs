//! The values that an execution context holds: what Microsoft's contracts call `object`, with the
//! types that the wire formats can tell apart.
//!
//! Source: the known types of `Microsoft.Xrm.Sdk` (`Entity`, `EntityReference`, `OptionSetValue`, …)
//! and the primitives of `DataContractSerializer`.

use std::fmt;

use super::tape::{Extent, Slot, Tape, TypeAt};
use super::{DateTime, ExecutionContext, Number};

/// One value: of an attribute, a parameter, a member or an item. It is a view into what was decoded, and so
/// costs nothing to copy.
///
/// A choice, an amount of money or a row is an [`Object`] of its type. XML and the binary format name the types of
/// plain values too. JSON does not: a guid is a [`Value::String`] there, wherever the contract does not say
/// otherwise, and a number has [`NumberKind::Unknown`](super::NumberKind).
///
/// # Examples
///
/// ```
/// use dataverse_listener::context::Value;
/// use dataverse_listener::decoder::{Hint, decode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let body = br#"{"MessageName": "SetState", "InputParameters": [
///     {"key": "State", "value":
///         {"__type": "OptionSetValue:http://schemas.microsoft.com/xrm/2011/Contracts", "Value": 1}},
///     {"key": "When", "value": "/Date(1731053106000)/"},
///     {"key": "Tags", "value": ["a", "b"]}
/// ]}"#;
/// let decoded = decode(body, Hint::default())?;
/// let parameters = decoded.context().input_parameters().ok_or("no parameters")?;
/// let mut shown = Vec::new();
/// for (key, value) in parameters.iter() {
///     shown.push(match value {
///         Value::Object(choice) if choice.is("OptionSetValue") => {
///             format!("{key}: choice {:?}", choice.get("Value").and_then(|value| value.as_i64()))
///         }
///         Value::DateTime(date) => format!("{key}: {}", date.as_str()),
///         Value::Array(items) => format!("{key}: {} items", items.len()),
///         other => format!("{key}: {other:?}"),
///     });
/// }
/// assert_eq!(shown, ["State: choice Some(1)", "When: 2024-11-08T08:05:06Z", "Tags: 2 items"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Null, which is neither an absent value nor an empty one.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer, a decimal or a floating-point number, with the digits that were sent.
    Number(Number<'a>),
    /// A string; a duration, a URI, a character or an enum's member as text; in JSON a guid too,
    /// wherever the contract does not say that it is one.
    String(&'a str),
    /// A guid in lower case.
    Guid(&'a str),
    /// A date and time.
    DateTime(DateTime<'a>),
    /// A byte array. JSON writes it as an array of numbers, which stays an [`Value::Array`].
    Bytes(&'a [u8]),
    /// An array or a collection without keys.
    Array(Array<'a>),
    /// A collection of key/value pairs with text keys.
    Bag(Bag<'a>),
    /// A complex value: `Entity`, `Money`, and every type that nobody here knows.
    Object(Object<'a>),
    /// The context of the operation that caused this one (`ParentContext`).
    Context(ExecutionContext<'a>),
}

impl<'a> Value<'a> {
    pub(super) fn new(tape: &'a Tape, at: usize) -> Self {
        let lying = |extent| Lying::new(tape, at, extent);
        match tape.slot(at) {
            Slot::Null => Self::Null,
            Slot::Bool(value) => Self::Bool(value),
            Slot::Number(kind, text) => Self::Number(Number::checked(tape.text(text), kind)),
            Slot::String(text) => Self::String(tape.text(text)),
            Slot::Guid(text) => Self::Guid(tape.text(text)),
            Slot::DateTime(text) => Self::DateTime(DateTime::checked(tape.text(text))),
            Slot::Bytes(bytes) => Self::Bytes(tape.bytes(bytes)),
            Slot::Array(extent) => Self::Array(Array(lying(extent))),
            Slot::Bag(extent) => Self::Bag(Bag(lying(extent))),
            Slot::Object(..) => Self::Object(Object::of(tape, at)),
            Slot::Context(_) => Self::Context(ExecutionContext::new(Object::of(tape, at))),
        }
    }

    /// True for null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a string, a guid or a date; `None` of a number, which has [`Number::as_str`].
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::String(text) | Self::Guid(text) => Some(text),
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
    pub fn as_number(&self) -> Option<Number<'a>> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, where it is an integer that fits; see [`Number::as_i64`].
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(|number| number.as_i64())
    }

    /// The date.
    pub fn as_date_time(&self) -> Option<DateTime<'a>> {
        match self {
            Self::DateTime(date) => Some(*date),
            _ => None,
        }
    }

    /// The array.
    pub fn as_array(&self) -> Option<Array<'a>> {
        match self {
            Self::Array(items) => Some(*items),
            _ => None,
        }
    }

    /// The bag. An empty array counts as an empty bag, since JSON writes both the same.
    pub fn as_bag(&self) -> Option<Bag<'a>> {
        match self {
            Self::Bag(bag) => Some(*bag),
            Self::Array(items) if items.is_empty() => Some(Bag(items.0)),
            _ => None,
        }
    }

    /// The complex value.
    pub fn as_object(&self) -> Option<Object<'a>> {
        match self {
            Self::Object(object) => Some(*object),
            _ => None,
        }
    }
}

/// What lies directly in a collection.
#[derive(Clone, Copy)]
struct Lying<'a> {
    tape: &'a Tape,
    first: usize,
    count: usize,
}

impl<'a> Lying<'a> {
    fn new(tape: &'a Tape, at: usize, extent: Extent) -> Self {
        Self {
            tape,
            first: at + 1,
            count: usize::try_from(extent.entries).unwrap_or(usize::MAX),
        }
    }

    fn iter(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let mut at = self.first;
        (0..self.count).map(move |_| {
            let entry = (self.tape.name(at), Value::new(self.tape, at));
            at = self.tape.behind(at);
            entry
        })
    }

    fn get(self, wanted: &str) -> Option<Value<'a>> {
        let mut at = self.first;
        for _ in 0..self.count {
            if self.tape.name(at) == wanted {
                return Some(Value::new(self.tape, at));
            }
            at = self.tape.behind(at);
        }
        None
    }
}

/// An array or a collection without keys. It knows no place by its number: [`Array::iter`] steps from item to item.
#[derive(Clone, Copy)]
pub struct Array<'a>(Lying<'a>);

impl<'a> Array<'a> {
    /// Every item in its order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        self.0.iter().map(|(_, item)| item)
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.0.count
    }

    /// True without items.
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Array<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

/// A collection of key/value pairs in the order sent, each key once: attributes, parameters, formatted values.
///
/// A key is looked for from the first to the last; whoever wants many of a large one iterates.
#[derive(Clone, Copy)]
pub struct Bag<'a>(Lying<'a>);

impl<'a> Bag<'a> {
    /// The value under `key`, upper and lower case told apart; `None` where it is absent, which null is not.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.0.get(key)
    }

    /// Every entry in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.0.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.count
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }
}

impl fmt::Debug for Bag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Bag<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

/// A complex value: its type, where it has one, and its members in the order sent, each name once.
///
/// # Examples
///
/// ```
/// use dataverse_listener::decoder::{Hint, decode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let body = br#"{"MessageName": "Pay", "InputParameters": [
///     {"key": "Amount", "value": {
///         "__type": "Money:http://schemas.microsoft.com/xrm/2011/Contracts", "Value": 1250.00}},
///     {"key": "Terms", "value": {"__type": "Terms:http://example.com/payment", "Days": 30}}
/// ]}"#;
/// let decoded = decode(body, Hint::default())?;
/// let parameters = decoded.context().input_parameters().ok_or("no parameters")?;
/// let object = |name| parameters.get(name).and_then(|value| value.as_object());
///
/// let amount = object("Amount").ok_or("no amount")?;
/// assert!(amount.is("Money"));
/// let number = amount.get("Value").and_then(|value| value.as_number()).ok_or("no number")?;
/// assert_eq!(number.as_str(), "1250.00");
///
/// // A type that no contract of Microsoft's has is kept with its namespace.
/// let terms = object("Terms").ok_or("no terms")?;
/// let name = terms.type_name().ok_or("no type")?;
/// assert_eq!((name.name, name.namespace), ("Terms", Some("http://example.com/payment")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Object<'a> {
    type_name: Option<TypeAt>,
    members: Lying<'a>,
}

impl<'a> Object<'a> {
    /// The complex value or the context at `at`; without a member where there is something else.
    pub(super) fn of(tape: &'a Tape, at: usize) -> Self {
        let (type_name, extent) = match tape.slot(at) {
            Slot::Object(type_name, extent) => (type_name, extent),
            Slot::Context(extent) => (None, extent),
            _ => (None, Extent::default()),
        };
        Self {
            type_name,
            members: Lying::new(tape, at, extent),
        }
    }

    /// The type, where the wire or the contract names one.
    pub fn type_name(&self) -> Option<TypeName<'a>> {
        let (name, namespace) = self.members.tape.type_name(self.type_name?);
        Some(TypeName { name, namespace })
    }

    /// True where the value is of this type of Microsoft's contracts: `is("Entity")`.
    pub fn is(&self, name: &str) -> bool {
        self.type_name()
            .is_some_and(|known| known.namespace.is_none() && known.name == name)
    }

    /// The member `name`; `None` where it is absent.
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.members.get(name)
    }

    /// The text of the member `name`, where it has one; see [`Value::as_str`].
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(|value| value.as_str())
    }

    /// Every member in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.members.iter()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.count
    }

    /// True without members.
    pub fn is_empty(&self) -> bool {
        self.members.count == 0
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let type_name = self.type_name();
        let mut shown = f.debug_struct(type_name.map_or("Object", |known| known.name));
        for (name, value) in self.iter() {
            shown.field(name, &value);
        }
        shown.finish()
    }
}

impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.type_name() == other.type_name()
            && self.len() == other.len()
            && self.iter().eq(other.iter())
    }
}

/// The type of a complex value, as `__type` or `i:type` names it, or as the contract declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeName<'a> {
    /// The name without a namespace: `Entity`.
    pub name: &'a str,
    /// The namespace, where it is none of Microsoft's well-known ones.
    pub namespace: Option<&'a str>,
}
