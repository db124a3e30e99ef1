//! `decode`: a change column by column, and what is said of a body and why.

use std::fs;

use crate::world::{Ended, Program, bodies, command};

fn decode(options: &[&str], body: impl AsRef<[u8]>) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    fs::write(&file, body).unwrap();
    let arguments = ["decode"].iter().chain(options).copied().chain(["body"]);
    Program::start(command(arguments).current_dir(folder.path())).wait()
}

fn diff(body: impl AsRef<[u8]>) -> Vec<String> {
    let ended = decode(&["--output", "diff"], body);
    assert!(ended.status.success(), "{}", ended.stderr);
    ended.stdout
}

const ENTITY: &str =
    r#""__type":"Entity:http://schemas.microsoft.com/xrm/2011/Contracts","LogicalName":"account""#;
const OPTION: &str = r#""__type":"OptionSetValue:http://schemas.microsoft.com/xrm/2011/Contracts""#;
const ID: &str = "6420f0cc-916b-ee11-9ae6-000d3a688809";
const OTHER: &str = "7531f0cc-916b-ee11-9ae6-000d3a688809";

/// A context with these input parameters and images, each text the inside of a JSON array.
fn context(message: &str, input: &str, before: &str, after: &str) -> String {
    format!(
        r#"{{"MessageName":"{message}","PrimaryEntityName":"account","InputParameters":[{input}],"PreEntityImages":[{before}],"PostEntityImages":[{after}]}}"#
    )
}

fn row(id: &str, columns: &str, labels: &str) -> String {
    format!(r#"{{{ENTITY},"Id":"{id}","Attributes":[{columns}],"FormattedValues":[{labels}]}}"#)
}

fn pair(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{value}}}"#)
}

fn joined(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| pair(key, value)).collect();
    pairs.join(",")
}

#[test]
fn each_column_is_shown_as_it_was_and_as_it_is() {
    let option = |value: u8| format!("{{{OPTION},\"Value\":{value}}}");
    let target = row(
        ID,
        &joined(&[
            ("accountid", &format!("\"{ID}\"")),
            ("name", "\"New\""),
            ("fax", "null"),
            ("phone", "\"1\""),
            ("city", "\"Oulu\""),
            ("kept", "7"),
            ("status", &option(2)),
            ("code", "\"abc\""),
        ]),
        "",
    );
    let before = row(
        ID,
        &joined(&[
            ("name", "\"Old\""),
            ("fax", "\"0\""),
            ("phone", "null"),
            ("kept", "7"),
            ("status", &option(1)),
            ("code", "\"x\""),
            ("total", "1.50"),
        ]),
        &pair("status", "\"Open\""),
    );
    let after = row(
        ID,
        &joined(&[
            ("status", &option(2)),
            ("code", "\"ABC\""),
            ("total", "2.00"),
        ]),
        &pair("status", "\"Closed\""),
    );
    let body = context(
        "Update",
        &pair("Target", &target),
        &pair("before", &before),
        &pair("after", &after),
    );
    assert_eq!(
        diff(body),
        [
            &format!("Update account \"New\" {ID}"),
            "    name    \"Old\" -> \"New\"",
            "    fax     \"0\" -> (empty)",
            "    phone   (empty) -> \"1\"",
            "    city    (not in the pre-image) -> \"Oulu\"",
            "    status  1 (Open) -> 2 (Closed)",
            "    code    \"x\" -> \"abc\"  post-image: \"ABC\"",
            "    total   1.50 -> 2.00  not sent",
            "    and 1 column sent as it was",
        ]
    );
}

#[test]
fn without_a_pre_image_it_says_so_and_a_new_row_has_no_old_value() {
    let target = row(ID, &pair("fax", "\"1\""), "");
    for (message, old) in [("Update", "(no pre-image)"), ("Create", "(no row)")] {
        let body = context(message, &pair("Target", &target), "", "");
        assert_eq!(diff(body)[1], format!("    fax  {old} -> \"1\""));
    }
}

#[test]
fn each_row_of_several_is_compared_with_its_own_image() {
    let rows = [
        row(ID, &pair("fax", "\"1\""), ""),
        row(OTHER, &pair("fax", "\"2\""), ""),
    ];
    let targets = format!(
        r#"{{"__type":"EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts","EntityName":"account","Entities":[{}]}}"#,
        rows.join(",")
    );
    let image = row(OTHER, &pair("fax", "\"0\""), "");
    let body = context(
        "UpdateMultiple",
        &pair("Targets", &targets),
        &pair("before", &image),
        "",
    );
    assert_eq!(
        diff(body),
        [
            "UpdateMultiple account 2 rows",
            &format!("  row 1 account {ID}"),
            "    fax  (no pre-image) -> \"1\"",
            &format!("  row 2 account {OTHER}"),
            "    fax  \"0\" -> \"2\"",
        ]
    );
}

#[test]
fn a_message_without_columns_is_no_empty_change() {
    let body = |name: &str| {
        let bodies = bodies(".json");
        let found = bodies
            .iter()
            .find(|body| body.to_string_lossy().contains(name));
        fs::read(found.unwrap()).unwrap()
    };
    let line = |name: &str| diff(body(name)).pop().unwrap();
    assert_eq!(
        line("a03-delete"),
        "    the target is only named: no columns were sent"
    );
    assert_eq!(
        line("a08-retrievemultiple"),
        "    no row was sent: there is no target"
    );
    assert!(diff(body("a28-createmultiple")).len() > 3);
}

#[test]
fn every_body_of_the_corpus_can_be_shown_as_a_change() {
    for extension in [".json", ".xml", ".bin"] {
        let files = bodies(extension);
        let names = files.iter().map(|file| file.to_str().unwrap());
        let options = ["decode", "--explain", "--output", "diff"];
        let ended = Program::start(&mut command(options.into_iter().chain(names))).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        let headings = ended.stdout.iter().filter(|line| line.starts_with("==> "));
        assert_eq!(headings.count(), files.len());
    }
}

#[test]
fn an_explanation_says_what_was_found_and_what_told_it() {
    let target = row(
        ID,
        &pair(
            "fax",
            "{\"__type\":\"Gadget:http://example.com/\",\"Wheels\":4}",
        ),
        "",
    );
    let target = target.replacen('{', "{\"Colour\":1,", 1);
    let body = context("Update", &pair("Target", &target), "", "").replacen(
        '{',
        r#"{"Weather":"fine","Stage":40,"Mode":1,"Depth":2,"ParentContext":{"MessageName":"Merge","PrimaryEntityName":"contact","Stage":30},"#,
        1,
    );
    let marked = format!("\u{feff}{body}");
    let ended = decode(&["--explain", "--output", "pretty"], &marked);
    assert!(ended.status.success(), "{}", ended.stderr);
    let explained: Vec<&str> = ended
        .stdout
        .iter()
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.trim_start())
        .collect();
    assert_eq!(
        explained,
        [
            "format          json: it begins with {",
            "encoding        UTF-8 with a byte order mark",
            &format!("size            {} bytes", marked.len()),
            "message         Update of account",
            "step            stage 40 (post-operation), mode 1 (asynchronous), depth 2",
            "parent          Merge of contact, stage 30 (main operation)",
            "unknown member  Weather",
            "unknown member  InputParameters.Target.Colour",
            "unknown type    Gadget of http://example.com/ at InputParameters.Target.Attributes.fax",
            "truncated       no",
        ]
    );
}

#[test]
fn beside_json_an_explanation_goes_to_standard_error_with_the_name_of_the_file() {
    let body = context("Update", "", "", "");
    let ended = decode(&["--explain"], body);
    assert_eq!(ended.stdout.len(), 1);
    assert!(ended.stdout[0].starts_with('{'));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines[0], "body: format: json: it begins with {");
    assert!(
        lines
            .last()
            .unwrap()
            .starts_with("body: truncated: yes: parameters, images and parent are all empty"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_does_not_decode_is_explained_as_far_as_it_goes() {
    let wrapped = b"@\x06string\x083http://schemas.microsoft.com/2003/10/Serialization/\x99\x03abc";
    for (options, body, format, encoding) in [
        (&[][..], &b"{\0x\0"[..], "json: it begins with {", "UTF-16"),
        (
            &[],
            b"hello",
            "none: it begins with h, as no format does",
            "UTF-8",
        ),
        (&[], b"", "none: there is nothing in it", "UTF-8"),
        (
            &[],
            wrapped,
            "binary: it begins with @",
            ".NET binary XML with nothing but a string in it: neither JSON nor XML",
        ),
        (
            &["--format", "xml"],
            b"{\xff",
            "xml, as --format says; its first bytes say json",
            "not UTF-8 from byte 2 on",
        ),
    ] {
        let options = [&["--explain", "--output", "diff"], options].concat();
        let ended = decode(&options, body);
        assert_eq!(ended.status.code(), Some(65), "{}", ended.stderr);
        assert_eq!(ended.stdout[0], format!("  format          {format}"));
        assert_eq!(ended.stdout[1], format!("  encoding        {encoding}"));
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn as_many_columns_with_labels_as_fit_take_no_longer_than_their_number() {
    let each = |value: fn(usize) -> String| {
        let all: Vec<_> = (0..25_000)
            .map(|n| pair(&format!("k{n}"), &value(n)))
            .collect();
        all.join(",")
    };
    let columns = each(|n| n.to_string());
    let labels = each(|n| format!(r#""no. {n}""#));
    let sent = pair("Target", &row(ID, &columns, ""));
    let before = pair("p", &row(ID, "", &labels));
    let after = pair("p", &row(ID, &columns, &labels));
    let shown = diff(context("Update", &sent, &before, &after));
    assert_eq!(shown.len(), 25_001);
    assert!(
        shown[25_000].ends_with("24999 (no. 24999)"),
        "{}",
        shown[25_000]
    );
}
