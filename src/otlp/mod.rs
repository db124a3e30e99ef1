//! Spans and measurements for a collector of OpenTelemetry, over OTLP: the only module that knows it.
//!
//! Nothing of it holds up an event. Spans that are over wait in a queue with a bound, threads of the library's own
//! carry them away, and what finds no room or no collector is lost, counted and told once a minute.
//!
//! Sources: the OpenTelemetry specification; its semantic conventions for messaging and for Event Hubs, of which the
//! names are.

mod config;
mod export;
mod measures;
mod queue;
mod spans;
mod trouble;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;

use crate::standing::Standings;
use crate::trace::Tracer;
use export::Post;
use measures::Measures;
use spans::Follower;
use trouble::Trouble;

pub(crate) use config::Config;

/// What the spans and measurements say made them.
const SCOPE: &str = env!("CARGO_PKG_NAME");

/// How long what is left at the end may take, where the grace period is not over before.
const FLUSH: Duration = Duration::from_secs(5);

/// What is exported while the daemon runs.
#[derive(Debug)]
pub(crate) struct Otlp {
    spans: Option<SdkTracerProvider>,
    measures: Option<SdkMeterProvider>,
    follower: Arc<Follower>,
    trouble: Arc<Trouble>,
}

impl Otlp {
    /// Begins to export as `config` says, also how `standings` are. Requests are made on the runtime that this is
    /// called on.
    ///
    /// # Errors
    /// When there can be no client: the system trusts nobody, or a variable of OpenTelemetry says what cannot be.
    pub(crate) fn start(config: &Config, standings: &Arc<Standings>) -> io::Result<Self> {
        let trouble = Arc::new(Trouble::new(&config.endpoint));
        let post = Post::new(config, &trouble, Handle::current())?;
        let resource = resource();
        let spans = match config.traces {
            true => {
                let sampler =
                    Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample)));
                let exporter = export::spans(post.to("v1/traces")?)?;
                let provider = SdkTracerProvider::builder()
                    .with_sampler(sampler)
                    .with_resource(resource.clone())
                    .with_span_processor(queue::processor(exporter, &trouble));
                Some(provider.build())
            }
            false => None,
        };
        let measures = match config.metrics {
            true => {
                let exporter = export::metrics(post.to("v1/metrics")?)?;
                Some(measures::provider(exporter, config.interval, resource))
            }
            false => None,
        };
        let follower = Follower {
            tracer: spans.as_ref().map(|spans| spans.tracer(SCOPE)),
            measures: measures
                .as_ref()
                .map(|provider| Arc::new(Measures::new(provider, standings))),
        };
        Ok(Self {
            spans,
            measures,
            follower: Arc::new(follower),
            trouble,
        })
    }

    /// Who follows events.
    pub(crate) fn tracer(&self) -> Arc<dyn Tracer> {
        Arc::clone(&self.follower) as _
    }

    /// Exports what is left, for as long as that may take.
    pub(crate) async fn flush(self) {
        let Self {
            spans,
            measures,
            trouble,
            ..
        } = self;
        let spans = tokio::task::spawn_blocking(move || {
            spans.map(|spans| spans.shutdown_with_timeout(FLUSH))
        });
        let measures = tokio::task::spawn_blocking(move || {
            measures.map(|measures| measures.shutdown_with_timeout(FLUSH))
        });
        let both = async { tokio::join!(spans, measures) };
        let in_time = tokio::time::timeout(FLUSH, both).await.is_ok();
        tracing::debug!(in_time, "the last spans and measurements were handed over");
        trouble.ended();
    }
}

/// Who we are, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` says otherwise.
fn resource() -> Resource {
    let resource = Resource::builder().build();
    let name = resource.get(&"service.name".into());
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let mut own = Resource::builder();
    if !is_named {
        own = own.with_service_name(env!("CARGO_PKG_NAME"));
    }
    if resource.get(&"service.version".into()).is_none() {
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        own = own.with_attribute(version);
    }
    own.build()
}
