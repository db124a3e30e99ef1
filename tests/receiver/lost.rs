// Positions that do not exist any more, and what the configuration says of them. `main.rs` includes this behind
// `suite.rs`, once for each engine.

/// A hub that keeps but the last few of many events, and a receiver that has read the first `READ` of them and goes
/// on now.
struct Forgetful {
    world: World,
    receiver: Receiver,
}

const READ: i64 = 5;
const APPENDED: i64 = 200;

impl Forgetful {
    async fn new(lost_position: &str) -> Self {
        let world = World::with(Options {
            retention_bytes: 10_000,
            ..Options::default()
        })
        .await;
        world.append(0..READ);
        let mut last = None;
        let mut receiver = world.receiver("earliest");
        for _ in 0..READ {
            last = Some(next(&mut receiver).await.position());
        }
        patiently(receiver.close()).await;
        world.append(READ..APPENDED);
        let hub = world.hub_with(lost_position);
        let after = last.expect("an event");
        Self {
            receiver: hub.receiver_after(PartitionId::new("0"), after),
            world,
        }
    }
}

impl World {
    fn hub_with(&self, lost_position: &str) -> EventHub {
        EventHub::new(Config {
            lost_position: lost_position.parse().expect("a policy"),
            ..config(&self.emulator.connection_string())
        })
    }
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_passed_over_and_no_more() {
    let mut forgetful = Forgetful::new("earliest").await;
    let first = next(&mut forgetful.receiver).await.sequence_number.0;
    assert!(first > READ && first < APPENDED, "{first}");
    expect(&mut forgetful.receiver, first + 1..APPENDED).await;
}

#[tokio::test]
async fn what_is_not_kept_any_more_stops_the_reading_where_that_is_wanted() {
    let mut forgetful = Forgetful::new("stop").await;
    for _ in 0..2 {
        let error = failure(&mut forgetful.receiver).await;
        assert!(
            matches!(error, ReceiverError::PositionLost { .. }),
            "{error:?}"
        );
        check(
            &error,
            &["partition 0", "no longer keeps the", "lost_position"],
        );
    }
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_left_for_what_comes_where_that_is_wanted() {
    let Forgetful {
        world,
        mut receiver,
    } = Forgetful::new("latest").await;
    wait_for_end(&world, &mut receiver).await;
    world.append(APPENDED..APPENDED + 3);
    expect(&mut receiver, APPENDED..APPENDED + 3).await;
}

#[tokio::test]
async fn a_hub_that_was_made_anew_is_read_from_where_the_policy_says() {
    for (policy, expected) in [
        ("earliest", Some(0)),
        ("-1h", Some(0)),
        ("latest", Some(20)),
        ("stop", None),
    ] {
        let world = World::start().await;
        world.append(0..30);
        let mut receiver = world
            .hub_with(policy)
            .receiver(PartitionId::new("0"), StartPosition::Earliest);
        expect(&mut receiver, 0..30).await;
        let listen = world.emulator.address();
        patiently(world.emulator.stop()).await;
        let world = World::with(Options {
            listen,
            ..Options::default()
        })
        .await;
        world.append(0..20);
        match expected {
            Some(20) => {
                wait_for_end(&world, &mut receiver).await;
                world.append(20..22);
                expect(&mut receiver, 20..22).await;
            }
            Some(first) => expect(&mut receiver, first..20).await,
            None => {
                let error = failure(&mut receiver).await;
                check(&error, &["made anew", "checkpoint set"]);
            }
        }
    }
}

/// The answer of a node with this status, as a bad request: what is wrong with it, nobody says.
fn as_bad_request(mut frame: Vec<u8>, status: i32) -> Vec<u8> {
    let name = b"status-code";
    let value = [&[0x71][..], &status.to_be_bytes()].concat();
    let is_answer = frame.windows(name.len()).any(|part| part == name);
    let at = frame.windows(5).position(|part| part == value);
    if let Some(at) = at.filter(|_| is_answer) {
        frame[at + 1..at + 5].copy_from_slice(&400_i32.to_be_bytes());
    }
    frame
}

#[tokio::test(start_paused = true)]
async fn a_node_that_calls_a_question_bad_says_nothing_of_the_position() {
    // `$cbs` as soon as the connection is lost, `$management` as soon as nothing comes.
    for (status, silence) in [(202, 0), (200, 65)] {
        for policy in ["earliest", "latest", "stop"] {
            let world = World::start().await;
            world.append(0..5);
            let between = Between::new(&world).await;
            let hub = EventHub::new(Config {
                lost_position: policy.parse().expect("a policy"),
                ..config(&between.string)
            });
            let mut receiver = hub.receiver(PartitionId::new("0"), StartPosition::Earliest);
            let is_refusing = std::cell::Cell::new(false);
            let scene = async {
                expect(&mut receiver, 0..5).await;
                is_refusing.set(true);
                if silence == 0 {
                    world.emulator.drop_connections();
                }
                quiet(&mut receiver, Duration::from_secs(300 + silence)).await;
                world.append(5..7);
                is_refusing.set(false);
                expect(&mut receiver, 5..7).await;
            };
            let fate = |_, _, frame| match is_refusing.get() {
                true => Fate::Pass(as_bad_request(frame, status)),
                false => Fate::Pass(frame),
            };
            tokio::select! {
                () = scene => {}
                () = between.pass(fate, |_| {}) => unreachable!(),
            }
        }
    }
}
