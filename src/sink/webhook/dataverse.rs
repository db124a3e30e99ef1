//! The request that Dataverse's own webhooks make, so that code written for those works unchanged.
//!
//! Source: Use webhooks (Microsoft Learn), "Receive the data and context". There the body is the
//! `RemoteExecutionContext` as JSON: the very text that an event in JSON has.

use reqwest::header::{HeaderName, HeaderValue};

use super::form::{Content, Unfit};
use super::headers;
use crate::context::WireFormat;
use crate::message::{Content as Said, Message};

const ORGANIZATION: &str = "x-ms-dynamics-organization";
const ENTITY_NAME: &str = "x-ms-dynamics-entity-name";
const REQUEST_NAME: &str = "x-ms-dynamics-request-name";
const CORRELATION: &str = "x-ms-correlation-request-id";
const SIZE_EXCEEDED: &str = "x-ms-dynamics-msg-size-exceeded";

/// The headers that it sets.
pub(super) const HEADERS: &[&str] = &[
    CORRELATION,
    ENTITY_NAME,
    SIZE_EXCEEDED,
    ORGANIZATION,
    REQUEST_NAME,
];

/// The claim that names the organization, an application property that Dataverse sets.
const CLAIM: &str = "http://schemas.microsoft.com/xrm/2011/Claims/Organization";

/// The body as it came, under Dataverse's headers.
///
/// # Errors
/// When it is no context, or one in another format: what Dataverse would have written as JSON cannot be told
/// from it.
pub(super) fn content(message: &Message) -> Result<Content, Unfit> {
    let decoded = match &message.content {
        Said::Context { decoded, .. } => decoded,
        Said::Foreign(_) => {
            return Err(Unfit(
                "the event is no execution context, and mode = \"dataverse\" sends contexts; a route with foreign = false keeps such events away".to_owned(),
            ));
        }
        Said::Undecodable { .. } => {
            return Err(Unfit(
                "the event could not be decoded, and mode = \"dataverse\" sends contexts"
                    .to_owned(),
            ));
        }
    };
    let other = match decoded.format {
        WireFormat::Json => None,
        WireFormat::Xml => Some("XML"),
        WireFormat::Binary => Some(".NET binary XML"),
    };
    if let Some(other) = other {
        return Err(Unfit(format!(
            "the event came as {other}, and mode = \"dataverse\" sends the JSON that came; set the service endpoint's message format to JSON, or use another mode"
        )));
    }
    let context = decoded.context();
    let claim = message.event.properties.get(CLAIM);
    let organization = match claim.and_then(|value| value.as_str()) {
        Some(name) => Some(name.to_lowercase()),
        None => context.organization_name().map(str::to_owned),
    };
    let size_exceeded = message.is_truncated().then_some("true");
    let body = message.event.body.bytes().to_vec();
    let mut content = Content::new(HeaderValue::from_static("application/json"), body);
    for (name, text) in [
        (ORGANIZATION, organization.as_deref()),
        (ENTITY_NAME, context.primary_entity_name()),
        (REQUEST_NAME, context.message_name()),
        (CORRELATION, context.correlation_id()),
        (SIZE_EXCEEDED, size_exceeded),
    ] {
        if let Some(text) = text {
            let name = HeaderName::from_static(name);
            content.headers.insert(name, headers::value(text));
        }
    }
    Ok(content)
}
