//! What Dataverse says about one operation: the `RemoteExecutionContext` of Microsoft's contracts as
//! plain values, and what can be read from them without asking anybody.
//!
//! The [`decoder`](crate::decoder) makes a context of the body of an event. Everything here is a view into what
//! it made: copied at no cost, and gone with its [`Decoded`](crate::decoder::Decoded).
//!
//! | type | what it is |
//! |---|---|
//! | [`ExecutionContext`] | the operation: message, table, row, users, parameters, images, parent |
//! | [`Target`], [`Entity`], [`EntityReference`] | the row that it was done to: with columns, or only which one |
//! | [`ChangedColumn`] | a column with its old and its new value |
//! | [`Value`]; [`Object`], [`Bag`], [`Array`] | any value; those that hold others |
//! | [`Number`], [`DateTime`] | values that keep their digits |
//! | [`Document`], [`Note`], [`SCHEMA`] | the context as JSON for everyone downstream |
//!
//! # What was done
//!
//! ```
//! use dataverse_listener::decoder::{Hint, decode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let body = br#"{
//!     "MessageName": "Update", "PrimaryEntityName": "contact", "Stage": 40, "Depth": 2,
//!     "PrimaryEntityId": "6420f0cc-916b-ee11-9ae6-000d3a688809",
//!     "InputParameters": [{"key": "Target", "value": {
//!         "__type": "Entity:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts",
//!         "LogicalName": "contact", "Id": "6420f0cc-916b-ee11-9ae6-000d3a688809",
//!         "Attributes": [
//!             {"key": "contactid", "value": "6420f0cc-916b-ee11-9ae6-000d3a688809"},
//!             {"key": "jobtitle", "value": "Treasurer"},
//!             {"key": "telephone1", "value": null},
//!             {"key": "lastname", "value": "Lindqvist"}
//!         ]}}],
//!     "PreEntityImages": [{"key": "before", "value": {
//!         "LogicalName": "contact", "Id": "6420f0cc-916b-ee11-9ae6-000d3a688809",
//!         "Attributes": [
//!             {"key": "jobtitle", "value": "Controller"},
//!             {"key": "lastname", "value": "Lindqvist"}
//!         ]}}],
//!     "ParentContext": {"MessageName": "Merge", "PrimaryEntityName": "contact"}
//! }"#;
//! let decoded = decode(body, Hint::default())?;
//! let context = decoded.context();
//!
//! assert_eq!(context.message_name(), Some("Update"));
//! assert_eq!(context.primary_entity_name(), Some("contact"));
//! assert_eq!(context.row_id(), Some("6420f0cc-916b-ee11-9ae6-000d3a688809"));
//! assert_eq!(context.row_name(), Some("Lindqvist"));
//!
//! // What was sent: a column that was emptied is null, one that was not sent is absent.
//! let row = context.target().and_then(|target| target.entity()).ok_or("no row")?;
//! assert_eq!(row.attribute("jobtitle").and_then(|value| value.as_str()), Some("Treasurer"));
//! assert!(row.attribute("telephone1").is_some_and(|value| value.is_null()));
//! assert!(row.attribute("address1_city").is_none());
//!
//! // What was there before, as far as the step has an image of it.
//! let (name, image) = context.pre_entity_images().next().ok_or("no image")?;
//! assert_eq!(name, "before");
//! assert_eq!(image.attribute("jobtitle").and_then(|value| value.as_str()), Some("Controller"));
//!
//! // Both together: the row's own id and what is as it was are left out.
//! let changes: Vec<_> = context
//!     .changed_columns()
//!     .map(|column| (column.name, column.old.and_then(|old| old.as_str()), column.new.as_str()))
//!     .collect();
//! assert_eq!(changes, [
//!     ("jobtitle", Some("Controller"), Some("Treasurer")),
//!     ("telephone1", None, None),
//! ]);
//!
//! // What caused it.
//! let parent = context.parent_context().ok_or("no parent")?;
//! assert_eq!(parent.message_name(), Some("Merge"));
//! # Ok(())
//! # }
//! ```
//!
//! # What is guaranteed
//!
//! - **Nothing is lost.** Every member and every value is kept, known to Microsoft's contracts or not, in the order
//!   sent; the accessors read the known ones, [`Object::iter`] and [`Bag::iter`] all of them. The decoder tells by a
//!   [`Note`] what it could not keep as it was: of a repeated key the last value is kept, in the place of the first.
//! - **Digits are kept.** A decimal has the scale it was sent with, an integer of 64 bits all its digits, a date its
//!   precision and its zone. See [`Number`] and [`DateTime`].
//! - **Absent, null and empty differ.** An accessor that gives `None` says "absent, null or not of this type";
//!   [`Object::get`] and [`Bag::get`] tell absent from null.
//! - **Nothing is asked.** No runtime, no clock, no input or output, and no panic, whatever the body was.
//!
//! Two formats of one context may differ in their values, because the formats do: JSON does not say whether a
//! number is an integer or a decimal, nor that the value of a column is a guid. See [`Value`].
//!
//! Sources: `Microsoft.Xrm.Sdk.RemoteExecutionContext`, `Entity` and their neighbours; *Understand the execution
//! context* (Microsoft Learn).

mod change;
mod date;
mod document;
mod entity;
mod names;
mod number;
mod tape;
mod value;

pub use change::ChangedColumn;
pub use date::DateTime;
pub(crate) use date::is_date_time;
pub use document::{Document, Note, SCHEMA, WireFormat};
pub use entity::{Entity, EntityReference, Target};
pub(crate) use names::Names;
pub(crate) use number::is_number;
pub use number::{Number, NumberKind};
pub(crate) use tape::{Expected, Full, Name, Slot, Span, Tape, TypeAt, Writer};
pub use value::{Array, Bag, Object, TypeName, Value};

/// The context of one operation (`RemoteExecutionContext`).
///
/// It is a view into what was decoded, and so costs nothing to copy. Every accessor gives `None` where the
/// member is absent, null or not of its type. Of members without an accessor [`ExecutionContext::members`] tells.
/// [`Serialize`](serde::Serialize) writes it as the context document has it, without the `@` members that
/// [`Document`] adds. The [module](self) has an example.
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

    /// Every member with its name, in the order sent: also those that have no accessor here, and those that
    /// Microsoft adds tomorrow.
    ///
    /// # Examples
    ///
    /// ```
    /// use dataverse_listener::decoder::{Hint, decode};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let decoded = decode(br#"{"MessageName": "Create", "Weather": "fair"}"#, Hint::default())?;
    /// let members = decoded.context().members();
    /// assert_eq!(members.text("Weather"), Some("fair"));
    /// let names: Vec<&str> = members.iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["MessageName", "Weather"]);
    /// # Ok(())
    /// # }
    /// ```
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

    /// `OrganizationId`: the organization of the environment, a guid in lower case.
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

    /// `InputParameters`: what the message was called with, by the names of its request.
    pub fn input_parameters(&self) -> Option<Bag<'a>> {
        self.bag("InputParameters")
    }

    /// `OutputParameters`: what the message gave back, in stage 40; empty before it.
    pub fn output_parameters(&self) -> Option<Bag<'a>> {
        self.bag("OutputParameters")
    }

    /// `SharedVariables`: what plug-ins left for those after them.
    pub fn shared_variables(&self) -> Option<Bag<'a>> {
        self.bag("SharedVariables")
    }

    /// `PreEntityImages` by their names: the row before the operation, as far as it was registered. Names are
    /// those of the images of the step; of several in one context the order is that of the body.
    pub fn pre_entity_images(&self) -> impl Iterator<Item = (&'a str, Entity<'a>)> + use<'a> {
        self.images("PreEntityImages")
    }

    /// `PostEntityImages` by their names: the row after the operation.
    pub fn post_entity_images(&self) -> impl Iterator<Item = (&'a str, Entity<'a>)> + use<'a> {
        self.images("PostEntityImages")
    }

    /// `ParentContext`: the operation that caused this one, maybe of another table and message.
    ///
    /// # Examples
    ///
    /// The way up to what somebody called:
    ///
    /// ```
    /// use dataverse_listener::decoder::{Hint, decode};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let body = br#"{"MessageName": "Update", "ParentContext":
    ///     {"MessageName": "Assign", "ParentContext": {"MessageName": "Win", "ParentContext": null}}}"#;
    /// let decoded = decode(body, Hint::default())?;
    /// let chain = std::iter::successors(Some(decoded.context()), |context| context.parent_context());
    /// let messages: Vec<_> = chain.filter_map(|context| context.message_name()).collect();
    /// assert_eq!(messages, ["Update", "Assign", "Win"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn parent_context(&self) -> Option<Self> {
        match self.members.get("ParentContext") {
            Some(Value::Context(parent)) => Some(parent),
            _ => None,
        }
    }

    /// The input parameter `Target`: the row that the operation is about. `None` where the message has none, as
    /// `SetState` and the custom APIs, and where it has another type.
    ///
    /// # Examples
    ///
    /// ```
    /// use dataverse_listener::context::Target;
    /// use dataverse_listener::decoder::{Hint, decode};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let body = br#"{"MessageName": "Delete", "InputParameters": [{"key": "Target", "value": {
    ///     "__type": "EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts",
    ///     "Id": "6420f0cc-916b-ee11-9ae6-000d3a688809", "LogicalName": "contact"}}]}"#;
    /// let decoded = decode(body, Hint::default())?;
    /// match decoded.context().target() {
    ///     Some(Target::Entity(row)) => panic!("columns: {:?}", row.attributes()),
    ///     Some(Target::Reference(row)) => assert_eq!(row.logical_name(), Some("contact")),
    ///     None => panic!("about no single row"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
