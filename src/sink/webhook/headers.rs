//! The headers of a request: the table `headers`, and how any text becomes the value of a header.

use std::cell::Cell;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::auth::Credentials;
use super::form::Form;
use crate::message::{Message, Template};
use crate::settings::{Mistake, Settings};

/// The headers of a sink's own, as templates.
#[derive(Debug, Clone, Default)]
pub(super) struct Headers(Vec<(HeaderName, Template)>);

impl Headers {
    /// Reads the table `headers` of a sink that sends `form` with `credentials`.
    pub(super) fn read(
        mut settings: Settings,
        form: Form,
        credentials: Option<&Credentials>,
    ) -> (Self, Vec<Mistake>) {
        let mut headers: Vec<(HeaderName, Template)> = Vec::new();
        for (key, text) in settings.entries::<String>() {
            let read = name(&key).map_err(str::to_owned).and_then(|name| {
                let is_twice = headers.iter().any(|(known, _)| *known == name);
                check(&name, form, credentials, is_twice)?;
                Ok((name, template(&text, form)?))
            });
            match read {
                Ok(header) => {
                    // It may be a key all the same.
                    if header.1.is_constant() {
                        settings.mask(&key, "***");
                    }
                    headers.push(header);
                }
                Err(reason) => settings.mistake(&key, reason),
            }
        }
        (Self(headers), settings.finish())
    }

    /// Adds the headers for `message`; one with a field in it that the message does not have is left out.
    pub(super) fn add(&self, message: &Message, headers: &mut HeaderMap) {
        for (name, template) in &self.0 {
            let is_whole = Cell::new(true);
            let text = template.render(message, |field| {
                is_whole.set(is_whole.get() && field.is_some());
                encoded(field.as_deref().unwrap_or_default())
            });
            if let Ok(value) = HeaderValue::try_from(text)
                && is_whole.get()
            {
                headers.insert(name, value);
            }
        }
    }
}

/// Headers that a request has already, or that belong to the connection.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// What the names of our own headers begin with.
const OWN: [&str; 2] = ["webhook-", "dataverse-listener-"];

/// The name of a header that the configuration may set.
pub(super) fn name(text: &str) -> Result<HeaderName, &'static str> {
    let name = HeaderName::try_from(text).map_err(|_| "is no name of a header")?;
    let is_own = OWN.iter().any(|prefix| name.as_str().starts_with(prefix));
    if is_own || RESERVED.contains(&name.as_str()) {
        return Err("is a header that the sink sets itself");
    }
    Ok(name)
}

fn check(
    name: &HeaderName,
    form: Form,
    credentials: Option<&Credentials>,
    is_twice: bool,
) -> Result<(), &'static str> {
    if is_twice {
        return Err("is given twice: upper and lower case make no difference");
    }
    if credentials.is_some_and(|credentials| credentials.name == name) {
        return Err("is the header that the table auth sets");
    }
    if name == AUTHORIZATION {
        return Err("holds a secret; give it in the table auth");
    }
    if form.sets(name.as_str()) {
        return Err("is a header that the mode sets");
    }
    Ok(())
}

fn template(text: &str, form: Form) -> Result<Template, String> {
    let template = Template::parse(text)?;
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("has characters in it that a header cannot carry".to_owned());
    }
    if form.is_batched() && !template.is_constant() {
        return Err(
            "has a field of one event in it, and a request has several; see batch_events"
                .to_owned(),
        );
    }
    Ok(template)
}

/// What of a text is percent-encoded, and all that is not ASCII: as in CloudEvents' HTTP binding.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Any text as the value of a header.
pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(encoded(text)).expect("what is percent-encoded is visible ASCII")
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;
    use crate::message::samples;
    use crate::sink::webhook::tests::table;

    fn read(toml: &str) -> (Headers, Vec<String>) {
        let (headers, mistakes) = Headers::read(table(toml), Form::Dataverse, None);
        let mistakes = mistakes.iter().map(ToString::to_string);
        (headers, mistakes.collect())
    }

    #[test]
    fn any_text_becomes_a_value_that_cannot_break_out() {
        for (text, expected) in [
            ("account", "account"),
            ("Kreuzweg 5", "Kreuzweg%205"),
            ("50% \"off\"", "50%25%20%22off%22"),
            ("a\r\nx-evil: 1", "a%0D%0Ax-evil:%201"),
            ("€", "%E2%82%AC"),
            ("\u{0}\u{7f}", "%00%7F"),
            ("", ""),
        ] {
            assert_eq!(value(text).to_str().unwrap(), expected, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_value_stands_for_its_text(text in any::<String>()) {
            let value = value(&text);
            let value = value.to_str().unwrap();
            prop_assert_eq!(percent_decode_str(value).decode_utf8().unwrap(), text);
        }
    }

    #[test]
    fn a_header_is_filled_in_and_left_out_without_its_field() {
        let (headers, mistakes) = read(
            "X-Table = \"{table}\"\nX-Fixed = \"a b; {{c}}\"\nX-Row = \"row {id}\"\nX-Place = \"{partition}/{sequence_number}\"",
        );
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let mut map = HeaderMap::new();
        headers.add(&samples::context("Create", r"a\r\nx: y"), &mut map);
        let mut shown: Vec<String> = map
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "x-fixed: a b; {c}",
                "x-place: 0/0",
                "x-table: a%0D%0Ax:%20y"
            ]
        );
    }

    #[test]
    fn a_header_that_cannot_be_set_is_told() {
        for (toml, expected) in [
            ("\"a b\" = \"x\"", "is no name of a header"),
            (
                "Content-Type = \"x\"",
                "is a header that the sink sets itself",
            ),
            (
                "Webhook-Id = \"x\"",
                "is a header that the sink sets itself",
            ),
            (
                "Authorization = \"hunter2\"",
                "holds a secret; give it in the table auth",
            ),
            (
                "x-ms-dynamics-organization = \"x\"",
                "is a header that the mode sets",
            ),
            (
                "x = \"{tabel}\"",
                "has an unknown field {tabel}; did you mean {table}?",
            ),
            (
                "x = \"é\"",
                "has characters in it that a header cannot carry",
            ),
            ("x = 7", "must be a text"),
            (
                "X-a = \"1\"\nx-A = \"2\"",
                "is given twice: upper and lower case make no difference",
            ),
        ] {
            let (_, mistakes) = read(toml);
            assert_eq!(mistakes.len(), 1, "{toml}: {mistakes:?}");
            assert!(
                mistakes[0].ends_with(&format!(": {expected}")),
                "{mistakes:?}"
            );
        }
    }
}
