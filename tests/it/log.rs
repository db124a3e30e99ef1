//! What is logged while everything goes wrong, and what never is: keys, signatures and tokens at any level, and record
//! data above TRACE.

use crate::hub::Hub;
use crate::world::{bodies, daemon, file};

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
fn log_of_a_bad_day(engine: &str, level: &str) -> String {
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
    let mut program = daemon(&file, &[("DATAVERSE_LISTENER_LOG", level)]);
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
        let log = log_of_a_bad_day(engine, "debug");
        must_not_say(&log, &SECRETS, "debug");
        must_not_say(&log, &RECORDS, "debug");
        must_not_say(&log_of_a_bad_day(engine, "trace"), &SECRETS, "trace");
    }
}
