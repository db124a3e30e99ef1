//! What the writers tell, the decoder reads: any context that they can be told comes back as it was, with
//! the types that its format has. Only this test knows both sides.

mod arbitrary;

use proptest::prelude::*;
use time::format_description::well_known::Rfc3339;

use super::contract::{
    Bag, Context, Date, Decimal, Entity, EntityCollection, EntityReference, EntityRole,
    EntityState, Guid, Layout, Relationship, Value as Told,
};
use super::{json, xml};
use crate::context::{self, NumberKind};
use crate::decoder::{Hint, decode};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_context_comes_back_from_json(context in arbitrary::context(text("\\PC{0,12}|.{0,12}|\\p{any}{0,12}"))) {
        let decoded = decode(&json::write(&context), Hint::default()).unwrap();
        prop_assert_eq!(&decoded.notes, &[]);
        prop_assert_eq!(Value::of(decoded.context()), Format::Json.context(&context));
    }

    /// Of the characters that XML allows: the writer knows no others.
    #[test]
    fn any_context_comes_back_from_xml(context in arbitrary::context(text("[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{0,12}"))) {
        let decoded = decode(&xml::write(&context), Hint::default()).unwrap();
        prop_assert_eq!(&decoded.notes, &[]);
        prop_assert_eq!(Value::of(decoded.context()), Format::Xml.context(&context));
    }
}

/// Texts of these characters, and some that look like something else.
fn text(pattern: &'static str) -> BoxedStrategy<String> {
    let lookalikes = vec![
        "",
        " ",
        "\r\n\t ",
        "null",
        "true",
        "0",
        "-1.5E+3",
        "NaN",
        "/Date(x)/",
        "/Date(1)",
        "<a/>",
        "&lt;",
        "]]>",
        "\\u0041",
        "\"",
        "6420f0cc-916b-ee11-9ae6-000d3a688809",
        "2024-01-02T03:04:05Z",
        "__type",
        "key",
        "😀",
    ];
    prop_oneof![2 => pattern.prop_map(String::from), 1 => prop::sample::select(lookalikes).prop_map(String::from)]
        .boxed()
}

/// A value that is nobody's part: what is expected, and what came.
#[derive(Debug, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Number(String, NumberKind),
    String(String),
    Guid(String),
    DateTime(String),
    Bytes(Vec<u8>),
    Array(Vec<Self>),
    Bag(Vec<(String, Self)>),
    Object(Option<String>, Vec<(String, Self)>),
    Context(Vec<(String, Self)>),
}

impl Value {
    fn of(context: context::ExecutionContext<'_>) -> Self {
        Self::Context(all(context.members().iter()))
    }
}

impl From<context::Value<'_>> for Value {
    fn from(value: context::Value<'_>) -> Self {
        match value {
            context::Value::Null => Self::Null,
            context::Value::Bool(value) => Self::Bool(value),
            context::Value::Number(value) => Self::Number(value.as_str().to_owned(), value.kind()),
            context::Value::String(text) => Self::String(text.to_owned()),
            context::Value::Guid(text) => Self::Guid(text.to_owned()),
            context::Value::DateTime(date) => Self::DateTime(date.as_str().to_owned()),
            context::Value::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            context::Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            context::Value::Bag(bag) => Self::Bag(all(bag.iter())),
            context::Value::Object(object) => {
                let name = object.type_name().map(|known| {
                    assert_eq!(known.namespace, None);
                    known.name.to_owned()
                });
                Self::Object(name, all(object.iter()))
            }
            context::Value::Context(context) => Self::of(context),
        }
    }
}

fn all<'a>(entries: impl Iterator<Item = (&'a str, context::Value<'a>)>) -> Vec<(String, Value)> {
    entries
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

/// A format, by what it keeps.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    Json,
    Xml,
}

impl Format {
    fn context(self, told: &Context) -> Value {
        let bag = |bag: &Bag| self.bag(bag);
        let images = |images: &[(&'static str, Entity)]| {
            let image = |(name, image): &(&str, Entity)| ((*name).into(), self.entity(image));
            Value::Bag(images.iter().map(image).collect())
        };
        let mut members = vec![
            ("BusinessUnitId", guid(told.business_unit_id)),
            ("CorrelationId", guid(told.correlation_id)),
            ("Depth", integer(told.depth)),
        ];
        if told.layout == Layout::Current {
            let agent = told.initiating_user_agent.as_deref();
            members.push(("InitiatingUserAgent", nullable(agent)));
        }
        if told.layout != Layout::BeforeAzureIds {
            let id = guid(told.initiating_user_azure_id);
            members.push(("InitiatingUserAzureActiveDirectoryObjectId", id));
        }
        members.extend([
            ("InitiatingUserId", guid(told.initiating_user_id)),
            ("InputParameters", bag(&told.input_parameters)),
            ("IsExecutingOffline", Value::Bool(false)),
            ("IsInTransaction", Value::Bool(told.is_in_transaction)),
            ("IsOfflinePlayback", Value::Bool(false)),
            ("IsolationMode", integer(1)),
            ("MessageName", string(told.message_name)),
            ("Mode", integer(told.mode as u8)),
            ("OperationCreatedOn", created(told.operation_created_on)),
            ("OperationId", guid(told.operation_id)),
            ("OrganizationId", guid(told.organization_id)),
            ("OrganizationName", string(&told.organization_name)),
            ("OutputParameters", bag(&told.output_parameters)),
            ("OwningExtension", self.reference(&told.owning_extension)),
            ("ParentContext", self.parent(told)),
            ("PostEntityImages", images(&told.post_entity_images)),
            ("PreEntityImages", images(&told.pre_entity_images)),
            ("PrimaryEntityId", guid(told.primary_entity_id)),
            ("PrimaryEntityName", string(told.primary_entity_name)),
            ("RequestId", guid(told.request_id)),
            ("SecondaryEntityName", string("none")),
            ("SharedVariables", bag(&told.shared_variables)),
            ("Stage", integer(told.stage as u8)),
        ]);
        if told.layout != Layout::BeforeAzureIds {
            members.push(("UserAzureActiveDirectoryObjectId", guid(told.user_azure_id)));
        }
        members.push(("UserId", guid(told.user_id)));
        Value::Context(owned(members))
    }

    fn parent(self, told: &Context) -> Value {
        match &told.parent_context {
            Some(parent) => self.context(parent),
            None => Value::Null,
        }
    }

    fn bag(self, told: &Bag) -> Value {
        let entry = |(key, value): &(&str, Told)| ((*key).into(), self.value(value));
        Value::Bag(told.iter().map(entry).collect())
    }

    fn value(self, told: &Told) -> Value {
        match told {
            Told::Null => Value::Null,
            Told::Text(text) => string(text),
            Told::Bool(flag) => Value::Bool(*flag),
            Told::Int(value) => self.number(value.to_string(), NumberKind::Integer),
            Told::Long(value) => self.number(value.to_string(), NumberKind::Integer),
            Told::Double(value) => self.number(value.to_string(), NumberKind::Double),
            Told::Decimal(value) => self.number(value.to_string(), NumberKind::Decimal),
            Told::Guid(id) => self.any_guid(*id),
            Told::Date(date) => self.date(*date),
            Told::Money(amount) => typed("Money", vec![("Value", decimal(*amount))]),
            Told::Choice(option) => choice(*option),
            Told::Choices(options) => array(options, |option| choice(*option)),
            Told::EntityReference(reference) => self.reference(reference),
            Told::EntityReferenceCollection(all) => array(all, |one| self.reference(one)),
            Told::Entity(row) => self.entity(row),
            Told::EntityCollection(rows) => self.rows(rows),
            Told::Relationship(told) => relationship(told),
            Told::Entities(rows) => array(rows, |row| self.entity(row)),
            Told::Texts(texts) => array(texts, |text| string(text)),
            Told::Guids(ids) => array(ids, |id| self.any_guid(*id)),
            // Without an item JSON does not tell a list of pairs from any other.
            Told::Pairs(pairs) if pairs.is_empty() && self == Self::Json => {
                Value::Array(Vec::new())
            }
            Told::Pairs(pairs) => {
                let entries = pairs
                    .iter()
                    .map(|(key, value)| ((*key).into(), string(value)));
                Value::Bag(entries.collect())
            }
        }
    }

    /// A number where the contract says `object`.
    fn number(self, digits: String, kind: NumberKind) -> Value {
        match self {
            Self::Json => number(digits, NumberKind::Unknown),
            Self::Xml => number(digits, kind),
        }
    }

    fn any_guid(self, told: Guid) -> Value {
        match self {
            Self::Json => string(&told.to_string()),
            Self::Xml => guid(told),
        }
    }

    fn date(self, told: Date) -> Value {
        let (text, zone) = match (told, self) {
            (Date::Utc(at), _) => (at.format(&Rfc3339).unwrap(), "Z"),
            (Date::Unspecified(at), Self::Json) => (at.format(&Rfc3339).unwrap(), "+00:00"),
            (Date::Unspecified(at), Self::Xml) => (at.format(&Rfc3339).unwrap(), ""),
        };
        Value::DateTime(text.replace('Z', zone))
    }

    fn entity(self, told: &Entity) -> Value {
        let state = told.entity_state.map(|state| match state {
            EntityState::Created => "Created",
            EntityState::Changed => "Changed",
        });
        let formatted = told.formatted_values.iter();
        let formatted = formatted.map(|(key, text)| ((*key).into(), nullable(text.as_deref())));
        let related = array(&told.related_entities, |(key, rows)| {
            let pair = vec![("key", relationship(key)), ("value", self.rows(rows))];
            Value::Object(None, owned(pair))
        });
        let members = vec![
            ("Attributes", self.bag(&told.attributes)),
            ("EntityState", nullable(state)),
            ("FormattedValues", Value::Bag(formatted.collect())),
            ("Id", guid(told.id)),
            ("KeyAttributes", self.bag(&told.key_attributes)),
            ("LogicalName", string(told.logical_name)),
            ("RelatedEntities", related),
            ("RowVersion", nullable(told.row_version.as_deref())),
        ];
        typed("Entity", members)
    }

    fn reference(self, told: &EntityReference) -> Value {
        let members = vec![
            ("Id", guid(told.id)),
            ("KeyAttributes", self.bag(&told.key_attributes)),
            ("LogicalName", string(told.logical_name)),
            ("Name", nullable(told.name.as_deref())),
            ("RowVersion", nullable(told.row_version.as_deref())),
        ];
        typed("EntityReference", members)
    }

    fn rows(self, told: &EntityCollection) -> Value {
        let members = vec![
            ("Entities", array(&told.entities, |row| self.entity(row))),
            ("EntityName", nullable(told.entity_name)),
            ("MinActiveRowVersion", Value::Null),
            ("MoreRecords", Value::Bool(false)),
            ("PagingCookie", Value::Null),
            ("TotalRecordCount", integer(0)),
            ("TotalRecordCountLimitExceeded", Value::Bool(false)),
        ];
        typed("EntityCollection", members)
    }
}

fn relationship(told: &Relationship) -> Value {
    let role = told.primary_entity_role.map(|role| match role {
        EntityRole::Referencing => "Referencing",
        EntityRole::Referenced => "Referenced",
    });
    let members = vec![
        ("PrimaryEntityRole", nullable(role)),
        ("SchemaName", string(told.schema_name)),
    ];
    typed("Relationship", members)
}

fn choice(option: i32) -> Value {
    typed("OptionSetValue", vec![("Value", integer(option))])
}

/// Always in UTC, which is what Dataverse means by none.
fn created(told: Date) -> Value {
    let (Date::Utc(at) | Date::Unspecified(at)) = told;
    Value::DateTime(at.format(&Rfc3339).unwrap())
}

fn decimal(told: Decimal) -> Value {
    number(told.to_string(), NumberKind::Decimal)
}

fn integer(value: impl ToString) -> Value {
    number(value.to_string(), NumberKind::Integer)
}

fn number(digits: String, kind: NumberKind) -> Value {
    Value::Number(digits, kind)
}

fn guid(told: Guid) -> Value {
    Value::Guid(told.to_string())
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

fn nullable(text: Option<&str>) -> Value {
    text.map_or(Value::Null, string)
}

fn array<T>(items: &[T], item: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(item).collect())
}

fn typed(name: &str, members: Vec<(&'static str, Value)>) -> Value {
    Value::Object(Some(name.to_owned()), owned(members))
}

fn owned(members: Vec<(&'static str, Value)>) -> Vec<(String, Value)> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
