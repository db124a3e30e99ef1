//! What a message of Dataverse holds: the contract of `RemoteExecutionContext` as a sender knows it.
//!
//! Spec: the data contracts of `Microsoft.Xrm.Sdk` 9.2. Only what the story tells is modelled, and
//! nothing is shared with the decoder: two sides with one author's mistake in common would agree.

use std::borrow::Cow;
use std::fmt;

use time::OffsetDateTime;

/// A text that is mostly known when the program is built.
pub(crate) type Text = Cow<'static, str>;

/// A key/value list with values of any type: parameters, attributes, alternate keys.
pub(crate) type Bag = Vec<(&'static str, Value)>;

/// One `RemoteExecutionContext`.
///
/// Without the members that are the same in every known message: `IsExecutingOffline` and
/// `IsOfflinePlayback` are false, `IsolationMode` is 1, `SecondaryEntityName` is "none".
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) layout: Layout,
    pub(crate) business_unit_id: Guid,
    pub(crate) correlation_id: Guid,
    pub(crate) depth: u32,
    pub(crate) initiating_user_agent: Option<Text>,
    pub(crate) initiating_user_azure_id: Guid,
    pub(crate) initiating_user_id: Guid,
    pub(crate) input_parameters: Bag,
    pub(crate) is_in_transaction: bool,
    pub(crate) message_name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) operation_created_on: Date,
    pub(crate) operation_id: Guid,
    pub(crate) organization_id: Guid,
    pub(crate) organization_name: Text,
    pub(crate) output_parameters: Bag,
    pub(crate) owning_extension: EntityReference,
    pub(crate) parent_context: Option<Box<Self>>,
    pub(crate) post_entity_images: Vec<(&'static str, Entity)>,
    pub(crate) pre_entity_images: Vec<(&'static str, Entity)>,
    pub(crate) primary_entity_id: Guid,
    pub(crate) primary_entity_name: &'static str,
    pub(crate) request_id: Guid,
    pub(crate) shared_variables: Bag,
    pub(crate) stage: Stage,
    pub(crate) user_azure_id: Guid,
    pub(crate) user_id: Guid,
}

impl Context {
    /// The user agent, where the contract has a member for it.
    pub(crate) fn told_user_agent(&self) -> Option<&str> {
        self.initiating_user_agent
            .as_deref()
            .filter(|_| self.layout >= Layout::Current)
    }
}

/// Which members the contract of a release has: it grew twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layout {
    /// Up to 8.2.
    BeforeAzureIds,
    /// 9.0 and 9.1: with the two Azure Active Directory object ids.
    BeforeUserAgent,
    /// 9.2 as it is online today: with `InitiatingUserAgent`.
    Current,
}

/// How the step runs: with the operation, or in a system job after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Synchronous = 0,
    Asynchronous = 1,
}

/// Where in the pipeline a context was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    MainOperation = 30,
    PostOperation = 40,
}

/// A row or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entity {
    pub(crate) attributes: Bag,
    pub(crate) entity_state: Option<EntityState>,
    pub(crate) formatted_values: Vec<(&'static str, Option<Text>)>,
    pub(crate) id: Guid,
    pub(crate) key_attributes: Bag,
    pub(crate) logical_name: &'static str,
    pub(crate) related_entities: Vec<(Relationship, EntityCollection)>,
    pub(crate) row_version: Option<Text>,
}

impl Entity {
    pub(crate) fn new(logical_name: &'static str, id: Guid, attributes: Bag) -> Self {
        Self {
            attributes,
            entity_state: None,
            formatted_values: Vec::new(),
            id,
            key_attributes: Vec::new(),
            logical_name,
            related_entities: Vec::new(),
            row_version: None,
        }
    }
}

/// What a client that tracks changes says of a row it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntityState {
    Created = 1,
    Changed = 2,
}

/// A lookup.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EntityReference {
    pub(crate) id: Guid,
    pub(crate) key_attributes: Bag,
    pub(crate) logical_name: &'static str,
    pub(crate) name: Option<Text>,
    pub(crate) row_version: Option<Text>,
}

impl EntityReference {
    pub(crate) fn new(logical_name: &'static str, id: Guid) -> Self {
        Self {
            id,
            key_attributes: Vec::new(),
            logical_name,
            name: None,
            row_version: None,
        }
    }

    pub(crate) fn named(mut self, name: impl Into<Text>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// Several rows of one table. Paging members have their defaults.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EntityCollection {
    pub(crate) entities: Vec<Entity>,
    /// `None` where the caller left it out.
    pub(crate) entity_name: Option<&'static str>,
}

/// A relationship, seen from one of its ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Relationship {
    pub(crate) primary_entity_role: Option<EntityRole>,
    pub(crate) schema_name: &'static str,
}

/// The end of a one-to-many or self-referential relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntityRole {
    Referencing = 0,
    Referenced = 1,
}

/// What may stand where the contract says `object`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(Text),
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Decimal(Decimal),
    Guid(Guid),
    Date(Date),
    Money(Decimal),
    /// `OptionSetValue`.
    Choice(i32),
    /// `OptionSetValueCollection`.
    Choices(Vec<i32>),
    EntityReference(EntityReference),
    EntityReferenceCollection(Vec<EntityReference>),
    Entity(Box<Entity>),
    EntityCollection(EntityCollection),
    Relationship(Relationship),
    /// `Entity[]`, a form in which party lists occur.
    Entities(Vec<Entity>),
    /// `string[]`.
    Texts(Vec<Text>),
    /// `Guid[]`.
    Guids(Vec<Guid>),
    /// A list of `KeyValuePair<string, string>`.
    Pairs(Vec<(&'static str, &'static str)>),
}

/// A guid, shown in the form "D": lower case, with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Guid(pub(crate) u128);

impl Guid {
    pub(crate) const ZERO: Self = Self(0);
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            bits >> 80 & 0xffff,
            bits >> 64 & 0xffff,
            bits >> 48 & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

/// `System.Decimal`: its digits and how many of them follow the point, which are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) digits: i64,
    pub(crate) scale: u8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let width = usize::from(self.scale) + 1;
        let digits = format!("{:0width$}", self.digits.unsigned_abs());
        match digits.split_at(digits.len() - usize::from(self.scale)) {
            (whole, "") => write!(f, "{sign}{whole}"),
            (whole, fraction) => write!(f, "{sign}{whole}.{fraction}"),
        }
    }
}

/// `System.DateTime` with its kind, which the two formats write differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Date {
    Utc(OffsetDateTime),
    /// UTC that the server does not know to be UTC: `OperationCreatedOn` as the job queue holds it.
    Unspecified(OffsetDateTime),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_keeps_its_scale() {
        let check = |digits, scale, expected: &str| {
            assert_eq!(Decimal { digits, scale }.to_string(), expected);
        };
        check(100, 0, "100");
        check(10_000_000_000, 10, "1.0000000000");
        check(5, 2, "0.05");
        check(-1250, 2, "-12.50");
        check(0, 1, "0.0");
    }

    #[test]
    fn a_guid_keeps_its_leading_zeros() {
        assert_eq!(
            Guid(0x7).to_string(),
            "00000000-0000-0000-0000-000000000007"
        );
        assert_eq!(
            Guid(0x0420_f0cc_016b_0e11_9ae6_000d_3a68_8809).to_string(),
            "0420f0cc-016b-0e11-9ae6-000d3a688809"
        );
    }
}
