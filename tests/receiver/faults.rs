// The ten faults of the client of fe2o3-amqp 0.18.4, none of which an engine may have, be it by itself or by
// what is wrapped around it. `main.rs` includes this behind `suite.rs`, once for each engine.

/// What becomes of a frame on its way from the hub.
enum Fate {
    Pass(Vec<u8>),
    /// From it on, nothing comes any more.
    Silence,
    /// It and everything after it is lost, with the connection.
    Cut,
}

/// A hub behind somebody who decides what becomes of its frames: by the number of the connection, and of the
/// frame within it.
struct Between {
    listener: tokio::net::TcpListener,
    string: String,
    hub: SocketAddr,
}

impl Between {
    async fn new(world: &World) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a socket");
        let port = listener.local_addr().expect("a socket").port();
        let hub = world.emulator.address();
        let string = world.emulator.connection_string();
        Self {
            string: string.replace(&format!(":{}", hub.port()), &format!(":{port}")),
            listener,
            hub,
        }
    }

    fn receiver(&self) -> Receiver {
        let hub = EventHub::new(config(&self.string));
        hub.receiver(PartitionId::new("0"), StartPosition::Earliest)
    }

    /// Passes on what one connection after the other sends; `said` is told whatever the client says.
    async fn pass(
        &self,
        mut fate: impl FnMut(usize, usize, Vec<u8>) -> Fate,
        mut said: impl FnMut(&[u8]),
    ) {
        for connection in 0.. {
            let (near, _) = self.listener.accept().await.expect("a socket");
            near.set_nodelay(true).expect("a socket");
            let (mut from_client, mut to_client) = near.into_split();
            let far = tokio::net::TcpStream::connect(self.hub)
                .await
                .expect("a socket");
            far.set_nodelay(true).expect("a socket");
            let (mut from_hub, mut to_hub) = far.into_split();
            let answers = async {
                let mut number = 0;
                while let Ok(frame) = read_frame(&mut from_hub).await {
                    match fate(connection, number, frame) {
                        Fate::Pass(frame) => to_client.write_all(&frame).await?,
                        Fate::Silence => std::future::pending().await,
                        Fate::Cut => break,
                    }
                    number += 1;
                }
                Ok::<_, std::io::Error>(())
            };
            let questions = async {
                let mut bytes = Vec::new();
                while from_client.read_buf(&mut bytes).await? > 0 {
                    said(&bytes);
                    to_hub.write_all(&bytes).await?;
                    bytes.clear();
                }
                Ok::<_, std::io::Error>(())
            };
            // Whoever ends, and how, the next connection is the answer to it.
            tokio::select! { _ = answers => {}, _ = questions => {} }
        }
    }
}

/// A frame, or a protocol header.
async fn read_frame(from: &mut (impl tokio::io::AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 8];
    from.read_exact(&mut frame).await?;
    if let [a, b, c, d, ..] = frame[..]
        && !frame.starts_with(b"AMQP")
    {
        frame.resize(u32::from_be_bytes([a, b, c, d]) as usize, 0);
        from.read_exact(&mut frame[8..]).await?;
    }
    Ok(frame)
}

/// Two headers, what SASL, the connection and its session take, the attaches and answers of the claim: so many
/// frames come before the link's.
const BEFORE_THE_LINK: usize = 8;

/// Fails where `world` has more tasks than `before` when nothing is left to be done for the client.
async fn no_task_is_left(before: usize) {
    let begun = Instant::now();
    while tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
        > before
    {
        assert!(begun.elapsed() < PATIENCE, "a task is left");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn fault_1_a_goodbye_to_a_silent_peer_ends_and_leaves_no_task_that_could_spin() {
    for is_closed in [true, false] {
        let world = World::start().await;
        world.append(0..1);
        let between = Between::new(&world).await;
        let before = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        let is_silent = std::cell::Cell::new(false);
        let goodbye = async {
            let mut receiver = between.receiver();
            let event = receiver.receive().await.unwrap();
            assert_eq!(event.sequence_number.0, 0);
            is_silent.set(true);
            world.append(1..2);
            match is_closed {
                true => receiver.close().await,
                false => drop(receiver),
            }
        };
        let fate = |_, _, frame| match is_silent.get() {
            true => Fate::Silence,
            false => Fate::Pass(frame),
        };
        tokio::select! {
            () = goodbye => {}
            () = between.pass(fate, |_| {}) => {}
        }
        drop(between);
        no_task_is_left(before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fault_2_a_peer_that_falls_silent_at_any_step_is_given_up() {
    let world = World::start().await;
    world.append(0..1);
    let mut frames = 0;
    // The last round has a connection that is not disturbed.
    for silent_from in 0.. {
        let between = Between::new(&world).await;
        let mut receiver = between.receiver();
        let mut connections = 0;
        let fate = |connection, frame, bytes| {
            connections = connections.max(connection + 1);
            match (connection, frame) {
                (0, frame) if frame >= silent_from => Fate::Silence,
                _ => Fate::Pass(bytes),
            }
        };
        let begun = tokio::time::Instant::now();
        tokio::select! {
            event = receiver.receive() => assert_eq!(event.unwrap().sequence_number.0, 0),
            () = between.pass(fate, |_| {}) => {}
        }
        let took = begun.elapsed();
        assert!(
            took < Duration::from_secs(90),
            "{took:?}, silent from frame {silent_from}"
        );
        frames = silent_from;
        if connections == 1 {
            break;
        }
    }
    assert!(frames > BEFORE_THE_LINK, "{frames}");
}

#[tokio::test]
async fn fault_3_a_receive_that_loses_a_race_loses_no_event() {
    let world = World::start().await;
    world.append(0..5_000);
    let mut receiver = world.receiver("earliest");
    let mut cancelled = 0;
    for number in 0..5_000 {
        let event = loop {
            // Now one is ready first, now the other.
            tokio::select! {
                event = receiver.receive() => break event.unwrap(),
                () = tokio::task::yield_now() => cancelled += 1,
            }
        };
        assert_eq!(event.sequence_number.0, number);
    }
    assert!(cancelled > 10, "{cancelled}");
}

#[tokio::test(start_paused = true)]
async fn fault_4_a_connection_that_is_cut_again_and_again_takes_no_event_with_it() {
    let world = World::start().await;
    world.append(0..600);
    let between = Between::new(&world).await;
    let mut receiver = between.receiver();
    let receive = read(&mut receiver, 0..600);
    // Each lets a few events more through, and all of them could be buffered.
    let fate = |connection, frame, bytes| match frame < BEFORE_THE_LINK + 7 * connection {
        true => Fate::Pass(bytes),
        false => Fate::Cut,
    };
    tokio::select! {
        () = receive => {}
        () = between.pass(fate, |_| {}) => {}
    }
}

#[tokio::test]
async fn fault_5_credit_that_is_to_become_less_loses_nothing() {
    let world = World::start().await;
    let body = |number: i64| vec![b'x'; if number % 500 < 400 { 10 } else { 60_000 }];
    for number in 0..1_000 {
        world.emulator.append_body(0, &body(number)).unwrap();
    }
    let config = Config {
        prefetch_events: 400,
        prefetch_bytes: 300_000,
        ..config(&world.emulator.connection_string())
    };
    let hub = EventHub::new(config);
    let mut receiver = hub.receiver(PartitionId::new("0"), StartPosition::Earliest);
    for number in 0..1_000 {
        let event = next(&mut receiver).await;
        assert_eq!(event.sequence_number.0, number);
        assert_eq!(event.body.bytes().len(), body(number).len());
    }
}

#[tokio::test]
async fn fault_6_a_receiver_that_is_dropped_among_its_events_takes_nobody_with_it() {
    let world = World::start().await;
    world.append(0..2_000);
    let mut neighbour = world.receiver("earliest");
    for round in 0..20 {
        let mut dropped = world.receiver("earliest");
        expect(&mut dropped, 0..10).await;
        drop(dropped);
        expect(&mut neighbour, round * 100..(round + 1) * 100).await;
    }
    world.until_connections(1).await;
}

#[tokio::test]
async fn fault_7_messages_that_cannot_be_decoded_use_up_no_credit() {
    // Far more than there is credit for.
    const MANY: i64 = 5_000;
    let world = World::start().await;
    for _ in 0..MANY {
        // An amqp-value section that holds an empty list.
        world.emulator.append(0, &[0x00, 0x53, 0x77, 0x45]).unwrap();
    }
    world.append(MANY..MANY + 1);
    let mut receiver = world.receiver("earliest");
    for number in 0..MANY {
        let event = next(&mut receiver).await;
        assert_eq!(event.sequence_number.0, number);
        assert!(matches!(event.body, Body::Unreadable { .. }));
    }
    expect(&mut receiver, MANY..MANY + 1).await;
}

#[tokio::test(start_paused = true)]
async fn fault_8_a_frame_shorter_than_its_head_ends_a_connection_and_nothing_else() {
    for size in 0..8 {
        let world = World::start().await;
        world.append(0..50);
        let between = Between::new(&world).await;
        let mut receiver = between.receiver();
        let mut was_sent = false;
        let receive = read(&mut receiver, 0..50);
        let fate = |connection, frame, bytes: Vec<u8>| match (connection, frame) {
            (0, 30) => {
                was_sent = true;
                Fate::Pass(
                    [
                        &[0, 0, 0, size, 2, 0, 0, 0][..usize::from(size).max(4)],
                        &bytes,
                    ]
                    .concat(),
                )
            }
            _ => Fate::Pass(bytes),
        };
        tokio::select! {
            () = receive => {}
            () = between.pass(fate, |_| {}) => {}
        }
        assert!(was_sent);
    }
}

#[tokio::test(start_paused = true)]
async fn fault_9_the_peer_hears_from_us_twice_as_often_as_it_asks_for() {
    let world = World::start().await;
    world.append(0..1);
    let between = Between::new(&world).await;
    let mut receiver = between.receiver();
    let mut last = tokio::time::Instant::now();
    let mut longest = Duration::ZERO;
    let idle = async {
        assert_eq!(receiver.receive().await.unwrap().sequence_number.0, 0);
        quiet(&mut receiver, Duration::from_secs(3_000)).await;
    };
    let said = |_: &[u8]| {
        longest = longest.max(last.elapsed());
        last = tokio::time::Instant::now();
    };
    tokio::select! {
        () = idle => {}
        () = between.pass(|_, _, frame| Fate::Pass(frame), said) => {}
    }
    // The hub asks for 240 s.
    assert!(
        longest.max(last.elapsed()) <= Duration::from_millis(120_100),
        "{longest:?}"
    );
    assert_eq!(world.emulator.open_connections(), 1);
}

// Fault 10, Nagle's algorithm and a name that is resolved on the runtime's own thread, is about the stream, which
// no engine opens: src/receiver/transport.rs.

/// True for a transfer that holds an event.
fn holds_event(frame: &[u8]) -> bool {
    let name = b"x-opt-sequence-number";
    let is_transfer = frame.get(8..11) == Some(&[0x00, 0x53, 0x14]);
    is_transfer && frame.windows(name.len()).any(|part| part == name)
}

/// Takes the events out of what comes on the first `stuck` connections, and passes on everything else. The frame
/// stays, and says nothing.
fn without_events(stuck: usize) -> impl FnMut(usize, usize, Vec<u8>) -> Fate {
    move |connection, _, frame| match connection < stuck && holds_event(&frame) {
        true => Fate::Pass(vec![0, 0, 0, 8, 2, 0, 0, 0]),
        false => Fate::Pass(frame),
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_whose_events_do_not_come_is_replaced_though_its_connection_is_alive() {
    for start in [
        "earliest",
        "latest",
        "sequence:2",
        "time:2020-01-01T00:00:00Z",
    ] {
        let world = World::start().await;
        world.append(0..5);
        let between = Between::new(&world).await;
        let hub = EventHub::new(config(&between.string));
        let mut receiver = hub.receiver(PartitionId::new("0"), start.parse().unwrap());
        let begun = tokio::time::Instant::now();
        let receive = async {
            // The end is where it is before more comes.
            quiet(&mut receiver, Duration::from_secs(50)).await;
            world.append(5..6);
            let patience = Duration::from_secs(600);
            let event = tokio::time::timeout(patience, receiver.receive()).await;
            event.expect("an event in time").unwrap().sequence_number.0
        };
        let number = tokio::select! {
            number = receive => number,
            () = between.pass(without_events(1), |_| {}) => unreachable!(),
        };
        let expected = match start {
            "latest" => 5,
            "sequence:2" => 2,
            _ => 0,
        };
        assert_eq!(number, expected, "{start}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(300), "{took:?}, {start}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_at_the_end_whose_first_events_do_not_come_is_replaced_though_no_others_follow() {
    for before in [0, 5] {
        let world = World::start().await;
        world.append(0..before);
        let between = Between::new(&world).await;
        let hub = EventHub::new(config(&between.string));
        let mut receiver = hub.receiver(PartitionId::new("0"), StartPosition::Latest);
        let receive = async {
            quiet(&mut receiver, Duration::from_secs(5)).await;
            world.append(before..before + 1);
            let patience = Duration::from_secs(300);
            let event = tokio::time::timeout(patience, receiver.receive()).await;
            event.expect("an event in time").unwrap().sequence_number.0
        };
        let number = tokio::select! {
            number = receive => number,
            () = between.pass(without_events(1), |_| {}) => unreachable!(),
        };
        assert_eq!(number, before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_whose_events_never_come_is_an_error_and_not_a_silence() {
    let world = World::start().await;
    world.append(0..5);
    let between = Between::new(&world).await;
    let mut receiver = between.receiver();
    let error = tokio::select! {
        received = receiver.receive() => received.expect_err("no event comes"),
        () = between.pass(without_events(usize::MAX), |_| {}) => unreachable!(),
    };
    assert!(matches!(error, ReceiverError::Stuck { .. }), "{error:?}");
    check(&error, &["partition 0", "do not come"]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_partition_keeps_its_link_for_days() {
    let world = World::start().await;
    let between = Between::new(&world).await;
    let mut receiver = between.receiver();
    let mut connections = 0;
    let idle = async {
        for day in 0..2 {
            quiet(&mut receiver, Duration::from_secs(86_400)).await;
            world.append(day..day + 1);
            assert_eq!(receiver.receive().await.unwrap().sequence_number.0, day);
        }
    };
    let fate = |connection, _, frame| {
        connections = connections.max(connection + 1);
        Fate::Pass(frame)
    };
    tokio::select! {
        () = idle => {}
        () = between.pass(fate, |_| {}) => {}
    }
    assert_eq!(connections, 1);
    assert!(
        world.emulator.open_links() <= 3,
        "{}",
        world.emulator.open_links()
    );
}
