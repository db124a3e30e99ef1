//! The JSON Schema of the message document, with the context's schema bundled in it.

/// The schema of [`super::Message`] as JSON: draft 2020-12, complete in one text.
pub(crate) const SCHEMA: &str = concat!(
    r##"{
"$schema": "https://json-schema.org/draft/2020-12/schema",
"$id": "urn:dataverse-listener:message",
"title": "Message",
"description": "One event of an event hub, with the Dataverse execution context in it, another sender's JSON, or the reason why there is neither.",
"type": "object",
"required": ["namespace", "event_hub", "consumer_group", "partition", "sequence_number", "offset", "enqueued_time", "properties"],
"oneOf": [{"required": ["context"]}, {"required": ["foreign"]}, {"required": ["undecodable"]}],
"additionalProperties": false,
"properties": {
  "namespace": {"type": "string", "description": "The fully qualified Event Hubs namespace."},
  "event_hub": {"type": "string", "description": "The event hub."},
  "consumer_group": {"type": "string", "description": "The consumer group that read the event."},
  "partition": {"type": "string", "description": "The partition."},
  "sequence_number": {"type": "integer", "description": "The event's number in its partition, gapless (x-opt-sequence-number)."},
  "offset": {"type": "string", "description": "The event's place in its partition: opaque, for the service alone (x-opt-offset)."},
  "enqueued_time": {"type": "string", "format": "date-time", "description": "When the service took the event (x-opt-enqueued-time)."},
  "partition_key": {"type": "string", "description": "The key that chose the partition, where the sender gave one."},
  "content_type": {"type": "string", "description": "The AMQP property content-type, where the sender gave one."},
  "properties": {
    "type": "object",
    "description": "The application properties, in the sender's order. Timestamps are RFC 3339 strings, binary is base64."
  },
  "replay": {"const": true, "description": "The event was read once more on purpose (`replay`)."},
  "duplicate_of": {
    "type": "object",
    "description": "Where the same event was met before: Dataverse had posted it already.",
    "required": ["partition", "sequence_number"],
    "additionalProperties": false,
    "properties": {"partition": {"type": "string"}, "sequence_number": {"type": "integer"}}
  },
  "dead_letter": {
    "type": "object",
    "description": "In the dead-letter sink: why the event is there, and its body.",
    "required": ["sink", "reason", "time", "body"],
    "additionalProperties": false,
    "properties": {
      "sink": {"type": ["string", "null"], "description": "The sink that refused it; null where it could not be decoded."},
      "reason": {"type": "string", "description": "Why it was given up."},
      "time": {"type": "string", "format": "date-time", "description": "When it was given up."},
      "body": {"type": "string", "contentEncoding": "base64", "description": "The body as it was received."}
    }
  },
  "context": {"$ref": "urn:dataverse-listener:context", "description": "The execution context."},
  "foreign": {"type": ["object", "array"], "description": "Instead of a context: the JSON of an event that is none, as it came."},
  "undecodable": {
    "type": "object",
    "description": "Instead of a context: what came, and why it could not be decoded.",
    "required": ["format", "reason", "body"],
    "additionalProperties": false,
    "properties": {
      "format": {"enum": ["json", "xml", "binary", null], "description": "The format that the body seemed to have."},
      "reason": {"type": "string", "description": "Where and why decoding ended."},
      "body": {"type": "string", "contentEncoding": "base64", "description": "The body as it was received."}
    }
  }
},
"$defs": {"context": "##,
    include_str!("../context/schema.json"),
    "}\n}\n"
);
