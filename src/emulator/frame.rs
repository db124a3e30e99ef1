//! Frames from a peer: their size, their structure, and what they hold.
//!
//! Implements AMQP 1.0 part 2, section 2.3. A frame is checked here before it is decoded: the decoder
//! panics on a frame without a whole header, and believes the lengths it is told.

use bytes::{Buf, BytesMut};
use fe2o3_amqp::frames::amqp::{Frame, FrameDecoder};
use tokio_util::codec::Decoder;

use super::condition::{Refusal, quoted};
use super::encode::code;
use super::scan;

/// The largest frame taken and sent, as the service has it.
pub(crate) const MAX_FRAME: usize = 65_536;

/// Splits a frame off `input`, once its header says that it is one and all of it is there.
pub(crate) fn take(input: &mut BytesMut) -> Result<Option<BytesMut>, Refusal> {
    if input.len() < 8 {
        return Ok(None);
    }
    let size = u32::from_be_bytes([input[0], input[1], input[2], input[3]]) as usize;
    if !(8..=MAX_FRAME).contains(&size) {
        let text = format!("A frame claims {size} bytes; it may have 8 to {MAX_FRAME}.");
        return Err(Refusal::new("amqp:connection:framing-error", text));
    }
    if input[4] != 2 {
        let text = format!("A frame has the data offset {}; only 2 is taken.", input[4]);
        return Err(Refusal::new("amqp:connection:framing-error", text));
    }
    Ok((input.len() >= size).then(|| input.split_to(size)))
}

/// The parts of a peer's `attach` that are given back as they came.
#[derive(Debug, Default)]
pub(crate) struct Terminals {
    pub(crate) source: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) desired_capabilities: Vec<u8>,
}

/// Walks the performative, so that the decoder meets no claim that is not true, and keeps what an
/// `attach` must give back.
pub(crate) fn check(frame: &[u8]) -> Result<Terminals, Refusal> {
    let body = &frame[8..];
    if body.is_empty() {
        return Ok(Terminals::default());
    }
    let malformed = |error| {
        Refusal::new(
            "amqp:decode-error",
            format!("A frame is malformed: {error}."),
        )
    };
    let performative = scan::split_described(body).map_err(malformed)?;
    if performative.descriptor != Some(u64::from(code::ATTACH)) {
        return Ok(Terminals::default());
    }
    let fields = scan::elements(performative.value).map_err(malformed)?;
    let field = |at: usize| {
        fields
            .get(at)
            .map(|field| field.to_vec())
            .unwrap_or_default()
    };
    Ok(Terminals {
        source: field(5),
        target: field(6),
        desired_capabilities: field(12),
    })
}

/// Decodes a frame that was checked.
pub(crate) fn decode(mut frame: BytesMut) -> Result<Frame, Refusal> {
    frame.advance(4);
    match (FrameDecoder {}).decode(&mut frame) {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => Err(Refusal::new("amqp:decode-error", "A frame has no body.")),
        Err(error) => Err(Refusal::new(
            "amqp:decode-error",
            format!(
                "A frame could not be decoded: {}.",
                quoted(&error.to_string())
            ),
        )),
    }
}
