//! The sink that posts messages to a URL: plain JSON, CloudEvents, or as Dataverse's own webhooks do.
//!
//! One call is one request. When it is made again, how many are under way and in which order, the worker
//! of [`super::concurrent`] says.

mod auth;
mod cloud_events;
mod dataverse;
mod failure;
mod form;
mod headers;
mod id;
mod request;
mod signature;
mod status;
mod target;
mod tls;

use std::io;
use std::time::Duration;

use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Client, Proxy, Response, redirect};
use time::OffsetDateTime;

use super::{Delivery, DeliveryError, Pace, Queue, Service, SinkConfig, SinkWorker, concurrent};
use crate::secret::Secret;
use crate::settings::{Mistake, Settings};
use crate::trace::Server;
use failure::Timeouts;
use form::Form;
use headers::Headers;
use request::Template;
use signature::Signer;
use status::{Answer, Policy};
use target::Target;
use tls::Tls;

/// The settings of a sink of type `webhook`.
#[derive(Debug)]
struct Webhook {
    /// None only where the configuration has mistakes.
    template: Option<Template>,
    /// True when requests carry a secret to be known by.
    is_authenticated: bool,
    policy: Policy,
    tls: Tls,
    timeouts: Timeouts,
    /// It may have a password in it.
    proxy: Option<Secret>,
    pace: Pace,
}

pub(super) fn parse(settings: Settings) -> (Box<dyn SinkConfig>, Vec<Mistake>) {
    let (webhook, mistakes) = read(settings);
    (Box::new(webhook), mistakes)
}

fn read(mut settings: Settings) -> (Webhook, Vec<Mistake>) {
    let (pace, mut mistakes) = Pace::read(&mut settings);
    let mut target = Target::read(&mut settings);
    let form = Form::read(&mut settings, pace.batch_events.get());
    let is_authenticated = settings.has("auth");
    let credentials = table(&mut settings, "auth", &mut mistakes, |table| {
        auth::read(table, target.as_mut())
    });
    let credentials = credentials.flatten();
    let (headers, found) = Headers::read(settings.table("headers"), form, credentials.as_ref());
    mistakes.extend(found);
    let signer = table(&mut settings, "signature", &mut mistakes, Signer::read);
    let policy = table(&mut settings, "status", &mut mistakes, Policy::read);
    if settings.has("tls") && target.as_ref().is_some_and(|target| !target.is_encrypted()) {
        settings.mistake("tls", "is of no use, for the url begins with http://");
    }
    let tls = table(&mut settings, "tls", &mut mistakes, Tls::read);
    let timeouts = Timeouts {
        request: duration(&mut settings, "timeout", Duration::from_secs(30)),
        connect: duration(&mut settings, "connect_timeout", Duration::from_secs(10)),
    };
    let is_gzipped = settings.with_default("gzip", false);
    let webhook = Webhook {
        template: target.map(|target| Template {
            target,
            form,
            headers,
            credentials,
            signer,
            is_gzipped,
        }),
        is_authenticated,
        policy: policy.unwrap_or_default(),
        tls: tls.unwrap_or_default(),
        timeouts,
        proxy: target::read_proxy(&mut settings),
        pace,
    };
    mistakes.extend(settings.finish());
    (webhook, mistakes)
}

/// What `read` makes of a table, where there is one.
fn table<T>(
    settings: &mut Settings,
    key: &'static str,
    mistakes: &mut Vec<Mistake>,
    read: impl FnOnce(Settings) -> (T, Vec<Mistake>),
) -> Option<T> {
    let (value, found) = read(settings.optional_table(key)?);
    mistakes.extend(found);
    Some(value)
}

fn duration(settings: &mut Settings, key: &'static str, default: Duration) -> Duration {
    let duration = settings.with_default(key, default);
    if duration.is_zero() {
        settings.mistake(key, "must be more than nothing");
    }
    duration
}

impl SinkConfig for Webhook {
    fn start(self: Box<Self>, queue: Queue) -> io::Result<SinkWorker> {
        let pace = self.pace.clone();
        let is_authenticated = self.is_authenticated;
        let endpoint = Endpoint::new(*self)?;
        let target = &endpoint.template.target;
        if is_authenticated && !target.is_encrypted() && !target.is_local() {
            tracing::warn!(sink = &*queue.name, url = %target, "credentials go over the network unencrypted: the url begins with http://");
        }
        Ok(concurrent::spawn(endpoint, pace, queue))
    }

    fn unfit_for_dead_letters(&self) -> Option<&'static str> {
        self.template.as_ref()?.form.unfit_for_dead_letters()
    }
}

/// Whom to ask, with what, and what its answers mean.
#[derive(Debug)]
struct Endpoint {
    client: Client,
    template: Template,
    policy: Policy,
    timeouts: Timeouts,
    /// No server is waited for any longer.
    longest_wait: Duration,
}

/// A connection that nobody has used for that long is closed: shorter than what load balancers allow.
const IDLE: Duration = Duration::from_secs(60);

/// An HTTP/2 connection with a request under way is probed so often, and given up so much later.
const PROBE: Duration = Duration::from_secs(10);

impl Endpoint {
    fn new(webhook: Webhook) -> io::Result<Self> {
        let template = webhook
            .template
            .ok_or_else(|| io::Error::other("it has no url"))?;
        let mut client = Client::builder()
            .tls_backend_preconfigured(webhook.tls.config(template.target.is_encrypted())?)
            .user_agent(concat!("dataverse-listener/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            // Not even one that the environment names: what goes where, the configuration says.
            .no_proxy()
            .timeout(webhook.timeouts.request)
            .connect_timeout(webhook.timeouts.connect)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(webhook.pace.concurrency.get())
            .http2_keep_alive_interval(PROBE)
            .http2_keep_alive_timeout(PROBE);
        if let Some(proxy) = &webhook.proxy {
            let proxy = Proxy::all(proxy.reveal().trim()).map_err(reqwest::Error::without_url);
            client = client.proxy(proxy.map_err(io::Error::other)?);
        }
        Ok(Self {
            client: client
                .build()
                .map_err(|error| io::Error::other(error.without_url()))?,
            template,
            policy: webhook.policy,
            timeouts: webhook.timeouts,
            longest_wait: webhook.pace.retry.limit,
        })
    }

    fn judge(&self, response: &Response, now: OffsetDateTime) -> Result<(), DeliveryError> {
        let target = &self.template.target;
        let header = |name| response.headers().get(name)?.to_str().ok();
        let location = header(LOCATION).and_then(|location| target.host_of(location));
        let answer = Answer {
            status: response.status().as_u16(),
            retry_after: header(RETRY_AFTER),
            location: location.as_deref(),
        };
        answer.judge(target, &self.policy, now.into(), self.longest_wait)
    }
}

impl Service for Endpoint {
    async fn attempt(&self, batch: &[Delivery]) -> Result<(), DeliveryError> {
        let target = &self.template.target;
        let request = self.template.request(batch, OffsetDateTime::now_utc());
        let request = request.map_err(|unfit| DeliveryError::Unfit(unfit.0))?;
        let response = self.client.execute(request).await;
        let response =
            response.map_err(|error| failure::classify(&error, target, self.timeouts))?;
        let status = response.status().as_u16();
        batch.iter().for_each(|delivery| delivery.answered(status));
        let judged = self.judge(&response, OffsetDateTime::now_utc());
        tracing::trace!(url = %target, status, events = batch.len(), "answered");
        finish(response).await;
        judged
    }

    fn server(&self) -> Option<Server<'_>> {
        let url = self.template.target.url();
        Some(Server {
            host: url.host_str()?,
            port: url.port_or_known_default(),
        })
    }
}

/// Reads what is left of an answer, so that the connection can be used again. What it says is of no
/// interest, and must not be logged: it may repeat the request with the secrets in it.
async fn finish(mut response: Response) {
    const LARGEST: usize = 64 << 10;
    const LONGEST: Duration = Duration::from_secs(1);
    let read = async {
        let mut left = LARGEST;
        while let Ok(Some(piece)) = response.chunk().await {
            let Some(rest) = left.checked_sub(piece.len()) else {
                return;
            };
            left = rest;
        }
    };
    // An answer that is longer or slower costs its connection.
    tokio::time::timeout(LONGEST, read).await.ok();
}

#[cfg(test)]
mod tests;
