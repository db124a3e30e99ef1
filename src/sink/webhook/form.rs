//! What a request carries: the keys `mode` and `body`, and what they make of messages.

use reqwest::header::{HeaderMap, HeaderValue};

use super::super::body::Body;
use super::super::delivery::Delivery;
use super::{cloud_events, dataverse};
use crate::settings::Settings;

/// What is made of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The form that `body` names, with its own media type.
    Plain(Body),
    /// The same of several messages: one JSON document a line.
    Lines(Body),
    /// A CloudEvent as JSON.
    Structured,
    /// The attributes of a CloudEvent as headers, its data as body.
    Binary,
    /// A JSON array of CloudEvents.
    Batched,
    /// The request that Dataverse's own webhooks make.
    Dataverse,
}

/// The key `mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    #[default]
    Plain,
    CloudeventsStructured,
    CloudeventsBinary,
    CloudeventsBatched,
    Dataverse,
}

/// The body of a request and the headers that tell of it.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) content_type: HeaderValue,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Content {
    /// With no headers but its type.
    pub(super) fn new(content_type: HeaderValue, body: Vec<u8>) -> Self {
        Self {
            content_type,
            headers: HeaderMap::new(),
            body,
        }
    }
}

/// A message that has no such form, with the reason as a fragment: nothing but another configuration
/// changes that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) String);

impl<E: std::error::Error> From<E> for Unfit {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Form {
    /// Reads the keys `mode` and `body` of a sink whose requests may carry `most` events.
    pub(super) fn read(settings: &mut Settings, most: usize) -> Self {
        let mode = settings.choice_or_default("mode");
        let body: Option<Body> = settings.choice("body");
        if mode == Mode::Plain {
            settings.choice_in_force("body", &Body::default());
        }
        if body.is_some() && mode != Mode::Plain {
            settings.mistake(
                "body",
                "belongs to mode = \"plain\"; the other modes say themselves what is sent",
            );
        }
        let body = body.unwrap_or_default();
        let form = match mode {
            Mode::Plain if most > 1 => Self::Lines(body),
            Mode::Plain => Self::Plain(body),
            Mode::CloudeventsStructured => Self::Structured,
            Mode::CloudeventsBinary => Self::Binary,
            Mode::CloudeventsBatched => Self::Batched,
            Mode::Dataverse => Self::Dataverse,
        };
        if most > 1 && !form.is_batched() {
            settings.mistake(
                "batch_events",
                "must be 1, for this mode sends one event with each request",
            );
        }
        if form == Self::Lines(Body::Original) {
            settings.mistake(
                "batch_events",
                "must be 1 with body = \"original\", which may be anything and cannot stand in lines",
            );
        }
        form
    }

    /// True when a request may carry several messages.
    pub(super) fn is_batched(self) -> bool {
        matches!(self, Self::Lines(_) | Self::Batched)
    }

    /// Why dead letters cannot have this form, where they cannot.
    pub(super) fn unfit_for_dead_letters(self) -> Option<&'static str> {
        match self {
            Self::Plain(Body::Message) | Self::Lines(Body::Message) => None,
            Self::Plain(_) | Self::Lines(_) => {
                Some("its body is not \"message\", which alone has room for the reason")
            }
            _ => Some("its mode is not \"plain\", which alone has room for the reason"),
        }
    }

    /// True when it sets this header, whose name is in lower case.
    pub(super) fn sets(self, header: &str) -> bool {
        match self {
            Self::Binary => header.starts_with(cloud_events::PREFIX),
            Self::Dataverse => dataverse::HEADERS.contains(&header),
            _ => false,
        }
    }

    /// What a request with these messages carries.
    ///
    /// # Errors
    /// When one of them has no such form.
    pub(super) fn write(self, batch: &[Delivery]) -> Result<Content, Unfit> {
        match (self, batch) {
            (Self::Lines(body), batch) => lines(body, batch),
            (Self::Batched, batch) => cloud_events::batched(batch),
            (Self::Plain(body), [one]) => plain(body, one),
            (Self::Structured, [one]) => cloud_events::structured(one),
            (Self::Binary, [one]) => cloud_events::binary(one),
            (Self::Dataverse, [one]) => dataverse::content(one.message()),
            _ => Err(Unfit("it came with others, and goes alone".to_owned())),
        }
    }
}

fn plain(body: Body, delivery: &Delivery) -> Result<Content, Unfit> {
    let mut text = Vec::new();
    body.render(delivery, &mut text)?;
    Ok(Content::new(media_type(body.content_type(delivery)), text))
}

fn lines(body: Body, batch: &[Delivery]) -> Result<Content, Unfit> {
    let mut text = Vec::new();
    for delivery in batch {
        body.render(delivery, &mut text)?;
        text.push(b'\n');
    }
    let content_type = HeaderValue::from_static("application/x-ndjson");
    Ok(Content::new(content_type, text))
}

/// A media type as the sender of an event named it, where it can be one.
pub(super) fn media_type(text: &str) -> HeaderValue {
    let is_visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (is_visible && text.len() <= 255 && text.contains('/'))
        .then(|| HeaderValue::from_str(text).ok())
        .flatten()
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::webhook::tests::table;

    #[track_caller]
    fn check(toml: &str, most: usize, expected: Form, mistakes: &[&str]) {
        let mut settings = table(toml);
        assert_eq!(Form::read(&mut settings, most), expected, "{toml}");
        let found: Vec<String> = settings.finish().iter().map(ToString::to_string).collect();
        assert_eq!(found, mistakes, "{toml}");
    }

    #[test]
    fn a_mode_is_a_form() {
        check("", 1, Form::Plain(Body::Message), &[]);
        check("body = \"original\"", 1, Form::Plain(Body::Original), &[]);
        check(
            "body = \"cloudevent\"",
            9,
            Form::Lines(Body::CloudEvent),
            &[],
        );
        check(
            "mode = \"cloudevents-structured\"",
            1,
            Form::Structured,
            &[],
        );
        check("mode = \"cloudevents-binary\"", 1, Form::Binary, &[]);
        check("mode = \"cloudevents-batched\"", 9, Form::Batched, &[]);
        check("mode = \"dataverse\"", 1, Form::Dataverse, &[]);
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let alone =
            "sink[0].batch_events: must be 1, for this mode sends one event with each request";
        check(
            "mode = \"cloudevents-structured\"",
            2,
            Form::Structured,
            &[alone],
        );
        check("mode = \"cloudevents-binary\"", 2, Form::Binary, &[alone]);
        check("mode = \"dataverse\"", 2, Form::Dataverse, &[alone]);
        check(
            "body = \"original\"",
            2,
            Form::Lines(Body::Original),
            &[
                "sink[0].batch_events: must be 1 with body = \"original\", which may be anything and cannot stand in lines",
            ],
        );
        check(
            "mode = \"dataverse\"\nbody = \"message\"",
            1,
            Form::Dataverse,
            &[
                "sink[0].body: belongs to mode = \"plain\"; the other modes say themselves what is sent",
            ],
        );
        check(
            "mode = \"binary\"",
            1,
            Form::Plain(Body::Message),
            &[
                "sink[0].mode: must be one of plain, cloudevents-structured, cloudevents-binary, cloudevents-batched, dataverse",
            ],
        );
    }

    #[test]
    fn what_a_sender_calls_its_body_is_passed_on_where_it_can_be() {
        for (text, expected) in [
            ("application/xml", "application/xml"),
            (
                "text/plain; charset=\"utf-8\"",
                "text/plain; charset=\"utf-8\"",
            ),
            ("a/b\r\nx-evil: 1", "application/octet-stream"),
            ("text", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(media_type(text), expected, "{text:?}");
        }
        assert_eq!(media_type(&"a/".repeat(200)), "application/octet-stream");
    }
}
