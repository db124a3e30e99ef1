//! What Microsoft's contracts declare: which member of which type holds what. All formats leave out
//! types where the contract knows them, so both readers ask here.
//!
//! Source: the data contracts of `Microsoft.Xrm.Sdk` 9.2 (RemoteExecutionContext, Entity,
//! EntityReference, QueryExpression, ...) and the primitives of `DataContractSerializer`.

mod types;

pub(super) use types::{CONTEXT, KEYED, PAIR, pair_of};

use super::elements::Space;
use crate::context::NumberKind;

/// What a place in a body holds by its declared type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Declared as `object`: the value itself says what it is.
    Any,
    Text,
    Guid,
    Bool,
    Number(NumberKind),
    DateTime,
    /// `OperationCreatedOn`: always in UTC, see [`super::date`].
    Created,
    Bytes,
    /// A character: XML and binary write its code.
    Char,
    /// An enum with its members in the order of their numbers: XML writes names, JSON numbers.
    Enum(&'static [&'static str]),
    /// Key/value pairs with text keys and values of one shape.
    Bag(&'static Self),
    /// Items of one shape.
    List(&'static Self),
    /// A type with members.
    Complex(&'static Contract),
}

/// A type of the contracts and its members. Without a name it is one that documents do not show.
#[derive(Debug)]
pub(super) struct Contract {
    pub(super) name: &'static str,
    members: &'static [(&'static str, Shape)],
}

impl Contract {
    /// The declared member at `place` of the contract's order.
    pub(super) fn expected(&self, place: usize) -> Option<(&'static str, Shape)> {
        self.members.get(place).copied()
    }

    /// The declared member `name`, with `next` telling where the search begins: members come in the
    /// contract's order nearly always.
    pub(super) fn member(&self, name: &[u8], next: &mut usize) -> Option<(&'static str, Shape)> {
        if let Some(member @ (known, _)) = self.members.get(*next)
            && known.as_bytes() == name
        {
            *next += 1;
            return Some(*member);
        }
        let is_it = |(known, _): &(&str, Shape)| known.as_bytes() == name;
        let place = self.members.iter().position(is_it)?;
        *next = place + 1;
        Some(self.members[place])
    }
}

/// The namespace of the root element and of most types.
pub(super) const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
/// The namespace of arrays of primitives and of their items.
pub(super) const ARRAYS: &str = "http://schemas.microsoft.com/2003/10/Serialization/Arrays";
/// The namespace of `nil` and `type`.
pub(super) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The namespace of the keys and values of collections.
pub(super) const COLLECTIONS: &str =
    "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
/// What `#` stands for at the start of a namespace in a JSON type hint.
pub(super) const CLR: &str = "http://schemas.datacontract.org/2004/07/";

/// The namespace of the primitives of XML Schema.
pub(super) const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
/// The namespace of guids, durations and references.
pub(super) const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";

/// True for namespaces that say no more than "one of Microsoft's contracts", so that the name alone
/// tells the type.
pub(super) fn is_well_known(namespace: &str) -> bool {
    namespace.is_empty()
        || namespace == SCHEMA
        || namespace.starts_with("http://schemas.microsoft.com/xrm/")
        || namespace.starts_with("http://schemas.microsoft.com/crm/")
        || namespace.starts_with(SERIALIZATION)
        || namespace
            .strip_prefix(CLR)
            .is_some_and(|clr| matches!(clr, "System" | "System.Collections.Generic"))
}

/// The shape of a type that a body names; `None` for types that are not in the table.
pub(super) fn known(name: &[u8], namespace: &Space) -> Option<Shape> {
    match namespace {
        Space::Schema | Space::Serialization | Space::Arrays => primitive(name),
        Space::Contracts | Space::WellKnown => {
            let place = types::BY_NAME.binary_search_by(|(known, _)| known.as_bytes().cmp(name));
            place.ok().map(|place| types::BY_NAME[place].1)
        }
        Space::Instance | Space::Other(_) => None,
    }
}

fn primitive(name: &[u8]) -> Option<Shape> {
    Some(match name {
        b"string" | b"anyURI" | b"QName" | b"duration" => Shape::Text,
        b"boolean" => Shape::Bool,
        b"int" | b"long" | b"short" | b"byte" | b"unsignedByte" | b"unsignedShort"
        | b"unsignedInt" | b"unsignedLong" => Shape::Number(NumberKind::Integer),
        b"decimal" => Shape::Number(NumberKind::Decimal),
        b"double" => Shape::Number(NumberKind::Double),
        b"float" => Shape::Number(NumberKind::Float),
        b"dateTime" => Shape::DateTime,
        b"base64Binary" => Shape::Bytes,
        b"guid" => Shape::Guid,
        b"char" => Shape::Char,
        b"anyType" => Shape::Any,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_in_the_order_of_their_names() {
        assert!(types::BY_NAME.is_sorted_by_key(|(name, _)| *name));
    }
}
