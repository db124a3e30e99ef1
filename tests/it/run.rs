//! `run`: configuration, routes, signals.

use crate::hub::Hub;
use crate::world::{Program, command, daemon, file};

/// What becomes of events that match no route.
const REST: &str = "[[route]]\ndefault = true\nsinks = []\n";

const CONSOLE: &str = "[[sink]]\nname = \"console\"\ntype = \"stdout\"\n";

fn hub_table(hub: &Hub) -> String {
    format!(
        "[[hub]]\nconnection_string = \"{}\"\n",
        hub.connection_string()
    )
}

#[test]
fn the_daemon_delivers_until_it_is_told_to_stop() {
    let hub = Hub::start(4);
    hub.simulate(["--count", "100"]);
    let file = file(&format!("{}{CONSOLE}", hub_table(&hub)));
    let program = daemon(&file, &[]);
    assert_eq!(program.documents(100).len(), 100);
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let mut lines = ended.stderr.lines();
    let stopped = lines.find(|line| line.contains("stopped received=100"));
    assert!(stopped.unwrap().ends_with(" behind=0"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("SAS_KEY_VALUE"), "{}", ended.stderr);
}

#[test]
fn a_second_signal_does_not_wait_for_a_reader_that_does_not_read() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "3000", "--seed", "3"]);
    let file = file(&format!("{}{CONSOLE}", hub_table(&hub)));
    // Its output goes into a pipe that nobody reads: the drain has something to wait for.
    let (unread, output) = std::io::pipe().unwrap();
    let mut silent = command(["run", "--config", file.path.to_str().unwrap()]);
    silent.env("DATAVERSE_LISTENER_LOG", "trace");
    let mut program = Program::start_with_stdout(&mut silent, output);
    program.says("sequence_number=20");
    program.signal("TERM");
    program.says("SIGTERM: stopping");
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(75), "{}", ended.stderr);
    assert!(ended.stderr.contains("left behind"), "{}", ended.stderr);
    let stopped = ended.stderr.lines().find(|line| line.contains(" behind="));
    assert!(!stopped.unwrap().ends_with(" behind=0"), "{}", ended.stderr);
    drop(unread);
}

#[test]
fn routes_choose_by_message_and_table() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "300", "--seed", "5"]);
    let all = hub
        .program(["listen", "--from", "earliest", "--events", "300"])
        .documents(300);
    let wanted: Vec<_> = all
        .iter()
        .filter(|document| {
            let context = &document["context"];
            ["Create", "Update"].contains(&context["MessageName"].as_str().unwrap())
                && context["PrimaryEntityName"] == "account"
        })
        .cloned()
        .collect();
    assert!(wanted.len() > 5 && wanted.len() < 200, "{}", wanted.len());
    let route = "[[route]]\nmessage = [\"create\", \"Update\"]\ntable = \"account\"\nsinks = [\"console\"]\n";
    let file = file(&format!("{}{CONSOLE}{route}{REST}", hub_table(&hub)));
    let program = daemon(&file, &[]);
    assert_eq!(program.documents(wanted.len()), wanted);
    program.signal("TERM");
    let ended = program.wait();
    assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
    let number = |name: &str| -> usize {
        let rest = ended.stderr.split(name).last().unwrap();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    assert_eq!(
        number("unrouted=") + wanted.len(),
        number("received="),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_list_in_a_variable_has_commas() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "200", "--seed", "5"]);
    let route = "[[route]]\ntable = \"nothing\"\nsinks = [\"console\"]\n";
    let file = file(&format!("{}{CONSOLE}{route}{REST}", hub_table(&hub)));
    let program = daemon(
        &file,
        &[("DATAVERSE_LISTENER__ROUTE__TABLE", "account, contact")],
    );
    for document in program.documents(10) {
        let table = document["context"]["PrimaryEntityName"].as_str().unwrap();
        assert!(["account", "contact"].contains(&table), "{table}");
    }
}

#[test]
fn a_variable_overrides_the_file() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "2"]);
    let file = file(&format!(
        "[[hub]]\nconnection_string = \"Endpoint=sb://nowhere\"\n{CONSOLE}"
    ));
    let connection_string = hub.connection_string();
    let program = daemon(
        &file,
        &[
            (
                "DATAVERSE_LISTENER__HUB__CONNECTION_STRING",
                &connection_string,
            ),
            ("DATAVERSE_LISTENER__SINK__0__FORMAT", "original"),
        ],
    );
    assert!(program.line().contains("MessageName"));
}

#[test]
fn the_secret_can_live_in_a_file_of_its_own() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "1"]);
    let secret = file(&format!("{}\n", hub.connection_string()));
    let file = file(&format!(
        "[[hub]]\nconnection_string_file = \"{}\"\n{CONSOLE}",
        secret.path.display()
    ));
    assert_eq!(daemon(&file, &[]).documents(1).len(), 1);
}

#[test]
fn the_secret_can_be_a_credential_of_the_service() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "1"]);
    let credentials = tempfile::tempdir().unwrap();
    // As an editor leaves it: with a byte order mark and the line end of another system.
    let secret = format!("\u{feff}{}\r\n", hub.connection_string());
    std::fs::write(credentials.path().join("eventhub"), secret).unwrap();
    let variables = [(
        "CREDENTIALS_DIRECTORY",
        credentials.path().to_str().unwrap(),
    )];
    let table = |name: &str| {
        file(&format!(
            "[[hub]]\nconnection_string_file = \"{name}\"\n{CONSOLE}"
        ))
    };
    assert_eq!(daemon(&table("eventhub"), &variables).documents(1).len(), 1);
    let ended = daemon(&table("evnethub"), &variables).wait();
    assert_eq!(ended.status.code(), Some(78));
    let said = format!(
        "hub[0].connection_string_file: {}/evnethub cannot be read",
        credentials.path().display()
    );
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
}

#[test]
fn the_end_of_a_signature_is_told_and_the_signature_is_not() {
    let hub = Hub::start(1);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let string = hub.connection_string();
    let (endpoint, _) = string.split_once("SharedAccessKeyName").unwrap();
    for (end, expected) in [
        (now + 90_000, "the SharedAccessSignature expires 20"),
        (now + 80_000, "in less than a day"),
        (now + 3_000, "in less than an hour"),
        (now - 10, "the given SharedAccessSignature expired 20"),
    ] {
        let file = file(&format!(
            "[[hub]]\nconnection_string = \"{endpoint}SharedAccessSignature=SharedAccessSignature \
             sr=x&sig=c2ln&se={end}&skn=RootManageSharedAccessKey;UseDevelopmentEmulator=true\"\n\
             name = \"dataverse-events\"\n{CONSOLE}"
        ));
        let ended = daemon(&file, &[]).wait();
        assert_eq!(ended.status.code(), Some(77), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(!ended.stderr.contains("c2ln"), "{}", ended.stderr);
    }
}

#[test]
fn the_daemon_waits_for_a_hub_that_is_not_there_yet() {
    let mut hub = Hub::start(1);
    hub.simulate(["--count", "1"]);
    let file = file(&format!("{}{CONSOLE}", hub_table(&hub)));
    let mut program = None;
    hub.restart(|| {
        let mut waiting = daemon(&file, &[]);
        waiting.says("event hub not reached");
        program = Some(waiting);
    });
    assert_eq!(program.unwrap().documents(1).len(), 1);
}

#[test]
fn one_hub_that_is_away_does_not_hold_up_another() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "2"]);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let away = format!(
        "[[hub]]\nconnection_string = \"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true;EntityPath=h\"\n"
    );
    let file = file(&format!("{away}{}{CONSOLE}", hub_table(&hub)));
    let mut program = daemon(&file, &[]);
    assert_eq!(program.documents(2).len(), 2);
    program.says("refused");
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn it_runs_on_as_many_threads_as_it_is_told() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "6"]);
    let file = file(&format!("{}{CONSOLE}", hub_table(&hub)));
    let path = file.path.to_str().unwrap();
    let daemon = |threads| {
        Program::start(&mut command([
            "run",
            "--config",
            path,
            "--threads",
            threads,
        ]))
    };
    for threads in ["0", "513", "many"] {
        let ended = daemon(threads).wait();
        assert_eq!(ended.status.code(), Some(64), "{}", ended.stderr);
        assert!(ended.stderr.contains("--threads"), "{}", ended.stderr);
    }
    for threads in ["1", "4"] {
        let daemon = daemon(threads);
        daemon.documents(6);
        daemon.signal("TERM");
        assert_eq!(daemon.wait().status.code(), Some(0));
    }
}

#[test]
fn a_drain_that_outlasts_its_time_is_told_and_is_no_failure() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "3"]);
    let file = file(&format!("{}{CONSOLE}", hub_table(&hub)));
    let mut stuck = command([
        "run",
        "--config",
        file.path.to_str().unwrap(),
        "--grace",
        "1",
    ]);
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut program = Program::start_with_stdout(&mut stuck, full);
    program.says("delivery failed");
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("left behind"), "{}", ended.stderr);
}

#[test]
fn a_daemon_whose_output_nobody_reads_any_more_ends_with_an_error() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "2000", "--seed", "4"]);
    let file = file(&format!("{}{CONSOLE}", hub_table(&hub)));
    let ended = daemon(&file, &[]).hang_up_and_wait();
    assert_eq!(ended.status.code(), Some(74), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nobody reads its output"),
        "{}",
        ended.stderr
    );
}
