// Events that are taken without waiting for them; `main.rs` includes this behind `suite.rs`, once for each engine.

/// The next event, as a loop takes it: what is at hand first. Counts what was.
async fn next_at_hand(receiver: &mut Receiver, at_hand: &mut i64) -> Result<Event, ReceiverError> {
    if let Some(event) = receiver.try_receive()? {
        *at_hand += 1;
        return Ok(event);
    }
    patiently(receiver.receive()).await
}

#[tokio::test]
async fn what_is_at_hand_needs_no_waiting_and_comes_once_and_in_order() {
    let world = World::start().await;
    world.append(0..3_000);
    let budget = Budget::new(64 * MIB);
    let mut receiver = sharing(&world, &budget, 0);
    let mut at_hand = 0;
    for number in 0..3_000 {
        let event = next_at_hand(&mut receiver, &mut at_hand).await.unwrap();
        assert_eq!(event.sequence_number.0, number);
        assert_eq!(event.body.bytes(), number.to_string().as_bytes());
        let snapshot = receiver.standing().snapshot();
        assert_eq!(snapshot.received, Some(event.sequence_number));
        assert_eq!(snapshot.received_enqueued, Some(event.enqueued_time));
        assert_eq!(snapshot.events, number as u64 + 1);
    }
    if ENGINE == Engine::Own {
        assert!(at_hand > 1_500, "{at_hand}");
    }
    assert!(receiver.try_receive().unwrap().is_none());
    // Nothing is left that the connection has not been told of.
    wait_with(&mut receiver, || budget.held() == 0).await;
}

#[tokio::test]
async fn to_ask_what_is_at_hand_connects_nothing() {
    let world = World::start().await;
    world.append(0..1);
    let mut receiver = world.receiver("earliest");
    for _ in 0..100 {
        assert!(receiver.try_receive().unwrap().is_none());
        tokio::task::yield_now().await;
    }
    assert_eq!(world.emulator.open_connections(), 0);
    expect(&mut receiver, 0..1).await;
}

#[tokio::test]
async fn what_is_at_hand_when_a_connection_is_lost_is_neither_lost_nor_repeated() {
    let world = World::start().await;
    world.append(0..600);
    let mut receiver = world.receiver("earliest");
    for number in 0..600 {
        if number % 100 == 50 {
            world.emulator.drop_connections();
        }
        // A call that is cancelled takes nothing.
        let polled = match number % 2 {
            0 => futures_util::poll!(pin!(receiver.receive())),
            _ => std::task::Poll::Pending,
        };
        let event = match polled {
            std::task::Poll::Ready(event) => event,
            std::task::Poll::Pending => next_at_hand(&mut receiver, &mut 0).await,
        };
        assert_eq!(event.unwrap().sequence_number.0, number);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_missing_among_those_at_hand_is_fetched_behind_those_before_it() {
    let world = World::start().await;
    world.append(0..100);
    let between = Between::new(&world).await;
    let mut receiver = between.receiver();
    let mut come = 0;
    let fate = |_, _, frame: Vec<u8>| {
        come += i32::from(holds_event(&frame));
        match holds_event(&frame) && come == 31 {
            true => Fate::Pass(vec![0, 0, 0, 8, 2, 0, 0, 0]),
            false => Fate::Pass(frame),
        }
    };
    let receive = async {
        for number in 0..100 {
            let event = next_at_hand(&mut receiver, &mut 0).await.unwrap();
            assert_eq!(event.sequence_number.0, number);
        }
    };
    tokio::select! {
        () = receive => {}
        () = between.pass(fate, |_| {}) => unreachable!(),
    }
    let losses = receiver.standing().snapshot().losses;
    assert_eq!(losses.of(LossKind::OutOfSequence), 1, "{losses:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_among_what_is_at_hand_comes_behind_the_events_before_it() {
    let world = World::start().await;
    world.append(0..100);
    let between = Between::new(&world).await;
    let mut receiver = between.receiver();
    let name = b"x-opt-sequence-number";
    let mut come = 0;
    let nameless = |_, _, mut frame: Vec<u8>| {
        if let Some(at) = frame.windows(name.len()).position(|part| part == name) {
            come += 1;
            // On the next connections too, beginning with the first event that comes.
            if come > 30 {
                frame[at] = b'y';
            }
        }
        Fate::Pass(frame)
    };
    let mut taken = 0;
    let receive = async {
        loop {
            match next_at_hand(&mut receiver, &mut 0).await {
                Ok(event) => assert_eq!(event.sequence_number.0, taken),
                Err(error) => return error,
            }
            taken += 1;
        }
    };
    let error = tokio::select! {
        error = receive => error,
        () = between.pass(nameless, |_| {}) => unreachable!(),
    };
    check(&error, &["no sequence number"]);
    assert_eq!(taken, 30);
}
