//! Requests to the collector: the library's words, through our own HTTP client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig,
    WithHttpConfig,
};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, Url, redirect};
use tokio::runtime::Handle;
use tokio_rustls::rustls::RootCertStore;

use super::config::Config;
use super::trouble::Trouble;
use crate::causes::Causes;
use crate::tls;

/// How long a request may take, all attempts together.
const TIMEOUT: Duration = Duration::from_secs(10);

/// No answer is read any further, in bytes.
const LARGEST: usize = 64 << 10;

/// Posts to one URL of the collector, whatever the library would say: what goes where, the configuration says.
#[derive(Debug, Clone)]
pub(super) struct Post {
    client: Client,
    url: Url,
    headers: HeaderMap,
    trouble: Arc<Trouble>,
    /// The threads of the library have none of their own.
    runtime: Handle,
}

impl Post {
    /// A client for the collector.
    ///
    /// # Errors
    /// When the system trusts nobody.
    pub(super) fn new(
        config: &Config,
        trouble: &Arc<Trouble>,
        runtime: Handle,
    ) -> io::Result<Self> {
        let roots = match &config.roots {
            Some(roots) => roots.clone(),
            None if config.endpoint.scheme() == "https" => tls::trusted_roots()?,
            None => RootCertStore::empty(),
        };
        let mut tls = tls::client_config(roots, None)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("dataverse-listener/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            // Not even one that the environment names, as for webhooks.
            .no_proxy()
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT / 2)
            .build();
        Ok(Self {
            client: client.map_err(|error| io::Error::other(error.without_url()))?,
            url: config.endpoint.clone(),
            headers: config.headers.clone(),
            trouble: Arc::clone(trouble),
            runtime,
        })
    }

    /// The same for the URL behind the collector's own.
    ///
    /// # Errors
    /// Never, for a path.
    pub(super) fn to(&self, path: &str) -> io::Result<Self> {
        Ok(Self {
            url: self.url.join(path).map_err(io::Error::other)?,
            ..self.clone()
        })
    }

    /// What is asked, in our client's words.
    fn translate(&self, request: Request<Bytes>) -> reqwest::Request {
        let (head, body) = request.into_parts();
        let mut own = reqwest::Request::new(Method::POST, self.url.clone());
        let headers = own.headers_mut();
        headers.clone_from(&self.headers);
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            if let Some(value) = head.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        *own.body_mut() = Some(body.into());
        own
    }
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = self.translate(request);
        let answer = self.runtime.spawn(ask(self.client.clone(), request)).await;
        let answer = answer.map_err(HttpError::from).and_then(|answer| {
            // Without the URL, whose path may be a secret.
            answer.map_err(|error| HttpError::from(error.without_url()))
        });
        match &answer {
            Ok(answer) if answer.status().is_success() => self.trouble.over(),
            Ok(answer) => self
                .trouble
                .failed(&format_args!("it answered {}", answer.status().as_u16())),
            Err(error) => self.trouble.failed(&Causes(&**error)),
        }
        answer
    }
}

async fn ask(client: Client, request: reqwest::Request) -> Result<Response<Bytes>, reqwest::Error> {
    let mut answer = client.execute(request).await?;
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > LARGEST {
            break;
        }
        body.extend_from_slice(&piece);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status();
    if let Some(after) = answer.headers().get(RETRY_AFTER) {
        response.headers_mut().insert(RETRY_AFTER, after.clone());
    }
    Ok(response)
}

/// What exports spans.
pub(super) fn spans(post: Post) -> io::Result<SpanExporter> {
    let exporter = carried(SpanExporter::builder().with_http(), post);
    exporter.build().map_err(failed)
}

/// What exports measurements.
pub(super) fn metrics(post: Post) -> io::Result<MetricExporter> {
    let exporter = carried(MetricExporter::builder().with_http(), post);
    exporter.build().map_err(failed)
}

/// The same exporter, whose requests `post` makes.
fn carried<B: WithExportConfig + WithHttpConfig>(exporter: B, post: Post) -> B {
    exporter
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(post.url.as_str())
        .with_timeout(TIMEOUT)
        .with_retry_policy(RetryPolicy::recommended())
        .with_http_client(post)
}

fn failed(error: ExporterBuildError) -> io::Error {
    io::Error::other(error)
}
