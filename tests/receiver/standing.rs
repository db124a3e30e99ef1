// How a partition stands, as its receiver knows; `main.rs` includes it once for each engine.

use dataverse_listener::standing::{LinkState, LossKind};

/// The last event received, and the last one that is known of.
fn stands(receiver: &Receiver) -> (Option<i64>, Option<i64>) {
    let snapshot = receiver.standing().snapshot();
    let number = |number: Option<dataverse_listener::event::SequenceNumber>| number.map(|it| it.0);
    (number(snapshot.received), number(snapshot.last_enqueued))
}

fn link_of(receiver: &Receiver) -> LinkState {
    receiver.standing().snapshot().link.state
}

#[tokio::test]
async fn each_event_tells_how_far_its_partition_goes_and_nobody_asks() {
    let world = World::start().await;
    world.append(0..5);
    let mut receiver = world.receiver("earliest");
    assert_eq!(link_of(&receiver), LinkState::Connecting);
    assert_eq!(stands(&receiver), (None, None));
    let mut most_links = 0;
    for number in 0..5 {
        let event = next(&mut receiver).await;
        most_links = most_links.max(world.emulator.open_links());
        assert_eq!(stands(&receiver), (Some(number), Some(4)));
        assert_eq!(
            receiver.standing().to_come(),
            u64::try_from(4 - number).ok()
        );
        let as_of = receiver.standing().snapshot().as_of.expect("it was said");
        assert!(as_of >= event.enqueued_time, "{as_of}");
    }
    assert_eq!(most_links, 3, "two to $cbs, none to $management");
    assert_eq!(link_of(&receiver), LinkState::Attached);
    world.append(5..8);
    next(&mut receiver).await;
    let (received, last) = stands(&receiver);
    assert_eq!(received, Some(5));
    assert!(last >= Some(5), "{last:?}");
    expect(&mut receiver, 6..8).await;
    assert_eq!(stands(&receiver), (Some(7), Some(7)));
}

#[tokio::test]
async fn a_receiver_at_the_end_is_not_behind_before_anything_has_come() {
    let world = World::start().await;
    world.append(0..3);
    let mut receiver = world.receiver("latest");
    assert_eq!(receiver.standing().snapshot().behind, None);
    patiently(receiver.attach()).await.expect("a link");
    assert_eq!(receiver.standing().snapshot().behind, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_silence_in_which_nothing_should_have_come_tells_that_nothing_is_behind() {
    let world = World::start().await;
    let mut receiver = world.receiver("earliest");
    patiently(receiver.attach()).await.expect("a link");
    assert_eq!(receiver.standing().snapshot().behind, None);
    quiet(&mut receiver, Duration::from_secs(90)).await;
    let snapshot = receiver.standing().snapshot();
    assert_eq!((snapshot.behind, snapshot.last_enqueued), (Some(0), None));
    assert!(snapshot.as_of.is_some(), "it was asked");
}

#[tokio::test]
async fn after_a_checkpoint_the_first_event_tells_how_many_are_behind() {
    let world = World::start().await;
    world.append(0..10);
    let mut first = world.receiver("earliest");
    expect(&mut first, 0..3).await;
    let position = next(&mut first).await.position();
    drop(first);
    let mut receiver = world.hub().receiver_after(PartitionId::new("0"), position);
    let snapshot = receiver.standing().snapshot();
    assert_eq!(
        (snapshot.completed.map(|it| it.0), snapshot.behind),
        (Some(3), None)
    );
    next(&mut receiver).await;
    assert_eq!(receiver.standing().snapshot().behind, Some(6));
}

#[tokio::test]
async fn a_loss_is_counted_and_its_reason_kept() {
    let world = World::start().await;
    world.append(0..2);
    let mut receiver = world.receiver("earliest");
    expect(&mut receiver, 0..1).await;
    assert_eq!(receiver.standing().snapshot().reconnects, 0);
    world.emulator.drop_connections();
    world.append(2..3);
    expect(&mut receiver, 1..3).await;
    let snapshot = receiver.standing().snapshot();
    assert_eq!(snapshot.reconnects, 1);
    let loss = snapshot.last_loss.expect("a loss");
    assert_eq!(snapshot.losses.of(loss.kind), 1);
    assert_eq!(loss.kind, LossKind::ConnectionLost, "{loss:?}");
    assert!(
        !loss.reason.is_empty() && loss.at <= snapshot.link.since,
        "{loss:?}"
    );
    assert_eq!(snapshot.link.state, LinkState::Attached);
    let standing = Arc::clone(receiver.standing());
    receiver.close().await;
    let ended = LinkState::Ended { reason: None };
    assert_eq!(standing.snapshot().link.state, ended);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_made_anew_is_not_measured_by_the_numbers_of_the_old_one() {
    let (world, mut receiver) = reading(20).await;
    read(&mut receiver, 1..20).await;
    assert_eq!(stands(&receiver), (Some(19), Some(19)));
    world.emulator.recreate();
    world.append(0..3);
    read(&mut receiver, 0..1).await;
    assert_eq!(stands(&receiver), (Some(0), Some(2)));
}

#[tokio::test]
async fn what_cannot_be_helped_ends_the_link_with_its_reason() {
    let world = World::start().await;
    let hub = EventHub::new(Config {
        consumer_group: "nobody's".to_owned(),
        ..config(&world.emulator.connection_string())
    });
    let mut receiver = hub.receiver(PartitionId::new("0"), StartPosition::Earliest);
    let error = failure(&mut receiver).await;
    match link_of(&receiver) {
        LinkState::Ended {
            reason: Some(reason),
        } => {
            assert!(reason.starts_with(&error.to_string()), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}
