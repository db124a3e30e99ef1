//! The queue of the spans that are over: the library's, with a bound that tells of what it has no room for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::trouble::Trouble;

/// As many spans may wait; each takes about a kilobyte.
const ROOM: usize = 8192;

/// As many are exported at once, at most.
const BATCH: usize = 512;

/// Where the spans of the process go when they are over.
pub(super) fn processor<E: SpanExporter + 'static>(
    exporter: E,
    trouble: &Arc<Trouble>,
) -> impl SpanProcessor + use<E> {
    let waiting = Arc::<AtomicUsize>::default();
    let exporter = Counting {
        exporter,
        waiting: Arc::clone(&waiting),
        trouble: Arc::clone(trouble),
    };
    // How long a batch may fill, OTEL_BSP_SCHEDULE_DELAY says.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(ROOM)
        .with_max_export_batch_size(BATCH)
        .build();
    let inner = BatchSpanProcessor::builder(exporter)
        .with_batch_config(config)
        .build();
    Bounded {
        inner,
        waiting,
        trouble: Arc::clone(trouble),
    }
}

/// Lets in what there is room for: the library would not tell how much it drops before the end.
#[derive(Debug)]
struct Bounded {
    inner: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    trouble: Arc<Trouble>,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, AcqRel) < ROOM {
            self.inner.on_end(span);
        } else {
            self.waiting.fetch_sub(1, AcqRel);
            self.trouble.full();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts what leaves the queue, and what of that is lost.
#[derive(Debug)]
struct Counting<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    trouble: Arc<Trouble>,
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, AcqRel);
        let exported = self.exporter.export(batch).await;
        if exported.is_err() {
            self.trouble.lost(spans);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkError;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// Says how many came, and takes none before it may.
    #[derive(Debug)]
    struct Stuck {
        came: Sender<usize>,
        may: Mutex<Receiver<()>>,
    }

    impl SpanExporter for Stuck {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.came.send(batch.len()).unwrap();
            let waited = self.may.lock().unwrap().recv();
            waited.map_err(|_| OTelSdkError::AlreadyShutdown)
        }
    }

    #[test]
    fn what_finds_no_room_is_lost_and_counted_and_nobody_waits() {
        let trouble = Arc::new(Trouble::new(&"http://collector".parse().unwrap()));
        let (came, coming) = channel();
        let (allow, may) = channel();
        let may = Mutex::new(may);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor(Stuck { came, may }, &trouble))
            .build();
        let tracer = provider.tracer("test");
        let end = |count: usize| (0..count).for_each(|_| drop(tracer.start("span")));
        end(BATCH);
        let first = coming.recv().unwrap();
        assert!(first <= BATCH);
        // What is on its way has left the queue.
        end(ROOM - (BATCH - first));
        assert_eq!(trouble.lost_so_far(), 0);
        end(7);
        assert_eq!(trouble.lost_so_far(), 7);
        // From here on every export fails.
        drop(allow);
        provider.shutdown().ok();
        let rest: usize = coming.try_iter().sum();
        assert_eq!(rest, ROOM - (BATCH - first));
        assert_eq!(trouble.lost_so_far(), 7 + first as u64 + rest as u64);
    }
}
