//! One sink as one configuration has it: before it is open, at work, and when it has ended.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::super::AppError;
use crate::settings::Fingerprint;
use crate::sink::{
    self, HeirSwitch, Inheritance, Queue, RefusalSwitch, SinkConfig, SinkHandle, SinkWorker,
};

/// A sink that is given messages.
pub(super) struct Live {
    pub(super) handle: SinkHandle,
    pub(super) generation: Generation,
    /// The name of its kind.
    pub(super) type_name: &'static str,
    /// What those of its name may leave to it, until it is in force.
    pub(super) inheritance: Option<Inheritance>,
}

/// A sink at work as one configuration says, without its queue, which closes when others let go of it.
pub(super) struct Generation {
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    pub(super) fingerprint: Fingerprint,
    pub(super) claim: Option<String>,
    pub(super) refusals: RefusalSwitch,
    pub(super) heir: HeirSwitch,
    pub(super) closed: CancellationToken,
    pub(super) ended: CancellationToken,
    /// Ends it where it stands.
    pub(super) force: CancellationToken,
    /// Those that must end before it delivers anything, and those before them.
    pub(super) after: BTreeSet<u64>,
    pub(super) worker: SinkWorker,
}

/// A sink of another configuration.
pub(super) enum Slot<New = Live> {
    /// This one of those in force.
    Kept(usize),
    New(Box<New>),
}

impl Slot<Unopened> {
    pub(super) fn open(self) -> Result<Slot, AppError> {
        Ok(match self {
            Self::Kept(place) => Slot::Kept(place),
            Self::New(unopened) => Slot::New(Box::new(unopened.open()?)),
        })
    }
}

/// A sink that is not open yet.
pub(super) struct Unopened {
    pub(super) handle: SinkHandle,
    pub(super) queue: Queue,
    pub(super) type_name: &'static str,
    pub(super) kind: Box<dyn SinkConfig>,
    /// All of its generation but the worker.
    pub(super) id: u64,
    pub(super) fingerprint: Fingerprint,
    pub(super) claim: Option<String>,
    pub(super) refusals: RefusalSwitch,
    pub(super) heir: HeirSwitch,
    pub(super) inheritance: Inheritance,
    pub(super) force: CancellationToken,
    pub(super) after: BTreeSet<u64>,
    /// True where what it is to open may still be open.
    pub(super) must_wait: bool,
}

impl Generation {
    /// True where `config` says of it what it was made from.
    pub(super) fn is(&self, config: &sink::Config) -> bool {
        *self.name == *config.name && self.fingerprint == config.fingerprint
    }

    /// Why it failed, where it did.
    pub(super) fn failure(&self, ended: Result<io::Result<()>, JoinError>) -> Option<AppError> {
        match ended {
            Ok(Ok(())) => None,
            Ok(Err(source)) => Some(AppError::SinkFailed {
                name: self.name.to_string(),
                source,
            }),
            Err(panic) => Some(AppError::Panicked(panic)),
        }
    }
}

impl Unopened {
    /// Opens it, now or when it may be.
    pub(super) fn open(self) -> Result<Live, AppError> {
        let name = Arc::clone(&self.handle.name);
        let worker = match self.must_wait {
            true => sink::start_behind(self.kind, self.queue),
            false => self
                .kind
                .start(self.queue)
                .map_err(|source| AppError::Sink {
                    name: name.to_string(),
                    source,
                })?,
        };
        let generation = Generation {
            id: self.id,
            name,
            fingerprint: self.fingerprint,
            claim: self.claim,
            refusals: self.refusals,
            heir: self.heir,
            closed: self.handle.closed.clone(),
            ended: self.handle.ended.clone(),
            force: self.force,
            after: self.after,
            worker,
        };
        Ok(Live {
            handle: self.handle,
            generation,
            type_name: self.type_name,
            inheritance: Some(self.inheritance),
        })
    }
}

/// Ends those that were opened in vain, and waits until they have let go of what they opened.
pub(super) async fn discard(sinks: Vec<Slot>) {
    for slot in sinks {
        if let Slot::New(live) = slot {
            live.generation.force.cancel();
            // However it ends, it has ended.
            live.generation.worker.await.ok();
        }
    }
}
