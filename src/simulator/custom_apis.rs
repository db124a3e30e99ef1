//! The custom APIs of the organization: messages with parameters that nobody else has.
//!
//! Spec: "Create and use custom APIs" for the types that parameters may have.

use super::contract::{Date, Decimal, Entity, EntityCollection, Guid, Value};
use super::operations::Operation;
use super::words;
use super::world::World;

/// A custom API of no table, with simple types in and out.
pub(crate) fn score_customer(world: &mut World) -> Operation {
    let place = world.row_of("account");
    let parameters = vec![
        (
            "Customer",
            Value::EntityReference(world.rows[place].reference()),
        ),
        (
            "Threshold",
            Value::Decimal(Decimal {
                digits: world.dice.i64(1..1_000),
                scale: 3,
            }),
        ),
        ("Since", Value::Date(Date::Utc(world.now()))),
        (
            "Topics",
            Value::Texts(vec![
                world.pick(words::PRODUCTS).into(),
                world.pick(words::TOPICS).into(),
            ]),
        ),
        ("DryRun", Value::Bool(world.dice.bool())),
    ];
    let mut operation = Operation::new("new_ScoreCustomer", "none", Guid::ZERO, parameters);
    operation.output = vec![
        ("Score", Value::Int(world.dice.i32(0..100))),
        (
            "Confidence",
            Value::Double(f64::from(world.dice.i32(1..9_999)) / 10_000.0),
        ),
        (
            "Explanation",
            Value::Text(world.pick(words::SENTENCES).into()),
        ),
    ];
    operation
}

/// A custom API of no table that takes rows.
pub(crate) fn sync_inventory(world: &mut World) -> Operation {
    let item = |world: &mut World| {
        let item = vec![
            ("sku", Value::Text(world.pick(words::PRODUCTS).into())),
            ("onhand", Value::Int(world.dice.i32(0..5_000))),
            (
                "price",
                Value::Money(Decimal {
                    digits: world.dice.i64(99..99_999),
                    scale: 2,
                }),
            ),
        ];
        Entity::new("new_stockitem", Guid::ZERO, item)
    };
    let entities = (0..world.dice.usize(2..=5)).map(|_| item(world)).collect();
    let items = EntityCollection {
        entities,
        entity_name: None,
    };
    let parameters = vec![
        ("Warehouse", Value::Text(world.pick(words::CITIES).into())),
        ("Items", Value::EntityCollection(items)),
        ("Comment", Value::Null),
    ];
    let mut operation = Operation::new("cr123_SyncInventory", "none", Guid::ZERO, parameters);
    operation.output = vec![("Accepted", Value::Int(world.dice.i32(0..6)))];
    operation
}

/// A custom API that is bound to a table.
pub(crate) fn send_reminder(world: &mut World) -> Operation {
    let place = world.row_of("incident");
    let row = &world.rows[place];
    let (table_name, id, name_image) = (row.table.name, row.id, row.name_image());
    let parameters = vec![
        ("Target", Value::EntityReference(row.reference())),
        ("Text", Value::Text(world.pick(words::SENTENCES).into())),
        ("Urgency", Value::Choice(world.dice.i32(1..=3))),
    ];
    let mut operation = Operation::new("new_SendReminder", table_name, id, parameters);
    operation.name_image = Some(name_image);
    operation
}
