//! What an operation did to its row: which one, what it is called, and which columns changed.

use std::collections::{HashMap, HashSet};

use super::{Entity, EntityReference, ExecutionContext, Target, Value, ZERO_GUID};

/// A column that an operation wrote.
///
/// # Examples
///
/// ```
/// use dataverse_listener::decoder::{Hint, decode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let body = br#"{"MessageName": "Update",
///     "InputParameters": [{"key": "Target", "value": {
///         "__type": "Entity:http://schemas.microsoft.com/xrm/2011/Contracts",
///         "Attributes": [{"key": "creditlimit", "value": 5000.00}, {"key": "fax", "value": "1"}]}}],
///     "PreEntityImages": [{"key": "before", "value": {
///         "Attributes": [{"key": "creditlimit", "value": null}, {"key": "fax", "value": "1"}]}}],
///     "PostEntityImages": [{"key": "after", "value": {
///         "Attributes": [{"key": "creditlimit", "value": 4000.00}]}}]
/// }"#;
/// let decoded = decode(body, Hint::default())?;
/// let changes: Vec<_> = decoded.context().changed_columns().collect();
/// let [limit] = changes[..] else { panic!("{changes:?}") };
/// assert_eq!(limit.name, "creditlimit");
/// assert!(limit.old.is_some_and(|old| old.is_null()));
/// let digits = |value: Option<dataverse_listener::context::Value<'_>>| {
///     value.and_then(|value| value.as_number()).map(|number| number.as_str().to_owned())
/// };
/// assert_eq!(digits(Some(limit.new)).as_deref(), Some("5000.00"));
/// // A plug-in cut what was sent.
/// assert_eq!(digits(limit.stored).as_deref(), Some("4000.00"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ChangedColumn<'a> {
    /// The logical name of the column.
    pub name: &'a str,
    /// The value before, where a pre-image holds it; null there is `Some(Value::Null)`.
    pub old: Option<Value<'a>>,
    /// The value sent.
    pub new: Value<'a>,
    /// The value after, where a post-image holds it: plug-ins may have changed what was sent.
    pub stored: Option<Value<'a>>,
}

impl ChangedColumn<'_> {
    /// False where a pre-image shows that the column held this value already.
    pub fn is_changed(&self) -> bool {
        self.old.is_none_or(|old| !old.is_same(&self.new))
    }
}

/// Columns that hold a row's name in the standard tables, the likelier ones first.
const NAME_COLUMNS: &[&str] = &["name", "fullname", "subject", "title", "lastname"];

/// The image that Dataverse adds to asynchronous steps: the row's id and its primary name.
const PRIMARY_NAME_IMAGE: &str = "AsynchronousStepPrimaryName";

impl<'a> ExecutionContext<'a> {
    /// The row's id: `PrimaryEntityId`, else the target's, else the output parameter `id`.
    pub fn row_id(&self) -> Option<&'a str> {
        self.primary_entity_id()
            .filter(|id| *id != ZERO_GUID)
            .or_else(|| self.target().and_then(|target| target.id()))
            .or_else(|| self.output_parameters()?.get("id")?.as_str())
    }

    /// The row's name: from the image that Dataverse adds for it, else from the usual columns of the
    /// target and the images, else from the reference.
    pub fn row_name(&self) -> Option<&'a str> {
        self.primary_name()
            .or_else(|| self.rows().find_map(named))
            .or_else(|| match self.target()? {
                Target::Reference(reference) => reference.name(),
                Target::Entity(_) => None,
            })
            .filter(|name| !name.is_empty())
    }

    /// The columns that the target writes, in the order sent. Left out are the row's own id and what a
    /// pre-image shows to be unchanged.
    pub fn changed_columns(&self) -> impl Iterator<Item = ChangedColumn<'a>> + use<'a> {
        let context = *self;
        let entity = self.target().and_then(|target| target.entity());
        entity
            .into_iter()
            .flat_map(move |entity| context.sent_columns(entity))
            .filter(ChangedColumn::is_changed)
    }

    /// The columns that a row of this context writes, the changed and the others, its own id left out: of
    /// the target, or of one of several [`ExecutionContext::targets`].
    pub fn sent_columns(
        &self,
        row: Entity<'a>,
    ) -> impl Iterator<Item = ChangedColumn<'a>> + use<'a> {
        let id = row.id();
        let before = Held::new(self.pre_images_of(row));
        let after = Held::new(self.post_images_of(row));
        row.attributes()
            .into_iter()
            .flat_map(|columns| columns.iter())
            .filter(move |(_, new)| id.is_none() || new.as_str() != id)
            .map(move |(name, new)| ChangedColumn {
                name,
                old: before.get(name),
                new,
                stored: after.get(name),
            })
    }

    /// The columns of a row that were not sent and yet are other than they were, as far as a pre-image and
    /// a post-image hold both values: plug-ins, formulas and the platform itself write columns too.
    pub fn other_changes(
        &self,
        row: Entity<'a>,
    ) -> impl Iterator<Item = ChangedColumn<'a>> + use<'a> {
        let sent = Held::new(std::iter::once(row));
        let before = Held::new(self.pre_images_of(row));
        let mut seen = HashSet::new();
        self.post_images_of(row)
            .filter_map(|image| image.attributes())
            .flat_map(|columns| columns.iter())
            // Of several images that hold a column, the first one counts.
            .filter(move |(name, _)| seen.insert(*name) && sent.get(name).is_none())
            .filter_map(move |(name, new)| {
                Some(ChangedColumn {
                    name,
                    old: Some(before.get(name)?),
                    new,
                    stored: Some(new),
                })
            })
            .filter(ChangedColumn::is_changed)
    }

    /// The pre-images of a row that this context writes: all of them where it writes one, and those with
    /// the row's id where it writes several.
    pub fn pre_images_of(&self, row: Entity<'a>) -> impl Iterator<Item = Entity<'a>> + use<'a> {
        of_row(self.pre_entity_images(), self.target().is_some(), row)
    }

    /// The post-images of a row, likewise.
    pub fn post_images_of(&self, row: Entity<'a>) -> impl Iterator<Item = Entity<'a>> + use<'a> {
        of_row(self.post_entity_images(), self.target().is_some(), row)
    }

    fn primary_name(&self) -> Option<&'a str> {
        let (_, image) = self
            .post_entity_images()
            .find(|(name, _)| *name == PRIMARY_NAME_IMAGE)?;
        let id = image.id().or_else(|| self.row_id());
        image
            .attributes()?
            .iter()
            .find_map(|(_, value)| match value {
                Value::String(text) if Some(text) != id => Some(text),
                _ => None,
            })
    }

    fn rows(&self) -> impl Iterator<Item = Entity<'a>> + use<'a> {
        let target = self.target().and_then(|target| target.entity());
        let images = self.post_entity_images().chain(self.pre_entity_images());
        target.into_iter().chain(images.map(|(_, image)| image))
    }
}

impl Value<'_> {
    /// Whether a column that held this holds the other now. A reference is the row it points to: images
    /// know that row's name, the target does not. A number is its value and a date its instant: the database gives
    /// amounts other scales than they were sent with.
    pub fn is_same(&self, new: &Value<'_>) -> bool {
        let are_same = |(old, new): (Value<'_>, Value<'_>)| old.is_same(&new);
        match (self, new) {
            (Self::Number(old), Value::Number(new)) => old.is_same(new),
            (Self::DateTime(old), Value::DateTime(new)) => match (old.instant(), new.instant()) {
                (Some(old), Some(new)) => old == new,
                _ => old.as_str() == new.as_str(),
            },
            (Self::Array(old), Value::Array(new)) => {
                old.len() == new.len() && old.iter().zip(new.iter()).all(are_same)
            }
            (Self::Bag(old), Value::Bag(new)) => {
                old.len() == new.len() && are_named_alike(old.iter(), new.iter())
            }
            (Self::Object(old), Value::Object(new)) => {
                match (
                    EntityReference::new(*self),
                    EntityReference::new(Value::Object(*new)),
                ) {
                    (Some(old), Some(new)) if old.id().is_some() => {
                        (old.id(), old.logical_name()) == (new.id(), new.logical_name())
                    }
                    _ => {
                        old.type_name() == new.type_name()
                            && old.len() == new.len()
                            && are_named_alike(old.iter(), new.iter())
                    }
                }
            }
            _ => *self == *new,
        }
    }
}

/// Whether the same names have the same values, in one order, of as many.
fn are_named_alike<'a>(
    old: impl Iterator<Item = (&'a str, Value<'a>)>,
    new: impl Iterator<Item = (&'a str, Value<'a>)>,
) -> bool {
    old.zip(new)
        .all(|((name, old), (other, new))| name == other && old.is_same(&new))
}

fn of_row<'a, I: Iterator<Item = (&'a str, Entity<'a>)>>(
    images: I,
    is_only: bool,
    row: Entity<'a>,
) -> impl Iterator<Item = Entity<'a>> + use<'a, I> {
    let id = row.id();
    images
        .map(|(_, image)| image)
        .filter(move |image| is_only || (id.is_some() && image.id() == id))
}

/// The columns that images hold, by their names: a body may have a hundred thousand of them.
struct Held<'a>(HashMap<&'a str, Value<'a>>);

impl<'a> Held<'a> {
    fn new(images: impl Iterator<Item = Entity<'a>>) -> Self {
        let mut columns = HashMap::new();
        for image in images {
            for (name, value) in image.attributes().iter().flat_map(|columns| columns.iter()) {
                // The first image that has it counts.
                columns.entry(name).or_insert(value);
            }
        }
        Self(columns)
    }

    fn get(&self, name: &str) -> Option<Value<'a>> {
        self.0.get(name).copied()
    }
}

fn named(row: Entity<'_>) -> Option<&str> {
    NAME_COLUMNS
        .iter()
        .find_map(|name| row.attribute(name)?.as_str())
}
