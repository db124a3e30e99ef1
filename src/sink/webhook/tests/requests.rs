//! What is sent: bodies, headers, credentials.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::*;
use crate::event::{PartitionId, Properties};
use crate::message::Place;

const XML: &str = r#"<RemoteExecutionContext xmlns="http://schemas.microsoft.com/xrm/2011/Contracts"><InputParameters/><MessageName>Update</MessageName></RemoteExecutionContext>"#;

/// A message with these application properties.
fn with_properties(message: Message, properties: &[(&str, &str)]) -> Message {
    let properties: Properties = properties
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
        .collect();
    let mut event = message.event;
    event.properties = properties;
    samples::decoded(event)
}

fn json(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn the_message_document_is_posted() {
    let request = post("", &[delivery(update(OPERATION))]).await;
    assert_eq!((&*request.method, &*request.target), ("POST", "/in"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let length = request.body.len().to_string();
    assert_eq!(request.header("content-length"), Some(&*length));
    let agent = format!("dataverse-listener/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(&*agent));
    let document = serde_json::to_value(update(OPERATION)).unwrap();
    assert_eq!(json(&request), document);
}

#[tokio::test]
async fn each_body_has_its_type() {
    for (body, message, content_type, text) in [
        (
            "context",
            update(OPERATION),
            "application/json",
            r#"{"@format":"json""#,
        ),
        (
            "cloudevent",
            update(OPERATION),
            "application/cloudevents+json; charset=utf-8",
            r#"{"specversion":"1.0""#,
        ),
        (
            "original",
            update(OPERATION),
            "application/json",
            r#"{"MessageName":"Update""#,
        ),
        (
            "original",
            samples::message(XML),
            "application/xml",
            "<RemoteExecutionContext",
        ),
        (
            "original",
            samples::message("?"),
            "application/octet-stream",
            "?",
        ),
        (
            "original",
            with_properties(samples::message("?"), &[("ContentType", "text/x-odd")]),
            "text/x-odd",
            "?",
        ),
    ] {
        let request = post(&format!("body = \"{body}\""), &[delivery(message)]).await;
        assert_eq!(request.header("content-type"), Some(content_type), "{body}");
        assert!(
            request.text().starts_with(text),
            "{body}: {}",
            request.text()
        );
    }
}

#[tokio::test]
async fn several_messages_are_lines() {
    let batch = [OPERATION, OTHER_OPERATION].map(|operation| delivery(update(operation)));
    let request = post("batch_events = 10", &batch).await;
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = request
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(request.text().ends_with("}\n"));
    let operations: Vec<_> = lines
        .iter()
        .map(|line| line["context"]["OperationId"].as_str())
        .collect();
    assert_eq!(operations, [Some(OPERATION), Some(OTHER_OPERATION)]);
}

#[tokio::test]
async fn one_message_of_a_sink_with_batches_is_a_line_too() {
    let request = post("batch_events = 10", &[delivery(update(OPERATION))]).await;
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(request.text().lines().count(), 1);
}

#[tokio::test]
async fn a_structured_event_is_all_in_the_body() {
    let request = post(
        "mode = \"cloudevents-structured\"",
        &[delivery(update(OPERATION))],
    )
    .await;
    assert_eq!(
        request.header("content-type"),
        Some("application/cloudevents+json; charset=utf-8")
    );
    let event = json(&request);
    assert_eq!(
        (&event["specversion"], &event["id"]),
        (&json!("1.0"), &json!(OPERATION))
    );
    assert_eq!(event["data"]["MessageName"], "Update");
    assert!(!request.headers().any(|header| header.starts_with("ce-")));
}

#[tokio::test]
async fn a_binary_event_has_its_attributes_in_headers() {
    let mut message = update(OPERATION);
    message.event.partition_key = Some("50% \"Köln\"".into());
    let request = post("mode = \"cloudevents-binary\"", &[delivery(message)]).await;
    let mut attributes: Vec<String> = request
        .headers()
        .filter(|header| header.starts_with("ce-"))
        .collect();
    attributes.sort();
    assert_eq!(
        attributes,
        [
            "ce-correlationid: 11111111-1111-1111-1111-111111111111",
            "ce-dataschema: urn:dataverse-listener:context",
            &format!("ce-id: {OPERATION}"),
            "ce-partitionkey: 50%25%20%22K%C3%B6ln%22",
            "ce-recordedtime: 1970-01-01T00:00:00Z",
            "ce-sequence: 00000000000000000000",
            "ce-source: /dataverse/b015df52-a05f-ee11-a382-000d3a64db73",
            "ce-specversion: 1.0",
            "ce-subject: account/6420f0cc-916b-ee11-9ae6-000d3a688809",
            "ce-time: 2023-11-14T22:13:20Z",
            "ce-type: com.microsoft.dataverse.account.update",
        ]
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(json(&request)["MessageName"], "Update");
}

#[tokio::test]
async fn a_binary_event_that_could_not_be_decoded_is_its_bytes() {
    let odd = with_properties(samples::message("?"), &[("ContentType", "text/x-odd")]);
    let request = post("mode = \"cloudevents-binary\"", &[delivery(odd)]).await;
    assert_eq!(request.header("content-type"), Some("text/x-odd"));
    assert_eq!(
        request.header("ce-type"),
        Some("dataverse-listener.undecodable")
    );
    assert_eq!(request.body, b"?");
}

#[tokio::test]
async fn batched_events_are_an_array() {
    let batch = [OPERATION, OTHER_OPERATION].map(|operation| delivery(update(operation)));
    let request = post("mode = \"cloudevents-batched\"\nbatch_events = 9", &batch).await;
    assert_eq!(
        request.header("content-type"),
        Some("application/cloudevents-batch+json; charset=utf-8")
    );
    let events = json(&request);
    assert_eq!(
        (&events[0]["id"], &events[1]["id"]),
        (&json!(OPERATION), &json!(OTHER_OPERATION))
    );
    let single = post("mode = \"cloudevents-batched\"", &batch[..1]).await;
    assert_eq!(json(&single).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_request_of_dataverse_is_made_anew() {
    let message = update(OPERATION);
    let body = message.event.body.bytes().to_vec();
    let request = post("mode = \"dataverse\"", &[delivery(message)]).await;
    assert_eq!(request.body, body);
    assert_eq!(request.header("content-type"), Some("application/json"));
    for (name, value) in [
        ("x-ms-dynamics-organization", Some("contoso")),
        ("x-ms-dynamics-entity-name", Some("account")),
        ("x-ms-dynamics-request-name", Some("Update")),
        (
            "x-ms-correlation-request-id",
            Some("11111111-1111-1111-1111-111111111111"),
        ),
        ("x-ms-dynamics-msg-size-exceeded", None),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn the_claim_names_the_organization_and_a_cut_context_is_marked() {
    let message = with_properties(
        update(OPERATION),
        &[
            (
                "http://schemas.microsoft.com/xrm/2011/Claims/Organization",
                "Contoso.CRM4.dynamics.com",
            ),
            ("MessageMaxSizeExceeded", "true"),
        ],
    );
    let request = post("mode = \"dataverse\"", &[delivery(message)]).await;
    assert_eq!(
        request.header("x-ms-dynamics-organization"),
        Some("contoso.crm4.dynamics.com")
    );
    assert_eq!(
        request.header("x-ms-dynamics-msg-size-exceeded"),
        Some("true")
    );
}

#[tokio::test]
async fn what_has_no_such_form_is_refused_and_nothing_is_sent() {
    let server = Server::start(|_, _| Answer::status(204));
    for (toml, message, expected) in [
        (
            "mode = \"dataverse\"",
            samples::message(XML),
            "refused: the event came as XML, and mode = \"dataverse\" sends the JSON that came; set the service endpoint's message format to JSON, or use another mode",
        ),
        (
            "mode = \"dataverse\"",
            samples::message("?"),
            "refused: the event could not be decoded, and mode = \"dataverse\" sends contexts",
        ),
        (
            "body = \"context\"",
            samples::message("?"),
            "refused: the event could not be decoded, and the sink takes contexts",
        ),
    ] {
        let endpoint = endpoint(&format!("url = \"{}\"\n{toml}", server.url("/")));
        let error = endpoint.attempt(&[delivery(message)]).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn each_kind_of_credentials_is_sent() {
    for (auth, name, expected) in [
        (
            "type = \"basic\"\nuser = \"Aladdin\"\npassword = \"open sesame\"",
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (
            "type = \"bearer\"\ntoken = \"abc\"",
            "authorization",
            "Bearer abc",
        ),
        (
            "type = \"header\"\nname = \"X-Api-Key\"\nvalue = \"abc\"",
            "x-api-key",
            "abc",
        ),
    ] {
        let request = post(&format!("[auth]\n{auth}"), &[delivery(update(OPERATION))]).await;
        assert_eq!(request.header(name), Some(expected), "{auth}");
    }
    let query = "[auth]\ntype = \"query\"\nname = \"code\"\nvalue = \"a b\"";
    let request = post(query, &[delivery(update(OPERATION))]).await;
    assert_eq!(request.target, "/in?code=a+b");
}

#[tokio::test]
async fn headers_are_filled_in_for_each_event() {
    let headers =
        "[headers]\nX-Row = \"{table}/{id}\"\nAccept = \"text/plain\"\nX-None = \"{user}\"";
    let request = post(headers, &[delivery(update(OPERATION))]).await;
    assert_eq!(
        request.header("x-row"),
        Some("account/6420f0cc-916b-ee11-9ae6-000d3a688809")
    );
    assert_eq!(request.header("accept"), Some("text/plain"));
    assert_eq!(request.header("x-none"), None);
}

#[tokio::test]
async fn a_body_is_compressed_after_it_was_signed() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let toml = format!("gzip = true\n[signature]\nsecret = \"{secret}\"");
    let request = post(&toml, &[delivery(update(OPERATION))]).await;
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut body = Vec::new();
    GzDecoder::new(&*request.body)
        .read_to_end(&mut body)
        .unwrap();
    assert!(request.body.len() < body.len());
    let document = serde_json::to_value(update(OPERATION)).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), document);
    let (signer, _) = Signer::read(table(&format!("secret = \"{secret}\"")));
    let timestamp = request
        .header("webhook-timestamp")
        .unwrap()
        .parse()
        .unwrap();
    let signature = signer.sign(request.header("webhook-id").unwrap(), timestamp, &body);
    assert_eq!(request.header("webhook-signature"), Some(&*signature));
    assert!(OffsetDateTime::now_utc().unix_timestamp() - timestamp < 60);
}

#[tokio::test]
async fn replays_and_duplicates_are_marked() {
    let mut message = update(OPERATION);
    let plain = post("", &[delivery(update(OPERATION))]).await;
    message.is_replay = true;
    message.duplicate_of = Some(Place {
        partition: PartitionId::new("3"),
        sequence_number: SequenceNumber(17),
    });
    let marked = post("", &[delivery(message)]).await;
    for (name, value) in [
        ("dataverse-listener-replay", "true"),
        ("dataverse-listener-duplicate-of", "3/17"),
    ] {
        assert_eq!(plain.header(name), None);
        assert_eq!(marked.header(name), Some(value));
    }
}

#[tokio::test]
async fn a_trace_is_passed_on_where_it_is_one() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let long = "a=1,".repeat(200);
    for (properties, expected) in [
        (vec![("traceparent", parent)], (Some(parent), None)),
        (
            vec![
                ("traceparent", parent),
                ("tracestate", "rojo=00f067aa0ba902b7"),
            ],
            (Some(parent), Some("rojo=00f067aa0ba902b7")),
        ),
        (vec![("tracestate", "rojo=1")], (None, None)),
        (
            vec![("traceparent", parent), ("tracestate", &*long)],
            (Some(parent), None),
        ),
        (vec![("traceparent", "00-xyz")], (None, None)),
        (vec![("Diagnostic-Id", parent)], (Some(parent), None)),
    ] {
        let message = with_properties(update(OPERATION), &properties);
        let request = post("", &[delivery(message)]).await;
        let found = (request.header("traceparent"), request.header("tracestate"));
        assert_eq!(found, expected, "{properties:?}");
    }
}

#[tokio::test]
async fn a_dead_letter_says_why() {
    let request = post("", &[dead_letter(update(OPERATION), Some("crm"))]).await;
    assert_eq!(
        json(&request)["dead_letter"]["reason"],
        "the server answered 422"
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_proxy_is_asked_in_place_of_the_server() {
    for (credential, keys, expected) in [
        ("user:hunter2@", "", "Basic dXNlcjpodW50ZXIy"),
        // "user" and "hunter@2"
        ("user:hunter%402@", "", "Basic dXNlcjpodW50ZXJAMg=="),
        (
            "",
            "proxy_user = \"user\"\nproxy_password = \"hunter2\"",
            "Basic dXNlcjpodW50ZXIy",
        ),
        (
            "",
            "proxy_user = \"user\"\nproxy_password = \"hunter@2\"",
            "Basic dXNlcjpodW50ZXJAMg==",
        ),
    ] {
        let proxy = Server::start(|_, _| Answer::status(204));
        let address = proxy.address();
        let endpoint = endpoint(&format!(
            "url = \"http://hooks.example.invalid/in\"\nproxy = \"http://{credential}{address}\"\n{keys}"
        ));
        assert!(!format!("{endpoint:?}").contains("hunter"), "{endpoint:?}");
        endpoint
            .attempt(&[delivery(update(OPERATION))])
            .await
            .unwrap();
        let [request] = proxy
            .wait_for(|requests| !requests.is_empty())
            .try_into()
            .unwrap();
        assert_eq!(request.header("host"), Some("hooks.example.invalid"));
        assert_eq!(request.header("proxy-authorization"), Some(expected));
    }
}
