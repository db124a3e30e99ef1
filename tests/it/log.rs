//! What is logged while everything goes wrong, and what never is: keys, signatures and tokens at any level, and record
//! data above TRACE.

use serde_json::Value;

use crate::hub::Hub;
use crate::world::{Program, bodies, command, daemon, file};

/// Words of secrets: what a key, a token and its signature consist of.
const SECRETS: [&str; 5] = [
    "SAS_KEY_VALUE",
    "sig=",
    "sig%3D",
    "SharedAccessSignature sr",
    "sr=sb",
];

/// Words of records, in a body that can be decoded and in one that cannot.
const RECORDS: [&str; 4] = ["Anna-Maija", "M\u{e4}kel\u{e4}", "Fabrikam", "Zaphod-4711"];

/// The bytes of a text as they are printed by those who take it for no text.
fn as_bytes(text: &str) -> [String; 3] {
    let join = |write: fn(u8) -> String, between| {
        let bytes: Vec<String> = text.bytes().map(write).collect();
        bytes.join(between)
    };
    [
        join(|byte| byte.to_string(), ", "),
        join(|byte| format!("{byte:02x}"), ""),
        join(|byte| format!("{byte:02X}"), " "),
    ]
}

fn must_not_say(log: &str, words: &[&str], level: &str) {
    for word in words {
        let forms = as_bytes(word).into_iter().chain([(*word).to_owned()]);
        for form in forms {
            let found = log.lines().find(|line| line.contains(&form));
            assert!(found.is_none(), "{word}, at {level}: {found:?}");
        }
    }
}

/// Reads a hub that does everything wrong, one partition after the other, and gives what was logged.
fn log_of_a_bad_day(engine: &str, level: &str, format: &str) -> String {
    let bodies = bodies(".json");
    let body = bodies
        .iter()
        .find(|body| body.ends_with("a02-update-contact-images.json"));
    let body = std::fs::read(body.unwrap()).unwrap();
    let hub = Hub::start(8);
    let emulator = hub.emulator();
    let append = |partition: u16| {
        emulator.append_body(partition, &body).unwrap();
        let broken = br#"{"MessageName":"Update","PrimaryEntityName":"Zaphod-4711"#;
        emulator.append_body(partition, broken).unwrap();
        // A value instead of a body.
        let value = [&[0x00, 0x53, 0x77, 0xa3, 11][..], b"Zaphod-4711"].concat();
        emulator.append(partition, &value).unwrap();
    };
    let file = file(&format!(
        "[[hub]]\nconnection_string = \"{}\"\nengine = \"{engine}\"\n\
         [[sink]]\nname = \"console\"\ntype = \"stdout\"\n",
        hub.connection_string()
    ));
    let variables = [
        ("DATAVERSE_LISTENER_LOG", level),
        ("DATAVERSE_LISTENER_LOG_FORMAT", format),
    ];
    let mut program = daemon(&file, &variables);
    (0..8).for_each(append);
    program.documents(24);
    program.says("listening");
    let disturb = |partition: u16, fault| emulator.disturb(fault, Some(partition));
    use dataverse_listener::emulator::Fault;
    disturb(0, Fault::Drop);
    disturb(1, Fault::Close);
    disturb(2, Fault::CutFrame);
    disturb(3, Fault::End);
    disturb(4, Fault::Detach);
    emulator.detach(
        5,
        "com.microsoft:server-busy",
        "SharedAccessSignature sr=sb%3a%2f%2fns&sig=abc%3d&se=1&skn=n is no good",
    );
    (0..5).for_each(append);
    program.documents(15);
    emulator.refuse_tokens();
    disturb(6, Fault::Drop);
    program.says("InvalidSignature");
    emulator.accept_tokens();
    emulator.throttle_attach();
    disturb(7, Fault::Drop);
    program.says("throttled");
    program.signal("TERM");
    let ended = program.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stderr.lines().count() > 20, "{}", ended.stderr);
    ended.stderr
}

#[test]
fn no_secret_is_logged_at_any_level_and_no_record_above_trace() {
    for engine in ["own", "fe2o3"] {
        for format in ["text", "json"] {
            let log = log_of_a_bad_day(engine, "debug", format);
            must_not_say(&log, &SECRETS, "debug");
            must_not_say(&log, &RECORDS, "debug");
            let log = log_of_a_bad_day(engine, "trace", format);
            must_not_say(&log, &SECRETS, "trace");
            if format == "json" {
                log.lines().for_each(|line| drop(parse(line)));
            }
        }
    }
}

/// A line of the format `json`, with the names that every such line has.
fn parse(line: &str) -> Value {
    let line: Value = serde_json::from_str(line).unwrap();
    for name in ["timestamp", "level", "target", "message"] {
        assert!(line[name].is_string(), "{name} of {line}");
    }
    line
}

/// A daemon that reads one event of `hub`, with this `[log]` table and these variables; what it logged until it was
/// told to stop.
fn log_of_an_event(hub: &Hub, table: &str, variables: &[(&str, &str)]) -> String {
    let file = file(&format!(
        "[log]\n{table}\n[[hub]]\nconnection_string = \"{}\"\n\
         [[sink]]\nname = \"console\"\ntype = \"stdout\"\n",
        hub.connection_string()
    ));
    let program = daemon(&file, variables);
    program.documents(1);
    program.signal("TERM");
    let ended = program.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    ended.stderr
}

#[test]
fn the_file_says_what_is_logged_and_the_environment_wins_over_it() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "1"]);
    let stops = |log: &str| log.contains("SIGTERM: stopping");
    assert!(stops(&log_of_an_event(&hub, "", &[])));
    assert!(!stops(&log_of_an_event(&hub, "level = \"warn\"", &[])));
    let info = [("DATAVERSE_LISTENER_LOG", "info")];
    assert!(stops(&log_of_an_event(&hub, "level = \"warn\"", &info)));
    let warn = [("DATAVERSE_LISTENER_LOG", "warn")];
    assert!(!stops(&log_of_an_event(&hub, "level = \"info\"", &warn)));
    let level = [("DATAVERSE_LISTENER__LOG__LEVEL", "warn")];
    assert!(!stops(&log_of_an_event(&hub, "level = \"info\"", &level)));
}

#[test]
fn one_module_may_be_logged_more_closely_than_the_others() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "1"]);
    let level = "info,dataverse_listener::partition=trace";
    let table = format!("level = \"{level}\"\nformat = \"json\"");
    let log = log_of_an_event(&hub, &table, &[]);
    let lines: Vec<Value> = log.lines().map(parse).collect();
    let close = lines.iter().filter(|line| line["level"] == "TRACE");
    let targets: Vec<&str> = close.map(|line| line["target"].as_str().unwrap()).collect();
    assert!(!targets.is_empty(), "{log}");
    for target in targets {
        assert!(
            target.starts_with("dataverse_listener::partition"),
            "{target}"
        );
    }
    let stopped = lines.iter().find(|line| line["message"] == "stopped");
    assert_eq!(stopped.unwrap()["received"], 1, "{log}");
}

/// A hub that nobody looks for.
const HUB: &str = "[[hub]]\nconnection_string = \"Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=n;SharedAccessKey=hunter2;EntityPath=h\"\n";

/// A sink that cannot be opened, and one that is not there at all.
const CLOSED: &str = "[[sink]]\nname = \"a\"\ntype = \"file\"\ndirectory = \"/dev/null/a\"\n";
const WRONG: &str = "[[sink]]\nname = \"a\"\ntype = \"flie\"\ncolour = 1\n[[sink]]\nname = \"b\"\n";

#[test]
fn why_a_daemon_ends_is_told_as_everything_else_is() {
    let json = "[log]\nformat = \"json\"\n";
    for (configuration, code, expected) in [
        (
            format!("{json}{HUB}{CLOSED}"),
            74,
            &["cannot run: cannot open sink \"a\""][..],
        ),
        (
            format!("{json}{HUB}{WRONG}"),
            78,
            &["sink[0].type: unknown type", "sink[1].type: is missing"],
        ),
    ] {
        let ended = daemon(&file(&configuration), &[]).wait();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        let lines: Vec<Value> = ended.stderr.lines().map(parse).collect();
        let told: Vec<&Value> = lines
            .iter()
            .filter(|line| line["level"] == "ERROR")
            .collect();
        assert_eq!(told.len(), expected.len(), "{}", ended.stderr);
        for (line, expected) in told.into_iter().zip(expected) {
            assert_eq!(line["exit_code"], code, "{line}");
            assert!(
                line["message"].as_str().unwrap().contains(expected),
                "{line}"
            );
        }
    }
}

#[test]
fn a_daemon_that_cannot_know_how_to_log_says_why_it_ends_to_a_person() {
    let format = ("DATAVERSE_LISTENER_LOG_FORMAT", "json");
    let level = ("DATAVERSE_LISTENER_LOG", "off");
    for (configuration, variables, is_text) in [
        ("[log]\nformat = \"json", &[][..], true),
        ("[log]\nformat = \"json", &[format], false),
        // A line of JSON would be left out.
        ("[log]\nformat = \"json\"\n", &[level], true),
    ] {
        let ended = daemon(&file(configuration), variables).wait();
        assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
        let text = "dataverse-listener: the configuration is wrong\n";
        assert_eq!(ended.stderr.starts_with(text), is_text, "{}", ended.stderr);
        if !is_text {
            ended.stderr.lines().for_each(|line| drop(parse(line)));
        }
    }
}

#[test]
fn lines_for_people_are_text_whatever_the_file_says() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "1"]);
    let text = [("DATAVERSE_LISTENER_LOG_FORMAT", "text")];
    let log = log_of_an_event(&hub, "format = \"json\"", &text);
    assert!(log.lines().all(|line| !line.starts_with('{')), "{log}");
    let ended = Program::start(&mut command(["schema", "context", "--log-format", "xml"])).wait();
    assert_eq!(ended.status.code(), Some(64), "{}", ended.stderr);
    let mut wrong = command(["schema", "context"]);
    let ended = Program::start(wrong.env("DATAVERSE_LISTENER_LOG", "inof")).wait();
    assert_eq!(ended.status.code(), Some(64), "{}", ended.stderr);
    let expected = "cannot log as --log or DATAVERSE_LISTENER_LOG says: that is no log level";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}
