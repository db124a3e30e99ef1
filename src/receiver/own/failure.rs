//! Why something is over, in the words of the seam: the service's condition where there is one.

use crate::receiver::engine::Cause;
use crate::receiver::seam::Failure;

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self::lost(match cause {
            Cause::Peer {
                condition,
                description,
            } => {
                return Self::Condition {
                    condition,
                    description,
                };
            }
            Cause::Sasl(description) => {
                return Self::Condition {
                    condition: "amqp:unauthorized-access".to_owned(),
                    description,
                };
            }
            Cause::Fault(fault) if fault.condition == "amqp:link:message-size-exceeded" => {
                return Self::Malformed(fault.flaw.to_owned());
            }
            Cause::Fault(fault) => format!("the service broke the protocol: {}", fault.flaw),
            Cause::PeerSilently => {
                return Self::detached("the service ended it without saying why");
            }
            Cause::Asked => "the connection was closed".to_owned(),
            Cause::NotAmqp => "the other side does not speak AMQP 1.0".to_owned(),
            Cause::Silence => {
                return Self::silence("nothing was heard from the service for too long");
            }
            Cause::Dropped => "the service dropped the connection".to_owned(),
            Cause::Io(_, text) => text,
        })
    }
}
