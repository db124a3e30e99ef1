//! One event as Dataverse posts it to a hub: a body, and the application properties beside it.
//!
//! Spec: `Microsoft.Xrm.Sdk.ClaimTypes` for the names of the claims. An endpoint of the type Event Hub
//! puts content type and correlation id among the application properties, as texts.

use super::contract::{Context, Guid};
use super::pipeline::Execution;
use super::world::World;
use super::{json, xml};

const ORGANIZATION: &str = "http://schemas.microsoft.com/xrm/2011/Claims/Organization";
const USER: &str = "http://schemas.microsoft.com/xrm/2011/Claims/User";
const INITIATING_USER: &str = "http://schemas.microsoft.com/xrm/2011/Claims/InitiatingUser";
const INITIATING_USER_AGENT: &str =
    "http://schemas.microsoft.com/xrm/2011/Claims/InitiatingUserAgent";
const ENTITY_LOGICAL_NAME: &str = "http://schemas.microsoft.com/xrm/2011/Claims/EntityLogicalName";
const REQUEST_NAME: &str = "http://schemas.microsoft.com/xrm/2011/Claims/RequestName";

/// An event before it is sent: it goes out with its body in one data section, without a partition
/// key, and with nothing in the AMQP properties.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// The serialized execution context, or the content of a file.
    pub body: Vec<u8>,
    /// The application properties, in the order in which they are sent.
    pub properties: Vec<(&'static str, PropertyValue)>,
}

/// The value of an application property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyValue {
    /// AMQP's null: a claim that the endpoint is set up not to tell.
    Null,
    /// A boolean.
    Flag(bool),
    /// A string.
    Text(String),
}

impl Post {
    /// The post of one execution of the story, as JSON or as XML.
    pub(crate) fn of(execution: &Execution, is_xml: bool, world: &World) -> Self {
        let context = &execution.context;
        let (body, content_type) = if is_xml {
            (xml::write(context), "application/xml")
        } else {
            (json::write(context), "application/json")
        };
        let mut properties = claims(context, world);
        properties.push(("ContentType", PropertyValue::Text(content_type.to_owned())));
        let correlation = format!("{{{}}}", context.correlation_id);
        properties.push(("CorrelationId", PropertyValue::Text(correlation)));
        if execution.is_truncated {
            properties.push(("MessageMaxSizeExceeded", PropertyValue::Flag(true)));
        }
        Self { body, properties }
    }

    /// A body that is posted as it is. Its first byte tells the content type, or there is none.
    pub(crate) fn of_file(body: Vec<u8>) -> Self {
        let content_type = match body.first() {
            Some(b'{') => Some("application/json"),
            Some(b'<') => Some("application/xml"),
            _ => None,
        };
        let text = |content_type: &str| PropertyValue::Text(content_type.to_owned());
        let properties = content_type.map(|content_type| ("ContentType", text(content_type)));
        Self {
            body,
            properties: properties.into_iter().collect(),
        }
    }
}

fn claims(context: &Context, world: &World) -> Vec<(&'static str, PropertyValue)> {
    let text = |text: &str| PropertyValue::Text(text.to_owned());
    let user = |id: Guid| {
        if world.organization.tells_users {
            PropertyValue::Text(id.to_string())
        } else {
            PropertyValue::Null
        }
    };
    let mut claims = vec![
        (ORGANIZATION, text(world.organization.host)),
        (USER, user(context.user_id)),
        (INITIATING_USER, user(context.initiating_user_id)),
    ];
    if let Some(agent) = context.told_user_agent() {
        claims.push((INITIATING_USER_AGENT, text(agent)));
    }
    claims.push((ENTITY_LOGICAL_NAME, text(context.primary_entity_name)));
    claims.push((REQUEST_NAME, text(context.message_name)));
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_of_a_file_tells_its_content_type() {
        let check = |body: &[u8], expected: Option<&str>| {
            let post = Post::of_file(body.to_vec());
            let expected =
                expected.map(|text| ("ContentType", PropertyValue::Text(text.to_owned())));
            assert_eq!(post.properties, Vec::from_iter(expected));
            assert_eq!(post.body, body);
        };
        check(b"{}", Some("application/json"));
        check(b"<a/>", Some("application/xml"));
        check(b"\xef\xbb\xbf{}", None);
        check(b"", None);
    }
}
