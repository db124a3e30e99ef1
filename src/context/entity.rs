//! Rows and references to rows, read from the values that carry them.
//!
//! Source: `Microsoft.Xrm.Sdk.Entity` and `Microsoft.Xrm.Sdk.EntityReference`.

use super::{Bag, Object, Value, ZERO_GUID};

/// What an operation was done to: the input parameter `Target`.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A row with the columns sent (`Create`, `Update`).
    Entity(Entity<'a>),
    /// Only which row it is (`Delete`, `Assign`, `Associate`).
    Reference(EntityReference<'a>),
}

impl<'a> Target<'a> {
    pub(super) fn new(value: Value<'a>) -> Option<Self> {
        Entity::new(value)
            .map(Self::Entity)
            .or_else(|| EntityReference::new(value).map(Self::Reference))
    }

    /// The id of the row; `None` where it is zero, as it is when alternate keys name the row.
    pub fn id(&self) -> Option<&'a str> {
        match self {
            Self::Entity(entity) => entity.id(),
            Self::Reference(reference) => reference.id(),
        }
    }

    /// The logical name of the row's table.
    pub fn logical_name(&self) -> Option<&'a str> {
        match self {
            Self::Entity(entity) => entity.logical_name(),
            Self::Reference(reference) => reference.logical_name(),
        }
    }

    /// The row with its columns, where they were sent.
    pub fn entity(&self) -> Option<Entity<'a>> {
        match self {
            Self::Entity(entity) => Some(*entity),
            Self::Reference(_) => None,
        }
    }
}

/// A row: which one, and some of its columns.
///
/// Source: *Entity Class* of `Microsoft.Xrm.Sdk` (Microsoft Learn).
///
/// # Examples
///
/// Images, targets and the rows among the parameters are all such:
///
/// ```
/// use dataverse_listener::context::{Entity, EntityReference};
/// use dataverse_listener::decoder::{Hint, decode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let body = br#"{"MessageName": "Merge", "InputParameters": [
///     {"key": "Target", "value": {
///         "__type": "EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts",
///         "Id": "6420f0cc-916b-ee11-9ae6-000d3a688809", "LogicalName": "account", "Name": "Fabrikam"}},
///     {"key": "UpdateContent", "value": {
///         "__type": "Entity:http://schemas.microsoft.com/xrm/2011/Contracts",
///         "Id": "00000000-0000-0000-0000-000000000000", "LogicalName": "account",
///         "Attributes": [{"key": "fax", "value": "+358 9 1"}]}}
/// ]}"#;
/// let decoded = decode(body, Hint::default())?;
/// let parameters = decoded.context().input_parameters().ok_or("no parameters")?;
///
/// let content = parameters.get("UpdateContent").and_then(Entity::new).ok_or("no row")?;
/// assert_eq!(content.logical_name(), Some("account"));
/// assert_eq!(content.id(), None, "the id of no row");
/// assert_eq!(content.attribute("fax").and_then(|value| value.as_str()), Some("+358 9 1"));
///
/// let kept = parameters.get("Target").and_then(EntityReference::new).ok_or("no reference")?;
/// assert_eq!(kept.name(), Some("Fabrikam"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Entity<'a>(Object<'a>);

impl<'a> Entity<'a> {
    /// Reads a value as a row; `None` where it is something else.
    pub fn new(value: Value<'a>) -> Option<Self> {
        value
            .as_object()
            .filter(|object| object.is("Entity"))
            .map(Self)
    }

    /// `Id`, a guid in lower case; `None` where it is zero, as it is before a row is created.
    pub fn id(&self) -> Option<&'a str> {
        non_zero(self.0)
    }

    /// `LogicalName`: the table.
    pub fn logical_name(&self) -> Option<&'a str> {
        self.0.text("LogicalName")
    }

    /// `Attributes`: the columns that were sent. A column that was emptied is there as null.
    pub fn attributes(&self) -> Option<Bag<'a>> {
        self.0.get("Attributes").and_then(|value| value.as_bag())
    }

    /// One column, by its logical name; `None` where it was not sent.
    pub fn attribute(&self, name: &str) -> Option<Value<'a>> {
        self.attributes()?.get(name)
    }

    /// `FormattedValues`: columns as a user sees them, where Dataverse filled them in: labels of choices, amounts
    /// and dates in the user's language.
    pub fn formatted_values(&self) -> Option<Bag<'a>> {
        self.0
            .get("FormattedValues")
            .and_then(|value| value.as_bag())
    }

    /// `KeyAttributes`: the alternate key that names the row.
    pub fn key_attributes(&self) -> Option<Bag<'a>> {
        self.0.get("KeyAttributes").and_then(|value| value.as_bag())
    }
}

/// A reference to a row. [`Entity`] has an example.
///
/// Source: *EntityReference Class* of `Microsoft.Xrm.Sdk` (Microsoft Learn).
#[derive(Debug, Clone, Copy)]
pub struct EntityReference<'a>(Object<'a>);

impl<'a> EntityReference<'a> {
    /// Reads a value as a reference; `None` where it is something else.
    pub fn new(value: Value<'a>) -> Option<Self> {
        value
            .as_object()
            .filter(|object| object.is("EntityReference"))
            .map(Self)
    }

    /// `Id`; `None` where it is zero.
    pub fn id(&self) -> Option<&'a str> {
        non_zero(self.0)
    }

    /// `LogicalName`: the table.
    pub fn logical_name(&self) -> Option<&'a str> {
        self.0.text("LogicalName")
    }

    /// `Name`: the row's primary name, where Dataverse filled it in.
    pub fn name(&self) -> Option<&'a str> {
        self.0.text("Name")
    }
}

fn non_zero(row: Object<'_>) -> Option<&str> {
    row.text("Id").filter(|id| *id != ZERO_GUID)
}
