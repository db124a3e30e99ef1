//! What the sessions of one connection share: the hub, the peer's rights, the bytes to be sent.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::access::Access;
use super::conduct::Cut;
use super::encode::Encoder;
use super::hub::{Hub, Mailbox, Registration};

/// The size of a frame up to the peer's `open`, and the least that a peer may ask for.
pub(crate) const MIN_MAX_FRAME: usize = 512;

/// The surroundings of a session.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) registration: Registration,
    pub(crate) access: Access,
    /// The host that the peer believes to speak to; it goes into error texts.
    pub(crate) host: String,
    /// The largest frame that the peer takes.
    pub(crate) max_frame: usize,
    /// What is to be written to the socket.
    pub(crate) out: Encoder,
    /// Milliseconds since 1970, as of the entry into the connection.
    pub(crate) now: i64,
    /// The bytes of deliveries that have begun to arrive.
    pub(crate) reassembling: Arc<AtomicUsize>,
    /// Whether the connection ends within an event.
    pub(crate) cut: Cut,
}

impl Scope {
    pub(crate) fn new(registration: Registration) -> Self {
        Self {
            registration,
            access: Access::default(),
            host: String::new(),
            max_frame: MIN_MAX_FRAME,
            out: Encoder::default(),
            now: 0,
            reassembling: Arc::default(),
            cut: Cut::Never,
        }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.registration.hub
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.registration.mailbox
    }
}
