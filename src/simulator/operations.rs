//! What happens to the rows: one operation of Dataverse at a time, with what the caller sent, what
//! came of it, and the images before and after.
//!
//! Spec: the request classes of `Microsoft.Xrm.Sdk.Messages` and `Microsoft.Crm.Sdk.Messages` for the
//! names of parameters.

use super::contract::{
    Bag, Date, Entity, EntityCollection, EntityReference, EntityRole, Guid, Relationship, Value,
};
use super::custom_apis::{score_customer, send_reminder, sync_inventory};
use super::row::Row;
use super::tables::{Images, LINKS, Link, Naming};
use super::words;
use super::world::World;

/// One operation, before a step's context is put around it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) message_name: &'static str,
    /// "none" for messages that are of no table.
    pub(crate) table_name: &'static str,
    pub(crate) row: Guid,
    /// The input parameters as the caller gave them.
    pub(crate) sent: Bag,
    /// The input parameters after the pipeline.
    pub(crate) input: Bag,
    pub(crate) output: Bag,
    pub(crate) pre_image: Option<Entity>,
    pub(crate) post_image: Option<Entity>,
    /// Id and name of the row, where there still is one.
    pub(crate) name_image: Option<Entity>,
}

impl Operation {
    /// The next thing to happen.
    pub(crate) fn next(world: &mut World) -> Self {
        let total = KINDS.iter().map(|(weight, _)| weight).sum();
        let mut left: u32 = world.dice.u32(0..total);
        for (weight, kind) in KINDS {
            if left < *weight {
                return kind(world);
            }
            left -= weight;
        }
        update(world)
    }

    /// Can be told in full only with input parameters or images: one that a size limit may cut.
    pub(crate) fn is_about_columns(&self) -> bool {
        matches!(
            self.message_name,
            "Create" | "Update" | "CreateMultiple" | "UpdateMultiple"
        )
    }

    pub(crate) fn new(
        message_name: &'static str,
        table_name: &'static str,
        row: Guid,
        input: Bag,
    ) -> Self {
        Self {
            message_name,
            table_name,
            row,
            sent: input.clone(),
            input,
            output: Vec::new(),
            pre_image: None,
            post_image: None,
            name_image: None,
        }
    }

    /// A message about one row whose parameters the pipeline does not touch.
    fn about(message_name: &'static str, before: &Row, after: &Row, input: Bag) -> Self {
        let mut operation = Self::new(message_name, after.table.name, after.id, input);
        operation.take_images(before, after);
        operation
    }

    fn take_images(&mut self, before: &Row, after: &Row) {
        let images = after.table.images;
        self.pre_image = (images != Images::None).then(|| before.image());
        self.post_image = (images == Images::BeforeAndAfter).then(|| after.image());
        self.name_image = Some(after.name_image());
    }
}

type Kind = fn(&mut World) -> Operation;

/// Everything that can happen, and how often beside the others.
const KINDS: &[(u32, Kind)] = &[
    (25, create),
    (38, update),
    (5, assign),
    (6, set_state),
    (5, associate),
    (3, disassociate),
    (5, delete),
    (3, create_multiple),
    (3, update_multiple),
    (3, upsert),
    (2, score_customer),
    (2, sync_inventory),
    (2, send_reminder),
];

fn create(world: &mut World) -> Operation {
    let table = world.table();
    let row = Row::draw(table, world);
    let mut sent = Entity::new(table.name, row.id, row.attributes(&row.own_columns()));
    if table.naming == Naming::Company && world.chance(12) {
        sent.related_entities.push(with_new_contacts(world));
    }
    let mut done = Entity::new(table.name, row.id, row.attributes(&row.all_columns()));
    world.dice.shuffle(&mut done.attributes);
    done.formatted_values = row.formatted_values(&done.attributes);
    let mut operation = Operation::new("Create", table.name, row.id, target(done));
    operation.sent = target(sent);
    operation.output = vec![("id", Value::Guid(row.id))];
    operation.post_image = (table.images == Images::BeforeAndAfter).then(|| row.image());
    operation.name_image = Some(row.name_image());
    world.keep(row);
    operation
}

/// Rows that are created together with an account, their ids still unknown.
fn with_new_contacts(world: &mut World) -> (Relationship, EntityCollection) {
    let contact = |world: &mut World| {
        let names = vec![
            (
                "firstname",
                Value::Text(world.pick(words::FIRST_NAMES).into()),
            ),
            (
                "lastname",
                Value::Text(world.pick(words::LAST_NAMES).into()),
            ),
        ];
        Entity::new("contact", Guid::ZERO, names)
    };
    let entities = (0..world.dice.usize(1..=2))
        .map(|_| contact(world))
        .collect();
    let role = Some(EntityRole::Referenced);
    (
        Relationship {
            primary_entity_role: role,
            schema_name: "contact_customer_accounts",
        },
        EntityCollection {
            entities,
            entity_name: Some("contact"),
        },
    )
}

fn update(world: &mut World) -> Operation {
    let place = world.row();
    let before = world.rows[place].clone();
    let (sent, done) = update_row(place, world);
    let mut operation = Operation::new("Update", before.table.name, before.id, target(done));
    operation.sent = target(sent);
    operation.take_images(&before, &world.rows[place]);
    operation
}

/// Changes a row. Tells what the caller sent for that and what the pipeline made of it.
fn update_row(place: usize, world: &mut World) -> (Entity, Entity) {
    let mut row = world.rows[place].clone();
    let mut changed = row.change(world);
    touch(&mut row, world);
    changed.push(row.table.id);
    let sent = Entity::new(row.table.name, row.id, row.attributes(&changed));
    changed.extend(row.consequences(&changed));
    changed.extend(["modifiedon", "modifiedby", "modifiedonbehalfby"]);
    let mut done = Entity::new(row.table.name, row.id, row.attributes(&changed));
    world.dice.shuffle(&mut done.attributes);
    if world.chance(5) {
        done.row_version = Some(row.version.to_string().into());
    }
    world.rows[place] = row;
    (sent, done)
}

fn touch(row: &mut Row, world: &mut World) {
    row.set("modifiedon", Value::Date(Date::Utc(world.now())));
    row.set(
        "modifiedby",
        Value::EntityReference(world.caller.reference.clone()),
    );
    row.version = world.next_version();
}

fn delete(world: &mut World) -> Operation {
    let place = world.row();
    let row = world.rows.swap_remove(place);
    let parameters = vec![("Target", Value::EntityReference(row.reference()))];
    let mut operation = Operation::new("Delete", row.table.name, row.id, parameters);
    operation.pre_image = Some(row.image());
    operation
}

fn assign(world: &mut World) -> Operation {
    let place = world.row();
    let before = world.rows[place].clone();
    let team = world.organization.teams.clone();
    let assignee = if world.chance(30) {
        world.pick(&team)
    } else {
        world.user().reference
    };
    let mut after = before.clone();
    touch(&mut after, world);
    after.set("ownerid", Value::EntityReference(assignee.clone()));
    let parameters = vec![
        ("Target", Value::EntityReference(before.reference())),
        (
            "Assignee",
            Value::EntityReference(EntityReference::new(assignee.logical_name, assignee.id)),
        ),
    ];
    let operation = Operation::about("Assign", &before, &after, parameters);
    world.rows[place] = after;
    operation
}

fn set_state(world: &mut World) -> Operation {
    let place = world.row();
    let before = world.rows[place].clone();
    let (state, _, reasons) = world.pick(before.table.states);
    let (reason, _) = world.pick(reasons);
    let mut after = before.clone();
    touch(&mut after, world);
    after.set("statecode", Value::Choice(state));
    after.set("statuscode", Value::Choice(reason));
    let parameters = vec![
        ("EntityMoniker", Value::EntityReference(before.reference())),
        ("State", Value::Choice(state)),
        ("Status", Value::Choice(reason)),
    ];
    let message_name = if world.chance(20) {
        "SetStateDynamicEntity"
    } else {
        "SetState"
    };
    let operation = Operation::about(message_name, &before, &after, parameters);
    world.rows[place] = after;
    operation
}

fn associate(world: &mut World) -> Operation {
    relate("Associate", world)
}

fn disassociate(world: &mut World) -> Operation {
    relate("Disassociate", world)
}

/// Both are messages of no table: the rows are in the parameters alone.
fn relate(message_name: &'static str, world: &mut World) -> Operation {
    let link = &LINKS[world.dice.usize(..LINKS.len())];
    let place = world.row_of(link.table);
    let one = world.rows[place].reference();
    let others = (0..world.dice.usize(1..=3))
        .map(|_| related_row(link, world))
        .collect();
    let parameters = vec![
        ("Target", Value::EntityReference(one)),
        ("Relationship", Value::Relationship(relationship(link))),
        ("RelatedEntities", Value::EntityReferenceCollection(others)),
    ];
    Operation::new(message_name, "none", Guid::ZERO, parameters)
}

fn related_row(link: &Link, world: &mut World) -> EntityReference {
    let place = world.row_of(link.related);
    let name = world.rows[place].name();
    let reference = world.rows[place].reference();
    if world.chance(30) {
        reference.named(name)
    } else {
        reference
    }
}

fn relationship(link: &Link) -> Relationship {
    let role = |is_referenced| {
        if is_referenced {
            EntityRole::Referenced
        } else {
            EntityRole::Referencing
        }
    };
    Relationship {
        primary_entity_role: link.is_referenced.map(role),
        schema_name: link.schema_name,
    }
}

/// Inspections come in batches, from a machine.
fn create_multiple(world: &mut World) -> Operation {
    let place = world.row_of("new_inspection");
    let table = world.rows[place].table;
    let rows: Vec<Row> = (0..world.dice.usize(2..=4))
        .map(|_| Row::draw(table, world))
        .collect();
    let ids = rows.iter().map(|row| row.id).collect();
    let entity = |row: &Row, names: &[_]| Entity::new(table.name, row.id, row.attributes(names));
    let sent = rows
        .iter()
        .map(|row| entity(row, &row.own_columns()))
        .collect();
    let done = rows
        .iter()
        .map(|row| entity(row, &row.all_columns()))
        .collect();
    let mut operation = Operation::new(
        "CreateMultiple",
        table.name,
        Guid::ZERO,
        targets(done, table.name),
    );
    operation.sent = targets(sent, table.name);
    operation.output = vec![("Ids", Value::Guids(ids))];
    for row in rows {
        world.keep(row);
    }
    operation
}

fn update_multiple(world: &mut World) -> Operation {
    let place = world.row();
    let table_name = world.rows[place].table.name;
    let mut places = vec![place, world.row_of(table_name), world.row_of(table_name)];
    places.sort_unstable();
    places.dedup();
    let (sent, done) = places
        .into_iter()
        .map(|place| update_row(place, world))
        .unzip();
    let mut operation = Operation::new(
        "UpdateMultiple",
        table_name,
        Guid::ZERO,
        targets(done, table_name),
    );
    operation.sent = targets(sent, table_name);
    operation
}

/// An account that another system knows by its number: an alternate key, and no id.
fn upsert(world: &mut World) -> Operation {
    let place = world.row_of("account");
    let (mut sent, mut done) = update_row(place, world);
    let row = &world.rows[place];
    let number = row.get("accountnumber").cloned();
    let key = vec![(
        "accountnumber",
        number.unwrap_or_else(|| Value::Text("A-00000".into())),
    )];
    for entity in [&mut sent, &mut done] {
        entity.id = Guid::ZERO;
        entity.key_attributes.clone_from(&key);
        entity.attributes.retain(|(name, _)| *name != "accountid");
    }
    let (table_name, id) = (row.table.name, row.id);
    let mut operation = Operation::new("Upsert", table_name, id, target(done));
    operation.sent = target(sent);
    operation.output = vec![
        ("RecordCreated", Value::Bool(false)),
        ("Target", Value::EntityReference(row.reference())),
    ];
    operation.name_image = Some(row.name_image());
    operation
}

fn target(entity: Entity) -> Bag {
    vec![("Target", Value::Entity(Box::new(entity)))]
}

fn targets(entities: Vec<Entity>, entity_name: &'static str) -> Bag {
    vec![(
        "Targets",
        Value::EntityCollection(EntityCollection {
            entities,
            entity_name: Some(entity_name),
        }),
    )]
}
