//! The crate's errors in the words of the seam: the service's condition where there is one.

use std::io;

use fe2o3_amqp::connection::{ConnectionStopReason, Error as ConnectionError, OpenError};
use fe2o3_amqp::link::{
    DetachError, IllegalLinkStateError, LinkStateError, ReceiverAttachError, RecvError, SendError,
    SenderAttachError, SessionStopReason,
};
use fe2o3_amqp::session::BeginError;
use fe2o3_amqp::transport;
use fe2o3_amqp::types::definitions::Error as AmqpError;
use fe2o3_amqp::types::sasl::SaslCode;

use crate::receiver::condition;
use crate::receiver::seam::Failure;

impl From<AmqpError> for Failure {
    fn from(error: AmqpError) -> Self {
        Self::Condition {
            condition: condition::symbol(&error.condition),
            description: error.description.unwrap_or_default(),
        }
    }
}

impl From<ConnectionStopReason> for Failure {
    fn from(reason: ConnectionStopReason) -> Self {
        match reason {
            ConnectionStopReason::RemoteClosedWithError(error)
            | ConnectionStopReason::ClosedWithError(error) => error.into(),
            ConnectionStopReason::RemoteClosed => {
                Self::detached("the service closed the connection")
            }
            ConnectionStopReason::Closed => vague(),
        }
    }
}

/// What the crate says of an ended connection when only the connection itself knows why.
const CONNECTION_ENDED: &str = "the connection ended";

/// A failure of which no more is known.
pub(super) fn vague() -> Failure {
    Failure::lost(CONNECTION_ENDED)
}

/// True where the connection can tell more than this.
pub(super) fn is_vague(failure: &Failure) -> bool {
    matches!(failure, Failure::Lost { reason, .. } if reason == CONNECTION_ENDED)
}

impl From<SessionStopReason> for Failure {
    fn from(reason: SessionStopReason) -> Self {
        match reason {
            SessionStopReason::RemoteEndedWithError(error)
            | SessionStopReason::EndedWithError(error) => error.into(),
            SessionStopReason::RemoteEnded => Self::detached("the service ended the session"),
            SessionStopReason::Ended => vague(),
            SessionStopReason::ConnectionStopped(reason) => reason.into(),
        }
    }
}

impl From<LinkStateError> for Failure {
    fn from(error: LinkStateError) -> Self {
        match error {
            LinkStateError::RemoteDetachedWithError(error)
            | LinkStateError::RemoteClosedWithError(error) => error.into(),
            LinkStateError::RemoteDetached | LinkStateError::RemoteClosed => {
                Self::detached("the service detached the link")
            }
            LinkStateError::SessionStopped(reason) => reason.into(),
            LinkStateError::IllegalState | LinkStateError::ExpectImmediateDetach => vague(),
        }
    }
}

impl From<DetachError> for Failure {
    fn from(error: DetachError) -> Self {
        LinkStateError::from(error).into()
    }
}

impl From<RecvError> for Failure {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::LinkStateError(error) => error.into(),
            RecvError::MessageDecode(error) => {
                Self::Malformed(format!("its AMQP encoding is broken: {}", error.source))
            }
            RecvError::MessageSizeExceeded(error) => Self::Malformed(error.to_string()),
            other => Self::lost(other.to_string()),
        }
    }
}

impl From<ReceiverAttachError> for Failure {
    fn from(error: ReceiverAttachError) -> Self {
        match error {
            ReceiverAttachError::RemoteClosedWithError(error) => error.into(),
            ReceiverAttachError::SessionStopped(reason) => reason.into(),
            other => Self::lost(format!("the link could not be attached: {other}")),
        }
    }
}

impl From<SenderAttachError> for Failure {
    fn from(error: SenderAttachError) -> Self {
        match error {
            SenderAttachError::RemoteClosedWithError(error) => error.into(),
            SenderAttachError::SessionStopped(reason) => reason.into(),
            other => Self::lost(format!("the link could not be attached: {other}")),
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::LinkStateError(error) => error.into(),
            SendError::Detached(error) => error.into(),
            other => Self::lost(other.to_string()),
        }
    }
}

impl From<IllegalLinkStateError> for Failure {
    fn from(error: IllegalLinkStateError) -> Self {
        match error {
            IllegalLinkStateError::SessionStopped(reason) => reason.into(),
            IllegalLinkStateError::IllegalState => vague(),
        }
    }
}

impl From<BeginError> for Failure {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::RemoteEndedWithError(error) => error.into(),
            BeginError::ConnectionStopped(reason) => reason.into(),
            other => Self::lost(format!("the session could not be begun: {other}")),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::RemoteClosedWithError(error) => error.into(),
            OpenError::TransportError(error) => error.into(),
            OpenError::Io(error) => {
                Self::lost(format!("it ended before AMQP was agreed on ({error})"))
            }
            OpenError::ProtocolHeaderMismatch(_) => {
                Self::lost("the other side does not speak AMQP 1.0")
            }
            OpenError::SaslError { code, .. } => Self::Condition {
                condition: match code {
                    // Nothing is said of the credentials.
                    SaslCode::Sys | SaslCode::SysTemp => "amqp:internal-error".to_owned(),
                    _ => "amqp:unauthorized-access".to_owned(),
                },
                description: format!("SASL outcome {code:?}"),
            },
            other => Self::lost(format!("it could not be opened: {other}")),
        }
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::RemoteClosedWithError(error) => error.into(),
            ConnectionError::TransportError(error) => error.into(),
            ConnectionError::RemoteClosed => ConnectionStopReason::RemoteClosed.into(),
            other => Self::lost(format!("{CONNECTION_ENDED} ({other})")),
        }
    }
}

impl From<transport::Error> for Failure {
    fn from(error: transport::Error) -> Self {
        Self::lost(match error {
            transport::Error::IdleTimeoutElapsed => {
                return Self::silence("nothing was heard from the service for too long");
            }
            transport::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "the service dropped the connection".to_owned()
            }
            transport::Error::Io(error) => error.to_string(),
            transport::Error::DecodeError(reason) => format!("a frame cannot be read: {reason}"),
            other => other.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::definitions::{
        ConnectionError as ConnectionCondition, ErrorCondition, LinkError,
    };

    use super::*;

    fn check(failure: impl Into<Failure>, expected: &str) {
        let text = match failure.into() {
            Failure::Condition {
                condition,
                description,
            } => format!("{condition}: {description}"),
            Failure::Lost { reason, .. } => reason,
            other => format!("{other:?}"),
        };
        assert_eq!(text, expected);
    }

    fn stolen() -> AmqpError {
        AmqpError::new(LinkError::Stolen, Some("by another".to_owned()), None)
    }

    #[test]
    fn the_condition_of_the_service_comes_through_every_layer() {
        let forced = AmqpError::new(ConnectionCondition::ConnectionForced, None, None);
        let custom = ErrorCondition::Custom("com.microsoft:server-busy".into());
        check(
            LinkStateError::RemoteClosedWithError(stolen()),
            "amqp:link:stolen: by another",
        );
        check(
            ReceiverAttachError::RemoteClosedWithError(stolen()),
            "amqp:link:stolen: by another",
        );
        check(
            AmqpError::new(custom, None, None),
            "com.microsoft:server-busy: ",
        );
        let reason = ConnectionStopReason::RemoteClosedWithError(forced);
        let stopped = SessionStopReason::ConnectionStopped(reason);
        check(
            RecvError::LinkStateError(LinkStateError::SessionStopped(stopped)),
            "amqp:connection:forced: ",
        );
    }

    #[test]
    fn an_end_without_a_cause_is_vague_and_every_other_is_not() {
        let closed = SessionStopReason::ConnectionStopped(ConnectionStopReason::Closed);
        assert!(is_vague(&LinkStateError::SessionStopped(closed).into()));
        assert!(is_vague(&IllegalLinkStateError::IllegalState.into()));
        assert!(!is_vague(&LinkStateError::RemoteClosed.into()));
        assert!(!is_vague(&transport::Error::IdleTimeoutElapsed.into()));
    }

    #[test]
    fn a_dead_wire_is_told_in_words() {
        let dropped = io::Error::from(io::ErrorKind::UnexpectedEof);
        check(
            transport::Error::Io(dropped),
            "the service dropped the connection",
        );
        let silent = "nothing was heard from the service for too long";
        check(transport::Error::IdleTimeoutElapsed, silent);
        check(
            OpenError::ProtocolHeaderMismatch(bytes::Bytes::new()),
            "the other side does not speak AMQP 1.0",
        );
    }
}
