//! The performative that comes with every event, read by hand.
//!
//! Source: AMQP 1.0, section 2.7.5 (transfer).

use crate::receiver::encoding::Flaw;
use crate::receiver::encoding::cursor::Cursor;

/// A transfer, as far as a receiver looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transfer {
    pub handle: u32,
    pub delivery_id: Option<u32>,
    pub settled: Option<bool>,
    pub more: bool,
    pub resume: bool,
    pub aborted: bool,
    /// The payload begins behind so many bytes.
    pub length: usize,
}

/// The most fields that a transfer has.
const FIELDS: u32 = 11;

impl Transfer {
    /// Reads the performative at the front of a frame's body.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        let mut cursor = Cursor::new(bytes);
        cursor.descriptor()?;
        let (mut fields, count) = cursor.list()?;
        if count > FIELDS {
            return Err("a transfer has more fields than there are");
        }
        let mut transfer = Self {
            handle: 0,
            delivery_id: None,
            settled: None,
            more: false,
            resume: false,
            aborted: false,
            length: cursor.position(),
        };
        let mut handle = None;
        for index in 0..count {
            match index {
                0 => handle = fields.uint()?,
                1 => transfer.delivery_id = fields.uint()?,
                4 => transfer.settled = fields.boolean()?,
                5 => transfer.more = fields.boolean()?.unwrap_or(false),
                8 => transfer.resume = fields.boolean()?.unwrap_or(false),
                9 => transfer.aborted = fields.boolean()?.unwrap_or(false),
                _ => fields.skip()?,
            }
        }
        if !fields.is_empty() {
            return Err("a transfer is longer than its fields");
        }
        transfer.handle = handle.ok_or("a transfer names no link")?;
        Ok(transfer)
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::performatives;

    use super::*;

    fn whole() -> performatives::Transfer {
        performatives::Transfer {
            handle: 7.into(),
            delivery_id: Some(u32::MAX),
            delivery_tag: Some(vec![1, 2].into()),
            message_format: Some(0),
            settled: Some(true),
            more: true,
            rcv_settle_mode: None,
            state: None,
            resume: false,
            aborted: true,
            batchable: true,
        }
    }

    #[test]
    fn a_transfer_is_read_up_to_its_payload() {
        let mut bytes = serde_amqp::to_vec(&whole()).unwrap();
        let length = bytes.len();
        bytes.extend_from_slice(b"payload");
        let expected = Transfer {
            handle: 7,
            delivery_id: Some(u32::MAX),
            settled: Some(true),
            more: true,
            resume: false,
            aborted: true,
            length,
        };
        assert_eq!(Transfer::read(&bytes), Ok(expected));
    }

    #[test]
    fn fields_that_are_left_out_have_their_defaults() {
        let short = [0x00, 0x53, 0x14, 0xc0, 0x03, 0x01, 0x52, 0x05];
        let transfer = Transfer::read(&short).unwrap();
        assert_eq!((transfer.handle, transfer.length), (5, 8));
        assert_eq!((transfer.delivery_id, transfer.settled), (None, None));
        assert!(!transfer.more && !transfer.aborted && !transfer.resume);
    }

    #[test]
    fn a_transfer_that_contradicts_itself_is_refused() {
        let check = |bytes: &[u8], expected| assert_eq!(Transfer::read(bytes), Err(expected));
        check(&[0x00, 0x53, 0x14, 0x45], "a transfer names no link");
        check(
            &[0x00, 0x53, 0x14, 0xc0, 0x04, 0x01, 0x52, 0x05, 0x40],
            "a transfer is longer than its fields",
        );
        let mut many = vec![0x00, 0x53, 0x14, 0xc0, 13, 12];
        many.extend([0x43; 12]);
        check(&many, "a transfer has more fields than there are");
    }
}
