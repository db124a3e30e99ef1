//! Gives a message to every sink that its routes name, and keeps count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::ack::Ticket;
use crate::message::{Content, Message};
use crate::route::Routes;
use crate::sink::{Delivery, Receipt, Settled, Shipment, SinkHandle};

/// The routes, the queues of the sinks, and what has passed so far.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    routes: Routes,
    sinks: Vec<SinkHandle>,
    counts: Counts,
}

/// What has passed a [`Dispatcher`] since it was made.
#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    undecodable: AtomicU64,
    unrouted: AtomicU64,
}

impl Dispatcher {
    pub(crate) fn new(routes: Routes, sinks: Vec<SinkHandle>) -> Self {
        Self {
            routes,
            sinks,
            counts: Counts::default(),
        }
    }

    /// Puts `message` into the queue of each of its sinks; `settled` hears when all have accepted it, at
    /// once when no route matches it.
    pub(crate) async fn dispatch(
        &self,
        message: Message,
        ticket: Ticket,
        settled: &mpsc::Sender<Settled>,
    ) {
        let sinks = self.routes.sinks_for(&message, self.sinks.len());
        self.count(&message, sinks.is_empty());
        let receipt = Receipt::new(sinks.len(), ticket, settled.clone());
        let shipment = Arc::new(Shipment { message, receipt });
        for sink in sinks {
            self.sinks[sink]
                .send(Delivery::new(Arc::clone(&shipment)))
                .await;
        }
    }

    fn count(&self, message: &Message, is_unrouted: bool) {
        let Message { event, content, .. } = message;
        self.counts.received.fetch_add(1, Relaxed);
        if let Content::Undecodable { reason, .. } = content {
            self.counts.undecodable.fetch_add(1, Relaxed);
            tracing::debug!(partition = %event.partition, sequence_number = %event.sequence_number, %reason, "undecodable event");
        }
        if is_unrouted {
            self.counts.unrouted.fetch_add(1, Relaxed);
            tracing::debug!(partition = %event.partition, sequence_number = %event.sequence_number, "no route matches the event");
        }
    }

    /// Events received, whatever became of them.
    pub(crate) fn received(&self) -> u64 {
        self.counts.received.load(Relaxed)
    }

    /// Events whose body could not be decoded; they were delivered all the same.
    pub(crate) fn undecodable(&self) -> u64 {
        self.counts.undecodable.load(Relaxed)
    }

    /// Events that no route matched: completed without a delivery.
    pub(crate) fn unrouted(&self) -> u64 {
        self.counts.unrouted.load(Relaxed)
    }

    /// Completes with the name of a sink when one has closed.
    pub(crate) async fn sink_closed(&self) -> Arc<str> {
        let closed = self
            .sinks
            .iter()
            .map(|sink| Box::pin(CancellationToken::cancelled(&sink.closed)));
        if self.sinks.is_empty() {
            return std::future::pending().await;
        }
        let ((), index, _) = futures_util::future::select_all(closed).await;
        Arc::clone(&self.sinks[index].name)
    }
}
