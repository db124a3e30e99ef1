//! What is made of answers, and of none.

use super::*;

#[tokio::test]
async fn an_answer_is_accepted_or_said_why_not() {
    for (answer, expected) in [
        (Answer::status(200), None),
        (Answer::status(202), None),
        (
            Answer::status(500),
            Some("the sink is unavailable: HOST answered 500"),
        ),
        (
            Answer::header(503, "retry-after", "7"),
            Some("the sink is busy: HOST answered 503"),
        ),
        (
            Answer::status(401),
            Some("somebody must see to it: HOST answered 401"),
        ),
        (Answer::status(422), Some("refused: HOST answered 422")),
        (
            Answer::status(410),
            Some("the sink pauses until SIGHUP or a restart: HOST answered 410"),
        ),
        (
            Answer::header(302, "location", "https://other.example/login?token=hunter2"),
            Some(
                "somebody must see to it: HOST answered 302, a redirect to other.example; it is not followed, change the url",
            ),
        ),
        (
            Answer::header(308, "location", "/elsewhere"),
            Some(
                "somebody must see to it: HOST answered 308, a redirect to HOST; it is not followed, change the url",
            ),
        ),
        (
            Answer::Reset,
            Some(
                "the sink is unavailable: the connection to HOST broke before an answer: Connection reset by peer (os error 104)",
            ),
        ),
    ] {
        let server = Server::start(move |_, _| answer.clone());
        let endpoint = endpoint(&format!("url = \"{}\"", server.url("/in?code=hunter2")));
        let result = endpoint.attempt(&[delivery(update(OPERATION))]).await;
        let said = result.err().map(|error| Causes(&error).to_string());
        let expected = expected.map(|text| text.replace("HOST", &server.address().to_string()));
        assert_eq!(said, expected);
        // One attempt is one request, whatever is answered.
        assert_eq!(server.wait_for(|requests| !requests.is_empty()).len(), 1);
    }
}

#[tokio::test]
async fn a_server_is_waited_for_no_longer_than_the_limit() {
    let server = Server::start(|_, _| Answer::header(429, "retry-after", "3600"));
    let url = server.url("/");
    for (toml, expected) in [
        ("", 300),
        ("[retry]\nlimit = \"1h\"", 3600),
        ("[retry]\nlimit = \"5s\"", 5),
    ] {
        let endpoint = endpoint(&format!("url = \"{url}\"\n{toml}"));
        let result = endpoint.attempt(&[delivery(update(OPERATION))]).await;
        let Err(DeliveryError::Busy { after, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(after, Duration::from_secs(expected));
    }
}

#[tokio::test]
async fn the_configuration_says_what_a_status_means() {
    let server = Server::start(|_, _| Answer::status(409));
    let endpoint = endpoint(&format!(
        "url = \"{}\"\n[status]\n409 = \"accept\"\n\"4xx\" = \"refuse\"",
        server.url("/")
    ));
    endpoint
        .attempt(&[delivery(update(OPERATION))])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let server = Server::start(|_, _| Answer::Never);
    let endpoint = endpoint(&format!(
        "url = \"{}\"\ntimeout = \"300ms\"",
        server.url("/in?code=hunter2")
    ));
    assert_eq!(
        failure(&endpoint).await,
        format!(
            "the sink is unavailable: {} did not answer within 300ms",
            server.address()
        )
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = endpoint(&format!("url = \"http://{address}/in?code=hunter2\""));
    assert_eq!(
        failure(&refused).await,
        format!(
            "the sink is unavailable: no connection to {address}: Connection refused (os error 111)"
        )
    );
    let unknown = endpoint("url = \"http://hooks.example.invalid/in?code=hunter2\"");
    let said = failure(&unknown).await;
    let expected =
        "the sink is unavailable: the name of hooks.example.invalid cannot be resolved: ";
    assert!(said.starts_with(expected), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_was_answered() {
    let statuses = [200, 503, 422, 302, 401, 200];
    let server = Server::start(move |before, _| {
        Answer::With(statuses[before], Vec::new(), vec![b'x'; 60_000])
    });
    let endpoint = endpoint(&format!("url = \"{}\"", server.url("/")));
    for _ in statuses {
        let result = endpoint.attempt(&[delivery(update(OPERATION))]).await;
        drop(result);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_long_answer_is_not_read_to_its_end() {
    let server = Server::start(|_, _| Answer::With(200, Vec::new(), vec![b'x'; 8 << 20]));
    let endpoint = endpoint(&format!("url = \"{}\"", server.url("/")));
    for _ in 0..2 {
        endpoint
            .attempt(&[delivery(update(OPERATION))])
            .await
            .unwrap();
    }
    assert_eq!(server.connections(), 2);
}
