//! The `[otlp]` table.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio_rustls::rustls::RootCertStore;

use crate::secret::Secret;
use crate::settings::{Mistake, Settings};
use crate::tls;

/// What is exported, and where to.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The collector; the paths of the signals come behind it.
    pub(super) endpoint: Url,
    /// Headers of every request: secrets, mostly.
    pub(super) headers: HeaderMap,
    /// True where there are spans.
    pub(super) traces: bool,
    /// True where there are measurements.
    pub(super) metrics: bool,
    /// The part of the traces that is recorded of those that begin here, from 0 to 1.
    pub(super) sample: f64,
    /// How often measurements are exported.
    pub(super) interval: Duration,
    /// Whom to trust; none for those whom the system trusts.
    pub(super) roots: Option<RootCertStore>,
}

/// What stands for a key of the table where that is absent: the names are OpenTelemetry's.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

const INTERVAL: Duration = Duration::from_secs(60);

impl Config {
    /// Reads the `[otlp]` table; none where it is absent, whatever variables say: a variable that was meant for
    /// another program must not send anything anywhere.
    pub(crate) fn read(settings: Option<Settings>) -> (Option<Self>, Vec<Mistake>) {
        Self::read_with(settings, |name| {
            std::env::var(name).ok().filter(|text| !text.is_empty())
        })
    }

    fn read_with(
        settings: Option<Settings>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> (Option<Self>, Vec<Mistake>) {
        let Some(mut settings) = settings else {
            return (None, Vec::new());
        };
        let endpoint = read_endpoint(&mut settings, &variable);
        let headers = read_headers(&mut settings, &variable);
        let traces = settings.with_default("traces", true);
        let metrics = settings.with_default("metrics", true);
        if !traces && !metrics {
            settings.mistake(
                "metrics",
                "is false, and so is traces: nothing would be exported; leave out the table instead",
            );
        }
        let sample = settings.with_default("sample", 1.0);
        if !(0.0..=1.0).contains(&sample) {
            settings.mistake("sample", "must be from 0 to 1");
        }
        let interval = settings.with_default("interval", INTERVAL);
        if interval < Duration::from_secs(1) {
            settings.mistake("interval", "must be at least 1s");
        }
        let roots = read_roots(&mut settings, endpoint.as_ref());
        let config = endpoint.map(|endpoint| Self {
            endpoint,
            headers,
            traces,
            metrics,
            sample,
            interval,
            roots,
        });
        (config, settings.finish())
    }
}

fn read_endpoint(
    settings: &mut Settings,
    variable: &impl Fn(&str) -> Option<String>,
) -> Option<Url> {
    let is_given = settings.has("endpoint");
    let given = settings.optional::<String>("endpoint");
    if is_given && given.is_none() {
        return None;
    }
    let (text, of) = match (given, variable(ENDPOINT)) {
        (Some(text), _) => (text, String::new()),
        (None, Some(text)) => {
            settings.in_force_of("endpoint", &text, ENDPOINT);
            (text, format!("({ENDPOINT}) "))
        }
        (None, None) => {
            let reason = format!(
                "is missing; give the URL of a collector, such as \"http://localhost:4318\", here or in {ENDPOINT}"
            );
            settings.mistake("endpoint", reason);
            return None;
        }
    };
    match parse(text.trim()) {
        Ok(url) => Some(url),
        Err(reason) => {
            settings.mistake("endpoint", format!("{of}{reason}"));
            None
        }
    }
}

fn parse(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err("must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or a password in it; give what the collector asks for in headers or headers_file".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has something behind ? or # in it, where v1/traces is to follow".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn read_headers(settings: &mut Settings, variable: &impl Fn(&str) -> Option<String>) -> HeaderMap {
    let key = settings.given("headers", "headers_file");
    let is_given = settings.has(key);
    let text = settings.secret("headers", "headers_file");
    let (text, of) = match text {
        None if !is_given => {
            let text = variable(HEADERS).map(Secret::new);
            if let Some(text) = &text {
                settings.in_force_of("headers", text, HEADERS);
            }
            (text, format!("({HEADERS}) "))
        }
        text => (text, String::new()),
    };
    let headers = text.map(|text| parse_headers(&text)).transpose();
    headers
        .unwrap_or_else(|reason| {
            settings.mistake(key, format!("{of}{reason}"));
            None
        })
        .unwrap_or_default()
}

/// Headers that a request has already, or that belong to the connection.
const RESERVED: [&str; 5] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
];

/// `NAME=VALUE,NAME=VALUE`, as OpenTelemetry has it: values are percent-encoded.
fn parse_headers(text: &Secret) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (index, part) in text.reveal().split(',').enumerate() {
        let of_header = |reason: &str| format!("header {}: {reason}", index + 1);
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| of_header("is not of the form NAME=VALUE"))?;
        let name = HeaderName::try_from(name.trim())
            .map_err(|_| of_header("has a name that no header can have"))?;
        if RESERVED.contains(&name.as_str()) {
            return Err(of_header("is one that every request sets itself"));
        }
        let value = percent_decode_str(value.trim()).collect::<Vec<u8>>();
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| of_header("has characters in it that a header cannot carry"))?;
        // Not shown, whoever prints it.
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn read_roots(settings: &mut Settings, endpoint: Option<&Url>) -> Option<RootCertStore> {
    if settings.has("ca_file") && endpoint.is_some_and(|url| url.scheme() == "http") {
        settings.mistake(
            "ca_file",
            "is of no use, for the endpoint begins with http://",
        );
    }
    let path = settings.file("ca_file")?;
    let read = tls::read(&path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))
        .and_then(|text| tls::only(&text));
    read.map_err(|reason| settings.mistake("ca_file", reason))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str, variables: &[(&str, &str)]) -> Result<Option<Config>, Vec<String>> {
        let settings = Settings::of_toml("otlp", toml);
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let (config, mistakes) = Config::read_with(Some(settings), variable);
        match mistakes.is_empty() {
            true => Ok(config),
            false => Err(mistakes.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn the_variables_of_opentelemetry_stand_for_keys_that_are_absent() {
        let variables = [
            (ENDPOINT, "http://there:4318"),
            (HEADERS, "api-key=hunter2,x-tenant=a%20b"),
        ];
        let config = read("", &variables).unwrap().unwrap();
        assert_eq!(config.endpoint.as_str(), "http://there:4318/");
        assert_eq!(config.headers["api-key"], "hunter2");
        assert_eq!(config.headers["x-tenant"], "a b");
        assert!(!format!("{config:?}").contains("hunter2"));
        let toml = "endpoint = \"https://here/otlp\"\nheaders = \"a=b\"";
        let config = read(toml, &variables).unwrap().unwrap();
        assert_eq!(config.endpoint.as_str(), "https://here/otlp/");
        assert_eq!(config.headers.len(), 1);
        let settings = Settings::of_toml("otlp", "");
        let effective = settings.effective();
        let variable = |name: &str| Some(variables.iter().find(|one| one.0 == name)?.1.to_owned());
        let (config, _) = Config::read_with(Some(settings), variable);
        assert!(config.is_some());
        let shown = effective.to_string();
        assert!(
            shown.starts_with(
                "endpoint = \"http://there:4318\"  # OTEL_EXPORTER_OTLP_ENDPOINT\n\
                 headers = \"***\"  # OTEL_EXPORTER_OTLP_HEADERS\n"
            ),
            "{shown}"
        );
        let (config, mistakes) = Config::read_with(None, |_| Some("http://there".to_owned()));
        assert!(config.is_none() && mistakes.is_empty());
    }

    #[test]
    fn what_cannot_be_is_told_without_secrets() {
        let endpoint = "endpoint = \"http://h\"\n";
        for (toml, variables, expected) in [
            (
                "",
                &[][..],
                "otlp.endpoint: is missing; give the URL of a collector, such as \"http://localhost:4318\", here or in OTEL_EXPORTER_OTLP_ENDPOINT",
            ),
            (
                "",
                &[(ENDPOINT, "there:4318")],
                "otlp.endpoint: (OTEL_EXPORTER_OTLP_ENDPOINT) must begin with http:// or https://",
            ),
            (
                "endpoint = \"http://u:hunter2@h\"",
                &[],
                "otlp.endpoint: has a user or a password in it; give what the collector asks for in headers or headers_file",
            ),
            (
                "endpoint = \"http://h/?key=hunter2\"",
                &[],
                "otlp.endpoint: has something behind ? or # in it, where v1/traces is to follow",
            ),
            (
                &format!("{endpoint}headers = \"hunter2\""),
                &[],
                "otlp.headers: header 1: is not of the form NAME=VALUE",
            ),
            (
                endpoint,
                &[(HEADERS, "a=b,host=hunter2")],
                "otlp.headers: (OTEL_EXPORTER_OTLP_HEADERS) header 2: is one that every request sets itself",
            ),
            (
                &format!("{endpoint}sample = 2"),
                &[],
                "otlp.sample: must be from 0 to 1",
            ),
            (
                &format!("{endpoint}interval = \"10ms\""),
                &[],
                "otlp.interval: must be at least 1s",
            ),
            (
                &format!("{endpoint}ca_file = \"/none\""),
                &[],
                "otlp.ca_file: is of no use, for the endpoint begins with http://",
            ),
            (
                &format!("{endpoint}traces = false\nmetrics = false"),
                &[],
                "otlp.metrics: is false, and so is traces: nothing would be exported; leave out the table instead",
            ),
        ] {
            let mistakes = read(toml, variables).unwrap_err();
            assert_eq!(mistakes[0], expected, "{toml}");
            assert!(!mistakes.concat().contains("hunter2"), "{mistakes:?}");
        }
    }
}
