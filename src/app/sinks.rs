//! The sinks of a daemon at work: started together, waited for together.

use std::io;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::AppError;
use crate::shutdown::Shutdown;
use crate::sink::{self, Counts, DeadLetterConfig, OnRefusal, Orders, SinkHandle, SinkWorker};

/// The running sinks, in the order of the configuration.
pub(super) struct Sinks {
    running: Vec<(Arc<str>, SinkWorker)>,
    counts: Vec<(Arc<str>, Arc<Counts>)>,
    /// Ends them where they stand.
    end: CancellationToken,
}

/// What the dispatcher needs of them.
pub(super) struct Handles {
    /// The queue of each.
    pub(super) sinks: Vec<SinkHandle>,
    /// What becomes of an event that none of them can be given.
    pub(super) on_undeliverable: OnRefusal,
}

impl Sinks {
    /// Opens every sink and starts its worker; the dead-letter sink first, for the others need it.
    pub(super) fn start(
        configs: Vec<sink::Config>,
        dead_letter: &DeadLetterConfig,
        shutdown: &Shutdown,
    ) -> Result<(Handles, Self), AppError> {
        let end = shutdown.force_token().child_token();
        let orders = Orders {
            force: end.clone(),
            reopen: shutdown.reopen(),
        };
        let mut order: Vec<usize> = (0..configs.len()).collect();
        let is_dead_letter = |name: &str| dead_letter.sink.as_deref() == Some(name);
        order.sort_by_key(|index| !is_dead_letter(&configs[*index].name));
        let mut configs: Vec<Option<sink::Config>> = configs.into_iter().map(Some).collect();
        let mut started: Vec<Option<(SinkHandle, SinkWorker)>> =
            configs.iter().map(|_| None).collect();
        let mut on_refusal = OnRefusal::from(dead_letter.otherwise);
        for index in order {
            let Some(config) = configs[index].take() else {
                continue;
            };
            let (handle, worker) = start(config, on_refusal.clone(), orders.clone())?;
            if is_dead_letter(&handle.name) {
                on_refusal = OnRefusal::DeadLetter(handle.clone());
            }
            started[index] = Some((handle, worker));
        }
        let (mut sinks, mut running, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for (handle, worker) in started.into_iter().flatten() {
            running.push((Arc::clone(&handle.name), worker));
            counts.push((Arc::clone(&handle.name), Arc::clone(&handle.counts)));
            sinks.push(handle);
        }
        let handles = Handles {
            sinks,
            on_undeliverable: on_refusal,
        };
        let sinks = Self {
            running,
            counts,
            end,
        };
        Ok((handles, sinks))
    }

    /// Waits for the workers, whose queues must be closed, until the grace period is over.
    pub(super) async fn finish(self, shutdown: &Shutdown) -> Result<(), AppError> {
        let ended = self.running.into_iter().map(|(name, worker)| async move {
            match worker.await {
                Ok(result) => result.map_err(|source| AppError::SinkFailed {
                    name: name.to_string(),
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
        for (sink, counts) in self.counts {
            tracing::info!(
                sink = &*sink,
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
    orders: Orders,
) -> Result<(SinkHandle, SinkWorker), AppError> {
    let (handle, queue) = sink::queue(&config.name, config.queue, on_refusal, orders);
    let opened: io::Result<SinkWorker> = config.kind.start(queue);
    let worker = opened.map_err(|source| AppError::Sink {
        name: config.name,
        source,
    })?;
    Ok((handle, worker))
}
