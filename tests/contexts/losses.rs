//! What a format cannot carry, by design of its serializer: the only ways in which a context may differ from
//! its truth, and that they occur.

use super::tree::{Kind, Tree};
use super::{decoded, typed};

/// Binary: a floating-point number that is whole is written as an integer, so a negative zero is a zero.
pub(crate) fn unsigned_floating(tree: &Tree) -> Option<Tree> {
    match tree {
        Tree::Double(bits) if *bits == (-0.0_f64).to_bits() => Some(Tree::Double(0)),
        Tree::Float(bits) if *bits == (-0.0_f32).to_bits() => Some(Tree::Float(0)),
        _ => None,
    }
}

/// Of decimals the binary format alone keeps the sign of a zero; the truth does not.
pub(crate) fn unsigned_decimal(tree: &Tree) -> Option<Tree> {
    match tree {
        Tree::Number(digits) if is_negative_decimal_zero(digits) => {
            Some(Tree::Number(digits[1..].to_owned()))
        }
        _ => None,
    }
}

fn is_negative_decimal_zero(digits: &str) -> bool {
    digits.starts_with("-0.") && digits[1..].parse() == Ok(0.0)
}

/// JSON that others wrote, with dates as text: a date where the contract says so, with the digits that it has
/// there, and else a text, which any text that looks like a date is too.
pub(crate) fn iso_dates(expected: Tree) -> Tree {
    let Tree::Object(members) = expected else {
        panic!("no members")
    };
    let as_sent = |text: &str| Tree::String(text.replace('Z', ".000Z"));
    let change = |tree: &Tree| match tree {
        Tree::Typed(Kind::Date, date) => match &**date {
            Tree::String(text) => Some(as_sent(text)),
            _ => None,
        },
        _ => None,
    };
    let member = |(name, value): (String, Tree)| match name == "OperationCreatedOn" {
        true => (name, value.with(&change).typed(Kind::Date)),
        false => (name, value.with(&change)),
    };
    Tree::Object(members.into_iter().map(member).collect())
}

/// All that is neither an array nor an object, with its type.
fn leaves(name: &str) -> Vec<Tree> {
    fn gather(tree: Tree, leaves: &mut Vec<Tree>) {
        match tree {
            Tree::Array(items) => items.into_iter().for_each(|item| gather(item, leaves)),
            Tree::Object(members) => {
                for (_, member) in members {
                    gather(member, leaves);
                }
            }
            Tree::Typed(Kind::Bag, bag) => gather(*bag, leaves),
            leaf => leaves.push(leaf),
        }
    }
    let mut found = Vec::new();
    gather(typed::context(decoded(name).context()), &mut found);
    found
}

fn dates(name: &str) -> Vec<String> {
    let text = |leaf| match leaf {
        Tree::Typed(Kind::Date, date) => match *date {
            Tree::String(text) => Some(text),
            _ => None,
        },
        _ => None,
    };
    leaves(name).into_iter().filter_map(text).collect()
}

fn has_offset(date: &String) -> bool {
    date.len() > 6 && matches!(date.as_bytes()[date.len() - 6], b'+' | b'-')
}

#[test]
fn binary_has_no_negative_zero_and_the_others_do() {
    let zero = Tree::Double((-0.0_f64).to_bits()).typed(Kind::Double);
    for case in ["features/a14-doubles", "random/m0055"] {
        assert!(leaves(&format!("{case}.xml")).contains(&zero), "{case}");
        assert!(!leaves(&format!("{case}.bin")).contains(&zero), "{case}");
        let in_json = Tree::Number("-0".to_owned());
        assert!(leaves(&format!("{case}.json")).contains(&in_json), "{case}");
    }
}

#[test]
fn binary_alone_has_negative_decimal_zeros() {
    let has_one = |ending: &str| {
        let leaves = leaves(&format!("features/a13-decimals.{ending}"));
        leaves.iter().any(|leaf| match leaf {
            Tree::Typed(Kind::Decimal, number) => {
                matches!(&**number, Tree::Number(digits) if is_negative_decimal_zero(digits))
            }
            _ => false,
        })
    };
    assert_eq!(["xml", "json", "bin"].map(has_one), [false, false, true]);
}

#[test]
fn binary_has_local_dates_in_utc_and_the_others_with_their_offset() {
    let with_offset = |name: &str| dates(name).iter().filter(|date| has_offset(date)).count();
    let local = with_offset("features/a16-dates-helsinki.xml");
    assert!(local > 3, "{local}");
    assert_eq!(with_offset("features/a16-dates-helsinki.bin"), 0);
    // .NET Core writes them as text, unless they are the items of an array: there is one.
    assert_eq!(
        with_offset("features-dotnet-core/a16-dates-helsinki.bin"),
        local - 1
    );
}

#[test]
fn json_has_milliseconds_and_no_dates_without_a_zone() {
    let (xml, json) = (
        dates("features/a15-dates-utc-zone.xml"),
        dates("features/a15-dates-utc-zone.json"),
    );
    let is_finer = |date: &String| {
        let fraction = date.split_once('.').map_or("", |(_, rest)| rest);
        fraction.bytes().take_while(u8::is_ascii_digit).count() > 3
    };
    let has_zone = |date: &String| date.ends_with('Z') || has_offset(date);
    assert!(
        xml.iter().any(is_finer) && !json.iter().any(is_finer),
        "{xml:?}"
    );
    assert!(
        !xml.iter().all(has_zone) && json.iter().all(has_zone),
        "{json:?}"
    );
}
