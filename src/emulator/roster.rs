//! Who receives from which partition, and who has to give way: epochs and the limit of receivers.
//!
//! Source: "Event processor host / receiver epoch" (the `CreateEpochReceiver` contract of Event Hubs)
//! and the quota of five non-epoch receivers per partition and consumer group.

use std::collections::HashMap;
use std::sync::Arc;

use super::condition::{Refusal, quoted};
use super::hub::{Mailbox, Notice};

/// How many receivers without an epoch may read one partition in one consumer group.
const MAX_RECEIVERS: usize = 5;

/// A receiver as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    name: Option<String>,
    epoch: Option<i64>,
}

impl Peer {
    pub(crate) fn new(name: Option<&str>, epoch: Option<i64>) -> Self {
        Self {
            name: name.map(|name| quoted(name).to_owned()),
            epoch,
        }
    }

    /// The name it gave itself, or `nil`.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("nil")
    }

    pub(crate) fn epoch_text(&self) -> String {
        self.epoch
            .map_or_else(|| "nil".to_owned(), |epoch| epoch.to_string())
    }
}

/// A partition as one consumer group sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Seat {
    pub(crate) partition: u16,
    /// In lower case.
    pub(crate) group: String,
}

/// Every receiver of the hub.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    seats: HashMap<Seat, Vec<Member>>,
    next_id: u64,
}

#[derive(Debug)]
struct Member {
    id: u64,
    peer: Peer,
    notice: Arc<Notice>,
    mailbox: Arc<Mailbox>,
}

impl Roster {
    /// Seats a receiver, tells those it displaces, and gives the number it leaves with.
    pub(crate) fn join(
        &mut self,
        seat: &Seat,
        peer: &Peer,
        notice: &Arc<Notice>,
        mailbox: &Arc<Mailbox>,
    ) -> Result<u64, Refusal> {
        let members = self.seats.entry(seat.clone()).or_default();
        let present: Vec<_> = members.iter().map(|member| &member.peer).collect();
        if admit(&present, peer)? {
            for old in members.drain(..) {
                old.tell(Refusal::displaced(peer, &old.peer));
            }
        }
        self.next_id += 1;
        members.push(Member {
            id: self.next_id,
            peer: peer.clone(),
            notice: Arc::clone(notice),
            mailbox: Arc::clone(mailbox),
        });
        Ok(self.next_id)
    }

    /// Frees a place; a receiver that was displaced has none any more.
    pub(crate) fn leave(&mut self, seat: &Seat, id: u64) {
        if let Some(members) = self.seats.get_mut(seat) {
            members.retain(|member| member.id != id);
            if members.is_empty() {
                self.seats.remove(seat);
            }
        }
    }

    /// Wakes every receiver of a partition: there are new events.
    pub(crate) fn wake(&self, partition: u16) {
        for member in self.of(partition) {
            member.mailbox.ring();
        }
    }

    /// Tells every receiver, or those of a partition, to detach and why, and forgets them.
    pub(crate) fn dismiss(&mut self, partition: Option<u16>, why: impl Fn(&Peer) -> Refusal) {
        self.seats.retain(|seat, members| {
            let stays = partition.is_some_and(|partition| partition != seat.partition);
            if !stays {
                for member in members {
                    member.tell(why(&member.peer));
                }
            }
            stays
        });
    }

    /// True when a connection has a receiver of a partition.
    pub(crate) fn reaches(&self, partition: u16, mailbox: &Arc<Mailbox>) -> bool {
        self.of(partition)
            .any(|member| Arc::ptr_eq(&member.mailbox, mailbox))
    }

    /// How many receive from a partition over connections that do not play dead by themselves.
    pub(crate) fn count(&self, partition: u16) -> usize {
        let alive = self.of(partition);
        alive.filter(|member| !member.mailbox.is_frozen()).count()
    }

    fn of(&self, partition: u16) -> impl Iterator<Item = &Member> {
        self.seats
            .iter()
            .filter(move |(seat, _)| seat.partition == partition)
            .flat_map(|(_, members)| members)
    }
}

impl Member {
    fn tell(&self, refusal: Refusal) {
        self.notice.post(refusal);
        self.mailbox.ring();
    }
}

/// Whether `new` may join `present`, and if so whether it takes their place (`true`).
fn admit(present: &[&Peer], new: &Peer) -> Result<bool, Refusal> {
    let current = present.iter().filter_map(|peer| peer.epoch).max();
    match (current, new.epoch) {
        (Some(current), Some(epoch)) if epoch < current => Err(Refusal::lower_epoch(new, current)),
        (_, Some(_)) => Ok(true),
        (Some(current), None) => Err(Refusal::epoch_receiver_present(current)),
        (None, None) if present.len() >= MAX_RECEIVERS => {
            let names: Vec<_> = present.iter().map(|peer| peer.name()).collect();
            Err(Refusal::too_many_receivers(
                MAX_RECEIVERS,
                &names.join(", "),
            ))
        }
        (None, None) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(present: &[Option<i64>], new: Option<i64>, expected: Result<bool, &str>) {
        let peers: Vec<_> = present
            .iter()
            .map(|epoch| Peer::new(Some("old"), *epoch))
            .collect();
        let peers: Vec<_> = peers.iter().collect();
        let outcome = admit(&peers, &Peer::new(Some("new"), new));
        let outcome = outcome
            .as_ref()
            .map_or_else(|refusal| Err(refusal.condition.as_str()), |ok| Ok(*ok));
        assert_eq!(outcome, expected, "{present:?} {new:?}");
    }

    #[test]
    fn an_epoch_displaces_equal_and_lower_ones_and_those_without() {
        check(&[], Some(-1), Ok(true));
        check(&[Some(0)], Some(0), Ok(true));
        check(&[Some(1)], Some(2), Ok(true));
        check(&[None, None], Some(0), Ok(true));
    }

    #[test]
    fn a_lower_epoch_or_none_is_refused_beside_an_epoch() {
        check(&[Some(5)], Some(4), Err("amqp:link:stolen"));
        check(&[Some(0)], None, Err("amqp:link:stolen"));
    }

    #[test]
    fn the_sixth_receiver_without_epoch_is_refused() {
        check(&[None; 4], None, Ok(false));
        check(&[None; 5], None, Err("amqp:resource-limit-exceeded"));
    }

    #[test]
    fn texts_name_both_receivers() {
        let text =
            Refusal::displaced(&Peer::new(None, Some(0)), &Peer::new(Some("a"), None)).description;
        assert!(text.starts_with(
            "New receiver 'nil' with higher epoch of '0' is created hence current receiver 'a'"
        ));
    }

    #[test]
    fn seats_are_told_and_freed() {
        let mut roster = Roster::default();
        let mailbox = Arc::new(Mailbox::default());
        let seat = |partition| Seat {
            partition,
            group: "g".to_owned(),
        };
        let notices: Vec<_> = (0..3).map(|_| Arc::new(Notice::default())).collect();
        let mut join = |at: usize, partition, epoch| {
            roster.join(
                &seat(partition),
                &Peer::new(None, epoch),
                &notices[at],
                &mailbox,
            )
        };
        let first = join(0, 0, Some(0)).unwrap();
        let second = join(1, 0, Some(1)).unwrap();
        join(2, 1, None).unwrap();
        assert!(
            notices[0]
                .take()
                .is_some_and(|refusal| refusal.condition == "amqp:link:stolen")
        );
        roster.leave(&seat(0), first);
        roster.leave(&seat(0), second);
        roster.dismiss(Some(0), |_| Refusal::new("c", "d"));
        assert_eq!(notices[1].take(), None);
        roster.dismiss(Some(1), |_| Refusal::new("c", "d"));
        assert_eq!(notices[2].take(), Some(Refusal::new("c", "d")));
        assert!(roster.seats.is_empty());
    }
}
