//! One request: the body, and every header that goes with it.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use time::OffsetDateTime;

use super::super::delivery::Delivery;
use super::auth::Credentials;
use super::form::{Content, Form, Unfit};
use super::headers::{self, Headers};
use super::id;
use super::signature::Signer;
use super::target::Target;

/// What all requests of a sink have in common.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) target: Target,
    pub(super) form: Form,
    pub(super) headers: Headers,
    pub(super) credentials: Option<Credentials>,
    pub(super) signer: Option<Signer>,
    pub(super) is_gzipped: bool,
}

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAY: HeaderName = HeaderName::from_static("dataverse-listener-replay");
const DUPLICATE_OF: HeaderName = HeaderName::from_static("dataverse-listener-duplicate-of");

impl Template {
    /// The request with these messages, as it is made at `now`.
    ///
    /// # Errors
    /// When one of them has no such form.
    pub(super) fn request(
        &self,
        batch: &[Delivery],
        now: OffsetDateTime,
    ) -> Result<Request, Unfit> {
        let Content {
            content_type,
            headers,
            body,
        } = self.form.write(batch)?;
        let mut request = Request::new(Method::POST, self.target.url().clone());
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        self.add_own(batch, headers);
        self.sign(&id::of(batch), now, &body, headers);
        let body = if self.is_gzipped {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            gzipped(&body)?
        } else {
            body
        };
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    fn add_own(&self, batch: &[Delivery], headers: &mut HeaderMap) {
        if batch.iter().all(|delivery| delivery.message().is_replay) {
            headers.insert(REPLAY, HeaderValue::from_static("true"));
        }
        if let [one] = batch {
            let message = one.message();
            if let Some(place) = &message.duplicate_of {
                let place = format!("{}/{}", place.partition, place.sequence_number);
                headers.insert(DUPLICATE_OF, headers::value(&place));
            }
            add_trace(one, headers);
        }
        if let [first, ..] = batch {
            // Those of a sink with batches have no fields in them.
            self.headers.add(first.message(), headers);
        }
        if let Some(Credentials { name, value }) = &self.credentials {
            headers.insert(name, value.clone());
        }
    }

    fn sign(&self, id: &str, now: OffsetDateTime, body: &[u8], headers: &mut HeaderMap) {
        let timestamp = now.unix_timestamp();
        headers.insert(ID, headers::value(id));
        headers.insert(IDEMPOTENCY_KEY, headers::value(id));
        headers.insert(TIMESTAMP, timestamp.into());
        if let Some(signer) = &self.signer
            && let Ok(signature) = HeaderValue::try_from(signer.sign(id, timestamp, body))
        {
            headers.insert(SIGNATURE, signature);
        }
    }
}

/// Passes on the trace that the event is part of, as W3C Trace Context has it.
fn add_trace(delivery: &Delivery, headers: &mut HeaderMap) {
    let Some(trace) = delivery.trace() else {
        return;
    };
    headers.insert("traceparent", headers::value(&trace.parent()));
    let state = trace.state.and_then(|text| text.try_into().ok());
    if let Some(state) = state {
        headers.insert("tracestate", state);
    }
}

fn gzipped(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}
