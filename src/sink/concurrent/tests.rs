//! The worker against a service that answers as a script says.

mod failing;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::ack::{Limit, Window};
use crate::event::{Offset, PartitionId, Position, SequenceNumber};
use crate::message::{Message, samples};
use crate::sink::retry::Retry;
use crate::sink::{OnRefusal, Orders, QueueLimit, Receipt, Settled, Shipment, SinkHandle, queue};

/// What the service answers to an attempt, by the numbers in it and how often it was asked before.
type Answer = Box<dyn Fn(&[i64], usize) -> Result<(), DeliveryError> + Send + Sync>;

struct Scripted {
    answer: Answer,
    attempts: Arc<Mutex<Vec<Vec<i64>>>>,
    under_way: Arc<Mutex<(usize, usize)>>,
}

impl Service for Scripted {
    async fn attempt(&self, batch: &[Delivery]) -> Result<(), DeliveryError> {
        let numbers: Vec<i64> = batch
            .iter()
            .map(|delivery| delivery.message().event.sequence_number.0)
            .collect();
        let before = {
            let mut attempts = self.attempts.lock().unwrap();
            attempts.push(numbers.clone());
            attempts.len() - 1
        };
        {
            let mut under_way = self.under_way.lock().unwrap();
            under_way.0 += 1;
            under_way.1 = under_way.1.max(under_way.0);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.under_way.lock().unwrap().0 -= 1;
        (self.answer)(&numbers, before)
    }
}

/// A worker with its queue, and what it did.
struct World {
    handle: SinkHandle,
    worker: SinkWorker,
    attempts: Arc<Mutex<Vec<Vec<i64>>>>,
    under_way: Arc<Mutex<(usize, usize)>>,
    reopen: watch::Sender<u64>,
    window: Window,
    settle: mpsc::Sender<Settled>,
    settled: mpsc::Receiver<Settled>,
}

const RETRY: Retry = Retry {
    first: Duration::from_secs(1),
    limit: Duration::from_secs(60),
    give_up: None,
};

fn pace(concurrency: usize, batch_events: usize) -> Pace {
    Pace {
        concurrency: concurrency.try_into().unwrap(),
        batch_events: batch_events.try_into().unwrap(),
        retry: RETRY,
        ..Pace::default()
    }
}

impl World {
    fn start(
        pace: Pace,
        on_refusal: OnRefusal,
        answer: impl Fn(&[i64], usize) -> Result<(), DeliveryError> + Send + Sync + 'static,
    ) -> Self {
        let (reopen, heard) = watch::channel(0);
        let orders = Orders {
            force: CancellationToken::new(),
            reopen: heard,
        };
        let (handle, queue) = queue("test", QueueLimit::default(), on_refusal, orders);
        let attempts = Arc::default();
        let under_way = Arc::default();
        let service = Scripted {
            answer: Box::new(answer),
            attempts: Arc::clone(&attempts),
            under_way: Arc::clone(&under_way),
        };
        let (settle, settled) = mpsc::channel(1000);
        Self {
            handle,
            worker: spawn(service, pace, queue),
            attempts,
            under_way,
            reopen,
            window: Window::new(Limit {
                events: 1000,
                bytes: 1000,
            }),
            settle,
            settled,
        }
    }

    async fn send(&mut self, message: Message) {
        let position = Position {
            sequence_number: message.event.sequence_number,
            offset: Offset::new("0"),
        };
        let ticket = self.window.begin(position, 0);
        let receipt = Receipt::new(1, ticket, self.settle.clone());
        let shipment = Arc::new(Shipment { message, receipt });
        self.handle.send(Delivery::new(shipment)).await;
    }

    async fn send_all(&mut self, count: i64, partitions: i64) {
        for number in 0..count {
            self.send(message(number, number % partitions)).await;
        }
    }

    /// Closes the queue and waits for the worker; how many were accepted, and how many abandoned.
    async fn finish(self) -> (usize, usize, Vec<Vec<i64>>) {
        let Self {
            handle,
            worker,
            attempts,
            settle,
            mut settled,
            ..
        } = self;
        drop((handle, settle));
        worker.await.unwrap().unwrap();
        let (mut accepted, mut abandoned) = (0, 0);
        while let Some(outcome) = settled.recv().await {
            match outcome {
                Settled::Accepted(_) => accepted += 1,
                Settled::Abandoned(_) => abandoned += 1,
            }
        }
        let attempts = attempts.lock().unwrap().clone();
        (accepted, abandoned, attempts)
    }
}

fn message(number: i64, partition: i64) -> Message {
    let mut event = samples::event("?");
    event.sequence_number = SequenceNumber(number);
    event.partition = PartitionId::new(&partition.to_string());
    samples::decoded(event)
}

fn unavailable() -> Result<(), DeliveryError> {
    Err(DeliveryError::Unavailable(io::Error::other("502")))
}

fn refused() -> Result<(), DeliveryError> {
    Err(DeliveryError::Refused("422".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn partitions_go_side_by_side_and_each_in_its_order() {
    let mut world = World::start(pace(8, 1), OnRefusal::Hold, |_, _| Ok(()));
    world.send_all(40, 4).await;
    let under_way = Arc::clone(&world.under_way);
    let (accepted, abandoned, attempts) = world.finish().await;
    assert_eq!((accepted, abandoned), (40, 0));
    assert_eq!(under_way.lock().unwrap().1, 4);
    for partition in 0..4 {
        let of: Vec<i64> = attempts
            .iter()
            .flatten()
            .copied()
            .filter(|n| n % 4 == partition)
            .collect();
        assert!(of.is_sorted(), "{of:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_before_what_comes_behind_it() {
    let mut world = World::start(pace(1, 1), OnRefusal::Hold, |_, before| match before {
        1..=7 => unavailable(),
        _ => Ok(()),
    });
    world.send_all(3, 1).await;
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!(accepted, 3);
    assert_eq!(attempts.concat(), [0, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn one_partition_that_fails_does_not_hold_up_the_others() {
    let failing = Arc::new(Mutex::new(true));
    let is_failing = Arc::clone(&failing);
    let mut world = World::start(pace(2, 1), OnRefusal::Hold, move |numbers, _| {
        if numbers[0] % 2 == 0 && *is_failing.lock().unwrap() {
            return unavailable();
        }
        Ok(())
    });
    world.send_all(20, 2).await;
    let mut done = 0;
    while done < 10 {
        let settled = world.settled.recv().await;
        assert!(matches!(settled, Some(Settled::Accepted(_))));
        done += 1;
    }
    *failing.lock().unwrap() = false;
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!(accepted, 10);
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for number in attempts.concat() {
        *counts.entry(number).or_default() += 1;
    }
    assert!(
        (0..20).filter(|n| n % 2 == 1).all(|n| counts[&n] == 1),
        "{counts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_what_has_come_and_waits_for_no_more_than_it_may() {
    let mut world = World::start(pace(1, 4), OnRefusal::Hold, |_, _| Ok(()));
    world.send_all(6, 1).await;
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!(accepted, 6);
    assert_eq!(attempts, [vec![0, 1, 2, 3], vec![4, 5]]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_of_a_batch_is_found_and_skipped_and_the_others_are_delivered() {
    let mut world = World::start(pace(1, 4), OnRefusal::Skip, |numbers, _| {
        if numbers.contains(&2) {
            refused()
        } else {
            Ok(())
        }
    });
    world.send_all(4, 1).await;
    let counts = Arc::clone(&world.handle.counts);
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!(accepted, 4, "skipping settles too");
    assert_eq!((counts.accepted(), counts.skipped()), (3, 1));
    assert_eq!(
        attempts,
        [vec![0, 1, 2, 3], vec![0], vec![1], vec![2], vec![3]]
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_without_a_place_to_go_holds_only_its_partition() {
    let mut world = World::start(pace(4, 1), OnRefusal::Hold, |numbers, before| {
        if numbers[0] == 0 && before < 30 {
            refused()
        } else {
            Ok(())
        }
    });
    world.send_all(20, 2).await;
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!(accepted, 20);
    let order = attempts.concat();
    let first_of = |number| order.iter().position(|n| *n == number).unwrap();
    assert!(first_of(19) < 30, "the other partition went on");
    assert!(first_of(2) > 30, "its own waited");
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_too_long_counts_as_refused() {
    let pace = Pace {
        retry: Retry {
            give_up: Some(Duration::from_secs(600)),
            ..RETRY
        },
        ..pace(1, 1)
    };
    let mut world = World::start(pace, OnRefusal::Skip, |numbers, _| match numbers[0] {
        0 => unavailable(),
        _ => Ok(()),
    });
    world.send_all(2, 1).await;
    let counts = Arc::clone(&world.handle.counts);
    let begun = Instant::now();
    let (accepted, _, _) = world.finish().await;
    assert_eq!((accepted, counts.skipped()), (2, 1));
    assert!(begun.elapsed() >= Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_left_alone_for_as_long_as_it_says() {
    let mut world = World::start(pace(4, 1), OnRefusal::Hold, |_, before| match before {
        0 => Err(DeliveryError::Busy {
            after: Duration::from_secs(30),
            reason: "429".to_owned(),
        }),
        _ => Ok(()),
    });
    world.send_all(1, 1).await;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.send(message(1, 1)).await;
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!((accepted, attempts.len()), (2, 3));
    assert!(
        begun.elapsed() >= Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_is_asked_by_one_attempt_at_a_time() {
    let mut world = World::start(pace(16, 1), OnRefusal::Hold, |_, before| match before {
        0..60 => unavailable(),
        _ => Ok(()),
    });
    world.send_all(16, 16).await;
    let under_way = Arc::clone(&world.under_way);
    let begun = Instant::now();
    let (accepted, _, _) = world.finish().await;
    assert_eq!(accepted, 16);
    assert_eq!(
        under_way.lock().unwrap().1,
        16,
        "before it is known to be gone"
    );
    assert!(
        begun.elapsed() > Duration::from_secs(300),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_paused_sink_goes_on_when_it_is_told_to() {
    let mut world = World::start(pace(1, 1), OnRefusal::Hold, |_, before| match before {
        0 => Err(DeliveryError::Paused("410".to_owned())),
        _ => Ok(()),
    });
    world.send_all(2, 1).await;
    tokio::time::sleep(Duration::from_secs(100_000)).await;
    assert_eq!(world.attempts.lock().unwrap().len(), 1);
    world.reopen.send(1).unwrap();
    let (accepted, _, attempts) = world.finish().await;
    assert_eq!((accepted, attempts.concat()), (2, vec![0, 0, 1]));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_an_attempt_is_one_of_the_worker() {
    let mut world = World::start(pace(1, 1), OnRefusal::Hold, |_, _| panic!("a fault"));
    world.send_all(1, 1).await;
    let closed = world.handle.closed.clone();
    assert!(world.worker.await.unwrap_err().is_panic());
    assert!(closed.is_cancelled());
}
