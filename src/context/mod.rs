//! What Dataverse says about one operation: the `RemoteExecutionContext` of Microsoft's contracts as
//! plain values, and what can be read from them without asking anybody.
//!
//! The model keeps every member in the order sent, known or not, so that nothing that Microsoft adds
//! is lost; the accessors read the known ones. Source: `Microsoft.Xrm.Sdk.RemoteExecutionContext`.

mod change;
mod date;
mod document;
mod entity;
mod number;
mod tape;
mod value;

pub use change::ChangedColumn;
pub use date::DateTime;
pub(crate) use date::is_date_time;
pub use document::{Document, Note, SCHEMA, WireFormat};
pub use entity::{Entity, EntityReference, Target};
pub(crate) use number::is_number;
pub use number::{Number, NumberKind};
pub(crate) use tape::{Full, Name, Names, Slot, Span, Tape, TypeAt, Writer};
pub use value::{Array, Bag, Object, TypeName, Value};

/// The context of one operation (`RemoteExecutionContext`).
///
/// It is a view into what was decoded, and so costs nothing to copy. Every accessor gives `None` where the
/// member is absent, null or not of its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExecutionContext<'a> {
    members: Object<'a>,
}

/// The guid that stands for "no row".
pub(crate) const ZERO_GUID: &str = "00000000-0000-0000-0000-000000000000";

/// Messages that cannot come without input parameters: an empty collection means it was cut.
const NEEDS_INPUT: &[&str] = &[
    "Assign",
    "Associate",
    "Create",
    "CreateMultiple",
    "Delete",
    "DeleteMultiple",
    "Disassociate",
    "GrantAccess",
    "Merge",
    "ModifyAccess",
    "OnExternalCreated",
    "OnExternalDeleted",
    "OnExternalUpdated",
    "Retrieve",
    "RetrieveMultiple",
    "RevokeAccess",
    "SetState",
    "SetStateDynamicEntity",
    "Update",
    "UpdateMultiple",
    "Upsert",
    "UpsertMultiple",
];

impl<'a> ExecutionContext<'a> {
    fn new(members: Object<'a>) -> Self {
        Self { members }
    }

    /// The context that a tape holds; without a member where it holds something else.
    pub(crate) fn of(tape: &'a Tape) -> Self {
        Self::new(Object::of(tape, Tape::ROOT))
    }

    /// Every member with its name, in the order sent.
    pub fn members(&self) -> Object<'a> {
        self.members
    }

    /// `MessageName`: `Create`, `Update`, the name of a custom API, ...
    pub fn message_name(&self) -> Option<&'a str> {
        self.members.text("MessageName")
    }

    /// `PrimaryEntityName`: the logical name of the table, or `none`.
    pub fn primary_entity_name(&self) -> Option<&'a str> {
        self.members.text("PrimaryEntityName")
    }

    /// `PrimaryEntityId` as sent: zero for messages about no row or about several.
    /// See [`ExecutionContext::row_id`].
    pub fn primary_entity_id(&self) -> Option<&'a str> {
        self.members.text("PrimaryEntityId")
    }

    /// `Stage`: 10 pre-validation, 20 pre-operation, 30 main operation, 40 post-operation.
    pub fn stage(&self) -> Option<i64> {
        self.integer("Stage")
    }

    /// `Mode`: 0 synchronous, 1 asynchronous.
    pub fn mode(&self) -> Option<i64> {
        self.integer("Mode")
    }

    /// `Depth`: 1 for a direct call, one more for each operation in between.
    pub fn depth(&self) -> Option<i64> {
        self.integer("Depth")
    }

    /// `OrganizationId`.
    pub fn organization_id(&self) -> Option<&'a str> {
        self.members.text("OrganizationId")
    }

    /// `OrganizationName`: the unique name, not the host.
    pub fn organization_name(&self) -> Option<&'a str> {
        self.members.text("OrganizationName")
    }

    /// `UserId`: the system user as whom the step runs.
    pub fn user_id(&self) -> Option<&'a str> {
        self.members.text("UserId")
    }

    /// `InitiatingUserId`: the system user who called.
    pub fn initiating_user_id(&self) -> Option<&'a str> {
        self.members.text("InitiatingUserId")
    }

    /// `CorrelationId`: shared by a whole chain of operations, so not unique.
    pub fn correlation_id(&self) -> Option<&'a str> {
        self.members.text("CorrelationId")
    }

    /// `OperationId`: of an asynchronous step the id of its system job.
    pub fn operation_id(&self) -> Option<&'a str> {
        self.members.text("OperationId")
    }

    /// `OperationCreatedOn` in UTC.
    pub fn operation_created_on(&self) -> Option<DateTime<'a>> {
        self.members
            .get("OperationCreatedOn")
            .and_then(|value| value.as_date_time())
    }

    /// `InputParameters`.
    pub fn input_parameters(&self) -> Option<Bag<'a>> {
        self.bag("InputParameters")
    }

    /// `OutputParameters`.
    pub fn output_parameters(&self) -> Option<Bag<'a>> {
        self.bag("OutputParameters")
    }

    /// `SharedVariables`.
    pub fn shared_variables(&self) -> Option<Bag<'a>> {
        self.bag("SharedVariables")
    }

    /// `PreEntityImages` by their names: the row before the operation, as far as it was registered.
    pub fn pre_entity_images(&self) -> impl Iterator<Item = (&'a str, Entity<'a>)> + use<'a> {
        self.images("PreEntityImages")
    }

    /// `PostEntityImages` by their names: the row after the operation.
    pub fn post_entity_images(&self) -> impl Iterator<Item = (&'a str, Entity<'a>)> + use<'a> {
        self.images("PostEntityImages")
    }

    /// `ParentContext`: the operation that caused this one, maybe of another table and message.
    pub fn parent_context(&self) -> Option<Self> {
        match self.members.get("ParentContext") {
            Some(Value::Context(parent)) => Some(parent),
            _ => None,
        }
    }

    /// The input parameter `Target`.
    pub fn target(&self) -> Option<Target<'a>> {
        self.input_parameters()?.get("Target").and_then(Target::new)
    }

    /// The rows of the input parameter `Targets` (`CreateMultiple`, `UpdateMultiple`, `DeleteMultiple`, ...).
    pub fn targets(&self) -> impl Iterator<Item = Target<'a>> + use<'a> {
        let targets = self.input_parameters().and_then(|bag| bag.get("Targets"));
        let rows = targets.and_then(|rows| match rows {
            Value::Object(collection) => collection.get("Entities")?.as_array(),
            rows => rows.as_array(),
        });
        let rows = rows.into_iter().flat_map(|rows| rows.iter());
        rows.filter_map(Target::new)
    }

    /// True where the collections that Dataverse empties to save space are empty although the message
    /// cannot do without input parameters. The message property `MessageMaxSizeExceeded` says the same
    /// more surely, where it was set.
    pub fn is_truncated(&self) -> bool {
        let is_empty = |name| self.bag(name).is_none_or(|bag| bag.is_empty());
        self.message_name()
            .is_some_and(|name| NEEDS_INPUT.contains(&name))
            && self.parent_context().is_none()
            && ["InputParameters", "PreEntityImages", "PostEntityImages"]
                .into_iter()
                .all(is_empty)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.members.get(name)?.as_i64()
    }

    fn bag(&self, name: &str) -> Option<Bag<'a>> {
        self.members.get(name)?.as_bag()
    }

    fn images(&self, name: &str) -> impl Iterator<Item = (&'a str, Entity<'a>)> + use<'a> {
        self.bag(name)
            .into_iter()
            .flat_map(|images| images.iter())
            .filter_map(|(name, image)| Some((name, Entity::new(image)?)))
    }
}
