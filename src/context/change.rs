//! What an operation did to its row: which one, what it is called, and which columns changed.

use super::{Entity, EntityReference, ExecutionContext, Target, Value, ZERO_GUID};

/// A column that an operation wrote.
#[derive(Debug, Clone, Copy)]
pub struct ChangedColumn<'a> {
    /// The logical name of the column.
    pub name: &'a str,
    /// The value before, where a pre-image holds it; null there is `Some(Value::Null)`.
    pub old: Option<Value<'a>>,
    /// The value sent.
    pub new: Value<'a>,
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
        let id = entity.and_then(|entity| entity.id());
        let attributes = entity.and_then(|entity| entity.attributes());
        attributes
            .into_iter()
            .flat_map(|bag| bag.iter())
            .filter(move |(_, new)| id.is_none() || new.as_str() != id)
            .map(move |(name, new)| ChangedColumn {
                name,
                old: context
                    .pre_entity_images()
                    .find_map(|(_, image)| image.attribute(name)),
                new,
            })
            .filter(|column| column.old.is_none_or(|old| !is_same(old, column.new)))
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

/// Whether a column holds what it held. A reference is the row it points to: images know that row's name,
/// the target does not.
fn is_same(old: Value<'_>, new: Value<'_>) -> bool {
    match (EntityReference::new(old), EntityReference::new(new)) {
        (Some(old), Some(new)) if old.id().is_some() => {
            (old.id(), old.logical_name()) == (new.id(), new.logical_name())
        }
        _ => old == new,
    }
}

fn named(row: Entity<'_>) -> Option<&str> {
    NAME_COLUMNS
        .iter()
        .find_map(|name| row.attribute(name)?.as_str())
}
