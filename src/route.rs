//! Which messages go to which sinks; pure.

use crate::message::{Content, Message};
use crate::settings::{Mistake, Settings};

/// Every route of the configuration. With none, every sink gets every message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes(Vec<Route>);

/// One `[[route]]` table with its sinks resolved.
#[derive(Debug, Clone)]
struct Route {
    filter: Filter,
    sinks: Vec<SinkId>,
}

/// A sink by its place in the configuration.
pub(crate) type SinkId = usize;

/// One `[[route]]` table as written: what matches, and the names of the sinks.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    filter: Filter,
    sinks: Vec<String>,
}

/// What a message must be. An absent list matches everything; names match in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Names of Dataverse messages: `Create`, `Update`, the name of a custom API.
    pub message: Option<Vec<String>>,
    /// Logical names of the primary table: `account`.
    pub table: Option<Vec<String>>,
}

impl Config {
    /// Reads one `[[route]]` table; `known` are the names of the sinks there are.
    pub(crate) fn read(mut settings: Settings, known: &[&str]) -> (Self, Vec<Mistake>) {
        let filter = Filter {
            message: settings.optional("message"),
            table: settings.optional("table"),
        };
        for (key, names) in [("message", &filter.message), ("table", &filter.table)] {
            if names.as_ref().is_some_and(Vec::is_empty) {
                settings.mistake(
                    key,
                    "names none, so that nothing matches; leave it out for any",
                );
            }
        }
        let sinks: Option<Vec<String>> = settings.required("sinks");
        if sinks.as_ref().is_some_and(Vec::is_empty) {
            settings.mistake("sinks", "names no sink; name at least one");
        }
        let sinks = sinks.unwrap_or_default();
        for sink in sinks.iter().filter(|sink| !known.contains(&sink.as_str())) {
            let reason = match crate::settings::nearest(sink, known) {
                Some(near) => format!("there is no sink \"{sink}\"; did you mean \"{near}\"?"),
                None => format!("there is no sink \"{sink}\"; give it a [[sink]] table"),
            };
            settings.mistake("sinks", reason);
        }
        (Self { filter, sinks }, settings.finish())
    }
}

impl Routes {
    /// Resolves the sinks of `routes` by their names, in the order of `sinks`.
    pub(crate) fn new(routes: &[Config], sinks: &[&str]) -> Self {
        let resolve = |route: &Config| Route {
            filter: route.filter.clone(),
            sinks: route
                .sinks
                .iter()
                .filter_map(|name| sinks.iter().position(|sink| sink == name))
                .collect(),
        };
        Self(routes.iter().map(resolve).collect())
    }

    /// The sinks for `message`, each once, out of `sinks` in all; none when no route matches it.
    ///
    /// An undecodable message goes to every sink: nobody can tell which route it would have matched.
    pub(crate) fn sinks_for(&self, message: &Message, sinks: usize) -> Vec<SinkId> {
        if self.0.is_empty() || matches!(message.content, Content::Undecodable { .. }) {
            return (0..sinks).collect();
        }
        let matching: Vec<&Route> = self
            .0
            .iter()
            .filter(|route| route.filter.matches(message))
            .collect();
        (0..sinks)
            .filter(|sink| matching.iter().any(|route| route.sinks.contains(sink)))
            .collect()
    }
}

impl Filter {
    fn matches(&self, message: &Message) -> bool {
        let context = message.context();
        let is_among = |names: &Option<Vec<String>>, name: Option<&str>| match (names, name) {
            (None, _) => true,
            (Some(names), Some(name)) => names.iter().any(|known| known.eq_ignore_ascii_case(name)),
            (Some(_), None) => false,
        };
        is_among(
            &self.message,
            context.and_then(|context| context.message_name()),
        ) && is_among(
            &self.table,
            context.and_then(|context| context.primary_entity_name()),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use time::OffsetDateTime;

    use super::*;
    use crate::event::{Body, Event, Offset, PartitionId, Properties, SequenceNumber, Source};

    fn message(body: &str) -> Message {
        let source = Source {
            namespace: "contoso.servicebus.windows.net".into(),
            event_hub: "events".into(),
            consumer_group: "$Default".into(),
        };
        let event = Event {
            partition: PartitionId::new("0"),
            sequence_number: SequenceNumber(0),
            offset: Offset::new("0"),
            enqueued_time: OffsetDateTime::UNIX_EPOCH,
            partition_key: None,
            content_type: None,
            properties: Properties::default(),
            body: Body::Bytes(Bytes::copy_from_slice(body.as_bytes())),
        };
        Message::decode(Arc::new(source), event)
    }

    fn context(message_name: &str, table: &str) -> Message {
        message(&format!(
            r#"{{"MessageName":"{message_name}","PrimaryEntityName":"{table}","InputParameters":[],"OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73"}}"#
        ))
    }

    fn route(message: &[&str], table: &[&str], sinks: &[&str]) -> Config {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        Config {
            filter: Filter {
                message: (!message.is_empty()).then(|| list(message)),
                table: (!table.is_empty()).then(|| list(table)),
            },
            sinks: list(sinks),
        }
    }

    const SINKS: [&str; 3] = ["a", "b", "c"];

    #[track_caller]
    fn check(routes: &[Config], message: &Message, expected: &[SinkId]) {
        assert_eq!(
            Routes::new(routes, &SINKS).sinks_for(message, SINKS.len()),
            expected
        );
    }

    #[test]
    fn without_routes_every_sink_gets_everything() {
        check(&[], &context("Create", "account"), &[0, 1, 2]);
    }

    #[test]
    fn message_and_table_must_both_match_in_any_case() {
        let routes = [route(&["create", "UPDATE"], &["Account"], &["b"])];
        check(&routes, &context("Create", "account"), &[1]);
        check(&routes, &context("Update", "account"), &[1]);
        check(&routes, &context("Delete", "account"), &[]);
        check(&routes, &context("Create", "contact"), &[]);
    }

    #[test]
    fn a_sink_named_by_two_routes_gets_a_message_once() {
        let routes = [
            route(&["Create"], &[], &["c", "a"]),
            route(&[], &["account"], &["a"]),
        ];
        check(&routes, &context("Create", "account"), &[0, 2]);
        check(&routes, &context("Update", "account"), &[0]);
    }

    #[test]
    fn an_undecodable_message_goes_to_every_sink() {
        check(
            &[route(&["Create"], &[], &["a"])],
            &message("?"),
            &[0, 1, 2],
        );
    }
}
