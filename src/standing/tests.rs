//! What is told of a partition, after what was heard of it.

use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-31 12:00 UTC);

/// Events come a second apart, the first of them a minute ago.
fn mark(number: i64) -> Mark {
    Mark {
        sequence_number: SequenceNumber(number),
        enqueued_time: NOW - Duration::seconds(60 - number),
    }
}

fn last(number: i64) -> Option<LastEnqueued> {
    Some(LastEnqueued {
        mark: mark(number),
        as_of: NOW,
    })
}

fn standing(event_hub: &str, partition: &str) -> Standing {
    samples::standing(event_hub, partition, NOW)
}

/// How many events and how many seconds it is behind.
fn behind(standing: &Standing) -> (Option<u64>, Option<i64>) {
    let snapshot = standing.snapshot();
    let seconds = snapshot.time_behind(NOW).map(Duration::whole_seconds);
    (snapshot.behind, seconds)
}

type Heard = fn(&Standing);
type Behind = (Option<u64>, Option<i64>);

/// What was heard, and how many events and seconds it is behind then.
const TABLE: &[(&str, Heard, Behind)] = &[
    ("nothing", |_| {}, (None, None)),
    (
        "the end, and nothing of where it begins",
        |it| it.asked(Some(mark(9)), false, NOW),
        (None, None),
    ),
    (
        "an event that nothing else was said of",
        |it| {
            it.received(mark(3), None);
            it.took_in(mark(3));
        },
        (None, Some(57)),
    ),
    (
        "the first of ten, which is in flight",
        |it| {
            it.received(mark(0), last(9));
            it.took_in(mark(0));
        },
        (Some(10), Some(60)),
    ),
    (
        "six of ten delivered, the seventh in flight",
        |it| {
            it.received(mark(7), last(9));
            it.delivered(mark(5), Some(mark(6)), NOW);
        },
        (Some(4), Some(54)),
    ),
    (
        "eight of ten delivered, the others not come",
        |it| {
            it.received(mark(7), last(9));
            it.delivered(mark(7), None, NOW);
        },
        (Some(2), Some(53)),
    ),
    (
        "nine of ten delivered, the last not come",
        |it| {
            it.received(mark(8), last(9));
            it.delivered(mark(8), None, NOW);
        },
        (Some(1), Some(51)),
    ),
    (
        "all delivered",
        |it| {
            it.received(mark(9), last(9));
            it.delivered(mark(9), None, NOW);
        },
        (Some(0), Some(0)),
    ),
    (
        "more received than was said to be there",
        |it| {
            it.received(mark(9), last(9));
            it.received(mark(11), None);
            it.delivered(mark(9), Some(mark(10)), NOW);
        },
        (Some(2), Some(50)),
    ),
    (
        "a checkpoint, and the end",
        |it| {
            it.goes_on_after(SequenceNumber(3));
            it.asked(Some(mark(9)), false, NOW);
        },
        (Some(6), None),
    ),
    (
        "a partition that keeps nothing",
        |it| it.asked(None, true, NOW),
        (Some(0), Some(0)),
    ),
    (
        "nothing to come, but something in flight",
        |it| {
            it.received(mark(9), None);
            it.took_in(mark(9));
            it.asked(Some(mark(9)), true, NOW);
        },
        (Some(1), Some(51)),
    ),
    (
        "events that are gone lie between the checkpoint and the first one that came",
        |it| {
            it.goes_on_after(SequenceNumber(3));
            it.received(mark(8), last(9));
            it.took_in(mark(8));
        },
        (Some(2), Some(52)),
    ),
    (
        "another hub, whose numbers are less than those in flight",
        |it| {
            it.received(mark(50), last(50));
            it.delivered(mark(48), Some(mark(49)), NOW);
            it.begins_anew();
            it.received(mark(0), last(2));
        },
        (None, Some(11)),
    ),
    (
        "another hub, of which nothing has come",
        |it| {
            it.received(mark(50), last(50));
            it.delivered(mark(50), None, NOW);
            it.begins_anew();
            it.asked(Some(mark(2)), false, NOW);
        },
        (None, None),
    ),
];

#[test]
fn how_far_it_is_behind_is_told_as_far_as_it_is_known() {
    for (heard, tell, expected) in TABLE {
        let standing = standing("hub", "0");
        tell(&standing);
        assert_eq!(behind(&standing), *expected, "{heard}");
    }
}

#[test]
fn an_event_from_a_clock_that_is_ahead_is_not_older_than_now() {
    let standing = standing("hub", "0");
    standing.received(mark(90), last(90));
    standing.took_in(mark(90));
    assert_eq!(behind(&standing), (Some(1), Some(0)));
}

#[test]
fn a_link_comes_and_goes_and_the_last_trouble_stays() {
    let standing = standing("hub", "0");
    let later = |seconds| NOW + Duration::seconds(seconds);
    let link = || standing.snapshot().link;
    assert_eq!(link(), Link::new(LinkState::Connecting, NOW));
    standing.waits(LossKind::Unreachable, "unreachable", later(1));
    let reason: Arc<str> = "unreachable".into();
    let waiting = LinkState::Waiting {
        reason: Arc::clone(&reason),
    };
    assert_eq!(link(), Link::new(waiting, later(1)));
    standing.connecting(later(2));
    standing.attached(later(3));
    assert_eq!(link(), Link::new(LinkState::Attached, later(3)));
    let snapshot = standing.snapshot();
    let at = later(1);
    let kind = LossKind::Unreachable;
    assert_eq!(snapshot.last_loss, Some(Loss { kind, reason, at }));
    assert_eq!(snapshot.reconnects, 0, "the first time is none");
    standing.waits(LossKind::Stolen, "stolen", later(4));
    standing.attached(later(5));
    let snapshot = standing.snapshot();
    let loss = snapshot.last_loss.map(|loss| loss.reason);
    assert_eq!((snapshot.reconnects, loss.as_deref()), (1, Some("stolen")));
    let not_found = (LossKind::NotFound, "not found");
    standing.ended(Some(not_found), later(6));
    standing.ended(None, later(7));
    let reason = Some("not found".into());
    assert_eq!(link(), Link::new(LinkState::Ended { reason }, later(6)));
    let losses = standing.snapshot().losses;
    for kind in LossKind::ALL {
        use LossKind::{NotFound, Stolen, Unreachable};
        let expected = u64::from(matches!(kind, NotFound | Stolen | Unreachable));
        assert_eq!(losses.of(kind), expected, "{kind:?}");
    }
}

#[test]
fn only_deliveries_are_progress() {
    let standing = standing("hub", "0");
    standing.received(mark(0), last(0));
    standing.took_in(mark(0));
    assert_eq!(standing.snapshot().progressed, None);
    standing.delivered(mark(0), None, NOW);
    let snapshot = standing.snapshot();
    assert_eq!(snapshot.progressed, Some(NOW));
    assert_eq!(snapshot.completed, Some(SequenceNumber(0)));
}

#[test]
fn what_was_received_is_counted_and_dated_also_where_numbers_begin_anew() {
    let standing = standing("hub", "0");
    standing.received(mark(8), None);
    standing.received(mark(9), None);
    standing.holds(InFlight {
        events: 2,
        bytes: 3000,
    });
    standing.checkpointed(true);
    standing.checkpointed(false);
    let snapshot = standing.snapshot();
    assert_eq!(snapshot.received_enqueued, Some(mark(9).enqueued_time));
    assert_eq!(
        (snapshot.in_flight.events, snapshot.in_flight.bytes),
        (2, 3000)
    );
    let Checkpoints { written, failed } = snapshot.checkpoints;
    assert_eq!((written, failed), (1, 1));
    standing.begins_anew();
    let snapshot = standing.snapshot();
    assert_eq!((snapshot.events, snapshot.received_enqueued), (2, None));
}

#[test]
fn all_partitions_are_listed_in_order_and_their_sum_is_known_where_each_is() {
    let all = Standings::default();
    assert_eq!(all.behind(), None);
    for (hub, partition) in [("b", "0"), ("a", "10"), ("a", "9"), ("b", "1")] {
        let standing = standing(hub, partition);
        standing.received(mark(0), last(4));
        standing.took_in(mark(0));
        all.add(Arc::new(standing));
    }
    let listed = all.snapshot();
    let listed: Vec<_> = listed
        .iter()
        .map(|one| (&*one.source.event_hub, one.partition.as_str()))
        .collect();
    assert_eq!(listed, [("a", "9"), ("a", "10"), ("b", "0"), ("b", "1")]);
    assert_eq!(all.behind(), Some(20));
    all.add(Arc::new(standing("c", "0")));
    assert_eq!(all.behind(), None);
}
