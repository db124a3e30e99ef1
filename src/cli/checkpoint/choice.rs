//! Which partitions are meant: the options that choose, and what is said where they leave it open.

use std::fmt::Write as _;

use clap::Args;

use super::super::exit::{Exit, Failure};
use super::super::{printable, say};
use crate::checkpoint::Entry;
use crate::event::{PartitionId, Source};
use crate::receiver::{self, EventHub};

/// The options that choose partitions. What is not given leaves the choice open.
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// Only this namespace, NAME.servicebus.windows.net
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,

    /// Only this event hub
    #[arg(long, value_name = "NAME")]
    hub: Option<String>,

    /// Only this consumer group
    #[arg(long, value_name = "NAME")]
    consumer_group: Option<String>,

    /// Only this partition; may be given several times
    #[arg(long = "partition", value_name = "N")]
    pub(super) partitions: Vec<PartitionId>,
}

impl Choice {
    /// True when a partition is among those chosen.
    pub(super) fn includes(&self, source: &Source, partition: &PartitionId) -> bool {
        let is_chosen = self.partitions.is_empty() || self.partitions.contains(partition);
        is_chosen && self.includes_hub(source)
    }

    /// Names are compared as the service does.
    fn includes_hub(&self, source: &Source) -> bool {
        let same = |wanted: &Option<String>, name: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.to_lowercase() == name.to_lowercase())
        };
        same(&self.namespace, &source.namespace)
            && same(&self.hub, &source.event_hub)
            && same(&self.consumer_group, &source.consumer_group)
    }

    /// The hub of the configuration that is meant, which must be one.
    pub(super) fn one_of(&self, hubs: &[receiver::Config]) -> Result<Source, Failure> {
        let known: Vec<Source> = hubs
            .iter()
            .map(|hub| Source::clone(EventHub::new(hub.clone()).source()))
            .collect();
        let chosen: Vec<&Source> = known.iter().filter(|hub| self.includes_hub(hub)).collect();
        match chosen[..] {
            [hub] => Ok(hub.clone()),
            [] => Err(wrong(
                "no [[hub]] of the configuration is meant; it has",
                known.iter(),
            )),
            _ => Err(ambiguous(chosen.into_iter())),
        }
    }

    /// The entries that are meant. A partition by its number must be one of one hub; one that has no
    /// checkpoint is told.
    pub(super) fn of_entries<'a>(&self, entries: &'a [Entry]) -> Result<Vec<&'a Entry>, Failure> {
        let chosen: Vec<&Entry> = entries
            .iter()
            .filter(|entry| self.includes(&entry.source, &entry.partition))
            .collect();
        let mut hubs: Vec<&Source> = chosen.iter().map(|entry| &entry.source).collect();
        hubs.dedup_by_key(|hub| hub.folded());
        if !self.partitions.is_empty() && hubs.len() > 1 {
            return Err(ambiguous(hubs.into_iter()));
        }
        let has =
            |partition: &&PartitionId| chosen.iter().any(|entry| entry.partition == **partition);
        for missing in self.partitions.iter().filter(|partition| !has(partition)) {
            say(&format!("partition {missing} has no checkpoint"));
        }
        if chosen.is_empty() && self.partitions.is_empty() {
            say("there is no such checkpoint");
        }
        Ok(chosen)
    }
}

fn ambiguous<'a>(hubs: impl Iterator<Item = &'a Source>) -> Failure {
    wrong(
        "several hubs may be meant; choose with --hub, --consumer-group or --namespace from",
        hubs,
    )
}

fn wrong<'a>(what: &str, hubs: impl Iterator<Item = &'a Source>) -> Failure {
    let mut text = format!("{what}:");
    for hub in hubs {
        // Writing to a text cannot fail.
        write!(text, "\n  {}", names(hub)).ok();
    }
    Failure::plain(Exit::Usage, text)
}

/// A hub as one reads it: its namespace, its name and the consumer group.
pub(super) fn names(source: &Source) -> String {
    let Source {
        namespace,
        event_hub,
        consumer_group,
    } = source;
    printable(&format!("{namespace} {event_hub} {consumer_group}"))
}
