//! `demo`: the first thing a newcomer types.

use crate::world::{Program, command};

#[test]
fn the_demo_shows_as_many_events_as_asked_for_and_decodes_them_all() {
    let ended = Program::start(&mut command(["demo", "--events", "50", "--rate", "500"])).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let heads = ended
        .stdout
        .iter()
        .filter(|line| line.contains("[partition "))
        .count();
    assert_eq!(heads, 50);
    assert!(!ended.stdout.iter().any(|line| line.contains("UNDECODABLE")));
    assert!(
        !ended.stdout.iter().any(|line| line.contains('\x1b')),
        "no colour off a terminal"
    );
    assert!(
        ended.stdout.iter().any(|line| line.contains(" -> ")),
        "old -> new"
    );
    assert!(ended.stderr.contains("Ctrl-C"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("50 events, none undecodable"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_demo_ends_on_a_signal_with_a_summary() {
    let program = Program::start(&mut command(["demo", "--rate", "50", "--format", "json"]));
    program.documents(3);
    program.signal("INT");
    let ended = program.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("none undecodable"),
        "{}",
        ended.stderr
    );
}
