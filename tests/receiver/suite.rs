// What every engine does; `main.rs` includes it once for each, and says which in `ENGINE`.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::pin::pin;
use std::time::{Duration, Instant};

use dataverse_listener::emulator::{Emulator, Fault, Options};
use dataverse_listener::event::{Body, Event, PartitionId};
use dataverse_listener::receiver::{
    Config, ConnectionString, DEFAULT_PARTITION_CHECK, DEFAULT_PREFETCH_BYTES,
    DEFAULT_PREFETCH_EVENTS, EventHub, LostPosition, Receiver, ReceiverError, Retry, StartPosition,
    Transport,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    emulator: Emulator,
}

impl World {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        Self {
            emulator: Emulator::start(options).await.expect("a hub"),
        }
    }

    fn hub(&self) -> EventHub {
        EventHub::new(config(&self.emulator.connection_string()))
    }

    fn receiver(&self, start: &str) -> Receiver {
        self.hub()
            .receiver(PartitionId::new("0"), start.parse().expect("a position"))
    }

    /// Enqueues events whose bodies are these numbers.
    fn append(&self, numbers: Range<i64>) {
        for number in numbers {
            self.emulator
                .append_body(0, number.to_string().as_bytes())
                .expect("a partition");
        }
    }

    async fn until_connections(&self, count: usize) {
        let gone = async {
            while self.emulator.open_connections() != count {
                tokio::task::yield_now().await;
            }
        };
        patiently(gone).await;
    }
}

fn config(connection_string: &str) -> Config {
    let connection_string: ConnectionString =
        connection_string.parse().expect("a connection string");
    Config {
        event_hub: connection_string
            .event_hub()
            .expect("a hub's name")
            .to_owned(),
        connection_string,
        consumer_group: "$Default".to_owned(),
        start: StartPosition::Earliest,
        starts: BTreeMap::new(),
        owner_level: None,
        prefetch_events: DEFAULT_PREFETCH_EVENTS,
        prefetch_bytes: DEFAULT_PREFETCH_BYTES,
        engine: ENGINE,
        lost_position: LostPosition::default(),
        transport: Transport::default(),
        partition_check: DEFAULT_PARTITION_CHECK,
    }
}

async fn patiently<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it takes too long")
}

async fn next(receiver: &mut Receiver) -> Event {
    patiently(receiver.receive()).await.expect("an event")
}

async fn failure(receiver: &mut Receiver) -> ReceiverError {
    patiently(receiver.receive())
        .await
        .expect_err("it should fail")
}

/// Receives the events that were appended as these numbers, each once and in order.
async fn expect(receiver: &mut Receiver, numbers: Range<i64>) {
    for number in numbers {
        let event = next(receiver).await;
        assert_eq!(event.sequence_number.0, number);
        assert_eq!(event.body.bytes(), number.to_string().as_bytes());
    }
}

/// Waits with a receiver that has nothing to receive until something is so.
async fn wait_with(receiver: &mut Receiver, mut is_so: impl FnMut() -> bool) {
    let mut receive = pin!(receiver.receive());
    let wait = async {
        loop {
            tokio::select! {
                biased;
                event = &mut receive => panic!("unexpected: {event:?}"),
                () = tokio::task::yield_now() => if is_so() { return },
            }
        }
    };
    patiently(wait).await;
}

/// Waits until a receiver has asked where the end of its partition is: it attaches two links for
/// that, besides the two that its claim takes, and drops them again.
async fn wait_for_end(world: &World, receiver: &mut Receiver) {
    let mut most = 0;
    wait_with(receiver, || {
        let links = world.emulator.open_links();
        most = most.max(links);
        most >= 4 && links < most
    })
    .await;
}

#[tokio::test]
async fn partitions_are_listed_in_the_order_of_their_numbers_and_the_connection_closed() {
    let world = World::with(Options {
        partitions: 12,
        ..Options::default()
    })
    .await;
    let ids = patiently(world.hub().partitions()).await.unwrap();
    let expected: Vec<PartitionId> = (0..12)
        .map(|id| PartitionId::new(&id.to_string()))
        .collect();
    assert_eq!(ids, expected);
    world.until_connections(0).await;
}

#[tokio::test]
async fn every_event_arrives_once_and_in_order() {
    let world = World::start().await;
    world.append(0..3_000);
    let mut receiver = world.receiver("earliest");
    expect(&mut receiver, 0..3_000).await;
    world.append(3_000..3_010);
    expect(&mut receiver, 3_000..3_010).await;
    patiently(receiver.close()).await;
    world.until_connections(0).await;
}

#[tokio::test]
async fn a_start_position_is_where_reading_begins() {
    let world = World::start().await;
    world.append(0..10);
    let first = next(&mut world.receiver("earliest")).await;
    expect(&mut world.receiver("sequence:4"), 4..10).await;
    expect(
        &mut world.receiver(&format!("offset:{}", first.offset)),
        1..10,
    )
    .await;
    expect(&mut world.receiver("time:2020-01-01T00:00:00Z"), 0..10).await;
    expect(&mut world.receiver("-1h"), 0..10).await;
}

#[tokio::test]
async fn latest_means_the_end_at_the_first_attach_even_when_the_link_is_lost_before_an_event() {
    let world = World::start().await;
    world.append(0..5);
    let mut receiver = world.receiver("latest");
    wait_for_end(&world, &mut receiver).await;
    world.emulator.drop_connections();
    world.append(5..8);
    expect(&mut receiver, 5..8).await;
}

#[tokio::test]
async fn latest_of_an_empty_partition_is_its_beginning() {
    let world = World::start().await;
    let mut receiver = world.receiver("latest");
    wait_for_end(&world, &mut receiver).await;
    world.append(0..1);
    expect(&mut receiver, 0..1).await;
}

#[tokio::test]
async fn a_lost_connection_loses_and_repeats_nothing() {
    let world = World::start().await;
    world.append(0..600);
    let mut receiver = world.receiver("earliest");
    expect(&mut receiver, 0..100).await;
    world.emulator.drop_connections();
    expect(&mut receiver, 100..200).await;
    world
        .emulator
        .close_connections("amqp:connection:forced", "a gateway is upgraded");
    expect(&mut receiver, 200..300).await;
    world
        .emulator
        .detach(0, "amqp:link:detach-forced", "the link is idle");
    expect(&mut receiver, 300..600).await;
}

#[tokio::test]
async fn a_hub_that_is_stopped_and_started_again_is_found_again() {
    let World { emulator } = World::start().await;
    let (listen, string) = (emulator.address(), emulator.connection_string());
    emulator.append_body(0, b"0").unwrap();
    let hub = EventHub::new(config(&string));
    let mut receiver = hub.receiver(PartitionId::new("0"), StartPosition::Earliest);
    expect(&mut receiver, 0..1).await;
    let log = Some(patiently(emulator.stop()).await);
    let world = World::with(Options {
        listen,
        log,
        ..Options::default()
    })
    .await;
    world.append(1..2);
    expect(&mut receiver, 1..2).await;
}

#[tokio::test]
async fn a_receive_that_is_cancelled_again_and_again_loses_nothing() {
    let world = World::start().await;
    world.append(0..2_000);
    let mut receiver = world.receiver("earliest");
    for number in 0..2_000 {
        let event = loop {
            tokio::select! {
                biased;
                event = receiver.receive() => break event.unwrap(),
                () = tokio::task::yield_now() => {}
            }
        };
        assert_eq!(event.sequence_number.0, number);
    }
}

#[tokio::test]
async fn large_events_come_through_a_small_prefetch() {
    let world = World::start().await;
    let body = vec![b'x'; 900_000];
    for _ in 0..8 {
        world.emulator.append_body(0, &body).unwrap();
    }
    let config = Config {
        prefetch_events: 300,
        prefetch_bytes: 0,
        ..config(&world.emulator.connection_string())
    };
    let mut receiver =
        EventHub::new(config).receiver(PartitionId::new("0"), StartPosition::Earliest);
    for number in 0..8 {
        let event = next(&mut receiver).await;
        assert_eq!(event.sequence_number.0, number);
        assert_eq!(event.body.bytes().len(), body.len());
    }
}

#[tokio::test]
async fn a_body_that_is_no_bytes_is_an_event_all_the_same() {
    let world = World::start().await;
    // An amqp-value section that holds an empty list.
    world.emulator.append(0, &[0x00, 0x53, 0x77, 0x45]).unwrap();
    world.append(1..2);
    let mut receiver = world.receiver("earliest");
    let event = next(&mut receiver).await;
    assert!(matches!(&event.body, Body::Unreadable { reason, .. } if reason.contains("list")));
    expect(&mut receiver, 1..2).await;
}

#[tokio::test]
async fn a_message_that_its_sender_has_encoded_wrongly_holds_up_no_other() {
    let world = World::start().await;
    world.append(0..1);
    // An application property whose text is not UTF-8.
    let flawed = b"\0\x53\x74\xc1\x07\x02\xa1\x01k\xa1\x01\xff\0\x53\x75\xa0\x01b";
    world.emulator.append(0, flawed).unwrap();
    world.append(2..4);
    let mut receiver = world.receiver("earliest");
    expect(&mut receiver, 0..1).await;
    match ENGINE {
        Engine::Own => {
            let event = next(&mut receiver).await;
            assert_eq!(event.sequence_number.0, 1);
            assert!(
                matches!(&event.body, Body::Unreadable { reason, encoded }
                    if reason.contains("UTF-8") && encoded.ends_with(flawed)),
                "{event:?}"
            );
            expect(&mut receiver, 2..4).await;
        }
        // The client of the crate gives up such a message, and with it where it lies.
        Engine::Fe2o3 => {
            let failure = failure(&mut receiver).await;
            assert!(
                matches!(failure, ReceiverError::Malformed { .. }),
                "{failure}"
            );
        }
    }
}

/// A property that is a binary of some hundred thousand lists in lists, without the first one's
/// constructor: the hub refuses what is nested like this, so it becomes a list on its way.
fn nested_lists(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for inner in (0..levels).rev() {
        let size = u32::try_from(4 + inner * 9 + 1).expect("a size");
        bytes.extend([&[0xd0][..], &size.to_be_bytes(), &[0, 0, 0, 1]].concat());
    }
    bytes.push(0x40);
    bytes[0] = 0xb0;
    bytes
}

#[tokio::test]
async fn a_property_nested_without_end_is_an_event_all_the_same() {
    let world = World::start().await;
    let nested = nested_lists(100_000);
    let map = [&[0xa1, 1, b'k'][..], &nested].concat();
    let size = u32::try_from(map.len() + 4).unwrap().to_be_bytes();
    let message = [
        &[0x00, 0x53, 0x74, 0xd1][..],
        &size,
        &[0, 0, 0, 2],
        &map,
        &[0x00, 0x53, 0x75, 0xa0, 2, b'{', b'}'],
    ];
    world.emulator.append(0, &message.concat()).unwrap();
    world.append(1..3);

    let between = Between::new(&world).await;
    let mut receiver = between.receiver();
    // The binary that holds nested lists becomes a list.
    let nest = |_, _, mut frame: Vec<u8>| {
        let is_first = |bytes: &[u8]| matches!(bytes, [0xb0, _, _, _, _, 0, 0, 0, 1, 0xd0]);
        if let Some(at) = frame.windows(10).position(is_first) {
            frame[at] = 0xd0;
        }
        Fate::Pass(frame)
    };
    let receive = async {
        let event = next(&mut receiver).await;
        assert_eq!(event.body.bytes(), b"{}");
        // The binary's size takes five bytes; in Base64 the rest begins with the list's count.
        let property = event.properties.get("k").unwrap().as_str().unwrap();
        assert_eq!(property.len(), (nested.len() - 5).div_ceil(3) * 4);
        assert!(property.starts_with("AAAAAd"), "{}", &property[..20]);
        expect(&mut receiver, 1..3).await;
    };
    tokio::select! {
        () = receive => {}
        () = between.pass(nest, |_| {}) => {}
    }
}

fn check(error: &ReceiverError, expected: &[&str]) {
    let text = error.to_string();
    for part in expected {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
    assert!(
        !text.contains("SAS_KEY") && !text.contains("sig="),
        "{text}"
    );
    assert!(!text.contains("TrackingId"), "{text}");
}

#[tokio::test]
async fn a_wrong_key_is_unauthorized() {
    let world = World::start().await;
    let string = world
        .emulator
        .connection_string()
        .replace("SAS_KEY_VALUE", "WRONG_SAS_KEY");
    let hub = EventHub::new(config(&string));
    let error = patiently(hub.partitions()).await.expect_err("a wrong key");
    assert!(
        matches!(error, ReceiverError::Unauthorized { .. }),
        "{error:?}"
    );
    check(
        &error,
        &["event hub \"dataverse-events\" at 127.0.0.1 refuses the credential"],
    );
    let mut receiver = hub.receiver(PartitionId::new("0"), StartPosition::Earliest);
    assert_eq!(failure(&mut receiver).await.retry(), Retry::Never);
}

#[tokio::test]
async fn an_expired_signature_is_named_as_such() {
    let world = World::start().await;
    let string = format!(
        "Endpoint=sb://{};SharedAccessSignature=SharedAccessSignature sr=sb%3A%2F%2F127.0.0.1\
         &sig=c2ln&se=1700000000&skn=RootManageSharedAccessKey;UseDevelopmentEmulator=true;\
         EntityPath=dataverse-events",
        world.emulator.address()
    );
    let error = patiently(EventHub::new(config(&string)).partitions())
        .await
        .expect_err("expired");
    assert!(
        matches!(error, ReceiverError::Unauthorized { .. }),
        "{error:?}"
    );
    check(&error, &["expired 2023-11-14T22:13:20Z"]);
}

#[tokio::test]
async fn a_missing_hub_group_or_partition_is_not_found() {
    let world = World::start().await;
    let string = world.emulator.connection_string();
    let missing_hub = Config {
        event_hub: "elsewhere".to_owned(),
        ..config(&string)
    };
    let error = patiently(EventHub::new(missing_hub).partitions())
        .await
        .expect_err("no such hub");
    check(&error, &["\"elsewhere\""]);
    assert_eq!(error.retry(), Retry::Never);

    let missing_group = Config {
        consumer_group: "nobody".to_owned(),
        ..config(&string)
    };
    let mut receiver =
        EventHub::new(missing_group).receiver(PartitionId::new("0"), StartPosition::Earliest);
    let error = failure(&mut receiver).await;
    assert!(matches!(error, ReceiverError::NotFound { .. }), "{error:?}");
    check(&error, &["partition 0", "\"nobody\""]);

    let mut receiver = world
        .hub()
        .receiver(PartitionId::new("99"), StartPosition::Earliest);
    let error = failure(&mut receiver).await;
    assert!(matches!(error, ReceiverError::NotFound { .. }), "{error:?}");
    check(&error, &["partition 99"]);
}

#[tokio::test]
async fn a_port_where_nobody_listens_cannot_be_reached() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let string = format!(
        "Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=n;SharedAccessKey=k;\
         UseDevelopmentEmulator=true;EntityPath=hub"
    );
    let error = patiently(EventHub::new(config(&string)).partitions())
        .await
        .expect_err("nobody");
    assert!(
        matches!(error, ReceiverError::Unreachable { .. }),
        "{error:?}"
    );
    check(&error, &[&format!("127.0.0.1:{port} cannot be reached")]);
}

#[tokio::test]
async fn a_position_beyond_the_end_is_invalid() {
    let world = World::start().await;
    world.append(0..3);
    for start in ["sequence:1000", "offset:9223372036854775807"] {
        let error = failure(&mut world.receiver(start)).await;
        assert!(
            matches!(error, ReceiverError::InvalidPosition { .. }),
            "{error:?}"
        );
        check(&error, &["partition 0", start]);
        assert_eq!(error.retry(), Retry::Never);
    }
}

#[tokio::test]
async fn the_sixth_reader_of_a_partition_is_one_too_many() {
    let world = World::start().await;
    world.append(0..1);
    let mut readers: Vec<Receiver> = (0..5).map(|_| world.receiver("earliest")).collect();
    for reader in &mut readers {
        expect(reader, 0..1).await;
    }
    let error = failure(&mut world.receiver("earliest")).await;
    assert!(matches!(error, ReceiverError::Quota { .. }), "{error:?}");
}

#[tokio::test]
async fn closing_does_not_wait_for_a_hub_that_plays_dead() {
    let world = World::start().await;
    world.append(0..1);
    let mut receiver = world.receiver("earliest");
    expect(&mut receiver, 0..1).await;
    world.emulator.freeze();
    let begun = Instant::now();
    patiently(receiver.close()).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_dropped_receiver_leaves_no_connection_behind() {
    let world = World::start().await;
    world.append(0..100);
    for _ in 0..20 {
        let mut receiver = world.receiver("earliest");
        expect(&mut receiver, 0..1).await;
    }
    world.until_connections(0).await;
}
