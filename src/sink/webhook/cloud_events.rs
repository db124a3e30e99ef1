//! Messages as CloudEvents: in a request of their own, as headers and data, or several at once.
//!
//! Source: CloudEvents 1.0.2, HTTP protocol binding, sections 3.1 to 3.3.

use reqwest::header::{HeaderName, HeaderValue};

use super::super::body::BodyError;
use super::super::delivery::Delivery;
use super::form::{Content, Unfit, media_type};
use super::headers;
use crate::message::Data;

/// What the names of the headers begin with that are attributes.
pub(super) const PREFIX: &str = "ce-";

/// One CloudEvent in the JSON event format.
pub(super) fn structured(delivery: &Delivery) -> Result<Content, Unfit> {
    let text = serde_json::to_vec(&delivery.cloud_event()).map_err(BodyError::from)?;
    let content_type = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
    Ok(Content::new(content_type, text))
}

/// The attributes as headers, the data as body. `datacontenttype` is the type of the body and has no
/// header of its own.
pub(super) fn binary(delivery: &Delivery) -> Result<Content, Unfit> {
    let event = delivery.cloud_event();
    let content_type = media_type(event.data.content_type());
    let body = match &event.data {
        Data::Context(document) => serde_json::to_vec(document).map_err(BodyError::from)?,
        Data::Foreign(json) => json.get().as_bytes().to_vec(),
        Data::Bytes { body, .. } => body.to_vec(),
    };
    let mut content = Content::new(content_type, body);
    for (name, value) in &event.attributes {
        let name = HeaderName::try_from(format!("{PREFIX}{name}"))?;
        content.headers.insert(name, headers::value(value));
    }
    Ok(content)
}

/// Several CloudEvents in the JSON batch format. Only for those who have asked for it.
pub(super) fn batched(batch: &[Delivery]) -> Result<Content, Unfit> {
    let mut text = vec![b'['];
    for (index, delivery) in batch.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, &delivery.cloud_event()).map_err(BodyError::from)?;
    }
    text.push(b']');
    let content_type =
        HeaderValue::from_static("application/cloudevents-batch+json; charset=utf-8");
    Ok(Content::new(content_type, text))
}
