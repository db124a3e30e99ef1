//! `run` with a webhook: what reaches a server that fails in every way, and what is said meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Answer, Request, Server};
use crate::hub::Hub;
use crate::world::{File, Program, command, daemon, file};

/// A configuration with this hub, and a sink `crm` that posts to `url` and has these settings too.
fn configuration(hub: &Hub, url: &str, settings: &str) -> String {
    format!(
        "[checkpoint]\nstore = \"memory\"\n[[hub]]\nconnection_string = \"{}\"\n[[sink]]\nname = \"crm\"\ntype = \"webhook\"\nurl = \"{url}\"\n{settings}\n",
        hub.connection_string()
    )
}

/// Impatient: nobody waits long in a test.
const RETRY: &str = "retry = { first = \"10ms\", limit = \"100ms\" }\n";

/// Where the event of a request lies.
fn place(request: &Request) -> (String, i64) {
    let document: Value = serde_json::from_str(request.text()).unwrap();
    let partition = document["partition"].as_str().unwrap().to_owned();
    (partition, document["sequence_number"].as_i64().unwrap())
}

/// Checks that every one of `count` events came, and those of a partition one after the other.
fn check_order(requests: &[Request], count: usize) {
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for request in requests {
        let (partition, number) = place(request);
        assert_eq!(request.method, "POST");
        let next = last.get(&partition).map_or(0, |last| last + 1);
        assert_eq!(number, next, "partition {partition}");
        last.insert(partition, number);
    }
    assert_eq!(requests.len(), count);
}

/// Requests that are kept apart by what was answered.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Request>>>);

impl Kept {
    fn keep(&self, request: &Request) {
        self.0.lock().unwrap().push(request.clone());
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn all(&self) -> Vec<Request> {
        self.0.lock().unwrap().clone()
    }
}

fn stop(program: Program) -> String {
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    ended.stderr
}

#[test]
fn a_server_that_knows_nobody_for_a_while_gets_everything() {
    let hub = Hub::start(4);
    hub.simulate(["--count", "80"]);
    let accepted = Kept::default();
    let kept = accepted.clone();
    let server = Server::start(move |before, request| {
        if before < 40 {
            return Answer::status(401);
        }
        kept.keep(request);
        Answer::status(204)
    });
    let file = file(&configuration(&hub, &server.url("/in"), RETRY));
    let mut program = daemon(&file, &[]);
    program.says(&format!("{} answered 401", server.address()));
    server.wait_for(|_| accepted.len() >= 80);
    check_order(&accepted.all(), 80);
    let said = stop(program);
    assert!(said.contains("delivering again"), "{said}");
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "3"]);
    let times = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&times);
    let server = Server::start(move |before, _| {
        taken.lock().unwrap().push(Instant::now());
        match before {
            0 => Answer::header(429, "retry-after", "1"),
            _ => Answer::status(204),
        }
    });
    let file = file(&configuration(&hub, &server.url("/in"), ""));
    let mut program = daemon(&file, &[]);
    program.says(&format!("{} answered 429", server.address()));
    server.wait_for(|requests| requests.len() == 4);
    let times = times.lock().unwrap().clone();
    let waited = times[1] - times[0];
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    stop(program);
}

#[test]
fn what_is_refused_goes_to_the_dead_letter_sink_and_its_partition_moves_on() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "40"]);
    let is_refused = |request: &Request| place(request).1 % 5 == 3;
    let server = Server::start(move |_, request| match &*request.target {
        "/in" if is_refused(request) => Answer::status(422),
        _ => Answer::status(204),
    });
    let dead = format!(
        "[[sink]]\nname = \"dead\"\ntype = \"webhook\"\nurl = \"{}\"\n[dead_letter]\nsink = \"dead\"",
        server.url("/dead")
    );
    let file = file(&configuration(
        &hub,
        &server.url("/in"),
        &format!("{RETRY}{dead}"),
    ));
    let program = daemon(&file, &[]);
    // Four of the twenty events of each partition.
    let requests = server.wait_for(|requests| requests.len() >= 40 + 8);
    let (letters, posted): (Vec<_>, Vec<_>) = requests
        .into_iter()
        .partition(|request| request.target == "/dead");
    check_order(&posted, 40);
    assert_eq!(letters.len(), 8);
    for letter in &letters {
        assert!(is_refused(letter));
        let document: Value = serde_json::from_str(letter.text()).unwrap();
        assert_eq!(document["dead_letter"]["sink"], "crm");
        let reason = format!("{} answered 422", server.address());
        assert_eq!(document["dead_letter"]["reason"], reason);
    }
    stop(program);
}

#[test]
fn what_is_skipped_is_said_once_a_minute_and_counted() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "40"]);
    let server = Server::start(|_, _| Answer::status(422));
    let skip = "[dead_letter]\notherwise = \"skip\"";
    let file = file(&configuration(&hub, &server.url("/in"), skip));
    let program = daemon(&file, &[]);
    server.wait_for(|requests| requests.len() >= 40);
    let said = stop(program);
    assert_eq!(
        said.matches("event refused and skipped").count(),
        1,
        "{said}"
    );
    assert!(said.contains("skipped=40"), "{said}");
}

#[test]
fn a_server_that_wants_nothing_any_more_is_left_alone_until_somebody_says_so() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "20"]);
    let is_back = Arc::new(AtomicBool::new(false));
    let answers_again = Arc::clone(&is_back);
    let accepted = Kept::default();
    let kept = accepted.clone();
    let server = Server::start(move |_, request| {
        if !answers_again.load(SeqCst) {
            return Answer::status(410);
        }
        kept.keep(request);
        Answer::status(204)
    });
    let file = file(&configuration(&hub, &server.url("/in"), RETRY));
    let mut program = daemon(&file, &[]);
    program.says("pauses until SIGHUP");
    is_back.store(true, SeqCst);
    program.signal("HUP");
    let requests = server.wait_for(|_| accepted.len() >= 20);
    check_order(&accepted.all(), 20);
    // The one that was answered 410 is the only one but for those.
    assert_eq!(requests.len(), 21);
    stop(program);
}

#[test]
fn an_attempt_has_the_name_of_the_one_before_it() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "1"]);
    let server = Server::start(|before, _| match before {
        0 => Answer::status(503),
        1 => Answer::Reset,
        2 => Answer::Never,
        _ => Answer::status(204),
    });
    let secret = "[sink.signature]\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"";
    let settings = format!("timeout = \"500ms\"\n{RETRY}{secret}");
    let file = file(&configuration(&hub, &server.url("/in"), &settings));
    let program = daemon(&file, &[]);
    let requests = server.wait_for(|requests| requests.len() == 4);
    let ids: BTreeSet<_> = requests
        .iter()
        .map(|request| request.header("webhook-id").unwrap())
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    stop(program);
}

#[test]
fn an_event_keeps_its_name_when_the_daemon_is_killed() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "20"]);
    let server = Server::start(|_, _| Answer::status(204));
    let file = file(&configuration(&hub, &server.url("/in"), RETRY));
    let killed = daemon(&file, &[]);
    server.wait_for(|requests| requests.len() >= 20);
    killed.signal("KILL");
    drop(killed);
    // Nothing was kept of how far it had come: everything is sent again.
    let program = daemon(&file, &[]);
    let requests = server.wait_for(|requests| requests.len() >= 40);
    let names = |requests: &[Request]| -> BTreeSet<String> {
        let ids = requests
            .iter()
            .map(|request| request.header("webhook-id").unwrap());
        ids.map(str::to_owned).collect()
    };
    assert_eq!(names(&requests[..20]).len(), 20);
    assert_eq!(names(&requests[..20]), names(&requests[20..40]));
    stop(program);
}

#[test]
fn no_secret_is_logged_and_no_proxy_of_the_environment_is_asked() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "5"]);
    let proxy = Server::start(|_, _| Answer::status(502));
    let (url, server) = secure_server();
    let settings = format!(
        "{RETRY}[sink.auth]\ntype = \"bearer\"\ntoken = \"hunter2\"\n[sink.signature]\nsecret = \"whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==\"\n[sink.tls]\nca_file = \"{}\"",
        server.authority.path.display()
    );
    let url = format!("{url}?code=hunter2");
    let file = file(&configuration(&hub, &url, &settings));
    let proxy_url = proxy.url("");
    let mut program = Program::start(
        command(["run", "--config", file.path.to_str().unwrap()])
            .env("DATAVERSE_LISTENER_LOG", "trace")
            .envs(["HTTPS_PROXY", "https_proxy", "ALL_PROXY"].map(|name| (name, &proxy_url))),
    );
    program.says("answered 500");
    let requests = server.http.wait_for(|requests| requests.len() >= 6);
    assert_eq!(requests[0].target, "/in?code=hunter2");
    assert_eq!(requests[0].version, hyper::Version::HTTP_2);
    let is_sent = |expected| requests[0].headers().any(|header| header == expected);
    assert!(is_sent("authorization: Bearer hunter2"));
    let said = stop(program);
    for secret in ["hunter2", "aHVudGVyM"] {
        let line = said.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
    assert_eq!(proxy.connections(), 0);
}

/// A server over TLS and HTTP/2, and the file of the authority that vouches for it.
struct Secure {
    http: Server,
    authority: File,
}

fn secure_server() -> (String, Secure) {
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let http = Server::start_secure(tls, |before, _| match before {
        0 => Answer::status(500),
        _ => Answer::status(204),
    });
    let url = format!("https://localhost:{}/in", http.address().port());
    let authority = file(&cert.pem());
    (url, Secure { http, authority })
}
