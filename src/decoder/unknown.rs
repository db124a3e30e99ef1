//! What a context has that the contracts do not declare: Microsoft adds members, and others add types.

use super::contract::{self, CONTEXT, Contract, Shape};
use super::draft::shortened;
use super::elements::Space;
use crate::context::{ExecutionContext, Object, Value};

/// How many members and how many types are told, and how many bytes of a path: all are the sender's.
const SHOWN: usize = 50;
const MAX_PATH: usize = 512;

/// Members and types of a context that are in no contract. The document shows them all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unknown {
    /// The paths of members that their type does not declare: `InputParameters.Target.Colour`.
    pub members: Vec<String>,
    /// How many more members there are.
    pub more_members: usize,
    /// Types that nobody here knows.
    pub types: Vec<UnknownType>,
    /// How many more values have such a type.
    pub more_types: usize,
}

/// A value of a type that nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownType {
    /// Where the value is: `InputParameters.Access`.
    pub path: String,
    /// The name of its type.
    pub name: String,
    /// The namespace of its type, where it is none of Microsoft's well-known ones.
    pub namespace: Option<String>,
}

/// Looks for what the contracts do not declare, in the context and in those of its parents. Fifty members and fifty
/// types are listed at the most.
///
/// # Examples
///
/// ```
/// use dataverse_listener::decoder::{Hint, decode, unknown_in};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let body = br#"{"MessageName": "Pay", "Weather": "fair", "InputParameters": [
///     {"key": "Terms", "value": {"__type": "Terms:http://example.com/payment", "Days": 30}}]}"#;
/// let decoded = decode(body, Hint::default())?;
/// let unknown = unknown_in(decoded.context());
/// assert_eq!(unknown.members, ["Weather"]);
/// assert_eq!(unknown.types[0].path, "InputParameters.Terms");
/// assert_eq!(unknown.types[0].name, "Terms");
/// # Ok(())
/// # }
/// ```
pub fn unknown_in(context: ExecutionContext<'_>) -> Unknown {
    let mut walk = Walk::default();
    walk.members(context.members(), Some(&CONTEXT));
    walk.found
}

/// A step from a value to one in it.
#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Item(usize),
}

#[derive(Default)]
struct Walk<'a> {
    found: Unknown,
    path: Vec<Step<'a>>,
}

impl<'a> Walk<'a> {
    fn members(&mut self, object: Object<'a>, contract: Option<&Contract>) {
        let mut next = 0;
        for (name, value) in object.iter() {
            self.path.push(Step::Name(name));
            if contract
                .is_some_and(|contract| contract.member(name.as_bytes(), &mut next).is_none())
            {
                if self.found.members.len() < SHOWN {
                    let path = self.path();
                    self.found.members.push(path);
                } else {
                    self.found.more_members += 1;
                }
            }
            self.value(value);
            self.path.pop();
        }
    }

    fn value(&mut self, value: Value<'a>) {
        match value {
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    self.path.push(Step::Item(place));
                    self.value(item);
                    self.path.pop();
                }
            }
            Value::Bag(bag) => {
                for (key, value) in bag.iter() {
                    self.path.push(Step::Name(key));
                    self.value(value);
                    self.path.pop();
                }
            }
            Value::Object(object) => self.object(object),
            Value::Context(context) => self.members(context.members(), Some(&CONTEXT)),
            _ => {}
        }
    }

    fn object(&mut self, object: Object<'a>) {
        let Some(name) = object.type_name() else {
            // Declared without a name, as pairs are: nothing to look it up by.
            return self.members(object, None);
        };
        let shape = match name.namespace {
            None => contract::known(name.name.as_bytes(), &Space::Contracts),
            Some(_) => None,
        };
        match shape {
            Some(Shape::Complex(contract)) => self.members(object, Some(contract)),
            Some(_) => self.members(object, None),
            None => {
                if self.found.types.len() < SHOWN {
                    let path = self.path();
                    self.found.types.push(UnknownType {
                        path,
                        name: name.name.to_owned(),
                        namespace: name.namespace.map(str::to_owned),
                    });
                } else {
                    self.found.more_types += 1;
                }
                self.members(object, None);
            }
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            if path.len() > MAX_PATH {
                path.push_str("...");
                break;
            }
            match step {
                Step::Name(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(shortened(name));
                }
                Step::Item(place) => path.push_str(&format!("[{place}]")),
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::{Hint, decode};

    fn unknown(input: &str, more: &str) -> Unknown {
        let body = format!(
            r#"{{"MessageName":"Update","InputParameters":[{{"key":"Target","value":{input}}}]{more}}}"#
        );
        unknown_in(decode(body.as_bytes(), Hint::default()).unwrap().context())
    }

    #[test]
    fn members_and_types_are_told_with_their_paths() {
        let found = unknown(
            r#"{"__type":"Entity:http://schemas.microsoft.com/xrm/2011/Contracts","Colour":1,"Attributes":[
                {"key":"a","value":[{"__type":"Gadget:http://example.com/gadgets","Wheels":4}]}]}"#,
            r#","Weather":null,"ParentContext":{"MessageName":"Create","Mood":"good"}"#,
        );
        assert_eq!(
            found.members,
            [
                "InputParameters.Target.Colour",
                "Weather",
                "ParentContext.Mood"
            ]
        );
        assert_eq!(found.types.len(), 1);
        assert_eq!(
            found.types[0].path,
            "InputParameters.Target.Attributes.a[0]"
        );
        assert_eq!(found.types[0].name, "Gadget");
        assert_eq!(
            found.types[0].namespace.as_deref(),
            Some("http://example.com/gadgets")
        );
    }

    #[test]
    fn what_the_contracts_declare_is_not_told() {
        let found = unknown(
            r#"{"__type":"EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts","Id":"6420f0cc-916b-ee11-9ae6-000d3a688809","LogicalName":"account","Name":null}"#,
            "",
        );
        assert_eq!(found, Unknown::default());
    }

    #[test]
    fn no_more_than_some_are_listed_and_the_others_counted() {
        let many: String = (0..SHOWN + 7).map(|n| format!(r#","X{n}":0"#)).collect();
        let found = unknown("null", &many);
        assert_eq!((found.members.len(), found.more_members), (SHOWN, 7));
    }
}
