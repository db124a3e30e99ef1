//! Any context that the writers can be told: every kind of value, in one another, with odd texts and numbers.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use time::OffsetDateTime;

use crate::simulator::contract::{
    Bag, Context, Date, Decimal, Entity, EntityCollection, EntityReference, EntityRole,
    EntityState, Guid, Layout, Mode, Relationship, Stage, Text, Value,
};

/// A context with up to two parents.
pub(super) fn context(text: BoxedStrategy<String>) -> BoxedStrategy<Context> {
    let alone = one_context(&text, Just(None).boxed());
    let with_parent = one_context(&text, alone.clone().prop_map(Some).boxed());
    let with_two = one_context(&text, with_parent.clone().prop_map(Some).boxed());
    prop_oneof![4 => alone, 2 => with_parent, 1 => with_two].boxed()
}

fn one_context(
    text: &BoxedStrategy<String>,
    parent: BoxedStrategy<Option<Context>>,
) -> BoxedStrategy<Context> {
    let value = value(text);
    let bag = bag(text, &value);
    let entity = entity(text, &value);
    let images = vec((fixed(text), entity), 0..2).prop_map(unique).boxed();
    let bags = (bag.clone(), bag.clone(), bag);
    let texts = (
        option::of(text.clone()),
        fixed(text),
        text.clone(),
        fixed(text),
    );
    let kinds = (
        prop_oneof![
            Just(Layout::BeforeAzureIds),
            Just(Layout::BeforeUserAgent),
            Just(Layout::Current)
        ],
        prop_oneof![Just(Mode::Synchronous), Just(Mode::Asynchronous)],
        prop_oneof![Just(Stage::MainOperation), Just(Stage::PostOperation)],
        any::<bool>(),
        any::<u32>(),
    );
    let extension = reference(text, &value);
    let rest = ((images.clone(), images), vec(guid(), 10), date(), extension);
    let parts = (bags, texts, kinds, rest, parent);
    parts
        .prop_map(|(bags, texts, kinds, rest, parent)| {
            let ((post_entity_images, pre_entity_images), ids, date, owning_extension) = rest;
            let (initiating_user_agent, message_name, organization_name, primary_entity_name) =
                texts;
            Context {
                layout: kinds.0,
                business_unit_id: ids[0],
                correlation_id: ids[1],
                depth: kinds.4,
                initiating_user_agent: initiating_user_agent.map(Text::from),
                initiating_user_azure_id: ids[2],
                initiating_user_id: ids[3],
                input_parameters: bags.0,
                is_in_transaction: kinds.3,
                message_name,
                mode: kinds.1,
                operation_created_on: date,
                operation_id: ids[4],
                organization_id: ids[5],
                organization_name: organization_name.into(),
                output_parameters: bags.1,
                owning_extension,
                parent_context: parent.map(Box::new),
                post_entity_images,
                pre_entity_images,
                primary_entity_id: ids[6],
                primary_entity_name,
                request_id: ids[7],
                shared_variables: bags.2,
                stage: kinds.2,
                user_azure_id: ids[8],
                user_id: ids[9],
            }
        })
        .boxed()
}

/// A value of any kind, rows in rows down to the third level.
fn value(text: &BoxedStrategy<String>) -> BoxedStrategy<Value> {
    let simple = simple(text);
    let text = text.clone();
    simple
        .prop_recursive(3, 12, 3, move |inner| {
            let inner = inner.boxed();
            let (entity, reference) = (entity(&text, &inner), reference(&text, &inner));
            prop_oneof![
                entity.clone().prop_map(|row| Value::Entity(Box::new(row))),
                vec(entity.clone(), 0..3).prop_map(Value::Entities),
                rows(&text, &entity).prop_map(Value::EntityCollection),
                reference.clone().prop_map(Value::EntityReference),
                vec(reference, 0..3).prop_map(Value::EntityReferenceCollection),
            ]
        })
        .boxed()
}

fn simple(text: &BoxedStrategy<String>) -> BoxedStrategy<Value> {
    let owned = text.clone().prop_map(Text::from).boxed();
    let pairs = vec((fixed(text), fixed(text)), 0..3).prop_map(unique);
    prop_oneof![
        Just(Value::Null),
        owned.clone().prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Long),
        finite().prop_map(Value::Double),
        decimal().prop_map(Value::Decimal),
        guid().prop_map(Value::Guid),
        date().prop_map(Value::Date),
        decimal().prop_map(Value::Money),
        any::<i32>().prop_map(Value::Choice),
        vec(any::<i32>(), 0..3).prop_map(Value::Choices),
        relationship(text).prop_map(Value::Relationship),
        vec(owned, 0..3).prop_map(Value::Texts),
        vec(guid(), 0..3).prop_map(Value::Guids),
        pairs.prop_map(Value::Pairs),
    ]
    .boxed()
}

fn entity(text: &BoxedStrategy<String>, value: &BoxedStrategy<Value>) -> BoxedStrategy<Entity> {
    let leaf = simple(text);
    let row = || {
        let state = option::of(prop_oneof![
            Just(EntityState::Created),
            Just(EntityState::Changed)
        ]);
        let formatted = vec(
            (fixed(text), option::of(text.clone().prop_map(Text::from))),
            0..2,
        );
        let version = option::of(text.clone().prop_map(Text::from));
        (
            fixed(text),
            guid(),
            state,
            formatted.prop_map(unique),
            version,
            bag(text, &leaf),
        )
    };
    let whole = |parts, attributes, related_entities| {
        let (logical_name, id, entity_state, formatted_values, row_version, key_attributes) = parts;
        Entity {
            entity_state,
            formatted_values,
            key_attributes,
            related_entities,
            row_version,
            ..Entity::new(logical_name, id, attributes)
        }
    };
    let plain = (row(), bag(text, &leaf))
        .prop_map(move |(parts, attributes)| whole(parts, attributes, Vec::new()))
        .boxed();
    let related = vec((relationship(text), rows(text, &plain)), 0..2);
    (row(), bag(text, value), related)
        .prop_map(move |(parts, attributes, related)| whole(parts, attributes, related))
        .boxed()
}

fn rows(
    text: &BoxedStrategy<String>,
    entity: &BoxedStrategy<Entity>,
) -> BoxedStrategy<EntityCollection> {
    (vec(entity.clone(), 0..3), option::of(fixed(text)))
        .prop_map(|(entities, entity_name)| EntityCollection {
            entities,
            entity_name,
        })
        .boxed()
}

fn reference(
    text: &BoxedStrategy<String>,
    value: &BoxedStrategy<Value>,
) -> BoxedStrategy<EntityReference> {
    let texts = (option::of(text.clone()), option::of(text.clone()));
    (fixed(text), guid(), bag(text, value), texts)
        .prop_map(
            |(logical_name, id, key_attributes, (name, version))| EntityReference {
                key_attributes,
                name: name.map(Text::from),
                row_version: version.map(Text::from),
                ..EntityReference::new(logical_name, id)
            },
        )
        .boxed()
}

fn relationship(text: &BoxedStrategy<String>) -> BoxedStrategy<Relationship> {
    let role = prop_oneof![Just(EntityRole::Referencing), Just(EntityRole::Referenced)];
    (option::of(role), fixed(text))
        .prop_map(|(primary_entity_role, schema_name)| Relationship {
            primary_entity_role,
            schema_name,
        })
        .boxed()
}

fn bag(text: &BoxedStrategy<String>, value: &BoxedStrategy<Value>) -> BoxedStrategy<Bag> {
    vec((fixed(text), value.clone()), 0..4)
        .prop_map(unique)
        .boxed()
}

/// Each key once, as in a dictionary.
fn unique<T>(entries: Vec<(&'static str, T)>) -> Vec<(&'static str, T)> {
    let mut seen = std::collections::HashSet::new();
    entries
        .into_iter()
        .filter(|(key, _)| seen.insert(*key))
        .collect()
}

/// A text that the writers take for one known when the program is built; the test ends soon.
fn fixed(text: &BoxedStrategy<String>) -> impl Strategy<Value = &'static str> + use<> {
    text.clone().prop_map(|text| &*text.leak())
}

fn guid() -> impl Strategy<Value = Guid> {
    any::<u128>().prop_map(Guid)
}

/// From the first millisecond of the calendar to the last: the writers tell no less.
fn date() -> impl Strategy<Value = Date> {
    let milliseconds = -62_135_596_800_000..=253_402_300_799_999_i64;
    let some = prop_oneof![
        milliseconds.clone(),
        Just(*milliseconds.start()),
        Just(*milliseconds.end()),
        Just(0)
    ];
    (some, any::<bool>()).prop_map(|(milliseconds, is_utc)| {
        let nanoseconds = i128::from(milliseconds) * 1_000_000;
        let at = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).expect("in the calendar");
        if is_utc {
            Date::Utc(at)
        } else {
            Date::Unspecified(at)
        }
    })
}

fn decimal() -> impl Strategy<Value = Decimal> {
    (any::<i64>(), 0..=28_u8).prop_map(|(digits, scale)| Decimal { digits, scale })
}

/// The writers tell no infinities.
fn finite() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}
