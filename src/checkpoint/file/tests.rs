//! What the files of the store survive.

use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;
use tempfile::TempDir;

use super::slot::follows;
use super::*;
use crate::event::{Offset, Position, SequenceNumber};
use crate::receiver::StartPosition;

const PREVIOUS: &str = "namespace/hub/$default/0.json.previous";
const CURRENT: &str = "namespace/hub/$default/0.json";

fn source() -> Source {
    Source {
        namespace: "Namespace".into(),
        event_hub: "hub".into(),
        consumer_group: "$Default".into(),
    }
}

fn partition() -> PartitionId {
    PartitionId::new("0")
}

fn after(number: i64) -> Checkpoint {
    Checkpoint::After(Position {
        sequence_number: SequenceNumber(number),
        offset: Offset::new(&(number * 100).to_string()),
    })
}

fn from(number: i64) -> Checkpoint {
    Checkpoint::From(StartPosition::Sequence(SequenceNumber(number)))
}

/// A directory with the files of one partition.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With these checkpoints saved one after the other.
    fn with(checkpoints: &[Checkpoint]) -> Self {
        let files = Self::new();
        for checkpoint in checkpoints {
            files.save(checkpoint.clone()).unwrap();
        }
        files
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn slot(&self) -> Slot {
        Slot::new(self.0.path(), &source(), &partition())
    }

    fn save(&self, checkpoint: Checkpoint) -> Result<(), CheckpointError> {
        self.slot().save(checkpoint, OffsetDateTime::UNIX_EPOCH)
    }

    fn load(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        let record = self.slot().load()?;
        Ok(record.map(|record| record.checkpoint))
    }

    /// Why it cannot be loaded, behind the path.
    fn damage(&self) -> String {
        match self.load() {
            Err(CheckpointError::Damaged { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_file_tells_everything() {
    let files = Files::with(&[after(41)]);
    assert_eq!(
        fs::read_to_string(files.path(CURRENT)).unwrap(),
        "{\"version\":1,\"namespace\":\"Namespace\",\"event_hub\":\"hub\",\"consumer_group\":\"$Default\",\
         \"partition\":\"0\",\"sequence_number\":41,\"offset\":\"4100\",\"updated\":\"1970-01-01T00:00:00Z\"}\n"
    );
    for (path, mode) in [(CURRENT, 0o640), ("namespace/hub", 0o750)] {
        let metadata = fs::metadata(files.path(path)).unwrap();
        assert_eq!(metadata.mode() & 0o777, mode, "{path}");
    }
}

#[test]
fn what_was_saved_is_loaded_whatever_the_case_of_the_names() {
    let files = Files::with(&[after(41)]);
    assert_eq!(files.load().unwrap(), Some(after(41)));
    let shouted = Source {
        namespace: "NAMESPACE".into(),
        event_hub: "HUB".into(),
        consumer_group: "$DEFAULT".into(),
    };
    let slot = Slot::new(files.0.path(), &shouted, &partition());
    assert_eq!(slot.load().unwrap().unwrap().checkpoint, after(41));
    let other = Slot::new(files.0.path(), &source(), &PartitionId::new("1"));
    assert!(other.load().unwrap().is_none());
}

#[test]
fn what_is_no_checkpoint_of_the_partition_is_told() {
    let whole = fs::read_to_string(Files::with(&[after(41)]).path(CURRENT)).unwrap();
    for (content, expected) in [
        (String::new(), "is empty"),
        ("\0".repeat(200), "is not JSON ("),
        (format!("{whole}{whole}"), "is not JSON ("),
        ("7".to_owned(), "is not a checkpoint"),
        ("{\"a\":1}".to_owned(), "is not a checkpoint"),
        (
            whole.replace(":1,", ":2,"),
            "was written by another version",
        ),
        (
            whole.replace("\"hub\"", "\"bus\""),
            "is of another partition",
        ),
        (whole.replace("\"0\"", "\"1\""), "is of another partition"),
        (whole.replace("offset", "ofset"), "has no \"offset\""),
        (
            format!("{whole}{}", " ".repeat(64 << 10)),
            "is larger than 65536 bytes",
        ),
    ] {
        let files = Files::with(&[after(41)]);
        fs::write(files.path(CURRENT), &content).unwrap();
        let reason = files.damage();
        assert!(reason.starts_with(expected), "{reason}");
        let error = files.load().unwrap_err().to_string();
        assert!(error.contains(CURRENT), "{error}");
        assert!(
            error.contains("`dataverse-listener checkpoint set`"),
            "{error}"
        );
    }
}

#[test]
fn a_directory_instead_of_a_file_is_told_and_a_new_one_replaces_the_damaged() {
    let files = Files::with(&[after(41)]);
    fs::remove_file(files.path(CURRENT)).unwrap();
    fs::create_dir(files.path(CURRENT)).unwrap();
    assert_eq!(files.damage(), "is a directory");
    fs::remove_dir(files.path(CURRENT)).unwrap();
    fs::write(files.path(CURRENT), "garbage").unwrap();
    files.save(after(50)).unwrap();
    assert_eq!(files.load().unwrap(), Some(after(50)));
}

#[test]
fn a_damaged_file_gives_way_to_the_one_before() {
    let files = Files::with(&[after(40), after(41)]);
    fs::write(files.path(CURRENT), "").unwrap();
    assert_eq!(files.load().unwrap(), Some(after(40)));
    fs::remove_file(files.path(CURRENT)).unwrap();
    assert_eq!(files.load().unwrap(), Some(after(40)));
    fs::write(files.path(PREVIOUS), "").unwrap();
    assert_eq!(files.damage(), "is empty");
}

#[test]
fn the_good_one_before_is_not_given_up_for_a_damaged_one() {
    let files = Files::with(&[after(40), after(41)]);
    fs::write(files.path(CURRENT), "garbage").unwrap();
    files.save(after(42)).unwrap();
    fs::write(files.path(CURRENT), "garbage").unwrap();
    assert_eq!(files.load().unwrap(), Some(after(40)));
}

#[test]
fn nobody_falls_back_to_a_place_ahead() {
    for (last, next) in [
        (after(900), after(3)),
        (after(900), from(3)),
        (from(900), from(3)),
    ] {
        assert!(!follows(&next, &last), "{next:?} {last:?}");
        let files = Files::with(&[after(1), last, next]);
        assert!(!files.path(PREVIOUS).exists());
        fs::write(files.path(CURRENT), "garbage").unwrap();
        assert_eq!(
            files.damage(),
            "is not JSON (expected value at line 1 column 1)"
        );
    }
    let files = Files::with(&[from(3), after(3)]);
    fs::write(files.path(CURRENT), "garbage").unwrap();
    assert_eq!(files.load().unwrap(), Some(from(3)));
}

#[test]
fn a_save_that_fails_leaves_the_old_one_and_works_later() {
    let files = Files::with(&[after(40), after(41)]);
    let obstacle = files.path("namespace/hub/$default/0.json.new");
    fs::create_dir(&obstacle).unwrap();
    let error = files.save(after(42)).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Unavailable { .. }),
        "{error:?}"
    );
    assert_eq!(files.load().unwrap(), Some(after(41)));
    fs::remove_dir(&obstacle).unwrap();
    files.save(after(42)).unwrap();
    assert_eq!(files.load().unwrap(), Some(after(42)));
}

#[test]
fn a_removed_checkpoint_leaves_none_behind() {
    let files = Files::with(&[after(40), after(41)]);
    for _ in 0..2 {
        files.slot().remove().unwrap();
        assert_eq!(files.load().unwrap(), None);
    }
    Files::new().slot().remove().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Without the file before: damaged, or all there but the line feed. With it: that one.
    #[test]
    fn a_file_cut_anywhere_is_noticed(number in 0..i64::MAX / 200, cut in any::<prop::sample::Index>()) {
        let files = Files::with(&[after(number)]);
        let whole = fs::read(files.path(CURRENT)).unwrap();
        let kept = &whole[..cut.index(whole.len())];
        fs::write(files.path(CURRENT), kept).unwrap();
        let is_whole = kept.len() + 1 == whole.len();
        match files.load() {
            Ok(found) => prop_assert!(is_whole && found == Some(after(number))),
            Err(error) => {
                let is_damaged = matches!(error, CheckpointError::Damaged { .. });
                prop_assert!(!is_whole && is_damaged, "{:?}", error);
            }
        }
        let files = Files::with(&[after(number), after(number + 1)]);
        fs::write(files.path(CURRENT), &kept[..kept.len().min(whole.len() - 2)]).unwrap();
        prop_assert_eq!(files.load().unwrap(), Some(after(number)));
    }

    /// Whatever is saved in whatever order, what is loaded is the last, and what is fallen back to is
    /// not ahead of it.
    #[test]
    fn the_one_before_is_never_ahead(numbers in prop::collection::vec(0..20i64, 1..8)) {
        let checkpoints: Vec<_> = numbers.iter().map(|number| after(*number)).collect();
        let files = Files::with(&checkpoints);
        prop_assert_eq!(files.load().unwrap(), checkpoints.last().cloned());
        fs::remove_file(files.path(CURRENT)).unwrap();
        if let Some(Checkpoint::After(position)) = files.load().unwrap() {
            prop_assert!(position.sequence_number.0 <= *numbers.last().unwrap());
        }
    }
}

#[tokio::test]
async fn an_open_store_loads_saves_and_removes() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory(folder.path().join("checkpoints"));
    let store = directory.open().unwrap();
    let (source, partition) = (source(), partition());
    assert_eq!(store.load(&source, &partition).await.unwrap(), None);
    store.save(&source, &partition, after(1)).await.unwrap();
    assert_eq!(
        store.load(&source, &partition).await.unwrap(),
        Some(after(1))
    );
    store.remove(&source, &partition).await.unwrap();
    assert_eq!(store.load(&source, &partition).await.unwrap(), None);
}

#[tokio::test]
async fn a_save_that_nobody_waits_for_does_not_overtake_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    let (source, partition) = (source(), partition());
    for number in 0..50 {
        let mut abandoned = store.save(&source, &partition, after(number));
        // Asked once, it has begun.
        assert!((&mut abandoned).now_or_never().is_none());
        drop(abandoned);
        store
            .save(&source, &partition, after(number + 1))
            .await
            .unwrap();
        let kept = store.load(&source, &partition).await.unwrap();
        assert_eq!(kept, Some(after(number + 1)));
    }
}

#[test]
fn a_store_is_open_once_and_free_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory(folder.path().to_owned());
    let store = directory.open().unwrap();
    for refused in [directory.open().map(drop), directory.check_free()] {
        let error = refused.unwrap_err().to_string();
        let expected = format!(
            "{} is in use by process {}; ",
            folder.path().display(),
            std::process::id()
        );
        assert!(error.starts_with(&expected), "{error}");
    }
    drop(store);
    directory.open().unwrap();
}

#[test]
fn a_place_that_is_not_there_is_no_new_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory(folder.path().join("volume/checkpoints"));
    let error = directory.open().unwrap_err();
    assert!(
        matches!(error, CheckpointError::Unavailable { .. }),
        "{error:?}"
    );
    assert!(directory.list().unwrap().is_empty());
    directory.check_free().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_a_crash_left_unfinished_is_removed_at_the_next_start() {
    let files = Files::with(&[after(41)]);
    let leftover = files.path("namespace/hub/$default/0.json.new");
    let foreign = files.path("namespace/hub/$default/notes.txt");
    for path in [&leftover, &foreign] {
        fs::write(path, "half a").unwrap();
    }
    FileStore::open(files.0.path()).unwrap();
    assert!(!leftover.exists() && foreign.exists());
    assert_eq!(files.load().unwrap(), Some(after(41)));
}

#[test]
fn every_partition_is_listed_in_order_and_the_damaged_too() {
    let files = Files::with(&[after(40), after(41)]);
    for partition in ["10", "9", "a/b"] {
        Slot::new(files.0.path(), &source(), &PartitionId::new(partition))
            .save(after(7), OffsetDateTime::UNIX_EPOCH)
            .unwrap();
    }
    fs::write(files.path("namespace/hub/$default/9.json"), "").unwrap();
    fs::write(files.path("namespace/hub/$default/notes.json.txt"), "").unwrap();
    fs::create_dir(files.path("lost+found")).unwrap();
    let entries = Directory(files.0.path().to_owned()).list().unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| {
            let checkpoint = entry
                .found
                .as_ref()
                .ok()
                .map(|record| record.checkpoint.clone());
            (
                entry.source.namespace.as_str(),
                entry.partition.as_str(),
                checkpoint,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("Namespace", "0", Some(after(41))),
            ("namespace", "9", None),
            ("Namespace", "10", Some(after(7))),
            ("Namespace", "a/b", Some(after(7))),
        ]
    );
}
