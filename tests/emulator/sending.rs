//! Sending: single events, batches, keys, sizes, and what retention leaves.

use dataverse_listener::emulator::{Emulator, Options};
use fe2o3_amqp::link::delivery::Sendable;
use fe2o3_amqp::types::messaging::message::__private::Serializable;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Batch, Data, Message, MessageAnnotations, Outcome,
};
use fe2o3_amqp::types::primitives::{Binary, SimpleValue, Value};

use crate::client::*;

fn message(body: &[u8]) -> Message<Data> {
    Message::builder().data(Binary::from(body.to_vec())).build()
}

fn keyed(body: &[u8], key: &str) -> Message<Data> {
    let annotations = MessageAnnotations::builder()
        .insert("x-opt-partition-key", key)
        .build();
    Message::builder()
        .message_annotations(annotations)
        .data(Binary::from(body.to_vec()))
        .build()
}

/// A batch as the SDKs make it: whole messages in the data sections of one.
fn batch(messages: impl IntoIterator<Item = Message<Data>>) -> Sendable<Batch<Data>> {
    let sections: Vec<_> = messages
        .into_iter()
        .map(|message| {
            Data(Binary::from(
                serde_amqp::to_vec(&Serializable(message)).unwrap(),
            ))
        })
        .collect();
    let envelope = Message::builder().data_batch(sections).build();
    Sendable::builder()
        .message(envelope)
        .message_format(0x8001_3700_u32)
        .build()
}

fn is_accepted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Accepted(_))
}

fn rejection(outcome: Outcome) -> (String, String) {
    match outcome {
        Outcome::Rejected(rejected) => texts(&rejected.error.unwrap()),
        other => panic!("{other:?}"),
    }
}

async fn bodies(emulator: &Emulator, partition: u16, count: usize) -> Vec<Vec<u8>> {
    let mut client = Client::connect(emulator).await;
    let mut receiver = client.receiver(partition).await;
    let mut bodies = Vec::new();
    for _ in 0..count {
        bodies.push(body(&next(&mut receiver).await));
    }
    assert!(is_quiet(&mut receiver).await);
    bodies
}

#[tokio::test]
async fn events_without_a_key_go_to_one_partition_after_the_other() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub").await.unwrap();
    for name in [b"a", b"b", b"c", b"d"] {
        assert!(is_accepted(
            &soon(sender.send(message(name))).await.unwrap()
        ));
    }
    assert_eq!(bodies(&emulator, 0, 2).await, [b"a", b"c"]);
    assert_eq!(bodies(&emulator, 1, 2).await, [b"b", b"d"]);
}

#[tokio::test]
async fn an_event_keeps_its_properties() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client
        .sender("amqps://localhost/HUB/Partitions/1")
        .await
        .unwrap();
    let properties = ApplicationProperties::builder()
        .insert("RequestName", "Create")
        .build();
    let message = Message::builder()
        .application_properties(properties.clone())
        .data(Binary::from(b"x".to_vec()))
        .build();
    assert!(is_accepted(&soon(sender.send(message)).await.unwrap()));
    let event = next(&mut client.receiver(1).await).await;
    let received = event.application_properties.unwrap();
    assert_eq!(
        received.0.get("RequestName"),
        Some(&SimpleValue::String("Create".into()))
    );
}

#[tokio::test]
async fn a_batch_is_unpacked_into_its_events() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    let outcome = soon(sender.send(batch([message(b"a"), message(b"b"), message(b"c")]))).await;
    assert!(is_accepted(&outcome.unwrap()));
    assert_eq!(bodies(&emulator, 0, 3).await, [b"a", b"b", b"c"]);
}

#[tokio::test]
async fn a_key_chooses_the_partition_and_stays_on_the_event() {
    let options = Options {
        partitions: 8,
        ..options()
    };
    let emulator = Emulator::start(options).await.unwrap();
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub").await.unwrap();
    // The hash of key-2 is -12361, of TestKey 11417.
    for (key, partition) in [("key-2", 1), ("TestKey", 1), ("alphabet", 6)] {
        let outcome = soon(sender.send(batch([keyed(b"x", key)]))).await.unwrap();
        assert!(is_accepted(&outcome));
        let attach = format!("hub/ConsumerGroups/$Default/Partitions/{partition}");
        let attach = Attach {
            address: &attach,
            ..Attach::default()
        };
        let mut receiver = client.receive(attach).await.unwrap();
        loop {
            let event = next(&mut receiver).await;
            if annotation(&event, "x-opt-partition-key") == Some(Value::String(key.into())) {
                break;
            }
        }
    }
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    let outcome = soon(sender.send(keyed(b"x", "key"))).await.unwrap();
    assert_eq!(rejection(outcome).0, "amqp:not-allowed");
}

#[tokio::test]
async fn the_limit_is_a_megabyte_and_the_link_lives_on() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    assert_eq!(sender.max_message_size(), Some(1_048_576));
    let large = vec![b'x'; 900_000];
    assert!(is_accepted(
        &soon(sender.send(message(&large))).await.unwrap()
    ));
    assert!(bodies(&emulator, 0, 1).await == [large]);
}

#[tokio::test]
async fn what_is_no_message_is_rejected() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    let junk = Message::builder()
        .data_batch(vec![Data(Binary::from(b"junk".to_vec()))])
        .build();
    let junk = Sendable::builder()
        .message(junk)
        .message_format(0x8001_3700_u32)
        .build();
    let (condition, _) = rejection(soon(sender.send(junk)).await.unwrap());
    assert_eq!(condition, "amqp:decode-error");
    assert!(is_accepted(
        &soon(sender.send(message(b"good"))).await.unwrap()
    ));
    assert_eq!(bodies(&emulator, 0, 1).await, [b"good"]);
}

#[tokio::test]
async fn more_events_than_credit_at_once_are_all_taken() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    let mut outcomes = Vec::new();
    for number in 0..3000 {
        let body = number.to_string();
        outcomes.push(
            soon(sender.send_batchable(message(body.as_bytes())))
                .await
                .unwrap(),
        );
    }
    for outcome in outcomes {
        assert!(is_accepted(&soon(outcome).await.unwrap()));
    }
    let mut receiver = client.receiver(0).await;
    for expected in 0..3000 {
        assert_eq!(next_number(&mut receiver).await, expected);
    }
}

#[tokio::test]
async fn retention_drops_the_oldest_events() {
    let options = Options {
        retention_bytes: 100_000,
        ..options()
    };
    let emulator = Emulator::start(options).await.unwrap();
    for _ in 0..100 {
        emulator.append_body(0, &[b'x'; 10_000]).unwrap();
    }
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    let first = next_number(&mut receiver).await;
    assert!((90..100).contains(&first), "{first}");
    for expected in first + 1..100 {
        assert_eq!(next_number(&mut receiver).await, expected);
    }
}

#[tokio::test]
async fn senders_are_refused_where_there_is_nothing() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    for (address, condition) in [
        ("other", "NotFound"),
        ("hub/Partitions/7", "com.microsoft:argument-out-of-range"),
        ("hub/ConsumerGroups/$Default/Partitions/0", "NotFound"),
    ] {
        let error = client.sender(address).await.unwrap_err();
        assert!(format!("{error:?}").contains(condition), "{error:?}");
    }
}
