//! What is told of the attempts of a worker to whoever follows the events.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

use super::*;
use crate::ack::{Limit, Window};
use crate::message::samples;
use crate::sink::{OnRefusal, Orders, QueueLimit, Receipt, Shipment, queue};
use crate::trace::{Attempt, Journey, TraceContext};

/// How each attempt to deliver one event ended.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<Option<&'static str>>>>);

impl Journey for Told {
    fn attempt(&self, _: Destination<'_>) -> Box<dyn Attempt> {
        Box::new(self.clone())
    }

    fn ended(self: Box<Self>, is_delivered: bool) {
        assert!(is_delivered);
    }
}

impl Attempt for Told {
    fn context(&self) -> Option<TraceContext> {
        None
    }

    fn answered(&self, _: u16) {}

    fn ended(self: Box<Self>, failure: Option<&'static str>) {
        self.0.lock().unwrap().push(failure);
    }
}

/// Takes two messages at once, and no more.
struct InPairs;

impl Sink for InPairs {
    async fn deliver(&mut self, messages: &[Delivery]) -> Progress {
        Progress {
            accepted: messages.len().min(2),
            error: None,
        }
    }
}

#[tokio::test]
async fn what_a_sink_does_not_take_at_once_is_one_attempt_that_went_well() {
    let orders = Orders {
        force: CancellationToken::new(),
        reopen: watch::channel(0).1,
    };
    let (handle, queue) = queue("test", QueueLimit::default(), OnRefusal::Hold, orders);
    let told: Vec<Told> = (0..5).map(|_| Told::default()).collect();
    let limit = Limit {
        events: told.len(),
        bytes: usize::MAX,
    };
    let mut window = Window::new(limit);
    let settled = mpsc::channel(told.len());
    for one in &told {
        let message = samples::message("{}");
        let ticket = window.begin(message.event.position(), 0);
        let receipt = Receipt::new(1, ticket, settled.0.clone());
        let receipt = receipt.followed(Some(Box::new(one.clone())));
        let shipment = Shipment { message, receipt };
        handle.send(Delivery::new(Arc::new(shipment))).await;
    }
    drop(handle);
    spawn(InPairs, queue).await.unwrap().unwrap();
    for one in told {
        assert_eq!(*one.0.lock().unwrap(), [None]);
    }
}
