//! The hub that all connections share: its events, its receivers, and how it behaves.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::condition::Refusal;
use super::conduct::{Conduct, Order};
use super::log::Log;
use super::message::{BATCH_FORMAT, Event};
use super::roster::{Peer, Roster, Seat};
use super::routing::partition_of;
use super::sas::SharedKey;
use super::selector::Position;

/// How many partitions a hub may have.
pub(crate) const MAX_PARTITIONS: u16 = 1024;

/// How many orders wait for a connection that is frozen; the oldest gives way.
const MAX_ORDERS: usize = 16;

/// What is known of the hub, and what happens in it.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) name: String,
    partitions: AtomicU16,
    /// In lower case.
    pub(crate) consumer_groups: Vec<String>,
    key: Mutex<SharedKey>,
    /// Milliseconds since 1970.
    created: AtomicI64,
    /// How often it was made anew. Changed, and compared before a link sends, with the log locked.
    generation: AtomicU64,
    pub(crate) retention_bytes: usize,
    pub(crate) conduct: Conduct,
    log: Mutex<Log>,
    roster: Mutex<Roster>,
    connections: Mutex<HashMap<u64, Arc<Mailbox>>>,
    takes_jwt: AtomicBool,
    next_id: AtomicU64,
    round_robin: AtomicUsize,
    links: AtomicUsize,
}

/// Where a sender's events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// To the partition of the key, or to one partition after the other.
    Hub,
    Partition(u16),
}

impl Hub {
    pub(crate) fn new(
        name: &str,
        consumer_groups: &[String],
        key: SharedKey,
        created: i64,
        retention_bytes: usize,
        log: Log,
    ) -> Self {
        let groups = consumer_groups.iter().map(|group| group.to_lowercase());
        Self {
            name: name.to_owned(),
            partitions: AtomicU16::new(u16::try_from(log.partitions()).unwrap_or(u16::MAX)),
            consumer_groups: groups.chain(["$default".to_owned()]).collect(),
            key: Mutex::new(key),
            created: AtomicI64::new(created),
            generation: AtomicU64::new(0),
            retention_bytes,
            conduct: Conduct::default(),
            log: Mutex::new(log),
            roster: Mutex::default(),
            connections: Mutex::default(),
            takes_jwt: AtomicBool::new(false),
            next_id: AtomicU64::new(0),
            round_robin: AtomicUsize::new(0),
            links: AtomicUsize::new(0),
        }
    }

    /// True when tokens of Microsoft Entra ID are good as well.
    pub(crate) fn takes_jwt(&self) -> bool {
        self.takes_jwt.load(Ordering::Relaxed)
    }

    pub(crate) fn take_jwt(&self) {
        self.takes_jwt.store(true, Ordering::Relaxed);
    }

    /// The rule that tokens are checked against.
    pub(crate) fn key(&self) -> SharedKey {
        locked(&self.key).clone()
    }

    /// What was put before stays good until its end.
    pub(crate) fn replace_key(&self, key: &str) {
        key.clone_into(&mut locked(&self.key).key);
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    pub(crate) fn has_group(&self, name: &str) -> bool {
        self.consumer_groups.contains(&name.to_lowercase())
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.partitions.load(Ordering::SeqCst)
    }

    /// When it was made, in milliseconds since 1970.
    pub(crate) fn created(&self) -> i64 {
        self.created.load(Ordering::SeqCst)
    }

    /// How often it was made anew: a link of an earlier hub is none of this one.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// The number of a partition, where the hub has one of this name.
    pub(crate) fn partition(&self, id: &str) -> Option<u16> {
        id.parse().ok().filter(|number| *number < self.partitions())
    }

    /// The events. Hold it for no longer than a copy takes.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        locked(&self.log)
    }

    /// Takes the events out, leaving an empty log: the hub has ended.
    pub(crate) fn take_log(&self) -> Log {
        std::mem::replace(&mut *self.log(), Log::new(self.partitions(), 0))
    }

    /// Takes what a sender delivered: one event, or a batch that goes to one partition as a whole.
    pub(crate) fn publish(
        &self,
        target: Target,
        format: u32,
        payload: &[u8],
        now: i64,
    ) -> Result<(), Refusal> {
        let message = Event::parse(payload).map_err(Refusal::undecodable)?;
        let key = message.partition_key();
        if format != BATCH_FORMAT {
            let partition = self.route(target, key)?;
            self.append(partition, &[message], key, now);
            return Ok(());
        }
        let events = message.unpack().map_err(Refusal::undecodable)?;
        let key = key.or_else(|| events.first()?.partition_key());
        let partition = self.route(target, key)?;
        self.append(partition, &events, key, now);
        Ok(())
    }

    /// Appends events to a partition and wakes its receivers; gives the last sequence number.
    pub(crate) fn append(
        &self,
        partition: u16,
        events: &[Event<'_>],
        key: Option<&str>,
        now: i64,
    ) -> Option<i64> {
        let last = {
            let mut log = self.log();
            let last = events.iter().fold(None, |_, event| {
                Some(log.append(partition, event, event.partition_key().or(key), now))
            });
            log.retain(self.retention_bytes);
            last
        };
        locked(&self.roster).wake(partition);
        last
    }

    fn route(&self, target: Target, key: Option<&str>) -> Result<u16, Refusal> {
        match (target, key) {
            (Target::Partition(_), Some(_)) => Err(Refusal::key_on_partition_link()),
            (Target::Partition(partition), None) => Ok(partition),
            (Target::Hub, Some(key)) => Ok(partition_of(key, self.partitions())),
            (Target::Hub, None) => {
                let turn = self.round_robin.fetch_add(1, Ordering::Relaxed);
                Ok(u16::try_from(turn % usize::from(self.partitions())).unwrap_or(0))
            }
        }
    }

    /// Seats a receiver at a position.
    pub(crate) fn join(
        self: &Arc<Self>,
        seat: Seat,
        peer: &Peer,
        position: &Position,
        mailbox: &Arc<Mailbox>,
    ) -> Result<Membership, Refusal> {
        let (next, generation) = {
            let log = self.log();
            (log.find(seat.partition, position)?, self.generation())
        };
        let notice = Arc::new(Notice::default());
        let id = locked(&self.roster).join(&seat, peer, &notice, mailbox)?;
        Ok(Membership {
            hub: Arc::clone(self),
            seat,
            id,
            next,
            generation,
            notice,
        })
    }

    /// Registers a connection for as long as its registration lives.
    pub(crate) fn connect(self: &Arc<Self>) -> Registration {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox::default());
        locked(&self.connections).insert(id, Arc::clone(&mailbox));
        Registration {
            hub: Arc::clone(self),
            id,
            mailbox,
        }
    }

    /// Counts a link for as long as the count lives.
    pub(crate) fn count_link(self: &Arc<Self>) -> LinkCount {
        self.links.fetch_add(1, Ordering::Relaxed);
        LinkCount(Arc::clone(self))
    }

    pub(crate) fn open_connections(&self) -> usize {
        locked(&self.connections).len()
    }

    pub(crate) fn open_links(&self) -> usize {
        self.links.load(Ordering::Relaxed)
    }

    /// How many receive from a partition.
    pub(crate) fn receivers(&self, partition: u16) -> usize {
        locked(&self.roster).count(partition)
    }

    /// Gives an order to every connection that is open now, or to those that receive from a partition.
    pub(crate) fn order(&self, order: &Order, partition: Option<u16>) {
        self.for_each(partition, |mailbox| mailbox.post(order.clone()));
    }

    /// Lets connections play dead: those that receive from a partition now, or all, and new ones.
    pub(crate) fn freeze(&self, partition: Option<u16>) {
        match partition {
            None => self.conduct.set_frozen(true),
            Some(_) => self.for_each(partition, |mailbox| mailbox.set_frozen(true)),
        }
    }

    /// Ends [`freeze`](Self::freeze).
    pub(crate) fn thaw(&self) {
        self.conduct.set_frozen(false);
        self.for_each(None, |mailbox| mailbox.set_frozen(false));
    }

    fn for_each(&self, partition: Option<u16>, act: impl Fn(&Mailbox)) {
        let connections = locked(&self.connections);
        let roster = locked(&self.roster);
        for mailbox in connections.values() {
            if partition.is_none_or(|partition| roster.reaches(partition, mailbox)) {
                act(mailbox);
                mailbox.ring();
            }
        }
    }

    /// Detaches every receiver, or those of a partition.
    pub(crate) fn dismiss(&self, partition: Option<u16>, why: impl Fn(&Peer) -> Refusal) {
        locked(&self.roster).dismiss(partition, why);
    }

    /// Drops the events of a partition before a sequence number, and tells how many they were.
    pub(crate) fn expire(&self, partition: u16, before: i64) -> usize {
        self.log().expire(partition, before)
    }

    /// Becomes another hub of the same name: no events, no links, and numbers from 0 on.
    pub(crate) fn recreate(&self, now: i64) {
        {
            let mut log = self.log();
            // A log's offsets begin where its time is: within a millisecond two would begin alike.
            let created = now.max(self.created() + 1);
            *log = Log::new(self.partitions(), created);
            self.created.store(created, Ordering::SeqCst);
            self.generation.fetch_add(1, Ordering::SeqCst);
        }
        *locked(&self.roster) = Roster::default();
        self.for_each(None, |_| {});
    }

    /// Adds partitions, and tells how many there are; none where there would be too many.
    pub(crate) fn add_partitions(&self, count: u16, now: i64) -> Option<u16> {
        let mut log = self.log();
        let sum = self.partitions().checked_add(count)?;
        if sum > MAX_PARTITIONS {
            return None;
        }
        (0..count).for_each(|_| log.add_partition(now));
        self.partitions.store(sum, Ordering::SeqCst);
        Some(sum)
    }
}

/// How the hub reaches a connection's task.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    bell: Notify,
    orders: Mutex<VecDeque<Order>>,
    is_frozen: AtomicBool,
}

impl Mailbox {
    /// Wakes the connection; rung several times before it wakes, it wakes once.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Returns when rung.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    fn post(&self, order: Order) {
        let mut orders = locked(&self.orders);
        if orders.len() == MAX_ORDERS {
            orders.pop_front();
        }
        orders.push_back(order);
    }

    /// The order to obey next.
    pub(crate) fn take_order(&self) -> Option<Order> {
        locked(&self.orders).pop_front()
    }

    fn set_frozen(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, Ordering::SeqCst);
    }

    /// True while this connection alone plays dead.
    pub(crate) fn is_frozen(&self) -> bool {
        self.is_frozen.load(Ordering::SeqCst)
    }
}

/// What the hub has to tell one receiver.
#[derive(Debug, Default)]
pub(crate) struct Notice(Mutex<Option<Refusal>>);

impl Notice {
    pub(crate) fn post(&self, refusal: Refusal) {
        *locked(&self.0) = Some(refusal);
    }

    pub(crate) fn take(&self) -> Option<Refusal> {
        locked(&self.0).take()
    }
}

/// A receiver's seat at a partition; given up when dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    hub: Arc<Hub>,
    seat: Seat,
    id: u64,
    /// The sequence number to send next.
    pub(crate) next: i64,
    /// That of the hub when it was given.
    pub(crate) generation: u64,
    pub(crate) notice: Arc<Notice>,
}

impl Membership {
    pub(crate) fn partition(&self) -> u16 {
        self.seat.partition
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        locked(&self.hub.roster).leave(&self.seat, self.id);
    }
}

/// A connection's entry in the hub; removed when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) hub: Arc<Hub>,
    id: u64,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        locked(&self.hub.connections).remove(&self.id);
    }
}

/// One open link, counted.
#[derive(Debug)]
pub(crate) struct LinkCount(Arc<Hub>);

impl Drop for LinkCount {
    fn drop(&mut self) {
        self.0.links.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the hub's locks guard stays whole even where a holder panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::emulator::message::of_data;

    pub(crate) fn hub() -> Arc<Hub> {
        let key = SharedKey {
            name: "RootManageSharedAccessKey".to_owned(),
            key: "SAS_KEY_VALUE".to_owned(),
        };
        Arc::new(Hub::new(
            "Hub",
            &["Group".to_owned()],
            key,
            5,
            usize::MAX,
            Log::new(4, 0),
        ))
    }

    fn ends(hub: &Hub) -> Vec<i64> {
        (0..4)
            .map(|id| hub.log().snapshot(id).last_sequence_number)
            .collect()
    }

    #[test]
    fn names_are_compared_without_their_case() {
        let hub = hub();
        assert!(hub.is_named("hUB") && hub.has_group("$DEFAULT") && hub.has_group("gROUP"));
        assert!(!hub.is_named("hub2") && !hub.has_group(""));
        assert_eq!(hub.partition("3"), Some(3));
        assert_eq!(hub.partition("4"), None);
        assert_eq!(hub.partition("x"), None);
    }

    #[test]
    fn events_without_a_key_go_round() {
        let hub = hub();
        for _ in 0..8 {
            hub.publish(Target::Hub, 0, &of_data(b"x"), 0).unwrap();
        }
        assert_eq!(ends(&hub), [1, 1, 1, 1]);
    }

    #[test]
    fn a_batch_is_taken_whole_or_not_at_all() {
        let hub = hub();
        let good: Vec<u8> = (0..3).flat_map(|_| of_data(&of_data(b"x"))).collect();
        hub.publish(Target::Partition(2), BATCH_FORMAT, &good, 0)
            .unwrap();
        assert_eq!(ends(&hub), [-1, -1, 2, -1]);
        let bad = [good, of_data(b"junk")].concat();
        let refusal = hub
            .publish(Target::Partition(2), BATCH_FORMAT, &bad, 0)
            .unwrap_err();
        assert_eq!(refusal.condition, "amqp:decode-error");
        assert_eq!(ends(&hub), [-1, -1, 2, -1]);
    }

    #[test]
    fn what_is_dropped_is_uncounted() {
        let hub = hub();
        let registration = hub.connect();
        let link = hub.count_link();
        assert_eq!((hub.open_connections(), hub.open_links()), (1, 1));
        drop((registration, link));
        assert_eq!((hub.open_connections(), hub.open_links()), (0, 0));
    }
}
