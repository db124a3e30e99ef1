//! An event as its sender encoded it, and as the hub hands it on.
//!
//! Implements AMQP 1.0 part 3, section 3.2 (sections of a message), and the message format
//! 0x80013700 in which Microsoft's SDKs put several messages, each whole, into the data sections of
//! one. Bodies are never decoded: what a receiver gets are the sender's bytes.

use super::encode::{Encoder, code};
use super::scan::{self, Malformed};

/// The message format of a batch of messages.
pub(crate) const BATCH_FORMAT: u32 = 0x8001_3700;

const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";
const OFFSET: &str = "x-opt-offset";
const ENQUEUED_TIME: &str = "x-opt-enqueued-time";
const PARTITION_KEY: &str = "x-opt-partition-key";

/// A message taken apart as far as the hub needs it.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    header: &'a [u8],
    /// Keys and values in turn.
    annotations: Vec<&'a [u8]>,
    /// Every section after the message annotations.
    rest: &'a [u8],
}

/// What the hub writes into the annotations of an event that it takes.
#[derive(Debug)]
pub(crate) struct Stamp<'a> {
    pub(crate) sequence_number: i64,
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) enqueued: i64,
    pub(crate) partition_key: Option<&'a str>,
}

/// An event ready to be sent: `bytes` with room for delivery annotations at `header_len`.
#[derive(Debug, Clone)]
pub(crate) struct Stamped {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) header_len: usize,
}

impl<'a> Event<'a> {
    /// Checks every section and its place. A message without any body is one as well.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut event = Self {
            header: &[],
            annotations: Vec::new(),
            rest: &[],
        };
        let mut last = 0;
        for section in Sections(message) {
            let section = section?;
            // Only bodies repeat; the order of sections is fixed.
            let repeats = matches!(section.code, code::DATA | code::AMQP_SEQUENCE);
            if section.code < last || (section.code == last && !repeats) {
                return Err(Malformed::Unexpected);
            }
            last = section.code;
            match section.code {
                code::HEADER => event.header = section.bytes,
                code::DELIVERY_ANNOTATIONS => {}
                code::MESSAGE_ANNOTATIONS => event.annotations = annotations(section.value)?,
                _ if event.rest.is_empty() => {
                    event.rest = &message[message.len() - section.bytes.len() - section.after..];
                }
                _ => {}
            }
        }
        Ok(event)
    }

    /// The key its sender wants it routed by.
    pub(crate) fn partition_key(&self) -> Option<&'a str> {
        self.annotations
            .chunks_exact(2)
            .find(|pair| scan::as_text(pair[0]) == Some(PARTITION_KEY))
            .and_then(|pair| scan::as_text(pair[1]))
    }

    /// The messages in the data sections of a batch.
    pub(crate) fn unpack(&self) -> Result<Vec<Self>, Malformed> {
        let mut events = Vec::new();
        for section in Sections(self.rest) {
            let section = section?;
            if section.code == code::DATA {
                let message = scan::as_binary(section.value).ok_or(Malformed::Unexpected)?;
                events.push(Self::parse(message)?);
            }
        }
        Ok(events)
    }

    /// The message that receivers get.
    pub(crate) fn stamped(&self, stamp: &Stamp<'_>) -> Stamped {
        let kept: Vec<_> = self
            .annotations
            .chunks_exact(2)
            .filter(|pair| !is_ours(pair[0]))
            .collect();
        let keyed = stamp.partition_key.is_some();
        let pairs = u32::try_from(kept.len() + 3 + usize::from(keyed)).unwrap_or(u32::MAX);
        let mut out = Encoder::default();
        out.raw(self.header);
        out.descriptor(code::MESSAGE_ANNOTATIONS);
        out.map(pairs, |map| {
            map.symbol(SEQUENCE_NUMBER);
            map.long(stamp.sequence_number);
            map.symbol(OFFSET);
            map.string(&stamp.offset.to_string());
            map.symbol(ENQUEUED_TIME);
            map.timestamp(stamp.enqueued);
            if let Some(key) = stamp.partition_key {
                map.symbol(PARTITION_KEY);
                map.string(key);
            }
            for pair in kept {
                map.raw(pair[0]);
                map.raw(pair[1]);
            }
        });
        out.raw(self.rest);
        Stamped {
            bytes: out.0.into_boxed_slice(),
            header_len: self.header.len(),
        }
    }
}

impl Stamped {
    /// The message with delivery annotations put in their place, after the header.
    pub(crate) fn with_delivery_annotations(&self, annotations: &[u8]) -> Vec<u8> {
        let (header, rest) = self.bytes.split_at(self.header_len);
        [header, annotations, rest].concat()
    }
}

/// A message of one data section, for callers that have but a body.
pub(crate) fn of_data(body: &[u8]) -> Vec<u8> {
    let mut out = Encoder::default();
    out.descriptor(code::DATA);
    out.binary(body);
    out.0
}

/// One section of an encoded message.
pub(crate) struct Section<'a> {
    pub(crate) code: u8,
    pub(crate) value: &'a [u8],
    /// Descriptor and value.
    bytes: &'a [u8],
    /// How many bytes of the message follow.
    after: usize,
}

/// Iterates over the sections of an encoded message; ends after the first malformed one.
pub(crate) struct Sections<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Sections<'a> {
    type Item = Result<Section<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let message = std::mem::take(&mut self.0);
        let section = section(message);
        if let Ok(section) = &section {
            self.0 = &message[section.bytes.len()..];
        }
        Some(section)
    }
}

fn section(message: &[u8]) -> Result<Section<'_>, Malformed> {
    let scan::Described {
        descriptor,
        value,
        rest,
    } = scan::split_described(message)?;
    let code = descriptor
        .and_then(|code| u8::try_from(code).ok())
        .filter(|code| (code::HEADER..=code::FOOTER).contains(code))
        .ok_or(Malformed::Unexpected)?;
    Ok(Section {
        code,
        value,
        bytes: &message[..message.len() - rest.len()],
        after: rest.len(),
    })
}

fn annotations(map: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    match map {
        [0x40] => Ok(Vec::new()),
        [0xc1 | 0xd1, ..] => scan::elements(map),
        _ => Err(Malformed::Unexpected),
    }
}

fn is_ours(key: &[u8]) -> bool {
    let ours = [SEQUENCE_NUMBER, OFFSET, ENQUEUED_TIME, PARTITION_KEY];
    scan::as_text(key).is_some_and(|key| ours.contains(&key))
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::messaging::Message;
    use fe2o3_amqp::types::messaging::message::__private::Deserializable;
    use fe2o3_amqp::types::messaging::{Body, MessageAnnotations};
    use fe2o3_amqp::types::primitives::Value;

    use super::*;

    const STAMP: Stamp<'_> = Stamp {
        sequence_number: 7,
        offset: 4096,
        enqueued: 1_700_000_000_000,
        partition_key: Some("key"),
    };

    /// header durable, annotations {a: 1, x-opt-offset: "9", x-opt-partition-key: "old"}, data "hi".
    fn encoded() -> Vec<u8> {
        let mut out = Encoder::default();
        out.composite(code::HEADER, 1, |list| list.boolean(true));
        out.descriptor(code::DELIVERY_ANNOTATIONS);
        out.map(0, |_| {});
        out.descriptor(code::MESSAGE_ANNOTATIONS);
        out.map(3, |map| {
            map.symbol("a");
            map.int(1);
            map.symbol(OFFSET);
            map.string("9");
            map.symbol(PARTITION_KEY);
            map.string("old");
        });
        out.raw(&of_data(b"hi"));
        out.raw(&of_data(b"ho"));
        out.0
    }

    fn decoded(bytes: &[u8]) -> Message<Body<Value>> {
        serde_amqp::from_slice::<Deserializable<Message<Body<Value>>>>(bytes)
            .unwrap()
            .0
    }

    #[test]
    fn the_hub_stamps_its_annotations_over_the_senders() {
        let bytes = encoded();
        let event = Event::parse(&bytes).unwrap();
        assert_eq!(event.partition_key(), Some("old"));
        let message = decoded(&event.stamped(&STAMP).bytes);
        let expected = MessageAnnotations::builder()
            .insert("x-opt-sequence-number", 7_i64)
            .insert("x-opt-offset", Value::String("4096".into()))
            .insert(
                "x-opt-enqueued-time",
                Value::Timestamp(1_700_000_000_000.into()),
            )
            .insert("x-opt-partition-key", Value::String("key".into()))
            .insert("a", 1)
            .build();
        assert_eq!(message.message_annotations, Some(expected));
        assert!(message.header.is_some_and(|header| header.durable));
        assert!(matches!(message.body, Body::Data(data) if data.iter().count() == 2));
    }

    #[test]
    fn sections_after_the_annotations_are_the_senders_bytes() {
        for body in [of_data(b"x"), vec![0x00, 0x53, 0x77, 0x41], Vec::new()] {
            let event = Event::parse(&body).unwrap();
            assert!(event.stamped(&STAMP).bytes.ends_with(&body));
            assert!(event.stamped(&STAMP).bytes.len() > body.len());
        }
    }

    #[test]
    fn delivery_annotations_go_between_header_and_annotations() {
        let bytes = encoded();
        let stamped = Event::parse(&bytes).unwrap().stamped(&STAMP);
        let mut extra = Encoder::default();
        extra.descriptor(code::DELIVERY_ANNOTATIONS);
        extra.map(1, |map| {
            map.symbol("n");
            map.long(3);
        });
        let message = decoded(&stamped.with_delivery_annotations(&extra.0));
        assert!(
            message
                .delivery_annotations
                .is_some_and(|map| map.0.len() == 1)
        );
    }

    #[test]
    fn a_batch_holds_whole_messages() {
        let mut batch = of_data(&encoded());
        batch.extend(of_data(&of_data(b"second")));
        let envelope = Event::parse(&batch).unwrap();
        let events = envelope.unpack().unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].partition_key(), Some("old"));
        assert_eq!(events[1].rest, of_data(b"second"));
        assert!(Event::parse(&of_data(b"junk")).unwrap().unpack().is_err());
    }

    #[test]
    fn sections_out_of_order_are_refused() {
        let mut swapped = of_data(b"x");
        swapped.extend(encoded());
        assert!(Event::parse(&swapped).is_err());
        assert!(Event::parse(&[0x00, 0x53, 0x72, 0x41]).is_err());
        assert!(Event::parse(&[0x00, 0x53, 0x10, 0x45]).is_err());
    }
}
