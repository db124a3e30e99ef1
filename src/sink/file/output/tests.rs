//! One file of a sink, while things happen to it.

use std::fs::File;
use std::io::Seek;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

struct World {
    folder: TempDir,
    rules: Rules,
    recent: Recent,
    output: Output,
    now: Now,
}

fn world(fsync: Fsync) -> World {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(folder.path().to_owned(), 0o640);
    World {
        output: Output::new("f".into(), &root),
        rules: Rules {
            root,
            fsync,
            rotation: Rotation::default(),
            grace: Duration::ZERO,
        },
        folder,
        recent: Recent::new(Duration::from_secs(10), 1000),
        now: Now::read(),
    }
}

impl World {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.output.rendered.extend_from_slice(text.as_bytes());
        self.output.write(&self.rules, &mut self.recent, self.now)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.output.sync(&self.rules, &mut self.recent)
    }

    fn commit(&mut self) {
        self.output
            .commit(&mut self.recent, self.now, &mut Vec::new());
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Puts something else in the place of the file that is open.
    fn replace(&mut self, file: File) {
        self.output.open = Some(OpenFile::of(file, self.folder.path()));
    }

    fn rename(&self) {
        let path = self.folder.path();
        fs::rename(path.join("f"), path.join("moved")).unwrap();
    }
}

#[test]
fn what_was_being_written_while_the_file_was_moved_away_is_written_again() {
    let mut world = world(Fsync::Always);
    world.write("one\n").unwrap();
    world.commit();
    world.write("two\n").unwrap();
    // Before anybody looked whether it is still there.
    world.rename();
    world.write("three\n").unwrap();
    assert_eq!(world.text("moved"), "one\ntwo\n");
    assert_eq!(world.text("f"), "two\nthree\n");
}

#[test]
fn what_was_being_written_while_the_file_was_truncated_or_deleted_is_written_again() {
    for is_deleted in [false, true] {
        let mut world = world(Fsync::Always);
        world.write("one\n").unwrap();
        world.commit();
        world.write("two\n").unwrap();
        let path = world.folder.path().join("f");
        if is_deleted {
            fs::remove_file(path).unwrap();
        } else {
            fs::write(path, "").unwrap();
        }
        world.write("three\n").unwrap();
        assert_eq!(world.text("f"), "one\ntwo\nthree\n");
    }
}

#[test]
fn what_could_not_be_made_safe_is_written_again_to_a_file_opened_anew() {
    for (fsync, expected) in [
        (Fsync::Always, "zero\none\ntwo\n"),
        (Fsync::Interval(Duration::ZERO), "zero\none\ntwo\n"),
    ] {
        let mut world = world(fsync);
        world.write("zero\n").unwrap();
        world.sync().unwrap();
        world.commit();
        world.recent.take("f");
        // A pipe can be written to and not be made safe.
        let (_reader, writer) = io::pipe().unwrap();
        world.replace(File::from(OwnedFd::from(writer)));
        world.output.waiting.push_back(b"one\n".to_vec());
        world.output.append().unwrap();
        if fsync != Fsync::Always {
            world.commit();
        }
        let error = world.sync().unwrap_err().to_string();
        assert!(error.starts_with("cannot make safe "), "{error}");
        assert!(!world.output.is_open() && !world.output.is_safe());
        world.write("two\n").unwrap();
        world.sync().unwrap();
        world.commit();
        assert!(world.output.is_safe());
        assert_eq!(world.text("f"), expected);
    }
}

#[test]
fn what_could_not_be_made_safe_and_is_not_remembered_is_an_error() {
    // Two lines of four bytes are accepted, and then not made safe.
    for (is_remembered, expected) in [(true, None), (false, Some("bytes=8"))] {
        let mut world = world(Fsync::Interval(Duration::ZERO));
        world.write("one\n").unwrap();
        world.sync().unwrap();
        let (_reader, writer) = io::pipe().unwrap();
        world.replace(File::from(OwnedFd::from(writer)));
        world.commit();
        world.recent.take("f");
        for _ in 0..2 {
            world.output.waiting.push_back(b"two\n".to_vec());
            world.output.append().unwrap();
            world.commit();
        }
        if !is_remembered {
            world.recent.take("f");
        }
        let logged = logged(|| drop(world.sync().unwrap_err()));
        let error = logged.lines().find(|line| line.contains("ERROR"));
        assert_eq!(error.is_some(), expected.is_some(), "{logged}");
        assert!(error.is_none_or(|line| line.contains("lines may be lost")));
        assert!(
            expected.is_none_or(|bytes| logged.contains(bytes)),
            "{logged}"
        );
    }
}

/// What is logged in the meantime.
fn logged(work: impl FnOnce()) -> String {
    let mut file = tempfile::tempfile().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(Arc::new(file.try_clone().unwrap()))
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    file.rewind().unwrap();
    io::read_to_string(file).unwrap()
}

#[test]
fn half_a_line_is_finished_before_the_file_is_let_go_of() {
    let mut world = world(Fsync::Never);
    let (reader, writer) = io::pipe().unwrap();
    let writer = File::from(OwnedFd::from(writer));
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    world.replace(writer);
    let line = format!("{}\n", "x".repeat(100_000));
    world.output.waiting.push_back(line.clone().into_bytes());
    assert!(world.output.append().is_err());
    world.output.close(&world.rules, &mut world.recent).unwrap();
    assert!(world.output.is_open(), "half a line is in it");
    let reading = thread::spawn(move || io::read_to_string(reader).unwrap());
    while world.output.append().is_err() {}
    world.output.close(&world.rules, &mut world.recent).unwrap();
    assert_eq!(reading.join().unwrap(), line);
}

#[test]
fn a_file_without_room_holds_its_lines_until_there_is_some() {
    let mut world = world(Fsync::Always);
    world.replace(File::options().append(true).open("/dev/full").unwrap());
    world.output.waiting.push_back(b"one\n".to_vec());
    let error = world.output.append().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    world.output.open = None;
    world.write("two\n").unwrap();
    assert_eq!(world.text("f"), "one\ntwo\n");
}
