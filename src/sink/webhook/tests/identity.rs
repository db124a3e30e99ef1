//! The names of requests: which are the same, and which are not.

use super::*;

/// The name that a request with `batch` has; both headers say it.
async fn id(batch: &[Delivery]) -> String {
    let request = post("batch_events = 10", batch).await;
    let id = request.header("webhook-id").unwrap();
    assert_eq!(request.header("idempotency-key"), Some(id));
    assert!(
        id.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
        "{id}"
    );
    id.to_owned()
}

#[tokio::test]
async fn an_event_keeps_its_name() {
    let first = id(&[delivery(update(OPERATION))]).await;
    assert!(first.starts_with(OPERATION), "{first}");
    // Another attempt, another process: nothing of either is in it.
    assert_eq!(id(&[delivery(update(OPERATION))]).await, first);
    // A repeated post of Dataverse.
    let mut repeated = update(OPERATION);
    repeated.event.sequence_number = SequenceNumber(7);
    assert_eq!(id(&[delivery(repeated)]).await, first);
    // Read once more on purpose: the receiver decides, by the header that says so.
    let mut replayed = update(OPERATION);
    replayed.is_replay = true;
    assert_eq!(id(&[delivery(replayed)]).await, first);
}

#[tokio::test]
async fn what_is_not_the_same_has_another_name() {
    let mut elsewhere = samples::message("?");
    elsewhere.source = Arc::new(crate::event::Source {
        namespace: "fabrikam.servicebus.windows.net".into(),
        ..(*elsewhere.source).clone()
    });
    let batches = [
        vec![delivery(update(OPERATION))],
        vec![delivery(update(OTHER_OPERATION))],
        vec![dead_letter(update(OPERATION), Some("crm"))],
        vec![dead_letter(update(OPERATION), Some("erp"))],
        vec![dead_letter(update(OPERATION), None)],
        vec![delivery(samples::message("?"))],
        vec![delivery(elsewhere)],
        vec![
            delivery(update(OPERATION)),
            delivery(update(OTHER_OPERATION)),
        ],
        vec![
            delivery(update(OTHER_OPERATION)),
            delivery(update(OPERATION)),
        ],
    ];
    let mut ids = Vec::new();
    for batch in &batches {
        ids.push(id(batch).await);
        assert_eq!(ids.last(), Some(&id(batch).await));
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "{ids:?}");
}
