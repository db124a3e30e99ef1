//! What is taken over from a file, what is not, and what is said of it.

use std::io::{self, Write};
use std::sync::Arc;

use time::macros::datetime;

use super::*;
use crate::receiver::Transport;

const OLD: &str =
    "Endpoint=sb://ns.example/;SharedAccessKeyName=n;SharedAccessKey=OLD;EntityPath=eh1";

/// A file that said `OLD`, and what was logged since.
struct World {
    target: ConnectionString,
    current: Current,
    log: Log,
}

#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl World {
    fn new(text: &str) -> Self {
        let target: ConnectionString = text.parse().unwrap();
        let credential = target.credential().clone();
        Self {
            current: Current::in_file(
                "/run/secrets/eventhub".into(),
                credential,
                Secret::new(text),
            ),
            target,
            log: Log::default(),
        }
    }

    /// What is logged when this is done.
    fn logged(&self, work: impl FnOnce()) -> String {
        let log = self.log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || log.clone())
            .with_ansi(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(std::mem::take(&mut *self.log.0.lock().unwrap())).unwrap();
        assert!(!text.contains("NEW") && !text.contains("OLD"), "{text}");
        text
    }

    fn says(&self, read: Result<&str, &str>) -> String {
        let read = read.map(Secret::new).map_err(str::to_owned);
        self.logged(|| self.current.take_over(read, &self.target, "EH1"))
    }

    #[track_caller]
    fn check(&self, key: &str, version: u64) {
        let expected = Credential::SharedAccessKey {
            name: "n".into(),
            key: Secret::new(key),
        };
        assert_eq!(self.current.credential(), (expected, version));
    }
}

#[test]
fn what_the_file_says_is_taken_over_when_it_is_something_else() {
    let world = World::new(OLD);
    assert_eq!(world.says(Ok(OLD)), "");
    assert_eq!(world.says(Ok(&format!(" {OLD};\n"))), "");
    world.check("OLD", 0);
    let said = world.says(Ok(&OLD.replace("OLD", "NEW")));
    assert!(said.contains("INFO"), "{said}");
    assert!(said.contains("/run/secrets/eventhub"), "{said}");
    world.check("NEW", 1);
    assert_eq!(world.says(Ok(&OLD.replace("OLD", "NEW"))), "");
    world.check("NEW", 1);
    // The hub may be named elsewhere.
    world.says(Ok(
        "Endpoint=sb://NS.example;SharedAccessKeyName=n;SharedAccessKey=NEWER",
    ));
    world.check("NEWER", 2);
}

#[test]
fn a_file_that_is_of_no_use_is_told_once_and_changes_nothing() {
    let world = World::new(OLD);
    for (read, expected) in [
        (Err("it cannot be read: no such file"), "cannot be read"),
        (Ok(""), "the connection string is empty"),
        (Ok("Endpoint=sb://ns.example/;NEW"), "part 2"),
        (
            Ok("Endpoint=sb://other.example/;SharedAccessKeyName=n;SharedAccessKey=NEW"),
            "another namespace",
        ),
        (
            Ok(
                "Endpoint=sb://ns.example/;SharedAccessKeyName=n;SharedAccessKey=NEW;EntityPath=eh2",
            ),
            "another event hub",
        ),
    ] {
        let said = world.says(read);
        assert!(said.contains(expected) && said.contains("WARN"), "{said}");
        assert!(said.contains("/run/secrets/eventhub"), "{said}");
        assert_eq!(world.says(read), "", "{expected}");
        world.check("OLD", 0);
    }
    assert_eq!(world.says(Ok(OLD)), "");
    assert!(world.says(Ok("")).contains("empty"));
}

#[test]
fn the_end_of_a_signature_is_told_ahead_and_each_time_once() {
    let world = World::new(
        "Endpoint=sb://ns/;SharedAccessSignature=SharedAccessSignature sr=x&sig=OLD&se=1700000000&skn=n",
    );
    let end = datetime!(2023-11-14 22:13:20 UTC);
    let check = |left: time::Duration, level: &str, words: &str| {
        let said = world.logged(|| world.current.tell_end(end - left));
        assert!(said.contains(level), "{left}: {said}");
        assert!(
            said.contains("expires 2023-11-14T22:13:20Z"),
            "{left}: {said}"
        );
        assert!(said.trim_end().ends_with(words), "{left}: {said}");
        for later in [left, left - time::Duration::MINUTE] {
            assert_eq!(world.logged(|| world.current.tell_end(end - later)), "");
        }
    };
    check(time::Duration::days(30), "INFO", "Z");
    check(time::Duration::hours(23), "WARN", "in less than a day");
    check(time::Duration::minutes(59), "WARN", "in less than an hour");
}

#[test]
fn an_identity_takes_over_another_secret() {
    let proof = |secret: &str| crate::receiver::Proof::ClientSecret {
        tenant_id: "t".into(),
        client_id: "c".into(),
        secret: Secret::new(secret),
    };
    let identity = |secret: &str| {
        crate::receiver::Identity::new(proof(secret), &Transport::default()).unwrap()
    };
    let target = ConnectionString::of_identity("ns", identity("OLD")).unwrap();
    let world = World {
        current: Current::in_file(
            "/run/secrets/eventhub".into(),
            target.credential().clone(),
            Secret::new("OLD"),
        ),
        target,
        log: Log::default(),
    };
    assert_eq!(world.says(Ok("OLD")), "");
    assert!(world.says(Ok("NEW")).contains("INFO"));
    let expected = Credential::Entra(identity("NEW"));
    assert_eq!(world.current.credential(), (expected, 1));
    assert!(world.says(Ok("")).contains("WARN"));
}

#[tokio::test]
async fn a_file_that_keeps_its_readers_waiting_keeps_nobody_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("secret");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut world = World::new(OLD);
    world.current.file = Some(pipe.clone());
    let patience = 3 * READ_LIMIT;
    let look = world.current.look_at_opening(&world.target, "eh1");
    let looked = timeout(patience, look).await;
    // Only now somebody writes: what was begun ends, and counts.
    let new = OLD.replace("OLD", "NEW");
    std::fs::write(&pipe, new).unwrap();
    assert!(looked.is_ok(), "the opening hangs");
    world.check("OLD", 0);
    world.current.look_at_opening(&world.target, "eh1").await;
    world.check("NEW", 1);
}
