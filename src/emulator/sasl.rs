//! The SASL layer of a connection: which mechanisms are offered, and who is let in.
//!
//! Implements AMQP 1.0 part 5, section 5.3. As in the service only PLAIN proves anything; the other
//! mechanisms let everybody in, who then puts a token.

use bytes::{Buf, BytesMut};
use fe2o3_amqp::frames::sasl::{Frame, FrameCodec};
use tokio_util::codec::Decoder;

use super::access::Access;
use super::condition::Refusal;
use super::encode::{Encoder, code};
use super::sas::SharedKey;
use super::scan;

/// In the order in which the service names them, of which the JavaScript SDK takes the first it knows.
const MECHANISMS: [&str; 4] = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"];

/// The first frame of the server.
pub(crate) fn write_mechanisms(out: &mut Encoder) {
    out.sasl_frame(|frame| {
        frame.composite(code::SASL_MECHANISMS, 1, |list| {
            list.array_of_symbols(MECHANISMS.into_iter());
        });
    });
}

/// The outcome: 0 lets the client in, 1 says that its credentials are wrong.
pub(crate) fn write_outcome(is_welcome: bool, out: &mut Encoder) {
    out.sasl_frame(|frame| {
        frame.composite(code::SASL_OUTCOME, 2, |list| {
            list.ubyte(u8::from(!is_welcome));
            list.binary(if is_welcome { b"Welcome!" } else { b"" });
        });
    });
}

/// Reads the client's `sasl-init`; `None` is for credentials that are wrong.
pub(crate) fn admit(frame: &[u8], key: &SharedKey) -> Result<Option<Access>, Refusal> {
    let framing = |error: &dyn std::fmt::Display| {
        Refusal::new(
            "amqp:connection:framing-error",
            format!("No sasl-init: {error}."),
        )
    };
    let mut bytes = BytesMut::from(frame);
    bytes.advance(4);
    scan::split_described(frame.get(8..).unwrap_or_default()).map_err(|error| framing(&error))?;
    match (FrameCodec {}).decode(&mut bytes) {
        Ok(Some(Frame::Init(init))) => {
            let response = init.initial_response.unwrap_or_default();
            Ok(check(init.mechanism.as_str(), &response, key))
        }
        Ok(_) => Err(framing(&"another frame came")),
        Err(error) => Err(framing(&error)),
    }
}

fn check(mechanism: &str, response: &[u8], key: &SharedKey) -> Option<Access> {
    match mechanism {
        "PLAIN" => {
            // authzid NUL name NUL key
            let mut parts = response.splitn(3, |byte| *byte == 0).skip(1);
            let (name, secret) = (parts.next()?, parts.next()?);
            key.matches(name, secret).then(Access::of_key_holder)
        }
        known => MECHANISMS.contains(&known).then(Access::default),
    }
}

#[cfg(test)]
mod tests {
    use crate::emulator::hub::tests::hub;

    #[test]
    fn plain_needs_the_key_and_the_others_need_nothing() {
        let key = &hub().key();
        let check = |mechanism: &str, response: &[u8], expected: Option<bool>| {
            let access = super::check(mechanism, response, key);
            assert_eq!(
                access.map(|access| access.is_known(0)),
                expected,
                "{mechanism}"
            );
        };
        check(
            "PLAIN",
            b"\0RootManageSharedAccessKey\0SAS_KEY_VALUE",
            Some(true),
        );
        check(
            "PLAIN",
            b"me\0RootManageSharedAccessKey\0SAS_KEY_VALUE",
            Some(true),
        );
        check("PLAIN", b"\0RootManageSharedAccessKey\0wrong", None);
        check("PLAIN", b"\0wrong\0SAS_KEY_VALUE", None);
        check("PLAIN", b"\0RootManageSharedAccessKey", None);
        check("PLAIN", b"", None);
        for mechanism in ["MSSBCBS", "ANONYMOUS", "EXTERNAL"] {
            check(mechanism, b"", Some(false));
        }
        check("SCRAM-SHA-256", b"", None);
    }
}
