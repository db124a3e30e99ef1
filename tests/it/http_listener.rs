//! The HTTP listener of the daemon, and the commands that ask it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::hub::Hub;
use crate::world::{Ended, File, HTTP_LISTEN, PATIENCE, Program, command, daemon, file};

const CONSOLE: &str = "[[sink]]\nname = \"console\"\ntype = \"stdout\"\n";

/// A daemon with a listener at a free port of this machine; where that is.
fn listening(file: &File) -> (Program, SocketAddr) {
    let mut program = daemon(file, &[(HTTP_LISTEN, "127.0.0.1:0")]);
    let line = program.line_with("http listener");
    let address = line.split('"').nth(1).unwrap();
    (program, address.parse().unwrap())
}

fn hub_table(string: &str) -> String {
    format!("[[hub]]\nconnection_string = \"{string}\"\nstart = \"earliest\"\n")
}

/// What a page says, with its status.
fn get(address: SocketAddr, page: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {page} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// Asks for a page until it has this status; what it says then.
fn until(address: SocketAddr, page: &str, expected: u16) -> String {
    let begun = Instant::now();
    loop {
        let (status, body) = get(address, page);
        if status == expected {
            return body;
        }
        assert!(begun.elapsed() < PATIENCE, "{page}: {status} {body}");
        thread::yield_now();
    }
}

/// The status once it is as `wanted`.
fn status_when(address: SocketAddr, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let (_, body) = get(address, "/status");
        let status: Value = serde_json::from_str(&body).unwrap();
        if wanted(&status) {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "{status}");
        thread::yield_now();
    }
}

fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Ended {
    Program::start(&mut command(arguments)).wait()
}

#[track_caller]
fn check(ended: &Ended, code: i32, said: &str) {
    let shown = format!("{:?} {}", ended.stdout, ended.stderr);
    assert_eq!(ended.status.code(), Some(code), "{shown}");
    assert!(shown.contains(said), "{shown}");
}

#[test]
fn probes_answer_before_the_hub_is_reached_and_tell_when_it_is() {
    let mut hub = Hub::start(2);
    hub.simulate(["--count", "4"]);
    let file = file(&format!("{}{CONSOLE}", hub_table(&hub.connection_string())));
    let mut started = None;
    hub.restart(|| {
        let (mut program, address) = listening(&file);
        assert_eq!(get(address, "/startupz"), (503, "starting\n".to_owned()));
        status_when(address, |status| {
            status["phase"] == "starting" && status["behind"].is_null()
        });
        assert_eq!(get(address, "/readyz"), (503, "starting\n".to_owned()));
        assert_eq!(get(address, "/livez"), (200, "ok\n".to_owned()));
        assert_eq!(get(address, "/healthz"), (200, "ok\n".to_owned()));
        program.says("event hub not reached");
        started = Some((program, address));
    });
    let (program, address) = started.unwrap();
    program.documents(4);
    assert_eq!(until(address, "/startupz", 200), "ok\n");
    assert_eq!(get(address, "/readyz"), (200, "ok\n".to_owned()));
    let (_, verbose) = get(address, "/readyz?verbose");
    let expected = "[+]running\n\
         [+]127.0.0.1/dataverse-events/$Default/0 read\n\
         [+]127.0.0.1/dataverse-events/$Default/1 read\n\
         readyz check passed\n";
    assert_eq!(verbose, expected);
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(TcpStream::connect(address).is_err());
}

/// A hub of whose events only so many come through, and everything else does.
fn with_few_events(hub: &Hub, few: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let far = hub.emulator().address();
    let passed = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for near in listener.incoming() {
            let near = near.unwrap();
            let far = TcpStream::connect(far).unwrap();
            let (from_near, to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || {
                std::io::copy(&mut &from_near, &mut &to_far).ok();
                to_far.shutdown(Shutdown::Both).ok();
            });
            let passed = Arc::clone(&passed);
            thread::spawn(move || {
                while let Some(frame) = frame(&far) {
                    let is_withheld = holds_event(&frame) && passed.fetch_add(1, Relaxed) >= few;
                    let empty = [0, 0, 0, 8, 2, 0, 0, 0];
                    let frame = if is_withheld { &empty } else { &frame[..] };
                    if (&near).write_all(frame).is_err() {
                        break;
                    }
                }
                near.shutdown(Shutdown::Both).ok();
            });
        }
    });
    let string = hub.connection_string();
    string.replace(&format!(":{}", far.port()), &format!(":{port}"))
}

/// A frame, or a protocol header.
fn frame(mut from: &TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 8];
    from.read_exact(&mut frame).ok()?;
    let size: [u8; 4] = frame[..4].try_into().unwrap();
    if size != *b"AMQP" {
        frame.resize(u32::from_be_bytes(size) as usize, 0);
        from.read_exact(&mut frame[8..]).ok()?;
    }
    Some(frame)
}

/// True for a transfer that holds an event.
fn holds_event(frame: &[u8]) -> bool {
    let name = b"x-opt-sequence-number";
    let is_transfer = frame.get(8..11) == Some(&[0x00, 0x53, 0x14]);
    is_transfer && frame.windows(name.len()).any(|part| part == name)
}

#[test]
fn a_partition_whose_events_do_not_come_makes_the_daemon_unhealthy() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "5"]);
    let string = with_few_events(&hub, 2);
    let file = file(&format!(
        "{}{CONSOLE}[health]\nstuck_after = \"10s\"\n",
        hub_table(&string)
    ));
    let (mut program, address) = listening(&file);
    program.documents(2);
    let status = status_when(address, |status| status["partitions"][0]["behind"] == 3);
    assert_eq!(status["live"], true, "{status}");
    let why = until(address, "/livez", 503);
    assert!(why.contains("/0 stuck for 1"), "{why}");
    assert!(
        why.contains("the service has events that do not come"),
        "{why}"
    );
    assert_eq!(get(address, "/readyz").0, 503);
    assert_eq!(get(address, "/startupz").0, 200);
    let (_, verbose) = get(address, "/livez?verbose");
    assert!(verbose.contains("\n[-]127.0.0.1/"), "{verbose}");
    let url = format!("http://{address}");
    check(&run(["health", "--url", &url]), 1, "stuck for 1");
    check(&run(["health", "--startup", "--url", &url]), 0, "ok");
    check(&run(["status", "--url", &url]), 0, "a partition is stuck");
    program.says("stuck");
}

#[test]
fn health_and_status_find_the_daemon_where_its_configuration_says() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "3"]);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("http.sock");
    let file = file(&format!(
        "{}{CONSOLE}[http]\nlisten = \"unix:{}\"\n",
        hub_table(&hub.connection_string()),
        socket.display()
    ));
    let path = file.path.to_str().unwrap();
    let ask = |arguments: &[&str]| {
        let mut command = command(arguments.iter().copied());
        command.env_remove(HTTP_LISTEN).args(["--config", path]);
        Program::start(&mut command).wait()
    };
    check(&ask(&["health"]), 1, "it cannot be reached: No such file");
    let mut started = command(["run", "--config", path]);
    let mut program = Program::start(started.env_remove(HTTP_LISTEN));
    program.says("http listener");
    program.says("listening");
    program.documents(3);
    check(&ask(&["health"]), 0, "ok");
    check(&ask(&["health", "--ready"]), 0, "ok");
    check(&ask(&["health", "--startup"]), 0, "ok");
    check(&ask(&["status"]), 0, "of 127.0.0.1 as $Default");
    let ended = ask(&["status", "--output", "json"]);
    let status: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(status["totals"]["received"], 3, "{status}");
    assert_eq!(status["phase"], "running", "{status}");
    // Another daemon at the same place would answer in its name.
    let mut other = command(["run", "--config", path]);
    let ended = Program::start(other.env_remove(HTTP_LISTEN)).wait();
    check(&ended, 75, "another process listens there");
    program.signal("KILL");
    drop(program.wait());
    assert!(socket.exists());
    check(&ask(&["health"]), 1, "Connection refused");
    let mut program = Program::start(started.env_remove(HTTP_LISTEN));
    program.says("http listener");
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!socket.exists());
}

#[test]
fn a_port_that_is_taken_is_told_to_whoever_asked_for_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let string = "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true;EntityPath=h";
    let file = file(&format!("{}{CONSOLE}", hub_table(string)));
    let ended = daemon(&file, &[(HTTP_LISTEN, &address)]).wait();
    check(
        &ended,
        75,
        &format!("cannot run: cannot listen for HTTP at {address}: Address already in use"),
    );
    let advice = "; set listen in [http] to another address, or to \"none\"";
    assert!(ended.stderr.contains(advice), "{}", ended.stderr);
}

#[test]
fn a_client_that_hangs_holds_up_neither_the_daemon_nor_its_end() {
    let hub = Hub::start(1);
    let file = file(&format!("{}{CONSOLE}", hub_table(&hub.connection_string())));
    let (mut program, address) = listening(&file);
    program.says("listening");
    let mut hanging = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /status HTTP/1.1\r\n").unwrap();
        hanging.push(stream);
    }
    hub.simulate(["--count", "2"]);
    program.documents(2);
    assert_eq!(get(address, "/livez").0, 200);
    let begun = Instant::now();
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_status_tells_of_a_sink_that_is_away_and_of_no_secret() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "7"]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let file = file(&format!(
        "{}{CONSOLE}[[sink]]\nname = \"crm\"\ntype = \"webhook\"\n\
         url = \"http://127.0.0.1:{port}/hook?code=hunter2\"\nretry = {{ first = \"1ms\", limit = \"2ms\" }}\n",
        hub_table(&hub.connection_string())
    ));
    let (program, address) = listening(&file);
    program.documents(7);
    let status = status_when(address, |status| {
        let retried = status["sinks"][1]["retried"].as_u64();
        status["partitions"][0]["behind"] == 7 && retried.is_some_and(|retried| retried > 5)
    });
    let [console, crm] = [0, 1].map(|place| &status["sinks"][place]);
    assert_eq!(console["name"], "console");
    assert_eq!(console["type"], "stdout");
    assert_eq!(console["state"], "delivering");
    assert_eq!(console["delivered"], 7);
    assert_eq!(console["queue"]["events"], 0);
    assert_eq!(console["last_failure"], Value::Null);
    assert_eq!(crm["type"], "webhook");
    assert_eq!(crm["delivered"], 0);
    assert_eq!(crm["queue"]["events"], 7, "{status}");
    assert!(crm["queue"]["bytes"].as_u64().unwrap() > 7_000, "{status}");
    assert_eq!(crm["queue"]["bytes_limit"], 32 << 20);
    let state = crm["state"].as_str().unwrap();
    assert!(["waiting", "probing"].contains(&state), "{state}");
    let reason = crm["last_failure"]["reason"].as_str().unwrap();
    assert!(reason.contains("unavailable"), "{reason}");
    assert_eq!(status["partitions"][0]["received"], 6);
    assert_eq!(status["partitions"][0]["completed"], Value::Null);
    let url = format!("http://{address}");
    let shown = run(["status", "--url", &url]);
    check(&shown, 0, "crm      webhook");
    for text in [status.to_string(), shown.stdout.join("\n")] {
        for secret in ["hunter2", "SAS_KEY_VALUE"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn what_cannot_be_asked_is_told_with_an_exit_code() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let wrong = file("[http]\nlisten = \"everywhere\"\n");
    let wrong = wrong.path.to_str().unwrap();
    // What else is in it does not matter to whoever only asks.
    let elsewhere = file(&format!(
        "[http]\nlisten = \"{address}\"\n[[sink]]\ntype = 7\n"
    ));
    let elsewhere = elsewhere.path.to_str().unwrap();
    for (arguments, code, said) in [
        (vec!["health", "--url", &address], 1, "Connection refused"),
        (vec!["status", "--url", &address], 69, "Connection refused"),
        (vec!["health", "--url", "https://x:1"], 64, "no TLS"),
        (vec!["status", "--url", "x"], 64, "http://HOST:PORT"),
        (
            vec!["health", "--config", wrong],
            78,
            ":2: http.listen: must be",
        ),
        (
            vec!["health", "--config", elsewhere],
            1,
            "Connection refused",
        ),
        (
            vec!["health", "--ready", "--startup"],
            64,
            "cannot be used with",
        ),
        (
            vec!["status", "--watch", "0", "--url", &address],
            64,
            "--watch",
        ),
    ] {
        let mut command = command(arguments.iter().copied());
        let ended = Program::start(command.env_remove(HTTP_LISTEN)).wait();
        check(&ended, code, said);
    }
    check(&run(["health"]), 78, "listen is \"none\" in [http]");
}

#[test]
fn watching_goes_on_while_the_daemon_is_away_and_ends_when_it_is_told_to() {
    let hub = Hub::start(1);
    let file = file(&format!("{}{CONSOLE}", hub_table(&hub.connection_string())));
    let (mut program, address) = listening(&file);
    program.says("listening");
    let url = format!("http://{address}");
    let arguments = ["status", "--watch", "1", "--url", &url];
    let on_screen = Program::start_on_terminal(command(arguments));
    assert!(on_screen.line().starts_with("\u{1b}[?1049h"));
    let mut lines = Program::start(&mut command(arguments));
    for watching in [&on_screen, &lines] {
        while !watching.line().contains("PARTITION") {}
    }
    program.signal("TERM");
    assert_eq!(program.wait().status.code(), Some(0));
    lines.says("no daemon answers");
    while !on_screen.line().contains("no daemon answers") {}
    for watching in [on_screen, lines] {
        watching.signal("INT");
        let ended = watching.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    }
}
