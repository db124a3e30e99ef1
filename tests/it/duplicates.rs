//! The same post once more: counted, marked, suppressed, and remembered across a restart.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::hub::Hub;
use crate::world::{Ended, File, Program, daemon, file};

/// Bodies of asynchronous steps, each of an operation of its own: that is its name.
struct Posts {
    create: PathBuf,
    delete: PathBuf,
    folder: TempDir,
}

impl Posts {
    fn write() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, operation: &str| {
            let contexts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus/features");
            let body = fs::read_to_string(contexts.join(name)).unwrap();
            let own = body.replace("1ecf6213-9296-4772-b37c-c09138dd0d59", operation);
            assert_ne!(body, own, "{name}");
            let path = folder.path().join(name);
            fs::write(&path, own).unwrap();
            path
        };
        Self {
            create: write(
                "a01-create-account.json",
                "9d7d1f0e-5f3c-4c58-8a53-000000000001",
            ),
            delete: write("a03-delete.json", "9d7d1f0e-5f3c-4c58-8a53-000000000002"),
            folder,
        }
    }

    fn create(&self) -> &str {
        self.create.to_str().unwrap()
    }

    fn delete(&self) -> &str {
        self.delete.to_str().unwrap()
    }
}

fn configuration(hub: &Hub, duplicates: &str) -> File {
    file(&format!(
        "[[hub]]\nconnection_string = \"{}\"\n[[sink]]\nname = \"console\"\ntype = \"stdout\"\n[duplicates]\n{duplicates}\n",
        hub.connection_string()
    ))
}

/// Takes in what there is until `last` is delivered; the lines and the end.
fn run_until(last: &str, file: &File) -> (Vec<Value>, Ended) {
    let program = daemon(file, &[]);
    let mut documents = Vec::new();
    loop {
        documents.extend(program.documents(1));
        let context = &documents[documents.len() - 1]["context"];
        if context["MessageName"] == last {
            return (documents, stop(program));
        }
    }
}

fn stop(program: Program) -> Ended {
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
    ended
}

#[test]
fn a_repeated_post_is_what_the_table_says() {
    let hub = Hub::start(1);
    let posts = Posts::write();
    hub.simulate([posts.create(), posts.create(), posts.delete()]);
    for (action, lines, marked) in [
        ("count", 3, Value::Null),
        (
            "mark",
            3,
            serde_json::json!({"partition": "0", "sequence_number": 0}),
        ),
        ("suppress", 2, Value::Null),
    ] {
        let file = configuration(&hub, &format!("action = \"{action}\""));
        let (documents, ended) = run_until("Delete", &file);
        assert_eq!(documents.len(), lines, "{action}");
        assert!(documents[0].get("duplicate_of").is_none(), "{action}");
        let member = documents[1].get("duplicate_of");
        assert_eq!(member.cloned().unwrap_or_default(), marked, "{action}");
        let is_counted = ended.stderr.contains("duplicates=1 ");
        assert!(is_counted, "{action}: {}", ended.stderr);
    }
}

#[test]
fn a_restart_remembers_where_there_is_a_file_and_delivers_the_first_again() {
    let hub = Hub::start(2);
    let posts = Posts::write();
    let path = posts.folder.path().join("duplicates");
    let table = format!("action = \"suppress\"\npath = \"{}\"", path.display());
    let file = configuration(&hub, &table);
    hub.simulate(["--partition", "1", posts.create()]);
    let (documents, ended) = run_until("Create", &file);
    assert_eq!(documents.len(), 1);
    assert!(ended.stderr.contains("duplicates=0 "), "{}", ended.stderr);
    assert!(path.exists());

    // Nothing but the window remembers: the hub is read from its beginning.
    hub.simulate(["--partition", "0", posts.create(), posts.delete()]);
    let program = daemon(&file, &[]);
    let mut names: Vec<(Value, Value)> = program
        .documents(2)
        .into_iter()
        .map(|mut document| {
            let name = document["context"]["MessageName"].take();
            (document["partition"].take(), name)
        })
        .collect();
    names.sort_by_key(|(partition, _)| partition.to_string());
    assert_eq!(
        names,
        [("0".into(), "Delete".into()), ("1".into(), "Create".into())]
    );
    let ended = stop(program);
    assert!(ended.stderr.contains("duplicates=1 "), "{}", ended.stderr);
}
