//! The simulated Dataverse against the hub in the box: what arrives, and what is told when it cannot.

#![cfg(feature = "emulator")]
#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot do without, fails it"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dataverse_listener::emulator::{self, Emulator};
use dataverse_listener::event::{Event, PartitionId};
use dataverse_listener::receiver::{
    Config, DEFAULT_PARTITION_CHECK, DEFAULT_PREFETCH_BYTES, DEFAULT_PREFETCH_EVENTS, Engine,
    EventHub, LostPosition, StartPosition, Transport,
};
use dataverse_listener::simulator::{
    Format, Hub, Options, Post, PropertyValue, SimulateError, Story, Summary, simulate,
};
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn the_story_arrives_as_it_was_told() {
    let emulator = start(1).await;
    let told: Vec<Post> = Story::new(5, Format::Mixed).take(300).collect();
    let summary = post(
        &emulator,
        Options {
            count: Some(300),
            ..options()
        },
    )
    .await
    .unwrap();
    let bytes = told.iter().map(|post| post.body.len() as u64).sum();
    assert_eq!(summary, Summary { posted: 300, bytes });
    for (event, post) in receive(&emulator, "0", 300).await.iter().zip(&told) {
        assert_eq!(event.body.bytes(), post.body);
        assert_eq!(event.partition_key, None);
        assert_eq!(event.content_type, None);
        let properties: Vec<_> = event
            .properties
            .iter()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        let expected: Vec<_> = post
            .properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json(value)))
            .collect();
        assert_eq!(properties, expected);
    }
}

#[tokio::test]
async fn files_arrive_as_they_are() {
    let emulator = start(1).await;
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (name, body) in [
        ("a.json", &b"{\"a\":1}\n"[..]),
        ("b.xml", b"<a/>"),
        ("c.bin", b"\x00\xff"),
    ] {
        files.push(folder.path().join(name));
        std::fs::write(folder.path().join(name), body).unwrap();
    }
    let summary = post(&emulator, Options { files, ..options() })
        .await
        .unwrap();
    assert_eq!(
        summary,
        Summary {
            posted: 3,
            bytes: 14
        }
    );
    let events = receive(&emulator, "0", 3).await;
    let bodies: Vec<&[u8]> = events.iter().map(|event| event.body.bytes()).collect();
    assert_eq!(bodies, [&b"{\"a\":1}\n"[..], b"<a/>", b"\x00\xff"]);
    let content_types: Vec<_> = events
        .iter()
        .map(|event| event.properties.get("ContentType").cloned())
        .collect();
    assert_eq!(
        content_types,
        [
            Some("application/json".into()),
            Some("application/xml".into()),
            None
        ]
    );
}

#[tokio::test]
async fn a_partition_can_be_named() {
    let emulator = start(4).await;
    let options = Options {
        count: Some(7),
        partition: Some("2".to_owned()),
        ..options()
    };
    assert_eq!(post(&emulator, options).await.unwrap().posted, 7);
    assert_eq!(receive(&emulator, "2", 7).await.len(), 7);
}

#[tokio::test]
async fn an_endless_story_ends_when_asked_to_and_counts_what_arrived() {
    let emulator = start(1).await;
    let shutdown = CancellationToken::new();
    let posting = simulate(hub(&emulator), options(), shutdown.clone());
    let watching = async {
        receive(&emulator, "0", 50).await;
        shutdown.cancel();
    };
    let (summary, ()) = tokio::join!(posting, watching);
    let posted = summary.unwrap().posted;
    assert!(posted >= 50);
    let arrived = receive(&emulator, "0", posted as usize).await.len();
    assert_eq!(arrived as u64, posted);
}

#[tokio::test]
async fn a_rate_is_kept() {
    let emulator = start(1).await;
    let started = tokio::time::Instant::now();
    let options = Options {
        count: Some(11),
        rate: Some(200.0),
        ..options()
    };
    assert_eq!(post(&emulator, options).await.unwrap().posted, 11);
    assert!(started.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_lost_connection_is_an_error_that_counts() {
    let emulator = start(1).await;
    let posting = simulate(hub(&emulator), options(), CancellationToken::new());
    let breaking = async {
        receive(&emulator, "0", 50).await;
        emulator.close_connections("amqp:connection:forced", "maintenance");
    };
    let (result, ()) = tokio::join!(posting, breaking);
    let error = result.unwrap_err();
    let SimulateError::Hub { posted, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        error.to_string().starts_with(&format!(
            "posting ended after {posted} accepted events and "
        )),
        "{error}"
    );
    assert!(receive(&emulator, "0", *posted as usize).await.len() as u64 >= *posted);
}

#[tokio::test]
async fn what_the_hub_refuses_is_told_by_name() {
    let emulator = start(1).await;
    let wrong_key = emulator
        .connection_string()
        .replace("SAS_KEY_VALUE", "another");
    let there = emulator.connection_string();
    check(&wrong_key, "dataverse-events", "refuses the credential").await;
    check(&there, "no-such-hub", "does not exist").await;
    check("Endpoint=sb://localhost:1;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true", "x", "cannot be reached").await;
}

async fn check(connection_string: &str, event_hub: &str, expected: &str) {
    let hub = Hub {
        connection_string: connection_string.parse().unwrap(),
        event_hub: event_hub.to_owned(),
        transport: Transport::default(),
    };
    let result = simulate(hub, options(), CancellationToken::new()).await;
    let SimulateError::Hub {
        posted: 0,
        unanswered: 0,
        source,
    } = result.unwrap_err()
    else {
        panic!("{expected}");
    };
    let text = source.to_string();
    assert!(
        text.contains(expected) && !text.contains("another"),
        "{text}"
    );
}

#[tokio::test]
async fn an_event_over_the_limit_is_rejected_by_name() {
    let emulator = start(1).await;
    let folder = tempfile::tempdir().unwrap();
    let (small, large): (PathBuf, PathBuf) =
        (folder.path().join("small"), folder.path().join("large"));
    std::fs::write(&small, b"{}").unwrap();
    std::fs::write(&large, vec![b'x'; 1_100_000]).unwrap();
    let files = vec![small.clone(), small, large];
    let error = post(&emulator, Options { files, ..options() })
        .await
        .unwrap_err();
    let SimulateError::Rejected { posted, reason } = &error else {
        panic!("{error:?}")
    };
    assert!(*posted <= 2, "{error}");
    assert!(reason.contains("size"), "{reason}");
}

async fn start(partitions: u16) -> Emulator {
    Emulator::start(emulator::Options {
        partitions,
        ..emulator::Options::default()
    })
    .await
    .unwrap()
}

fn hub(emulator: &Emulator) -> Hub {
    Hub {
        connection_string: emulator.connection_string().parse().unwrap(),
        event_hub: "dataverse-events".to_owned(),
        transport: Transport::default(),
    }
}

fn options() -> Options {
    Options {
        seed: 5,
        ..Options::default()
    }
}

async fn post(emulator: &Emulator, options: Options) -> Result<Summary, SimulateError> {
    let posting = simulate(hub(emulator), options, CancellationToken::new());
    timeout(Duration::from_secs(30), posting).await.unwrap()
}

/// The first events of a partition.
async fn receive(emulator: &Emulator, partition: &str, count: usize) -> Vec<Event> {
    let hub = EventHub::new(Config {
        connection_string: emulator.connection_string().parse().unwrap(),
        event_hub: "dataverse-events".to_owned(),
        consumer_group: "$Default".to_owned(),
        start: StartPosition::Earliest,
        starts: BTreeMap::new(),
        owner_level: None,
        prefetch_events: DEFAULT_PREFETCH_EVENTS,
        prefetch_bytes: DEFAULT_PREFETCH_BYTES,
        engine: Engine::default(),
        lost_position: LostPosition::default(),
        transport: Transport::default(),
        partition_check: DEFAULT_PARTITION_CHECK,
    });
    let mut receiver = hub.receiver(PartitionId::new(partition), StartPosition::Earliest);
    let receiving = async {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(receiver.receive().await.unwrap());
        }
        events
    };
    timeout(Duration::from_secs(30), receiving).await.unwrap()
}

fn json(value: &PropertyValue) -> Value {
    match value {
        PropertyValue::Null => Value::Null,
        PropertyValue::Flag(flag) => Value::Bool(*flag),
        PropertyValue::Text(text) => Value::String(text.clone()),
    }
}
