//! What becomes of a batch in which one message is held, and of one that fails for too long.

use super::super::pace::Order;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_held_message_of_a_batch_holds_only_its_partition_and_that_in_its_order() {
    let held = Arc::new(Mutex::new(true));
    let is_held = Arc::clone(&held);
    let mut world = World::start(pace(4, 8), OnRefusal::Hold, move |numbers, _| {
        if numbers.contains(&0) && *is_held.lock().unwrap() {
            return refused();
        }
        Ok(())
    });
    world.send_all(32, 4).await;
    for _ in 0..24 {
        let settled = tokio::time::timeout(Duration::from_secs(600), world.settled.recv()).await;
        assert!(matches!(settled, Ok(Some(Settled::Accepted(_)))));
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(world.settled.try_recv().is_err());
    *held.lock().unwrap() = false;
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!(accepted, 8);
    let of_its_partition = attempts.concat().into_iter().filter(|n| n % 4 == 0);
    let since = of_its_partition.skip_while(|n| *n < 28);
    let order: Vec<i64> = since.skip(1).collect();
    assert!(order.ends_with(&[0, 4, 8, 12, 16, 20, 24, 28]), "{order:?}");
}

/// A message of these rows.
fn message_of_rows(number: i64, rows: &[u8]) -> Message {
    let target = |row: &u8| {
        format!(
            r#"{{"__type":"EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts","Id":"6420f0cc-916b-ee11-9ae6-00000000000{row}","LogicalName":"account"}}"#
        )
    };
    let targets: Vec<String> = rows.iter().map(target).collect();
    let mut event = samples::event(&format!(
        r#"{{"MessageName":"DeleteMultiple","PrimaryEntityName":"account","InputParameters":[{{"key":"Targets","value":[{}]}}],"OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73"}}"#,
        targets.join(",")
    ));
    event.sequence_number = SequenceNumber(number);
    samples::decoded(event)
}

/// The second waits for nobody, and yet the third waits for both.
#[tokio::test(start_paused = true)]
async fn what_shares_a_row_with_a_held_message_waits_and_holds_nothing_that_came_before_it() {
    let held = Arc::new(Mutex::new(true));
    let is_held = Arc::clone(&held);
    let by_row = Pace {
        order: Order::Row,
        ..pace(4, 8)
    };
    let mut world = World::start(by_row, OnRefusal::Hold, move |numbers, _| {
        if numbers.contains(&0) && *is_held.lock().unwrap() {
            return refused();
        }
        Ok(())
    });
    for (number, rows) in (0..).zip([&[1][..], &[2], &[1, 2], &[3]]) {
        world.send(message_of_rows(number, rows)).await;
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    world.send(message_of_rows(4, &[2])).await;
    world.send(message_of_rows(5, &[3])).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let mut order = world.attempts.lock().unwrap().concat();
    order.retain(|number| *number != 0);
    assert_eq!(order, [1, 2, 3, 1, 3, 5]);
    *held.lock().unwrap() = false;
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!(accepted, 6);
    assert!(attempts.concat().ends_with(&[0, 2, 4]), "{attempts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_given_up_at_once_but_for_those_that_the_server_takes() {
    let pace = Pace {
        retry: Retry {
            give_up: Some(Duration::from_secs(600)),
            ..RETRY
        },
        ..pace(1, 10)
    };
    for (poisoned, skipped) in [(vec![3, 7], 2), ((0..10).collect(), 10)] {
        let mut world = World::start(
            pace.clone(),
            OnRefusal::Skip,
            move |numbers, _| match numbers.iter().any(|number| poisoned.contains(number)) {
                true => unavailable(),
                false => Ok(()),
            },
        );
        world.send_all(10, 1).await;
        let counts = Arc::clone(&world.handle.counts);
        let begun = Instant::now();
        let (accepted, _, _) = world.finish().await;
        assert_eq!((accepted, counts.skipped()), (10, skipped));
        let lasted = begun.elapsed();
        assert!(lasted >= Duration::from_secs(600), "{lasted:?}");
        assert!(lasted < Duration::from_secs(700), "{lasted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_not_asked_about_each_message_that_is_given_up() {
    let pace = Pace {
        retry: Retry {
            give_up: Some(Duration::from_secs(60)),
            ..RETRY
        },
        ..pace(1, 10)
    };
    let mut world = World::start(pace, OnRefusal::Skip, |_, _| {
        Err(DeliveryError::Busy {
            after: Duration::from_secs(30),
            reason: "429".to_owned(),
        })
    });
    world.send_all(10, 1).await;
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!(accepted, 10);
    assert!(attempts.len() <= 3, "{attempts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_a_short_pause() {
    let mut world = World::start(pace(16, 1), OnRefusal::Hold, |_, before| match before {
        0..16 => unavailable(),
        _ => Ok(()),
    });
    world.send_all(16, 16).await;
    let begun = Instant::now();
    let (accepted, _, _) = world.finish().await;
    assert_eq!(accepted, 16);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

/// Neither closes the breaker: once it is open, there is one attempt at a time.
#[tokio::test(start_paused = true)]
async fn giving_up_and_what_is_never_sent_are_no_signs_of_life() {
    let pace = Pace {
        retry: Retry {
            give_up: Some(Duration::from_secs(60)),
            ..RETRY
        },
        ..pace(16, 1)
    };
    let mut world = World::start(pace, OnRefusal::Skip, |numbers, _| match numbers[0] % 20 {
        19 => Err(DeliveryError::Unfit("it has no form".to_owned())),
        _ => unavailable(),
    });
    world.send_all(400, 400).await;
    let under_way = Arc::clone(&world.under_way);
    tokio::time::sleep(Duration::from_secs(30)).await;
    under_way.lock().unwrap().1 = 0;
    world.finish().await;
    assert_eq!(under_way.lock().unwrap().1, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_count_as_failing() {
    let pace = Pace {
        retry: Retry {
            give_up: Some(Duration::from_secs(600)),
            ..RETRY
        },
        ..pace(1, 1)
    };
    let mut world = World::start(pace, OnRefusal::Skip, |_, before| match before {
        0 => unavailable(),
        1 => Err(DeliveryError::Paused("410".to_owned())),
        2 => unavailable(),
        _ => Ok(()),
    });
    world.send_all(1, 1).await;
    tokio::time::sleep(Duration::from_secs(100_000)).await;
    world.reopen.send(1).unwrap();
    let counts = Arc::clone(&world.handle.counts);
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!((accepted, counts.skipped(), attempts.len()), (1, 0, 4));
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_and_again_does_not_keep_out_what_comes_later() {
    let pace = Pace {
        retry: Retry {
            first: Duration::from_millis(5),
            limit: Duration::from_millis(20),
            give_up: None,
        },
        ..pace(64, 1)
    };
    let mut world = World::start(pace, OnRefusal::Hold, |numbers, _| match numbers[0] {
        0..50 => unavailable(),
        _ => Ok(()),
    });
    world.send_all(50, 50).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.send(message(50, 50)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let attempts = world.attempts.lock().unwrap().concat();
    assert!(attempts.contains(&50), "{} attempts", attempts.len());
}
