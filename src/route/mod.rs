//! Which messages go to which sinks; pure.

mod filter;
mod pattern;
mod range;
mod read;

use crate::message::{Content, Message};

pub(crate) use filter::Filter;
pub(crate) use read::Config;

/// Every route of the configuration, with its sinks resolved.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    /// Where goes what no route takes.
    otherwise: Otherwise,
}

#[derive(Debug, Clone)]
struct Route {
    filter: Filter,
    sinks: SinkSet,
}

/// Where goes what no route takes.
#[derive(Debug, Clone, Copy)]
struct Otherwise {
    decoded: SinkSet,
    /// None where only a dead-letter sink, or nobody, takes what cannot be decoded.
    undecodable: Option<SinkSet>,
}

/// A sink by its place in the configuration.
pub(crate) type SinkId = usize;

/// There are no more sinks than this.
pub(crate) const MOST_SINKS: usize = 128;

/// Some of the sinks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SinkSet(u128);

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routed {
    /// To these, at least one.
    Sinks(SinkSet),
    /// Nowhere: the default route has no sinks.
    Unmatched,
    /// It cannot be decoded, and no route takes such messages.
    Undeliverable,
}

impl Routes {
    /// Resolves the sinks of `routes` by their names, in the order of `sinks`. Without routes, every sink
    /// but the dead-letter sink gets every message; where it is the only one, it gets them too.
    pub(crate) fn new(routes: &[Config], sinks: &[&str], dead_letter: Option<&str>) -> Self {
        let named = |names: &[String]| -> SinkSet {
            let places = names
                .iter()
                .filter_map(|name| sinks.iter().position(|sink| sink == name));
            places.collect()
        };
        let others = sinks.iter().enumerate();
        let mut all: SinkSet = others
            .filter(|(_, sink)| dead_letter != Some(sink))
            .map(|(place, _)| place)
            .collect();
        if all.is_empty() {
            all = (0..sinks.len()).collect();
        }
        let default = routes.iter().find(|route| route.is_default);
        let otherwise = match default {
            Some(default) => {
                let decoded = named(&default.sinks);
                Otherwise {
                    decoded,
                    undecodable: default.filter.takes_undecodable().then_some(decoded),
                }
            }
            None if routes.is_empty() => Otherwise {
                decoded: all,
                undecodable: dead_letter.is_none().then_some(all),
            },
            None => Otherwise {
                decoded: SinkSet::default(),
                undecodable: None,
            },
        };
        let chosen = routes.iter().filter(|route| !route.is_default);
        Self {
            routes: chosen
                .map(|route| Route {
                    filter: route.filter.clone(),
                    sinks: named(&route.sinks),
                })
                .collect(),
            otherwise,
        }
    }

    /// The sinks of every route that matches `message`; those of the default route where none does.
    pub(crate) fn route(&self, message: &Message) -> Routed {
        let mut sinks = SinkSet::default();
        for route in &self.routes {
            let all = sinks.union(route.sinks);
            // A route that adds no sink need not be looked at.
            if all != sinks && route.filter.matches(message) {
                sinks = all;
            }
        }
        if !sinks.is_empty() {
            return Routed::Sinks(sinks);
        }
        let otherwise = match message.content {
            Content::Context { .. } | Content::Foreign(_) => Some(self.otherwise.decoded),
            Content::Undecodable { .. } => self.otherwise.undecodable,
        };
        match otherwise {
            None => Routed::Undeliverable,
            Some(sinks) if sinks.is_empty() => Routed::Unmatched,
            Some(sinks) => Routed::Sinks(sinks),
        }
    }
}

impl SinkSet {
    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each of them, in the order of the configuration.
    pub(crate) fn iter(self) -> impl Iterator<Item = SinkId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = left.trailing_zeros();
            left &= left.checked_sub(1)?;
            Some(next as SinkId)
        })
    }
}

impl FromIterator<SinkId> for SinkSet {
    fn from_iter<I: IntoIterator<Item = SinkId>>(places: I) -> Self {
        let bits = places.into_iter().filter(|place| *place < MOST_SINKS);
        Self(bits.fold(0, |all, place| all | 1 << place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::samples;
    use crate::settings::Settings;

    const SINKS: [&str; 3] = ["a", "b", "dead"];

    fn routes(tables: &[&str], dead_letter: Option<&str>) -> Routes {
        let routes: Vec<Config> = tables
            .iter()
            .map(|toml| {
                let (route, mistakes) = Config::read(Settings::of_toml("route", toml), &SINKS);
                assert_eq!(mistakes, [], "{toml}");
                route
            })
            .collect();
        Routes::new(&routes, &SINKS, dead_letter)
    }

    #[track_caller]
    fn check(routes: &Routes, message: &Message, expected: &[SinkId]) {
        match routes.route(message) {
            Routed::Sinks(sinks) => assert_eq!(sinks.iter().collect::<Vec<_>>(), expected),
            Routed::Unmatched => assert!(expected.is_empty(), "unmatched"),
            Routed::Undeliverable => panic!("undeliverable"),
        }
    }

    const REST: &str = "default = true\nsinks = []";

    #[test]
    fn without_routes_every_sink_but_the_dead_letter_sink_gets_everything() {
        let update = samples::context("Update", "account");
        check(&routes(&[], None), &update, &[0, 1, 2]);
        check(&routes(&[], None), &samples::message("?"), &[0, 1, 2]);
        let with_dead_letters = routes(&[], Some("dead"));
        check(&with_dead_letters, &update, &[0, 1]);
        let routed = with_dead_letters.route(&samples::message("?"));
        assert_eq!(routed, Routed::Undeliverable);
    }

    #[test]
    fn a_dead_letter_sink_alone_gets_everything() {
        let routes = Routes::new(&[], &["dead"], Some("dead"));
        check(&routes, &samples::context("Update", "account"), &[0]);
    }

    #[test]
    fn every_sink_that_there_can_be_is_told_apart() {
        let names: Vec<String> = (0..MOST_SINKS).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let Routed::Sinks(sinks) =
            Routes::new(&[], &names, None).route(&samples::context("Update", "account"))
        else {
            panic!("no sinks");
        };
        assert_eq!(sinks.len(), MOST_SINKS);
        assert!(sinks.iter().eq(0..MOST_SINKS));
    }

    #[test]
    fn a_message_goes_once_to_the_sinks_of_every_route_that_matches() {
        let routes = routes(
            &[
                "message = \"Create\"\nsinks = [\"b\", \"a\"]",
                "table = \"account\"\nsinks = \"a\"",
                REST,
            ],
            None,
        );
        check(&routes, &samples::context("Create", "account"), &[0, 1]);
        check(&routes, &samples::context("Update", "account"), &[0]);
        check(&routes, &samples::context("Update", "contact"), &[]);
    }

    #[test]
    fn what_no_other_route_takes_goes_to_the_default_route() {
        let routes = routes(
            &[
                "default = true\nsinks = \"b\"",
                "table = \"account\"\nsinks = \"a\"",
            ],
            None,
        );
        check(&routes, &samples::context("Update", "account"), &[0]);
        check(&routes, &samples::context("Update", "contact"), &[1]);
        assert_eq!(
            routes.route(&samples::message("?")),
            Routed::Undeliverable,
            "it did not say undecodable = true"
        );
    }

    #[test]
    fn the_event_of_somebody_else_goes_where_nothing_of_a_context_is_asked_for() {
        let foreign = samples::message(r#"{"BusinessEventId":"x"}"#);
        let update = samples::context("Update", "account");
        for (table, of_foreign, of_update) in [
            ("foreign = true\nsinks = \"a\"", &[0][..], &[1][..]),
            ("foreign = false\nsinks = \"a\"", &[1], &[0]),
            ("undecodable = false\nsinks = \"a\"", &[0], &[0]),
            ("format = \"json\"\nsinks = \"a\"", &[0], &[0]),
            ("message = \"*\"\nsinks = \"a\"", &[1], &[0]),
            ("truncated = true\nsinks = \"a\"", &[1], &[0]),
            ("not = { table = \"contact\" }\nsinks = \"a\"", &[0], &[0]),
            ("not = { foreign = true }\nsinks = \"a\"", &[1], &[0]),
            ("undecodable = true\nsinks = \"a\"", &[1], &[1]),
        ] {
            let routes = routes(&[table, "default = true\nsinks = \"b\""], None);
            check(&routes, &foreign, of_foreign);
            check(&routes, &update, of_update);
        }
        check(&routes(&[], Some("dead")), &foreign, &[0, 1]);
    }

    #[test]
    fn what_cannot_be_decoded_goes_where_a_route_says_so() {
        let undecodable = samples::message("?");
        let taken = routes(&["undecodable = true\nsinks = \"a\"", REST], None);
        check(&taken, &undecodable, &[0]);
        check(&taken, &samples::context("Update", "account"), &[]);
        let by_default = routes(&["default = true\nundecodable = true\nsinks = \"b\""], None);
        check(&by_default, &undecodable, &[1]);
        check(&by_default, &samples::context("Update", "account"), &[1]);
    }
}
