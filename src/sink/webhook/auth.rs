//! How a sink says who it is: the table `auth`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::headers;
use super::target::Target;
use crate::secret::Secret;
use crate::settings::{Mistake, Settings, unknown};

/// A header with a secret in it, which `Debug` does not show.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

/// Every way to say it, and what reads the keys of that way. A query parameter goes into the URL at once.
const KINDS: &[(&str, Read)] = &[
    ("basic", basic),
    ("bearer", bearer),
    ("header", header),
    ("query", query),
];

type Read = fn(&mut Settings, Option<&mut Target>) -> Option<Credentials>;

/// Reads the table `auth` of a sink; what goes into the URL is put into `target`.
pub(super) fn read(
    mut settings: Settings,
    target: Option<&mut Target>,
) -> (Option<Credentials>, Vec<Mistake>) {
    let Some(kind) = settings.required::<String>("type") else {
        return (None, settings.into_mistakes());
    };
    let Some((_, read)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        settings.mistake("type", unknown("type of auth", &kind, KINDS));
        return (None, settings.into_mistakes());
    };
    let credentials = read(&mut settings, target);
    (credentials, settings.finish())
}

fn basic(settings: &mut Settings, _: Option<&mut Target>) -> Option<Credentials> {
    let user = settings.required::<String>("user");
    let given = settings.given("password", "password_file");
    let password = settings.required_secret("password", "password_file");
    let user = user?;
    if user.contains([':', '\r', '\n']) {
        settings.mistake(
            "user",
            "has a colon or a line end in it, which basic authentication cannot carry",
        );
        return None;
    }
    let both = format!("{user}:{}", password?.reveal());
    let value = Secret::new(format!("Basic {}", BASE64_STANDARD.encode(both)));
    credentials(settings, given, AUTHORIZATION, &value)
}

fn bearer(settings: &mut Settings, _: Option<&mut Target>) -> Option<Credentials> {
    let given = settings.given("token", "token_file");
    let token = settings.required_secret("token", "token_file")?;
    let value = Secret::new(format!("Bearer {}", token.reveal()));
    credentials(settings, given, AUTHORIZATION, &value)
}

fn header(settings: &mut Settings, _: Option<&mut Target>) -> Option<Credentials> {
    let name = settings.required::<String>("name");
    let given = settings.given("value", "value_file");
    let value = settings.required_secret("value", "value_file");
    let name = match headers::name(&name?) {
        Ok(name) => name,
        Err(reason) => {
            settings.mistake("name", reason);
            return None;
        }
    };
    credentials(settings, given, name, &value?)
}

fn query(settings: &mut Settings, target: Option<&mut Target>) -> Option<Credentials> {
    let name = settings.required::<String>("name");
    let value = settings.required_secret("value", "value_file");
    let name = name?;
    let added = match target {
        _ if name.is_empty() => Err("is empty"),
        Some(target) => target.add_parameter(&name, &value?),
        None => Ok(()),
    };
    if let Err(reason) = added {
        settings.mistake("name", reason);
    }
    None
}

fn credentials(
    settings: &mut Settings,
    key: &'static str,
    name: HeaderName,
    value: &Secret,
) -> Option<Credentials> {
    let Ok(mut value) = HeaderValue::from_str(value.reveal()) else {
        settings.mistake(key, "has characters in it that a header cannot carry");
        return None;
    };
    // Neither shown nor put into the tables of HTTP/2's header compression.
    value.set_sensitive(true);
    Some(Credentials { name, value })
}
