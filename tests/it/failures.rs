//! One sentence and an exit code for each thing that is commonly wrong.

use std::net::TcpListener;

use crate::hub::Hub;
use crate::world::{Program, command};

/// Runs `listen` with this connection string and checks how it fails.
#[track_caller]
fn check(connection_string: &str, more: &[&str], code: i32, said: &[&str]) {
    let arguments = ["listen"].into_iter().chain(more.iter().copied());
    let ended =
        Program::start(command(arguments).env("EVENTHUB_CONNECTION_STRING", connection_string))
            .wait();
    assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
    assert_eq!(
        ended.stderr.trim_end().lines().count(),
        1,
        "{}",
        ended.stderr
    );
    for text in said {
        assert!(
            ended.stderr.contains(text),
            "{text:?} is not in {}",
            ended.stderr
        );
    }
    assert!(
        !ended.stderr.contains("SAS_KEY_VALUE") && !ended.stderr.contains("hunter2"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("sig="), "{}", ended.stderr);
}

#[test]
fn a_wrong_key_is_refused_by_name() {
    let hub = Hub::start(1);
    let wrong = hub.connection_string().replace("SAS_KEY_VALUE", "hunter2");
    check(&wrong, &[], 77, &["cannot listen: ", "signature"]);
}

#[test]
fn a_missing_hub_is_named() {
    let hub = Hub::start(1);
    let missing = hub
        .connection_string()
        .replace("EntityPath=dataverse-events", "EntityPath=nothere");
    check(&missing, &[], 69, &["cannot listen: ", "nothere"]);
}

#[test]
fn a_missing_consumer_group_is_named() {
    let hub = Hub::start(1);
    check(
        &hub.connection_string(),
        &["--consumer-group", "nobody"],
        69,
        &["cannot listen: ", "nobody"],
    );
}

#[test]
fn a_missing_partition_is_named_with_those_there_are() {
    let hub = Hub::start(2);
    check(
        &hub.connection_string(),
        &["--partition", "7"],
        69,
        &["no partition 7", "0, 1"],
    );
}

#[test]
fn a_refused_port_is_named() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let refused = format!(
        "Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=k;SharedAccessKey=hunter2;UseDevelopmentEmulator=true;EntityPath=h"
    );
    check(
        &refused,
        &[],
        69,
        &["cannot listen: ", &format!("127.0.0.1:{port}"), "refused"],
    );
}

#[test]
fn an_emulator_that_is_taken_for_the_service_is_told_apart() {
    let hub = Hub::start(1);
    let plain = hub
        .connection_string()
        .replace("UseDevelopmentEmulator=true;", "");
    check(
        &plain,
        &[],
        69,
        &["does not speak TLS", "UseDevelopmentEmulator=true"],
    );
}

#[test]
fn a_connection_string_that_cannot_be_read_is_not_repeated() {
    for (text, said) in [
        ("hunter2", "connection string"),
        (
            "Endpoint=sb://h;SharedAccessKey=hunter2;EntityPath=h",
            "SharedAccessKeyName",
        ),
        ("SharedAccessKeyName=k;SharedAccessKey=hunter2", "Endpoint"),
    ] {
        check(text, &[], 64, &["cannot read the connection string", said]);
    }
}

#[test]
fn a_hub_must_be_named_somewhere() {
    check(
        "Endpoint=sb://h;SharedAccessKeyName=k;SharedAccessKey=hunter2",
        &[],
        64,
        &["EntityPath"],
    );
}

#[test]
fn without_any_hub_the_variable_is_named() {
    let ended = Program::start(&mut command(["listen"])).wait();
    assert_eq!(ended.status.code(), Some(64));
    assert!(
        ended.stderr.contains("EVENTHUB_CONNECTION_STRING"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_key_on_the_command_line_is_not_repeated_in_a_usage_error() {
    let key = "Endpoint=sb://h;SharedAccessKeyName=k;SharedAccessKey=hunter2";
    for arguments in [
        vec!["listen", "--connection-string", key, "--no-such-option"],
        vec!["listen", key],
        vec!["listen", "--from", key],
        vec!["simulate", "--rate", key],
        vec![key],
    ] {
        let ended = Program::start(&mut command(arguments.clone())).wait();
        assert_eq!(ended.status.code(), Some(64), "{arguments:?}");
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    let option = format!("--format={key}");
    let ended = Program::start(&mut command(["listen", &option])).wait();
    assert!(
        ended.stderr.contains("***") && !ended.stderr.contains("hunter2"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_misspelt_log_level_is_told() {
    let ended = Program::start(&mut command(["listen", "--log", "inof"])).wait();
    assert_eq!(ended.status.code(), Some(64));
    assert!(ended.stderr.contains("no log level"), "{}", ended.stderr);
}

#[test]
fn output_that_cannot_be_written_ends_a_command_that_somebody_watches() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "3"]);
    let mut listen = command(["listen", "--from", "earliest"]);
    listen.env("EVENTHUB_CONNECTION_STRING", hub.connection_string());
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let ended = Program::start_with_stdout(&mut listen, full).wait();
    assert_eq!(ended.status.code(), Some(74), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("cannot write to sink"),
        "{}",
        ended.stderr
    );
}
