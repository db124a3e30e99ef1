//! A message as a CloudEvent.
//!
//! Source: CloudEvents 1.0.2, the JSON event format, and the documented extensions for sequences,
//! partitioning, recorded time, correlation and distributed tracing.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;

use super::Message;
use crate::context::Document;
use crate::trace::TraceContext;

/// A message as a CloudEvent: its attributes, and the context document or another's JSON as its data.
#[derive(Debug)]
pub(crate) struct CloudEvent<'a> {
    /// The context attributes and extensions but for `datacontenttype`, in the order in which they are written.
    pub attributes: Vec<(&'static str, String)>,
    /// What the event is about.
    pub data: Data<'a>,
}

/// The data of a [`CloudEvent`].
#[derive(Debug)]
pub(crate) enum Data<'a> {
    /// A context document: JSON.
    Context(Document<'a>),
    /// Somebody else's JSON.
    Foreign(&'a RawValue),
    /// A body that could not be decoded, as it came.
    Bytes {
        /// Its media type, where its sender named one.
        content_type: Option<&'a str>,
        /// The body.
        body: &'a [u8],
    },
}

impl<'a> CloudEvent<'a> {
    pub(super) fn of(message: &'a Message, trace: Option<TraceContext>) -> Self {
        let event = &message.event;
        let identity = message.identity();
        let mut attributes = vec![
            ("specversion", "1.0".to_owned()),
            ("id", identity.id),
            ("source", identity.source),
            ("type", kind(message)),
        ];
        let mut add =
            |name, value: Option<String>| attributes.extend(value.map(|text| (name, text)));
        if let Some(context) = message.context() {
            add("subject", subject(context));
            let created = context.operation_created_on();
            add("time", created.map(|time| time.as_str().to_owned()));
            add(
                "dataschema",
                Some("urn:dataverse-listener:context".to_owned()),
            );
            add("correlationid", context.correlation_id().map(str::to_owned));
        }
        add("recordedtime", event.enqueued_time.format(&Rfc3339).ok());
        // The extension compares sequences as texts.
        add("sequence", Some(format!("{:020}", event.sequence_number.0)));
        add(
            "partitionkey",
            event.partition_key.as_ref().map(ToString::to_string),
        );
        add("traceparent", trace.as_ref().map(TraceContext::parent));
        add("tracestate", trace.and_then(|trace| trace.state));
        add("replay", message.is_replay.then(|| "true".to_owned()));
        let data = match &message.content {
            super::Content::Context {
                decoded,
                is_flagged,
            } => Data::Context(decoded.document(*is_flagged)),
            super::Content::Foreign(foreign) => Data::Foreign(&foreign.json),
            super::Content::Undecodable { .. } => Data::Bytes {
                content_type: message.content_type(),
                body: event.body.bytes(),
            },
        };
        Self { attributes, data }
    }
}

impl Data<'_> {
    /// The media type of the data.
    pub(crate) fn content_type(&self) -> &str {
        match self {
            Self::Context(_) | Self::Foreign(_) => "application/json",
            Self::Bytes { content_type, .. } => content_type.unwrap_or("application/octet-stream"),
        }
    }
}

fn kind(message: &Message) -> String {
    let context = match &message.content {
        super::Content::Context { decoded, .. } => decoded.context(),
        super::Content::Foreign(_) => return "dataverse-listener.foreign".to_owned(),
        super::Content::Undecodable { .. } => return "dataverse-listener.undecodable".to_owned(),
    };
    format!(
        "com.microsoft.dataverse.{}.{}",
        context.primary_entity_name().unwrap_or("none"),
        context.message_name().unwrap_or("unknown").to_lowercase()
    )
}

fn subject(context: crate::context::ExecutionContext<'_>) -> Option<String> {
    let table = context.primary_entity_name()?;
    Some(match context.row_id() {
        Some(id) => format!("{table}/{id}"),
        None => table.to_owned(),
    })
}

impl Serialize for CloudEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.attributes {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("datacontenttype", self.data.content_type())?;
        match &self.data {
            Data::Context(document) => map.serialize_entry("data", document)?,
            Data::Foreign(json) => map.serialize_entry("data", json)?,
            Data::Bytes { body, .. } => {
                map.serialize_entry("data_base64", &BASE64_STANDARD.encode(body))?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::samples;
    use super::*;

    fn document(message: &Message) -> Value {
        serde_json::to_value(CloudEvent::of(message, None)).unwrap()
    }

    #[test]
    fn a_context_is_an_event_about_its_row() {
        let message = samples::message(
            r#"{"MessageName":"Update","PrimaryEntityName":"account","InputParameters":[],"Mode":1,"CorrelationId":"11111111-1111-1111-1111-111111111111","OperationId":"5c34e7a0-3d6a-ee11-9ae7-000d3a688809","OperationCreatedOn":"\/Date(1700000000000+0000)\/","OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73","PrimaryEntityId":"6420f0cc-916b-ee11-9ae6-000d3a688809"}"#,
        );
        let mut shown = document(&message);
        let data = shown["data"].take();
        assert_eq!(data["MessageName"], "Update");
        assert_eq!(
            shown,
            json!({
                "specversion": "1.0",
                "id": "5c34e7a0-3d6a-ee11-9ae7-000d3a688809",
                "source": "/dataverse/b015df52-a05f-ee11-a382-000d3a64db73",
                "type": "com.microsoft.dataverse.account.update",
                "subject": "account/6420f0cc-916b-ee11-9ae6-000d3a688809",
                "time": "2023-11-14T22:13:20Z",
                "dataschema": "urn:dataverse-listener:context",
                "correlationid": "11111111-1111-1111-1111-111111111111",
                "recordedtime": "1970-01-01T00:00:00Z",
                "sequence": "00000000000000000000",
                "datacontenttype": "application/json",
                "data": null,
            })
        );
    }

    #[test]
    fn the_event_of_somebody_else_carries_its_json() {
        let shown = document(&samples::message(r#"[{"BusinessEventId":"x"}]"#));
        assert_eq!(shown["type"], "dataverse-listener.foreign");
        assert_eq!(shown["id"], "0-0-0");
        assert_eq!(shown["data"], json!([{"BusinessEventId": "x"}]));
        assert_eq!(shown["datacontenttype"], "application/json");
        assert_eq!(shown.get("dataschema"), None);
    }

    #[test]
    fn an_undecodable_event_carries_its_bytes() {
        let shown = document(&samples::message("?"));
        assert_eq!(shown["type"], "dataverse-listener.undecodable");
        assert_eq!(shown["data_base64"], "Pw==");
        assert_eq!(shown["datacontenttype"], "application/octet-stream");
    }
}
