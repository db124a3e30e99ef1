//! Who delivers what a sink cannot, once the sink of its name has another configuration.
//!
//! A sink whose configuration has changed delivers what it has as it always did. What it cannot deliver goes to its
//! heir, in its order: somebody may have changed the configuration just because of that.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::delivery::Delivery;

/// The heir of one sink, as soon as there is one.
#[derive(Debug, Default)]
pub(super) struct Heir {
    is_there: CancellationToken,
    rest: Mutex<Option<oneshot::Sender<Vec<Delivery>>>>,
}

/// Names the heir of a sink, for as long as the sink is there.
#[derive(Debug, Clone)]
pub(crate) struct HeirSwitch(Weak<Heir>);

/// The right to leave something to one sink. It begins when this is used or dropped.
#[derive(Debug)]
pub(crate) struct Inheritance(oneshot::Sender<Vec<Delivery>>);

/// What a sink inherits, as soon as that is known.
#[derive(Debug)]
pub(super) struct Inherited(oneshot::Receiver<Vec<Delivery>>);

/// Both ends of what a sink inherits.
pub(super) fn inheritance() -> (Inheritance, Inherited) {
    let (sender, receiver) = oneshot::channel();
    (Inheritance(sender), Inherited(receiver))
}

impl Inherited {
    /// Waits until it is known.
    pub(super) async fn get(self) -> Vec<Delivery> {
        // Where nobody leaves anything, there is nothing.
        self.0.await.unwrap_or_default()
    }
}

impl Heir {
    pub(super) fn switch(self: &Arc<Self>) -> HeirSwitch {
        HeirSwitch(Arc::downgrade(self))
    }

    /// True when there is one.
    pub(super) fn is_there(&self) -> bool {
        self.is_there.is_cancelled()
    }

    /// Completes when there is one.
    pub(super) async fn named(&self) {
        self.is_there.cancelled().await;
    }

    /// Leaves it `rest`. Those deliveries take no place in the queue that they were in any more; the windows of their
    /// partitions still bound them.
    pub(super) fn leave(&self, rest: Vec<Delivery>) {
        let mut heir = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(heir) = heir.take() {
            // An heir that is gone leaves them undelivered: they are received again.
            heir.send(rest).ok();
        }
    }
}

impl HeirSwitch {
    /// From now on the sink leaves what it cannot deliver to the one that `inheritance` belongs to.
    pub(crate) fn name(&self, inheritance: Inheritance) {
        let Some(heir) = self.0.upgrade() else { return };
        let mut rest = heir.rest.lock().unwrap_or_else(PoisonError::into_inner);
        *rest = Some(inheritance.0);
        drop(rest);
        heir.is_there.cancel();
    }
}

/// Takes a delivery out of the queue that it was in: it has no place there any more, but still waits for the sink of
/// that name, and counts as not tried yet.
pub(super) fn let_go(mut delivery: Delivery) -> Delivery {
    if let Some(place) = &mut delivery.room {
        place.vacate();
    }
    delivery.failing = None;
    delivery
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use tokio::sync::watch;

    use super::*;
    use crate::event::SequenceNumber;
    use crate::message::samples;
    use crate::sink::{
        Before, DeliveryError, OnRefusal, Orders, Progress, Queue, QueueLimit, Sink, SinkConfig,
        SinkHandle, SinkWorker, compliance, queue, queue_behind, spawn, start_behind,
    };

    /// Takes everything up to one number, from which on it has only this to say.
    struct Until(i64, fn() -> DeliveryError, Seen);

    type Seen = Arc<Mutex<Vec<i64>>>;

    impl Sink for Until {
        async fn deliver(&mut self, messages: &[Delivery]) -> Progress {
            for (accepted, delivery) in messages.iter().enumerate() {
                let number = delivery.message().event.sequence_number.0;
                if number >= self.0 {
                    let error = Some((self.1)());
                    return Progress { accepted, error };
                }
                self.2.lock().unwrap().push(number);
            }
            Progress {
                accepted: messages.len(),
                error: None,
            }
        }
    }

    fn orders() -> Orders {
        Orders {
            force: CancellationToken::new(),
            reopen: watch::channel(0).1,
        }
    }

    fn delivery(number: i64) -> Delivery {
        let mut event = samples::event("?");
        event.sequence_number = SequenceNumber(number);
        compliance::delivery(samples::decoded(event))
    }

    /// A sink that takes everything when `before` has ended, and the right to leave something to it.
    fn behind(before: &SinkHandle, seen: &Seen) -> (SinkHandle, Inheritance, SinkWorker) {
        let before = Before {
            counts: Arc::clone(&before.counts),
            ended: vec![before.ended.clone()],
        };
        let limit = QueueLimit::default();
        let (handle, queue, right) = queue_behind("test", limit, OnRefusal::Hold, orders(), before);
        let sink = Until(i64::MAX, || DeliveryError::Closed, Arc::clone(seen));
        (handle, right, spawn(sink, queue))
    }

    fn unavailable() -> DeliveryError {
        DeliveryError::Unavailable(io::Error::other("full"))
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_sink_cannot_deliver_its_heir_delivers_before_what_came_later() {
        let errors: [fn() -> DeliveryError; 3] = [
            unavailable,
            || DeliveryError::Paused("gone".into()),
            || DeliveryError::Refused("no".into()),
        ];
        for error in errors {
            let seen = Seen::default();
            // Room for one event: the others wait outside.
            let limit = QueueLimit {
                events: 1,
                bytes: 1,
            };
            let (old, queue) = queue("test", limit, OnRefusal::Hold, orders());
            let heir = queue.heir();
            let worker = spawn(Until(3, error, Arc::clone(&seen)), queue);
            let sending = {
                let old = old.clone();
                async move {
                    for number in 0..8 {
                        old.send(delivery(number)).await;
                    }
                }
            };
            let changing = async {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                let (new, right, successor) = behind(&old, &seen);
                for number in 8..10 {
                    new.send(delivery(number)).await;
                }
                tokio::time::sleep(Duration::from_secs(3600)).await;
                assert_eq!(*seen.lock().unwrap(), [0, 1, 2]);
                heir.name(right);
                drop((old, new));
                (successor,)
            };
            let ((), (successor,)) = tokio::join!(sending, changing);
            worker.await.unwrap().unwrap();
            successor.await.unwrap().unwrap();
            let expected: Vec<i64> = (0..10).collect();
            assert_eq!(*seen.lock().unwrap(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_delivers_leaves_nothing_and_the_next_begins_behind_it() {
        let seen = Seen::default();
        let (old, queue) = queue("test", QueueLimit::default(), OnRefusal::Hold, orders());
        let heir = queue.heir();
        let (new, right, successor) = behind(&old, &seen);
        for number in 0..5 {
            old.send(delivery(number)).await;
            new.send(delivery(number + 5)).await;
        }
        heir.name(right);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(seen.lock().unwrap().is_empty());
        let closed = old.closed.clone();
        let sink = Until(i64::MAX, || DeliveryError::Closed, Arc::clone(&seen));
        let worker = spawn(sink, queue);
        drop((old, new));
        worker.await.unwrap().unwrap();
        successor.await.unwrap().unwrap();
        let expected: Vec<i64> = (0..10).collect();
        assert_eq!(*seen.lock().unwrap(), expected);
        assert!(!closed.is_cancelled(), "it had delivered everything");
    }

    /// Takes nothing, and is not done with trying.
    struct Never;

    impl Sink for Never {
        async fn deliver(&mut self, _: &[Delivery]) -> Progress {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_left_to_an_heir_still_waits_and_leaves_its_queue_free() {
        let limit = QueueLimit {
            events: 8,
            bytes: usize::MAX,
        };
        let (old, queue) = queue("test", limit, OnRefusal::Hold, orders());
        let heir = queue.heir();
        let worker = spawn(Until(0, unavailable, Seen::default()), queue);
        for number in 0..8 {
            old.send(delivery(number)).await;
        }
        let before = old.gauge("test").read();
        assert!(before.events == 8 && before.bytes > 0, "{before:?}");
        let next = Before {
            counts: Arc::clone(&old.counts),
            ended: vec![old.ended.clone()],
        };
        let limit = QueueLimit::default();
        let (new, queue, right) = queue_behind("test", limit, OnRefusal::Hold, orders(), next);
        let successor = spawn(Never, queue);
        heir.name(right);
        drop(old);
        worker.await.unwrap().unwrap();
        let after = new.gauge("test").read();
        assert_eq!((after.events, after.bytes), (before.events, before.bytes));
        successor.abort();
        assert!(successor.await.unwrap_err().is_cancelled());
        let end = new.gauge("test").read();
        assert_eq!((end.events, end.bytes), (0, 0));
    }

    /// A place that cannot be opened.
    #[derive(Debug)]
    struct Nowhere;

    impl SinkConfig for Nowhere {
        fn start(self: Box<Self>, _: Queue) -> io::Result<SinkWorker> {
            Err(io::Error::other("nowhere"))
        }
    }

    #[tokio::test]
    async fn a_sink_that_cannot_be_opened_when_its_turn_has_come_counts_as_closed() {
        let first = CancellationToken::new();
        let before = Before {
            ended: vec![first.clone()],
            ..Before::default()
        };
        let limit = QueueLimit::default();
        let (handle, queue, _right) =
            queue_behind("test", limit, OnRefusal::Hold, orders(), before);
        let worker = start_behind(Box::new(Nowhere), queue);
        tokio::task::yield_now().await;
        assert!(!handle.closed.is_cancelled());
        first.cancel();
        assert_eq!(worker.await.unwrap().unwrap_err().to_string(), "nowhere");
        assert!(handle.closed.is_cancelled() && handle.ended.is_cancelled());
    }
}
