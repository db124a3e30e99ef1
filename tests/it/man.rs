//! Manual pages and completions: of every command, and fit for the programs that read them.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::world::{Program, command};

/// The commands that the help lists.
fn commands() -> Vec<String> {
    let help = Program::start(&mut command(["--help"])).wait().stdout;
    let listed = help.iter().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| line.starts_with("  "))
        // What goes on in the next line is indented further.
        .filter_map(|line| line.get(2..)?.split(' ').next())
        .filter(|name| !matches!(*name, "" | "help"))
        .map(str::to_owned);
    let names: Vec<String> = names.collect();
    assert!(names.len() > 9, "{help:?}");
    names
}

#[test]
fn every_command_has_a_page_and_the_first_names_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let ended = Program::start(&mut command(["man", "--directory", directory])).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let first = read("dataverse-listener.1");
    for name in commands() {
        let page = read(&format!("dataverse-listener-{name}.1"));
        assert!(page.contains(&format!(".TH dataverse-listener-{name} 1")));
        let named = format!("dataverse\\-listener\\-{}(1)", name.replace('-', "\\-"));
        assert!(first.contains(&named), "{named} is not in {first}");
    }
    assert!(first.contains("DATAVERSE_LISTENER_LOG"), "{first}");
    let headings = |page: &str| {
        let headings = page.lines().filter_map(|line| line.strip_prefix(".SH "));
        headings
            .map(|heading| heading.trim_matches('"').to_owned())
            .collect::<Vec<_>>()
    };
    for (name, expected) in [
        ("dataverse-listener.1", &["EXIT STATUS", "FILES"][..]),
        (
            "dataverse-listener-run.1",
            &["ENVIRONMENT", "EXIT STATUS", "SIGNALS", "FILES"],
        ),
        ("dataverse-listener-schema.1", &["EXIT STATUS"]),
    ] {
        let found = headings(&read(name));
        let known = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "SUBCOMMANDS",
            "VERSION",
        ];
        let own: Vec<&String> = found
            .iter()
            .filter(|one| !known.contains(&one.as_str()))
            .collect();
        assert_eq!(own, expected, "{name}: {found:?}");
    }
    let printed = Program::start(&mut command(["man"])).wait();
    assert_eq!(printed.stdout, first.lines().collect::<Vec<_>>());
}

#[test]
fn pages_that_cannot_be_written_are_an_error() {
    let ended = Program::start(&mut command(["man", "--directory", "/nowhere"])).wait();
    assert_eq!(ended.status.code(), Some(74));
    let expected = "cannot write the pages into /nowhere: ";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn a_shell_understands_its_completions_and_finds_every_command_in_them() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = Program::start(&mut command(["completions", shell])).wait();
        assert_eq!(script.status.code(), Some(0), "{}", script.stderr);
        let script = script.stdout.join("\n");
        for name in commands() {
            assert!(script.contains(&name), "{name} for {shell}");
        }
        if shell == "bash" {
            let mut bash = Command::new("bash")
                .arg("-n")
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = bash.stdin.take().unwrap();
            input.write_all(script.as_bytes()).unwrap();
            drop(input);
            assert!(bash.wait().unwrap().success());
        }
    }
}

#[test]
fn bash_completes_commands_their_options_and_values() {
    let script = Program::start(&mut command(["completions", "bash"])).wait();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("completions");
    fs::write(&path, script.stdout.join("\n")).unwrap();
    // What bash does when somebody presses the tabulator.
    let tab = r#"source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        "$(complete -p dataverse-listener | grep -o '_[a-z_]*')" "$1" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        echo " ${COMPREPLY[*]} ""#;
    for (words, expected) in [
        (&["st"][..], "status"),
        (&["status", "--"], "--watch"),
        (&["status", "--output", ""], "table"),
        (&["checkpoint", "l"], "list"),
        (&["checkpoint", "set", "--"], "--dry-run"),
        (&["run", "--log-format", ""], "journald"),
    ] {
        let output = Command::new("bash")
            .args(["-c", tab, "bash"])
            .arg(&path)
            .arg("dataverse-listener")
            .args(words)
            .output()
            .unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert!(
            found.contains(&format!(" {expected} ")),
            "{words:?}: {found}"
        );
    }
}
