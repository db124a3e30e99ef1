//! What a hub can be told to do wrong: once to what is open now, or until it is told otherwise.

use std::io;
use std::time::Duration;

use super::condition::Refusal;
use super::conduct::Order;
use super::hub::MAX_PARTITIONS;
use super::{Emulator, invalid, listener};

/// What can be done to connections, sessions and links that are open, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The TCP connection is reset.
    Drop,
    /// The connection stays open, but is neither read nor written until [`Emulator::thaw`].
    Freeze,
    /// The connection ends in the middle of the frame of the next event that is sent on it.
    CutFrame,
    /// The connection is closed, as where a gateway is upgraded: `amqp:connection:forced`.
    Close,
    /// The session is ended: `amqp:internal-error`.
    End,
    /// The receiver is detached, as where a broker is upgraded: `amqp:link:detach-forced`.
    Detach,
    /// The receiver is detached, as where another one comes with an owner level: `amqp:link:stolen`.
    Steal,
}

impl Emulator {
    /// Does a fault to everything that is open, or to what receives from one partition: its
    /// connections, its sessions, its links.
    pub fn disturb(&self, fault: Fault, partition: Option<u16>) {
        let hub = &self.hub;
        match fault {
            Fault::Drop => hub.order(&Order::Reset, partition),
            Fault::Freeze => hub.freeze(partition),
            Fault::CutFrame => hub.order(&Order::Cut(partition), partition),
            Fault::Close => hub.order(&Order::Close(Refusal::forced_close()), partition),
            Fault::End => hub.order(&Order::End(Refusal::internal(), partition), partition),
            Fault::Detach => hub.dismiss(partition, |_| Refusal::forced_detach()),
            Fault::Steal => hub.dismiss(partition, Refusal::stolen),
        }
    }

    /// Resets every open TCP connection.
    pub fn drop_connections(&self) {
        self.disturb(Fault::Drop, None);
    }

    /// Closes every open connection with an error.
    pub fn close_connections(&self, condition: &str, description: &str) {
        let order = Order::Close(Refusal::new(condition, description));
        self.hub.order(&order, None);
    }

    /// Detaches every receiver of a partition, in all consumer groups, with an error.
    pub fn detach(&self, partition: u16, condition: &str, description: &str) {
        let refusal = Refusal::new(condition, description);
        self.hub.dismiss(Some(partition), |_| refusal.clone());
    }

    /// Plays dead: connections stay open, nothing is read and nothing is written, on new ones neither.
    pub fn freeze(&self) {
        self.disturb(Fault::Freeze, None);
    }

    /// Ends [`freeze`](Self::freeze) and [`Fault::Freeze`]: all goes on as if nothing had happened.
    pub fn thaw(&self) {
        self.hub.thaw();
    }

    /// Refuses every token from now on, with 401 as for a key that was made anew; links run on until
    /// theirs ends.
    pub fn refuse_tokens(&self) {
        self.hub.conduct.refuse_tokens(true);
    }

    /// Ends [`refuse_tokens`](Self::refuse_tokens).
    pub fn accept_tokens(&self) {
        self.hub.conduct.refuse_tokens(false);
    }

    /// Takes the claim Listen from the key: it may send from now on, and ask `$management`, but attaches no
    /// receiver.
    pub fn withhold_listen(&self) {
        self.hub.conduct.withhold_listen(true);
    }

    /// Ends [`withhold_listen`](Self::withhold_listen).
    pub fn grant_listen(&self) {
        self.hub.conduct.withhold_listen(false);
    }

    /// Takes tokens that are signed with another key from now on, and those of the old one no more. What was
    /// put before stays good until its end.
    pub fn replace_key(&self, key: &str) {
        self.hub.replace_key(key);
    }

    /// Takes tokens of Microsoft Entra ID from now on that are for Event Hubs and not over, whoever has signed
    /// them.
    pub fn take_jwt(&self) {
        self.hub.take_jwt();
    }

    /// Refuses from now on every link to the hub and its partitions; `$cbs` and `$management` answer.
    pub fn refuse_attach(&self, condition: &str, description: &str) {
        let refusal = Refusal::new(condition, description);
        self.hub.conduct.refuse_attach(Some(refusal));
    }

    /// Ends [`refuse_attach`](Self::refuse_attach), [`throttle_attach`](Self::throttle_attach),
    /// [`exhaust_quota`](Self::exhaust_quota) and [`disable`](Self::disable).
    pub fn allow_attach(&self) {
        self.hub.conduct.refuse_attach(None);
    }

    /// Refuses links as a namespace does that is throttled: `com.microsoft:server-busy`.
    pub fn throttle_attach(&self) {
        let refusal = Refusal::server_busy(&self.hub.name);
        self.hub.conduct.refuse_attach(Some(refusal));
    }

    /// Answers every question to `$management` as a namespace does that is throttled: 503.
    pub fn throttle_management(&self) {
        self.hub.conduct.throttle_management(true);
    }

    /// Ends [`throttle_management`](Self::throttle_management).
    pub fn allow_management(&self) {
        self.hub.conduct.throttle_management(false);
    }

    /// Refuses links as where there are too many: `amqp:resource-limit-exceeded`.
    pub fn exhaust_quota(&self) {
        let refusal = Refusal::quota_exceeded();
        self.hub.conduct.refuse_attach(Some(refusal));
    }

    /// Refuses links as a hub does that is disabled: `com.microsoft:entity-disabled`.
    pub fn disable(&self) {
        let refusal = Refusal::disabled(&self.hub.name);
        self.hub.conduct.refuse_attach(Some(refusal));
    }

    /// Lets everything that is sent from now on wait for so long, on every connection; a day at most.
    pub fn set_delay(&self, delay: Duration) {
        self.hub.conduct.set_delay(delay.min(MAX_DELAY));
    }

    /// Ends whatever lasts: all that is frozen, refused, throttled and delayed.
    pub fn recover(&self) {
        self.thaw();
        self.accept_tokens();
        self.grant_listen();
        self.allow_attach();
        self.allow_management();
        self.set_delay(Duration::ZERO);
    }

    /// Drops the events of a partition before a sequence number, as the end of their retention does,
    /// and tells how many they were.
    ///
    /// # Errors
    /// `InvalidInput` where there is no such partition.
    pub fn expire(&self, partition: u16, before: i64) -> io::Result<usize> {
        self.check_partition(partition)?;
        Ok(self.hub.expire(partition, before))
    }

    /// Makes the hub anew under its name: its events are gone, sequence numbers begin at 0, it was
    /// created now, and the links to it are detached, as where it is deleted.
    pub fn recreate(&self) {
        self.hub.recreate(listener::now());
    }

    /// Adds partitions to the running hub, and tells how many it has.
    ///
    /// # Errors
    /// `InvalidInput` where it would have more than 1024.
    pub fn add_partitions(&self, count: u16) -> io::Result<u16> {
        let sum = self.hub.add_partitions(count, listener::now());
        sum.ok_or_else(|| invalid(format!("a hub has at most {MAX_PARTITIONS} partitions")))
    }
}

/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(24 * 3600);
