//! What becomes of an event that nobody can deliver: undecodable, or refused for good.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use time::OffsetDateTime;

use super::delivery::{DeadLetter, Delivery};
use super::queue::{Counts, SinkHandle};
use crate::settings::{Mistake, Settings};

/// The `[dead_letter]` table: where events go that cannot be delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeadLetterConfig {
    /// The name of the sink that takes them; none where there is none.
    pub sink: Option<String>,
    /// What becomes of them where there is no such sink, or where it refuses them too.
    pub otherwise: Otherwise,
}

/// What becomes of an event that no dead-letter sink takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Otherwise {
    /// It holds its partition: what a sink refused is tried again, what cannot be decoded waits for
    /// another configuration, and the checkpoint never passes it.
    #[default]
    Hold,
    /// It is given up, with an error in the log.
    Skip,
}

impl DeadLetterConfig {
    /// Reads the `[dead_letter]` table; `sinks` are those there are.
    pub(crate) fn read(mut settings: Settings, sinks: &[super::Config]) -> (Self, Vec<Mistake>) {
        let config = Self {
            sink: settings.optional("sink"),
            otherwise: settings.choice_or_default("otherwise"),
        };
        if let Some(name) = &config.sink {
            match sinks.iter().find(|sink| sink.name == *name) {
                Some(sink) => {
                    if let Some(reason) = sink.kind.unfit_for_dead_letters() {
                        settings.mistake("sink", format!("\"{name}\" cannot be it: {reason}"));
                    }
                }
                None => {
                    let known: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
                    super::check_name(&mut settings, "sink", name, &known);
                }
            }
        }
        (config, settings.finish())
    }
}

/// What becomes of an event that a sink, or every sink, refuses for good.
#[derive(Debug, Clone)]
pub(crate) enum OnRefusal {
    /// The dead-letter sink takes it.
    DeadLetter(SinkHandle),
    /// It is tried again for ever.
    Hold,
    /// It is given up.
    Skip,
}

impl From<Otherwise> for OnRefusal {
    fn from(otherwise: Otherwise) -> Self {
        match otherwise {
            Otherwise::Hold => Self::Hold,
            Otherwise::Skip => Self::Skip,
        }
    }
}

/// What becomes of an event that one sink refuses for good, by the configuration in force. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct RefusalRule(Arc<Mutex<OnRefusal>>);

/// Lets a configuration change the rule of a sink, for as long as the sink is there: it keeps nothing alive, above
/// all not the queue of the dead letters.
#[derive(Debug, Clone)]
pub(crate) struct RefusalSwitch(Weak<Mutex<OnRefusal>>);

impl From<OnRefusal> for RefusalRule {
    fn from(on_refusal: OnRefusal) -> Self {
        Self(Arc::new(Mutex::new(on_refusal)))
    }
}

impl RefusalRule {
    /// What is to be done now.
    pub(super) fn now(&self) -> OnRefusal {
        let rule = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rule.clone()
    }

    /// What changes it.
    pub(crate) fn switch(&self) -> RefusalSwitch {
        RefusalSwitch(Arc::downgrade(&self.0))
    }
}

impl RefusalSwitch {
    /// From now on `on_refusal` says what becomes of what the sink refuses.
    pub(crate) fn set(&self, on_refusal: OnRefusal) {
        let Some(rule) = self.0.upgrade() else { return };
        let old = {
            let mut rule = rule.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *rule, on_refusal)
        };
        // It may be the last hold on a queue; nobody waits for the lock meanwhile.
        drop(old);
    }
}

impl OnRefusal {
    /// Settles a delivery that `sink` refused with `reason`, or gives it back where it is to be held.
    /// Tells of the first in a minute and how many there were; the others only who looks closely hears of.
    pub(super) async fn settle(
        &self,
        delivery: Delivery,
        sink: &Arc<str>,
        reason: String,
        counts: &Counts,
    ) -> Result<(), Held> {
        match self {
            Self::DeadLetter(dead_letters) => {
                counts.add_dead_lettered();
                let dead_lettered = counts.dead_lettered();
                if counts.told.is_time() {
                    tracing::warn!(sink = &**sink, event = %delivery, %reason, dead_lettered, "event refused: it goes to the dead-letter sink");
                } else {
                    tracing::debug!(sink = &**sink, event = %delivery, %reason, "event refused: it goes to the dead-letter sink");
                }
                let dead = DeadLetter {
                    sink: Some(Arc::clone(sink)),
                    reason,
                    time: OffsetDateTime::now_utc(),
                };
                dead_letters.send(delivery.into_dead_letter(dead)).await;
                Ok(())
            }
            Self::Skip => {
                counts.add_skipped();
                let skipped = counts.skipped();
                if counts.told.is_time() {
                    tracing::error!(sink = &**sink, event = %delivery, %reason, skipped, "event refused and skipped: it is not delivered to this sink");
                } else {
                    tracing::debug!(sink = &**sink, event = %delivery, %reason, "event refused and skipped: it is not delivered to this sink");
                }
                delivery.accept();
                Ok(())
            }
            Self::Hold => Err(Held { delivery, reason }),
        }
    }
}

/// A delivery that was refused and is to be tried again all the same.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) delivery: Delivery,
    pub(super) reason: String,
}
