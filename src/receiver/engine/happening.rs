//! What happens on a connection, and what it happens to.

use bytes::Bytes;

use super::fault::Cause;
use super::requests::RequestId;

/// One of a connection's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub(super) u16);

/// One of a connection's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId {
    /// The session that carries it.
    pub session: SessionId,
    pub(super) handle: u32,
}

impl SessionId {
    /// Small numbers, given anew once a session is over.
    pub(super) fn index(self) -> usize {
        self.0.into()
    }
}

impl LinkId {
    /// A link that there is not.
    pub(super) const NOWHERE: Self = Self {
        session: SessionId(u16::MAX),
        handle: u32::MAX,
    };

    /// Within its session: small numbers, given anew once a link is over.
    pub(super) fn index(self) -> usize {
        self.handle as usize
    }
}

/// A message that has come, whole.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The link it came on.
    pub link: LinkId,
    /// Its number in the session.
    pub delivery_id: u32,
    /// True where the peer does not want to hear what became of it.
    pub settled: bool,
    /// The message, as it was encoded.
    pub message: Bytes,
}

impl Delivery {
    /// About how many bytes it takes.
    pub(in crate::receiver) fn size(&self) -> usize {
        self.message.len() + size_of::<Self>()
    }
}

/// What has happened.
#[derive(Debug)]
pub enum Happening {
    /// The peer has opened the connection.
    Opened,
    /// The peer has begun a session that we began.
    Begun(SessionId),
    /// The peer has attached a link that we attached.
    Attached(LinkId),
    /// A message has come.
    Delivered(Delivery),
    /// A node has answered a request.
    Answered(RequestId, Bytes),
    /// The peer has used up its credit, or given it back, as it was told to.
    Drained(LinkId),
    /// A link is over.
    Detached(LinkId, Cause),
    /// A session is over, and with it its links.
    Ended(SessionId, Cause),
    /// The connection is over, and with it everything. Nothing happens after that.
    Closed(Cause),
}
