//! What every target of the decoder asks of what comes out.

use dataverse_listener::context::ExecutionContext;
use dataverse_listener::decoder::{DecodeError, Decoded, Limits};
use serde::de::IgnoredAny;

/// A context that is no larger than its body explains and whose document is JSON, or an error in one line.
pub fn check(result: &Result<Decoded, DecodeError>, body: &[u8]) {
    match result {
        Ok(decoded) => {
            assert!(decoded.notes.len() <= 20);
            // A byte may be an item of an array, and a reference may stand for much.
            let memory = decoded.memory();
            let has_references = body.windows(3).any(|three| three == b"Ref");
            let most = match has_references {
                true => Limits::default().expansion,
                false => 1_000 + 100 * body.len(),
            };
            assert!(memory <= most, "{memory} bytes");
            let document = serde_json::to_vec(&decoded.document(false)).expect("a document");
            serde_json::from_slice::<IgnoredAny>(&document).expect("a document that is JSON");
            look(decoded.context(), decoded.memory());
        }
        Err(error) => {
            let text = error.to_string();
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.len() < 500, "{text}");
        }
    }
}

/// What others ask of a context.
fn look(context: ExecutionContext<'_>, memory: usize) {
    assert_ne!(context.row_name(), Some(""));
    assert!(context.row_id().is_none_or(|id| id.len() <= memory));
    let changed = context.changed_columns().count();
    assert!(changed == 0 || context.target().is_some());
    context.targets().for_each(drop);
    context.post_entity_images().for_each(drop);
    if let Some(parent) = context.parent_context() {
        look(parent, memory);
    }
}
