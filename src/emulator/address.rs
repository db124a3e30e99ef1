//! The nodes of the hub, as the clients spell their addresses, and the audiences of tokens.
//!
//! The SDKs write `hub/ConsumerGroups/group/Partitions/0`, with a leading slash, or as a whole URL,
//! and do not agree on the case of names.

/// A node that a link can be attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// Takes tokens.
    Cbs,
    /// Tells about the hub and its partitions.
    Management,
    /// A hub, to send to.
    Hub { hub: String },
    /// A partition of a hub, to send to.
    Partition { hub: String, partition: String },
    /// A partition of a hub as a consumer group sees it, to receive from.
    Consumer {
        hub: String,
        group: String,
        partition: String,
    },
}

impl Node {
    /// Reads the address of a link's source or target. Names keep their case.
    pub(crate) fn parse(address: &str) -> Self {
        let path = path_of(address);
        if path.eq_ignore_ascii_case("$cbs") {
            return Self::Cbs;
        }
        let last = path.rsplit('/').next().unwrap_or(path);
        if last.eq_ignore_ascii_case("$management") {
            return Self::Management;
        }
        // Hub and group names may contain slashes, so the last separators count.
        let Some((entity, partition)) = split_last(path, "/partitions/") else {
            return Self::Hub {
                hub: path.to_owned(),
            };
        };
        let partition = partition.to_owned();
        match split_last(entity, "/consumergroups/") {
            Some((hub, group)) => Self::Consumer {
                hub: hub.to_owned(),
                group: group.to_owned(),
                partition,
            },
            None => Self::Partition {
                hub: entity.to_owned(),
                partition,
            },
        }
    }
}

/// What a token is good for: a host and a path under it, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audience {
    host: String,
    path: String,
}

impl Audience {
    /// Reads `sb://host:port/path/`. Scheme, port, case and a slash at the end do not matter.
    pub(crate) fn parse(uri: &str) -> Self {
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            host: host_of(authority).to_ascii_lowercase(),
            path: path.trim_matches('/').to_ascii_lowercase(),
        }
    }

    /// True when a token for `self` is good for `other` as well.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.host == other.host && self.covers_path(&other.path)
    }

    /// True when `path`, in any case, is this audience's path or lies under it.
    pub(crate) fn covers_path(&self, path: &str) -> bool {
        let path = path.to_ascii_lowercase();
        match path.strip_prefix(&self.path) {
            Some(rest) => self.path.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    /// True when this audience is about the hub itself or anything in it.
    pub(crate) fn concerns(&self, hub: &str) -> bool {
        let within = Self {
            host: String::new(),
            path: hub.to_ascii_lowercase(),
        };
        self.covers_path(hub) || within.covers_path(&self.path)
    }
}

/// The path of an address: no scheme, no authority, no slash at either end.
pub(crate) fn path_of(address: &str) -> &str {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    path.trim_matches('/')
}

fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Splits at the last `separator`, given in lower case, found in any case.
fn split_last<'a>(path: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let at = path.to_ascii_lowercase().rfind(separator)?;
    Some((&path[..at], &path[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(hub: &str, group: &str, partition: &str) -> Node {
        Node::Consumer {
            hub: hub.to_owned(),
            group: group.to_owned(),
            partition: partition.to_owned(),
        }
    }

    #[test]
    fn every_sdk_spelling_names_the_same_consumer() {
        for address in [
            "eh1/ConsumerGroups/$Default/Partitions/0",
            "/eh1/ConsumerGroups/$Default/Partitions/0",
            "eh1/consumergroups/$Default/partitions/0/",
            "amqps://localhost:5672/eh1/ConsumerGroups/$Default/Partitions/0",
            "amqps://host/eh1/ConsumerGroups/$Default/Partitions/0",
        ] {
            assert_eq!(
                Node::parse(address),
                consumer("eh1", "$Default", "0"),
                "{address}"
            );
        }
        assert_eq!(
            Node::parse("a/Partitions/b/ConsumerGroups/c/d/Partitions/1"),
            consumer("a/Partitions/b", "c/d", "1")
        );
    }

    #[test]
    fn other_nodes_are_told_apart() {
        for (address, node) in [
            ("$cbs", Node::Cbs),
            ("$management", Node::Management),
            ("amqps://h/eh1/$management", Node::Management),
            (
                "eh1",
                Node::Hub {
                    hub: "eh1".to_owned(),
                },
            ),
            (
                "amqps://h:1/eh1",
                Node::Hub {
                    hub: "eh1".to_owned(),
                },
            ),
            ("", Node::Hub { hub: String::new() }),
            (
                "/eh1/Partitions/2",
                Node::Partition {
                    hub: "eh1".to_owned(),
                    partition: "2".to_owned(),
                },
            ),
        ] {
            assert_eq!(Node::parse(address), node, "{address}");
        }
    }

    #[test]
    fn an_audience_covers_what_lies_under_it() {
        let check = |token: &str, name: &str, expected: bool| {
            let covers = Audience::parse(token).covers(&Audience::parse(name));
            assert_eq!(covers, expected, "{token} {name}");
        };
        check("sb://localhost/eh1", "amqp://LOCALHOST:5672/EH1/", true);
        check(
            "sb://localhost:1/eh1/",
            "sb://localhost/eh1/ConsumerGroups/$default",
            true,
        );
        check("sb://localhost", "sb://localhost/eh1", true);
        check("sb://localhost/eh1", "sb://localhost/eh12", false);
        check("sb://localhost/eh1/x", "sb://localhost/eh1", false);
        check("sb://other/eh1", "sb://localhost/eh1", false);
    }

    #[test]
    fn a_token_for_a_part_of_the_hub_concerns_the_hub() {
        assert!(Audience::parse("sb://h/eh1/$management").concerns("EH1"));
        assert!(Audience::parse("sb://h/").concerns("eh1"));
        assert!(!Audience::parse("sb://h/eh2").concerns("eh1"));
    }
}
