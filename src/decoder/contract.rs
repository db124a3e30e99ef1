//! What Microsoft's contracts declare: which member of which type holds what. Both formats leave out
//! types where the contract knows them, so both readers ask here.
//!
//! Source: the data contracts of `Microsoft.Xrm.Sdk` 9.2 (RemoteExecutionContext, Entity,
//! EntityReference, QueryExpression, ...) and the primitives of `DataContractSerializer`.

use crate::context::NumberKind::{self, Decimal, Double, Float, Integer};

use Shape::{
    Any, Bag, Bool, Bytes, Char, Complex, Created, DateTime, Enum, Guid, List, Number, Text,
};

/// What a place in a body holds by its declared type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Declared as `object`: the value itself says what it is.
    Any,
    Text,
    Guid,
    Bool,
    Number(NumberKind),
    DateTime,
    /// `OperationCreatedOn`: always in UTC, see [`super::date`].
    Created,
    Bytes,
    /// A character: XML writes its code.
    Char,
    /// An enum with its members in the order of their numbers: XML writes names, JSON numbers.
    Enum(&'static [&'static str]),
    /// Key/value pairs with text keys and values of one shape.
    Bag(&'static Self),
    /// Items of one shape.
    List(&'static Self),
    /// A type with members.
    Complex(&'static Contract),
}

/// A type of the contracts and its members. Without a name it is one that documents do not show.
#[derive(Debug)]
pub(super) struct Contract {
    pub(super) name: &'static str,
    members: &'static [(&'static str, Shape)],
}

impl Contract {
    /// The declared member `name`, with `next` telling where the search begins: members come in the
    /// contract's order nearly always.
    pub(super) fn member(&self, name: &str, next: &mut usize) -> Option<(&'static str, Shape)> {
        let (before, after) = self.members.split_at((*next).min(self.members.len()));
        let place = after
            .iter()
            .chain(before)
            .position(|(known, _)| *known == name)?;
        let place = (before.len() + place) % self.members.len();
        *next = place + 1;
        Some(self.members[place])
    }
}

/// The namespace of the root element and of most types.
pub(super) const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
/// The namespace of arrays of primitives and of their items.
pub(super) const ARRAYS: &str = "http://schemas.microsoft.com/2003/10/Serialization/Arrays";
/// The namespace of `nil` and `type`.
pub(super) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// What `#` stands for at the start of a namespace in a JSON type hint.
pub(super) const CLR: &str = "http://schemas.datacontract.org/2004/07/";

const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
/// The namespace of guids, durations and references.
pub(super) const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";

/// True for namespaces that say no more than "one of Microsoft's contracts", so that the name alone
/// tells the type.
pub(super) fn is_well_known(namespace: &str) -> bool {
    namespace.is_empty()
        || namespace == SCHEMA
        || namespace.starts_with("http://schemas.microsoft.com/xrm/")
        || namespace.starts_with("http://schemas.microsoft.com/crm/")
        || namespace.starts_with(SERIALIZATION)
        || namespace
            .strip_prefix(CLR)
            .is_some_and(|clr| matches!(clr, "System" | "System.Collections.Generic"))
}

/// The shape of a type that a body names; `None` for types that are not in the table.
pub(super) fn known(name: &str, namespace: &str) -> Option<Shape> {
    match namespace {
        SCHEMA | SERIALIZATION | ARRAYS => primitive(name),
        _ if is_well_known(namespace) => TYPES
            .iter()
            .find_map(|(known, shape)| (*known == name).then_some(*shape)),
        _ => None,
    }
}

fn primitive(name: &str) -> Option<Shape> {
    Some(match name {
        "string" | "anyURI" | "QName" | "duration" => Text,
        "boolean" => Bool,
        "int" | "long" | "short" | "byte" | "unsignedByte" | "unsignedShort" | "unsignedInt"
        | "unsignedLong" => Number(Integer),
        "decimal" => Number(Decimal),
        "double" => Number(Double),
        "float" => Number(Float),
        "dateTime" => DateTime,
        "base64Binary" => Bytes,
        "guid" => Guid,
        "char" => Char,
        "anyType" => Any,
        _ => return None,
    })
}

static TYPES: &[(&str, Shape)] = &[
    ("AliasedValue", Complex(&ALIASED_VALUE)),
    ("AttributeCollection", Bag(&Any)),
    ("BooleanManagedProperty", Complex(&BOOLEAN_MANAGED_PROPERTY)),
    ("ColumnSet", Complex(&COLUMN_SET)),
    ("ConcurrencyBehavior", Enum(CONCURRENCY_BEHAVIOR)),
    ("ConditionExpression", Complex(&CONDITION_EXPRESSION)),
    ("ConditionOperator", Enum(CONDITION_OPERATOR)),
    ("DateTimeOffset", Complex(&DATE_TIME_OFFSET)),
    ("Entity", Complex(&ENTITY)),
    ("EntityCollection", Complex(&ENTITY_COLLECTION)),
    ("EntityImageCollection", Bag(&Complex(&ENTITY))),
    ("EntityReference", Complex(&ENTITY_REFERENCE)),
    (
        "EntityReferenceCollection",
        List(&Complex(&ENTITY_REFERENCE)),
    ),
    ("EntityRole", Enum(ENTITY_ROLE)),
    ("EntityState", Enum(ENTITY_STATE)),
    ("FetchExpression", Complex(&FETCH_EXPRESSION)),
    ("FilterExpression", Complex(&FILTER_EXPRESSION)),
    ("FormattedValueCollection", Bag(&Text)),
    ("JoinOperator", Enum(JOIN_OPERATOR)),
    ("KeyAttributeCollection", Bag(&Any)),
    ("Label", Complex(&LABEL)),
    ("LinkEntity", Complex(&LINK_ENTITY)),
    ("LocalizedLabel", Complex(&LOCALIZED_LABEL)),
    ("LocalizedLabelCollection", List(&Complex(&LOCALIZED_LABEL))),
    ("LogicalOperator", Enum(LOGICAL_OPERATOR)),
    ("Money", Complex(&MONEY)),
    ("OptionSetValue", Complex(&OPTION_SET_VALUE)),
    (
        "OptionSetValueCollection",
        List(&Complex(&OPTION_SET_VALUE)),
    ),
    ("OrderExpression", Complex(&ORDER_EXPRESSION)),
    ("OrderType", Enum(ORDER_TYPE)),
    ("PagingInfo", Complex(&PAGING_INFO)),
    ("ParameterCollection", Bag(&Any)),
    ("QueryByAttribute", Complex(&QUERY_BY_ATTRIBUTE)),
    ("QueryExpression", Complex(&QUERY_EXPRESSION)),
    ("RelatedEntityCollection", List(&Complex(&RELATED_PAIR))),
    ("Relationship", Complex(&RELATIONSHIP)),
    ("RemoteExecutionContext", Complex(&CONTEXT)),
    ("XrmAttributeExpression", Complex(&ATTRIBUTE_EXPRESSION)),
];

const ENTITY_STATE: &[&str] = &["Unchanged", "Created", "Changed"];
const ENTITY_ROLE: &[&str] = &["Referencing", "Referenced"];
const LOGICAL_OPERATOR: &[&str] = &["And", "Or"];
const ORDER_TYPE: &[&str] = &["Ascending", "Descending"];
const CONCURRENCY_BEHAVIOR: &[&str] = &["Default", "IfRowVersionMatches", "AlwaysOverwrite"];
#[rustfmt::skip]
const JOIN_OPERATOR: &[&str] = &[
    "Inner", "LeftOuter", "Natural", "MatchFirstRowUsingCrossApply", "In", "Exists", "Any", "NotAny", "All", "NotAll",
];
#[rustfmt::skip]
const CONDITION_OPERATOR: &[&str] = &[
    "Equal", "NotEqual", "GreaterThan", "LessThan", "GreaterEqual", "LessEqual", "Like", "NotLike", "In", "NotIn",
    "Between", "NotBetween", "Null", "NotNull", "Yesterday", "Today", "Tomorrow", "Last7Days", "Next7Days", "LastWeek",
    "ThisWeek", "NextWeek", "LastMonth", "ThisMonth", "NextMonth", "On", "OnOrBefore", "OnOrAfter", "LastYear",
    "ThisYear", "NextYear", "LastXHours", "NextXHours", "LastXDays", "NextXDays", "LastXWeeks", "NextXWeeks",
    "LastXMonths", "NextXMonths", "LastXYears", "NextXYears", "EqualUserId", "NotEqualUserId", "EqualBusinessId",
    "NotEqualBusinessId", "ChildOf", "Mask", "NotMask", "MasksSelect", "Contains", "DoesNotContain",
    "EqualUserLanguage", "NotOn", "OlderThanXMonths", "BeginsWith", "DoesNotBeginWith", "EndsWith", "DoesNotEndWith",
    "ThisFiscalYear", "ThisFiscalPeriod", "NextFiscalYear", "NextFiscalPeriod", "LastFiscalYear", "LastFiscalPeriod",
    "LastXFiscalYears", "LastXFiscalPeriods", "NextXFiscalYears", "NextXFiscalPeriods", "InFiscalYear",
    "InFiscalPeriod", "InFiscalPeriodAndYear", "InOrBeforeFiscalPeriodAndYear", "InOrAfterFiscalPeriodAndYear",
    "EqualUserTeams", "EqualUserOrUserTeams", "Above", "Under", "NotUnder", "AboveOrEqual", "UnderOrEqual",
    "EqualUserOrUserHierarchy", "EqualUserOrUserHierarchyAndTeams", "OlderThanXYears", "OlderThanXWeeks",
    "OlderThanXDays", "OlderThanXHours", "OlderThanXMinutes", "ContainValues", "DoesNotContainValues",
];

pub(super) static CONTEXT: Contract = Contract {
    name: "RemoteExecutionContext",
    members: &[
        ("BusinessUnitId", Guid),
        ("CorrelationId", Guid),
        ("Depth", Number(Integer)),
        ("InitiatingUserAgent", Text),
        ("InitiatingUserAzureActiveDirectoryObjectId", Guid),
        ("InitiatingUserId", Guid),
        ("InputParameters", Bag(&Any)),
        ("IsExecutingOffline", Bool),
        ("IsInTransaction", Bool),
        ("IsOfflinePlayback", Bool),
        ("IsolationMode", Number(Integer)),
        ("MessageName", Text),
        ("Mode", Number(Integer)),
        ("OperationCreatedOn", Created),
        ("OperationId", Guid),
        ("OrganizationId", Guid),
        ("OrganizationName", Text),
        ("OutputParameters", Bag(&Any)),
        ("OwningExtension", Complex(&ENTITY_REFERENCE)),
        ("ParentContext", Complex(&CONTEXT)),
        ("PostEntityImages", Bag(&Complex(&ENTITY))),
        ("PreEntityImages", Bag(&Complex(&ENTITY))),
        ("PrimaryEntityId", Guid),
        ("PrimaryEntityName", Text),
        ("RequestId", Guid),
        ("SecondaryEntityName", Text),
        ("SharedVariables", Bag(&Any)),
        ("Stage", Number(Integer)),
        ("UserAzureActiveDirectoryObjectId", Guid),
        ("UserId", Guid),
    ],
};

static ENTITY: Contract = Contract {
    name: "Entity",
    members: &[
        ("Attributes", Bag(&Any)),
        ("EntityState", Enum(ENTITY_STATE)),
        ("FormattedValues", Bag(&Text)),
        ("Id", Guid),
        ("KeyAttributes", Bag(&Any)),
        ("LogicalName", Text),
        ("RelatedEntities", List(&Complex(&RELATED_PAIR))),
        ("RowVersion", Text),
    ],
};

static ENTITY_REFERENCE: Contract = Contract {
    name: "EntityReference",
    members: &[
        ("Id", Guid),
        ("KeyAttributes", Bag(&Any)),
        ("LogicalName", Text),
        ("Name", Text),
        ("RowVersion", Text),
    ],
};

static ENTITY_COLLECTION: Contract = Contract {
    name: "EntityCollection",
    members: &[
        ("Entities", List(&Complex(&ENTITY))),
        ("EntityName", Text),
        ("MinActiveRowVersion", Text),
        ("MoreRecords", Bool),
        ("PagingCookie", Text),
        ("TotalRecordCount", Number(Integer)),
        ("TotalRecordCountLimitExceeded", Bool),
    ],
};

static RELATED_PAIR: Contract = Contract {
    name: "",
    members: &[
        ("key", Complex(&RELATIONSHIP)),
        ("value", Complex(&ENTITY_COLLECTION)),
    ],
};

/// An item of a collection of pairs where `object` is declared.
pub(super) static PAIR: Contract = Contract {
    name: "",
    members: &[("key", Text), ("value", Any)],
};

static RELATIONSHIP: Contract = Contract {
    name: "Relationship",
    members: &[
        ("PrimaryEntityRole", Enum(ENTITY_ROLE)),
        ("SchemaName", Text),
    ],
};

static OPTION_SET_VALUE: Contract = Contract {
    name: "OptionSetValue",
    members: &[("Value", Number(Integer))],
};

static MONEY: Contract = Contract {
    name: "Money",
    members: &[("Value", Number(Decimal))],
};

static BOOLEAN_MANAGED_PROPERTY: Contract = Contract {
    name: "BooleanManagedProperty",
    members: &[
        ("CanBeChanged", Bool),
        ("ManagedPropertyLogicalName", Text),
        ("Value", Bool),
    ],
};

static ALIASED_VALUE: Contract = Contract {
    name: "AliasedValue",
    members: &[
        ("AttributeLogicalName", Text),
        ("EntityLogicalName", Text),
        ("NeedFormatting", Bool),
        ("ReturnType", Number(Integer)),
        ("Value", Any),
    ],
};

static DATE_TIME_OFFSET: Contract = Contract {
    name: "DateTimeOffset",
    members: &[("DateTime", DateTime), ("OffsetMinutes", Number(Integer))],
};

static COLUMN_SET: Contract = Contract {
    name: "ColumnSet",
    members: &[
        ("AllColumns", Bool),
        (
            "AttributeExpressions",
            List(&Complex(&ATTRIBUTE_EXPRESSION)),
        ),
        ("Columns", List(&Text)),
    ],
};

static ATTRIBUTE_EXPRESSION: Contract = Contract {
    name: "XrmAttributeExpression",
    members: &[
        ("Alias", Text),
        ("AttributeName", Text),
        ("HasGroupBy", Bool),
    ],
};

static QUERY_EXPRESSION: Contract = Contract {
    name: "QueryExpression",
    members: &[
        ("ColumnSet", Complex(&COLUMN_SET)),
        ("Criteria", Complex(&FILTER_EXPRESSION)),
        ("Distinct", Bool),
        ("EntityName", Text),
        ("ForceSeek", Text),
        ("LinkEntities", List(&Complex(&LINK_ENTITY))),
        ("Orders", List(&Complex(&ORDER_EXPRESSION))),
        ("PageInfo", Complex(&PAGING_INFO)),
        ("SubQueryExpression", Complex(&QUERY_EXPRESSION)),
        ("NoLock", Bool),
        ("QueryHints", Text),
        ("TopCount", Number(Integer)),
        ("DataSource", Text),
    ],
};

static QUERY_BY_ATTRIBUTE: Contract = Contract {
    name: "QueryByAttribute",
    members: &[
        ("Attributes", List(&Text)),
        ("ColumnSet", Complex(&COLUMN_SET)),
        ("EntityName", Text),
        ("Orders", List(&Complex(&ORDER_EXPRESSION))),
        ("PageInfo", Complex(&PAGING_INFO)),
        ("Values", List(&Any)),
        ("TopCount", Number(Integer)),
    ],
};

static FETCH_EXPRESSION: Contract = Contract {
    name: "FetchExpression",
    members: &[("Query", Text)],
};

static FILTER_EXPRESSION: Contract = Contract {
    name: "FilterExpression",
    members: &[
        ("AnyAllFilterLinkEntity", Complex(&LINK_ENTITY)),
        ("Conditions", List(&Complex(&CONDITION_EXPRESSION))),
        ("FilterHint", Text),
        ("FilterOperator", Enum(LOGICAL_OPERATOR)),
        ("Filters", List(&Complex(&FILTER_EXPRESSION))),
        ("IsQuickFindFilter", Bool),
    ],
};

static CONDITION_EXPRESSION: Contract = Contract {
    name: "ConditionExpression",
    members: &[
        ("AttributeName", Text),
        ("CompareColumns", Bool),
        ("Operator", Enum(CONDITION_OPERATOR)),
        ("Values", List(&Any)),
        ("EntityName", Text),
    ],
};

static LINK_ENTITY: Contract = Contract {
    name: "LinkEntity",
    members: &[
        ("Columns", Complex(&COLUMN_SET)),
        ("EntityAlias", Text),
        ("ForceSeek", Text),
        ("JoinOperator", Enum(JOIN_OPERATOR)),
        ("LinkCriteria", Complex(&FILTER_EXPRESSION)),
        ("LinkEntities", List(&Complex(&LINK_ENTITY))),
        ("LinkFromAttributeName", Text),
        ("LinkFromEntityName", Text),
        ("LinkToAttributeName", Text),
        ("LinkToEntityName", Text),
        ("Orders", List(&Complex(&ORDER_EXPRESSION))),
    ],
};

static ORDER_EXPRESSION: Contract = Contract {
    name: "OrderExpression",
    members: &[
        ("Alias", Text),
        ("AttributeName", Text),
        ("EntityName", Text),
        ("OrderType", Enum(ORDER_TYPE)),
    ],
};

static PAGING_INFO: Contract = Contract {
    name: "PagingInfo",
    members: &[
        ("Count", Number(Integer)),
        ("PageNumber", Number(Integer)),
        ("PagingCookie", Text),
        ("ReturnTotalRecordCount", Bool),
    ],
};

static LABEL: Contract = Contract {
    name: "Label",
    members: &[
        ("LocalizedLabels", List(&Complex(&LOCALIZED_LABEL))),
        ("UserLocalizedLabel", Complex(&LOCALIZED_LABEL)),
    ],
};

static LOCALIZED_LABEL: Contract = Contract {
    name: "LocalizedLabel",
    members: &[
        ("MetadataId", Guid),
        ("HasChanged", Bool),
        ("IsManaged", Bool),
        ("Label", Text),
        ("LanguageCode", Number(Integer)),
    ],
};
