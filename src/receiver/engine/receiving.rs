//! The receiving end of a link.
//!
//! Source: AMQP 1.0, sections 2.6.7 (flow control), 2.6.12 (transferring a message), 2.6.14 (over several
//! frames).

use bytes::Bytes;

use super::fault::Fault;
use super::partial::Partial;
use super::transfer::Transfer;

/// The receiving end of a link.
#[derive(Debug)]
pub(super) struct Receiving {
    /// What the peer may still send.
    credit: u32,
    /// What it has sent without credit since it was last granted some.
    overdrawn: u32,
    /// How many deliveries have begun since the link was attached, from where the peer began to count.
    delivery_count: u32,
    /// True while the peer is to use up its credit or to give it back.
    is_draining: bool,
    /// True when credit was given back, and the peer has yet to be told.
    owes_word: bool,
    partial: Option<Box<Partial>>,
    max_message_size: usize,
}

/// So many messages may come without credit before the link is detached.
const OVERDRAFT: u32 = 1000;

/// A message that has come whole, or what came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub delivery_id: u32,
    pub settled: bool,
    pub message: Bytes,
}

impl Receiving {
    pub(super) fn new(max_message_size: usize) -> Self {
        Self {
            credit: 0,
            overdrawn: 0,
            delivery_count: 0,
            is_draining: false,
            owes_word: false,
            partial: None,
            max_message_size,
        }
    }

    /// The peer has attached, and begins to count here.
    pub(super) fn attached(&mut self, initial_delivery_count: u32) {
        self.delivery_count = initial_delivery_count;
    }

    pub(super) fn credit(&self) -> u32 {
        self.credit
    }

    pub(super) fn delivery_count(&self) -> u32 {
        self.delivery_count
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// Bytes of a message that has come in part.
    pub(super) fn held(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.size())
    }

    /// Raises the credit; true where that is to be told. Lowered, what is on its way would exceed it.
    pub(super) fn grant(&mut self, credit: u32) -> bool {
        let is_more = credit > self.credit;
        if is_more {
            self.credit = credit;
            self.overdrawn = 0;
        }
        is_more
    }

    /// The peer is to use up its credit, or to give it back.
    pub(super) fn drain(&mut self) {
        self.is_draining = true;
    }

    /// The peer tells how far it has counted; true where it has given back what was to be drained.
    pub(super) fn flowed(&mut self, delivery_count: Option<u32>) -> bool {
        let Some(skipped) =
            delivery_count.and_then(|count| super::serial::ahead(count, self.delivery_count))
        else {
            return false;
        };
        if !self.is_draining {
            return false;
        }
        self.delivery_count = self.delivery_count.wrapping_add(skipped);
        self.credit = self.credit.saturating_sub(skipped);
        if self.credit > 0 {
            return false;
        }
        self.is_draining = false;
        true
    }

    /// Takes a transfer; gives the message where that was the last of it.
    pub(super) fn take(
        &mut self,
        transfer: &Transfer,
        payload: Bytes,
    ) -> Result<Option<Whole>, Fault> {
        if self.partial.is_none() {
            return self.begin(transfer, payload);
        }
        self.go_on(transfer, payload)
    }

    fn begin(&mut self, transfer: &Transfer, payload: Bytes) -> Result<Option<Whole>, Fault> {
        let Some(delivery_id) = transfer.delivery_id else {
            return Err(Fault::not_allowed("a delivery has no id"));
        };
        self.use_credit()?;
        self.delivery_count = self.delivery_count.wrapping_add(1);
        self.check_size(payload.len())?;
        if transfer.aborted || transfer.resume {
            // What is resumed is none of what we hold unsettled, for we hold nothing.
            self.give_credit_back();
            return Ok(None);
        }
        let settled = transfer.settled.unwrap_or(false);
        if !transfer.more {
            return Ok(Some(Whole {
                delivery_id,
                settled,
                message: payload,
            }));
        }
        let mut partial = Partial::new(delivery_id);
        partial.settled = settled;
        partial.push(payload);
        self.partial = Some(Box::new(partial));
        Ok(None)
    }

    /// Some brokers count late what is on its way, RabbitMQ for one: that much is put up with.
    fn use_credit(&mut self) -> Result<(), Fault> {
        match self.credit.checked_sub(1) {
            Some(left) => self.credit = left,
            None => self.overdrawn += 1,
        }
        if self.overdrawn <= OVERDRAFT {
            return Ok(());
        }
        Err(Fault {
            condition: "amqp:link:transfer-limit-exceeded",
            flaw: "far more events came than there was credit for",
        })
    }

    /// A delivery that came to nothing has used up credit: nobody takes it, and so nobody would grant more.
    #[cold]
    fn give_credit_back(&mut self) {
        if self.is_draining {
            return;
        }
        match self.overdrawn {
            0 => self.credit = self.credit.saturating_add(1),
            _ => self.overdrawn -= 1,
        }
        self.owes_word = true;
    }

    /// True once, where the peer has yet to be told of credit that was given back.
    pub(super) fn owed_word(&mut self) -> bool {
        std::mem::take(&mut self.owes_word)
    }

    fn go_on(&mut self, transfer: &Transfer, payload: Bytes) -> Result<Option<Whole>, Fault> {
        let size = self.held() + payload.len();
        let Some(mut partial) = self.partial.take() else {
            return Ok(None);
        };
        if transfer
            .delivery_id
            .is_some_and(|id| id != partial.delivery_id)
        {
            return Err(Fault::not_allowed(
                "a delivery began before the last one was whole",
            ));
        }
        if transfer.aborted {
            self.give_credit_back();
            return Ok(None);
        }
        self.check_size(size)?;
        partial.settled |= transfer.settled.unwrap_or(false);
        partial.push(payload);
        if transfer.more {
            self.partial = Some(partial);
            return Ok(None);
        }
        Ok(Some(Whole {
            delivery_id: partial.delivery_id,
            settled: partial.settled,
            message: partial.join(),
        }))
    }

    fn check_size(&self, size: usize) -> Result<(), Fault> {
        if size <= self.max_message_size {
            return Ok(());
        }
        Err(Fault {
            condition: "amqp:link:message-size-exceeded",
            flaw: "a message is larger than the link takes",
        })
    }
}
