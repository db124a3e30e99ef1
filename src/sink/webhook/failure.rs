//! Why a request had no answer, in words that name the host and nothing else of the URL.

use std::error::Error;
use std::io;
use std::time::Duration;

use tokio_rustls::rustls;

use super::super::DeliveryError;
use super::target::Target;

/// How long a request may take, and a connection to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeouts {
    pub(super) request: Duration,
    pub(super) connect: Duration,
}

/// What `error` means. A server that nobody vouches for, or that does not know us, is somebody's to see to;
/// everything else may pass by itself.
pub(super) fn classify(
    error: &reqwest::Error,
    target: &Target,
    timeouts: Timeouts,
) -> DeliveryError {
    let text = describe(error, target, timeouts);
    match causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::AlertReceived(_),
        ) => DeliveryError::Held(text),
        _ => DeliveryError::Unavailable(io::Error::other(text)),
    }
}

fn describe(error: &reqwest::Error, target: &Target, timeouts: Timeouts) -> String {
    if error.is_timeout() {
        return if error.is_connect() {
            format!("no connection to {target} within {:?}", timeouts.connect)
        } else {
            format!("{target} did not answer within {:?}", timeouts.request)
        };
    }
    // The last cause says it best: the others are layers of the client. None of them knows the URL.
    let cause = causes(error)
        .last()
        .map_or_else(|| "unknown".to_owned(), ToString::to_string);
    if error.is_dns() {
        format!("the name of {target} cannot be resolved: {cause}")
    } else if error.is_connect() {
        format!("no connection to {target}: {cause}")
    } else {
        format!("the connection to {target} broke before an answer: {cause}")
    }
}

/// The causes of an error, the first one first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(cause(error), |error| cause(*error))
}

/// What is wrapped into an `io::Error` is not among the sources of that.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
