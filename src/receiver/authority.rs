//! The way to the authority that gives tokens: by the proxy of the hub, and with those who may vouch for it.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{ClientOptions, RetryOptions, Transport as AzureTransport};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio_rustls::rustls::RootCertStore;

use super::transport::{Address, Hop, Transport};
use crate::causes::Causes;
use crate::tls;

/// How long whoever gives tokens may take for it.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The variable that names another authority, to Microsoft's clients as well.
const VARIABLE: &str = "AZURE_AUTHORITY_HOST";
/// The authority of the public cloud.
const PUBLIC: &str = "https://login.microsoftonline.com";
const HTTPS_PORT: u16 = 443;

/// Where an application of a directory asks for tokens.
///
/// # Errors
/// When the authority is not named by a URL.
pub(super) fn token_endpoint(tenant_id: &str) -> Result<String, String> {
    let endpoint = url()?.join(&format!("/{tenant_id}/oauth2/v2.0/token"));
    endpoint
        .map(String::from)
        .map_err(|error| format!("the tenant cannot be part of a URL: {error}"))
}

/// The proxy on the way to the authority, none where it is reached without.
///
/// # Errors
/// When the authority is not named by a URL, or the environment names a proxy that is not one of HTTP.
pub(super) fn hop(transport: &Transport) -> Result<Option<Hop>, String> {
    let url = url()?;
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = Address::new(host, url.port().unwrap_or(HTTPS_PORT));
    let hop = transport.proxy.toward(&address, true);
    hop.map_err(|error| error.to_string())
}

fn url() -> Result<Url, String> {
    let text = env::var(VARIABLE).unwrap_or_else(|_| PUBLIC.to_owned());
    let url = Url::parse(&text).map_err(|error| format!("{VARIABLE} is no URL: {error}"))?;
    match url.scheme() {
        "https" => Ok(url),
        _ => Err(format!("{VARIABLE} must begin with https://")),
    }
}

/// The client that asks the authority by way of `hop`.
///
/// # Errors
/// Why there is none.
pub(super) fn client(transport: &Transport, hop: Option<&Hop>) -> Result<ClientOptions, String> {
    let trusted = match &transport.authorities {
        Some(authorities) => authorities.and_those_of_the_system(),
        None => tls::trusted_roots().map_err(|error| error.to_string())?,
    };
    options(trusted, hop)
}

/// The client that asks the machine itself, which has no certificate, and which no proxy could reach.
///
/// # Errors
/// Why there is none.
pub(super) fn local_client() -> Result<ClientOptions, String> {
    options(RootCertStore::empty(), None)
}

/// Our own TLS, and no second trial: the receiver tries again by itself.
fn options(trusted: RootCertStore, hop: Option<&Hop>) -> Result<ClientOptions, String> {
    let fault = |error: reqwest::Error| Causes(&error.without_url()).to_string();
    let config = tls::client_config(trusted, None).map_err(|error| error.to_string())?;
    let mut client = Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_LIMIT)
        .timeout(LIMIT)
        .no_proxy();
    if let Some(hop) = hop {
        client = client.proxy(hop.to_reqwest().map_err(fault)?);
    }
    let client = client.build().map_err(fault)?;
    Ok(ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(AzureTransport::new(Arc::new(client))),
        ..ClientOptions::default()
    })
}
