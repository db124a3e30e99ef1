//! What is said of a configuration that is wrong.

use crate::world::{HTTP_LISTEN, Program, command, daemon, file};

#[test]
fn without_a_name_the_configuration_of_the_service_is_meant() {
    for arguments in [["run", "--help"], ["check", "--help"]] {
        let ended = Program::start(&mut command(arguments)).wait();
        let help = ended.stdout.join("\n");
        assert!(
            help.contains("[default: /etc/dataverse-listener/config.toml]"),
            "{help}"
        );
    }
}

#[test]
fn every_mistake_is_told_at_once_and_no_value_with_it() {
    let file = file(
        "tpyo = 1\n[[hub]]\nconnection_string = \"hunter2\"\nstart = \"yesterday\"\n\
         [checkpoint]\nstore = \"memroy\"\n[[sink]]\nname = \"a\"\ntype = \"stdoot\"\n\
         [[sink]]\nname = \"b\"\ntype = \"stdout\"\nformat = \"fancy\"\n[[route]]\nsinks = [\"c\"]\nmesage = \"x\"\n",
    );
    let variables = [("DATAVERSE_LISTENER__SINK__1__COLOUR", "hunter2")];
    let ended = daemon(&file, &variables).wait();
    assert_eq!(ended.status.code(), Some(78));
    for said in [
        "daemon.toml:1: tpyo: unknown key",
        "daemon.toml:3: hub[0].connection_string: ",
        "daemon.toml:4: hub[0].start: ",
        "daemon.toml:6: checkpoint.store: unknown store; did you mean \"memory\"?",
        "daemon.toml:9: sink[0].type: unknown type of sink; did you mean \"stdout\"?",
        "daemon.toml:13: sink[1].format: must be one of pretty, json, original",
        "environment variable DATAVERSE_LISTENER__SINK__1__COLOUR: sink[1].colour: unknown key",
        "daemon.toml:15: route[0].sinks: there is no sink \"c\"",
        "daemon.toml:16: route[0].mesage: unknown key; did you mean \"message\"?",
    ] {
        assert!(
            ended.stderr.contains(said),
            "{said:?} is not in\n{}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn variables_that_name_no_table_are_told_as_what_they_are() {
    let file = file(&format!("{HUB}{SINK}"));
    let variables = [
        ("DATAVERSE_LISTENER__SNIK__0__NAME", "hunter2"),
        ("DATAVERSE_LISTENER__SNIK__0__TYPE", "hunter2"),
        ("DATAVERSE_LISTENER__SINK__3__NAME", "hunter2"),
    ];
    let ended = daemon(&file, &variables).wait();
    assert_eq!(ended.status.code(), Some(78));
    let lines: Vec<&str> = ended.stderr.lines().skip(1).collect();
    let [gap, unknown] = lines[..] else {
        panic!("{lines:?}")
    };
    let expected =
        "environment variable DATAVERSE_LISTENER__SINK__3__NAME: sink[1]: is missing, and this";
    assert!(gap.starts_with(expected), "{gap}");
    let expected = "environment variable DATAVERSE_LISTENER__SNIK__0__NAME: snik: unknown key";
    assert!(unknown.starts_with(expected), "{unknown}");
}

#[test]
fn what_a_table_of_variables_alone_lacks_is_missing_there_and_not_in_the_file() {
    let file = file(&format!("{HUB}{SINK}"));
    let variables = [("DATAVERSE_LISTENER__SINK__1__NAME", "b")];
    let ended = daemon(&file, &variables).wait();
    let told: Vec<&str> = ended.stderr.lines().skip(1).collect();
    let [told] = told[..] else { panic!("{told:?}") };
    let expected =
        "environment variable DATAVERSE_LISTENER__SINK__1__NAME: sink[1].type: is missing";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn a_variable_that_is_no_text_is_told_and_not_passed_over() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let file = file(&format!("{HUB}{SINK}"));
    let path = file.path.to_str().unwrap();
    for arguments in [&["check"][..], &["run"], &["status"]] {
        let mut command = command(arguments.iter().copied().chain(["--config", path]));
        let ended = Program::start(command.env(HTTP_LISTEN, OsStr::from_bytes(b"\xff"))).wait();
        assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
        let expected = format!("environment variable {HTTP_LISTEN}: is not UTF-8");
        let told: Vec<&str> = ended.stderr.lines().skip(1).collect();
        assert_eq!(told, [&*expected]);
    }
}

#[test]
fn check_looks_at_a_configuration_and_does_nothing_else() {
    let sound = file(&format!(
        "{HUB}{SINK}[[sink]]\nname = \"b\"\ntype = \"file\"\ndirectory = \"/nowhere\"\npath = \"all\"\n"
    ));
    let check = |path: &str| Program::start(&mut command(["check", "--config", path])).wait();
    let path = sound.path.to_str().unwrap();
    let ended = check(path);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let expected = format!("{path} is sound: 1 hub, 2 sinks, 0 routes");
    assert_eq!(ended.stdout, [expected]);
    let wrong = file(&format!(
        "{HUB}\n[[sink]]\nname = \"a\"\ntype = \"stdoot\"\n"
    ));
    let ended = check(wrong.path.to_str().unwrap());
    assert_eq!(ended.status.code(), Some(78));
    assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
    let expected = format!("{}:6: sink[0].type: ", wrong.path.to_str().unwrap());
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
    let ended = check("/nowhere/daemon.toml");
    assert_eq!(ended.status.code(), Some(78));
    let expected = "/nowhere/daemon.toml: cannot be read: ";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line_and_not_shown() {
    let file = file("[[hub]]\nconnection_string = \"hunter2\n");
    let ended = daemon(&file, &[]).wait();
    assert_eq!(ended.status.code(), Some(78));
    assert!(ended.stderr.contains("line 2"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

/// What is said of this configuration.
fn said(toml: &str, variables: &[(&str, &str)]) -> String {
    let ended = daemon(&file(toml), variables).wait();
    assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
    ended.stderr
}

const HUB: &str = "[[hub]]\nconnection_string = \"Endpoint=sb://h;SharedAccessKeyName=k;SharedAccessKey=v;EntityPath=e\"\n";
const SINK: &str = "[[sink]]\nname = \"a\"\ntype = \"stdout\"\n";

#[test]
fn a_configuration_that_would_lose_or_garble_everything_is_refused() {
    for (toml, expected) in [
        (
            "hub = []\nsink = []\n".to_owned(),
            "write at least one [[hub]] table",
        ),
        (
            format!("sink = []\n{HUB}"),
            "write at least one [[sink]] table",
        ),
        (
            format!("{HUB}{HUB}{SINK}"),
            "daemon.toml:3: hub[1]: names the same event hub",
        ),
        (
            format!("{HUB}{SINK}{SINK}"),
            "daemon.toml:7: sink[1].name: two sinks are named \"a\"",
        ),
        (
            format!("{HUB}{SINK}[[sink]]\nname = \"b\"\ntype = \"stdout\"\n"),
            "daemon.toml:6: sink[1]: two sinks write to standard output",
        ),
        (
            format!("{HUB}{SINK}[[route]]\nsinks = []\n"),
            "route[0].sinks: names no sink",
        ),
        (
            format!("{HUB}{SINK}[[route]]\nmessage = []\nsinks = [\"a\"]\n"),
            "route[0].message: names none",
        ),
    ] {
        let said = said(&toml, &[]);
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
}

#[test]
fn a_mistake_brings_no_other_with_it() {
    let files =
        "[[sink]]\nname = \"a\"\ntype = \"file\"\n[[sink]]\nname = \"b\"\ntype = \"file\"\n";
    let misspelt = "[[sink]]\nname = \"a\"\ntyp = \"webhook\"\nurl = \"http://h\"\n";
    for (sinks, expected) in [
        (
            files,
            [
                "sink[0].directory: is missing",
                "sink[1].directory: is missing",
            ],
        ),
        (
            misspelt,
            [
                "sink[0].type: is missing",
                "sink[0].typ: unknown key; did you mean \"type\"?",
            ],
        ),
    ] {
        let said = said(&format!("{HUB}{sinks}"), &[]);
        let lines: Vec<&str> = said.lines().skip(1).collect();
        assert_eq!(lines.len(), expected.len(), "{said}");
        for (line, expected) in lines.into_iter().zip(expected) {
            assert!(line.contains(expected), "{expected:?} is not in {line}");
        }
    }
}

#[test]
fn a_mistake_in_a_variable_names_the_variable() {
    let said = said(
        &format!("{HUB}{SINK}"),
        &[
            ("DATAVERSE_LISTENER__HUB__START", "hunter2"),
            ("DATAVERSE_LISTENER__HUB__CONNECTION_STRING", "hunter2"),
        ],
    );
    for name in [
        "START: hub[0].start",
        "CONNECTION_STRING: hub[0].connection_string",
    ] {
        let expected = format!("environment variable DATAVERSE_LISTENER__HUB__{name}");
        assert!(said.contains(&expected), "{expected:?} is not in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}
