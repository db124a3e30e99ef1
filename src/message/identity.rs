//! Which event a message is: the same for every attempt, every restart and every repeated post of
//! Dataverse, so that receivers can tell what they have seen.
//!
//! Source: "OperationId and OperationCreatedOn ... facilitate sequencing and duplicate detection" (Write a
//! custom Azure-aware plug-in, Microsoft Learn). An asynchronous step has an operation of its own; all
//! synchronous steps of a request share one, so more is needed to tell their posts apart.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::Message;
use crate::context::{ExecutionContext, Value};

/// A name for an event: `id` is unique within `source`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// `/dataverse/ORGANIZATION-ID`; of an event without one, where it was read:
    /// `/NAMESPACE/EVENT-HUB`.
    pub source: String,
    /// The operation; of a synchronous one with a digest behind it; of an event that is no context,
    /// its place in the hub.
    pub id: String,
    /// True where Dataverse gave it, so that a repeated post has the same one.
    pub is_of_dataverse: bool,
}

/// `Mode` of an asynchronous step.
const ASYNCHRONOUS: i64 = 1;

impl Identity {
    pub(super) fn of(message: &Message) -> Self {
        let context = message.context();
        let named = context.and_then(|context| {
            let organization = context.organization_id()?;
            let operation = context.operation_id().filter(|id| !is_zero(id))?;
            Some((context, organization, operation))
        });
        let Some((context, organization, operation)) = named else {
            return Self::of_place(message);
        };
        let mut id = operation.to_owned();
        if context.mode() != Some(ASYNCHRONOUS) {
            id.push('-');
            id.push_str(&digest(context, message.event.body.bytes()));
        }
        Self {
            source: format!("/dataverse/{organization}"),
            id,
            is_of_dataverse: true,
        }
    }

    /// Numbers start again when a hub is made anew: the time tells those events apart.
    fn of_place(message: &Message) -> Self {
        let event = &message.event;
        let milliseconds = event.enqueued_time.unix_timestamp_nanos() / 1_000_000;
        Self {
            source: format!("/{}/{}", message.source.namespace, message.source.event_hub),
            id: format!(
                "{}-{}-{milliseconds}",
                event.partition, event.sequence_number
            ),
            is_of_dataverse: false,
        }
    }
}

fn is_zero(guid: &str) -> bool {
    guid.bytes().all(|byte| matches!(byte, b'0' | b'-'))
}

/// What tells the posts of one synchronous operation apart: the step, the row, the depth, the body.
fn digest(context: ExecutionContext<'_>, body: &[u8]) -> String {
    let step = match context.members().get("OwningExtension") {
        Some(Value::Object(step)) => step.text("Id"),
        _ => None,
    };
    let depth = context.depth().map(|depth| depth.to_string());
    let mut hasher = Sha256::new();
    for part in [
        step,
        context.message_name(),
        context.primary_entity_name(),
        context.primary_entity_id(),
        depth.as_deref(),
    ] {
        hasher.update(part.unwrap_or_default());
        hasher.update([0]);
    }
    hasher.update(body);
    let mut text = String::with_capacity(32);
    for byte in &hasher.finalize()[..16] {
        // Writing to a text cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    const ORGANIZATION: &str = "b015df52-a05f-ee11-a382-000d3a64db73";
    const OPERATION: &str = "5c34e7a0-3d6a-ee11-9ae7-000d3a688809";

    fn context(mode: i64, step: &str) -> Message {
        samples::message(&format!(
            r#"{{"MessageName":"Update","PrimaryEntityName":"account","InputParameters":[],"Mode":{mode},"OperationId":"{OPERATION}","OrganizationId":"{ORGANIZATION}","OwningExtension":{{"Id":"{step}","LogicalName":"sdkmessageprocessingstep"}}}}"#
        ))
    }

    const STEPS: [&str; 2] = [
        "11111111-1111-1111-1111-111111111111",
        "22222222-2222-2222-2222-222222222222",
    ];

    #[test]
    fn an_asynchronous_event_is_its_operation() {
        let identity = context(1, STEPS[0]).identity();
        assert_eq!(identity.source, format!("/dataverse/{ORGANIZATION}"));
        assert_eq!(identity.id, OPERATION);
        assert!(identity.is_of_dataverse);
    }

    #[test]
    fn steps_of_one_synchronous_operation_are_told_apart() {
        let [first, second] = STEPS.map(|step| context(0, step).identity().id);
        assert!(first.starts_with(OPERATION) && second.starts_with(OPERATION));
        assert_ne!(first, second);
        assert_eq!(first, context(0, STEPS[0]).identity().id);
    }

    #[test]
    fn what_is_no_context_is_its_place() {
        let identity = samples::message("?").identity();
        assert_eq!(identity.source, "/contoso.servicebus.windows.net/events");
        assert_eq!(identity.id, "0-0-0");
        assert!(!identity.is_of_dataverse);
    }
}
