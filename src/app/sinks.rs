//! The sinks of a daemon at work: started together, waited for together.

use std::io;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::AppError;
use crate::shutdown::Shutdown;
use crate::sink::{
    self, Counts, DeadLetterConfig, Gauge, OnRefusal, Orders, SinkHandle, SinkWorker,
};

/// The running sinks, in the order of the configuration.
pub(super) struct Sinks {
    running: Vec<Running>,
    /// Ends them where they stand.
    end: CancellationToken,
}

/// A sink at work, without its queue, which closes when others let go of it.
struct Running {
    name: Arc<str>,
    counts: Arc<Counts>,
    worker: SinkWorker,
}

/// What the dispatcher needs of them.
pub(super) struct Handles {
    /// The queue of each.
    pub(super) sinks: Vec<SinkHandle>,
    /// How each stands.
    pub(super) gauges: Vec<Gauge>,
    /// What becomes of an event that none of them can be given.
    pub(super) on_undeliverable: OnRefusal,
}

impl Sinks {
    /// Opens every sink and starts its worker; the dead-letter sink first, for the others need it.
    pub(super) fn start(
        mut configs: Vec<sink::Config>,
        dead_letter: &DeadLetterConfig,
        shutdown: &Shutdown,
    ) -> Result<(Handles, Self), AppError> {
        let end = shutdown.force_token().child_token();
        let orders = Orders {
            force: end.clone(),
            reopen: shutdown.reopen(),
        };
        let is_dead_letter =
            |config: &sink::Config| dead_letter.sink.as_deref() == Some(&config.name);
        let place = configs.iter().position(is_dead_letter);
        let otherwise = OnRefusal::from(dead_letter.otherwise);
        let first = place.map(|place| start(configs.remove(place), otherwise.clone(), &orders));
        let first = first.transpose()?;
        let on_refusal = match &first {
            Some((handle, ..)) => OnRefusal::DeadLetter(handle.clone()),
            None => otherwise,
        };
        let mut started = configs
            .into_iter()
            .map(|config| start(config, on_refusal.clone(), &orders))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some((place, first)) = place.zip(first) {
            started.insert(place, first);
        }
        let (mut sinks, mut running) = (Vec::new(), Vec::new());
        let mut gauges = Vec::new();
        for (handle, worker, gauge) in started {
            gauges.push(gauge);
            running.push(Running {
                name: Arc::clone(&handle.name),
                counts: Arc::clone(&handle.counts),
                worker,
            });
            sinks.push(handle);
        }
        let handles = Handles {
            sinks,
            gauges,
            on_undeliverable: on_refusal,
        };
        Ok((handles, Self { running, end }))
    }

    /// Waits for the workers, whose queues must be closed, until the grace period is over.
    pub(super) async fn finish(mut self, shutdown: &Shutdown) -> Result<(), AppError> {
        let ended = self.running.iter_mut().map(|sink| async {
            match (&mut sink.worker).await {
                Ok(result) => result.map_err(|source| AppError::SinkFailed {
                    name: sink.name.to_string(),
                    source,
                }),
                Err(panic) => Err(AppError::Panicked(panic)),
            }
        });
        let finished = tokio::select! {
            ended = join_all(ended) => ended.into_iter().collect::<Result<Vec<()>, _>>().map(drop),
            () = shutdown.expired() => {
                self.end.cancel();
                Ok(())
            }
        };
        for Running { name, counts, .. } in self.running {
            tracing::info!(
                sink = &*name,
                accepted = counts.accepted(),
                failed = counts.failed(),
                dead_lettered = counts.dead_lettered(),
                skipped = counts.skipped(),
                "sink stopped"
            );
        }
        finished
    }
}

fn start(
    config: sink::Config,
    on_refusal: OnRefusal,
    orders: &Orders,
) -> Result<(SinkHandle, SinkWorker, Gauge), AppError> {
    let (handle, queue) = sink::queue(&config.name, config.queue, on_refusal, orders.clone());
    let opened: io::Result<SinkWorker> = config.kind.start(queue);
    let worker = opened.map_err(|source| AppError::Sink {
        name: config.name,
        source,
    })?;
    let gauge = handle.gauge(config.type_name);
    Ok((handle, worker, gauge))
}
