//! `emulator`: a hub in a process of its own, and what it is told to do wrong.

use std::io::Write;
use std::process::ChildStdin;

use crate::world::{File, Program, command, daemon, file};

/// A hub that takes commands, and its connection string.
pub(crate) struct Hub {
    pub(crate) program: Program,
    input: ChildStdin,
    pub(crate) string: String,
}

impl Hub {
    pub(crate) fn start() -> Self {
        let arguments = ["emulator", "--listen", "127.0.0.1:0", "--commands"];
        let (program, input) = Program::start_with_input(&mut command(arguments));
        let string = program.line();
        Self {
            program,
            input,
            string,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// Says a line, and checks the answer.
    pub(crate) fn obeys(&mut self, line: &str, answer: &str) {
        self.say(line);
        assert_eq!(self.program.line(), answer);
    }

    pub(crate) fn run(&self, line: &str) -> Program {
        Program::start(
            command(line.split(' ')).env("EVENTHUB_CONNECTION_STRING", self.string.as_str()),
        )
    }

    fn simulate(&self, count: usize) {
        let ended = self
            .run(&format!("simulate --count {count} --format json"))
            .wait();
        assert!(ended.status.success(), "{}", ended.stderr);
    }
}

#[test]
fn a_listener_goes_on_after_what_the_hub_is_told_to_do() {
    let mut hub = Hub::start();
    hub.simulate(5);
    let listener = hub.run("listen --from earliest --events 25 --format json");
    listener.documents(5);
    for fault in ["drop", "close", "cut", "detach"] {
        hub.obeys(fault, &format!("done: {fault}"));
        hub.simulate(5);
        listener.documents(5);
    }
    let ended = listener.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn a_wrong_line_is_told_on_standard_error_and_changes_nothing() {
    let mut hub = Hub::start();
    hub.say("drop 4");
    hub.program
        .says("drop: there is no partition 4, only 0 to 3; right is: drop [PARTITION]");
    hub.say("add-partitons 2");
    hub.program
        .says("add-partitons: there is no such command; did you mean add-partitions?");
    hub.say(&"x".repeat(5000));
    hub.program.says("a line is too long to be a command");
    hub.obeys(
        "status",
        "done: status: 0 connections, 0 links, 4 partitions",
    );
    hub.obeys(
        "  add-partitions   2 ",
        "done: add-partitions 2: 6 partitions",
    );
    hub.obeys("drop 4", "done: drop 4");
}

#[test]
fn events_expire_and_go_with_the_hub_that_is_made_anew() {
    let mut hub = Hub::start();
    hub.simulate(40);
    hub.obeys("expire 0 1000", "done: expire 0 1000: 10 events dropped");
    hub.obeys("expire 0 1000", "done: expire 0 1000: 0 events dropped");
    hub.obeys("recreate", "done: recreate");
    hub.obeys("expire 1 1000", "done: expire 1 1000: 0 events dropped");
    hub.simulate(1);
    let ended = hub
        .run("listen --from earliest --events 1 --format json")
        .wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(
        ended.stdout[0].contains("\"sequence_number\":0,"),
        "{}",
        ended.stdout[0]
    );
}

#[test]
fn a_hub_that_refuses_tokens_tells_a_listener_so() {
    let mut hub = Hub::start();
    hub.obeys("refuse-tokens", "done: refuse-tokens");
    let ended = hub.run("listen").wait();
    assert_eq!(ended.status.code(), Some(77), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("InvalidSignature"),
        "{}",
        ended.stderr
    );
    hub.obeys("recover", "done: recover");
    hub.simulate(1);
}

#[test]
fn the_end_of_the_commands_is_not_the_end_of_the_hub() {
    let Hub {
        program,
        mut input,
        string,
    } = Hub::start();
    // Without a line's end it is a line as well.
    write!(input, "status").unwrap();
    drop(input);
    assert!(program.line().starts_with("done: status: "));
    let mut simulate = command(["simulate", "--count", "1"]);
    let ended = Program::start(simulate.env("EVENTHUB_CONNECTION_STRING", string)).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    program.signal("INT");
    assert!(program.wait().status.success());
}

#[test]
fn help_lists_every_command_and_so_does_the_help_of_the_program() {
    let mut hub = Hub::start();
    hub.say("help");
    let mut listed = vec![hub.program.line()];
    while !listed.last().unwrap().contains("list the commands") {
        listed.push(hub.program.line());
    }
    assert!(listed[0].contains("drop [PARTITION]"), "{}", listed[0]);
    let help = Program::start(&mut command(["emulator", "--help"])).wait();
    for line in listed {
        let name = line.split_whitespace().next().unwrap();
        assert!(
            help.stdout
                .iter()
                .any(|line| line.trim_start().starts_with(name)),
            "{name}"
        );
    }
}

/// A daemon that looks for new partitions all the time, and its configuration.
fn looking_for_partitions(hub: &Hub) -> (File, Program) {
    let file = file(&format!(
        "[[hub]]\nconnection_string = \"{}\"\nstart = \"latest\"\npartition_check = \"10ms\"\n\
         [[sink]]\nname = \"out\"\ntype = \"stdout\"\n",
        hub.string
    ));
    let mut program = daemon(&file, &[]);
    program.says("listening");
    (file, program)
}

#[test]
fn partitions_that_are_added_while_the_daemon_runs_are_read_from_their_beginning() {
    let mut hub = Hub::start();
    let (_file, mut program) = looking_for_partitions(&hub);
    hub.obeys("add-partitions 2", "done: add-partitions 2: 6 partitions");
    let ended = hub
        .run("simulate --count 3 --partition 5 --format json")
        .wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    for (number, document) in program.documents(3).iter().enumerate() {
        assert_eq!(document["partition"], "5");
        assert_eq!(document["sequence_number"], number);
    }
    program.says("a partition was added to the event hub");
    program.signal("TERM");
    assert!(program.wait().status.success());
}

#[test]
fn a_partition_that_is_added_and_refused_does_not_end_those_that_are_read() {
    let mut hub = Hub::start();
    let (_file, mut program) = looking_for_partitions(&hub);
    hub.obeys("withhold-listen", "done: withhold-listen");
    hub.obeys("add-partitions 1", "done: add-partitions 1: 5 partitions");
    program.says("partition lost");
    let ended = hub
        .run("simulate --count 3 --partition 0 --format json")
        .wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(program.documents(3)[2]["partition"], "0");
    program.signal("TERM");
    assert!(program.wait().status.success());
}

#[test]
fn a_loss_and_its_end_are_a_line_each() {
    let mut hub = Hub::start();
    let file = file(&format!(
        "[[hub]]\nconnection_string = \"{}\"\n[[sink]]\nname = \"out\"\ntype = \"stdout\"\n",
        hub.string
    ));
    let mut program = daemon(&file, &[]);
    program.says("listening");
    hub.obeys("drop 2", "done: drop 2");
    program.says("partition lost");
    program.says("partition attached again");
    program.signal("TERM");
    let ended = program.wait();
    assert!(ended.status.success());
    let lines = ended.stderr.lines();
    let about = lines.filter(|line| line.contains("partition=2"));
    let words: Vec<&str> = about
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(words, ["INFO", "WARN", "INFO"], "{}", ended.stderr);
}
