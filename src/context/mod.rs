//! What Dataverse says about one operation: the `RemoteExecutionContext` of Microsoft's contracts as
//! plain values, and what can be read from them without asking anybody.
//!
//! The model keeps every member in the order sent, known or not, so that nothing that Microsoft adds
//! is lost; the accessors read the known ones. Source: `Microsoft.Xrm.Sdk.RemoteExecutionContext`.

mod change;
mod document;
mod entity;
mod memory;
mod value;

pub use change::ChangedColumn;
pub use document::{Document, Note, SCHEMA, WireFormat};
pub use entity::{Entity, EntityReference, Target};
pub use value::{Bag, DateTime, Name, Number, NumberKind, Object, TypeName, Value};

/// The context of one operation (`RemoteExecutionContext`).
///
/// Every accessor gives `None` where the member is absent, null or not of its type.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionContext {
    members: Object,
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

impl ExecutionContext {
    /// Takes the members of a `RemoteExecutionContext`.
    pub fn new(members: Object) -> Self {
        Self { members }
    }

    /// Every member with its name, in the order sent.
    pub fn members(&self) -> &Object {
        &self.members
    }

    /// `MessageName`: `Create`, `Update`, the name of a custom API, ...
    pub fn message_name(&self) -> Option<&str> {
        self.members.text("MessageName")
    }

    /// `PrimaryEntityName`: the logical name of the table, or `none`.
    pub fn primary_entity_name(&self) -> Option<&str> {
        self.members.text("PrimaryEntityName")
    }

    /// `PrimaryEntityId` as sent: zero for messages about no row or about several.
    /// See [`ExecutionContext::row_id`].
    pub fn primary_entity_id(&self) -> Option<&str> {
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
    pub fn organization_id(&self) -> Option<&str> {
        self.members.text("OrganizationId")
    }

    /// `OrganizationName`: the unique name, not the host.
    pub fn organization_name(&self) -> Option<&str> {
        self.members.text("OrganizationName")
    }

    /// `UserId`: the system user as whom the step runs.
    pub fn user_id(&self) -> Option<&str> {
        self.members.text("UserId")
    }

    /// `InitiatingUserId`: the system user who called.
    pub fn initiating_user_id(&self) -> Option<&str> {
        self.members.text("InitiatingUserId")
    }

    /// `CorrelationId`: shared by a whole chain of operations, so not unique.
    pub fn correlation_id(&self) -> Option<&str> {
        self.members.text("CorrelationId")
    }

    /// `OperationId`: of an asynchronous step the id of its system job.
    pub fn operation_id(&self) -> Option<&str> {
        self.members.text("OperationId")
    }

    /// `OperationCreatedOn` in UTC.
    pub fn operation_created_on(&self) -> Option<&DateTime> {
        self.members
            .get("OperationCreatedOn")
            .and_then(Value::as_date_time)
    }

    /// `InputParameters`.
    pub fn input_parameters(&self) -> Option<&Bag> {
        self.bag("InputParameters")
    }

    /// `OutputParameters`.
    pub fn output_parameters(&self) -> Option<&Bag> {
        self.bag("OutputParameters")
    }

    /// `SharedVariables`.
    pub fn shared_variables(&self) -> Option<&Bag> {
        self.bag("SharedVariables")
    }

    /// `PreEntityImages` by their names: the row before the operation, as far as it was registered.
    pub fn pre_entity_images(&self) -> impl Iterator<Item = (&str, Entity<'_>)> {
        self.images("PreEntityImages")
    }

    /// `PostEntityImages` by their names: the row after the operation.
    pub fn post_entity_images(&self) -> impl Iterator<Item = (&str, Entity<'_>)> {
        self.images("PostEntityImages")
    }

    /// `ParentContext`: the operation that caused this one, maybe of another table and message.
    pub fn parent_context(&self) -> Option<&Self> {
        match self.members.get("ParentContext") {
            Some(Value::Context(parent)) => Some(parent),
            _ => None,
        }
    }

    /// The input parameter `Target`.
    pub fn target(&self) -> Option<Target<'_>> {
        self.input_parameters()?.get("Target").and_then(Target::new)
    }

    /// The rows of the input parameter `Targets` (`CreateMultiple`, `UpdateMultiple`, `DeleteMultiple`, ...).
    pub fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        let targets = self.input_parameters().and_then(|bag| bag.get("Targets"));
        let rows = targets.and_then(|rows| match rows {
            Value::Object(collection) => collection.get("Entities").and_then(Value::as_array),
            rows => rows.as_array(),
        });
        rows.unwrap_or_default().iter().filter_map(Target::new)
    }

    /// True where the collections that Dataverse empties to save space are empty although the message
    /// cannot do without input parameters. The message property `MessageMaxSizeExceeded` says the same
    /// more surely, where it was set.
    pub fn is_truncated(&self) -> bool {
        let is_empty = |name| self.bag(name).is_none_or(Bag::is_empty);
        self.message_name()
            .is_some_and(|name| NEEDS_INPUT.contains(&name))
            && self.parent_context().is_none()
            && ["InputParameters", "PreEntityImages", "PostEntityImages"]
                .into_iter()
                .all(is_empty)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.members.get(name).and_then(Value::as_i64)
    }

    fn bag(&self, name: &str) -> Option<&Bag> {
        self.members.get(name).and_then(Value::as_bag)
    }

    fn images(&self, name: &str) -> impl Iterator<Item = (&str, Entity<'_>)> {
        self.bag(name)
            .into_iter()
            .flat_map(Bag::iter)
            .filter_map(|(name, image)| Some((name, Entity::new(image)?)))
    }
}
