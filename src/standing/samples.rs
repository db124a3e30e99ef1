//! A partition for tests that look at how it stands.

use std::sync::Arc;

use time::OffsetDateTime;

use super::Standing;
use crate::event::{PartitionId, Source};

/// A partition of an event hub, of which nothing was heard yet.
pub(crate) fn standing(event_hub: &str, partition: &str, now: OffsetDateTime) -> Standing {
    let source = Source {
        namespace: "ns".to_owned(),
        event_hub: event_hub.to_owned(),
        consumer_group: "$Default".to_owned(),
    };
    Standing::new(Arc::new(source), PartitionId::new(partition), now)
}
