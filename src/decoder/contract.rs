//! What Microsoft's contracts declare: which member of which type holds what. All formats leave out
//! types where the contract knows them, so both readers ask here.
//!
//! Source: the data contracts of `Microsoft.Xrm.Sdk` 9.2 (RemoteExecutionContext, Entity,
//! EntityReference, QueryExpression, ...) and the primitives of `DataContractSerializer`.

mod types;

pub(super) use types::{CONTEXT, PAIR};

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
    /// How many members are declared.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// The declared member `name`, with `next` telling where the search begins: members come in the
    /// contract's order nearly always.
    pub(super) fn member(&self, name: &str, next: &mut usize) -> Option<(&'static str, Shape)> {
        let (before, after) = self.members.split_at((*next).min(self.members.len()));
        let place = after
            .iter()
            .chain(before)
            .position(|(known, _)| *known == name)?;
        let place = (before.len() + place) % self.members.len();
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
/// What `#` stands for at the start of a namespace in a JSON type hint.
pub(super) const CLR: &str = "http://schemas.datacontract.org/2004/07/";

const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
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
pub(super) fn known(name: &str, namespace: &str) -> Option<Shape> {
    match namespace {
        SCHEMA | SERIALIZATION | ARRAYS => primitive(name),
        _ if is_well_known(namespace) => types::BY_NAME
            .iter()
            .find_map(|(known, shape)| (*known == name).then_some(*shape)),
        _ => None,
    }
}

fn primitive(name: &str) -> Option<Shape> {
    Some(match name {
        "string" | "anyURI" | "QName" | "duration" => Shape::Text,
        "boolean" => Shape::Bool,
        "int" | "long" | "short" | "byte" | "unsignedByte" | "unsignedShort" | "unsignedInt"
        | "unsignedLong" => Shape::Number(NumberKind::Integer),
        "decimal" => Shape::Number(NumberKind::Decimal),
        "double" => Shape::Number(NumberKind::Double),
        "float" => Shape::Number(NumberKind::Float),
        "dateTime" => Shape::DateTime,
        "base64Binary" => Shape::Bytes,
        "guid" => Shape::Guid,
        "char" => Shape::Char,
        "anyType" => Shape::Any,
        _ => return None,
    })
}
