//! Writes AMQP values and the nine performatives, every field of every list present.
//!
//! Implements AMQP 1.0 part 1, section 1.6 and part 2, section 2.7. The Python SDK reads fields by
//! position and applies no defaults, so nothing is left out and no list is written as `list0`,
//! which is also how the service writes.

use super::condition::Refusal;

/// A field that a caller has encoded already, or none.
pub(crate) type Encoded<'a> = Option<&'a [u8]>;

/// The descriptors of the performatives, SASL frames and sections that are written here.
pub(crate) mod code {
    pub(crate) const OPEN: u8 = 0x10;
    pub(crate) const BEGIN: u8 = 0x11;
    pub(crate) const ATTACH: u8 = 0x12;
    pub(crate) const FLOW: u8 = 0x13;
    pub(crate) const TRANSFER: u8 = 0x14;
    pub(crate) const DISPOSITION: u8 = 0x15;
    pub(crate) const DETACH: u8 = 0x16;
    pub(crate) const END: u8 = 0x17;
    pub(crate) const CLOSE: u8 = 0x18;
    pub(crate) const ERROR: u8 = 0x1d;
    pub(crate) const ACCEPTED: u8 = 0x24;
    pub(crate) const REJECTED: u8 = 0x25;
    pub(crate) const SASL_MECHANISMS: u8 = 0x40;
    pub(crate) const SASL_OUTCOME: u8 = 0x44;
    pub(crate) const HEADER: u8 = 0x70;
    pub(crate) const DELIVERY_ANNOTATIONS: u8 = 0x71;
    pub(crate) const MESSAGE_ANNOTATIONS: u8 = 0x72;
    pub(crate) const PROPERTIES: u8 = 0x73;
    pub(crate) const APPLICATION_PROPERTIES: u8 = 0x74;
    pub(crate) const DATA: u8 = 0x75;
    pub(crate) const AMQP_SEQUENCE: u8 = 0x76;
    pub(crate) const AMQP_VALUE: u8 = 0x77;
    pub(crate) const FOOTER: u8 = 0x78;
}

/// Appends encoded values to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Encoder(pub(crate) Vec<u8>);

impl Encoder {
    pub(crate) fn raw(&mut self, encoded: &[u8]) {
        self.0.extend_from_slice(encoded);
    }

    pub(crate) fn encoded(&mut self, field: Encoded<'_>) {
        match field {
            Some(encoded) => self.raw(encoded),
            None => self.null(),
        }
    }

    pub(crate) fn null(&mut self) {
        self.0.push(0x40);
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.0.push(if value { 0x41 } else { 0x42 });
    }

    pub(crate) fn ubyte(&mut self, value: u8) {
        self.raw(&[0x50, value]);
    }

    pub(crate) fn ushort(&mut self, value: u16) {
        self.fixed(0x60, value.to_be_bytes());
    }

    pub(crate) fn uint(&mut self, value: u32) {
        self.fixed(0x70, value.to_be_bytes());
    }

    pub(crate) fn optional_uint(&mut self, value: Option<u32>) {
        match value {
            Some(value) => self.uint(value),
            None => self.null(),
        }
    }

    pub(crate) fn ulong(&mut self, value: u64) {
        self.fixed(0x80, value.to_be_bytes());
    }

    pub(crate) fn int(&mut self, value: i32) {
        self.fixed(0x71, value.to_be_bytes());
    }

    pub(crate) fn long(&mut self, value: i64) {
        self.fixed(0x81, value.to_be_bytes());
    }

    /// Milliseconds since 1970.
    pub(crate) fn timestamp(&mut self, value: i64) {
        self.fixed(0x83, value.to_be_bytes());
    }

    pub(crate) fn string(&mut self, value: &str) {
        self.variable(0xa1, 0xb1, value.as_bytes());
    }

    pub(crate) fn symbol(&mut self, value: &str) {
        self.variable(0xa3, 0xb3, value.as_bytes());
    }

    pub(crate) fn binary(&mut self, value: &[u8]) {
        self.variable(0xa0, 0xb0, value);
    }

    /// A descriptor as smallulong; its value follows.
    pub(crate) fn descriptor(&mut self, code: u8) {
        self.raw(&[0x00, 0x53, code]);
    }

    pub(crate) fn list(&mut self, count: u32, fields: impl FnOnce(&mut Self)) {
        self.compound(0xd0, count, fields);
    }

    /// A map of `pairs` keys and as many values, written in turn.
    pub(crate) fn map(&mut self, pairs: u32, entries: impl FnOnce(&mut Self)) {
        self.compound(0xd1, pairs * 2, entries);
    }

    pub(crate) fn array_of_strings<'a>(&mut self, values: impl ExactSizeIterator<Item = &'a str>) {
        self.array(0xb1, values);
    }

    pub(crate) fn array_of_symbols<'a>(&mut self, values: impl ExactSizeIterator<Item = &'a str>) {
        self.array(0xb3, values);
    }

    /// A described list, as performatives and most sections are.
    pub(crate) fn composite(&mut self, code: u8, count: u32, fields: impl FnOnce(&mut Self)) {
        self.descriptor(code);
        self.list(count, fields);
    }

    /// One AMQP frame on `channel`.
    pub(crate) fn frame(&mut self, channel: u16, body: impl FnOnce(&mut Self)) {
        self.any_frame(0x00, channel, body);
    }

    /// One SASL frame.
    pub(crate) fn sasl_frame(&mut self, body: impl FnOnce(&mut Self)) {
        self.any_frame(0x01, 0, body);
    }

    fn any_frame(&mut self, kind: u8, channel: u16, body: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.raw(&[0, 0, 0, 0, 2, kind]);
        self.raw(&channel.to_be_bytes());
        body(self);
        self.patch(start, self.0.len() - start);
    }

    /// `error`, with all of its three fields, or null.
    pub(crate) fn error(&mut self, error: Option<&Refusal>) {
        let Some(refusal) = error else {
            return self.null();
        };
        self.composite(code::ERROR, 3, |list| {
            list.symbol(&refusal.condition);
            list.string(&refusal.description);
            list.null();
        });
    }

    fn fixed<const N: usize>(&mut self, code: u8, bytes: [u8; N]) {
        self.0.push(code);
        self.raw(&bytes);
    }

    fn variable(&mut self, short: u8, long: u8, bytes: &[u8]) {
        match u8::try_from(bytes.len()) {
            Ok(len) => self.raw(&[short, len]),
            Err(_) => self.fixed(long, size(bytes.len())),
        }
        self.raw(bytes);
    }

    fn array<'a>(&mut self, element: u8, values: impl ExactSizeIterator<Item = &'a str>) {
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        self.compound(0xf0, count, |array| {
            array.0.push(element);
            for value in values {
                array.raw(&size(value.len()));
                array.raw(value.as_bytes());
            }
        });
    }

    fn compound(&mut self, code: u8, count: u32, contents: impl FnOnce(&mut Self)) {
        self.0.push(code);
        let start = self.0.len();
        self.raw(&[0; 4]);
        self.raw(&count.to_be_bytes());
        contents(self);
        self.patch(start, self.0.len() - start - 4);
    }

    fn patch(&mut self, at: usize, value: usize) {
        self.0[at..at + 4].copy_from_slice(&size(value));
    }
}

/// Lengths are of buffers that are bounded far below 4 GiB.
fn size(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

/// `open`, as the service answers it.
#[derive(Debug)]
pub(crate) struct Open<'a> {
    pub(crate) container_id: &'a str,
    pub(crate) max_frame_size: u32,
    pub(crate) channel_max: u16,
    pub(crate) idle_time_out: u32,
}

impl Open<'_> {
    pub(crate) fn write(&self, out: &mut Encoder) {
        out.frame(0, |frame| {
            frame.composite(code::OPEN, 10, |list| {
                list.string(self.container_id);
                list.null(); // hostname
                list.uint(self.max_frame_size);
                list.ushort(self.channel_max);
                list.uint(self.idle_time_out);
                list.null(); // outgoing-locales
                list.null(); // incoming-locales
                list.null(); // offered-capabilities
                list.null(); // desired-capabilities
                list.map(0, |_| {});
            });
        });
    }
}

/// `begin` in answer to a peer's.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) channel: u16,
    pub(crate) next_outgoing_id: u32,
    pub(crate) window: u32,
    pub(crate) handle_max: u32,
}

impl Begin {
    pub(crate) fn write(&self, out: &mut Encoder) {
        out.frame(self.channel, |frame| {
            frame.composite(code::BEGIN, 8, |list| {
                list.ushort(self.channel);
                list.uint(self.next_outgoing_id);
                list.uint(self.window);
                list.uint(self.window);
                list.uint(self.handle_max);
                list.null(); // offered-capabilities
                list.null(); // desired-capabilities
                list.map(0, |_| {});
            });
        });
    }
}

/// `attach` in answer to a peer's, whose own encoding of both ends is given back.
#[derive(Debug)]
pub(crate) struct Attach<'a> {
    pub(crate) channel: u16,
    pub(crate) name: &'a str,
    pub(crate) handle: u32,
    pub(crate) peer_is_receiver: bool,
    /// 0 unsettled, 1 settled, 2 mixed.
    pub(crate) snd_settle_mode: u8,
    pub(crate) source: Encoded<'a>,
    pub(crate) target: Encoded<'a>,
    pub(crate) initial_delivery_count: Option<u32>,
    pub(crate) max_message_size: u64,
    pub(crate) offered_capabilities: Encoded<'a>,
}

impl Attach<'_> {
    pub(crate) fn write(&self, out: &mut Encoder) {
        out.frame(self.channel, |frame| {
            frame.composite(code::ATTACH, 14, |list| {
                list.string(self.name);
                list.uint(self.handle);
                list.boolean(!self.peer_is_receiver);
                list.ubyte(self.snd_settle_mode);
                list.ubyte(0); // receivers settle first, whatever they asked for
                list.encoded(self.source);
                list.encoded(self.target);
                list.map(0, |_| {}); // unsettled
                list.boolean(false); // incomplete-unsettled
                list.optional_uint(self.initial_delivery_count);
                list.ulong(self.max_message_size);
                list.encoded(self.offered_capabilities);
                list.null(); // desired-capabilities
                list.map(0, |_| {});
            });
        });
    }
}

/// `flow` for a link, or for the session alone.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) channel: u16,
    pub(crate) next_incoming_id: u32,
    pub(crate) next_outgoing_id: u32,
    pub(crate) window: u32,
    pub(crate) link: Option<LinkFlow>,
}

/// The part of a [`Flow`] that is about a link.
#[derive(Debug)]
pub(crate) struct LinkFlow {
    pub(crate) handle: u32,
    pub(crate) delivery_count: u32,
    pub(crate) credit: u32,
    pub(crate) drain: bool,
}

impl Flow {
    pub(crate) fn write(&self, out: &mut Encoder) {
        let link = self.link.as_ref();
        out.frame(self.channel, |frame| {
            frame.composite(code::FLOW, 11, |list| {
                list.uint(self.next_incoming_id);
                list.uint(self.window);
                list.uint(self.next_outgoing_id);
                list.uint(self.window);
                list.optional_uint(link.map(|link| link.handle));
                list.optional_uint(link.map(|link| link.delivery_count));
                list.optional_uint(link.map(|link| link.credit));
                list.null(); // available
                list.boolean(link.is_some_and(|link| link.drain));
                list.boolean(false); // echo
                list.map(0, |_| {});
            });
        });
    }
}

/// One frame of a delivery: pre-settled, of message format 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    pub(crate) channel: u16,
    pub(crate) handle: u32,
    pub(crate) delivery_id: u32,
    pub(crate) more: bool,
}

impl Transfer {
    /// The bytes of a transfer frame before its payload.
    pub(crate) const OVERHEAD: usize = 8 + 6 + Self::FIELDS;
    /// The bytes of the list's fields.
    const FIELDS: usize = 5 + 5 + 6 + 5 + 1 + 1 + 5;

    /// Written for every event, so as a fixed pattern rather than field by field.
    pub(crate) fn write(&self, payload: &[u8], out: &mut Encoder) {
        let buffer = &mut out.0;
        buffer.reserve(Self::OVERHEAD + payload.len());
        buffer.extend_from_slice(&size(Self::OVERHEAD + payload.len()));
        buffer.extend_from_slice(&[2, 0]);
        buffer.extend_from_slice(&self.channel.to_be_bytes());
        buffer.extend_from_slice(&[0x00, 0x53, code::TRANSFER, 0xc0, Self::FIELDS as u8 + 1, 11]);
        buffer.push(0x70);
        buffer.extend_from_slice(&self.handle.to_be_bytes());
        buffer.push(0x70);
        buffer.extend_from_slice(&self.delivery_id.to_be_bytes());
        buffer.extend_from_slice(&[0xa0, 4]);
        buffer.extend_from_slice(&self.delivery_id.to_be_bytes());
        buffer.extend_from_slice(&[0x70, 0, 0, 0, 0, 0x41]);
        buffer.push(if self.more { 0x41 } else { 0x42 });
        // rcv-settle-mode, state: null; resume, aborted, batchable: false.
        buffer.extend_from_slice(&[0x40, 0x40, 0x42, 0x42, 0x42]);
        buffer.extend_from_slice(payload);
    }
}

/// What became of the deliveries `first` to `last` of a peer.
#[derive(Debug)]
pub(crate) struct Disposition<'a> {
    pub(crate) channel: u16,
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) rejected: Option<&'a Refusal>,
}

impl Disposition<'_> {
    pub(crate) fn write(&self, out: &mut Encoder) {
        out.frame(self.channel, |frame| {
            frame.composite(code::DISPOSITION, 6, |list| {
                list.boolean(true); // role: receiver
                list.uint(self.first);
                list.uint(self.last);
                list.boolean(true); // settled
                match self.rejected {
                    None => list.composite(code::ACCEPTED, 0, |_| {}),
                    Some(refusal) => {
                        list.composite(code::REJECTED, 1, |state| state.error(Some(refusal)))
                    }
                }
                list.boolean(false); // batchable
            });
        });
    }
}

/// `detach`, always of all three fields.
pub(crate) fn detach(
    channel: u16,
    handle: u32,
    closed: bool,
    error: Option<&Refusal>,
    out: &mut Encoder,
) {
    out.frame(channel, |frame| {
        frame.composite(code::DETACH, 3, |list| {
            list.uint(handle);
            list.boolean(closed);
            list.error(error);
        });
    });
}

/// `end`.
pub(crate) fn end(channel: u16, error: Option<&Refusal>, out: &mut Encoder) {
    out.frame(channel, |frame| {
        frame.composite(code::END, 1, |list| list.error(error))
    });
}

/// `close`.
pub(crate) fn close(error: Option<&Refusal>, out: &mut Encoder) {
    out.frame(0, |frame| {
        frame.composite(code::CLOSE, 1, |list| list.error(error))
    });
}
