//! The fields of a record: which there must be, and what is in them.

use std::fmt;

use apache_avro::Schema;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Number;

use super::{
    BODY, ENQUEUED_TIME, IsFit, OFFSET, PROPERTIES, Record, SEQUENCE_NUMBER, SYSTEM_PROPERTIES,
};
use crate::event::{Offset, Properties, SequenceNumber};

/// How many properties an event may have: as bytes they take next to nothing, and in memory a hundred times that.
const MOST_PROPERTIES: usize = 10_000;

/// What a capture cannot be without.
const NEEDED: &[(&str, IsFit)] = &[
    (SEQUENCE_NUMBER, is_integer),
    (OFFSET, is_text),
    (ENQUEUED_TIME, is_text),
    (BODY, is_plain),
];

/// Looks whether the records of a file are events. An error says what they lack, as a fragment.
///
/// A schema can name itself, and its records can be as deep as the file is long: only fields without
/// records in them are read.
pub(super) fn check(schema: &Schema) -> Result<(), String> {
    let Schema::Record(record) = schema else {
        return Err("it holds no records".into());
    };
    for (name, is_fit) in NEEDED {
        let field = record.fields.iter().find(|field| field.name == *name);
        match field {
            None => return Err(format!("its records have no field {name}")),
            Some(field) if !is_fit(&field.schema) => {
                return Err(format!(
                    "the field {name} of its records is of another type"
                ));
            }
            Some(_) => {}
        }
    }
    let other = record.fields.iter().find(|field| match &field.schema {
        Schema::Map(map) => !is_plain(&map.types),
        schema => !is_plain(schema),
    });
    match other {
        Some(_) => Err("a field of its records is of another type than Capture has".into()),
        None => Ok(()),
    }
}

fn is_integer(schema: &Schema) -> bool {
    matches!(schema, Schema::Long | Schema::Int)
}

fn is_text(schema: &Schema) -> bool {
    matches!(schema, Schema::String)
}

fn is_plain(schema: &Schema) -> bool {
    match schema {
        Schema::Null
        | Schema::Boolean
        | Schema::Int
        | Schema::Long
        | Schema::Float
        | Schema::Double
        | Schema::Bytes
        | Schema::String => true,
        Schema::Union(union) => union
            .variants()
            .iter()
            .all(|variant| !matches!(variant, Schema::Union(_)) && is_plain(variant)),
        _ => false,
    }
}

/// A record as the file has it.
#[derive(Debug, Default)]
pub(super) struct Fields {
    sequence_number: i64,
    offset: String,
    enqueued_time: String,
    system_properties: Entries,
    properties: Entries,
    body: Option<Vec<u8>>,
}

type Entries = Vec<(String, serde_json::Value)>;

impl From<Fields> for Record {
    fn from(fields: Fields) -> Self {
        let properties = |entries: Entries| entries.into_iter().collect::<Properties>();
        Self {
            sequence_number: SequenceNumber(fields.sequence_number),
            offset: Offset::new(&fields.offset),
            enqueued_time: fields.enqueued_time,
            system_properties: properties(fields.system_properties),
            properties: properties(fields.properties),
            body: fields.body,
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(FieldName(name)) = map.next_key()? {
            match (name.as_str(), map.next_value()?) {
                (SEQUENCE_NUMBER, Field::Integer(number)) => fields.sequence_number = number,
                (OFFSET, Field::Text(text)) => fields.offset = text,
                (ENQUEUED_TIME, Field::Text(text)) => fields.enqueued_time = text,
                (SYSTEM_PROPERTIES, Field::Map(entries)) => fields.system_properties = entries,
                (PROPERTIES, Field::Map(entries)) => fields.properties = entries,
                (BODY, Field::Bytes(body)) => fields.body = Some(body),
                (BODY, Field::Text(body)) => fields.body = Some(body.into_bytes()),
                (BODY | SYSTEM_PROPERTIES | PROPERTIES, Field::Null) => {}
                (
                    name @ (SEQUENCE_NUMBER | OFFSET | ENQUEUED_TIME | SYSTEM_PROPERTIES
                    | PROPERTIES | BODY),
                    _,
                ) => {
                    return Err(A::Error::custom(format_args!(
                        "the field {name} is of another type"
                    )));
                }
                // A field that Capture did not have when this was written.
                _ => {}
            }
        }
        Ok(fields)
    }
}

/// The name of a field, which the crate has out of the schema and gives only to those who ask for a name.
struct FieldName(String);

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(FieldNameVisitor)
    }
}

struct FieldNameVisitor;

impl Visitor<'_> for FieldNameVisitor {
    type Value = FieldName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<FieldName, E> {
        Ok(FieldName(name.to_owned()))
    }
}

/// A field, or what is in a map.
#[derive(Debug)]
enum Field {
    Null,
    Bool(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Map(Entries),
}

impl Field {
    /// As AMQP's properties are told in JSON: see [`Properties`].
    fn into_json(self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => value.into(),
            Self::Integer(number) => number.into(),
            Self::Double(number) => Number::from_f64(number)
                .map_or_else(|| number.to_string().into(), serde_json::Value::Number),
            Self::Text(text) => text.into(),
            Self::Bytes(bytes) => BASE64_STANDARD.encode(bytes).into(),
            Self::Map(entries) => entries.into_iter().collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field of an event")
    }

    fn visit_unit<E: Error>(self) -> Result<Field, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Field, E> {
        Ok(Field::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Field, E> {
        Ok(Field::Integer(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Field, E> {
        Ok(Field::Double(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Field, E> {
        Ok(Field::Text(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Field, E> {
        Ok(Field::Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Field, E> {
        Ok(Field::Bytes(bytes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        let mut entries = Entries::new();
        while let Some((name, value)) = map.next_entry::<String, Self::Value>()? {
            if entries.len() == MOST_PROPERTIES {
                return Err(A::Error::custom(format_args!(
                    "an event with more than {MOST_PROPERTIES} properties"
                )));
            }
            entries.push((name, value.into_json()));
        }
        Ok(Field::Map(entries))
    }
}
