//! The nine performatives, every field of every list present.
//!
//! Implements AMQP 1.0 part 2, section 2.7. The Python SDK reads fields by position and applies no
//! defaults, so nothing is left out, which is also how the service writes.

use super::condition::Refusal;
use super::encode::{Encoded, Encoder, code, size};

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
