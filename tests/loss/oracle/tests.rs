//! The judge judged: it must find what is planted in made-up histories, and nothing else.

use super::requests::Arrival;
use super::*;
use crate::plan::Kind;

const PLAN: Plan = Plan {
    seed: 7,
    partitions: 2,
};

const PRODUCED: u32 = 2000;

const BOUND: Bound = Bound {
    in_flight: 10,
    unsaved: 5,
};

fn book() -> Book {
    let mut book = Book::new(PLAN);
    for _ in 0..PRODUCED {
        book.produce();
    }
    book
}

fn is_for_file(event: &Planned) -> bool {
    event.kind != Kind::Undecodable
}

/// The numbers for a file, in their order.
fn numbers() -> Vec<u32> {
    let is_wanted = |number: &u32| is_for_file(&PLAN.event(*number));
    (0..PRODUCED).filter(is_wanted).collect()
}

/// Of these numbers those of one row, which is in one partition.
fn row(numbers: &[u32]) -> Vec<u32> {
    let row = PLAN.event(numbers[0]).row;
    let of_row = |number: &&u32| PLAN.event(**number).row == row;
    numbers.iter().filter(of_row).copied().collect()
}

/// What is found in a file with the lines of these runs, each killed.
fn of_lines(runs: &[Vec<u32>]) -> (Lines, Vec<String>) {
    of_ended_lines(Ending::Killed, runs)
}

fn of_ended_lines(ending: Ending, runs: &[Vec<u32>]) -> (Lines, Vec<String>) {
    let (mut book, mut faults) = (book(), Faults::default());
    let mut lines = Lines::new("files", is_for_file, PLAN.partitions);
    for run in runs {
        for number in run {
            let (event, sequence_number) = book.event(*number).unwrap();
            let place = (event.partition, i64::try_from(sequence_number).unwrap());
            lines.line(&book, *number, place, &mut faults);
        }
        book.end_run(ending);
        lines.end_run(&book, BOUND, &mut faults);
    }
    (lines, faults.list)
}

#[test]
fn lines_in_order_are_right_and_what_they_lack_is_awaited() {
    let (lines, faults) = of_lines(&[numbers()]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(lines.events, numbers().len());
    assert_eq!(lines.awaited(&book()), 0);
    let (lines, faults) = of_lines(&[numbers()[..500].to_vec()]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(lines.awaited(&book()), numbers().len() - 500);
}

#[test]
fn lines_again_after_a_kill_are_counted_and_too_many_are_found() {
    let numbers = numbers();
    let (first, rest) = (numbers[..500].to_vec(), &numbers[490..]);
    let (lines, faults) = of_lines(&[first.clone(), rest.to_vec()]);
    assert_eq!((faults, lines.repeats.total), (vec![], 10));
    let (lines, faults) = of_lines(&[first, numbers[400..].to_vec()]);
    assert_eq!(lines.repeats.total, 100);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("repeats of partition 0"), "{faults:?}");
}

#[test]
fn lines_again_after_a_drained_run_are_found() {
    let numbers = numbers();
    let runs = [numbers[..500].to_vec(), numbers[499..].to_vec()];
    let (_, faults) = of_ended_lines(Ending::Drained, &runs);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("though it was drained"), "{faults:?}");
}

#[test]
fn a_lost_line_is_found() {
    for place in [0, 700, numbers().len() - 1] {
        let mut lines = numbers();
        let lost = lines.remove(place);
        let (lines, mut faults) = of_lines(&[lines]);
        assert_eq!(lines.awaited(&book()), 1);
        let mut finished = Faults::default();
        lines.finish(&book(), &mut finished);
        faults.append(&mut finished.list);
        assert_eq!(faults, [format!("files: {lost} is lost")]);
    }
}

#[test]
fn lines_in_the_wrong_order_are_found() {
    let row = row(&numbers());
    let mut lines = numbers();
    let place = |number| lines.iter().position(|known| *known == number).unwrap();
    let (one, other) = (place(row[3]), place(row[4]));
    lines.swap(one, other);
    let (_, faults) = of_lines(&[lines]);
    assert!(!faults.is_empty());
    assert!(faults[0].contains("out of order"), "{faults:?}");
}

#[test]
fn lines_again_without_a_kill_are_told_apart() {
    let mut lines = numbers();
    let row = row(&lines);
    lines.extend(&row[..4]);
    let (lines, faults) = of_lines(&[lines]);
    assert_eq!(
        (faults, lines.rewritten, lines.repeats.total),
        (vec![], 4, 0)
    );
}

#[test]
fn a_line_that_should_not_be_there_is_found() {
    let undecodable = (0..PRODUCED).find(|number| !is_for_file(&PLAN.event(*number)));
    let (_, faults) = of_lines(&[vec![undecodable.unwrap()]]);
    assert!(faults[0].contains("is not for it"), "{faults:?}");
    let (book, mut faults) = (book(), Faults::default());
    let mut lines = Lines::new("files", is_for_file, PLAN.partitions);
    lines.line(&book, PRODUCED, (0, 0), &mut faults);
    lines.line(&book, numbers()[0], (0, 77), &mut faults);
    assert!(faults.list[0].contains("never produced"), "{faults:?}");
    assert!(faults.list[1].contains("says it is from"), "{faults:?}");
}

/// What is found in a webhook's requests: each a run, a number, and whether it is answered for good.
fn of_requests(requests: impl IntoIterator<Item = (u32, u32, bool)>) -> (Requests, Vec<String>) {
    of_ended_requests(Ending::Killed, requests)
}

fn of_ended_requests(
    ending: Ending,
    requests: impl IntoIterator<Item = (u32, u32, bool)>,
) -> (Requests, Vec<String>) {
    let (mut book, mut faults) = (book(), Faults::default());
    let mut webhook = Requests::new(PLAN.partitions);
    for number in 0..PRODUCED {
        webhook.produced(number, PLAN.event(number));
    }
    for (run, number, is_final) in requests {
        while book.run() < run {
            book.end_run(ending);
            webhook.end_run(BOUND, &mut faults);
        }
        let id = number.into();
        let arrival = Arrival { number, id, run };
        let known = webhook.arrived(&book, arrival, &mut faults);
        if let Some((event, _)) = known.filter(|_| is_final) {
            webhook.answered(&book, arrival, event.kind == Kind::Refused, &mut faults);
        }
    }
    webhook.end_run(BOUND, &mut faults);
    (webhook, faults.list)
}

fn all_answered() -> Vec<(u32, u32, bool)> {
    numbers()
        .into_iter()
        .map(|number| (0, number, true))
        .collect()
}

#[test]
fn requests_in_order_are_right_and_failed_ones_may_come_again() {
    let again = all_answered()
        .into_iter()
        .flat_map(|(run, number, _)| [(run, number, false), (run, number, true)]);
    let (mut webhook, faults) = of_requests(again);
    assert_eq!((faults, webhook.awaited()), (vec![], 0));
    assert_eq!(webhook.settled(&book()), PRODUCED);
    let mut faults = Faults::default();
    webhook.finish(&mut faults);
    assert_eq!(faults.list, [""; 0]);
}

#[test]
fn requests_of_different_rows_may_overtake_one_another() {
    let mut requests = all_answered();
    let other = requests
        .iter()
        .position(|(_, number, _)| PLAN.event(*number).row != PLAN.event(requests[0].1).row);
    requests.swap(0, other.unwrap());
    assert_eq!(of_requests(requests).1, [""; 0]);
}

#[test]
fn a_request_before_the_one_before_it_is_answered_is_found() {
    let row = row(&numbers());
    let (first, second) = (row[0], row[1]);
    let check = |requests: &[(u32, u32, bool)]| {
        let (_, faults) = of_requests(requests.iter().copied());
        assert!(faults[0].contains("out of order"), "{faults:?}");
    };
    check(&[(0, second, true), (0, first, true)]);
    check(&[(0, first, false), (0, second, true)]);
    check(&[(0, first, false), (1, second, true)]);
}

#[test]
fn a_request_that_was_never_answered_is_lost() {
    let mut requests = all_answered();
    let last = requests.pop().unwrap().1;
    let (webhook, _) = of_requests(requests);
    let mut faults = Faults::default();
    webhook.finish(&mut faults);
    assert_eq!(faults.list, [format!("webhook: {last} is lost")]);
}

#[test]
fn requests_again_after_a_kill_are_counted_and_without_one_they_need_a_reason() {
    let mut requests = all_answered();
    let number = requests.last().unwrap().1;
    requests.push((1, number, true));
    let (webhook, faults) = of_requests(requests.clone());
    assert_eq!(
        (faults, webhook.repeats.total, webhook.again),
        (vec![], 1, 0)
    );
    let (_, faults) = of_ended_requests(Ending::Drained, requests.clone());
    assert!(faults[0].contains("though it was drained"), "{faults:?}");
    requests.push((1, number, true));
    let (mut webhook, _) = of_requests(requests);
    assert_eq!(webhook.again, 1);
    let mut faults = Faults::default();
    webhook.finish(&mut faults);
    assert_eq!(faults.list.len(), 1, "{faults:?}");
    webhook.late = 1;
    let mut faults = Faults::default();
    webhook.finish(&mut faults);
    assert_eq!(faults.list, [""; 0]);
}

#[test]
fn dead_letters_are_neither_lost_nor_invented() {
    let (book, mut faults) = (book(), Faults::default());
    let mut letters = Letters::new(PLAN.partitions);
    let of_kind = |kind| (0..PRODUCED).filter(move |number| PLAN.event(*number).kind == kind);
    for number in of_kind(Kind::Undecodable) {
        letters.letter(&book, number, None, &mut faults);
    }
    let refused: Vec<u32> = of_kind(Kind::Refused).collect();
    for number in &refused[1..] {
        letters.letter(&book, *number, Some("hook"), &mut faults);
    }
    assert_eq!(faults.list, [""; 0]);
    assert_eq!(letters.awaited(&book), 1);
    letters.letter(
        &book,
        of_kind(Kind::Wanted).next().unwrap(),
        None,
        &mut faults,
    );
    assert!(faults.list[0].contains("should not be there"), "{faults:?}");
    letters.letter(&book, refused[1], Some("files"), &mut faults);
    assert!(faults.list[1].contains("is from"), "{faults:?}");
    let mut faults = Faults::default();
    letters.finish(&book, &mut faults);
    assert_eq!(
        faults.list,
        [format!("dead letters: {} is lost", refused[0])]
    );
}
