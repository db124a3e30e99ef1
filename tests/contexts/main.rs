//! Bodies as the genuine serializers wrote them, decoded and compared with what was written.
//!
//! A folder of `tests/data/corpus` holds messages as `NAME.json`, `NAME.xml` and `NAME.bin`, and the two truth
//! files that [`truth`] reads: [`corpus`] lists them. `public` holds payloads that were published without one.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

mod agreement;
mod calendar;
mod corpus;
mod losses;
mod odd;
mod published;
mod reader;
mod rows;
mod schema;
mod tree;
mod truth;
mod typed;
mod uncommon;
mod variations;

use corpus::{Body, FOLDERS, bytes};
use dataverse_listener::context::WireFormat;
use dataverse_listener::decoder::{Decoded, Hint, decode, decode_as};
use tree::{Kind, Tree, assert_same};

/// The context in a file of the corpus, named with its folder.
fn decoded(name: &str) -> Decoded {
    decode(&bytes(name), Hint::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The context document of a body.
fn document(name: &str) -> Tree {
    Tree::parse(&serde_json::to_string(&decoded(name).document(false)).unwrap())
}

/// The members after those that the document adds.
fn members(document: Tree) -> Tree {
    let Tree::Object(mut members) = document else {
        panic!("no object")
    };
    members.retain(|(name, _)| !matches!(name.as_str(), "@format" | "@truncated" | "@notes"));
    Tree::Object(members)
}

#[test]
fn every_body_of_the_corpus_says_what_was_written() {
    for folder in FOLDERS {
        let mut compared = [0; 3];
        for body in folder.bodies() {
            if let Some(expected) = body.expected() {
                says(&body, &expected);
                compared[body.format as usize] += 1;
            }
        }
        assert_eq!(
            compared, folder.told,
            "JSON, XML, binary of {}",
            folder.name
        );
    }
}

/// The context has the values that were written with their types, and its document has them too.
fn says(body: &Body, expected: &Tree) {
    let name = body.path();
    let decoded = decoded(&name);
    assert_eq!(decoded.format, body.format, "{name}");
    assert_eq!(decoded.notes.is_empty(), !body.is_noted(), "{name}");
    assert_eq!(
        decode_as(body.format, &bytes(&name)),
        Ok(decoded.clone()),
        "{name}"
    );
    let is_binary = body.format == WireFormat::Binary;
    let without_loss = |tree: Tree| match is_binary {
        true => tree.with(&losses::unsigned_decimal),
        false => tree,
    };
    assert_same(
        &without_loss(typed::context(decoded.context())),
        expected,
        &name,
    );
    let document = without_loss(members(document(&name)));
    assert_same(&document, &expected.clone().plain(), &name);
}

#[test]
fn the_formats_give_one_document_apart_from_what_they_cannot_carry() {
    for folder in FOLDERS {
        let mut compared = 0;
        for body in folder.bodies().iter().filter(|body| body.is_decodable()) {
            let Some(xml) = body.xml() else { continue };
            let (xml, other) = (document(&xml), document(&body.path()));
            assert_eq!(xml.text("@format"), Some("xml"));
            assert_eq!(xml.get("@truncated"), other.get("@truncated"));
            let (xml, other) = (members(xml), members(other));
            match body.format {
                WireFormat::Json => agreement::assert_agree(&xml, &other, &body.path()),
                _ => agreement::assert_alike(&other, &xml, &body.path()),
            }
            compared += 1;
        }
        assert_eq!(compared, folder.agreeing, "{}", folder.name);
    }
}

#[test]
fn xml_and_binary_keep_the_types_that_json_does_not_have() {
    let kinds = |name: &str| -> Vec<Option<Kind>> {
        let context = typed::context(decoded(name).context());
        let Some(Tree::Typed(Kind::Bag, parameters)) = context.get("InputParameters") else {
            panic!("{name}: no parameters")
        };
        let Tree::Object(parameters) = &**parameters else {
            panic!("{name}: no bag")
        };
        let kind = |(_, value): &(String, Tree)| match value {
            Tree::Typed(kind, _) => Some(*kind),
            _ => None,
        };
        parameters.iter().map(kind).collect()
    };
    let expected = [
        None,
        Some(Kind::Integer),
        Some(Kind::Integer),
        Some(Kind::Double),
        Some(Kind::Decimal),
        None,
        None,
        Some(Kind::Date),
        Some(Kind::Guid),
        Some(Kind::Bytes),
        None,
        Some(Kind::Float),
    ];
    assert_eq!(kinds("features/a11-primitives.xml")[..12], expected);
    assert_eq!(kinds("features/a11-primitives.bin")[..12], expected);
    let dates_alone = expected.map(|kind| kind.filter(|kind| *kind == Kind::Date));
    assert_eq!(kinds("features/a11-primitives.json")[..12], dates_alone);
}
