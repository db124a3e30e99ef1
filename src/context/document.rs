//! The context document: how a context looks as JSON to everyone downstream.
//!
//! Members keep the names and the order of Microsoft's contract; bags are objects; complex values say
//! what they are in `@type`. `schema.json` beside this file describes it.
//!
//! Sources: RFC 8259 (JSON), RFC 4648 section 4 (base64 of byte arrays), JSON Schema draft 2020-12.

use std::fmt;

use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::{Array, Bag, DateTime, ExecutionContext, Number, Object, Value};

/// The JSON Schema of the context document, draft 2020-12: the text of a JSON document.
pub const SCHEMA: &str = include_str!("schema.json");

/// The formats that a context is sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireFormat {
    /// What `DataContractJsonSerializer` writes.
    Json,
    /// What `DataContractSerializer` writes as text.
    Xml,
    /// What it writes in .NET's binary format for XML; or one of the others as a string in that format.
    Binary,
}

impl WireFormat {
    /// The short name: `json`, `xml`, `binary`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Binary => "binary",
        }
    }

    /// The media type that Dataverse names it by.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
            Self::Binary => "application/msbin1",
        }
    }
}

impl fmt::Display for WireFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that a body said and the document cannot show as it was: a repeated key, a text that is
/// not what its type says. It names members, never their values, but a key may be data.
///
/// # Examples
///
/// ```
/// use dataverse_listener::decoder::{Hint, decode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let body = br#"{"MessageName": "Create", "SharedVariables":
///     [{"key": "run", "value": 1}, {"key": "run", "value": 2}]}"#;
/// let decoded = decode(body, Hint::default())?;
/// let variables = decoded.context().shared_variables().ok_or("no variables")?;
/// assert_eq!(variables.get("run").and_then(|run| run.as_i64()), Some(2));
/// assert_eq!(
///     decoded.notes[0].to_string(),
///     "SharedVariables: the key \"run\" came again, the last value is kept",
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where, from the top of the context: `InputParameters.Target.Attributes`. Long keys are cut, and of
    /// very long paths only the end is there.
    pub path: String,
    /// What, as a fragment: `the key "name" came again, the last value is kept`.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.text);
        }
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// A context with what the document adds to it: `@format`, `@truncated` and, where there is something
/// to say, `@notes`, before the members. [`Decoded::document`](crate::decoder::Decoded::document) makes it, and
/// [`Serialize`] writes it; `@type` and `@namespace` of a complex value come before its members too.
///
/// # Examples
///
/// ```
/// use dataverse_listener::decoder::{Hint, decode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let body = br#"{"MessageName": "Create", "InputParameters": [
///     {"key": "Amount", "value":
///         {"__type": "Money:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts", "Value": 1250.00}},
///     {"key": "When", "value": "\/Date(1731053106000)\/"}
/// ]}"#;
/// let decoded = decode(body, Hint::default())?;
/// // Whether Dataverse flagged the event as cut to size is said by a property of the message.
/// let flagged = false;
/// assert_eq!(
///     serde_json::to_string(&decoded.document(flagged))?,
///     concat!(
///         r#"{"@format":"json","@truncated":false,"MessageName":"Create","InputParameters":{"#,
///         r#""Amount":{"@type":"Money","Value":1250.00},"When":"2024-11-08T08:05:06Z"}}"#,
///     ),
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// The context itself.
    pub context: ExecutionContext<'a>,
    /// The format of the body.
    pub format: WireFormat,
    /// Whether Dataverse cut the context to size.
    pub truncated: bool,
    /// What the members cannot show.
    pub notes: &'a [Note],
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("@format", self.format.as_str())?;
        map.serialize_entry("@truncated", &self.truncated)?;
        if !self.notes.is_empty() {
            map.serialize_entry("@notes", self.notes)?;
        }
        members(&mut map, self.context.members())?;
        map.end()
    }
}

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ExecutionContext<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        members(&mut map, self.members())?;
        map.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Guid(text) => serializer.serialize_str(text),
            Self::DateTime(date) => date.serialize(serializer),
            Self::Bytes(bytes) => {
                serializer.collect_str(&base64::display::Base64Display::new(bytes, &STANDARD))
            }
            Self::Array(items) => items.serialize(serializer),
            Self::Bag(bag) => bag.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
            Self::Context(context) => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("@type", "RemoteExecutionContext")?;
                members(&mut map, context.members())?;
                map.end()
            }
        }
    }
}

impl Serialize for Number<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_i64() {
            // The digits that were sent are these, unless they were "-0".
            Some(number) if number != 0 || self.as_str() == "0" => {
                return serializer.serialize_i64(number);
            }
            _ => {}
        }
        // The literal itself, because a number type would round it; JSON has no NaN, so that is a string.
        match serde_json::from_str::<&RawValue>(self.as_str()) {
            Ok(literal) => literal.serialize(serializer),
            Err(_) => serializer.serialize_str(self.as_str()),
        }
    }
}

impl Serialize for DateTime<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Array<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl Serialize for Bag<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(known) = self.type_name() {
            map.serialize_entry("@type", known.name)?;
            if let Some(namespace) = known.namespace {
                map.serialize_entry("@namespace", namespace)?;
            }
        }
        members(&mut map, *self)?;
        map.end()
    }
}

fn members<M: SerializeMap>(map: &mut M, object: Object<'_>) -> Result<(), M::Error> {
    object
        .iter()
        .try_for_each(|(name, value)| map.serialize_entry(name, &value))
}
