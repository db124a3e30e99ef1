//! The types of the contracts, their members and their enums: data only.
//!
//! Source: the data contracts of `Microsoft.Xrm.Sdk` 9.2 in the order in which they are serialized.

use super::{Contract, Shape};
use crate::context::NumberKind::{Decimal, Integer};

use Shape::{Any, Bag, Bool, Complex, Created, DateTime, Enum, Guid, List, Number, Text};

/// The types that a body may name.
pub(super) static BY_NAME: &[(&str, Shape)] = &[
    ("AggregateType", Enum(AGGREGATE_TYPE)),
    ("AliasedValue", Complex(&ALIASED_VALUE)),
    ("AttributeCollection", Bag(&Any)),
    ("AttributeExpression", Complex(&ATTRIBUTE_EXPRESSION)),
    ("BooleanManagedProperty", Complex(&BOOLEAN_MANAGED_PROPERTY)),
    ("ColumnSet", Complex(&COLUMN_SET)),
    ("ConcurrencyBehavior", Enum(CONCURRENCY_BEHAVIOR)),
    ("ConditionExpression", Complex(&CONDITION_EXPRESSION)),
    ("ConditionOperator", Enum(CONDITION_OPERATOR)),
    ("DateTimeGroupingType", Enum(DATE_TIME_GROUPING)),
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
    ("PrincipalAccess", Complex(&PRINCIPAL_ACCESS)),
    ("QueryByAttribute", Complex(&QUERY_BY_ATTRIBUTE)),
    ("QueryExpression", Complex(&QUERY_EXPRESSION)),
    ("RelatedEntityCollection", List(&Complex(&RELATED_PAIR))),
    ("Relationship", Complex(&RELATIONSHIP)),
    ("RelationshipQueryCollection", List(&Complex(&QUERY_PAIR))),
    ("RemoteExecutionContext", Complex(&CONTEXT)),
];

const ENTITY_STATE: &[&str] = &["Unchanged", "Created", "Changed"];
const ENTITY_ROLE: &[&str] = &["Referencing", "Referenced"];
const LOGICAL_OPERATOR: &[&str] = &["And", "Or"];
const ORDER_TYPE: &[&str] = &["Ascending", "Descending"];
const CONCURRENCY_BEHAVIOR: &[&str] = &["Default", "IfRowVersionMatches", "AlwaysOverwrite"];
const AGGREGATE_TYPE: &[&str] = &["None", "Count", "CountColumn", "Sum", "Avg", "Min", "Max"];
#[rustfmt::skip]
const DATE_TIME_GROUPING: &[&str] = &[
    "None", "Day", "Week", "Month", "Quarter", "Year", "FiscalPeriod", "FiscalYear",
];
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
    "EqualUserTeams", "EqualUserOrUserTeams", "Under", "NotUnder", "UnderOrEqual", "Above", "AboveOrEqual",
    "EqualUserOrUserHierarchy", "EqualUserOrUserHierarchyAndTeams", "OlderThanXYears", "OlderThanXWeeks",
    "OlderThanXDays", "OlderThanXHours", "OlderThanXMinutes", "ContainValues", "DoesNotContainValues",
];

pub(in crate::decoder) static CONTEXT: Contract = Contract {
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

/// An item of a collection of images.
static IMAGE_PAIR: Contract = Contract {
    name: "",
    members: &[("key", Text), ("value", Complex(&ENTITY))],
};

/// An item of `RelationshipQueryCollection`: each query says which kind of query it is.
static QUERY_PAIR: Contract = Contract {
    name: "",
    members: &[("key", Complex(&RELATIONSHIP)), ("value", Any)],
};

static RELATED_PAIR: Contract = Contract {
    name: "",
    members: &[
        ("key", Complex(&RELATIONSHIP)),
        ("value", Complex(&ENTITY_COLLECTION)),
    ],
};

/// An item of a collection of pairs where `object` is declared.
pub(in crate::decoder) static PAIR: Contract = Contract {
    name: "",
    members: &[("key", Text), ("value", Any)],
};

/// An item of a dictionary in XML: a list of pairs has small letters, and a key may be more than a text.
pub(in crate::decoder) static KEYED: Contract = Contract {
    name: "",
    members: &[("Key", Any), ("Value", Any), ("key", Any), ("value", Any)],
};

/// What an item of this type is, of the collections of pairs that the contracts declare; `None` for all others. Of
/// other than these nothing but a key and a value is known.
pub(in crate::decoder) fn pair_of(type_name: &str) -> Option<&'static Contract> {
    // Generic types are called by their arguments and, where these have a namespace, by a hash of it.
    const PAIRS: &[(&str, &Contract)] = &[
        ("KeyValuePairOfRelationshipEntityCollection", &RELATED_PAIR),
        ("KeyValuePairOfRelationshipQueryBase", &QUERY_PAIR),
        ("KeyValuePairOfstringEntitygUGIFE1S", &IMAGE_PAIR),
    ];
    let mut pairs = PAIRS.iter();
    pairs
        .find(|(name, _)| type_name.starts_with(name))
        .map(|(_, pair)| *pair)
}

static RELATIONSHIP: Contract = Contract {
    name: "Relationship",
    members: &[
        ("PrimaryEntityRole", Enum(ENTITY_ROLE)),
        ("SchemaName", Text),
    ],
};

/// `AccessMask` is a set of flags: XML writes their names, JSON their sum; both stay as they come.
static PRINCIPAL_ACCESS: Contract = Contract {
    name: "PrincipalAccess",
    members: &[
        ("AccessMask", Text),
        ("Principal", Complex(&ENTITY_REFERENCE)),
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

/// The class is called `XrmAttributeExpression`, its contract is not.
static ATTRIBUTE_EXPRESSION: Contract = Contract {
    name: "AttributeExpression",
    members: &[
        ("AggregateType", Enum(AGGREGATE_TYPE)),
        ("Alias", Text),
        ("AttributeName", Text),
        ("DateTimeGrouping", Enum(DATE_TIME_GROUPING)),
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
