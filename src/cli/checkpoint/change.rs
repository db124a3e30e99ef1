//! Changes of checkpoints: told as old and new, and made, or only told.

use std::fmt;

use clap::Args;

use super::super::exit::Failure;
use super::super::{counted, print, say};
use super::choice::names;
use super::{Exit, failure};
use crate::checkpoint::{self, Checkpoint, CheckpointStore, Entry};
use crate::event::{PartitionId, Source};

/// Whether a change is made or only told.
#[derive(Debug, Args)]
pub(super) struct Rehearsal {
    /// Print what would change and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What one partition was and is to be.
#[derive(Debug)]
pub(super) struct Change {
    source: Source,
    partition: PartitionId,
    before: Before,
    after: Option<Checkpoint>,
}

#[derive(Debug)]
enum Before {
    Nothing,
    Unreadable,
    Checkpoint(Checkpoint),
}

impl Change {
    /// From what `entries` know of a partition to `after`; none is no checkpoint.
    pub(super) fn of(
        entries: &[Entry],
        source: &Source,
        partition: &PartitionId,
        after: Option<Checkpoint>,
    ) -> Self {
        let same = |entry: &&Entry| {
            entry.partition == *partition && entry.source.folded() == source.folded()
        };
        let before = entries.iter().find(same).map(|entry| &entry.found);
        Self {
            source: source.clone(),
            partition: partition.clone(),
            before: match before {
                None => Before::Nothing,
                Some(Err(_)) => Before::Unreadable,
                Some(Ok(record)) => Before::Checkpoint(record.checkpoint.clone()),
            },
            after,
        }
    }

    fn changes_nothing(&self) -> bool {
        match (&self.before, &self.after) {
            (Before::Checkpoint(before), Some(after)) => before == after,
            (Before::Nothing, None) => true,
            _ => false,
        }
    }

    async fn make(&self, store: &dyn CheckpointStore) -> Result<(), checkpoint::CheckpointError> {
        match &self.after {
            Some(after) => {
                store
                    .save(&self.source, &self.partition, after.clone())
                    .await
            }
            None => store.remove(&self.source, &self.partition).await,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} partition {}: ", names(&self.source), self.partition)?;
        match &self.before {
            Before::Nothing => f.write_str("no checkpoint")?,
            Before::Unreadable => f.write_str("unreadable")?,
            Before::Checkpoint(checkpoint) => checkpoint.fmt(f)?,
        }
        f.write_str(" -> ")?;
        match &self.after {
            Some(checkpoint) => checkpoint.fmt(f),
            None => f.write_str("no checkpoint"),
        }
    }
}

impl Rehearsal {
    /// Makes the changes that `plan` finds in what the store holds now, and prints one line for each.
    pub(super) async fn perform(
        &self,
        action: &str,
        config: &checkpoint::Config,
        plan: impl FnOnce(&[Entry]) -> Result<Vec<Change>, Failure> + Send,
    ) -> Result<Exit, Failure> {
        let failed = |error| failure(action, &error);
        let store = match self.dry_run {
            true => {
                config.check_free().map_err(failed)?;
                None
            }
            false => Some(config.open().map_err(failed)?),
        };
        let changes = plan(&config.list().map_err(failed)?)?;
        let (mut changed, mut unchanged) = (0, 0_u64);
        for change in &changes {
            if change.changes_nothing() {
                unchanged += 1;
                continue;
            }
            if let Some(store) = &store {
                change.make(&**store).await.map_err(failed)?;
            }
            print(&format!("{change}\n"))?;
            changed += 1;
        }
        let verb = if self.dry_run {
            "would change"
        } else {
            "changed"
        };
        let left = match unchanged {
            0 => String::new(),
            some => format!("; {some} as before"),
        };
        say(&format!("{} {verb}{left}", counted(changed, "checkpoint")));
        Ok(Exit::Fine)
    }
}
