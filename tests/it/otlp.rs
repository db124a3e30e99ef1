//! Spans and measurements, as a collector gets them over OTLP.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use serde_json::Value;

use crate::http::{Answer, Request, Server};
use crate::hub::Hub;
use crate::world::{Ended, Program, daemon, file};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-11111111111111111111111111111111-2222222222222222-00";
const DIAGNOSTIC: &str = "00-33333333333333333333333333333333-4444444444444444-01";

const BODY: &str = r#"{"MessageName":"Update","PrimaryEntityName":"account","PrimaryEntityId":"6420f0cc-916b-ee11-9ae6-000d3a688809","OrganizationName":"zaphod-4711","InputParameters":[]}"#;

/// Appends an event with these application properties.
fn append(hub: &Hub, properties: &[(&str, &str)]) {
    let mut map = Vec::new();
    for text in properties.iter().flat_map(|(name, value)| [name, value]) {
        map.extend([0xa1, u8::try_from(text.len()).unwrap()]);
        map.extend(text.bytes());
    }
    let (size, count) = (map.len() + 4, properties.len() * 2);
    let mut message = vec![0x00, 0x53, 0x74, 0xd1];
    message.extend(u32::try_from(size).unwrap().to_be_bytes());
    message.extend(u32::try_from(count).unwrap().to_be_bytes());
    message.extend(map);
    message.extend([0x00, 0x53, 0x75, 0xb0]);
    message.extend(u32::try_from(BODY.len()).unwrap().to_be_bytes());
    message.extend(BODY.bytes());
    hub.emulator().append(0, &message).unwrap();
}

/// A configuration that delivers to `url` and exports to `collector`.
fn configuration(hub: &Hub, url: &str, collector: &str, more: &str) -> String {
    format!(
        "[checkpoint]\nstore = \"memory\"\n[[hub]]\nconnection_string = \"{}\"\n\
         [[sink]]\nname = \"crm\"\ntype = \"webhook\"\nurl = \"{url}\"\nmode = \"cloudevents-structured\"\n\
         retry = {{ first = \"10ms\", limit = \"100ms\" }}\n\
         [otlp]\nendpoint = \"{collector}\"\n{more}",
        hub.connection_string()
    )
}

/// A collector that takes what it gets.
fn collector() -> Server {
    Server::start(|_, _| Answer::With(200, Vec::new(), Vec::new()))
}

fn spans(requests: &[Request]) -> Vec<Span> {
    let traces = requests
        .iter()
        .filter(|request| request.target.ends_with("/v1/traces"));
    let requests = traces.map(|request| {
        assert_eq!(
            request.header("content-type"),
            Some("application/x-protobuf")
        );
        ExportTraceServiceRequest::decode(&*request.body).unwrap()
    });
    let resources = requests.flat_map(|request| request.resource_spans);
    let scopes = resources.flat_map(|resource| {
        let attributes = resource.resource.unwrap().attributes;
        assert_eq!(text(&attributes, "service.name"), "dataverse-listener");
        resource.scope_spans
    });
    scopes.flat_map(|scope| scope.spans).collect()
}

fn metrics(requests: &[Request]) -> Vec<Metric> {
    let metrics = requests
        .iter()
        .filter(|request| request.target.ends_with("/v1/metrics"));
    let requests =
        metrics.map(|request| ExportMetricsServiceRequest::decode(&*request.body).unwrap());
    let resources = requests.flat_map(|request| request.resource_metrics);
    let scopes = resources.flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).collect()
}

/// An attribute as text; empty where there is none.
fn text(attributes: &[KeyValue], key: &str) -> String {
    let value = attributes.iter().find(|one| one.key == key);
    match value.and_then(|one| one.value.clone()) {
        Some(AnyValue {
            value: Some(Any::StringValue(text)),
        }) => text,
        Some(AnyValue {
            value: Some(Any::IntValue(number)),
        }) => number.to_string(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn stop(program: Program) -> Ended {
    program.signal("TERM");
    let ended = program.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    ended
}

/// The `traceparent` of a request: its trace and its span.
fn parent_of(request: &Request) -> (String, String) {
    let parts: Vec<&str> = request.header("traceparent").unwrap().split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned())
}

#[test]
fn an_event_goes_on_with_its_senders_trace_and_so_does_whoever_gets_it() {
    let hub = Hub::start(1);
    append(
        &hub,
        &[
            ("traceparent", PARENT),
            ("tracestate", "rojo=00f067aa0ba902b7"),
        ],
    );
    append(&hub, &[("Diagnostic-Id", DIAGNOSTIC)]);
    append(&hub, &[]);
    let server = Server::start(|before, _| match before {
        0 => Answer::status(503),
        _ => Answer::status(204),
    });
    let collector = collector();
    let file = file(&configuration(
        &hub,
        &server.url("/in?code=hunter2"),
        &collector.url("/otlp"),
        "metrics = false\n[[sink]]\nname = \"out\"\ntype = \"stdout\"\nbody = \"cloudevent\"\n",
    ));
    let program = daemon(&file, &[]);
    let posts = server.wait_for(|requests| requests.len() >= 4);
    let printed = program.documents(3);
    // What is left is exported at the end, long before it would be time.
    stop(program);
    let requests = collector.wait_for(|_| true);
    assert!(requests.iter().all(|one| one.target == "/otlp/v1/traces"));
    let spans = spans(&requests);
    let shown = format!("{spans:?}");
    for secret in ["hunter2", "6420f0cc", "zaphod-4711", "/in"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    let consumers = spans.iter().filter(|one| one.name.starts_with("process "));
    let consumers: Vec<&Span> = consumers.collect();
    assert_eq!(consumers.len(), 3);
    for span in consumers {
        check_event(span);
        check_deliveries(span, &spans, &printed);
    }
    check_posts(&posts, &spans);
    let failed = spans.iter().filter(|one| {
        let status = one.status.as_ref();
        status.is_some_and(|status| status.code == i32::from(StatusCode::Error))
    });
    let failed: Vec<&Span> = failed.collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    let attributes = &failed[0].attributes;
    assert_eq!(text(attributes, "error.type"), "unavailable");
    assert_eq!(text(attributes, "http.response.status_code"), "503");
}

fn sequence_number(span: &Span) -> usize {
    text(&span.attributes, "dataverse_listener.sequence_number")
        .parse()
        .unwrap()
}

/// What the span of an event says, and that it goes on with the trace of its sender.
fn check_event(span: &Span) {
    let attributes = &span.attributes;
    assert_eq!(span.kind, i32::from(SpanKind::Consumer));
    for (key, value) in [
        ("messaging.system", "eventhubs"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.partition.id", "0"),
        ("messaging.consumer.group.name", "$Default"),
        ("messaging.message.body.size", &BODY.len().to_string()),
    ] {
        assert_eq!(text(attributes, key), value, "{key}");
    }
    let name = text(attributes, "messaging.destination.name");
    assert_eq!(span.name, format!("process {name}"));
    assert!(!text(attributes, "server.address").is_empty());
    let enqueued = text(attributes, "messaging.eventhubs.message.enqueued_time");
    assert!(enqueued.parse::<i64>().unwrap() > 1_700_000_000);
    let (trace, parent) = [
        (TRACE, "b7ad6b7169203331"),
        ("33333333333333333333333333333333", "4444444444444444"),
        ("", ""),
    ][sequence_number(span)];
    assert_eq!(hex(&span.parent_span_id), parent);
    assert!(trace.is_empty() || hex(&span.trace_id) == trace);
}

/// A webhook and standard output have an event; what is printed names the span of its delivery.
fn check_deliveries(event: &Span, spans: &[Span], printed: &[Value]) {
    let is_child = |one: &&Span| one.parent_span_id == event.span_id;
    let (clients, internal): (Vec<&Span>, Vec<&Span>) = spans
        .iter()
        .filter(is_child)
        .partition(|one| one.kind == i32::from(SpanKind::Client));
    assert!(!clients.is_empty());
    assert_eq!(internal.len(), 1);
    assert_eq!(internal[0].name, "deliver out");
    for client in &clients {
        assert_eq!(client.name, "deliver crm");
        assert_eq!(client.trace_id, event.trace_id);
        assert_eq!(text(&client.attributes, "server.address"), "127.0.0.1");
    }
    let number = format!("{:020}", sequence_number(event));
    let found = printed.iter().find(|printed| printed["sequence"] == number);
    let (trace, span) = (hex(&event.trace_id), hex(&internal[0].span_id));
    let expected = format!("00-{trace}-{span}-01");
    assert_eq!(found.unwrap()["traceparent"], *expected);
}

/// Each request names the span of its own attempt, in its header and in the event.
fn check_posts(posts: &[Request], spans: &[Span]) {
    let attempts: BTreeSet<(String, String)> = spans
        .iter()
        .filter(|one| one.name == "deliver crm")
        .map(|one| (hex(&one.trace_id), hex(&one.span_id)))
        .collect();
    assert_eq!(posts.len(), attempts.len());
    let named: BTreeSet<_> = posts.iter().map(parent_of).collect();
    assert_eq!(named, attempts);
    for post in posts {
        let event: Value = serde_json::from_str(post.text()).unwrap();
        assert_eq!(event["traceparent"].as_str(), post.header("traceparent"));
        let state = (parent_of(post).0 == TRACE).then_some("rojo=00f067aa0ba902b7");
        assert_eq!(post.header("tracestate"), state);
        assert_eq!(event["tracestate"].as_str(), state);
    }
}

#[test]
fn what_the_sender_does_not_record_is_not_exported_and_passed_on_all_the_same() {
    let hub = Hub::start(1);
    append(&hub, &[("traceparent", UNSAMPLED)]);
    append(&hub, &[]);
    append(&hub, &[("traceparent", PARENT)]);
    let server = Server::start(|_, _| Answer::status(204));
    let collector = collector();
    let file = file(&configuration(
        &hub,
        &server.url("/in"),
        &collector.url(""),
        "metrics = false\nsample = 0.0\n",
    ));
    let program = daemon(&file, &[]);
    let posts = server.wait_for(|requests| requests.len() >= 3);
    stop(program);
    let spans = spans(&collector.wait_for(|_| true));
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let parents = posts.iter().map(|post| post.header("traceparent").unwrap());
    let parents: Vec<&str> = parents.collect();
    let unrecorded = parents.iter().filter(|parent| parent.ends_with("-00"));
    assert_eq!(unrecorded.count(), 2, "{parents:?}");
    let passed_on = parents
        .iter()
        .any(|parent| parent.starts_with("00-11111111111111111111111111111111-"));
    assert!(passed_on, "{parents:?}");
}

#[test]
fn measurements_come_by_the_names_of_the_conventions() {
    let hub = Hub::start(1);
    for _ in 0..5 {
        append(&hub, &[("traceparent", PARENT)]);
    }
    let server = Server::start(|_, _| Answer::status(204));
    let collector = collector();
    let secrets = tempfile::tempdir().unwrap();
    let headers = secrets.path().join("headers");
    std::fs::write(&headers, "api-key=hunter%3D2\n").unwrap();
    let file = file(&configuration(
        &hub,
        &server.url("/in"),
        &collector.url(""),
        &format!(
            "traces = false\ninterval = \"1s\"\nheaders_file = \"{}\"\n",
            headers.display()
        ),
    ));
    let program = daemon(&file, &[("DATAVERSE_LISTENER_LOG", "trace")]);
    let posts = server.wait_for(|requests| requests.len() >= 5);
    // Without spans of its own, it passes on what came.
    for post in &posts {
        assert_eq!(post.header("traceparent"), Some(PARENT));
    }
    let is_behind = |metric: &Metric| {
        metric.name == "dataverse_listener.partition.events_behind"
            && matches!(&metric.data, Some(Data::Gauge(gauge)) if !gauge.data_points.is_empty())
    };
    collector.wait_for(|requests| metrics(requests).iter().any(is_behind));
    let said = stop(program).stderr;
    assert!(!said.contains("hunter"), "{said}");
    let requests = collector.wait_for(|_| true);
    for request in &requests {
        assert_eq!(request.target, "/v1/metrics");
        assert_eq!(request.header("api-key"), Some("hunter=2"));
    }
    // The last ones, which come at the end.
    let metrics = metrics(&requests[requests.len() - 1..]);
    let names: BTreeSet<&str> = metrics.iter().map(|metric| &*metric.name).collect();
    let expected = [
        "dataverse_listener.partition.events_behind",
        "dataverse_listener.partition.time_behind",
        "messaging.client.consumed.messages",
        "messaging.client.operation.duration",
        "messaging.process.duration",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    for metric in &metrics {
        let counted = match metric.data.as_ref().unwrap() {
            Data::Histogram(histogram) => histogram.data_points[0].count,
            Data::Sum(sum) => match sum.data_points[0].value.as_ref().unwrap() {
                opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(n) => {
                    u64::try_from(*n).unwrap()
                }
                other => panic!("{other:?}"),
            },
            _ => continue,
        };
        assert_eq!(counted, 5, "{}", metric.name);
    }
}

#[test]
fn a_collector_that_is_away_holds_up_no_event_and_is_told_once() {
    let hub = Hub::start(2);
    hub.simulate(["--count", "400"]);
    let server = Server::start(|_, _| Answer::status(204));
    let is_back = std::sync::Arc::new(AtomicBool::new(false));
    let answers = std::sync::Arc::clone(&is_back);
    let collector = Server::start(move |_, _| match answers.load(SeqCst) {
        false => Answer::status(503),
        true => Answer::status(200),
    });
    let file = file(&configuration(
        &hub,
        &server.url("/in"),
        &collector.url(""),
        "metrics = false\n",
    ));
    let mut program = daemon(&file, &[("OTEL_BSP_SCHEDULE_DELAY", "100")]);
    server.wait_for(|requests| requests.len() >= 400);
    let line = program.line_with("telemetry not exported");
    assert!(line.contains("answered 503"), "{line}");
    collector.wait_for(|requests| requests.len() >= 5);
    is_back.store(true, SeqCst);
    hub.simulate(["--count", "10"]);
    let line = program.line_with("exporting telemetry again");
    assert!(line.contains("spans_lost"), "{line}");
    let ended = stop(program);
    let said = ended.stderr.matches("telemetry not exported").count();
    assert_eq!(said, 1, "{}", ended.stderr);
}

#[test]
fn a_collector_that_never_answers_does_not_keep_the_daemon_for_long() {
    let hub = Hub::start(1);
    append(&hub, &[]);
    let server = Server::start(|_, _| Answer::status(204));
    let collector = Server::start(|_, _| Answer::Never);
    let file = file(&configuration(
        &hub,
        &server.url("/in"),
        &collector.url(""),
        "",
    ));
    let program = daemon(&file, &[]);
    server.wait_for(|requests| !requests.is_empty());
    let begun = Instant::now();
    stop(program);
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn without_the_table_nothing_is_exported_whatever_the_variables_say() {
    let hub = Hub::start(1);
    append(&hub, &[("Diagnostic-Id", PARENT)]);
    let server = Server::start(|_, _| Answer::status(204));
    let collector = collector();
    let toml = configuration(&hub, &server.url("/in"), "http://x", "");
    let file = file(toml.split_once("[otlp]").unwrap().0);
    let program = daemon(
        &file,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""))],
    );
    let posts = server.wait_for(|requests| !requests.is_empty());
    assert_eq!(posts[0].header("traceparent"), Some(PARENT));
    stop(program);
    assert_eq!(collector.connections(), 0);
}
