//! Keeps from the crate what would bring the daemon down: every frame that comes in is followed, and
//! no byte is handed on before it is known to be harmless.
//!
//! The crate decodes in its own task and by recursion: some thousand levels in a property, which anyone
//! may send who has the right to send, would overflow the stack and end the process. What is nested too
//! deep is changed on its way in, so that the event still comes (`walk` says how). Where nothing
//! can be changed, the stream ends before the frame in question, with a cause; whatever came before is
//! handed on. A frame shorter than its own head would panic the crate's task.
//!
//! Nothing is kept but the place within a frame and, for each delivery that spans frames, the place
//! within its message.
//!
//! Source: AMQP 1.0, sections 2.2 (version negotiation), 2.3 (framing), 2.6.14 (deliveries of several
//! transfers) and 2.7 (performatives).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::heartbeat::Listener;
use crate::receiver::encoding::Flaw;
use crate::receiver::encoding::walk::{Subject, Walk};
use crate::receiver::reading::broken;
use crate::receiver::seam::Failure;
use crate::receiver::step::{MAX_FRAME_SIZE, MAX_MESSAGE_SIZE};
use crate::receiver::wire::Leash;

/// So many deliveries may be under way at once, on all the links of a connection; each is a walk.
const MAX_DELIVERIES: usize = 64;
/// Every frame, and every protocol header, begins with so many bytes.
const HEAD: usize = 8;
/// A frame's head begins with its size, which takes so many bytes.
const SIZE: usize = 4;

const BEGIN: u64 = 0x11;
const ATTACH: u64 = 0x12;
const TRANSFER: u64 = 0x14;
const DETACH: u64 = 0x16;
const END: u64 = 0x17;
/// The most fields that a transfer has: the decoder takes what comes after them for the message.
const TRANSFER_FIELDS: u32 = 11;

/// A stream whose incoming bytes are harmless.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    leash: Leash,
    follower: Follower,
    listener: Listener,
    /// Why the stream ends, once what came before has been read.
    offence: Option<Failure>,
}

impl<S> Guarded<S> {
    /// Guards a stream that is about to speak AMQP, and that this leash cuts. The listener hears what
    /// is harmless.
    pub(super) fn new(stream: S, leash: Leash, listener: Listener) -> Self {
        Self {
            stream,
            leash,
            follower: Follower::default(),
            listener,
            offence: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if this.offence.is_none() {
            std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            if let Err(offence) = this.follower.follow(&mut buf.filled_mut()[before..]) {
                buf.set_filled(before + offence.harmless);
                this.offence = Some(offence.cause);
            }
            this.listener.hear(&buf.filled()[before..]);
        }
        if buf.filled().len() == before
            && let Some(cause) = this.offence.take()
        {
            this.leash.cut_because(cause);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What must not be handed on.
#[derive(Debug)]
struct Offence {
    /// So many bytes of those followed last come before it.
    harmless: usize,
    cause: Failure,
}

/// The place within the stream of frames.
#[derive(Debug)]
struct Follower {
    place: Place,
    head: [u8; HEAD],
    /// Bytes of the frame that are still to come, behind its head.
    left: usize,
    performative: Walk,
    deliveries: Vec<Delivery>,
    /// The walk of a delivery that has ended, for the next.
    spare: Option<Box<Walk>>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// So many bytes of the head have come.
    Head(usize),
    /// So many bytes of a head that is longer than usual are still to come.
    LongHead(usize),
    Performative,
    /// The payload of a transfer that ends its delivery, or does not.
    Payload {
        delivery: usize,
        is_last: bool,
    },
    /// What nobody reads.
    Rest,
}

/// A message on its way in.
#[derive(Debug)]
struct Delivery {
    channel: u16,
    handle: u64,
    walk: Box<Walk>,
}

impl Default for Follower {
    fn default() -> Self {
        Self {
            place: Place::Head(0),
            head: [0; HEAD],
            left: 0,
            performative: Walk::new(Subject::Performative, 0),
            deliveries: Vec::new(),
            spare: None,
        }
    }
}

impl Follower {
    /// Goes on, and changes what is nested too deep. After an offence it is of no more use.
    fn follow(&mut self, bytes: &mut [u8]) -> Result<(), Offence> {
        let mut at = 0;
        let mut harmless = 0;
        while at < bytes.len() {
            if matches!(self.place, Place::Head(0)) {
                harmless = at;
            }
            match self.step(&mut bytes[at..]) {
                Ok(taken) => at += taken,
                Err(cause) => return Err(Offence { harmless, cause }),
            }
        }
        Ok(())
    }

    /// Takes what belongs to one place.
    fn step(&mut self, bytes: &mut [u8]) -> Result<usize, Failure> {
        let room = bytes.len().min(self.left);
        match self.place {
            Place::Head(have) => self.head(have, bytes).map_err(broken_frame),
            Place::LongHead(length) => {
                let taken = room.min(length);
                self.left -= taken;
                self.begin_body(length - taken);
                Ok(taken)
            }
            Place::Performative => self.performative(&mut bytes[..room]),
            Place::Payload { delivery, is_last } => {
                let walk = &mut self.deliveries[delivery].walk;
                walk.feed(&mut bytes[..room]).map_err(broken)?;
                self.left -= room;
                self.end_payload(delivery, is_last)?;
                Ok(room)
            }
            Place::Rest => {
                self.left -= room;
                self.rest();
                Ok(room)
            }
        }
    }

    fn head(&mut self, have: usize, bytes: &[u8]) -> Result<usize, Flaw> {
        let taken = bytes.len().min(HEAD - have);
        let now = have + taken;
        self.head[have..now].copy_from_slice(&bytes[..taken]);
        self.place = Place::Head(now);
        // The crate takes its frames apart as soon as their size has come in.
        if now >= SIZE {
            self.check_size()?;
        }
        if now == HEAD {
            self.begin_frame()?;
        }
        Ok(taken)
    }

    fn performative(&mut self, bytes: &mut [u8]) -> Result<usize, Failure> {
        let taken = self.performative.feed(bytes).map_err(broken_frame)?;
        self.left -= taken;
        if self.performative.is_done() {
            self.end_performative()?;
        } else if self.left == 0 {
            return Err(broken_frame("it ends within its performative"));
        }
        Ok(taken)
    }

    fn check_size(&self) -> Result<(), Flaw> {
        match self.size() {
            _ if self.is_protocol_header() => Ok(()),
            size if size > MAX_FRAME_SIZE as usize => Err("it is larger than was agreed on"),
            size if size < HEAD => Err("it is smaller than its own head"),
            _ => Ok(()),
        }
    }

    fn begin_frame(&mut self) -> Result<(), Flaw> {
        if self.is_protocol_header() {
            self.place = Place::Head(0);
            return Ok(());
        }
        let size = self.size();
        let head = usize::from(self.head[4]) * 4;
        if head < HEAD || head > size {
            return Err("it begins within its own head, or behind its end");
        }
        self.left = size - HEAD;
        self.begin_body(head - HEAD);
        Ok(())
    }

    fn is_protocol_header(&self) -> bool {
        self.head.starts_with(b"AMQP")
    }

    fn size(&self) -> usize {
        let [a, b, c, d, ..] = self.head;
        u32::from_be_bytes([a, b, c, d]) as usize
    }

    fn begin_body(&mut self, long_head: usize) {
        if long_head > 0 {
            self.place = Place::LongHead(long_head);
        } else if self.left > 0 {
            self.performative.restart(self.left as u64);
            self.place = Place::Performative;
        } else {
            self.place = Place::Head(0);
        }
    }

    fn end_performative(&mut self) -> Result<(), Failure> {
        let fields = &self.performative;
        let Some(code) = fields.code() else {
            return Err(broken_frame("its performative has no number"));
        };
        match code {
            TRANSFER => return self.begin_payload(),
            BEGIN | END => self.forget(None),
            ATTACH => self.forget(Some(fields.field(1))),
            DETACH => self.forget(Some(fields.field(0))),
            _ => {}
        }
        self.rest();
        Ok(())
    }

    fn begin_payload(&mut self) -> Result<(), Failure> {
        let fields = &self.performative;
        if fields.field_count() > TRANSFER_FIELDS {
            return Err(broken_frame("a transfer has too many fields"));
        }
        let (handle, more) = (fields.field(0), fields.field(5));
        let (resumed, aborted) = (fields.field(8), fields.field(9));
        if resumed != 0 {
            return Err(broken_frame("a delivery is resumed that never paused"));
        }
        if aborted != 0 {
            self.forget(Some(handle));
            self.rest();
            return Ok(());
        }
        let delivery = self.delivery(handle)?;
        let is_last = more == 0;
        self.place = Place::Payload { delivery, is_last };
        self.end_payload(delivery, is_last)
    }

    /// The delivery that is under way on a link of this channel, or a new one.
    fn delivery(&mut self, handle: u64) -> Result<usize, Failure> {
        let channel = self.channel();
        let is_it = |delivery: &Delivery| (delivery.channel, delivery.handle) == (channel, handle);
        if let Some(index) = self.deliveries.iter().position(is_it) {
            return Ok(index);
        }
        if self.deliveries.len() == MAX_DELIVERIES {
            return Err(broken_frame("too many deliveries are under way at once"));
        }
        let mut walk = self
            .spare
            .take()
            .unwrap_or_else(|| Box::new(Walk::new(Subject::Message, 0)));
        walk.restart(MAX_MESSAGE_SIZE);
        self.deliveries.push(Delivery {
            channel,
            handle,
            walk,
        });
        Ok(self.deliveries.len() - 1)
    }

    fn end_payload(&mut self, delivery: usize, is_last: bool) -> Result<(), Failure> {
        if self.left > 0 {
            return Ok(());
        }
        self.place = Place::Head(0);
        if is_last {
            let Delivery { walk, .. } = self.deliveries.swap_remove(delivery);
            if !walk.is_whole() {
                return Err(broken("it ends within a value"));
            }
            self.spare = Some(walk);
        }
        Ok(())
    }

    /// Deliveries end with their link, and links with their session.
    fn forget(&mut self, handle: Option<u64>) {
        let channel = self.channel();
        self.deliveries.retain(|delivery| {
            delivery.channel != channel || handle.is_some_and(|handle| delivery.handle != handle)
        });
    }

    fn rest(&mut self) {
        self.place = if self.left > 0 {
            Place::Rest
        } else {
            Place::Head(0)
        };
    }

    fn channel(&self) -> u16 {
        u16::from_be_bytes([self.head[6], self.head[7]])
    }
}

fn broken_frame(flaw: Flaw) -> Failure {
    Failure::lost(format!("a frame cannot be read: {flaw}"))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::budget::Hold;
    use crate::receiver::encoding::walk::tests::{compound, map_section, nested, section, value};

    fn frame(kind: u8, channel: u8, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEAD + body.len()).unwrap();
        [&size.to_be_bytes()[..], &[2, kind, 0, channel], body].concat()
    }

    /// A transfer of so much of a message; `more` and `aborted` as said.
    fn transfer(handle: u8, more: u8, aborted: u8, payload: &[u8]) -> Vec<u8> {
        let truth = |is: u8| if is == 0 { 0x42 } else { 0x41 };
        let fields = [
            &[0x52, handle, 0x43, 0xa0, 1, handle, 0x43, 0x41, truth(more)][..],
            &[0x40, 0x40, 0x42, truth(aborted)],
        ]
        .concat();
        let performative = section(0x14, &compound(0xd0, 10, &fields));
        frame(0, 1, &[performative, payload.to_vec()].concat())
    }

    fn opening() -> Vec<u8> {
        [
            b"AMQP\x03\x01\x00\x00".to_vec(),
            frame(1, 0, &[0x00, 0x53, 0x44, 0xc0, 3, 1, 0x50, 0]),
            b"AMQP\x00\x01\x00\x00".to_vec(),
            frame(0, 0, &section(0x10, &compound(0xd0, 1, b"\xa1\x01x"))),
            frame(0, 0, &[]),
        ]
        .concat()
    }

    /// What is read through the guard from a peer that says this, and why the stream ended.
    async fn read(bytes: &[u8], pieces: &[usize]) -> (Vec<u8>, Option<String>) {
        let (near, mut far) = duplex(bytes.len().max(1));
        let (leash, stream) = Leash::tie(near, Hold::alone(usize::MAX));
        let mut stream = Guarded::new(stream, leash.clone(), Listener::new().1);
        far.write_all(bytes).await.unwrap();
        drop(far);
        let mut read = Vec::new();
        for piece in pieces.iter().copied().chain(std::iter::repeat(100_000)) {
            let mut buf = vec![0; piece];
            match stream.read(&mut buf).await.unwrap() {
                0 => break,
                count => read.extend_from_slice(&buf[..count]),
            }
        }
        let cause = leash.take_cause().map(|cause| match cause {
            Failure::Lost { reason, .. } | Failure::Malformed(reason) => reason,
            other => format!("{other:?}"),
        });
        (read, cause)
    }

    fn read_now(bytes: &[u8], pieces: &[usize]) -> (Vec<u8>, Option<String>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(read(bytes, pieces))
    }

    #[test]
    fn an_honest_stream_passes_unchanged() {
        let message = [map_section(0x72, &[0x40]), section(0x75, b"\xa0\x02{}")].concat();
        let bytes = [
            opening(),
            transfer(0, 0, 0, &message),
            transfer(3, 1, 0, &message[..4]),
            frame(0, 0, &[]),
            transfer(4, 1, 0, &message[..9]),
            transfer(3, 1, 0, &[]),
            transfer(3, 0, 0, &message[4..]),
            transfer(4, 0, 0, &message[9..]),
        ]
        .concat();
        for piece in [1, 2, 7, 100_000] {
            let pieces = vec![piece; bytes.len()];
            assert_eq!(read_now(&bytes, &pieces), (bytes.clone(), None));
        }
    }

    #[test]
    fn a_message_of_several_interleaved_transfers_is_changed_where_it_is_too_deep() {
        let message = |constructor: u8| {
            map_section(0x72, &{
                let mut value = nested(0xd0, 33);
                let at = value.len() - 10;
                value[at] = constructor;
                value
            })
        };
        let stream = |message: &[u8], cut: usize| {
            [
                opening(),
                transfer(1, 1, 0, &message[..cut]),
                transfer(2, 1, 0, &message[..cut + 100]),
                transfer(1, 0, 0, &message[cut..]),
                transfer(2, 0, 0, &message[cut + 100..]),
            ]
            .concat()
        };
        for cut in [0, 1, 13, 150] {
            let (read, cause) = read_now(&stream(&message(0xd0), cut), &[]);
            assert_eq!((read, cause), (stream(&message(0xb0), cut), None));
        }
    }

    #[test]
    fn a_link_that_begins_again_begins_a_new_message() {
        let message = section(0x75, b"\xa0\x02{}");
        let detach = frame(0, 1, &section(0x16, &compound(0xd0, 1, &[0x52, 5])));
        let attach_fields = [&b"\xa1\x01l"[..], &[0x52, 5]].concat();
        let attach = frame(0, 1, &section(0x12, &compound(0xd0, 2, &attach_fields)));
        let end = frame(0, 1, &section(0x17, &[0x45]));
        let abort = transfer(5, 1, 1, b"whatever");
        for between in [detach, attach, end, abort] {
            let bytes = [
                transfer(5, 1, 0, &message[..5]),
                between,
                transfer(5, 0, 0, &message),
            ]
            .concat();
            assert_eq!(read_now(&bytes, &[]), (bytes, None));
        }
        let other = frame(0, 1, &section(0x16, &compound(0xd0, 1, &[0x52, 6])));
        let bytes = [
            transfer(5, 1, 0, &message[..5]),
            other,
            transfer(5, 0, 0, &message[5..]),
        ];
        assert_eq!(read_now(&bytes.concat(), &[]), (bytes.concat(), None));
    }

    #[test]
    fn the_stream_ends_before_what_cannot_be_cured() {
        let check = |bytes: &[u8], expected: &str| {
            let honest = [opening(), transfer(0, 0, 0, &section(0x75, b"\xa0\x00"))].concat();
            let stream = [&honest, bytes, &frame(0, 0, &[])].concat();
            let (read, cause) = read_now(&stream, &[]);
            assert_eq!(read, honest, "{expected}");
            let cause = cause.expect(expected);
            assert!(cause.ends_with(expected), "{cause}");
            let (read, cause) = read_now(&stream, &vec![1; stream.len()]);
            assert!(read.len() < honest.len() + bytes.len(), "{expected}");
            assert!(cause.expect(expected).ends_with(expected));
        };
        let small = "it is smaller than its own head";
        check(&[0, 0, 0, 4], small);
        check(&[0, 0, 0, 0], small);
        check(&[0, 0, 0, 7, 2, 0, 0], small);
        check(&[0, 1, 0, 1, 2, 0, 0, 0], "it is larger than was agreed on");
        let head = "it begins within its own head, or behind its end";
        check(&[0, 0, 0, 8, 1, 0, 0, 0], head);
        check(&[0, 0, 0, 8, 3, 0, 0, 0], head);
        check(&frame(0, 0, &[0x45]), "a section has no descriptor");
        check(
            &frame(0, 0, &section(0x10, &[0x40])),
            "a performative is no list",
        );
        let half = [0x00, 0x53, 0x10, 0xc0];
        check(&frame(0, 0, &half), "a value is longer than what holds it");
        check(&frame(0, 0, &half[..3]), "it ends within its performative");
        let named = b"\x00\xa3\x12amqp:transfer:list\x45";
        check(&frame(0, 0, named), "its performative has no number");
        let fields = compound(0xd0, 12, &[0x40; 12]);
        check(
            &frame(0, 0, &section(0x14, &fields)),
            "a transfer has too many fields",
        );
        let fields = compound(0xd0, 9, b"\x43\x43\x40\x40\x40\x40\x40\x40\x41");
        let resumed = "a delivery is resumed that never paused";
        check(&frame(0, 0, &section(0x14, &fields)), resumed);
        let chain = map_section(0x72, &[0x00, 0x53, 0x01].repeat(1_000));
        let deep = "described values are nested more than 32 levels deep";
        check(&transfer(0, 0, 0, &chain), deep);
        check(
            &transfer(0, 0, 0, b"\x00\x53\x75\xb0\xff"),
            "it ends within a value",
        );
        let many: Vec<u8> = (0..65)
            .flat_map(|handle| transfer(handle, 1, 0, b"\x00"))
            .collect();
        let (read, cause) = read_now(&many, &[]);
        assert_eq!(read.len(), many.len() / 65 * 64);
        assert!(
            cause
                .unwrap()
                .ends_with("too many deliveries are under way at once")
        );
    }

    #[test]
    fn a_performative_that_is_nested_too_deep_is_changed() {
        let begin = |levels: usize| {
            frame(
                0,
                0,
                &section(0x11, &compound(0xd0, 1, &nested(0xd0, levels))),
            )
        };
        let (bytes, cause) = read_now(&begin(5_000), &[]);
        assert_eq!(cause, None);
        let changed = bytes
            .iter()
            .zip(begin(5_000))
            .filter(|(a, b)| *a != b)
            .count();
        assert_eq!(changed, 1);
        assert_eq!(read_now(&begin(32), &[]), (begin(32), None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn however_it_is_cut_the_stream_says_the_same(
            values in vec((value(), 0..3_u8, any::<bool>()), 1..4),
            pieces in vec(1..20_usize, 0..100),
        ) {
            let mut bytes = opening();
            for (value, handle, is_cut) in &values {
                let message = map_section(0x72, value);
                let cut = if *is_cut { message.len() / 2 } else { 0 };
                bytes.extend(transfer(*handle, 1, 0, &message[..cut]));
                bytes.extend(transfer(*handle, 0, 0, &message[cut..]));
            }
            let (whole, cause) = read_now(&bytes, &[]);
            let (cut, same_cause) = read_now(&bytes, &pieces);
            prop_assert_eq!(&cause, &same_cause);
            if cause.is_none() {
                prop_assert_eq!(cut, whole);
            } else {
                // Beyond the last whole frame come at most harmless parts of the next.
                prop_assert!(cut.starts_with(&whole));
            }
        }
    }
}
