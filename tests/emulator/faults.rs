//! Faults on demand, counts, and a hub that stops and starts again.

use std::io::ErrorKind;
use std::time::Duration;

use dataverse_listener::emulator::{Emulator, Fault, Options};

use crate::client::*;

#[tokio::test]
async fn what_is_closed_is_not_counted() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let receiver = client.receiver(0).await;
    let sender = client.sender("hub").await.unwrap();
    assert_eq!((emulator.open_connections(), emulator.open_links()), (1, 2));
    soon(sender.close()).await.unwrap();
    until(|| emulator.open_links() == 1).await;
    soon(receiver.close()).await.unwrap();
    until(|| emulator.open_links() == 0).await;
    let _left = client.receiver(0).await;
    client.close().await;
    until(|| emulator.open_connections() == 0 && emulator.open_links() == 0).await;
}

#[tokio::test]
async fn dropped_connections_end_and_new_ones_are_served() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    emulator.drop_connections();
    failure(&mut receiver).await;
    until(|| emulator.open_connections() == 0 && emulator.open_links() == 0).await;
    fill(&emulator, 0, 1);
    let mut client = Client::connect(&emulator).await;
    assert_eq!(next_number(&mut client.receiver(0).await).await, 0);
}

#[tokio::test]
async fn closed_connections_say_why() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    emulator.close_connections("amqp:connection:forced", "closed by a test");
    failure(&mut receiver).await;
    until(|| emulator.open_connections() == 0).await;
}

#[tokio::test]
async fn detached_receivers_of_a_partition_say_why_and_others_live_on() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut first = client.receiver(0).await;
    let mut second = client.receiver(1).await;
    emulator.detach(0, "amqp:link:detach-forced", "forced by a test");
    let expected = (
        "amqp:link:detach-forced".to_owned(),
        "forced by a test".to_owned(),
    );
    assert_eq!(detachment(&mut first).await, expected);
    fill(&emulator, 1, 1);
    assert_eq!(next_number(&mut second).await, 0);
    let _first = client
        .receive(Attach {
            epoch: None,
            ..Attach::default()
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn attaches_are_refused_until_they_are_allowed_again() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    emulator.refuse_attach("com.microsoft:server-busy", "busy");
    let error = client.receive(Attach::default()).await.unwrap_err();
    assert_eq!(
        refusal(&error),
        ("com.microsoft:server-busy".to_owned(), "busy".to_owned())
    );
    emulator.allow_attach();
    client.receive(Attach::default()).await.unwrap();
}

#[tokio::test]
async fn a_key_without_the_claim_listen_sends_and_does_not_receive() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    emulator.withhold_listen();
    let error = client.receive(Attach::default()).await.unwrap_err();
    let (condition, text) = refusal(&error);
    assert_eq!(condition, "amqp:unauthorized-access");
    assert!(text.contains("'Listen' claim(s) are required"), "{text}");
    client.sender("hub").await.unwrap();
    emulator.grant_listen();
    client.receive(Attach::default()).await.unwrap();
}

#[tokio::test]
async fn a_frozen_hub_is_silent_until_it_thaws() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    emulator.freeze();
    fill(&emulator, 0, 1);
    assert!(is_quiet(&mut receiver).await);
    let stopped = tokio::time::timeout(Duration::from_millis(50), Client::connect(&emulator));
    assert!(stopped.await.is_err());
    emulator.thaw();
    assert_eq!(next_number(&mut receiver).await, 0);
}

#[tokio::test]
async fn stolen_and_forced_links_are_told_so_in_the_words_of_the_service() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    for (fault, condition, text) in [
        (
            Fault::Steal,
            "amqp:link:stolen",
            "New receiver 'nil' with higher epoch of '0' is created hence",
        ),
        (
            Fault::Detach,
            "amqp:link:detach-forced",
            "is force detached",
        ),
    ] {
        let mut first = client.receiver(0).await;
        let mut second = client.receiver(1).await;
        emulator.disturb(fault, Some(0));
        let (told, description) = detachment(&mut first).await;
        assert_eq!(told, condition);
        assert!(description.contains(text), "{description}");
        assert!(is_quiet(&mut second).await);
        emulator.disturb(fault, None);
        assert_eq!(detachment(&mut second).await.0, condition);
    }
}

#[tokio::test]
async fn links_to_a_hub_that_is_made_anew_are_told_that_theirs_is_gone() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    fill(&emulator, 0, 3);
    let mut receiver = client.receiver(0).await;
    let mut sender = client.sender("hub").await.unwrap();
    assert_eq!(next_number(&mut receiver).await, 0);
    emulator.recreate();
    fill(&emulator, 0, 5);
    let (condition, text) = detachment(&mut receiver).await;
    assert_eq!(condition, "amqp:not-found");
    assert!(text.contains("could not be found"), "{text}");
    let error = soon(sender.on_detach()).await;
    assert!(format!("{error:?}").contains("NotFound"), "{error:?}");
    assert_eq!(next_number(&mut client.receiver(0).await).await, 0);
}

#[tokio::test]
async fn a_stopped_hub_starts_again_on_its_port_with_its_events() {
    let emulator = start().await;
    fill(&emulator, 0, 3);
    let listen = emulator.address();
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    let log = soon(emulator.stop()).await;
    failure(&mut receiver).await;
    let again = Options {
        listen,
        log: Some(log),
        ..options()
    };
    let emulator = Emulator::start(again).await.unwrap();
    fill(&emulator, 0, 1);
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    for expected in 0..4 {
        assert_eq!(next_number(&mut receiver).await, expected);
    }
    soon(emulator.stop()).await;
    let empty = Options {
        listen,
        ..options()
    };
    let emulator = Emulator::start(empty).await.unwrap();
    assert_eq!(emulator.append_body(0, b"x").unwrap(), 0);
}

#[tokio::test]
async fn receivers_are_counted_by_partition_and_without_those_that_were_frozen_for_themselves() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut other = Client::connect(&emulator).await;
    let first = client.receiver(0).await;
    let _second = other.receiver(0).await;
    let counts = || (emulator.receivers(0), emulator.receivers(1));
    assert_eq!(counts(), (2, 0));
    soon(first.close()).await.unwrap();
    until(|| counts() == (1, 0)).await;
    emulator.disturb(Fault::Freeze, Some(0));
    assert_eq!(counts(), (0, 0));
    emulator.thaw();
    assert_eq!(counts(), (1, 0));
    drop(other);
    until(|| counts() == (0, 0)).await;
}

#[tokio::test]
async fn a_frozen_hub_can_be_stopped_and_a_dropped_one_ends() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    emulator.freeze();
    soon(emulator.stop()).await;
    failure(&mut receiver).await;

    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    drop(emulator);
    failure(&mut receiver).await;
}

#[tokio::test]
async fn options_that_make_no_hub_are_refused() {
    for options in [
        Options {
            partitions: 0,
            ..options()
        },
        Options {
            hub: String::new(),
            ..options()
        },
        Options {
            key: "a;b".to_owned(),
            ..options()
        },
    ] {
        let error = Emulator::start(options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let emulator = start().await;
    let taken = Options {
        listen: emulator.address(),
        ..options()
    };
    assert_eq!(
        Emulator::start(taken).await.unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    assert!(emulator.append_body(2, b"x").is_err());
    assert!(emulator.append(0, b"junk").is_err());
    assert!(!format!("{:?} {emulator:?}", options()).contains("SAS_KEY_VALUE"));
}
