//! Writes a context as `DataContractJsonSerializer` of the .NET Framework does.
//!
//! Spec: "Stand-alone JSON serialization" of Microsoft's WCF documentation, and the bytes of the
//! genuine serializer: members in alphabetical order, `__type` first and only where the contract says
//! `object`, every slash escaped, control characters as `\u00xx`, dates as `\/Date(ms+zzzz)\/`.

use std::fmt::{Display, Write as _};

use super::contract::{
    Bag, Context, Date, Decimal, Entity, EntityCollection, EntityReference, Layout, Relationship,
    Value,
};

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";

/// The body of the message, in UTF-8 without a byte order mark.
pub(crate) fn write(context: &Context) -> Vec<u8> {
    let mut json = Json::default();
    json.context(context);
    json.text.into_bytes()
}

/// A text under construction.
#[derive(Default)]
struct Json {
    text: String,
    needs_comma: bool,
}

impl Json {
    fn context(&mut self, context: &Context) {
        self.object(|json| {
            json.who(context);
            json.what(context);
            json.which(context);
            json.about(context);
        });
    }

    fn who(&mut self, context: &Context) {
        self.quoted_member("BusinessUnitId", context.business_unit_id);
        self.quoted_member("CorrelationId", context.correlation_id);
        self.plain_member("Depth", context.depth);
        if context.layout >= Layout::Current {
            self.nullable_member(
                "InitiatingUserAgent",
                context.initiating_user_agent.as_deref(),
            );
        }
        if context.layout >= Layout::BeforeUserAgent {
            self.quoted_member(
                "InitiatingUserAzureActiveDirectoryObjectId",
                context.initiating_user_azure_id,
            );
        }
        self.quoted_member("InitiatingUserId", context.initiating_user_id);
    }

    fn what(&mut self, context: &Context) {
        self.bag("InputParameters", &context.input_parameters);
        self.plain_member("IsExecutingOffline", false);
        self.plain_member("IsInTransaction", context.is_in_transaction);
        self.plain_member("IsOfflinePlayback", false);
        self.plain_member("IsolationMode", 1);
        self.text_member("MessageName", context.message_name);
        self.plain_member("Mode", context.mode as u8);
        self.member("OperationCreatedOn", |json| {
            json.date(context.operation_created_on)
        });
        self.quoted_member("OperationId", context.operation_id);
    }

    fn which(&mut self, context: &Context) {
        self.quoted_member("OrganizationId", context.organization_id);
        self.text_member("OrganizationName", &context.organization_name);
        self.bag("OutputParameters", &context.output_parameters);
        self.member("OwningExtension", |json| {
            json.object(|json| {
                json.entity_reference(&context.owning_extension);
            })
        });
        self.member("ParentContext", |json| match &context.parent_context {
            Some(parent) => json.context(parent),
            None => json.plain("null"),
        });
        self.images("PostEntityImages", &context.post_entity_images);
        self.images("PreEntityImages", &context.pre_entity_images);
    }

    fn about(&mut self, context: &Context) {
        self.quoted_member("PrimaryEntityId", context.primary_entity_id);
        self.text_member("PrimaryEntityName", context.primary_entity_name);
        self.quoted_member("RequestId", context.request_id);
        self.text_member("SecondaryEntityName", "none");
        self.bag("SharedVariables", &context.shared_variables);
        self.plain_member("Stage", context.stage as u8);
        if context.layout >= Layout::BeforeUserAgent {
            self.quoted_member("UserAzureActiveDirectoryObjectId", context.user_azure_id);
        }
        self.quoted_member("UserId", context.user_id);
    }

    fn bag(&mut self, name: &str, bag: &Bag) {
        self.member(name, |json| {
            json.array(bag, |json, (key, value)| {
                json.key_value(key, |json| json.value(value));
            });
        });
    }

    /// An image is an `Entity` by contract, so it says no `__type`.
    fn images(&mut self, name: &str, images: &[(&'static str, Entity)]) {
        self.member(name, |json| {
            json.array(images, |json, (key, image)| {
                json.key_value(key, |json| json.object(|json| json.entity(image)));
            });
        });
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.plain("null"),
            Value::Text(text) => self.quoted_text(text),
            Value::Bool(flag) => self.plain(flag),
            Value::Int(number) => self.plain(number),
            Value::Long(number) => self.plain(number),
            Value::Double(number) => self.plain(number),
            Value::Decimal(number) => self.plain(number),
            Value::Guid(guid) => self.quoted(guid),
            Value::Date(date) => self.date(*date),
            Value::Money(amount) => self.money(*amount),
            Value::Choice(option) => self.option(*option),
            Value::Choices(options) => {
                self.array(options, |json, option| json.option(*option));
            }
            Value::EntityReference(reference) => self.typed_reference(reference),
            Value::EntityReferenceCollection(references) => {
                self.array(references, Self::typed_reference);
            }
            Value::Entity(entity) => self.typed("Entity", |json| json.entity(entity)),
            Value::EntityCollection(rows) => self.typed("EntityCollection", |json| json.rows(rows)),
            Value::Relationship(relationship) => {
                self.typed("Relationship", |json| json.relationship(relationship));
            }
            Value::Entities(entities) => self.array(entities, |json, entity| {
                json.typed("Entity", |json| json.entity(entity));
            }),
            Value::Texts(texts) => self.array(texts, |json, text| json.quoted_text(text)),
            Value::Guids(guids) => self.array(guids, |json, guid| json.quoted(guid)),
            Value::Pairs(pairs) => self.array(pairs, |json, (key, value)| json.pair(key, value)),
        }
    }

    fn entity(&mut self, entity: &Entity) {
        self.bag("Attributes", &entity.attributes);
        self.member("EntityState", |json| match entity.entity_state {
            Some(state) => json.plain(state as u8),
            None => json.plain("null"),
        });
        self.member("FormattedValues", |json| {
            json.array(&entity.formatted_values, |json, (key, value)| {
                json.key_value(key, |json| json.nullable(value.as_deref()));
            });
        });
        self.quoted_member("Id", entity.id);
        self.bag("KeyAttributes", &entity.key_attributes);
        self.text_member("LogicalName", entity.logical_name);
        self.member("RelatedEntities", |json| {
            json.array(&entity.related_entities, |json, (relationship, rows)| {
                json.object(|json| {
                    json.member("key", |json| {
                        json.object(|json| json.relationship(relationship));
                    });
                    json.member("value", |json| json.object(|json| json.rows(rows)));
                });
            });
        });
        self.nullable_member("RowVersion", entity.row_version.as_deref());
    }

    fn entity_reference(&mut self, reference: &EntityReference) {
        self.quoted_member("Id", reference.id);
        self.bag("KeyAttributes", &reference.key_attributes);
        self.text_member("LogicalName", reference.logical_name);
        self.nullable_member("Name", reference.name.as_deref());
        self.nullable_member("RowVersion", reference.row_version.as_deref());
    }

    fn typed_reference(&mut self, reference: &EntityReference) {
        self.typed("EntityReference", |json| json.entity_reference(reference));
    }

    fn rows(&mut self, rows: &EntityCollection) {
        self.member("Entities", |json| {
            json.array(&rows.entities, |json, entity| {
                json.object(|json| json.entity(entity));
            });
        });
        self.nullable_member("EntityName", rows.entity_name);
        self.nullable_member("MinActiveRowVersion", None);
        self.plain_member("MoreRecords", false);
        self.nullable_member("PagingCookie", None);
        self.plain_member("TotalRecordCount", 0);
        self.plain_member("TotalRecordCountLimitExceeded", false);
    }

    fn relationship(&mut self, relationship: &Relationship) {
        self.member("PrimaryEntityRole", |json| {
            match relationship.primary_entity_role {
                Some(role) => json.plain(role as u8),
                None => json.plain("null"),
            }
        });
        self.text_member("SchemaName", relationship.schema_name);
    }

    fn money(&mut self, amount: Decimal) {
        self.typed("Money", |json| json.plain_member("Value", amount));
    }

    fn option(&mut self, option: i32) {
        self.typed("OptionSetValue", |json| json.plain_member("Value", option));
    }

    fn pair(&mut self, key: &str, value: &str) {
        self.object(|json| {
            json.text_member(
                "__type",
                "KeyValuePairOfstringstring:#System.Collections.Generic",
            );
            json.text_member("key", key);
            json.text_member("value", value);
        });
    }

    /// Milliseconds are UTC by definition; the offset only tells that the kind was not.
    fn date(&mut self, date: Date) {
        let (at, offset) = match date {
            Date::Utc(at) => (at, ""),
            Date::Unspecified(at) => (at, "+0000"),
        };
        let milliseconds = at.unix_timestamp_nanos() / 1_000_000;
        self.separate();
        self.append(format_args!(r#""\/Date({milliseconds}{offset})\/""#));
    }

    fn typed(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        self.object(|json| {
            json.text_member("__type", &format!("{name}:{CONTRACTS}"));
            members(json);
        });
    }

    fn key_value(&mut self, key: &str, value: impl FnOnce(&mut Self)) {
        self.object(|json| {
            json.text_member("key", key);
            json.member("value", value);
        });
    }

    fn text_member(&mut self, name: &str, text: &str) {
        self.member(name, |json| json.quoted_text(text));
    }

    fn nullable_member(&mut self, name: &str, text: Option<&str>) {
        self.member(name, |json| json.nullable(text));
    }

    fn quoted_member(&mut self, name: &str, value: impl Display) {
        self.member(name, |json| json.quoted(value));
    }

    fn plain_member(&mut self, name: &str, value: impl Display) {
        self.member(name, |json| json.plain(value));
    }

    fn member(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        self.quoted(name);
        self.text.push(':');
        self.needs_comma = false;
        value(self);
    }

    fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.text.push('{');
        self.needs_comma = false;
        members(self);
        self.text.push('}');
        self.needs_comma = true;
    }

    fn array<T>(&mut self, items: &[T], item: impl Fn(&mut Self, &T)) {
        self.separate();
        self.text.push('[');
        self.needs_comma = false;
        for each in items {
            item(self, each);
        }
        self.text.push(']');
        self.needs_comma = true;
    }

    fn nullable(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.quoted_text(text),
            None => self.plain("null"),
        }
    }

    fn plain(&mut self, value: impl Display) {
        self.separate();
        self.append(format_args!("{value}"));
    }

    /// For what needs no escape: guids and member names.
    fn quoted(&mut self, value: impl Display) {
        self.separate();
        self.append(format_args!("\"{value}\""));
    }

    fn quoted_text(&mut self, text: &str) {
        self.separate();
        self.text.push('"');
        for character in text.chars() {
            self.escaped(character);
        }
        self.text.push('"');
    }

    fn escaped(&mut self, character: char) {
        match character {
            '"' | '\\' | '/' => self.text.extend(['\\', character]),
            '\0'..='\u{1f}' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => {
                self.append(format_args!("\\u{:04x}", u32::from(character)));
            }
            '\u{10000}'.. => {
                for half in character.encode_utf16(&mut [0; 2]) {
                    self.append(format_args!("\\u{half:04x}"));
                }
            }
            _ => self.text.push(character),
        }
    }

    fn separate(&mut self) {
        if self.needs_comma {
            self.text.push(',');
        }
        self.needs_comma = true;
    }

    fn append(&mut self, what: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(what)
            .expect("a String takes everything");
    }
}
