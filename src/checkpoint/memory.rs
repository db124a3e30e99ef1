//! Checkpoints in memory: they end with the process, which is right for debugging and for demonstrations.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::{CheckpointError, CheckpointStore};
use crate::event::{PartitionId, Position, Source};

/// The last position of every partition, by namespace, event hub, consumer group and partition.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<Key, Position>>);

type Key = (String, String, String, PartitionId);

fn key(source: &Source, partition: &PartitionId) -> Key {
    let Source {
        namespace,
        event_hub,
        consumer_group,
    } = source.clone();
    (namespace, event_hub, consumer_group, partition.clone())
}

impl CheckpointStore for Memory {
    fn load<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
    ) -> BoxFuture<'a, Result<Option<Position>, CheckpointError>> {
        let positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ready(Ok(positions.get(&key(source, partition)).cloned())).boxed()
    }

    fn save<'a>(
        &'a self,
        source: &'a Source,
        partition: &'a PartitionId,
        position: Position,
    ) -> BoxFuture<'a, Result<(), CheckpointError>> {
        let mut positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        positions.insert(key(source, partition), position);
        ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Offset, SequenceNumber};

    #[tokio::test]
    async fn a_partition_is_found_only_under_its_own_group() {
        let store = Memory::default();
        let source = |group: &str| Source {
            namespace: "contoso.servicebus.windows.net".into(),
            event_hub: "events".into(),
            consumer_group: group.into(),
        };
        let position = Position {
            sequence_number: SequenceNumber(7),
            offset: Offset::new("700"),
        };
        let partition = PartitionId::new("0");
        store
            .save(&source("a"), &partition, position.clone())
            .await
            .unwrap();
        assert_eq!(
            store.load(&source("a"), &partition).await.unwrap(),
            Some(position)
        );
        assert_eq!(store.load(&source("b"), &partition).await.unwrap(), None);
        assert_eq!(
            store
                .load(&source("a"), &PartitionId::new("1"))
                .await
                .unwrap(),
            None
        );
    }
}
