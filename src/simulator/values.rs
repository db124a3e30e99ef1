//! What the dice put into a column.

use time::{Duration, Time};

use super::contract::{Date, Decimal, Entity, EntityCollection, Value};
use super::tables::{Kind, Labels, Naming};
use super::words;
use super::world::{Currency, World};

pub(crate) fn primary_name(naming: Naming, world: &mut World) -> String {
    let product = world.pick(words::PRODUCTS);
    match naming {
        Naming::Company | Naming::Person => {
            format!(
                "{}{}",
                world.pick(words::COMPANIES),
                world.pick(words::COMPANY_FORMS)
            )
        }
        Naming::Topic => format!("{} {product}", world.pick(words::TOPICS)),
        Naming::Complaint => format!("The {product} {}", world.pick(words::COMPLAINTS)),
        Naming::Chore => format!("{} {product}", world.pick(words::CHORES)),
        Naming::Numbered(prefix) => number(prefix, world),
    }
}

fn number(prefix: &str, world: &mut World) -> String {
    format!(
        "{prefix}{:05}-{:03X}",
        world.dice.u32(1..99_999),
        world.dice.u32(1..0xfff)
    )
}

pub(crate) fn draw_value(kind: Kind, table_name: &'static str, world: &mut World) -> Value {
    match kind {
        Kind::Text(choices) => Value::Text(world.pick(choices).into()),
        Kind::Memo => Value::Text(memo(world).into()),
        Kind::Phone => Value::Text(format!("+1 425 555 01{:02}", world.dice.u32(0..100)).into()),
        Kind::Email => Value::Text(email_address(world).into()),
        Kind::Website => {
            Value::Text(format!("https://www.{}.example/", world.pick(DOMAINS)).into())
        }
        Kind::Number(prefix) => Value::Text(number(prefix, world).into()),
        Kind::Int(least, most) => Value::Int(world.dice.i32(least..=most)),
        Kind::Latitude => Value::Double(f64::from(world.dice.i32(350_000..700_000)) / 10_000.0),
        Kind::Decimal(scale) => Value::Decimal(Decimal {
            digits: world.dice.i64(1..9_999),
            scale,
        }),
        Kind::Money(_) => Value::Money(amount(world)),
        Kind::Bool => Value::Bool(world.dice.bool()),
        Kind::Choice(options) => Value::Choice(world.pick(options).0),
        Kind::Choices(options) => Value::Choices(several(options, world)),
        Kind::Moment(days) => {
            let seconds = world.dice.i64(-days * 86_400..days * 86_400);
            Value::Date(Date::Utc(
                world
                    .now()
                    .saturating_add(Duration::seconds(seconds / 900 * 900)),
            ))
        }
        Kind::Day(days) => {
            let away = Duration::days(world.dice.i64(0..days.abs()) * days.signum());
            let day = world.now().saturating_add(away);
            Value::Date(Date::Utc(day.replace_time(Time::MIDNIGHT)))
        }
        Kind::Lookup(tables) => lookup(tables, world),
        Kind::Parties(role) => parties(role, table_name, world),
    }
}

const DOMAINS: &[&str] = &[
    "contoso",
    "fabrikam",
    "tailspintoys",
    "proseware",
    "litware",
];

fn memo(world: &mut World) -> String {
    let count = world.dice.usize(1..=4);
    let breaks = ["\n", "\r\n", " ", "\n\t- "];
    let mut text = world.pick(words::SENTENCES).to_owned();
    for _ in 1..count {
        text.push_str(world.pick(&breaks));
        text.push_str(world.pick(words::SENTENCES));
    }
    text
}

fn email_address(world: &mut World) -> String {
    let local = world.pick(&[
        "info",
        "sales",
        "a.sample",
        "j.mustermann",
        "support+b2b",
        "service",
    ]);
    format!("{local}@{}.example", world.pick(DOMAINS))
}

/// Round prices are the likelier ones.
fn amount(world: &mut World) -> Decimal {
    match world.dice.u8(0..3) {
        0 => Decimal {
            digits: world.dice.i64(1..500) * 1_000,
            scale: 0,
        },
        1 => Decimal {
            digits: world.dice.i64(100..9_999_999),
            scale: 2,
        },
        _ => Decimal {
            digits: world.dice.i64(100..9_999_999) * 100,
            scale: 4,
        },
    }
}

/// In the currency of the organization, with four digits.
pub(crate) fn in_base_currency(amount: Decimal, currency: &Currency) -> Decimal {
    if currency.rate.digits == 10_000_000_000 {
        return amount;
    }
    let digits = i128::from(amount.digits) * 10_i128.pow(4 - u32::from(amount.scale.min(4)));
    let base = digits * 10_000_000_000 / i128::from(currency.rate.digits);
    Decimal {
        digits: i64::try_from(base).unwrap_or(i64::MAX),
        scale: 4,
    }
}

fn several(options: Labels, world: &mut World) -> Vec<i32> {
    let chosen = options.iter().filter(|_| world.dice.bool());
    let mut numbers: Vec<i32> = chosen.map(|option| option.0).collect();
    if numbers.is_empty() {
        numbers.push(options[0].0);
    }
    numbers
}

fn lookup(tables: &[&'static str], world: &mut World) -> Value {
    let table_name = world.pick(tables);
    match world.existing_row_of(table_name) {
        Some(place) => {
            let row = &world.rows[place];
            Value::EntityReference(row.reference().named(row.name()))
        }
        None => Value::Null,
    }
}

/// The activity parties of one role; a few clients send them as a bare array.
fn parties(role: i32, table_name: &'static str, world: &mut World) -> Value {
    let count = if role == 1 {
        1
    } else {
        world.dice.usize(1..=3)
    };
    let entities: Vec<Entity> = (0..count).map(|_| party(role, table_name, world)).collect();
    if world.chance(15) {
        Value::Entities(entities)
    } else {
        Value::EntityCollection(EntityCollection {
            entities,
            entity_name: Some("activityparty"),
        })
    }
}

fn party(role: i32, table_name: &'static str, world: &mut World) -> Entity {
    let id = world.sequential_guid();
    let who = match lookup(&["contact", "account"], world) {
        Value::Null => Value::EntityReference(world.user().reference),
        found => found,
    };
    let attributes = vec![
        ("activitypartyid", Value::Guid(id)),
        ("partyid", who),
        ("participationtypemask", Value::Choice(role)),
        ("addressused", Value::Text(email_address(world).into())),
        ("ispartydeleted", Value::Bool(false)),
        ("instancetypecode", Value::Choice(0)),
    ];
    let mut party = Entity::new("activityparty", id, attributes);
    let label = match (role, table_name) {
        (1, _) => "Sender",
        (2, _) => "To Recipient",
        _ => "CC Recipient",
    };
    party
        .formatted_values
        .push(("participationtypemask", Some(label.into())));
    party
}
