//! The sinks of a daemon at work, and those of earlier configurations that have something left: started together,
//! replaced one by one, waited for together.

mod generation;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::{join_all, select_all};

use super::AppError;
use crate::dispatcher::Plan;
use crate::route::{self, Routes};
use crate::shutdown::Shutdown;
use crate::sink::{self, Before, Counts, DeadLetterConfig, Gauge, OnRefusal, Orders, RefusalRule};
use generation::{Generation, Live, Slot, Unopened, discard};

/// The running sinks.
pub(super) struct Sinks {
    orders: Orders,
    /// Those of the configuration in force, in its order.
    live: Vec<Live>,
    /// Those of earlier configurations that deliver what they still have.
    retired: Vec<Generation>,
    /// What the sinks of each name have done, in the order in which the names came up.
    counts: Vec<(Arc<str>, Arc<Counts>)>,
    /// Why those failed that are no more.
    failed: Vec<AppError>,
    generations: u64,
}

/// What the sinks are to be by another configuration; those that it adds are open, and none delivers yet.
pub(super) struct Prepared {
    sinks: Vec<Slot>,
    dead_letter: DeadLetterConfig,
    /// By name, what changes.
    pub(super) changes: Changes,
}

/// The names of the sinks that another configuration adds, removes, or has otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) changed: Vec<String>,
}

impl Sinks {
    /// None yet; they will hear of `shutdown`.
    pub(super) fn new(shutdown: &Shutdown) -> Self {
        Self {
            orders: Orders {
                force: shutdown.force_token().child_token(),
                reopen: shutdown.reopen(),
            },
            live: Vec::new(),
            retired: Vec::new(),
            counts: Vec::new(),
            failed: Vec::new(),
            generations: 0,
        }
    }

    /// Opens the sinks of `configs` that do not run as they are. What only one may write to is opened later, when the
    /// one that has it has ended.
    ///
    /// # Errors
    /// When one cannot be opened; then none is open that was not before.
    pub(super) async fn prepare(
        &mut self,
        configs: Vec<sink::Config>,
        dead_letter: DeadLetterConfig,
    ) -> Result<Prepared, AppError> {
        let changes = self.changes(&configs);
        let mut slots = Vec::new();
        for config in configs {
            let kept = self
                .live
                .iter()
                .position(|live| live.generation.is(&config));
            slots.push(match kept {
                Some(place) => Slot::Kept(place),
                None => Slot::New(Box::new(self.line_up(config))),
            });
        }
        // A file system may keep us waiting.
        let opening = tokio::task::spawn_blocking(move || {
            let opened = slots.into_iter().map(Slot::open);
            opened.collect::<Vec<Result<Slot, AppError>>>()
        });
        let opened = opening.await.map_err(AppError::Panicked)?;
        let mut sinks = Vec::new();
        let mut failed = None;
        for slot in opened {
            match slot {
                Ok(slot) => sinks.push(slot),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            discard(sinks).await;
            return Err(error);
        }
        Ok(Prepared {
            sinks,
            dead_letter,
            changes,
        })
    }

    fn changes(&self, configs: &[sink::Config]) -> Changes {
        let mut changes = Changes::default();
        for config in configs {
            let before = self
                .live
                .iter()
                .find(|live| *live.handle.name == *config.name);
            match before {
                None => changes.added.push(config.name.clone()),
                Some(live) if !live.generation.is(config) => {
                    changes.changed.push(config.name.clone())
                }
                Some(_) => {}
            }
        }
        let is_there = |live: &&Live| {
            configs
                .iter()
                .any(|config| *config.name == *live.handle.name)
        };
        let gone = self.live.iter().filter(|live| !is_there(live));
        changes.removed = gone.map(|live| live.handle.name.to_string()).collect();
        changes
    }

    /// The queue of a sink that does not run yet, behind those that must end before: those of its name, or what is
    /// delivered now could overtake what was before, and the one that has what only one may write to.
    fn line_up(&mut self, config: sink::Config) -> Unopened {
        let claim = config.kind.claim();
        let generations = self.live.iter().map(|live| &live.generation);
        let before: Vec<&Generation> = generations
            .chain(&self.retired)
            .filter(|one| *one.name == *config.name || (claim.is_some() && one.claim == claim))
            .collect();
        let must_wait = before
            .iter()
            .any(|one| claim.is_some() && one.claim == claim);
        let mut after: BTreeSet<u64> = before.iter().map(|one| one.id).collect();
        after.extend(before.iter().flat_map(|one| &one.after));
        let ended = before.iter().map(|one| one.ended.clone()).collect();
        let counts = self.counts_of(&config.name);
        let force = self.orders.force.child_token();
        let orders = Orders {
            force: force.clone(),
            reopen: self.orders.reopen.clone(),
        };
        // What it is to be, all learn when the configuration comes into force.
        let rule = RefusalRule::from(OnRefusal::Hold);
        let refusals = rule.switch();
        let before = Before { counts, ended };
        let (handle, queue, inheritance) =
            sink::queue_behind(&config.name, config.queue, rule, orders, before);
        self.generations += 1;
        Unopened {
            handle,
            heir: queue.heir(),
            queue,
            inheritance,
            type_name: config.type_name,
            kind: config.kind,
            id: self.generations,
            fingerprint: config.fingerprint,
            claim,
            refusals,
            force,
            after,
            must_wait,
        }
    }

    fn counts_of(&self, name: &str) -> Arc<Counts> {
        let known = self.counts.iter().find(|(known, _)| **known == *name);
        known
            .map(|(_, counts)| Arc::clone(counts))
            .unwrap_or_default()
    }

    /// Puts what was prepared into force, with these `routes`; those that are no more go on until they have delivered
    /// what they have. Gives the plan to dispatch by, which must come into force before anything else happens.
    pub(super) fn apply(&mut self, prepared: Prepared, routes: &[route::Config]) -> Plan {
        let mut old: Vec<Option<Live>> = std::mem::take(&mut self.live)
            .into_iter()
            .map(Some)
            .collect();
        for slot in prepared.sinks {
            self.live.extend(match slot {
                Slot::Kept(place) => old.get_mut(place).and_then(Option::take),
                Slot::New(live) => Some(*live),
            });
        }
        for gone in old.into_iter().flatten().map(|live| live.generation) {
            let heir = self
                .live
                .iter_mut()
                .find(|live| live.handle.name == gone.name);
            if let Some(inheritance) = heir.and_then(|live| live.inheritance.take()) {
                gone.heir.name(inheritance);
            }
            self.retired.push(gone);
        }
        // Who has nobody to inherit from begins at once.
        self.live
            .iter_mut()
            .for_each(|live| live.inheritance = None);
        for live in &self.live {
            let name = &live.handle.name;
            if !self.counts.iter().any(|(known, _)| known == name) {
                self.counts
                    .push((Arc::clone(name), Arc::clone(&live.handle.counts)));
            }
        }
        let names: Vec<&str> = self.live.iter().map(|live| &*live.handle.name).collect();
        let dead_letter = prepared.dead_letter;
        let routes = Routes::new(routes, &names, dead_letter.sink.as_deref());
        let on_undeliverable = self.set_refusals(&dead_letter);
        let generations = self.live.iter().map(|live| &live.generation);
        Plan {
            routes,
            sinks: self.live.iter().map(|live| live.handle.clone()).collect(),
            on_undeliverable,
            counts: self
                .counts
                .iter()
                .map(|(_, counts)| Arc::clone(counts))
                .collect(),
            closed: generations
                .chain(&self.retired)
                .map(|one| (Arc::clone(&one.name), one.closed.clone()))
                .collect(),
        }
    }

    /// How each of the configuration in force stands.
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let live = self.live.iter();
        live.map(|live| live.handle.gauge(live.type_name)).collect()
    }

    /// Says to every sink what becomes of what it refuses from now on, and gives what becomes of what no sink can be
    /// given.
    fn set_refusals(&self, dead_letter: &DeadLetterConfig) -> OnRefusal {
        let otherwise = OnRefusal::from(dead_letter.otherwise);
        let name = dead_letter.sink.as_deref();
        let is_dead_letter = |live: &&Live| Some(&*live.handle.name) == name;
        let sink = self.live.iter().find(is_dead_letter);
        let rule = match sink {
            Some(live) => OnRefusal::DeadLetter(live.handle.clone()),
            None => otherwise.clone(),
        };
        // First the dead-letter sink itself, which may have been another's sender until now.
        if let Some(live) = sink {
            live.generation.refusals.set(otherwise);
        }
        for live in self.live.iter().filter(|live| !is_dead_letter(live)) {
            live.generation.refusals.set(rule.clone());
        }
        let Some(sink) = sink else {
            // The others keep the dead-letter sink that they had, which stays for as long as they need it.
            return rule;
        };
        for retired in &self.retired {
            // One that waits for it to end would never take what it refuses.
            if !sink.generation.after.contains(&retired.id) {
                retired.refusals.set(rule.clone());
            }
        }
        rule
    }

    /// Completes when one of an earlier configuration has delivered all that it had, or has failed, and was told.
    /// Never where there is none.
    pub(super) async fn one_drained(&mut self) {
        if self.retired.is_empty() {
            return std::future::pending().await;
        }
        let ending = self.retired.iter_mut().map(|one| &mut one.worker);
        let (ended, index, _) = select_all(ending).await;
        let generation = self.retired.swap_remove(index);
        let name = &*generation.name;
        match generation.failure(ended) {
            Some(error) => self.failed.push(error),
            // That ends the run, and is told then.
            None if generation.closed.is_cancelled() => {}
            None => tracing::info!(
                sink = name,
                "sink drained: nothing is left of its earlier configuration"
            ),
        }
    }

    /// Waits for the workers, whose queues must be closed, until the grace period is over.
    pub(super) async fn finish(self, shutdown: &Shutdown) -> Result<(), AppError> {
        let live = self.live.into_iter().map(|live| live.generation);
        // Without the handles the queues close.
        let all: Vec<Generation> = live.chain(self.retired).collect();
        let ended = all.into_iter().map(|mut one| async move {
            let ended = (&mut one.worker).await;
            one.failure(ended)
        });
        let failed = tokio::select! {
            failed = join_all(ended) => failed,
            () = shutdown.expired() => {
                self.orders.force.cancel();
                Vec::new()
            }
        };
        for (name, counts) in self.counts {
            tracing::info!(
                sink = &*name,
                accepted = counts.accepted(),
                failed = counts.failed(),
                dead_lettered = counts.dead_lettered(),
                skipped = counts.skipped(),
                "sink stopped"
            );
        }
        let mut failed = self.failed.into_iter().chain(failed.into_iter().flatten());
        failed.next().map_or(Ok(()), Err)
    }
}
