//! Files that become archives: by size and by time, kept, compressed, and finished after a crash.

use super::*;

#[test]
fn archives_hold_everything_in_their_order() {
    let mut world = World::new("rotate_bytes = \"10KiB\"");
    for _ in 0..50 {
        world.deliver(5);
        world.pass(SECOND / 3);
    }
    let names = world.names();
    assert!(names.len() > 5, "{names:?}");
    let all: Vec<i64> = names.iter().flat_map(|name| world.numbers(name)).collect();
    assert_eq!(all, (0..250).collect::<Vec<i64>>());
    for name in &names {
        let size = fs::metadata(world.path(name)).unwrap().len();
        assert!(size <= 10 << 10, "{name} has {size} bytes");
    }
}

#[test]
fn a_line_that_is_larger_than_a_file_may_be_is_written_all_the_same() {
    let mut world = World::new("rotate_bytes = 100");
    world.deliver(1);
    world.deliver(1);
    let names = world.names();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(world.numbers(&names[0]), [0]);
    assert_eq!(world.numbers("events.ndjson"), [1]);
}

#[test]
fn a_file_becomes_an_archive_when_its_hour_is_over() {
    let mut world = World::new("rotate_every = \"hour\"");
    world.now.utc = world.now.utc.replace_time(time::macros::time!(12:59));
    world.deliver(2);
    world.pass(30 * SECOND);
    world.deliver(1);
    assert_eq!(world.names(), ["events.ndjson"]);
    world.pass(60 * SECOND);
    // Nothing needs to be delivered for that.
    world.files.tend(world.now).unwrap();
    let names = world.names();
    assert_eq!(names.len(), 1);
    assert_eq!(world.numbers(&names[0]), [0, 1, 2]);
    world.deliver(1);
    assert_eq!(world.numbers("events.ndjson"), [3]);
    world.pass(3600 * SECOND);
    world.deliver(1);
    assert_eq!(world.numbers("events.ndjson"), [4]);
    assert_eq!(world.names().len(), 3);
}

#[test]
fn an_hour_that_ended_while_nobody_ran_is_over() {
    let mut world = World::new("rotate_every = \"hour\"");
    world.deliver(1);
    world.pass(2 * 3600 * SECOND);
    world.restart();
    world.deliver(1);
    let names = world.names();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(world.numbers(&names[0]), [0]);
    // In the same hour, it goes on.
    world.deliver(1);
    world.now = Now::read();
    world.restart();
    world.deliver(1);
    assert_eq!(world.numbers("events.ndjson"), [1, 2, 3]);
}

#[test]
fn only_so_many_archives_are_kept_and_nothing_of_others_is_touched() {
    let mut world = World::new("rotate_bytes = 100\nkeep = 2");
    let others = [
        "events-20010101T000000Z.ndjson",
        "events-20010101T000000Z-0001.log",
        "events-other-20010101T000000Z-0001.ndjson",
        "events.ndjson.1",
        "notes",
    ];
    for other in others {
        fs::write(world.path(other), "kept").unwrap();
    }
    fs::create_dir(world.path("events-20010101T000000Z-0001.ndjson")).unwrap();
    for _ in 0..6 {
        world.deliver(1);
    }
    world.upkeep();
    for other in others {
        assert_eq!(fs::read_to_string(world.path(other)).unwrap(), "kept");
    }
    let names = world.names().into_iter();
    let ours: Vec<String> = names
        .filter(|name| !others.contains(&name.as_str()) && !name.contains("2001"))
        .collect();
    assert_eq!(ours.len(), 3, "{ours:?}");
    let left: Vec<i64> = ours.iter().flat_map(|name| world.numbers(name)).collect();
    assert_eq!(left, [3, 4, 5]);
}

/// The lines of a compressed archive.
fn unpacked(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    let file = File::open(path).unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => drop(
            flate2::read::GzDecoder::new(file)
                .read_to_end(&mut text)
                .unwrap(),
        ),
        "zst" => drop(
            zstd::Decoder::new(file)
                .unwrap()
                .read_to_end(&mut text)
                .unwrap(),
        ),
        _ => panic!("{} is not compressed", path.display()),
    }
    text
}

#[test]
fn a_compressed_archive_has_everything_in_it() {
    use std::os::unix::fs::PermissionsExt;
    for (compress, extension) in [("gzip", ".ndjson.gz"), ("zstd", ".ndjson.zst")] {
        let mut world = World::new(&format!(
            "rotate_bytes = 20000\ncompress = \"{compress}\"\nmode = \"0604\""
        ));
        world.deliver(30);
        world.deliver(30);
        world.upkeep();
        let names = world.names();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[0].ends_with(extension), "{names:?}");
        let archive = world.path(&names[0]);
        assert_eq!(numbers(&unpacked(&archive)), (0..30).collect::<Vec<i64>>());
        assert_eq!(
            fs::metadata(&archive).unwrap().permissions().mode() & 0o777,
            0o604
        );
    }
}

#[test]
fn what_a_crash_left_of_an_archive_is_finished() {
    let mut world = World::new("rotate_bytes = 100\ncompress = \"zstd\"");
    world.deliver(1);
    world.deliver(1);
    let plain = world.names()[0].clone();
    let text = fs::read(world.path(&plain)).unwrap();
    // In the middle of compressing, and just before the plain one is deleted.
    for left in [format!(".{plain}.zst.part"), format!("{plain}.zst")] {
        fs::write(world.path(&plain), &text).unwrap();
        fs::write(world.path(&left), "half").unwrap();
        world.upkeep();
        assert_eq!(
            world.names(),
            [format!("{plain}.zst"), "events.ndjson".to_owned()]
        );
        assert_eq!(unpacked(&world.path(&format!("{plain}.zst"))), text);
    }
}

#[test]
fn compressing_that_is_interrupted_loses_nothing() {
    let mut world = World::new("rotate_bytes = 100\ncompress = \"gzip\"");
    world.deliver(1);
    world.deliver(1);
    let names = world.names();
    let upkeep = Upkeep {
        root: Root::new(world.config.directory.clone(), 0o640),
        compress: world.config.compress,
        keep: None,
    };
    upkeep
        .look_after("events.ndjson", &AtomicBool::new(true))
        .unwrap();
    assert_eq!(world.names(), names);
}

#[tokio::test]
async fn archives_are_compressed_beside_the_deliveries() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "rotate_bytes = 100\ncompress = \"gzip\"");
    let mut sink = FileSink::open(&config, "test".into()).unwrap();
    for _ in 0..2 {
        let progress = sink
            .deliver(&[compliance::delivery(samples::context("Create", "account"))])
            .await;
        assert!(progress.error.is_none());
    }
    let is_packed = || {
        let mut entries = fs::read_dir(folder.path()).unwrap();
        entries.any(|entry| {
            entry
                .unwrap()
                .path()
                .extension()
                .is_some_and(|extension| extension == "gz")
        })
    };
    let waited = async {
        while !is_packed() {
            tokio::task::yield_now().await;
            sink.tend().await;
        }
    };
    tokio::time::timeout(60 * SECOND, waited).await.unwrap();
    sink.close().await.unwrap();
}
