//! Why a link, a session or a connection is over, whoever ended it.
//!
//! Source: AMQP 1.0, sections 2.8.14 to 2.8.18 (error, and the conditions of connections, sessions and links).

use std::io;

use fe2o3_amqp::types::definitions::{Error, ErrorCondition};
use fe2o3_amqp::types::primitives::Symbol;

use crate::receiver::condition;
use crate::receiver::encoding::Flaw;

/// Why something is over.
#[derive(Debug, Clone)]
pub enum Cause {
    /// The peer says why.
    Peer {
        /// The error's symbol, `amqp:not-found`.
        condition: String,
        /// The error's text.
        description: String,
    },
    /// The peer ended it and says nothing.
    PeerSilently,
    /// The peer broke the protocol, and was told so.
    Fault(Fault),
    /// We ended it.
    Asked,
    /// The peer lets nobody in.
    Sasl(String),
    /// The other side does not speak AMQP 1.0.
    NotAmqp,
    /// Nothing was heard for longer than agreed.
    Silence,
    /// The stream ended without a goodbye.
    Dropped,
    /// The stream failed.
    Io(io::ErrorKind, String),
}

/// What a peer did that the protocol does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The condition that it is told, `amqp:connection:framing-error`.
    pub condition: &'static str,
    /// What was wrong, as the end of a sentence.
    pub flaw: Flaw,
}

impl Fault {
    /// Bytes that are no frame.
    pub(super) fn framing(flaw: Flaw) -> Self {
        Self {
            condition: "amqp:connection:framing-error",
            flaw,
        }
    }

    /// A frame that cannot be read.
    pub(super) fn decode(flaw: Flaw) -> Self {
        Self {
            condition: "amqp:decode-error",
            flaw,
        }
    }

    /// A frame that must not come here or now.
    pub(super) fn not_allowed(flaw: Flaw) -> Self {
        Self {
            condition: "amqp:not-allowed",
            flaw,
        }
    }

    /// More than we are willing to keep.
    pub(super) fn limit(flaw: Flaw) -> Self {
        Self {
            condition: "amqp:resource-limit-exceeded",
            flaw,
        }
    }

    pub(super) fn error(self) -> Error {
        let condition = ErrorCondition::Custom(Symbol::from(self.condition));
        Error::new(condition, Some(self.flaw.to_owned()), None)
    }
}

impl From<Option<Error>> for Cause {
    fn from(error: Option<Error>) -> Self {
        let Some(error) = error else {
            return Self::PeerSilently;
        };
        Self::Peer {
            condition: condition::symbol(&error.condition),
            description: error.description.unwrap_or_default(),
        }
    }
}
