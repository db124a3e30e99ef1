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

/// Makes the text of `/metrics`, with its content type, in the form that a value of `Accept` asks for.
pub(super) type Metrics = Arc<dyn Fn(Option<&str>) -> (String, String) + Send + Sync>;

type Daemon = Arc<dyn Watched>;

const TEXT: &str = "text/plain; charset=utf-8";

/// The pages of a daemon. Without `metrics` there is no `/metrics`.
pub(super) fn router(daemon: Daemon, metrics: Option<Metrics>) -> Router {
    let mut pages = Router::new()
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/status", get(status));
    if let Some(metrics) = metrics {
        let page = async move |headers: HeaderMap| {
            let accept = headers.get(header::ACCEPT);
            let (content_type, text) = metrics(accept.and_then(|accept| accept.to_str().ok()));
            page(StatusCode::OK, &content_type, text)
        };
        pages = pages.route("/metrics", get(page));
    }
    pages
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

async fn not_found() -> Response {
    let text = "there is no such page; there are /livez, /readyz, /startupz and /status\n";
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
