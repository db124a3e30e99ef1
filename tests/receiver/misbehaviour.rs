// What the hub can be told to do wrong: the receiver sees it, and goes on once it is over. `main.rs` includes this
// behind `suite.rs`, once for each engine. Time is paused: what is waited for between two attempts takes none.

/// Long enough for any single wait of the receiver's.
const LONG: Duration = Duration::from_secs(600);

/// A hub with this many events in its first partition, and a receiver that has read the first of them.
async fn reading(events: i64) -> (World, Receiver) {
    let world = World::start().await;
    world.append(0..events);
    let mut receiver = world.receiver("earliest");
    read(&mut receiver, 0..1).await;
    (world, receiver)
}

/// Receives these events, each once and in order, however long that takes.
async fn read(receiver: &mut Receiver, numbers: Range<i64>) {
    for number in numbers {
        let event = tokio::time::timeout(20 * LONG, receiver.receive());
        let event = event.await.expect("it hangs").expect("an event");
        assert_eq!(event.sequence_number.0, number);
        assert_eq!(event.body.bytes(), number.to_string().as_bytes());
    }
}

/// Receives nothing for so long.
async fn quiet(receiver: &mut Receiver, lasting: Duration) {
    let event = tokio::time::timeout(lasting, receiver.receive()).await;
    assert!(event.is_err(), "unexpected: {event:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_done_to_what_is_open_loses_and_repeats_nothing() {
    for fault in [Fault::Drop, Fault::Close, Fault::End, Fault::Detach] {
        for partition in [None, Some(0)] {
            let (world, mut receiver) = reading(500).await;
            for round in 0..3 {
                world.emulator.disturb(fault, partition);
                read(&mut receiver, round * 100 + 1..round * 100 + 101).await;
            }
            world.append(500..510);
            read(&mut receiver, 301..510).await;
            world.until_connections(1).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_to_one_partition_is_not_done_to_another() {
    for fault in [
        Fault::Drop,
        Fault::Freeze,
        Fault::CutFrame,
        Fault::Close,
        Fault::End,
        Fault::Detach,
        Fault::Steal,
    ] {
        let (world, mut receiver) = reading(1).await;
        world.emulator.disturb(fault, Some(1));
        quiet(&mut receiver, LONG).await;
        world.append(1..2);
        read(&mut receiver, 1..2).await;
        assert_eq!(world.emulator.open_links(), 3, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_cut_in_the_middle_of_a_frame_loses_and_repeats_nothing() {
    for partition in [None, Some(0)] {
        let (world, mut receiver) = reading(1).await;
        for round in 0..20 {
            world.emulator.disturb(Fault::CutFrame, partition);
            world.append(round + 1..round + 2);
            read(&mut receiver, round + 1..round + 2).await;
        }
        world.until_connections(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_event_that_is_cut_within_its_frames_comes_whole() {
    let (world, mut receiver) = reading(1).await;
    let body = vec![b'x'; 900_000];
    world.emulator.disturb(Fault::CutFrame, Some(0));
    world.emulator.append_body(0, &body).unwrap();
    let event = receiver.receive().await.unwrap();
    assert_eq!(event.sequence_number.0, 1);
    assert!(event.body.bytes() == body);
}

#[tokio::test(start_paused = true)]
async fn a_stolen_link_is_looked_for_again_and_not_at_once() {
    for partition in [None, Some(0)] {
        let (world, mut receiver) = reading(1).await;
        world.emulator.disturb(Fault::Steal, partition);
        world.append(1..3);
        quiet(&mut receiver, Duration::from_secs(29)).await;
        read(&mut receiver, 1..3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_freezes_for_ever_is_given_up() {
    let (world, mut receiver) = reading(1).await;
    world.emulator.disturb(Fault::Freeze, Some(0));
    world.append(1..200);
    let begun = tokio::time::Instant::now();
    read(&mut receiver, 1..200).await;
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    world.emulator.thaw();
    world.until_connections(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_thaws_goes_on_as_if_nothing_had_happened() {
    for partition in [None, Some(0)] {
        let (world, mut receiver) = reading(1).await;
        world.emulator.disturb(Fault::Freeze, partition);
        world.append(1..200);
        quiet(&mut receiver, Duration::from_secs(20)).await;
        world.emulator.thaw();
        let begun = tokio::time::Instant::now();
        read(&mut receiver, 1..200).await;
        assert!(
            begun.elapsed() < Duration::from_millis(200),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(world.emulator.open_connections(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_renewed_is_claimed_until_it_can() {
    let (world, mut receiver) = reading(1).await;
    world.emulator.refuse_tokens();
    // The link runs for as long as nothing is to be claimed.
    quiet(&mut receiver, Duration::from_secs(2000)).await;
    world.append(1..2);
    read(&mut receiver, 1..2).await;
    // It is renewed after three quarters of an hour, and the events of the time after that must wait.
    quiet(&mut receiver, Duration::from_secs(720)).await;
    world.append(2..3);
    quiet(&mut receiver, LONG).await;
    world.emulator.accept_tokens();
    read(&mut receiver, 2..3).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_from_the_beginning_is_unauthorized() {
    let world = World::start().await;
    world.append(0..1);
    world.emulator.refuse_tokens();
    let mut receiver = world.receiver("earliest");
    let error = failure(&mut receiver).await;
    assert!(
        matches!(error, ReceiverError::Unauthorized { .. }),
        "{error:?}"
    );
    check(&error, &["InvalidSignature"]);
    world.emulator.accept_tokens();
    read(&mut receiver, 0..1).await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_hub_is_left_alone_for_a_while_and_asked_again() {
    let (world, mut receiver) = reading(1).await;
    world.emulator.throttle_attach();
    world.emulator.drop_connections();
    quiet(&mut receiver, LONG).await;
    world.append(1..3);
    quiet(&mut receiver, LONG).await;
    world.emulator.allow_attach();
    read(&mut receiver, 1..3).await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_hub_is_waited_for_from_the_beginning_too() {
    let world = World::start().await;
    world.append(0..1);
    world.emulator.throttle_attach();
    let mut receiver = world.receiver("earliest");
    quiet(&mut receiver, LONG).await;
    world.emulator.allow_attach();
    read(&mut receiver, 0..1).await;
}

#[tokio::test(start_paused = true)]
async fn throttled_management_is_busy_and_is_asked_again_where_the_end_is_wanted() {
    let world = World::start().await;
    world.append(0..3);
    world.emulator.throttle_management();
    let error = world.hub().partitions().await.expect_err("busy");
    assert!(matches!(error, ReceiverError::Busy { .. }), "{error:?}");
    assert!(matches!(error.retry(), Retry::After(_)));
    let mut receiver = world.receiver("latest");
    quiet(&mut receiver, LONG).await;
    world.append(3..4);
    world.emulator.allow_management();
    // The end is where it was when it could be asked for.
    quiet(&mut receiver, LONG).await;
    world.append(4..5);
    read(&mut receiver, 4..5).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_link_outlasts_a_management_that_is_busy_and_is_not_trusted_for_ever() {
    let (world, mut receiver) = reading(1).await;
    let reconnects = |receiver: &Receiver| receiver.standing().snapshot().reconnects;
    world.emulator.throttle_management();
    quiet(&mut receiver, Duration::from_secs(150)).await;
    assert_eq!(reconnects(&receiver), 0);
    quiet(&mut receiver, Duration::from_secs(600)).await;
    assert_ne!(reconnects(&receiver), 0);
    world.emulator.allow_management();
    world.append(1..2);
    read(&mut receiver, 1..2).await;
}

#[tokio::test(start_paused = true)]
async fn a_disabled_hub_and_an_exhausted_quota_are_waited_for_by_a_receiver_that_has_worked() {
    let disable = |emulator: &Emulator| emulator.disable();
    let exhaust = |emulator: &Emulator| emulator.exhaust_quota();
    for refuse in [disable as fn(&Emulator), exhaust] {
        let (world, mut receiver) = reading(1).await;
        refuse(&world.emulator);
        world.emulator.disturb(Fault::Detach, None);
        quiet(&mut receiver, LONG).await;
        world.append(1..2);
        world.emulator.recover();
        read(&mut receiver, 1..2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_disabled_hub_and_an_exhausted_quota_are_told_to_a_receiver_that_has_not() {
    let world = World::start().await;
    world.append(0..1);
    let mut receiver = world.receiver("earliest");
    world.emulator.disable();
    let error = failure(&mut receiver).await;
    assert!(matches!(error, ReceiverError::Refused { .. }), "{error:?}");
    check(&error, &["currently disabled"]);
    world.emulator.exhaust_quota();
    let error = failure(&mut receiver).await;
    assert!(matches!(error, ReceiverError::Quota { .. }), "{error:?}");
    world.emulator.allow_attach();
    read(&mut receiver, 0..1).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_hub_is_waited_for() {
    let (world, mut receiver) = reading(1).await;
    world.emulator.set_delay(Duration::from_secs(3));
    let begun = tokio::time::Instant::now();
    world.append(1..1_000);
    read(&mut receiver, 1..1_000).await;
    assert!(begun.elapsed() >= Duration::from_secs(3));
    // Everything that it takes to get there is slow as well, and none of it too slow.
    world.emulator.drop_connections();
    world.append(1_000..1_010);
    read(&mut receiver, 1_000..1_010).await;
    world.emulator.set_delay(Duration::ZERO);
    let begun = tokio::time::Instant::now();
    world.append(1_010..1_011);
    read(&mut receiver, 1_010..1_011).await;
    assert!(begun.elapsed() <= Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_too_slow_to_be_opened_is_opened_once_it_is_faster() {
    let world = World::start().await;
    world.append(0..1);
    world.emulator.set_delay(Duration::from_secs(50));
    let mut receiver = world.receiver("earliest");
    quiet(&mut receiver, LONG).await;
    world.emulator.recover();
    read(&mut receiver, 0..1).await;
}

#[tokio::test(start_paused = true)]
async fn events_that_expire_before_they_are_read_are_passed_over() {
    let (world, mut receiver) = reading(1).await;
    world.emulator.throttle_attach();
    world.emulator.drop_connections();
    quiet(&mut receiver, LONG).await;
    world.append(1..100);
    assert_eq!(world.emulator.expire(0, 60).unwrap(), 60);
    world.emulator.recover();
    read(&mut receiver, 60..100).await;
    assert!(world.emulator.expire(4, 0).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_made_anew_is_read_from_its_beginning() {
    let (world, mut receiver) = reading(50).await;
    read(&mut receiver, 1..50).await;
    for round in 1..4 {
        world.emulator.recreate();
        world.append(0..50 * round);
        read(&mut receiver, 0..50 * round).await;
    }
    world.until_connections(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_added_is_named_and_delivers() {
    let (world, mut receiver) = reading(1).await;
    assert!(world.emulator.append_body(5, b"0").is_err());
    assert_eq!(world.emulator.add_partitions(2).unwrap(), 6);
    let ids = world.hub().partitions().await.unwrap();
    assert_eq!(ids.len(), 6);
    let mut added = world
        .hub()
        .receiver(ids[5].clone(), StartPosition::Earliest);
    world.emulator.append_body(5, b"0").unwrap();
    read(&mut added, 0..1).await;
    world.append(1..2);
    read(&mut receiver, 1..2).await;
    assert!(world.emulator.add_partitions(1019).is_err());
    assert_eq!(world.emulator.partitions(), 6);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_wrong_by_itself() {
    let (world, mut receiver) = reading(1).await;
    for hour in 1..20 {
        quiet(&mut receiver, Duration::from_secs(3600)).await;
        world.append(hour..hour + 1);
        read(&mut receiver, hour..hour + 1).await;
    }
    assert_eq!(world.emulator.open_connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hub_made_anew_that_fills_between_two_attaches_is_read_from_its_beginning() {
    let (world, mut receiver) = reading(10).await;
    read(&mut receiver, 1..10).await;
    world.emulator.recreate();
    // What is detached is waited for; from then on every step takes a second.
    world.emulator.set_delay(Duration::from_secs(1));
    let mut most = 0;
    let mut waited = 0;
    // The next connection has its claim, and then is gone: its position, an offset, was refused.
    loop {
        quiet(&mut receiver, Duration::from_millis(100)).await;
        let links = world.emulator.open_links();
        most = if waited < 100 { 0 } else { most.max(links) };
        waited += 1;
        if most >= 2 && links < 2 {
            break;
        }
        assert!(waited < 2_000);
    }
    world.emulator.throttle_attach();
    quiet(&mut receiver, LONG).await;
    world.append(0..30);
    world.emulator.recover();
    read(&mut receiver, 0..30).await;
}

/// How many times to reconnect; RECONNECTS says another number.
fn reconnects() -> i64 {
    let text = std::env::var("RECONNECTS").ok();
    text.map_or(500, |text| text.parse().expect("a number"))
}

/// How much memory this process has, in KiB: to be printed, for other tests may run beside this one.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.split_whitespace().next());
    size.and_then(|size| size.parse().ok()).expect("a size")
}

#[tokio::test(start_paused = true)]
async fn reconnecting_again_and_again_leaves_neither_tasks_nor_links_behind() {
    let world = World::start().await;
    let mut receiver = world.receiver("earliest");
    let mut settled = None;
    for number in 0..reconnects() {
        world.append(number..number + 1);
        read(&mut receiver, number..number + 1).await;
        world.until_connections(1).await;
        let links = world.emulator.open_links();
        assert!(links <= 3, "{links} links");
        // After some rounds everything that is made once has been made.
        if number == 100 {
            let tasks = tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks();
            settled = Some((tasks, resident()));
        }
        world.emulator.drop_connections();
    }
    let (tasks, before) = settled.expect("more rounds");
    let left = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    println!(
        "{before} KiB after 100 reconnects, {} KiB at the end; {tasks} tasks, {left} at the end",
        resident()
    );
    assert!(left <= tasks, "{left} tasks, not {tasks}");
}
