//! Writes a context as `DataContractSerializer` does: text XML in UTF-8, no declaration, one line.
//!
//! Spec: "Data contract serializer" of Microsoft's WCF documentation, and the bytes of the genuine
//! serializer: members in alphabetical order, null as `i:nil`, types as `i:type` only where the
//! contract says `object`, prefixes `a`, `b`, ... invented where a namespace is first needed.

use time::macros::format_description;

use super::contract::{
    Bag, Context, Date, Entity, EntityCollection, EntityReference, EntityRole, EntityState, Guid,
    Layout, Relationship, Text, Value,
};
use super::markup::Markup;

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
const CONTRACTS_7_1: &str = "http://schemas.microsoft.com/xrm/7.1/Contracts";
const CONTRACTS_9_0: &str = "http://schemas.microsoft.com/xrm/9.0/Contracts";
const GENERIC: &str = "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
const ARRAYS: &str = "http://schemas.microsoft.com/2003/10/Serialization/Arrays";
const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";
const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";

const PAIR: &str = "KeyValuePairOfstringanyType";
const TEXT_PAIR: &str = "KeyValuePairOfstringstring";
const IMAGE_PAIR: &str = "KeyValuePairOfstringEntitygUGIFE1S";
const RELATED_PAIR: &str = "KeyValuePairOfRelationshipEntityCollectionX_PsK4FkN";

/// The body of the message.
pub(crate) fn write(context: &Context) -> Vec<u8> {
    Markup::document("RemoteExecutionContext", CONTRACTS, |xml| {
        xml.context(context)
    })
}

impl Markup {
    fn context(&mut self, context: &Context) {
        self.who(context);
        self.what(context);
        self.which(context);
        self.about(context);
    }

    fn who(&mut self, context: &Context) {
        self.leaf("BusinessUnitId", context.business_unit_id);
        self.leaf("CorrelationId", context.correlation_id);
        self.leaf("Depth", context.depth);
        if context.layout >= Layout::Current {
            self.nullable(
                "InitiatingUserAgent",
                context.initiating_user_agent.as_deref(),
            );
        }
        if context.layout >= Layout::BeforeUserAgent {
            self.leaf(
                "InitiatingUserAzureActiveDirectoryObjectId",
                context.initiating_user_azure_id,
            );
        }
        self.leaf("InitiatingUserId", context.initiating_user_id);
    }

    fn what(&mut self, context: &Context) {
        self.bag("InputParameters", None, &context.input_parameters);
        self.leaf("IsExecutingOffline", false);
        self.leaf("IsInTransaction", context.is_in_transaction);
        self.leaf("IsOfflinePlayback", false);
        self.leaf("IsolationMode", 1);
        self.nullable("MessageName", Some(context.message_name));
        self.leaf("Mode", context.mode as u8);
        self.leaf(
            "OperationCreatedOn",
            date_text(context.operation_created_on),
        );
        self.leaf("OperationId", context.operation_id);
    }

    fn which(&mut self, context: &Context) {
        self.leaf("OrganizationId", context.organization_id);
        self.nullable("OrganizationName", Some(&context.organization_name));
        self.bag("OutputParameters", None, &context.output_parameters);
        self.element("OwningExtension", |xml| {
            xml.entity_reference(&context.owning_extension)
        });
        self.element("ParentContext", |xml| match &context.parent_context {
            Some(parent) => xml.context(parent),
            None => xml.nil(),
        });
        self.images("PostEntityImages", &context.post_entity_images);
        self.images("PreEntityImages", &context.pre_entity_images);
    }

    fn about(&mut self, context: &Context) {
        self.leaf("PrimaryEntityId", context.primary_entity_id);
        self.nullable("PrimaryEntityName", Some(context.primary_entity_name));
        self.leaf("RequestId", context.request_id);
        self.nullable("SecondaryEntityName", Some("none"));
        self.bag("SharedVariables", None, &context.shared_variables);
        self.leaf("Stage", context.stage as u8);
        if context.layout >= Layout::BeforeUserAgent {
            self.leaf("UserAzureActiveDirectoryObjectId", context.user_azure_id);
        }
        self.leaf("UserId", context.user_id);
    }

    /// Its items are in `namespace`, their key and value in the one of `KeyValuePair`.
    fn bag(&mut self, name: &str, namespace: Option<&'static str>, bag: &Bag) {
        self.element(name, |xml| {
            let item = match namespace {
                Some(namespace) => format!("{}:{PAIR}", xml.prefix(namespace)),
                None => PAIR.to_owned(),
            };
            let pairs = xml.prefix(GENERIC);
            for (key, value) in bag {
                xml.element(&item, |xml| {
                    xml.nullable(&format!("{pairs}:key"), Some(key));
                    xml.element(&format!("{pairs}:value"), |xml| xml.value(value));
                });
            }
        });
    }

    /// An image is an `Entity` by contract, so it says no type.
    fn images(&mut self, name: &str, images: &[(&'static str, Entity)]) {
        self.element(name, |xml| {
            let pairs = xml.prefix(GENERIC);
            for (key, image) in images {
                xml.element(IMAGE_PAIR, |xml| {
                    xml.nullable(&format!("{pairs}:key"), Some(key));
                    xml.element(&format!("{pairs}:value"), |xml| xml.entity(image));
                });
            }
        });
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.nil(),
            Value::Text(text) => self.foreign("string", SCHEMA, |xml, _| xml.content(text)),
            Value::Bool(flag) => self.primitive("boolean", SCHEMA, flag),
            Value::Int(number) => self.primitive("int", SCHEMA, number),
            Value::Long(number) => self.primitive("long", SCHEMA, number),
            Value::Double(number) => self.primitive("double", SCHEMA, number),
            Value::Decimal(number) => self.primitive("decimal", SCHEMA, number),
            Value::Guid(guid) => self.primitive("guid", SERIALIZATION, guid),
            Value::Date(date) => self.primitive("dateTime", SCHEMA, date_text(*date)),
            Value::Money(amount) => self.own("Money", |xml| xml.leaf("Value", amount)),
            Value::Choice(option) => {
                self.own("OptionSetValue", |xml| xml.leaf("Value", option));
            }
            Value::Choices(options) => self.options(options),
            Value::EntityReference(reference) => {
                self.own("EntityReference", |xml| xml.entity_reference(reference));
            }
            Value::EntityReferenceCollection(references) => self.references(references),
            Value::Entity(entity) => self.own("Entity", |xml| xml.entity(entity)),
            Value::EntityCollection(rows) => self.own("EntityCollection", |xml| xml.rows(rows)),
            Value::Relationship(relationship) => {
                self.own("Relationship", |xml| xml.relationship(relationship));
            }
            Value::Entities(entities) => self.own("ArrayOfEntity", |xml| xml.entities(entities)),
            Value::Texts(texts) => self.texts(texts),
            Value::Guids(guids) => self.guids(guids),
            Value::Pairs(pairs) => self.pairs(pairs),
        }
    }

    fn entity(&mut self, entity: &Entity) {
        self.bag("Attributes", None, &entity.attributes);
        let state = entity.entity_state.map(|state| match state {
            EntityState::Created => "Created",
            EntityState::Changed => "Changed",
        });
        self.nullable("EntityState", state);
        self.formatted_values(entity);
        self.leaf("Id", entity.id);
        self.bag("KeyAttributes", Some(CONTRACTS_7_1), &entity.key_attributes);
        self.nullable("LogicalName", Some(entity.logical_name));
        self.related_entities(entity);
        self.nullable("RowVersion", entity.row_version.as_deref());
    }

    fn formatted_values(&mut self, entity: &Entity) {
        self.element("FormattedValues", |xml| {
            let pairs = xml.prefix(GENERIC);
            for (key, value) in &entity.formatted_values {
                xml.element(TEXT_PAIR, |xml| {
                    xml.nullable(&format!("{pairs}:key"), Some(key));
                    xml.nullable(&format!("{pairs}:value"), value.as_deref());
                });
            }
        });
    }

    fn related_entities(&mut self, entity: &Entity) {
        self.element("RelatedEntities", |xml| {
            let pairs = xml.prefix(GENERIC);
            for (relationship, rows) in &entity.related_entities {
                xml.element(RELATED_PAIR, |xml| {
                    xml.element(&format!("{pairs}:key"), |xml| {
                        xml.relationship(relationship)
                    });
                    xml.element(&format!("{pairs}:value"), |xml| xml.rows(rows));
                });
            }
        });
    }

    fn entity_reference(&mut self, reference: &EntityReference) {
        self.leaf("Id", reference.id);
        self.bag(
            "KeyAttributes",
            Some(CONTRACTS_7_1),
            &reference.key_attributes,
        );
        self.nullable("LogicalName", Some(reference.logical_name));
        self.nullable("Name", reference.name.as_deref());
        self.nullable("RowVersion", reference.row_version.as_deref());
    }

    fn entities(&mut self, entities: &[Entity]) {
        for entity in entities {
            self.element("Entity", |xml| xml.entity(entity));
        }
    }

    fn rows(&mut self, rows: &EntityCollection) {
        self.element("Entities", |xml| xml.entities(&rows.entities));
        self.nullable("EntityName", rows.entity_name);
        self.nullable("MinActiveRowVersion", None);
        self.leaf("MoreRecords", false);
        self.nullable("PagingCookie", None);
        self.leaf("TotalRecordCount", 0);
        self.leaf("TotalRecordCountLimitExceeded", false);
    }

    fn relationship(&mut self, relationship: &Relationship) {
        let role = relationship.primary_entity_role.map(|role| match role {
            EntityRole::Referencing => "Referencing",
            EntityRole::Referenced => "Referenced",
        });
        self.nullable("PrimaryEntityRole", role);
        self.nullable("SchemaName", Some(relationship.schema_name));
    }

    /// The items are in the namespace of the collection, what is in them in that of the option.
    fn options(&mut self, options: &[i32]) {
        self.foreign("OptionSetValueCollection", CONTRACTS_9_0, |xml, prefix| {
            for option in options {
                xml.element(&format!("{prefix}:OptionSetValue"), |xml| {
                    xml.leaf("Value", option)
                });
            }
        });
    }

    fn references(&mut self, references: &[EntityReference]) {
        self.own("EntityReferenceCollection", |xml| {
            for reference in references {
                xml.element("EntityReference", |xml| xml.entity_reference(reference));
            }
        });
    }

    fn texts(&mut self, texts: &[Text]) {
        self.foreign("ArrayOfstring", ARRAYS, |xml, prefix| {
            for text in texts {
                xml.nullable(&format!("{prefix}:string"), Some(text));
            }
        });
    }

    fn guids(&mut self, guids: &[Guid]) {
        self.foreign("ArrayOfguid", ARRAYS, |xml, prefix| {
            for guid in guids {
                xml.leaf(&format!("{prefix}:guid"), guid);
            }
        });
    }

    fn pairs(&mut self, pairs: &[(&'static str, &'static str)]) {
        self.foreign(
            "ArrayOfKeyValuePairOfstringstring",
            GENERIC,
            |xml, prefix| {
                for (key, value) in pairs {
                    xml.element(&format!("{prefix}:{TEXT_PAIR}"), |xml| {
                        xml.nullable(&format!("{prefix}:key"), Some(key));
                        xml.nullable(&format!("{prefix}:value"), Some(value));
                    });
                }
            },
        );
    }
}

/// `xs:dateTime`: `Z` for UTC, nothing for the unspecified kind, no trailing zeros.
fn date_text(date: Date) -> String {
    let (at, zone) = match date {
        Date::Utc(at) => (at, "Z"),
        Date::Unspecified(at) => (at, ""),
    };
    let seconds = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let text = at
        .format(seconds)
        .expect("these components are in every date");
    match at.millisecond() {
        0 => format!("{text}{zone}"),
        milliseconds => {
            let fraction = format!("{milliseconds:03}");
            format!("{text}.{}{zone}", fraction.trim_end_matches('0'))
        }
    }
}
