//! `decode`: files in, documents out, exit codes.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::{Ended, Program, bodies, command};

#[test]
fn every_file_becomes_one_line() {
    let files = bodies(".json");
    let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let ended = Program::start(&mut command(["decode"].into_iter().chain(names))).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.len(), files.len());
    for (file, line) in files.iter().zip(&ended.stdout) {
        let document: Value = serde_json::from_str(line).unwrap();
        let body: Value = serde_json::from_slice(
            fs::read(file)
                .unwrap()
                .trim_ascii_start()
                .strip_prefix(b"\xef\xbb\xbf")
                .unwrap_or(&fs::read(file).unwrap()),
        )
        .unwrap();
        assert_eq!(
            document["MessageName"],
            body["MessageName"],
            "{}",
            file.display()
        );
        assert_eq!(document["@format"], "json");
    }
}

#[test]
fn a_bad_file_is_named_and_the_others_are_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.json");
    fs::write(&bad, r#"{"MessageName": "hunter2", "#).unwrap();
    let good = bodies(".xml").remove(0);
    let arguments = [
        "decode",
        bad.to_str().unwrap(),
        good.to_str().unwrap(),
        "no-such-file",
    ];
    let ended = Program::start(&mut command(arguments)).wait();
    assert_eq!(ended.status.code(), Some(65));
    assert_eq!(ended.stdout.len(), 1);
    assert_eq!(ended.stderr.lines().count(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("bad.json: "), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no-such-file: cannot be read"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_named_format_is_not_second_guessed() {
    let json = bodies(".json").remove(0);
    let ended = Program::start(&mut command([
        "decode",
        "--format",
        "xml",
        json.to_str().unwrap(),
    ]))
    .wait();
    assert_eq!(ended.status.code(), Some(65), "{}", ended.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let files = bodies(".json");
    let names = files
        .iter()
        .map(|file| file.to_str().unwrap())
        .cycle()
        .take(2000);
    let program = Program::start(&mut command(["decode"].into_iter().chain(names)));
    assert_eq!(program.hang_up(), "");
}

/// What `decode --output pretty` prints of a body.
fn pretty(body: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    fs::write(&file, body).unwrap();
    let ended = Program::start(&mut command([
        "decode",
        "--output",
        "pretty",
        file.to_str().unwrap(),
    ]))
    .wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    ended.stdout.join("\n")
}

#[test]
fn a_change_is_shown_as_old_and_new_for_a_person() {
    for extension in [".json", ".xml"] {
        let bodies = bodies(extension);
        let update = bodies
            .iter()
            .find(|body| body.to_string_lossy().contains("a02-update"));
        assert_eq!(
            pretty(&fs::read(update.unwrap()).unwrap()),
            "Update contact \"Anna-Maija Mäkelä\" 6420f0cc-916b-ee11-9ae6-000d3a688809\n    \
             telephone1        \"0000\" -> \"1111\"\n    \
             birthdate         1980-02-29T00:00:00Z\n    \
             parentcustomerid  account \"Fabrikam & Sons\""
        );
    }
}

#[test]
fn a_truncated_context_is_marked() {
    let body = r#"{"MessageName":"Update","PrimaryEntityName":"account","PrimaryEntityId":"6420f0cc-916b-ee11-9ae6-000d3a688809",
        "InputParameters":[],"PreEntityImages":[],"PostEntityImages":[],"ParentContext":null}"#;
    let shown = pretty(body.as_bytes());
    assert!(
        shown.starts_with("Update account 6420f0cc-916b-ee11-9ae6-000d3a688809\n"),
        "{shown}"
    );
    assert!(shown.contains("TRUNCATED"), "{shown}");
}

#[test]
fn many_columns_are_counted_and_not_all_shown() {
    let attributes: Vec<String> = (0..30)
        .map(|n| format!(r#"{{"key":"column{n}","value":{n}}}"#))
        .collect();
    let body = format!(
        r#"{{"MessageName":"Create","InputParameters":[{{"key":"Target","value":{{"__type":"Entity:http://schemas.microsoft.com/xrm/2011/Contracts","Attributes":[{},{{"key":"createdon","value":"x"}}]}}}}]}}"#,
        attributes.join(",")
    );
    let shown = pretty(body.as_bytes());
    assert!(
        shown.contains("column11") && !shown.contains("column12") && !shown.contains("createdon"),
        "{shown}"
    );
    assert!(shown.ends_with("and 19 more columns"), "{shown}");
}

/// `decode` with the body of the corpus that names its root by a number, and these options.
fn numbered(options: &[&str]) -> Ended {
    let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus/odd");
    let body = odd.join("x11-static-dictionary.bin");
    let options = options.iter().copied();
    let arguments = ["decode"].into_iter().chain(options);
    Program::start(command(arguments).arg(body)).wait()
}

#[test]
fn strings_of_the_sender_s_own_are_given_in_a_file() {
    let strings = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/corpus/odd/x11-static-dictionary.strings.txt");
    let strings = strings.to_str().unwrap();
    let ended = numbered(&["--dictionary", strings, "--explain"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(document["MessageName"], "Update");
    let told = "x11-static-dictionary.bin: format: binary: it begins with B";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);

    let ended = numbered(&["--format", "binary"]);
    assert_eq!(ended.status.code(), Some(65), "{}", ended.stderr);
    let told = "the root element has a number for a name; where the sender has a dictionary of its own, give its strings (decode.dictionary)";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[test]
fn a_file_of_strings_that_is_none_is_told_before_anything_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("strings.txt");
    for (bytes, reason) in [
        (None, "No such file or directory"),
        (Some(&b""[..]), "there is no string in it; write one a line"),
        (Some(b"\xff"), "it is not text in UTF-8"),
    ] {
        if let Some(bytes) = bytes {
            fs::write(&file, bytes).unwrap();
        }
        let ended = numbered(&["--dictionary", file.to_str().unwrap()]);
        assert_eq!(ended.status.code(), Some(66), "{}", ended.stderr);
        assert_eq!(ended.stdout.len(), 0);
        let told = format!("cannot read the strings in {}: {reason}", file.display());
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    }
}
