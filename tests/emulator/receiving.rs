//! Receiving: positions, epochs, credit, windows, groups, and what an event carries.

use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::types::messaging::Body;
use fe2o3_amqp::types::messaging::annotations::OwnedKey;
use fe2o3_amqp::types::primitives::Value;

use crate::client::*;

#[tokio::test]
async fn every_position_starts_at_its_event() {
    let emulator = start().await;
    fill(&emulator, 0, 10);
    let mut client = Client::connect(&emulator).await;
    let mut all = client.receiver(0).await;
    let mut events = Vec::new();
    for _ in 0..10 {
        events.push(next(&mut all).await);
    }
    assert_eq!(
        events.iter().map(number).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    let Some(Value::String(offset)) = annotation(&events[4], "x-opt-offset") else {
        panic!("the offset is a string");
    };
    let Some(Value::Timestamp(_)) = annotation(&events[4], "x-opt-enqueued-time") else {
        panic!("the enqueued time is a timestamp");
    };
    drop(all);
    for (selector, expected) in [
        (format!("amqp.annotation.x-opt-offset > '{offset}'"), 5),
        (format!("amqp.annotation.x-opt-offset >='{offset}'"), 4),
        (format!("amqp.annotation.x-opt-offset > {offset}"), 5),
        ("amqp.annotation.x-opt-sequence-number > '6'".to_owned(), 7),
        ("amqp.annotation.x-opt-sequence-number >= 6".to_owned(), 6),
        ("amqp.annotation.x-opt-enqueued-time > '0'".to_owned(), 0),
        (EARLIEST.to_owned(), 0),
    ] {
        let mut client = Client::connect(&emulator).await;
        let attach = Attach {
            selector: &selector,
            ..Attach::default()
        };
        let mut receiver = client.receive(attach).await.unwrap();
        assert_eq!(next_number(&mut receiver).await, expected, "{selector}");
        client.close().await;
    }
}

#[tokio::test]
async fn latest_gets_only_what_comes_after_attaching() {
    let emulator = start().await;
    fill(&emulator, 0, 3);
    let mut client = Client::connect(&emulator).await;
    let attach = Attach {
        selector: LATEST,
        ..Attach::default()
    };
    let mut receiver = client.receive(attach).await.unwrap();
    assert!(is_quiet(&mut receiver).await);
    fill(&emulator, 0, 1);
    assert_eq!(next_number(&mut receiver).await, 3);
}

#[tokio::test]
async fn refusals_have_the_services_conditions_and_texts() {
    let emulator = start().await;
    fill(&emulator, 0, 3);
    let mut client = Client::connect(&emulator).await;
    let consumer = "hub/ConsumerGroups/$Default/Partitions/";
    let (first, ninth) = (format!("{consumer}0"), format!("{consumer}9"));
    for (address, selector, condition, text) in [
        (
            "other/ConsumerGroups/$Default/Partitions/0",
            EARLIEST,
            "amqp:not-found",
            "The messaging entity 'sb://localhost/other/ConsumerGroups/$Default/Partitions/0' could not be found.",
        ),
        (
            "hub/ConsumerGroups/other/Partitions/0",
            EARLIEST,
            "amqp:not-found",
            "could not be found",
        ),
        ("hub", EARLIEST, "amqp:not-found", "could not be found"),
        (
            &ninth,
            EARLIEST,
            "com.microsoft:argument-out-of-range",
            "It should be between 0 and 1.",
        ),
        (
            &first,
            "amqp.annotation.x-opt-sequence-number >= '3'",
            "com.microsoft:argument-error",
            "The supplied sequence number '3' is invalid. The last sequence number in the system is '2'.",
        ),
        (
            &first,
            "amqp.annotation.x-opt-offset > '9223372036854775807'",
            "com.microsoft:argument-error",
            "The supplied offset '9223372036854775807' is invalid.",
        ),
        (
            &first,
            "nonsense",
            "com.microsoft:argument-error",
            "'nonsense'",
        ),
    ] {
        let attach = Attach {
            address,
            selector,
            ..Attach::default()
        };
        let error = client.receive(attach).await.unwrap_err();
        let (actual, description) = refusal(&error);
        assert_eq!(actual, condition, "{address} {selector}");
        assert!(description.contains(text), "{description}");
    }
    let mut receiver = client.receiver(0).await;
    assert_eq!(next_number(&mut receiver).await, 0);
}

fn with_epoch(epoch: i64) -> Attach<'static> {
    Attach {
        epoch: Some(Value::Long(epoch)),
        ..Attach::default()
    }
}

#[tokio::test]
async fn epochs_decide_who_receives() {
    let emulator = start().await;
    fill(&emulator, 0, 1);
    let mut client = Client::connect(&emulator).await;
    let mut plain = client.receive(Attach::default()).await.unwrap();
    let mut first = client.receive(with_epoch(1)).await.unwrap();
    assert_eq!(detachment(&mut plain).await.0, "amqp:link:stolen");
    let mut second = client.receive(with_epoch(1)).await.unwrap();
    let (condition, description) = detachment(&mut first).await;
    assert_eq!(condition, "amqp:link:stolen");
    assert!(description.starts_with("New receiver 'test' with higher epoch of '1' is created"));

    let lower = client.receive(with_epoch(0)).await.unwrap_err();
    assert_eq!(refusal(&lower).0, "amqp:link:stolen");
    let plain = client.receive(Attach::default()).await.unwrap_err();
    assert!(
        refusal(&plain)
            .1
            .starts_with("At least one receiver for the endpoint is created with epoch")
    );
    let text = Attach {
        epoch: Some(Value::String("1".into())),
        ..Attach::default()
    };
    assert_eq!(
        refusal(&client.receive(text).await.unwrap_err()).0,
        "amqp:invalid-field"
    );

    assert_eq!(next_number(&mut second).await, 0);
    soon(second.close()).await.unwrap();
    client.receive(Attach::default()).await.unwrap();
}

#[tokio::test]
async fn five_receivers_share_a_partition_of_a_group_and_the_sixth_is_refused() {
    let emulator = start().await;
    fill(&emulator, 0, 1);
    let mut client = Client::connect(&emulator).await;
    let mut receivers = Vec::new();
    for _ in 0..5 {
        receivers.push(client.receiver(0).await);
    }
    for receiver in &mut receivers {
        assert_eq!(next_number(receiver).await, 0);
    }
    let sixth = client.receive(Attach::default()).await.unwrap_err();
    let (condition, description) = refusal(&sixth);
    assert_eq!(condition, "amqp:resource-limit-exceeded");
    assert!(
        description
            .ends_with("which is 5. List of connected receivers - test, test, test, test, test.")
    );
    let other = Attach {
        address: "HUB/consumergroups/SECOND/partitions/0",
        ..Attach::default()
    };
    let mut other = client.receive(other).await.unwrap();
    assert_eq!(next_number(&mut other).await, 0);
}

#[tokio::test]
async fn no_more_is_sent_than_there_is_credit_for() {
    let emulator = start().await;
    fill(&emulator, 0, 10);
    let mut client = Client::connect(&emulator).await;
    let manual = Attach {
        credit: CreditMode::Manual,
        ..Attach::default()
    };
    let mut receiver = client.receive(manual).await.unwrap();
    assert!(is_quiet(&mut receiver).await);
    let mut seen = 0;
    for credit in [3, 1, 4] {
        soon(receiver.set_credit(credit)).await.unwrap();
        for _ in 0..credit {
            assert_eq!(next_number(&mut receiver).await, seen);
            seen += 1;
        }
        assert!(is_quiet(&mut receiver).await, "after {credit}");
    }
}

#[tokio::test]
async fn a_large_event_passes_through_small_frames_and_a_small_window() {
    let emulator = start().await;
    let large = vec![b'x'; 300_000];
    for _ in 0..3 {
        emulator.append_body(0, &large).unwrap();
    }
    let profile = SaslProfile::Plain {
        username: "RootManageSharedAccessKey".to_owned(),
        password: "SAS_KEY_VALUE".to_owned(),
    };
    let mut client = Client::open(&emulator, profile, 512).await.unwrap();
    let mut receiver = client.receive_in(Attach::default(), 16).await.unwrap();
    for expected in 0..3 {
        let event = next(&mut receiver).await;
        assert_eq!(number(&event), expected);
        assert!(body(&event) == large);
    }
}

#[tokio::test]
async fn events_tell_how_the_partition_stands_when_asked_to() {
    let emulator = start().await;
    fill(&emulator, 0, 3);
    let mut client = Client::connect(&emulator).await;
    let tracking = Attach {
        capability: Some("com.microsoft:enable-receiver-runtime-metric"),
        ..Attach::default()
    };
    let mut receiver = client.receive(tracking).await.unwrap();
    let event = next(&mut receiver).await;
    let annotations = event.delivery_annotations.unwrap();
    let last = annotations
        .0
        .get(&OwnedKey::Symbol("last_enqueued_sequence_number".into()));
    assert_eq!(last, Some(&Value::Long(2)));
    assert!(
        next(&mut client.receiver(0).await)
            .await
            .delivery_annotations
            .is_none()
    );
}

#[tokio::test]
async fn several_partitions_are_received_in_order_over_one_connection() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut first = client.receiver(0).await;
    let mut second = client.receiver(1).await;
    fill(&emulator, 0, 500);
    fill(&emulator, 1, 500);
    for expected in 0..500 {
        for receiver in [&mut first, &mut second] {
            let event = next(receiver).await;
            assert_eq!(number(&event), expected);
            assert_eq!(body(&event), expected.to_string().into_bytes());
        }
    }
}

#[tokio::test]
async fn a_body_of_any_kind_comes_as_it_was_sent() {
    let emulator = start().await;
    let value = [0x00, 0x53, 0x77, 0xa1, 2, b'h', b'i'];
    emulator.append(0, &value).unwrap();
    emulator.append(0, &[]).unwrap();
    emulator
        .append(0, &[0x00, 0x53, 0x76, 0xc0, 2, 1, 0x41])
        .unwrap();
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    let text = next(&mut receiver).await.body;
    assert!(matches!(text, Body::Value(value) if value.0 == Value::String("hi".into())));
    assert!(matches!(next(&mut receiver).await.body, Body::Empty));
    assert!(matches!(next(&mut receiver).await.body, Body::Sequence(_)));
}
