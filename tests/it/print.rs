//! `check --print`: what is in force, and no secret in it.

use crate::world::{Program, command, file, json_of_toml};

/// What is printed of this configuration with these variables.
fn print(toml: &str, variables: &[(&str, &str)]) -> String {
    let file = file(toml);
    let path = file.path.to_str().unwrap();
    let mut command = command(["check", "--print", "--config", path]);
    let ended = Program::start(command.envs(variables.iter().copied())).wait();
    assert_eq!(ended.status.code(), Some(0), "{}\n{toml}", ended.stderr);
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    ended.stdout.join("\n")
}

const HUB: &str = "[[hub]]\nconnection_string = \"Endpoint=sb://h;SharedAccessKeyName=k;SharedAccessKey=hunter2;EntityPath=e\"\n";

#[test]
fn every_key_has_the_value_in_force_and_says_where_it_is_from() {
    let shown = print(
        &format!(
            "{HUB}[[sink]]\nname = \"a\"\ntype = \"file\"\ndirectory = \"/x\"\nfsync = \"interval\"\n"
        ),
        &[
            ("DATAVERSE_LISTENER__SINK__OPEN_FILES", "7"),
            ("DATAVERSE_LISTENER__CHECKPOINT__INTERVAL", "90s"),
            ("DATAVERSE_LISTENER__HUB__START", "-2h"),
        ],
    );
    for line in [
        "consumer_group = \"$Default\"  # default",
        "start = \"-2h\"  # DATAVERSE_LISTENER__HUB__START",
        "interval = \"1m 30s\"  # DATAVERSE_LISTENER__CHECKPOINT__INTERVAL",
        "store = \"memory\"  # default",
        "directory = \"/x\"",
        "fsync = \"interval\"",
        "fsync_interval = \"1s\"  # default",
        "open_files = 7  # DATAVERSE_LISTENER__SINK__OPEN_FILES",
        "in_flight_bytes = \"4MiB\"  # default",
        "otherwise = \"hold\"  # default",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} is not in\n{shown}"
        );
    }
    assert!(!shown.contains("[duplicates]"), "{shown}");
}

#[test]
fn no_secret_is_printed() {
    let secret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmg=";
    let sinks = ["basic\"\nuser = \"u\"\npassword = ", "bearer\"\ntoken = ", "header\"\nname = \"x-code\"\nvalue = ", "query\"\nname = \"code\"\nvalue = "]
        .iter()
        .enumerate()
        .map(|(index, auth)| {
            format!(
                "[[sink]]\nname = \"s{index}\"\ntype = \"webhook\"\nurl = \"https://hooks.example:8443/hunter2?sig=hunter2\"\n\
                 proxy = \"http://u:hunter2@proxy:3128\"\nheaders = {{ X-Key = \"hunter2\", X-Table = \"{{table}}\" }}\n\
                 [sink.signature]\nsecret = \"{secret}\"\nprevious_secret = \"{secret}\"\n[sink.auth]\ntype = \"{auth}\"hunter2\"\n"
            )
        });
    let sinks: Vec<String> = sinks.collect();
    let more = "proxy = \"http://proxy\"\nproxy_user = \"u\"\nproxy_password = \"hunter2\"\n";
    let identity = "[[hub]]\nnamespace = \"ns\"\nname = \"n\"\ncredential = \"client_secret\"\ntenant_id = \"t\"\nclient_id = \"c\"\nclient_secret = \"hunter2\"\n";
    let signature = "[[hub]]\nconnection_string = \"Endpoint=sb://other;SharedAccessSignature=SharedAccessSignature sr=x&sig=hunter2&se=4000000000&skn=k;EntityPath=e\"\nproxy = \"http://u:hunter2@proxy\"\n";
    let toml = format!("{HUB}{more}{identity}{signature}{}", sinks.concat());
    let shown = print(
        &toml,
        &[("DATAVERSE_LISTENER__SINK__1__AUTH__TOKEN", "hunter2")],
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!shown.contains("aHVudGVy"), "{shown}");
    for line in [
        "connection_string = \"Endpoint=sb://h:5671/;SharedAccessKeyName=k;SharedAccessKey=***;EntityPath=e\"",
        "connection_string = \"Endpoint=sb://other:5671/;SharedAccessSignature=***;EntityPath=e\"",
        "client_secret = \"***\"",
        "proxy = \"http://proxy\"",
        "proxy = \"http://***@proxy\"",
        "proxy = \"http://***@proxy:3128\"",
        "proxy_password = \"***\"",
        "url = \"https://hooks.example:8443/***\"",
        "X-Key = \"***\"",
        "X-Table = \"{table}\"",
        "secret = \"***\"",
        "previous_secret = \"***\"",
        "password = \"***\"",
        "token = \"***\"  # DATAVERSE_LISTENER__SINK__1__AUTH__TOKEN",
        "value = \"***\"",
    ] {
        let is_there = shown.lines().any(|shown| shown.eq_ignore_ascii_case(line));
        assert!(is_there, "{line} is not in\n{shown}");
    }
}

#[test]
fn the_file_of_a_secret_is_shown_as_its_path() {
    let secret = file("Endpoint=sb://h;SharedAccessKeyName=k;SharedAccessKey=hunter2;EntityPath=e");
    let path = secret.path.to_str().unwrap();
    let shown = print(
        &format!(
            "[[hub]]\nconnection_string_file = \"{path}\"\n[[sink]]\nname = \"a\"\ntype = \"stdout\"\n"
        ),
        &[],
    );
    let line = format!("connection_string_file = \"{path}\"");
    assert!(shown.lines().any(|shown| shown == line), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn what_is_printed_is_a_configuration_of_which_the_same_is_printed() {
    let secret = file("hunter2");
    let path = secret.path.to_str().unwrap();
    let of = |sink: &str| format!("{HUB}[[sink]]\nname = \"a\"\n{sink}");
    let webhook = format!(
        "type = \"webhook\"\nurl = \"https://h/x?code=hunter2\"\nproxy = \"http://u:hunter2@p\"\nheaders = {{ X-Key = \"hunter2\" }}\nauth = {{ type = \"bearer\", token_file = \"{path}\" }}\nstatus = {{ 404 = \"refuse\", \"4xx\" = \"hold\" }}\n"
    );
    for toml in [
        of("type = \"stdout\"\n"),
        of("type = \"stdout\"\nformat = \"pretty\"\n"),
        of("type = \"stdout\"\nformat = \"original\"\n"),
        of("type = \"file\"\ndirectory = \"/x\"\n"),
        of(
            "type = \"file\"\ndirectory = \"/x\"\nfsync = \"never\"\nrotate_every = \"day\"\nrotate_bytes = 1000\ncompress = \"gzip\"\nkeep = 3\n",
        ),
        of(&webhook),
        of(&format!(
            "mode = \"dataverse\"\nretry = {{ give_up = \"7days\" }}\n{webhook}"
        )),
        of(&format!(
            "mode = \"cloudevents-batched\"\nbatch_events = 5\n{webhook}"
        )),
        of(
            "type = \"stdout\"\n[checkpoint]\npath = \"/x\"\n[duplicates]\naction = \"mark\"\n[dead_letter]\nsink = \"a\"\n",
        ),
        of(
            "type = \"stdout\"\n[[hub]]\nnamespace = \"ns\"\nname = \"n\"\ncredential = \"managed_identity\"\nowner_level = 3\nstarts = { 0 = \"latest\", 12 = \"time:2026-01-31T12:00:00Z\" }\nproxy = \"none\"\n",
        ),
        of(
            "type = \"stdout\"\n[[route]]\nmessage = \"Create\"\nstage = [10, \"30..\"]\ndepth = 1\ntruncated = false\nattribute = { a = [1, true, 2.5], \"b c\" = \"x\" }\nproperty = { \"http://x/y\" = \"*\" }\nnot = { user = \"u*\", attribute = { d = \"\\\"\" } }\nsinks = \"a\"\n[[route]]\ndefault = true\nundecodable = true\nsinks = []\n",
        ),
    ] {
        let shown = print(&toml, &[]);
        let again = print(&shown, &[]);
        assert_eq!(json_of_toml(&again), json_of_toml(&shown), "{toml}");
    }
}

#[test]
fn mistakes_are_told_instead() {
    let file = file(&format!("{HUB}[[sink]]\nname = \"a\"\ntype = \"stdoot\"\n"));
    let path = file.path.to_str().unwrap();
    let ended = Program::start(&mut command(["check", "--print", "--config", path])).wait();
    assert_eq!(ended.status.code(), Some(78));
    assert!(ended.stdout.is_empty(), "{:?}", ended.stdout);
    assert!(ended.stderr.contains("sink[0].type: "), "{}", ended.stderr);
}
