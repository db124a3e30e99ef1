//! Which page is found where.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Watched;
use super::probe::Probe;

type Daemon = Arc<dyn Watched>;

const TEXT: &str = "text/plain; charset=utf-8";

/// The pages of a daemon.
pub(super) fn router(daemon: Daemon) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(daemon)
}

async fn livez(State(daemon): State<Daemon>, RawQuery(query): RawQuery) -> Response {
    answer(Probe::Live, &daemon, query.as_deref())
}

async fn readyz(State(daemon): State<Daemon>, RawQuery(query): RawQuery) -> Response {
    answer(Probe::Ready, &daemon, query.as_deref())
}

async fn startupz(State(daemon): State<Daemon>, RawQuery(query): RawQuery) -> Response {
    answer(Probe::Startup, &daemon, query.as_deref())
}

fn answer(probe: Probe, daemon: &Daemon, query: Option<&str>) -> Response {
    let report = daemon.report();
    let status = match probe.is_passed(&report) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let text = match is_verbose(query) {
        true => probe.lines(&report),
        false => probe.line(&report),
    };
    page(status, TEXT, text)
}

/// `?verbose`, whatever its value, as Kubernetes has it.
fn is_verbose(query: Option<&str>) -> bool {
    let mut names = query.unwrap_or_default().split('&');
    names.any(|pair| pair.split('=').next() == Some("verbose"))
}

async fn status(State(daemon): State<Daemon>) -> Response {
    match serde_json::to_string(&daemon.status()) {
        Ok(mut document) => {
            document.push('\n');
            page(StatusCode::OK, "application/json", document)
        }
        Err(error) => {
            let text = format!("the status cannot be written as JSON: {error}\n");
            page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
        }
    }
}

async fn metrics(State(daemon): State<Daemon>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT);
    match daemon.metrics(accept.and_then(|accept| accept.to_str().ok())) {
        Ok((content_type, text)) => page(StatusCode::OK, content_type, text),
        Err(error) => {
            let text = format!("the metrics cannot be written as text: {error}\n");
            page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
        }
    }
}

async fn not_found() -> Response {
    let text =
        "there is no such page; there are /livez, /readyz, /startupz, /status and /metrics\n";
    page(StatusCode::NOT_FOUND, TEXT, text.to_owned())
}

async fn not_allowed() -> Response {
    let text = "only GET and HEAD are answered\n";
    page(StatusCode::METHOD_NOT_ALLOWED, TEXT, text.to_owned())
}

/// An answer that nobody may keep: the next one may be another.
fn page(status: StatusCode, content_type: &str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Body::from(text)).into_response()
}
