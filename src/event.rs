//! What Event Hubs hands over: one event of one partition, with its position and its body.
//!
//! Sources: the message annotations `x-opt-sequence-number`, `x-opt-offset`, `x-opt-enqueued-time`
//! and `x-opt-partition-key` of the AMQP protocol guide for Azure Event Hubs.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use smol_str::SmolStr;
use time::OffsetDateTime;

/// A body smaller than this is copied, where it is to be kept: as a part of what was read it would keep all of that,
/// some 128 KiB.
const SMALL: usize = 64 * 1024;

/// One event as it was received, before anybody looked into its body.
///
/// It may be a part of a larger buffer, with others: whoever keeps it for long calls [`Self::into_owned`].
#[derive(Debug, Clone)]
pub struct Event {
    /// The partition it was read from.
    pub partition: PartitionId,
    /// Its number in that partition, gapless from 0.
    pub sequence_number: SequenceNumber,
    /// Where it lies in that partition: an opaque text, given back to the service unread.
    pub offset: Offset,
    /// When the service took it, in UTC with millisecond precision.
    pub enqueued_time: OffsetDateTime,
    /// The key that chose the partition, where the sender gave one (Dataverse gives none).
    pub partition_key: Option<SmolStr>,
    /// The AMQP property `content-type`. Dataverse uses an application property instead.
    pub content_type: Option<SmolStr>,
    /// The application properties, in the sender's order.
    pub properties: Properties,
    /// The payload.
    pub body: Body,
}

impl Event {
    /// About how many bytes it holds: its body and its properties.
    pub fn size(&self) -> usize {
        self.body.bytes().len() + self.properties.size()
    }

    /// The same event, which keeps no more memory than it takes.
    pub fn into_owned(self) -> Self {
        Self {
            properties: self.properties.into_owned(),
            body: self.body.into_owned(),
            ..self
        }
    }

    /// Where it lies in its partition.
    pub fn position(&self) -> Position {
        Position {
            sequence_number: self.sequence_number,
            offset: self.offset.clone(),
        }
    }
}

/// What is read: an event hub of a namespace, as one consumer group sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// The fully qualified namespace, `contoso.servicebus.windows.net`.
    pub namespace: String,
    /// The name of the event hub.
    pub event_hub: String,
    /// The consumer group, `$Default` where none was made.
    pub consumer_group: String,
}

impl Source {
    /// Its names in small letters: the service compares them without regard to case.
    pub(crate) fn folded(&self) -> [String; 3] {
        [&self.namespace, &self.event_hub, &self.consumer_group].map(|name| name.to_lowercase())
    }
}

/// A place in a partition, both ways that the service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The number of the event there.
    pub sequence_number: SequenceNumber,
    /// The offset of the event there.
    pub offset: Offset,
}

/// The payload of an [`Event`].
#[derive(Debug, Clone)]
pub enum Body {
    /// All data sections concatenated, or the content of an amqp-value string or binary.
    Bytes(Bytes),
    /// The message carries no such body: none at all, a sequence, or a value of another type.
    Unreadable {
        /// What there was instead, as a fragment: "the message has no body".
        reason: String,
        /// What there was, as AMQP encodes it; of a sequence its elements, one behind the other.
        encoded: Bytes,
    },
}

impl Body {
    /// The payload, or what there was instead of it, as AMQP encodes it.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Unreadable { encoded, .. } => encoded,
        }
    }

    fn into_owned(self) -> Self {
        let own = |bytes: Bytes| match bytes.len() < SMALL {
            true => Bytes::copy_from_slice(&bytes),
            false => bytes,
        };
        match self {
            Self::Bytes(bytes) => Self::Bytes(own(bytes)),
            Self::Unreadable { reason, encoded } => Self::Unreadable {
                reason,
                encoded: own(encoded),
            },
        }
    }
}

/// The name of a partition: decimal digits in practice, a text by contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(SmolStr);

impl PartitionId {
    /// Takes the name as the service or the user gave it.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What to sort by: numbers before other names, and in the order of their values.
    pub(crate) fn numeric_first(&self) -> (u64, &str) {
        (self.0.parse().unwrap_or(u64::MAX), &self.0)
    }
}

impl From<&str> for PartitionId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of an event in its partition (`x-opt-sequence-number`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(pub i64);

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of an event in its partition (`x-opt-offset`): never parsed, since geo-replicated hubs
/// put more than a number into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offset(SmolStr);

impl Offset {
    /// Takes the text as the service gave it.
    pub fn new(offset: &str) -> Self {
        Self(offset.into())
    }

    /// The text to give back to the service.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The application properties of an event, in the sender's order.
///
/// AMQP's simple types become JSON's: integers and floats are numbers, symbols, uuids and chars are
/// strings, a timestamp is an RFC 3339 string in UTC, binary is base64 text, null is null.
#[derive(Clone, Default)]
pub struct Properties {
    read: OnceLock<Box<[Property]>>,
    unread: Option<Unread>,
}

/// A property's name and its value.
pub(crate) type Property = (SmolStr, serde_json::Value);

/// Properties as they came, until somebody asks for one.
#[derive(Clone)]
pub(crate) struct Unread {
    /// How whoever received them encodes them.
    pub encoded: Bytes,
    /// How many there are.
    pub count: u32,
    /// What reads them.
    pub read: fn(&Self) -> Vec<Property>,
}

impl Properties {
    /// Those that are read when somebody asks for one.
    pub(crate) fn unread(unread: Unread) -> Self {
        Self {
            read: OnceLock::new(),
            unread: Some(unread),
        }
    }

    /// The value under `name`, upper and lower case not told apart: relays change the case of keys.
    pub fn get(&self, name: &str) -> Option<&serde_json::Value> {
        self.iter()
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Every property with its name, in the sender's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &serde_json::Value)> {
        let entries = self.entries().iter();
        entries.map(|(key, value)| (key.as_str(), value))
    }

    /// About how many bytes they hold.
    pub fn size(&self) -> usize {
        // Beside its text, an entry takes about as much as the two values it consists of.
        const ENTRY: usize = 64;
        if let (None, Some(unread)) = (self.read.get(), &self.unread) {
            return unread.encoded.len() + unread.count as usize * ENTRY;
        }
        let texts = self.iter();
        let texts = texts.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len));
        texts.map(|text| text + ENTRY).sum()
    }

    /// True when the sender gave none.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    fn entries(&self) -> &[Property] {
        let read = || {
            self.unread
                .as_ref()
                .map(|unread| (unread.read)(unread).into())
                .unwrap_or_default()
        };
        self.read.get_or_init(read)
    }

    fn into_owned(mut self) -> Self {
        self.entries();
        self.unread = None;
        self
    }
}

impl PartialEq for Properties {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: Into<SmolStr>> FromIterator<(N, serde_json::Value)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, serde_json::Value)>>(entries: I) -> Self {
        let entries = entries
            .into_iter()
            .map(|(name, value)| (name.into(), value));
        Self {
            read: entries.collect::<Box<[_]>>().into(),
            unread: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_in_the_order_of_their_numbers() {
        let mut ids = ["10", "b", "9", "a", "0"].map(PartitionId::new);
        ids.sort_by(|a, b| a.numeric_first().cmp(&b.numeric_first()));
        assert_eq!(
            ids.each_ref().map(PartitionId::as_str),
            ["0", "9", "10", "a", "b"]
        );
    }

    #[test]
    fn a_property_is_found_in_any_case() {
        let properties: Properties = [("ContentType".to_owned(), "application/json".into())]
            .into_iter()
            .collect();
        for name in ["ContentType", "contenttype", "CONTENTTYPE"] {
            assert_eq!(
                properties.get(name),
                Some(&"application/json".into()),
                "{name}"
            );
        }
        assert_eq!(properties.get("Content"), None);
    }
}
