//! What the hub refuses, as the service words it: error conditions and their descriptions.
//!
//! Sources: AMQP 1.0 part 2, section 2.8 and part 3; "AMQP errors in Azure Event Hubs"
//! (learn.microsoft.com/azure/event-hubs/event-hubs-amqp-troubleshoot). Microsoft's clients decide by
//! the condition, and .NET and Java by pieces of the text as well.

use super::roster::Peer;

/// The longest name of a peer's choosing that is repeated in a description.
const MAX_QUOTED: usize = 256;

/// An error that goes to the peer in a detach, end, close, or as the outcome of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) condition: String,
    pub(crate) description: String,
}

impl Refusal {
    pub(crate) fn new(condition: &str, description: impl Into<String>) -> Self {
        Self {
            condition: condition.to_owned(),
            description: description.into(),
        }
    }

    pub(crate) fn entity_not_found(host: &str, path: &str) -> Self {
        let (host, path) = (quoted(host), quoted(path));
        Self::new(
            "amqp:not-found",
            format!("The messaging entity 'sb://{host}/{path}' could not be found."),
        )
    }

    pub(crate) fn partition_out_of_range(partitions: u16) -> Self {
        Self::new(
            "com.microsoft:argument-out-of-range",
            format!(
                "The specified partition is invalid for an EventHub partition sender or receiver. \
                 It should be between 0 and {}.",
                partitions.saturating_sub(1)
            ),
        )
    }

    pub(crate) fn unauthorized(claim: &str, host: &str, path: &str) -> Self {
        let (host, path) = (quoted(host), quoted(path));
        Self::new(
            "amqp:unauthorized-access",
            format!(
                "Unauthorized access. '{claim}' claim(s) are required to perform this operation. \
                 Resource: 'sb://{host}/{path}'."
            ),
        )
    }

    pub(crate) fn token_expired() -> Self {
        Self::new(
            "amqp:unauthorized-access",
            "ExpiredToken: The token is expired.",
        )
    }

    pub(crate) fn offset_above_end(asked: &str, last: &str) -> Self {
        let asked = quoted(asked);
        Self::new(
            "com.microsoft:argument-error",
            format!(
                "The supplied offset '{asked}' is invalid. The last offset in the system is '{last}'."
            ),
        )
    }

    pub(crate) fn sequence_number_above_end(asked: &str, last: i64) -> Self {
        let asked = quoted(asked);
        Self::new(
            "com.microsoft:argument-error",
            format!(
                "The supplied sequence number '{asked}' is invalid. \
                 The last sequence number in the system is '{last}'."
            ),
        )
    }

    pub(crate) fn selector(expression: &str) -> Self {
        let expression = quoted(expression);
        Self::new(
            "com.microsoft:argument-error",
            format!("The selector '{expression}' is no position in a partition."),
        )
    }

    pub(crate) fn filter_type() -> Self {
        Self::new("amqp:not-allowed", "invalid filter type")
    }

    pub(crate) fn epoch_type() -> Self {
        Self::new(
            "amqp:invalid-field",
            "The link property 'com.microsoft:epoch' must be a long.",
        )
    }

    pub(crate) fn displaced(new: &Peer, old: &Peer) -> Self {
        Self::new(
            "amqp:link:stolen",
            format!(
                "New receiver '{}' with higher epoch of '{}' is created hence current receiver '{}' \
                 with epoch '{}' is getting disconnected. If you are recreating the receiver, make \
                 sure a higher epoch is used.",
                new.name(),
                new.epoch_text(),
                old.name(),
                old.epoch_text(),
            ),
        )
    }

    pub(crate) fn lower_epoch(new: &Peer, current: i64) -> Self {
        Self::new(
            "amqp:link:stolen",
            format!(
                "A receiver with a higher epoch of '{current}' already exists. A new receiver '{}' \
                 with epoch '{}' cannot be created. Make sure you are creating receiver with \
                 increasing epoch value to ensure connectivity, or ensure all old epoch receivers \
                 are closed or disconnected.",
                new.name(),
                new.epoch_text(),
            ),
        )
    }

    pub(crate) fn epoch_receiver_present(current: i64) -> Self {
        Self::new(
            "amqp:link:stolen",
            format!(
                "At least one receiver for the endpoint is created with epoch of '{current}', and so \
                 non-epoch receiver is not allowed. Either reconnect with a higher epoch, or make \
                 sure all epoch receivers are closed or disconnected."
            ),
        )
    }

    pub(crate) fn too_many_receivers(limit: usize, names: &str) -> Self {
        Self::new(
            "amqp:resource-limit-exceeded",
            format!(
                "Exceeded the maximum number of allowed receivers per partition in a consumer group \
                 which is {limit}. List of connected receivers - {names}."
            ),
        )
    }

    pub(crate) fn message_too_large(delivery: u32, size: u64, limit: usize) -> Self {
        Self::new(
            "amqp:link:message-size-exceeded",
            format!(
                "The received message (delivery-id:{delivery}, size:{size} bytes) exceeds the limit \
                 ({limit} bytes) currently allowed on the link."
            ),
        )
    }

    pub(crate) fn undecodable(reason: impl std::fmt::Display) -> Self {
        Self::new(
            "amqp:decode-error",
            format!("The message could not be decoded: {reason}."),
        )
    }

    pub(crate) fn key_on_partition_link() -> Self {
        Self::new(
            "amqp:not-allowed",
            "A partition key cannot be used when sending to a specific partition.",
        )
    }

    pub(crate) fn stolen(old: &Peer) -> Self {
        Self::displaced(&Peer::new(None, Some(0)), old)
    }

    pub(crate) fn forced_detach() -> Self {
        Self::new(
            "amqp:link:detach-forced",
            "The link is force detached. Code: consumer. Details: AmqpEventHubConsumer.IdleTimerExpired: \
             Idle timeout: 00:30:00.",
        )
    }

    pub(crate) fn forced_close() -> Self {
        Self::new(
            "amqp:connection:forced",
            "The connection was inactive for more than the allowed 300000 milliseconds and is closed by \
             container 'LinkTracker'.",
        )
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            "amqp:internal-error",
            "The service was unable to process the request; please retry the operation.",
        )
    }

    pub(crate) fn server_busy(hub: &str) -> Self {
        Self::new(
            "com.microsoft:server-busy",
            format!(
                "The request was terminated because the entity '{hub}' is being throttled. Error code: \
                 50002. Please wait 4 seconds and try again."
            ),
        )
    }

    pub(crate) fn quota_exceeded() -> Self {
        Self::new(
            "amqp:resource-limit-exceeded",
            "Exceeded the maximum number of allowed receivers per partition in a consumer group which \
             is 5.",
        )
    }

    pub(crate) fn disabled(hub: &str) -> Self {
        Self::new(
            "com.microsoft:entity-disabled",
            format!("The messaging entity '{hub}' is currently disabled."),
        )
    }

    pub(crate) fn cbs_opened_twice() -> Self {
        Self::new(
            "amqp:not-allowed",
            "The $cbs node has already been opened on this connection.",
        )
    }
}

/// At most [`MAX_QUOTED`] bytes of `text`.
pub(crate) fn quoted(text: &str) -> &str {
    let end = (0..=MAX_QUOTED.min(text.len())).rfind(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_make_a_description_long() {
        assert_eq!(quoted("short"), "short");
        assert_eq!(quoted(&"é".repeat(1000)).len(), MAX_QUOTED);
        let refusal = Refusal::entity_not_found("h", &"x".repeat(60_000));
        assert!(refusal.description.len() < 400);
    }
}
