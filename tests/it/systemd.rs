//! What the service manager is told: when it is ready, how it does, and nothing more when it is stuck.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use crate::hub::Hub;
use crate::world::{File, PATIENCE, Program, command, file};

/// The other side of `NOTIFY_SOCKET`.
struct Manager {
    name: String,
    messages: Receiver<String>,
    _folder: Option<TempDir>,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self {
            name: path.to_str().unwrap().to_owned(),
            messages: messages(socket),
            _folder: Some(folder),
        }
    }

    /// One that has no file, as in a container.
    fn without_a_file() -> Self {
        let name = format!("dataverse-listener-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self {
            name: format!("@{name}"),
            messages: messages(UnixDatagram::bind_addr(&address).unwrap()),
            _folder: None,
        }
    }

    fn starts(&self, file: &File) -> Program {
        Program::start(
            command(["run", "--config", file.path.to_str().unwrap()])
                .env("NOTIFY_SOCKET", &self.name)
                .env("WATCHDOG_USEC", "1000000"),
        )
    }

    /// The next message that is not a mere ping, and how many of these came before.
    fn hears(&self) -> (String, usize) {
        let mut pings = 0;
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect("a message");
            if message != "WATCHDOG=1\n" {
                return (message, pings);
            }
            pings += 1;
        }
    }

    /// The first message with `text` in it, and those before it.
    fn hears_of(&self, text: &str) -> (String, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        let mut before = Vec::new();
        while Instant::now() < deadline {
            let (message, _) = self.hears();
            if message.contains(text) {
                return (message, before);
            }
            before.push(message);
        }
        panic!("{text:?} was not heard, but {before:?}");
    }

    /// How many pings come in so long, with whatever else.
    fn pings_within(&self, lasting: Duration) -> usize {
        let deadline = Instant::now() + lasting;
        let mut pings = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left) {
                Ok(message) => pings += usize::from(message == "WATCHDOG=1\n"),
                Err(RecvTimeoutError::Timeout) => return pings,
                Err(RecvTimeoutError::Disconnected) => panic!("the socket broke"),
            }
        }
    }
}

fn messages(socket: UnixDatagram) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut message = [0; 4096];
        while let Ok(length) = socket.recv(&mut message) {
            let text = String::from_utf8(message[..length].to_vec()).unwrap();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    receiver
}

fn configuration(connection_string: &str, more: &str) -> File {
    file(&format!(
        "[[hub]]\nconnection_string = \"{connection_string}\"\n\
         [[sink]]\nname = \"out\"\ntype = \"stdout\"\n{more}"
    ))
}

#[test]
fn it_is_ready_when_every_partition_is_open_and_alive_before() {
    let mut hub = Hub::start(2);
    let manager = Manager::new();
    let file = configuration(&hub.connection_string(), "");
    let mut program = None;
    hub.restart(|| {
        let mut started = manager.starts(&file);
        started.says("event hub not reached");
        started.signal("HUP");
        started.says("SIGHUP");
        // Two looks, five seconds apart.
        for status in ["STATUS=starting: asking for", ""] {
            let (message, before) = manager.hears_of("EXTEND_TIMEOUT_USEC=30000000\n");
            assert!(message.starts_with(status), "{message}");
            assert!(before.is_empty(), "{before:?}");
        }
        assert!(manager.pings_within(Duration::from_secs(2)) >= 2);
        program = Some(started);
    });
    let (message, before) = manager.hears_of("READY=1\n");
    assert_eq!(
        [0, 1].map(|partition| hub.emulator().receivers(partition)),
        [1, 1]
    );
    assert!(
        message.contains("\nSTATUS=2 partitions, ") && message.contains(" behind"),
        "{message}"
    );
    let said = before.concat();
    assert!(!said.contains("STATUS=2 partitions"), "{said}");
    let mut program = program.unwrap();
    program.says("listening");

    // What was asked for while it started is not told later.
    program.signal("HUP");
    let (message, _) = manager.hears_of("RELOADING=1\n");
    let at = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    let at: i64 = at.unwrap().trim_end().parse().unwrap();
    let now = clock_gettime(ClockId::Monotonic);
    let age = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000 - at;
    assert!((0..60_000_000).contains(&age), "{age}");
    assert!(manager.hears().0.starts_with("READY=1\nSTATUS="));

    program.signal("TERM");
    let (message, before) = manager.hears_of("STOPPING=1\n");
    // The grace period and a little.
    assert_eq!(message, "STOPPING=1\nEXTEND_TIMEOUT_USEC=25000000\n");
    let said = before.concat();
    assert!(
        !said.contains("READY") && !said.contains("RELOADING"),
        "{said}"
    );
    assert_eq!(
        manager.hears().0,
        "STATUS=stopping: delivering what was received\n"
    );
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn a_sink_that_is_away_is_seen_in_the_status_and_no_reason_for_the_watchdog() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "7"]);
    let manager = Manager::without_a_file();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let hook = format!(
        "[[sink]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"http://{address}/\"\n\
         [delivery]\nin_flight_events = 1\n[health]\nstuck_after = \"10s\"\n"
    );
    let file = configuration(&hub.connection_string(), &hook);
    let mut program = manager.starts(&file);
    program.says("listening");
    let (message, _) = manager.hears_of("7 events behind, oldest ");
    assert!(message.contains("STATUS=2 partitions, "), "{message}");
    manager.hears_of("; 2 held up by a sink");
    assert!(manager.pings_within(Duration::from_secs(15)) >= 15);
    program.signal("TERM");
    manager.hears_of("STOPPING=1\n");
    // Nobody takes what is left.
    program.signal("TERM");
}

#[test]
fn a_status_is_said_when_it_is_another_one() {
    let hub = Hub::start(1);
    let manager = Manager::new();
    let file = configuration(&hub.connection_string(), "");
    let program = manager.starts(&file);
    let (ready, _) = manager.hears_of("READY=1\n");
    let mut last = ready.replace("READY=1\n", "");
    hub.simulate(["--count", "3"]);
    program.documents(3);
    // It looks twice in this time, or three times.
    let deadline = Instant::now() + Duration::from_secs(12);
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        match manager.messages.recv_timeout(left) {
            Ok(said) if said.starts_with("STATUS=") => {
                assert_ne!(said, last);
                last = said;
            }
            Ok(said) => assert_eq!(said, "WATCHDOG=1\n"),
            Err(_) => break,
        }
    }
    assert_eq!(last, "STATUS=1 partition, 0 events behind\n");
}

#[test]
fn the_configuration_of_the_package_is_sound_where_the_secret_is_and_names_it_where_it_is_not() {
    let secrets = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/systemd.toml");
    let checked = || {
        let mut check = command(["check", "--config", config]);
        Program::start(check.env("CREDENTIALS_DIRECTORY", secrets.path())).wait()
    };
    let ended = checked();
    assert_eq!(ended.status.code(), Some(78));
    let named = "hub[0].connection_string_file: ";
    assert!(ended.stderr.contains(named), "{}", ended.stderr);
    assert!(ended.stderr.contains("secret_eventhub"), "{}", ended.stderr);
    let secret = secrets.path().join("secret_eventhub");
    fs::write(secret, Hub::start(1).connection_string()).unwrap();
    let ended = checked();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn a_manager_that_does_not_listen_is_told_of_once_and_keeps_nobody_from_work() {
    for name in ["/nowhere/notify", "@nobody-listens-here", "vsock:2:1234"] {
        let hub = Hub::start(1);
        hub.simulate(["--count", "3"]);
        let file = configuration(&hub.connection_string(), "");
        let path = file.path.to_str().unwrap();
        let program = Program::start(
            command(["run", "--config", path])
                .env("NOTIFY_SOCKET", name)
                .env("WATCHDOG_USEC", "2000"),
        );
        program.documents(3);
        program.signal("HUP");
        program.signal("TERM");
        let ended = program.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        let told = ended.stderr.matches("service manager is not told").count();
        assert_eq!(told, 1, "{name}: {}", ended.stderr);
    }
}

#[test]
fn a_partition_that_is_stuck_gets_no_more_pings() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "9"]);
    let string = behind_somebody_who_takes_events_out(&hub, 3);
    let manager = Manager::new();
    let file = configuration(&string, "[health]\nstuck_after = \"10s\"\n");
    let mut program = manager.starts(&file);
    program.documents(3);
    manager.hears_of("READY=1\n");
    // Nothing is wrong yet with a partition to which nothing comes for a while.
    assert!(manager.pings_within(Duration::from_secs(6)) >= 6);
    program.says("partition stuck for");
    manager.pings_within(Duration::from_millis(500));
    let (message, pings) = manager.hears();
    assert!(message.ends_with("; 1 stuck\n") && pings == 0, "{message}");
    assert_eq!(manager.pings_within(Duration::from_secs(4)), 0);
    assert!(
        !program
            .lines_until_quiet(Duration::ZERO)
            .iter()
            .any(|_| true)
    );
    // It is left to the manager to end it; until then it goes on trying, and ends well when it is asked to.
    program.signal("TERM");
    manager.hears_of("STOPPING=1\n");
    assert_eq!(program.wait().status.code(), Some(0));
}

/// The hub behind somebody who passes on `events` events, and then everything but events: heartbeats and answers go
/// on, as with a link that the service has forgotten.
fn behind_somebody_who_takes_events_out(hub: &Hub, events: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = hub.emulator().address();
    thread::spawn(move || {
        let mut left = events;
        for near in listener.incoming() {
            let mut near = near.unwrap();
            let mut far = TcpStream::connect(address).unwrap();
            let (mut from_client, mut to_hub) =
                (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || {
                std::io::copy(&mut from_client, &mut to_hub).ok();
                to_hub.shutdown(Shutdown::Write).ok();
            });
            while let Ok(frame) = read_frame(&mut far) {
                let is_passed = !holds_event(&frame) || left > 0;
                left -= usize::from(holds_event(&frame) && left > 0);
                let frame = if is_passed { &frame } else { HEARTBEAT };
                if near.write_all(frame).is_err() {
                    break;
                }
            }
        }
    });
    let string = hub.connection_string();
    string.replace(&format!(":{}", address.port()), &format!(":{port}"))
}

const HEARTBEAT: &[u8] = &[0, 0, 0, 8, 2, 0, 0, 0];

/// A frame, or a protocol header.
fn read_frame(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 8];
    from.read_exact(&mut frame)?;
    if !frame.starts_with(b"AMQP") {
        let length = u32::from_be_bytes(frame[..4].try_into().unwrap());
        frame.resize(length as usize, 0);
        from.read_exact(&mut frame[8..])?;
    }
    Ok(frame)
}

/// True for a transfer that holds an event.
fn holds_event(frame: &[u8]) -> bool {
    let name = b"x-opt-sequence-number";
    let is_transfer = frame.get(8..11) == Some(&[0x00, 0x53, 0x14]);
    is_transfer && frame.windows(name.len()).any(|part| part == name)
}
