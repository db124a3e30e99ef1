//! The parts of a message that have names in the configuration: `{table}` in a path or a header.

use std::borrow::Cow;

use time::OffsetDateTime;

use super::Message;
use crate::context::{ExecutionContext, ZERO_GUID};

/// Reads one part of a message; none where the message does not have it.
pub(crate) type Read = for<'a> fn(&'a Message) -> Option<Cow<'a, str>>;

/// Every field with its name, sorted. To add one: its line here and in the README.
pub(crate) const FIELDS: &[(&str, Read)] = &[
    ("consumer_group", |m| text(&m.source.consumer_group)),
    ("correlation_id", |m| {
        of(m, ExecutionContext::correlation_id)
    }),
    ("day", |m| time(m, |t| two(t.day()))),
    ("depth", |m| number(m, ExecutionContext::depth)),
    ("enqueued_time", |m| {
        let time = m.event.enqueued_time;
        time.format(&super::Rfc3339).ok().map(Cow::Owned)
    }),
    ("event_hub", |m| text(&m.source.event_hub)),
    ("event_id", |m| owned(m.identity().id)),
    ("format", |m| {
        m.format().map(|format| format.as_str().into())
    }),
    ("hour", |m| time(m, |t| two(t.hour()))),
    ("id", |m| of(m, ExecutionContext::row_id)),
    ("initiating_user", |m| {
        of(m, ExecutionContext::initiating_user_id)
    }),
    ("message", |m| of(m, ExecutionContext::message_name)),
    ("mode", |m| number(m, ExecutionContext::mode)),
    ("month", |m| time(m, |t| two(t.month().into()))),
    ("namespace", |m| text(&m.source.namespace)),
    ("offset", |m| text(m.event.offset.as_str())),
    ("operation_id", |m| of(m, ExecutionContext::operation_id)),
    ("organization", |m| {
        of(m, ExecutionContext::organization_name)
    }),
    ("organization_id", |m| {
        of(m, ExecutionContext::organization_id)
    }),
    ("partition", |m| text(m.event.partition.as_str())),
    ("sequence_number", |m| {
        owned(m.event.sequence_number.to_string())
    }),
    ("stage", |m| number(m, ExecutionContext::stage)),
    ("table", |m| of(m, ExecutionContext::primary_entity_name)),
    ("user", |m| of(m, ExecutionContext::user_id)),
    ("year", |m| time(m, |t| t.year().to_string())),
];

/// The field of this name.
pub(crate) fn field(name: &str) -> Option<Read> {
    FIELDS
        .iter()
        .find_map(|(known, read)| (*known == name).then_some(*read))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a field")]
fn text(text: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(text))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a field")]
fn owned<'a>(text: String) -> Option<Cow<'a, str>> {
    Some(Cow::Owned(text))
}

fn of<'a>(
    message: &'a Message,
    read: impl Fn(&ExecutionContext<'a>) -> Option<&'a str>,
) -> Option<Cow<'a, str>> {
    let value = read(&message.context()?)?;
    (!value.is_empty() && value != ZERO_GUID).then_some(Cow::Borrowed(value))
}

fn number<'a>(
    message: &'a Message,
    read: impl Fn(&ExecutionContext<'a>) -> Option<i64>,
) -> Option<Cow<'a, str>> {
    read(&message.context()?).map(|number| Cow::Owned(number.to_string()))
}

/// Of the time when the service took the event, in UTC: the same whenever it is delivered.
fn time<'a>(message: &Message, read: impl Fn(OffsetDateTime) -> String) -> Option<Cow<'a, str>> {
    owned(read(message.event.enqueued_time))
}

fn two(number: u8) -> String {
    format!("{number:02}")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn the_fields_have_names_of_their_own_in_order() {
        assert!(FIELDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_field_is_read_or_absent() {
        let context = samples::context("Create", "account");
        let undecodable = samples::message("?");
        let foreign = samples::message(r#"{"table":"x"}"#);
        assert_eq!(field("format").unwrap()(&foreign).as_deref(), Some("json"));
        assert_eq!(field("table").unwrap()(&foreign), None);
        for (name, of_context, of_undecodable) in [
            ("table", Some("account"), None),
            ("message", Some("Create"), None),
            ("id", None, None),
            ("partition", Some("0"), Some("0")),
            ("year", Some("1970"), Some("1970")),
            ("month", Some("01"), Some("01")),
            ("format", Some("json"), None),
        ] {
            let read = field(name).unwrap();
            assert_eq!(read(&context).as_deref(), of_context, "{name}");
            assert_eq!(read(&undecodable).as_deref(), of_undecodable, "{name}");
        }
        assert!(field("password").is_none());
    }
}
