//! What the truth files say, as the document that it must become. Shares no code with the decoder.
//!
//! `NAME.expected.json` describes the object graph that was written, `NAME.expected-json.json` what is
//! left of it in JSON: members in snake case, values with their types, bags as arrays of pairs.

use super::calendar::{
    TICKS_PER_MILLISECOND, UNIX_EPOCH_TICKS, minutes, render, trimmed, wire_date,
};
use super::tree::{Kind, Tree};

/// The members of a context for a whole truth file, with their types.
pub(crate) fn context(truth: &Tree) -> Tree {
    Tree::Object(members(truth, "RemoteExecutionContext", &[]))
}

/// The members for a truth file of JSON, where a string may be a date.
pub(crate) fn json_context(truth: &Tree) -> Tree {
    context(&with_dates(truth))
}

/// The members for a body in the binary format of the .NET Framework, where a local date has become one in
/// UTC, or of .NET Core, where only a local date in an array has.
pub(crate) fn binary_context(truth: &Tree, is_core: bool) -> Tree {
    context(&without_offsets(truth, !is_core))
}

fn without_offsets(truth: &Tree, are_lost: bool) -> Tree {
    match truth {
        Tree::Array(items) => Tree::Array(
            items
                .iter()
                .map(|item| without_offsets(item, are_lost))
                .collect(),
        ),
        Tree::Object(members) => {
            let are_lost = are_lost || truth.text("item") == Some("dateTime");
            let local = are_lost && truth.text("kind") == Some("local");
            let utc = local.then(|| {
                let ticks = milliseconds(truth, "utc_ticks") - UNIX_EPOCH_TICKS;
                Tree::String(render(ticks, "Z"))
            });
            let member = |(name, value): &(String, Tree)| match (name.as_str(), &utc) {
                ("text", Some(utc)) => (name.clone(), utc.clone()),
                _ => (name.clone(), without_offsets(value, are_lost)),
            };
            Tree::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

fn with_dates(truth: &Tree) -> Tree {
    match truth {
        Tree::Array(items) => Tree::Array(items.iter().map(with_dates).collect()),
        Tree::Object(_) if truth.text("type") == Some("string") => Tree::Object(vec![
            ("type".to_owned(), Tree::String("string".to_owned())),
            ("value".to_owned(), dated(truth.text("value").unwrap())),
        ]),
        Tree::Object(members) => {
            let member = |(name, value): &(String, Tree)| (name.clone(), with_dates(value));
            Tree::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

fn dated(text: &str) -> Tree {
    let date = wire_date(text);
    match date == text {
        true => Tree::String(date),
        false => Tree::String(date).typed(Kind::Date),
    }
}

fn members(truth: &Tree, owner: &str, first: &[(&str, Tree)]) -> Vec<(String, Tree)> {
    let Tree::Object(truth) = truth else {
        panic!("no members of {owner}: {truth:?}")
    };
    let first = first
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    let rest = truth
        .iter()
        .filter(|(name, _)| name != "type")
        .map(|(name, value)| (pascal(name), member(owner, name, value)));
    first.chain(rest).collect()
}

fn complex(truth: &Tree, name: &str) -> Tree {
    Tree::Object(members(
        truth,
        name,
        &[("@type", Tree::String(name.to_owned()))],
    ))
}

fn pascal(name: &str) -> String {
    name.split('_')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

fn member(owner: &str, name: &str, truth: &Tree) -> Tree {
    if *truth == Tree::Null {
        return Tree::Null;
    }
    match (owner, name) {
        (_, "operation_created_on") => created_on(truth),
        (_, "parent_context") => complex(truth, "RemoteExecutionContext"),
        ("Entity", "related_entities") => related(truth),
        ("Money", "value") => number(truth).typed(Kind::Decimal),
        ("OptionSetValue", "value") => number(truth).typed(Kind::Integer),
        ("Entity" | "EntityReference", "attributes" | "formatted_values" | "key_attributes") => {
            bag(truth)
        }
        (
            "RemoteExecutionContext",
            "input_parameters" | "output_parameters" | "shared_variables" | "pre_entity_images"
            | "post_entity_images",
        ) => bag(truth),
        (_, "conditions") => each(truth, "ConditionExpression"),
        (_, "filters") => each(truth, "FilterExpression"),
        (_, "link_entities") => each(truth, "LinkEntity"),
        (_, "orders") => each(truth, "OrderExpression"),
        (_, "attribute_expressions") => each(truth, "AttributeExpression"),
        (_, "criteria" | "link_criteria") => complex(truth, "FilterExpression"),
        _ => match truth {
            Tree::Number(_) => truth.clone().typed(Kind::Integer),
            Tree::String(_) if name == "id" || name.ends_with("_id") => {
                truth.clone().typed(Kind::Guid)
            }
            _ => value(truth),
        },
    }
}

fn each(truth: &Tree, name: &str) -> Tree {
    let Tree::Array(items) = truth else {
        panic!("{truth:?}")
    };
    Tree::Array(items.iter().map(|item| complex(item, name)).collect())
}

fn bag(truth: &Tree) -> Tree {
    let Tree::Array(pairs) = truth else {
        panic!("{truth:?}")
    };
    let entry = |pair: &Tree| {
        (
            pair.text("key").unwrap().to_owned(),
            value(pair.get("value").unwrap()),
        )
    };
    let mut entries: Vec<(String, Tree)> = Vec::new();
    for (key, value) in pairs.iter().map(entry) {
        // Of a repeated key the last value stands in the first place.
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some((_, earlier)) => *earlier = value,
            None => entries.push((key, value)),
        }
    }
    Tree::Object(entries).typed(Kind::Bag)
}

fn related(truth: &Tree) -> Tree {
    let Tree::Array(pairs) = truth else {
        panic!("{truth:?}")
    };
    let side = |pair: &Tree, name: &str| (name.to_owned(), value(pair.get(name).unwrap()));
    Tree::Array(
        pairs
            .iter()
            .map(|pair| Tree::Object(vec![side(pair, "key"), side(pair, "value")]))
            .collect(),
    )
}

fn number(truth: &Tree) -> Tree {
    match truth {
        Tree::String(digits) | Tree::Number(digits) => Tree::Number(digits.clone()),
        other => panic!("no number: {other:?}"),
    }
}

/// A value with its type, or one whose type its place tells.
fn value(truth: &Tree) -> Tree {
    if let Tree::Array(items) = truth {
        return Tree::Array(items.iter().map(value).collect());
    }
    let Some(kind) = truth.text("type") else {
        return truth.clone();
    };
    let text = || truth.get("value").unwrap().clone();
    match kind {
        "null" => Tree::Null,
        "bool" => truth.get("value").unwrap().clone(),
        "string" | "duration" | "anyURI" => text(),
        "guid" => text().typed(Kind::Guid),
        "bytes" => text().typed(Kind::Bytes),
        "number" => floating(truth),
        "double" => floating(truth).typed(Kind::Double),
        "float" => floating(truth).typed(Kind::Float),
        "char" => Tree::String(
            char::from_u32(truth.text("value").unwrap().parse().unwrap())
                .unwrap()
                .into(),
        ),
        "datetime" => Tree::String(trimmed(truth.text("text").unwrap())).typed(Kind::Date),
        "date_time_offset" => date_time_offset(truth),
        "enum" => Tree::String(truth.text("member").unwrap().to_owned()),
        "array" => array(truth),
        "entity_reference_collection" => {
            Tree::Array(truth.items("items").iter().map(value).collect())
        }
        "parameter_collection" => bag(truth.get("items").unwrap()),
        "option_set_value_collection" => options(truth),
        "fetch_expression" => fetch(truth),
        _ => complex_or_number(truth, kind),
    }
}

fn complex_or_number(truth: &Tree, kind: &str) -> Tree {
    match kind {
        "entity"
        | "entity_reference"
        | "entity_collection"
        | "option_set_value"
        | "money"
        | "aliased_value"
        | "boolean_managed_property"
        | "relationship"
        | "column_set"
        | "paging_info"
        | "query_expression" => complex(truth, &pascal(kind)),
        "decimal" => number(truth.get("value").unwrap()).typed(Kind::Decimal),
        "int" | "long" | "short" | "byte" | "unsignedByte" | "unsignedShort" | "unsignedInt"
        | "unsignedLong" => number(truth.get("value").unwrap()).typed(Kind::Integer),
        other => panic!("an unknown type in the truth: {other}"),
    }
}

fn floating(truth: &Tree) -> Tree {
    let bits = |name| {
        truth
            .text(name)
            .map(|bits| u64::from_str_radix(bits, 16).unwrap())
    };
    if let Some(literal) = truth.text("literal") {
        return Tree::Number(literal.to_owned());
    }
    let is_float = truth.text("type") == Some("float");
    match (bits("double_bits"), bits("float_bits"), bits("bits")) {
        (Some(bits), _, _) => Tree::Double(bits),
        (_, _, Some(bits)) if !is_float => Tree::Double(bits),
        (_, Some(bits), _) | (_, _, Some(bits)) => Tree::Float(u32::try_from(bits).unwrap()),
        _ => panic!("no number: {truth:?}"),
    }
}

fn array(truth: &Tree) -> Tree {
    let items = truth.items("items");
    let holds_pairs = truth
        .text("item")
        .is_some_and(|item| item.starts_with("KeyValuePair"))
        || items
            .first()
            .is_some_and(|item| item.text("type") == Some("key_value_pair"));
    match holds_pairs {
        true => bag(truth.get("items").unwrap()),
        false => Tree::Array(items.iter().map(value).collect()),
    }
}

fn options(truth: &Tree) -> Tree {
    let option = |digits: &Tree| {
        Tree::Object(vec![
            (
                "@type".to_owned(),
                Tree::String("OptionSetValue".to_owned()),
            ),
            ("Value".to_owned(), number(digits).typed(Kind::Integer)),
        ])
    };
    Tree::Array(truth.items("values").iter().map(option).collect())
}

fn fetch(truth: &Tree) -> Tree {
    Tree::Object(vec![
        (
            "@type".to_owned(),
            Tree::String("FetchExpression".to_owned()),
        ),
        ("Query".to_owned(), truth.get("value").unwrap().clone()),
    ])
}

fn date_time_offset(truth: &Tree) -> Tree {
    let ticks = match truth.text("utc_ticks") {
        Some(ticks) => ticks.parse::<i64>().unwrap() - UNIX_EPOCH_TICKS,
        None => milliseconds(truth, "utc_json_ms") * TICKS_PER_MILLISECOND,
    };
    Tree::Object(vec![
        (
            "@type".to_owned(),
            Tree::String("DateTimeOffset".to_owned()),
        ),
        (
            "DateTime".to_owned(),
            Tree::String(render(ticks, "Z")).typed(Kind::Date),
        ),
        (
            "OffsetMinutes".to_owned(),
            number(truth.get("offset_minutes").unwrap()).typed(Kind::Integer),
        ),
    ])
}

/// In JSON the server's shift is undone; in XML a date without a zone is in UTC.
fn created_on(truth: &Tree) -> Tree {
    let ticks = match (truth.text("kind"), truth.text("utc_ticks")) {
        (None, _) => {
            let shift = truth.text("json_offset").map_or(0, minutes);
            (milliseconds(truth, "json_ms") + shift * 60_000) * TICKS_PER_MILLISECOND
        }
        (_, Some(ticks)) => ticks.parse::<i64>().unwrap() - UNIX_EPOCH_TICKS,
        (_, None) => truth.text("ticks").unwrap().parse::<i64>().unwrap() - UNIX_EPOCH_TICKS,
    };
    Tree::String(render(ticks, "Z")).typed(Kind::Date)
}

fn milliseconds(truth: &Tree, name: &str) -> i64 {
    truth.text(name).unwrap().parse().unwrap()
}
