//! Why a daemon does not start, or ends by itself.

use std::io;

use tokio::task::JoinError;

use crate::checkpoint::CheckpointError;
use crate::event::PartitionId;
use crate::receiver::ReceiverError;

/// Why the daemon did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    /// A sink could not be opened.
    #[error("cannot open sink \"{name}\"")]
    Sink {
        /// The sink's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A sink gave up: output cannot be written.
    #[error("cannot write to sink \"{name}\"")]
    SinkFailed {
        /// The sink's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A hub or a partition cannot be read, and waiting would not help.
    #[error(transparent)]
    Receiver(#[from] ReceiverError),
    /// The store of the checkpoints could not be opened.
    #[error("cannot open the checkpoints")]
    Store(#[source] CheckpointError),
    /// It is not known how far a partition was delivered; starting elsewhere would skip or repeat events.
    #[error("cannot read the checkpoint of partition {partition}")]
    Checkpoint {
        /// The partition.
        partition: PartitionId,
        /// What the store said.
        source: CheckpointError,
    },
    /// A partition was asked for that the hub does not have.
    #[error("event hub \"{event_hub}\" has no partition {partition}; it has {existing}")]
    NoSuchPartition {
        /// The hub.
        event_hub: String,
        /// The partition asked for.
        partition: PartitionId,
        /// Those there are.
        existing: String,
    },
    /// The HTTP listener cannot be where the configuration wants it.
    #[error("cannot listen for HTTP at {address}")]
    Http {
        /// Where it should be.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is no way to the collector of OpenTelemetry.
    #[error("cannot export telemetry")]
    Otlp(#[source] io::Error),
    /// A task ended in a panic: a fault of this program.
    #[error("internal error")]
    Panicked(#[source] JoinError),
}
