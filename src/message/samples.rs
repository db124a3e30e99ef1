//! Messages for the tests of this and other modules.

use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;

use super::Message;
use crate::decoder::Decoder;
use crate::event::{Body, Event, Offset, PartitionId, Properties, SequenceNumber, Source};

/// An event of partition 0 with this body, number 0.
pub(crate) fn event(body: &str) -> Event {
    Event {
        partition: PartitionId::new("0"),
        sequence_number: SequenceNumber(0),
        offset: Offset::new("0"),
        enqueued_time: OffsetDateTime::UNIX_EPOCH,
        partition_key: None,
        content_type: None,
        properties: Properties::default(),
        body: Body::Bytes(Bytes::copy_from_slice(body.as_bytes())),
    }
}

/// Decodes an event.
pub(crate) fn decoded(event: Event) -> Message {
    let source = Source {
        namespace: "contoso.servicebus.windows.net".into(),
        event_hub: "events".into(),
        consumer_group: "$Default".into(),
    };
    Message::decode(Arc::new(source), event, &Decoder::default())
}

/// A message with this body.
pub(crate) fn message(body: &str) -> Message {
    decoded(event(body))
}

/// A context of this message and table, of no row.
pub(crate) fn context(message_name: &str, table: &str) -> Message {
    message(&format!(
        r#"{{"MessageName":"{message_name}","PrimaryEntityName":"{table}","InputParameters":[],"OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73"}}"#
    ))
}
