//! What is made of messages, and what a restart remembers.

use ::config::{File, FileFormat};

use super::*;
use crate::event::SequenceNumber;
use crate::message::samples;

const ORGANIZATION: &str = "b015df52-a05f-ee11-a382-000d3a64db73";

fn message(mode: i64, step: &str, sequence_number: i64) -> Message {
    let mut event = samples::event(&format!(
        r#"{{"MessageName":"Update","PrimaryEntityName":"account","InputParameters":[],"Mode":{mode},"OperationId":"5c34e7a0-3d6a-ee11-9ae7-000d3a688809","OrganizationId":"{ORGANIZATION}","OwningExtension":{{"Id":"{step}"}}}}"#
    ));
    event.sequence_number = SequenceNumber(sequence_number);
    samples::decoded(event)
}

fn duplicates(action: Action, path: Option<&Path>) -> Arc<Duplicates> {
    let config = Config {
        action,
        events: 10,
        path: path.map(Path::to_owned),
    };
    Arc::new(Duplicates::open(Some(config)))
}

#[test]
fn a_duplicate_is_counted_marked_or_suppressed() {
    let (deliver, suppress) = (Verdict::Deliver, Verdict::Suppress);
    for (action, verdict, is_marked) in [
        (Action::Count, deliver, false),
        (Action::Mark, deliver, true),
        (Action::Suppress, suppress, false),
    ] {
        let duplicates = duplicates(action, None);
        assert_eq!(duplicates.check(&mut message(1, "s", 4)), deliver);
        let mut second = message(1, "s", 5);
        assert_eq!(duplicates.check(&mut second), verdict, "{action:?}");
        let marked = second.duplicate_of.map(|place| place.sequence_number.0);
        assert_eq!(marked, is_marked.then_some(4), "{action:?}");
        // The first, received once more because it was never delivered.
        let mut first = message(1, "s", 4);
        assert_eq!(duplicates.check(&mut first), deliver);
        assert_eq!(first.duplicate_of, None);
        assert_eq!(duplicates.found(), 1);
    }
}

#[test]
fn what_is_no_repeated_post_is_delivered() {
    for (what, messages) in [
        (
            "steps of one synchronous operation",
            [message(0, "s", 0), message(0, "t", 1)],
        ),
        (
            "no contexts",
            [samples::message("?"), samples::message("?")],
        ),
    ] {
        let duplicates = duplicates(Action::Suppress, None);
        for mut message in messages {
            assert_eq!(duplicates.check(&mut message), Verdict::Deliver, "{what}");
        }
        assert_eq!(duplicates.found(), 0, "{what}");
    }
}

#[test]
fn without_the_table_nothing_is_looked_for() {
    let duplicates = Duplicates::open(None);
    for number in 0..2 {
        let verdict = duplicates.check(&mut message(1, "s", number));
        assert_eq!(verdict, Verdict::Deliver);
    }
    assert_eq!(duplicates.found(), 0);
}

#[tokio::test]
async fn a_restart_remembers_and_a_damaged_file_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("duplicates");
    let check =
        |number: i64, duplicates: &Duplicates| duplicates.check(&mut message(1, "s", number));
    let before = duplicates(Action::Suppress, Some(&path));
    assert_eq!(check(0, &before), Verdict::Deliver);
    before.keep().await;
    let after = duplicates(Action::Suppress, Some(&path));
    assert_eq!(check(1, &after), Verdict::Suppress);
    assert_eq!(check(0, &after), Verdict::Deliver);

    let written = std::fs::read(&path).unwrap();
    std::fs::write(&path, &written[..written.len() / 2]).unwrap();
    let damaged = duplicates(Action::Suppress, Some(&path));
    assert_eq!(check(1, &damaged), Verdict::Deliver);
    damaged.keep().await;
    let after = duplicates(Action::Suppress, Some(&path));
    assert_eq!(check(0, &after), Verdict::Suppress);
}

#[tokio::test]
async fn a_file_of_somebody_else_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter");
    std::fs::write(&path, "Dear friend,").unwrap();
    let duplicates = duplicates(Action::Suppress, Some(&path));
    duplicates.check(&mut message(1, "s", 0));
    duplicates.keep().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Dear friend,");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let path = missing.join("duplicates");
    let duplicates = duplicates(Action::Suppress, Some(&path));
    duplicates.check(&mut message(1, "s", 0));
    duplicates.keep().await;
    assert!(!path.exists());
    std::fs::create_dir(&missing).unwrap();
    duplicates.keep().await;
    assert!(path.exists());
}

#[track_caller]
fn check_config(toml: &str, expected: Result<(Action, usize), &str>) {
    let file = ::config::Config::builder().add_source(File::from_str(toml, FileFormat::Toml));
    let mut root = Settings::new("", file.build().unwrap().cache);
    let (config, mistakes) = Config::read(root.optional_table("duplicates"));
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    match expected {
        Ok(expected) => {
            assert_eq!(told, [""; 0], "{toml}");
            assert_eq!(
                config.map(|config| (config.action, config.events)),
                Some(expected)
            );
        }
        Err(mistake) => assert_eq!(told, [mistake], "{toml}"),
    }
}

#[test]
fn the_table_says_what_to_do() {
    let table = |keys: &str| format!("[duplicates]\n{keys}");
    for (keys, expected) in [
        ("action = \"count\"", Ok((Action::Count, 100_000))),
        (
            "action = \"mark\"\nevents = 5\npath = \"d\"",
            Ok((Action::Mark, 5)),
        ),
        (
            "events = 5",
            Err("duplicates.action: is missing; give count, mark or suppress"),
        ),
        (
            "action = \"drop\"",
            Err("duplicates.action: must be one of count, mark, suppress"),
        ),
        (
            "action = \"mark\"\nevents = 10000001",
            Err("duplicates.events: must be from 1 to 10000000"),
        ),
        (
            "action = \"mark\"\npath = \"/\"",
            Err("duplicates.path: must name a file"),
        ),
        (
            "action = \"mark\"\npaht = \"d\"",
            Err("duplicates.paht: unknown key; did you mean \"path\"?"),
        ),
    ] {
        check_config(&table(keys), expected);
    }
}
