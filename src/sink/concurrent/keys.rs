//! What a message must be in order with: its partition, or the rows that it is about.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::lanes::Key;
use super::pace::Order;
use crate::context::Target;
use crate::message::Message;

/// The keys of `message`: at least one.
pub(super) fn of(message: &Message, order: Order) -> Vec<Key> {
    let rows = match order {
        Order::Partition => Vec::new(),
        Order::Row => rows(message),
    };
    if rows.is_empty() {
        return vec![key((
            &message.source.namespace,
            &message.source.event_hub,
            message.event.partition.as_str(),
        ))];
    }
    rows
}

fn rows(message: &Message) -> Vec<Key> {
    let Some(context) = message.context() else {
        return Vec::new();
    };
    let organization = context.organization_id();
    let target =
        |target: Target<'_>| Some(key((organization, target.logical_name()?, target.id()?)));
    let targets: Vec<Key> = context.targets().filter_map(target).collect();
    if !targets.is_empty() {
        return targets;
    }
    // Of some messages (Associate) the primary table is "none", and the target has the row.
    let row = context.row_id().zip(context.primary_entity_name());
    row.filter(|(_, table)| *table != "none")
        .map(|(id, table)| key((organization, table, id)))
        .or_else(|| context.target().and_then(target))
        .into_iter()
        .collect()
}

fn key(of: impl Hash) -> Key {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::samples;

    const ROW: &str = "6420f0cc-916b-ee11-9ae6-000d3a688809";

    fn update(table: &str, id: &str) -> Message {
        samples::message(&format!(
            r#"{{"MessageName":"Update","PrimaryEntityName":"{table}","PrimaryEntityId":"{id}","InputParameters":[],"OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73"}}"#
        ))
    }

    #[test]
    fn rows_are_told_apart_by_table_and_id() {
        let one = of(&update("account", ROW), Order::Row);
        assert_eq!(one, of(&update("account", ROW), Order::Row));
        assert_ne!(one, of(&update("contact", ROW), Order::Row));
        assert_ne!(
            one,
            of(&update("account", &ROW.replace('6', "7")), Order::Row)
        );
    }

    #[test]
    fn what_names_no_row_is_of_its_partition() {
        let partition = of(&update("account", ROW), Order::Partition);
        assert_eq!(of(&samples::message("?"), Order::Row), partition);
        assert_eq!(
            of(&samples::context("Publish", "none"), Order::Row),
            partition
        );
    }
}
