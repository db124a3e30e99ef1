//! One end of a link, and how far attaching it has come.
//!
//! Source: AMQP 1.0, sections 2.6.1 (naming a link) to 2.6.6 (closing a link).

use fe2o3_amqp::types::definitions::{Role, SenderSettleMode};
use fe2o3_amqp::types::performatives::Attach;

use super::receiving::Receiving;
use super::sending::Sending;

/// One end of a link.
#[derive(Debug)]
pub(super) struct Link {
    name: String,
    pub phase: Phase,
    pub end: End,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The peer has not answered the attach.
    Attaching,
    /// The peer knows it by this handle.
    Attached(u32),
    /// The same, but the peer has said by its answer that it will detach at once.
    Refused(u32),
    /// We have detached, and the peer has not answered. What still comes is passed over.
    Detaching(Option<u32>),
}

/// Which end it is.
#[derive(Debug)]
pub(super) enum End {
    Receiving(Receiving),
    Sending(Sending),
}

impl Link {
    /// The end that `attach` is about to make.
    pub(super) fn new(attach: &Attach) -> Self {
        let size = attach.max_message_size.unwrap_or(0);
        Self {
            name: attach.name.clone(),
            phase: Phase::Attaching,
            end: match attach.role {
                Role::Receiver => End::Receiving(Receiving::new(match size {
                    0 => usize::MAX,
                    size => size.try_into().unwrap_or(usize::MAX),
                })),
                Role::Sender => End::Sending(Sending::default()),
            },
        }
    }

    /// True when this is the peer's answer to our attach.
    pub(super) fn is_answered_by(&self, answer: &Attach) -> bool {
        let is_other_end = match self.end {
            End::Receiving(_) => answer.role == Role::Sender,
            End::Sending(_) => answer.role == Role::Receiver,
        };
        let is_open = matches!(self.phase, Phase::Attaching | Phase::Detaching(None));
        is_open && is_other_end && self.name == answer.name
    }

    /// The peer has attached; true where it means to keep the link.
    pub(super) fn attached(&mut self, answer: &Attach) -> bool {
        let handle = answer.handle.0;
        let is_kept = match &mut self.end {
            End::Receiving(receiving) => {
                receiving.attached(answer.initial_delivery_count.unwrap_or(0));
                answer.source.is_some()
            }
            End::Sending(sending) => {
                sending.is_unsettled = answer.snd_settle_mode == SenderSettleMode::Unsettled;
                answer.target.is_some()
            }
        };
        self.phase = match self.phase {
            Phase::Detaching(_) => Phase::Detaching(Some(handle)),
            _ if is_kept => Phase::Attached(handle),
            _ => Phase::Refused(handle),
        };
        matches!(self.phase, Phase::Attached(_))
    }

    /// The peer's handle, where it has one.
    pub(super) fn remote_handle(&self) -> Option<u32> {
        match self.phase {
            Phase::Attaching => None,
            Phase::Attached(handle) | Phase::Refused(handle) => Some(handle),
            Phase::Detaching(handle) => handle,
        }
    }

    /// Bytes of a message that has come in part.
    pub(super) fn held(&self) -> usize {
        match &self.end {
            End::Receiving(receiving) => receiving.held(),
            End::Sending(_) => 0,
        }
    }

    /// True while it may be used.
    pub(super) fn is_attached(&self) -> bool {
        matches!(self.phase, Phase::Attached(_))
    }
}
