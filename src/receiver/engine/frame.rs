//! Frames: found in what was read, and written to what is to be sent.
//!
//! Source: AMQP 1.0, sections 2.2 (version negotiation), 2.3 (framing), 2.7 (performatives), 5.3.1 (SASL
//! frames).

use bytes::{Buf, Bytes, BytesMut};
use fe2o3_amqp::types::performatives::{
    Attach, Begin, Close, Detach, Disposition, End, Flow, Open,
};
use fe2o3_amqp::types::sasl::{SaslMechanisms, SaslOutcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::transfer::Transfer;
use crate::receiver::encoding::cursor::Cursor;
use crate::receiver::encoding::walk::{Subject, Walk};

/// What each side sends before anything else: the protocol and its version.
pub(super) const HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
/// The same, of the layer in which one says who one is.
pub(super) const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

/// A frame begins with so many bytes.
const HEAD: usize = 8;
const TYPE_AMQP: u8 = 0;
const TYPE_SASL: u8 = 1;

/// What came.
#[derive(Debug)]
pub(super) enum Frame {
    /// The peer is there, and has nothing to say.
    Empty,
    Open(Box<Open>),
    Begin(u16, Box<Begin>),
    Attach(u16, Box<Attach>),
    Flow(u16, Box<Flow>),
    Transfer(u16, Transfer, Bytes),
    Disposition(u16),
    Detach(u16, Box<Detach>),
    End(u16, Box<End>),
    Close(Box<Close>),
    Mechanisms(SaslMechanisms),
    Outcome(SaslOutcome),
}

/// Takes a protocol header off the front of what was read; none where it has not all come.
pub(super) fn take_header(bytes: &mut BytesMut) -> Option<[u8; 8]> {
    let header = *bytes.first_chunk()?;
    bytes.advance(header.len());
    Some(header)
}

/// Takes a frame off the front of what was read, as soon as all of it is there.
pub(super) fn take(bytes: &mut BytesMut, max_size: u32) -> Result<Option<Frame>, Fault> {
    let Some(head) = bytes.first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let [s0, s1, s2, s3, offset, kind, c0, c1] = *head;
    let size = u32::from_be_bytes([s0, s1, s2, s3]);
    let start = usize::from(offset) * 4;
    if size > max_size {
        return Err(Fault::framing("a frame is larger than agreed"));
    }
    let size = size as usize;
    if size < HEAD || start < HEAD || start > size {
        return Err(Fault::framing(
            "the sizes in a frame's head contradict each other",
        ));
    }
    if bytes.len() < size {
        return Ok(None);
    }
    let mut frame = bytes.split_to(size);
    frame.advance(start);
    let channel = u16::from_be_bytes([c0, c1]);
    match kind {
        TYPE_AMQP => amqp(channel, frame).map(Some),
        TYPE_SASL => sasl(&mut frame).map(Some),
        _ => Err(Fault::framing("a frame has a type that does not exist")),
    }
}

/// How many more bytes are needed before anything can be done, as far as that is known.
pub(super) fn missing(bytes: &BytesMut, max_size: u32) -> usize {
    let size = bytes
        .first_chunk()
        .map_or(0, |size| u32::from_be_bytes(*size));
    (size.min(max_size) as usize).saturating_sub(bytes.len())
}

fn amqp(channel: u16, mut frame: BytesMut) -> Result<Frame, Fault> {
    if frame.is_empty() {
        return Ok(Frame::Empty);
    }
    let code = Cursor::new(&frame).descriptor().map_err(Fault::decode)?;
    if code == 0x14 {
        let transfer = Transfer::read(&frame).map_err(Fault::decode)?;
        frame.advance(transfer.length);
        return Ok(Frame::Transfer(channel, transfer, frame.freeze()));
    }
    Ok(match code {
        0x10 => Frame::Open(decode(&mut frame)?),
        0x11 => Frame::Begin(channel, decode(&mut frame)?),
        0x12 => Frame::Attach(channel, decode(&mut frame)?),
        0x13 => Frame::Flow(channel, decode(&mut frame)?),
        0x15 => {
            let _: Box<Disposition> = decode(&mut frame)?;
            Frame::Disposition(channel)
        }
        0x16 => Frame::Detach(channel, decode(&mut frame)?),
        0x17 => Frame::End(channel, decode(&mut frame)?),
        0x18 => Frame::Close(decode(&mut frame)?),
        _ => return Err(Fault::decode("a frame holds no performative")),
    })
}

fn sasl(frame: &mut BytesMut) -> Result<Frame, Fault> {
    match Cursor::new(frame).descriptor().map_err(Fault::decode)? {
        0x40 => Ok(Frame::Mechanisms(*decode(frame)?)),
        0x44 => Ok(Frame::Outcome(*decode(frame)?)),
        0x42 => Err(Fault::not_allowed(
            "a SASL challenge answers what needs none",
        )),
        _ => Err(Fault::decode("a SASL frame holds nothing of SASL")),
    }
}

/// The decoder recurses and believes counts over sizes, so what it is given is walked along before.
fn decode<T: DeserializeOwned>(frame: &mut [u8]) -> Result<Box<T>, Fault> {
    let mut walk = Walk::new(Subject::Performative, frame.len() as u64);
    let length = walk.feed(frame).map_err(Fault::decode)?;
    if !walk.is_done() || length != frame.len() {
        return Err(Fault::decode(
            "a frame is longer or shorter than its performative",
        ));
    }
    serde_amqp::from_slice(frame)
        .map(Box::new)
        .map_err(|_| Fault::decode("a performative has a field of another type"))
}

/// Appends a frame of the AMQP layer.
///
/// # Errors
/// When it cannot be encoded, or is larger than `max_size`.
pub(super) fn put<T: Serialize>(
    out: &mut BytesMut,
    channel: u16,
    performative: &T,
    max_size: u32,
) -> Result<(), Fault> {
    put_with_payload(out, TYPE_AMQP, channel, performative, &[], max_size)
}

/// Appends a frame of the SASL layer.
///
/// # Errors
/// When it cannot be encoded, or is larger than any such frame may be.
pub(super) fn put_sasl<T: Serialize>(out: &mut BytesMut, body: &T) -> Result<(), Fault> {
    put_with_payload(out, TYPE_SASL, 0, body, &[], 512)
}

/// Appends a transfer with its payload.
///
/// # Errors
/// When it cannot be encoded, or is larger than `max_size`.
pub(super) fn put_transfer<T: Serialize>(
    out: &mut BytesMut,
    channel: u16,
    transfer: &T,
    payload: &[u8],
    max_size: u32,
) -> Result<(), Fault> {
    put_with_payload(out, TYPE_AMQP, channel, transfer, payload, max_size)
}

/// Appends a frame that says nothing.
pub(super) fn put_empty(out: &mut BytesMut) {
    put_head(out, HEAD as u32, TYPE_AMQP, 0);
}

fn put_with_payload<T: Serialize>(
    out: &mut BytesMut,
    kind: u8,
    channel: u16,
    body: &T,
    payload: &[u8],
    max_size: u32,
) -> Result<(), Fault> {
    let body = serde_amqp::to_vec(body)
        .map_err(|_| Fault::not_allowed("a frame of ours cannot be encoded"))?;
    let size = u32::try_from(HEAD + body.len() + payload.len()).unwrap_or(u32::MAX);
    if size > max_size {
        return Err(Fault::not_allowed(
            "a frame of ours is larger than the peer takes",
        ));
    }
    put_head(out, size, kind, channel);
    out.extend_from_slice(&body);
    out.extend_from_slice(payload);
    Ok(())
}

fn put_head(out: &mut BytesMut, size: u32, kind: u8, channel: u16) {
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&[2, kind]);
    out.extend_from_slice(&channel.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(kind: u8, body: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::new();
        put_head(&mut bytes, (HEAD + body.len()) as u32, kind, 0);
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_field_of_several_may_be_one_without_an_array() {
        let mechanisms = b"\x00\x53\x40\xc0\x0c\x01\xa3\x09ANONYMOUS";
        let frame = take(&mut framed(TYPE_SASL, mechanisms), 512);
        let Ok(Some(Frame::Mechanisms(offered))) = frame else {
            panic!("{frame:?}");
        };
        assert_eq!(offered.sasl_server_mechanisms.0, ["ANONYMOUS".into()]);
        // container-id, hostname to incoming-locales, offered and desired capabilities.
        let open =
            b"\x00\x53\x10\xc0\x12\x09\xa1\x01p\x40\x40\x40\x40\xa3\x01l\x40\xa3\x01o\xa3\x01d";
        let frame = take(&mut framed(TYPE_AMQP, open), 512);
        let Ok(Some(Frame::Open(open))) = frame else {
            panic!("{frame:?}");
        };
        let capabilities = open.offered_capabilities.map(|all| all.0);
        assert_eq!(capabilities, Some(vec!["o".into()]));
    }
}
