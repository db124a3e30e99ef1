// Readers with owner levels, and those without. `main.rs` includes this behind `suite.rs`, once for each engine.

impl World {
    fn receiver_with(&self, owner_level: Option<i64>) -> Receiver {
        let config = Config {
            owner_level,
            ..config(&self.emulator.connection_string())
        };
        EventHub::new(config).receiver(PartitionId::new("0"), StartPosition::Earliest)
    }
}

/// The next event, and how long it took to come.
async fn next_after(receiver: &mut Receiver) -> (i64, Duration) {
    let begun = tokio::time::Instant::now();
    let event = receiver.receive().await.expect("an event");
    (event.sequence_number.0, begun.elapsed())
}

#[tokio::test]
async fn whoever_has_no_owner_level_is_told_who_shuts_it_out() {
    let world = World::start().await;
    world.append(0..1);
    let mut owner = world.receiver_with(Some(0));
    expect(&mut owner, 0..1).await;
    let error = failure(&mut world.receiver_with(None)).await;
    assert!(matches!(error, ReceiverError::Stolen { .. }), "{error:?}");
    check(&error, &["partition 0", "owner level"]);
}

#[tokio::test]
async fn whoever_has_a_lower_owner_level_is_told_so() {
    let world = World::start().await;
    world.append(0..1);
    let mut owner = world.receiver_with(Some(4));
    expect(&mut owner, 0..1).await;
    let error = failure(&mut world.receiver_with(Some(3))).await;
    assert!(
        matches!(error, ReceiverError::Outranked { level: 3, .. }),
        "{error:?}"
    );
    check(&error, &["partition 0", "(3)"]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_shut_out_goes_on_once_the_other_is_gone() {
    for level in [None, Some(7)] {
        let world = World::start().await;
        world.append(0..2);
        let mut receiver = world.receiver_with(level);
        assert_eq!(next_after(&mut receiver).await.0, 0);
        assert_eq!(next_after(&mut receiver).await.0, 1);
        let mut other = world.receiver_with(Some(7));
        assert_eq!(next_after(&mut other).await.0, 0);
        world.append(2..3);
        // It looks again and again, and takes nothing away meanwhile.
        let both = async {
            let looking = tokio::time::timeout(Duration::from_secs(300), receiver.receive()).await;
            assert!(looking.is_err(), "{looking:?}");
            (next_after(&mut other).await, next_after(&mut other).await)
        };
        let ((_, first), (number, second)) = both.await;
        assert_eq!(number, 2);
        assert!(
            first + second < Duration::from_secs(1),
            "the other was never disturbed"
        );
        patiently(other.close()).await;
        let (number, took) = next_after(&mut receiver).await;
        assert_eq!(number, 2);
        assert!(took < Duration::from_secs(61), "{took:?}");
        assert_eq!(world.emulator.open_connections(), 1);
    }
}
