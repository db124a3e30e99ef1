//! Which events of a partition may be checkpointed, and whether more may be received; pure.
//!
//! Events are begun in the partition's order and completed in any. The checkpoint is the last event of
//! the unbroken run of completed ones: a hole holds it back, whatever was completed behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::budget::{Budget, Hold, Share};
use crate::event::Position;

/// How much a partition may have in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Events received that no checkpoint may pass yet, those completed behind a hole among them.
    pub events: usize,
    /// Bytes of memory taken by those not yet completed by every sink: the others are gone from it. One
    /// event larger than this may still be in flight alone.
    pub bytes: usize,
}

/// The events of one partition that are in flight, in the partition's order, each known by its place.
#[derive(Debug)]
pub(crate) struct Window<P = Position> {
    /// How many events may be in flight.
    events: usize,
    in_flight: VecDeque<InFlight<P>>,
    /// The ticket of the first entry of `in_flight`.
    first: u64,
    /// The bytes of the events still open.
    bytes: Hold,
    /// How many entries of `in_flight` are still open.
    open: usize,
}

#[derive(Debug)]
struct InFlight<P> {
    place: P,
    bytes: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Complete,
    Abandoned,
}

/// Names one event in flight. Sequence numbers cannot: they start again when a hub is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl<P> Window<P> {
    /// An empty window that shares its bytes with nobody.
    pub(crate) fn new(limit: Limit) -> Self {
        Self::within(&Budget::new(limit.bytes), limit)
    }

    /// An empty window that shares what all may have in flight.
    pub(crate) fn within(budget: &Arc<Budget>, limit: Limit) -> Self {
        Self {
            events: limit.events,
            in_flight: VecDeque::new(),
            first: 0,
            bytes: Hold::new(Share::new(budget, limit.bytes), 1),
            open: 0,
        }
    }

    /// True when another event may be received.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < self.events && self.bytes.has_room()
    }

    /// The place of the first event that no checkpoint has passed.
    pub(crate) fn first(&self) -> Option<&P> {
        self.in_flight.front().map(|event| &event.place)
    }

    /// How many events wait for a checkpoint to pass them.
    pub(crate) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// The bytes of memory that the events take which are not complete.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.held()
    }

    /// True when waiting brings nothing more: every event is complete or abandoned.
    pub(crate) fn is_settled(&self) -> bool {
        self.open == 0
    }

    /// Takes in the event received after all those before it.
    pub(crate) fn begin(&mut self, place: P, bytes: usize) -> Ticket {
        let ticket = Ticket(self.first + self.in_flight.len() as u64);
        self.bytes.take(bytes);
        self.open += 1;
        self.in_flight.push_back(InFlight {
            place,
            bytes,
            state: State::Open,
        });
        ticket
    }

    /// Marks an event as safe with every sink, and gives the checkpoint where that moves it.
    pub(crate) fn complete(&mut self, ticket: Ticket) -> Option<P> {
        self.settle(ticket, State::Complete);
        let mut checkpoint = None;
        while self
            .in_flight
            .front()
            .is_some_and(|event| event.state == State::Complete)
        {
            let done = self.in_flight.pop_front()?;
            self.first += 1;
            checkpoint = Some(done.place);
        }
        checkpoint
    }

    /// Marks an event that no sink will accept any more. It stays a hole: the checkpoint never passes it.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        self.settle(ticket, State::Abandoned);
    }

    fn settle(&mut self, ticket: Ticket, state: State) {
        let index = ticket
            .0
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        let entry = index.and_then(|index| self.in_flight.get_mut(index));
        if let Some(event) = entry.filter(|event| event.state == State::Open) {
            event.state = state;
            self.open -= 1;
            self.bytes.give_back(event.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Offset, SequenceNumber};

    fn position(sequence_number: i64) -> Position {
        Position {
            sequence_number: SequenceNumber(sequence_number),
            offset: Offset::new(&(sequence_number * 100).to_string()),
        }
    }

    fn window(events: usize, bytes: usize) -> Window {
        Window::new(Limit { events, bytes })
    }

    fn sequence(checkpoint: Option<Position>) -> Option<i64> {
        checkpoint.map(|position| position.sequence_number.0)
    }

    #[test]
    fn a_hole_holds_the_checkpoint_back() {
        let mut window = window(10, 1000);
        let tickets: Vec<Ticket> = (5..9).map(|n| window.begin(position(n), 10)).collect();
        assert_eq!(sequence(window.complete(tickets[1])), None);
        assert_eq!(sequence(window.complete(tickets[2])), None);
        assert_eq!(sequence(window.first().cloned()), Some(5));
        assert_eq!(sequence(window.complete(tickets[0])), Some(7));
        assert_eq!(window.len(), 1);
        assert_eq!(sequence(window.first().cloned()), Some(8));
        assert_eq!(sequence(window.complete(tickets[3])), Some(8));
        assert_eq!((window.len(), window.first()), (0, None));
    }

    #[test]
    fn completing_twice_or_out_of_nowhere_moves_nothing() {
        let mut window = window(10, 1000);
        let ticket = window.begin(position(0), 1);
        assert_eq!(sequence(window.complete(ticket)), Some(0));
        assert_eq!(window.complete(ticket), None);
        assert_eq!(window.complete(Ticket(99)), None);
    }

    #[test]
    fn an_abandoned_event_is_a_hole_for_ever() {
        let mut window = window(10, 1000);
        let tickets: Vec<Ticket> = (0..3).map(|n| window.begin(position(n), 1)).collect();
        window.complete(tickets[0]);
        window.abandon(tickets[1]);
        assert!(!window.is_settled());
        assert_eq!(window.complete(tickets[2]), None);
        assert_eq!(window.complete(tickets[1]), None);
        assert!(window.is_settled());
        assert_eq!(window.len(), 2);
    }

    #[test]
    fn room_ends_at_either_limit_and_a_giant_is_let_in_alone() {
        let mut by_count = window(2, 1000);
        by_count.begin(position(0), 1);
        assert!(by_count.has_room());
        by_count.begin(position(1), 1);
        assert!(!by_count.has_room());

        let mut by_bytes = window(10, 100);
        let giant = by_bytes.begin(position(0), 5000);
        assert!(!by_bytes.has_room());
        by_bytes.complete(giant);
        assert!(by_bytes.has_room());
    }

    #[test]
    fn what_is_complete_behind_a_hole_takes_no_bytes_but_counts() {
        let mut window = window(3, 100);
        window.begin(position(0), 60);
        for number in 1..3 {
            let ticket = window.begin(position(number), 60);
            assert!(!window.has_room());
            window.complete(ticket);
            assert_eq!(window.has_room(), number < 2);
        }
    }

    #[test]
    fn many_windows_share_what_all_may_have_and_each_has_room_for_one_event() {
        let budget = Budget::new(100);
        let limit = Limit {
            events: 10,
            bytes: 100,
        };
        let mut windows: Vec<Window> = (0..4).map(|_| Window::within(&budget, limit)).collect();
        while windows[0].has_room() {
            windows[0].begin(position(0), 10);
        }
        assert_eq!(windows[0].len(), 5, "the half of all");
        let ticket = windows[1].begin(position(0), 50);
        assert!(!windows[0].has_room() && !windows[1].has_room());
        assert!(windows[2].has_room() && windows[3].has_room());
        windows[2].begin(position(0), 10);
        assert!(!windows[2].has_room());
        windows[1].complete(ticket);
        assert!(windows[1].has_room() && windows[2].has_room());
        windows.clear();
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn numbers_that_start_again_do_not_confuse_it() {
        let mut window = window(10, 1000);
        let before = window.begin(position(900), 1);
        let after = window.begin(position(0), 1);
        assert_eq!(window.complete(after), None);
        assert_eq!(sequence(window.complete(before)), Some(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_order_of_completion_ends_at_the_last_event(order in Just((0..50i64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut window = window(50, usize::MAX);
            let tickets: Vec<Ticket> = (0..50).map(|n| window.begin(position(n), 7)).collect();
            let mut done = [false; 50];
            let mut last = None;
            for index in order {
                let index = usize::try_from(index).unwrap();
                done[index] = true;
                last = sequence(window.complete(tickets[index])).or(last);
                let run = done.iter().take_while(|done| **done).count();
                prop_assert_eq!(last.map_or(0, |n| usize::try_from(n).unwrap() + 1), run);
            }
            prop_assert_eq!(window.len(), 0);
        }
    }
}
