//! What a link that reads a partition says when it attaches.
//!
//! Source: the addresses, filters and properties of the AMQP protocol guide for Azure Event Hubs.

use fe2o3_amqp::types::definitions::Fields;
use fe2o3_amqp::types::messaging::Source;
use fe2o3_amqp::types::primitives::{Symbol, Value};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;

use super::Config;
use super::seam::Selector;
use crate::event::PartitionId;

/// The filter by which the service takes a position.
const FILTER: &str = "apache.org:selector-filter:string";
const FILTER_CODE: u64 = 0x0000_468C_0000_0004;

/// A name that no other link has.
pub(super) fn name(partition: &PartitionId) -> String {
    format!("dataverse-listener-{partition}-{:08x}", fastrand::u32(..))
}

/// The service's errors name a reader by its name, and by its owner level it is judged beside others.
pub(super) fn properties(name: &str, config: &Config) -> Fields {
    let mut properties = Fields::new();
    properties.insert(
        "com.microsoft:receiver-name".into(),
        Value::String(name.to_owned()),
    );
    if let Some(level) = config.owner_level {
        // The service takes no other type.
        properties.insert("com.microsoft:epoch".into(), Value::Long(level));
    }
    properties
}

/// What is understood: the offsets of hubs that are replicated, and the receiver runtime metric, by which the service
/// tells with each event how far the partition goes. That is 160 bytes or so more for an event of some thousands, and
/// how far a partition is behind is known exactly and at any time, without one request to `$management` for it; the
/// service's own SDKs call it the better bargain. A service that does not know it leaves it out.
pub(super) fn capabilities() -> Vec<Symbol> {
    vec![
        Symbol::from("com.microsoft:georeplication"),
        Symbol::from("com.microsoft:enable-receiver-runtime-metric"),
    ]
}

/// Which partition, and from where on.
pub(super) fn source(config: &Config, partition: &PartitionId, selector: &Selector) -> Source {
    let Config {
        event_hub,
        consumer_group,
        ..
    } = config;
    let filter = Described {
        descriptor: Descriptor::Code(FILTER_CODE),
        value: Value::String(selector.as_str().to_owned()),
    };
    Source::builder()
        .address(format!(
            "{event_hub}/ConsumerGroups/{consumer_group}/Partitions/{partition}"
        ))
        .add_to_filter(FILTER, filter)
        .build()
}
