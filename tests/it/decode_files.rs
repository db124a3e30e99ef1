//! `decode`: which files the arguments name, and files of Event Hubs Capture.

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::types::Value as Avro;
use apache_avro::{Codec, Schema, Writer};
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{Ended, Program, command};

const BODY: &str = r#"{"MessageName":"NAME","PrimaryEntityName":"account","OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73","InputParameters":[{"key":"a","value":1}]}"#;

/// The program in a directory where these files are; the message of each body is named as its file.
fn decode(folder: &Path, arguments: &[&str]) -> Ended {
    let arguments = ["decode"].iter().chain(arguments).copied();
    Program::start(command(arguments).current_dir(folder)).wait()
}

fn folder(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, BODY.replace("NAME", name)).unwrap();
    }
    folder
}

/// The messages of the documents, in their order.
fn messages(ended: &Ended) -> Vec<String> {
    let lines = ended.stdout.iter();
    let documents = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    documents
        .map(|document| document["MessageName"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn directories_and_patterns_give_the_files_in_order_without_the_hidden_ones() {
    let folder = folder(&[
        "b.json",
        "a.json",
        "c.xml",
        ".hidden.json",
        "deep/er/d.json",
        "deep/.git/e.json",
        "star*.json",
    ]);
    for (arguments, expected) in [
        (
            &["."][..],
            &["a.json", "b.json", "c.xml", "deep/er/d.json", "star*.json"][..],
        ),
        (&["*.json"], &["a.json", "b.json", "star*.json"]),
        (
            &["**/*.json"],
            &["a.json", "b.json", "deep/er/d.json", "star*.json"],
        ),
        (&["[bc].*", "d*p"], &["b.json", "c.xml", "deep/er/d.json"]),
        // A name that is there is no pattern.
        (&["star*.json", "a.json"], &["star*.json", "a.json"]),
        (&[".hidden.json"], &[".hidden.json"]),
    ] {
        let ended = decode(folder.path(), arguments);
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        assert_eq!(messages(&ended), expected, "{arguments:?}");
    }
}

#[test]
fn an_argument_that_names_nothing_is_told_and_the_others_are_decoded() {
    let folder = folder(&["a.json"]);
    fs::create_dir(folder.path().join("empty")).unwrap();
    for (argument, reason) in [
        ("empty", "empty: no file is in this directory"),
        ("*.xml", "*.xml: no file has a name like this"),
        ("a[.json", "a[.json: no pattern of file names: "),
        ("b.json", "b.json: cannot be read: "),
    ] {
        let ended = decode(folder.path(), &[argument, "a.json"]);
        assert_eq!(ended.status.code(), Some(66), "{argument}");
        assert!(ended.stderr.starts_with(reason), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert_eq!(messages(&ended), ["a.json"]);
    }
}

#[cfg(unix)]
#[test]
fn a_directory_that_links_back_to_itself_ends() {
    let folder = folder(&["in/a.json"]);
    std::os::unix::fs::symlink("..", folder.path().join("in/up")).unwrap();
    let ended = decode(folder.path(), &["in"]);
    assert_eq!(ended.status.code(), Some(66));
    assert!(
        ended.stderr.contains("up: cannot be read: a link back to "),
        "{}",
        ended.stderr
    );
    assert_eq!(messages(&ended).first().unwrap(), "in/a.json");
}

#[cfg(unix)]
#[test]
fn a_pattern_of_directories_in_directories_gives_each_file_once() {
    let folder = folder(&["a.json", "in/b.json", "in/deep/c.json", "in/.git/d.json"]);
    for name in ["in/deep/back", "in/deep/again"] {
        std::os::unix::fs::symlink("..", folder.path().join(name)).unwrap();
    }
    let all = ["a.json", "in/b.json", "in/deep/c.json"];
    let prefix = folder.path().to_str().unwrap();
    for (pattern, expected) in [
        ("**", &all[..]),
        ("**/", &all),
        ("**/*", &all),
        ("**/*.json", &all),
        ("i*/**", &all[1..]),
        ("**/deep", &all[2..]),
        ("in/**/deep/**/*", &all[2..]),
        ("./in/**/*", &all[1..]),
        (&format!("{prefix}/in/**/*.json"), &all[1..]),
        ("in/**/.git/*", &["in/.git/d.json"]),
    ] {
        let ended = decode(folder.path(), &[pattern]);
        assert_eq!(messages(&ended), expected, "{pattern}");
        // Both links lead back.
        let told: Vec<_> = ended.stderr.lines().collect();
        assert_eq!((ended.status.code(), told.len()), (Some(66), 2), "{told:?}");
        assert!(told[0].contains("a link back to "), "{told:?}");
    }
    let ended = decode(folder.path(), &["none/**"]);
    assert_eq!(ended.stderr, "none/**: no file has a name like this\n");
}

#[test]
fn a_heading_names_each_of_several_files_and_none_a_single_one() {
    let folder = folder(&["a.json", "b.json"]);
    let ended = decode(folder.path(), &["--output", "pretty", "."]);
    assert_eq!(
        ended.stdout,
        [
            "==> ./a.json <==",
            "a.json account",
            "    a: 1",
            "==> ./b.json <==",
            "b.json account",
            "    a: 1"
        ]
    );
    let ended = decode(folder.path(), &["--output", "pretty", "a.json"]);
    assert_eq!(ended.stdout, ["a.json account", "    a: 1"]);
}

/// The schema that Microsoft documents.
fn schema() -> Schema {
    let values = r#"{"type":"map","values":["long","double","string","bytes"]}"#;
    let text = format!(
        r#"{{"type":"record","name":"EventData","namespace":"Microsoft.ServiceBus.Messaging","fields":[
            {{"name":"SequenceNumber","type":"long"}},{{"name":"Offset","type":"string"}},
            {{"name":"EnqueuedTimeUtc","type":"string"}},{{"name":"SystemProperties","type":{values}}},
            {{"name":"Properties","type":{values}}},{{"name":"Body","type":["null","bytes"]}}]}}"#
    );
    Schema::parse_str(&text).unwrap()
}

/// A capture of events 0, 1, ... with these bodies, each in a block of its own.
fn capture(bodies: &[Vec<u8>], time: &str, codec: Codec) -> Vec<u8> {
    let schema = schema();
    let mut writer = Writer::with_codec(&schema, Vec::new(), codec).unwrap();
    for (number, body) in (0..).zip(bodies) {
        let fields = [
            ("SequenceNumber", Avro::Long(number)),
            ("Offset", Avro::String(format!("{number}00"))),
            ("EnqueuedTimeUtc", Avro::String(time.into())),
            ("SystemProperties", Avro::Map([].into())),
            ("Properties", Avro::Map([].into())),
            ("Body", Avro::Union(1, Box::new(Avro::Bytes(body.clone())))),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        writer.append_value(Avro::Record(fields.into())).unwrap();
        writer.flush().unwrap();
    }
    writer.into_inner().unwrap()
}

fn documents(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.iter();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Files that fastavro made: see `make.py` beside them.
fn made_by_others() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/capture")
}

#[test]
fn a_capture_that_others_wrote_gives_a_line_for_each_event() {
    for codec in ["null", "deflate", "snappy"] {
        let name = format!("{codec}.avro");
        let ended = decode(&made_by_others(), &[&name]);
        assert_eq!(ended.status.code(), Some(65), "{}", ended.stderr);
        let documents = documents(&ended);
        assert_eq!(documents.len(), 5, "{codec}");
        let first = &documents[0];
        assert_eq!(first["sequence_number"], 7);
        assert_eq!(first["offset"], "4295017848");
        assert_eq!(first["enqueued_time"], "2026-06-25T15:47:29Z");
        assert_eq!(first["partition_key"], "accounts");
        // In the order of the file.
        let properties = r#""properties":{"ContentType":"application/json","Retries":2,"Share":0.5,"Token":"AP8=","Nobody":null}"#;
        assert!(ended.stdout[0].contains(properties), "{}", ended.stdout[0]);
        assert_eq!(first["context"]["MessageName"], "Create");
        assert!(first.get("namespace").is_none() && first.get("partition").is_none());
        let formats = [0, 1, 2].map(|place| documents[place]["context"]["@format"].clone());
        assert_eq!(formats, ["json", "xml", "binary"]);
        assert_eq!(documents[1]["enqueued_time"], "2026-12-01T00:00:05Z");
        assert_eq!(documents[3]["undecodable"]["body"], "bm8gY29udGV4dA==");
        assert_eq!(documents[4]["undecodable"]["body"], "");
        assert_eq!(
            ended.stderr.lines().collect::<Vec<_>>(),
            [
                format!(
                    "{name}#10: unknown format at 1:1: the body begins with 0x6e, as neither JSON nor XML does"
                ),
                format!("{name}#11: unknown format at 1:1: the body is empty"),
            ]
        );
    }
}

#[test]
fn a_capture_is_known_by_its_first_bytes_also_on_standard_input() {
    use std::io::Write as _;
    let body = BODY.replace("NAME", "Create").into_bytes();
    let file = capture(&[body], "6/25/2026 3:47:29 PM", Codec::Null);
    let arguments = ["decode", "--output", "pretty", "-"];
    let (program, mut input) = Program::start_with_input(&mut command(arguments));
    input.write_all(&file).unwrap();
    drop(input);
    let ended = program.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout, ["==> -#0 <==", "Create account", "    a: 1"]);
}

#[test]
fn a_capture_that_was_cut_off_gives_what_is_whole_and_says_where_it_ends() {
    let folder = folder(&["z.json"]);
    let bodies = ["One", "Two"].map(|name| BODY.replace("NAME", name).into_bytes());
    let file = capture(
        &bodies,
        "6/25/2026 3:47:29 PM",
        Codec::Deflate(Default::default()),
    );
    fs::write(folder.path().join("cut"), &file[..file.len() - 9]).unwrap();
    let ended = decode(folder.path(), &["cut", "z.json"]);
    assert_eq!(ended.status.code(), Some(65));
    let documents = documents(&ended);
    assert_eq!(documents[0]["context"]["MessageName"], "One");
    assert_eq!(documents[1]["MessageName"], "z.json");
    assert!(
        ended
            .stderr
            .starts_with("cut: the file ends within the block at byte ")
            && ended
                .stderr
                .trim_end()
                .ends_with(", behind event 0: it was cut off"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_time_that_nobody_knows_is_told_and_the_event_is_decoded() {
    let folder = folder(&[]);
    let body = BODY.replace("NAME", "Create").into_bytes();
    let file = capture(&[body], "noon", Codec::Null);
    fs::write(folder.path().join("c"), file).unwrap();
    let ended = decode(folder.path(), &["c"]);
    assert_eq!(ended.status.code(), Some(65));
    assert!(
        ended
            .stderr
            .starts_with("c#0: EnqueuedTimeUtc is no time: \"noon\""),
        "{}",
        ended.stderr
    );
    let document = &documents(&ended)[0];
    assert!(document.get("enqueued_time").is_none());
    assert_eq!(document["context"]["MessageName"], "Create");
}

#[test]
fn an_avro_file_of_something_else_is_refused() {
    let folder = folder(&[]);
    let schema =
        r#"{"type":"record","name":"Reading","fields":[{"name":"Celsius","type":"double"}]}"#;
    let schema = Schema::parse_str(schema).unwrap();
    let mut writer = Writer::with_codec(&schema, Vec::new(), Codec::Null).unwrap();
    let reading = vec![("Celsius".to_owned(), Avro::Double(21.0))];
    writer.append_value(Avro::Record(reading)).unwrap();
    fs::write(folder.path().join("r.avro"), writer.into_inner().unwrap()).unwrap();
    let ended = decode(folder.path(), &["r.avro"]);
    assert_eq!(ended.status.code(), Some(65));
    assert_eq!(
        ended.stderr.trim_end(),
        "r.avro: an Avro file, but not of Event Hubs Capture: its records have no field SequenceNumber"
    );
}
