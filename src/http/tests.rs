//! The listener over real sockets, in front of a daemon that is made up.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::client::Answer;
use super::config::Listen;
use super::listener::Listener;
use super::*;
use crate::health::Phase;
use crate::status::Totals;

/// A daemon that is in this state.
struct MadeUp(Phase);

impl Watched for MadeUp {
    fn metrics(&self, accept: Option<&str>) -> Result<(&'static str, String), fmt::Error> {
        match accept {
            Some("nothing") => Err(fmt::Error),
            accept => Ok(("text/x", format!("{accept:?}\n"))),
        }
    }

    fn report(&self) -> Report {
        Report {
            phase: self.0,
            partitions: Vec::new(),
        }
    }

    fn status(&self) -> Status {
        let now = OffsetDateTime::UNIX_EPOCH;
        let sinks = std::iter::empty();
        Status::new(&self.report(), sinks, Totals::default(), now, now)
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

fn config(listen: &str, is_given: bool) -> Config {
    Config {
        listen: listen.parse().unwrap(),
        is_given,
    }
}

async fn open(place: &str) -> Listener {
    listen(&config(place, true)).await.unwrap().unwrap()
}

/// Serves for as long as what is returned is kept; where.
async fn serve(phase: Phase) -> (JoinSet<()>, Endpoint) {
    let listener = open("127.0.0.1:0").await;
    let endpoint = listener.address().parse().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move { match listener.serve(Arc::new(MadeUp(phase))).await {} });
    (serving, endpoint)
}

async fn connect(endpoint: &Endpoint) -> TcpStream {
    TcpStream::connect(endpoint.to_string()).await.unwrap()
}

/// Everything that is answered to this.
async fn say(endpoint: &Endpoint, request: &str) -> String {
    let mut stream = connect(endpoint).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    timeout(PATIENCE, read).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn pages_are_found_and_nothing_else_is() {
    let (_serving, endpoint) = serve(Phase::Starting).await;
    for (line, expected, end) in [
        ("GET /livez", "200 OK", "\r\n\r\nok\n"),
        ("GET /healthz", "200 OK", "\r\n\r\nok\n"),
        ("HEAD /livez", "200 OK", "\r\n\r\n"),
        ("GET /livez?a=b&verbose=1", "200 OK", "livez check passed\n"),
        (
            "GET /readyz",
            "503 Service Unavailable",
            "\r\n\r\nstarting\n",
        ),
        ("HEAD /readyz", "503 Service Unavailable", "\r\n\r\n"),
        (
            "GET /startupz",
            "503 Service Unavailable",
            "\r\n\r\nstarting\n",
        ),
        ("GET /status", "200 OK", "}\n"),
        ("GET /metrics", "200 OK", "\r\n\r\nNone\n"),
        ("GET /livez/", "404 Not Found", "/metrics\n"),
        ("GET /../../etc/passwd", "404 Not Found", "/metrics\n"),
        (
            "POST /livez",
            "405 Method Not Allowed",
            "HEAD are answered\n",
        ),
        (
            "DELETE /status",
            "405 Method Not Allowed",
            "HEAD are answered\n",
        ),
    ] {
        let answer = say(&endpoint, &format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let head = format!("HTTP/1.1 {expected}\r\n");
        assert!(answer.starts_with(&head), "{line}: {answer}");
        assert!(answer.ends_with(end), "{line}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{line}: {answer}");
        if expected.starts_with("405") {
            assert!(answer.contains("allow: GET,HEAD\r\n"), "{line}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let (_serving, endpoint) = serve(Phase::Running).await;
    let long = "x".repeat(20 << 10);
    for (request, expected) in [
        ("hello\r\n\r\n", "HTTP/1.1 400 "),
        (&format!("GET /{long} HTTP/1.1\r\n\r\n"), "HTTP/1.1 4"),
        (
            &format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n"),
            "HTTP/1.1 431 ",
        ),
    ] {
        let mut stream = connect(&endpoint).await;
        // Where it is too long, not all of it is read.
        stream.write_all(request.as_bytes()).await.ok();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .ok();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(expected), "{expected}: {answer}");
    }
    let Answer { status, .. } = ask(&endpoint, "/readyz").await.unwrap();
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_text_of_metrics_is_in_the_form_that_was_asked_for() {
    let (_serving, endpoint) = serve(Phase::Running).await;
    let ask = async |accept| {
        let request = format!("GET /metrics HTTP/1.1\r\naccept: {accept}\r\n\r\n");
        say(&endpoint, &request).await
    };
    let answer = ask("a/b").await;
    assert!(answer.contains("content-type: text/x\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nSome(\"a/b\")\n"), "{answer}");
    let answer = ask("nothing").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_its_request_is_cut() {
    let (_serving, endpoint) = serve(Phase::Running).await;
    for request in ["", "GET /livez HTTP/1.1\r\nhost:"] {
        let begun = Instant::now();
        let mut stream = connect(&endpoint).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Sooner or later, but not while it has time.
        stream.read_to_end(&mut answer).await.ok();
        let took = begun.elapsed();
        assert!(took <= Duration::from_secs(11), "{took:?}");
    }
}

#[tokio::test]
async fn clients_that_hang_keep_no_other_away() {
    let (_serving, endpoint) = serve(Phase::Running).await;
    let mut hanging = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(&endpoint).await;
        stream.write_all(b"GET /livez").await.unwrap();
        hanging.push(stream);
        let answer = ask(&endpoint, "/livez").await.unwrap();
        assert_eq!(answer.status, 200);
    }
    // The oldest ones had to go.
    for mut stream in hanging.drain(..50) {
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .ok();
        assert!(answer.is_empty());
    }
}

#[tokio::test]
async fn a_unix_socket_is_for_its_owner_and_group_and_goes_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let place = format!("unix:{}", path.display());
    let listener = open(&place).await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let endpoint = place.parse().unwrap();
    let answer = tokio::select! {
        answer = ask(&endpoint, "/livez") => answer.unwrap(),
        never = listener.serve(Arc::new(MadeUp(Phase::Running))) => match never {},
    };
    assert_eq!((answer.status, &*answer.body), (200, b"ok\n".as_slice()));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_of_the_dead_is_replaced_and_one_of_the_living_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let config = config(&format!("unix:{}", path.display()), true);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let living = listen(&config).await.unwrap().unwrap();
    let error = listen(&config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
    assert!(path.exists());
    // Whoever took its place is left alone.
    std::fs::remove_file(&path).unwrap();
    let next = listen(&config).await.unwrap();
    drop(living);
    assert!(path.exists());
    drop(next);
    std::fs::write(&path, "a letter").unwrap();
    let error = listen(&config).await.unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"a letter");
    let nowhere = Config {
        listen: Listen::Unix(Path::new("/none/http.sock").into()),
        is_given: true,
    };
    assert_eq!(
        listen(&nowhere).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_only_to_whoever_asked_for_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert!(listen(&config(&address, false)).await.unwrap().is_none());
    let error = listen(&config(&address, true)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(listen(&Config::none()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_waits_three_seconds_and_says_why_there_is_no_answer() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = silent.local_addr().unwrap().to_string().parse().unwrap();
    let begun = Instant::now();
    let error = ask(&endpoint, "/livez").await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 3 s");
    assert!(begun.elapsed() < Duration::from_secs(4));
    drop(silent);
    let error = ask(&endpoint, "/livez").await.unwrap_err();
    assert!(matches!(error, AskError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_none_is_told() {
    let strange = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = strange.local_addr().unwrap().to_string().parse().unwrap();
    for answer in [
        "220 mail.example\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
    ] {
        let answering = async {
            let (mut stream, _) = strange.accept().await.unwrap();
            let mut request = [0; 16];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (asked, ()) = tokio::join!(ask(&endpoint, "/livez"), answering);
        assert!(
            matches!(asked, Err(AskError::Http(_))),
            "{answer}: {asked:?}"
        );
    }
}
