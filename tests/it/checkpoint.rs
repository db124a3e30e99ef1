//! `checkpoint`: what people can see and change of a store that no daemon uses.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::world::{Ended, Program, command};

const EVENTS: &str = "contoso.servicebus.windows.net Events $Default";

/// A configuration with a file store, in a directory of its own.
struct Store {
    folder: TempDir,
    config: PathBuf,
}

impl Store {
    fn new(hubs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("daemon.toml");
        let hubs: String = hubs
            .iter()
            .map(|hub| {
                format!(
                    "[[hub]]\nconnection_string = \"Endpoint=sb://contoso.servicebus.windows.net;SharedAccessKeyName=k;SharedAccessKey=hunter2;EntityPath={hub}\"\n"
                )
            })
            .collect();
        let state = folder.path().join("state");
        let text = format!(
            "[checkpoint]\npath = \"{}\"\n{hubs}[[sink]]\nname = \"a\"\ntype = \"stdout\"\n",
            state.display()
        );
        fs::write(&config, text).unwrap();
        Self { folder, config }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn file(&self, partition: &str) -> PathBuf {
        self.path("state/contoso.servicebus.windows.net/events/$default")
            .join(format!("{partition}.json"))
    }

    fn command(&self, action: &str, arguments: &[&str]) -> Command {
        let config = [
            "checkpoint",
            action,
            "--config",
            self.config.to_str().unwrap(),
        ];
        command(config.into_iter().chain(arguments.iter().copied()))
    }

    fn run(&self, action: &str, arguments: &[&str]) -> Ended {
        Program::start(&mut self.command(action, arguments)).wait()
    }

    /// The lines that a command prints which does what it is asked for.
    #[track_caller]
    fn lines(&self, action: &str, arguments: &[&str]) -> Vec<String> {
        let ended = self.run(action, arguments);
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        ended.stdout
    }

    /// What is said by a command that is refused with this exit code.
    #[track_caller]
    fn refused(&self, action: &str, arguments: &[&str], code: i32) -> String {
        let ended = self.run(action, arguments);
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        ended.stderr
    }

    fn list(&self) -> Vec<Value> {
        self.lines("list", &["--format", "json"])
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Where each partition goes on, as (partition, start).
    fn starts(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.list()
            .iter()
            .map(|record| (text(&record["partition"]), text(&record["start"])))
            .collect()
    }

    fn set(&self, partition: &str, to: &str) {
        self.lines("set", &["--partition", partition, "--to", to]);
    }
}

#[test]
fn what_is_set_is_listed_and_what_is_reset_is_gone() {
    let store = Store::new(&["Events"]);
    let set = [
        "--partition",
        "10",
        "--partition",
        "9",
        "--to",
        "sequence:40",
    ];
    let expected = [
        format!("{EVENTS} partition 10: no checkpoint -> from sequence:40"),
        format!("{EVENTS} partition 9: no checkpoint -> from sequence:40"),
    ];
    assert_eq!(store.lines("set", &set), expected);
    assert_eq!(
        store.lines("set", &["--partition", "9", "--to", "earliest"]),
        [format!(
            "{EVENTS} partition 9: from sequence:40 -> from earliest"
        )]
    );
    let shown = store.lines("list", &[]);
    assert!(shown[0].starts_with("NAMESPACE "), "{shown:?}");
    assert!(shown[1].ends_with("set: from earliest"), "{shown:?}");
    assert!(shown[2].ends_with("set: from sequence:40"), "{shown:?}");
    assert_eq!(
        store.lines("reset", &["--partition", "9", "--partition", "7"]),
        [format!(
            "{EVENTS} partition 9: from earliest -> no checkpoint"
        )]
    );
    assert_eq!(
        store.starts(),
        [("10".to_owned(), "sequence:40".to_owned())]
    );
    store.lines("reset", &["--all"]);
    assert_eq!(store.list(), [Value::Null; 0]);
}

#[test]
fn a_dry_run_prints_the_same_and_changes_nothing() {
    let store = Store::new(&["Events"]);
    let set = ["--partition", "0", "--to", "offset:77"];
    let told = store.lines("set", &[&set[..], &["--dry-run"]].concat());
    assert!(!store.path("state").exists());
    assert_eq!(store.lines("set", &set), told);
    let before = fs::read(store.file("0")).unwrap();
    let told = store.lines("reset", &["--all", "--dry-run"]);
    assert_eq!(fs::read(store.file("0")).unwrap(), before);
    assert_eq!(store.lines("reset", &["--all"]), told);
}

#[test]
fn what_was_exported_is_imported_elsewhere() {
    let store = Store::new(&["Events"]);
    store.set("0", "sequence:1");
    store.set("1", "time:2026-01-31T12:00:00Z");
    let file = store.path("copy.json");
    let file = file.to_str().unwrap();
    assert_eq!(store.lines("export", &[file]), [""; 0]);
    let printed = store.lines("export", &[]).join("\n");
    assert_eq!(printed.trim(), fs::read_to_string(file).unwrap().trim());

    let other = Store::new(&["events"]);
    other.set("1", "earliest");
    other.set("2", "earliest");
    let told = other.lines("import", &[file, "--dry-run"]);
    let expected = [
        format!("{EVENTS} partition 0: no checkpoint -> from sequence:1"),
        format!("{EVENTS} partition 1: from earliest -> from time:2026-01-31T12:00:00Z"),
    ];
    assert_eq!(told, expected);
    assert_eq!(other.starts().len(), 2);
    assert_eq!(other.lines("import", &[file]), expected);
    let kept = [("2".to_owned(), "earliest".to_owned())];
    assert_eq!(other.starts(), [store.starts(), kept.to_vec()].concat());
    // Once more there is nothing to do.
    assert_eq!(other.lines("import", &[file]), [""; 0]);
}

#[test]
fn a_document_with_a_mistake_changes_nothing() {
    let store = Store::new(&["Events"]);
    store.set("0", "sequence:1");
    let file = store.path("copy.json");
    let copy = store.lines("export", &[]).join("\n");
    for (content, said) in [
        (
            copy.replace("sequence:1", "latest"),
            "checkpoints[0] has a \"start\" that is wrong",
        ),
        ("{}".to_owned(), "is no document of `checkpoint export`"),
        (copy[..copy.len() / 2].to_owned(), "is not JSON"),
    ] {
        fs::write(&file, content).unwrap();
        let stderr = store.refused("import", &[file.to_str().unwrap()], 65);
        assert!(
            stderr.contains("copy.json: ") && stderr.contains(said),
            "{stderr}"
        );
    }
    let missing = store.path("no-such-file");
    store.refused("import", &[missing.to_str().unwrap()], 66);
    assert_eq!(store.starts(), [("0".to_owned(), "sequence:1".to_owned())]);
}

#[test]
fn what_leaves_open_which_hub_is_refused_with_those_there_are() {
    let store = Store::new(&["Events", "audit"]);
    let stderr = store.refused("set", &["--partition", "0", "--to", "earliest"], 64);
    assert!(stderr.contains("several hubs may be meant"), "{stderr}");
    assert!(stderr.contains("windows.net audit $Default"), "{stderr}");
    let stderr = store.refused(
        "set",
        &["--hub", "adit", "--partition", "0", "--to", "earliest"],
        64,
    );
    assert!(
        stderr.contains("no [[hub]] of the configuration is meant"),
        "{stderr}"
    );
    for hub in ["EVENTS", "audit"] {
        store.lines(
            "set",
            &["--hub", hub, "--partition", "0", "--to", "earliest"],
        );
    }
    let stderr = store.refused("reset", &["--partition", "0"], 64);
    assert!(stderr.contains("several hubs may be meant"), "{stderr}");
    assert_eq!(store.lines("list", &["--hub", "Audit"]).len(), 2);
    store.lines("reset", &["--partition", "0", "--hub", "audit"]);
    assert_eq!(store.list().len(), 1);
    for action in ["set", "reset"] {
        let to: &[&str] = if action == "set" {
            &["--to", "earliest", "--hub", "audit"]
        } else {
            &[]
        };
        let stderr = store.refused(action, to, 64);
        assert!(stderr.contains("choose with --partition"), "{stderr}");
    }
}

#[test]
fn a_place_that_moves_with_the_clock_is_refused() {
    let store = Store::new(&["Events"]);
    for to in ["latest", "-2h", "now"] {
        store.refused("set", &["--partition", "0", "--to", to], 64);
    }
}

#[test]
fn a_damaged_checkpoint_is_listed_not_exported_and_can_be_set() {
    let store = Store::new(&["Events"]);
    store.set("0", "earliest");
    store.set("1", "earliest");
    fs::write(store.file("0"), "{\"versio").unwrap();
    let ended = store.run("list", &[]);
    assert_eq!(ended.status.code(), Some(65), "{}", ended.stderr);
    assert!(
        ended.stdout[1].ends_with("unreadable"),
        "{:?}",
        ended.stdout
    );
    assert!(
        ended.stdout[2].ends_with("set: from earliest"),
        "{:?}",
        ended.stdout
    );
    for (stderr, action) in [
        (ended.stderr, "list"),
        (store.refused("export", &[], 65), "export"),
    ] {
        let path = store.file("0").display().to_string();
        assert!(stderr.contains(&path), "{action}: {stderr}");
        assert!(
            stderr.contains("`dataverse-listener checkpoint set`"),
            "{action}: {stderr}"
        );
    }
    let copy = store.lines("export", &["--partition", "1"]).join("");
    assert!(
        copy.contains("\"partition\": \"1\"") && !copy.contains("\"0\""),
        "{copy}"
    );
    assert_eq!(
        store.lines("set", &["--partition", "0", "--to", "sequence:5"]),
        [format!(
            "{EVENTS} partition 0: unreadable -> from sequence:5"
        )]
    );
    assert_eq!(store.starts()[0].1, "sequence:5");
}

/// Runs a command that cannot write a byte to any file, as on a full disk.
fn without_space(command: &Command) -> Ended {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .stderr(Stdio::piped());
    Program::start(&mut shell).wait()
}

#[test]
fn a_write_that_fails_leaves_the_old_checkpoint() {
    let store = Store::new(&["Events"]);
    store.set("0", "sequence:1");
    let ended = without_space(&store.command("set", &["--partition", "0", "--to", "sequence:2"]));
    assert_eq!(ended.status.code(), Some(74), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("0.json cannot be used"),
        "{}",
        ended.stderr
    );
    assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
    assert_eq!(store.starts(), [("0".to_owned(), "sequence:1".to_owned())]);
    let files = fs::read_dir(store.file("0").parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1, "nothing is left behind");
    store.set("0", "sequence:2");
}

#[test]
fn checkpoints_in_memory_are_nobodys_to_see() {
    let store = Store::new(&["Events"]);
    let config = fs::read_to_string(&store.config).unwrap();
    fs::write(
        &store.config,
        config.replace("path =", "store = \"memory\" #"),
    )
    .unwrap();
    for (action, arguments) in [
        ("list", &[][..]),
        ("export", &[]),
        ("reset", &["--all", "--dry-run"]),
        ("reset", &["--all"]),
    ] {
        let stderr = store.refused(action, arguments, 78);
        assert!(stderr.contains("[checkpoint] store = \"file\""), "{stderr}");
    }
}
