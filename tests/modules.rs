//! Which module may import which: the arrows of the map in `src/lib.rs`, checked against the source.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module, and the modules of ours that it may name. Nothing else is allowed.
const ARROWS: &[(&str, &[&str])] = &[
    ("ack", &["budget", "event"]),
    (
        "app",
        &[
            "causes",
            "ack",
            "backoff",
            "budget",
            "checkpoint",
            "config",
            "decoder",
            "dispatcher",
            "duplicates",
            "event",
            "health",
            "http",
            "metrics",
            "otlp",
            "partition",
            "receiver",
            "replay",
            "route",
            "settings",
            "shutdown",
            "sink",
            "standing",
            "status",
            "telemetry",
            "trace",
        ],
    ),
    ("backoff", &[]),
    ("budget", &[]),
    ("capture", &["event"]),
    ("causes", &[]),
    ("checkpoint", &["durable", "event", "receiver", "settings"]),
    (
        "cli",
        &[
            "causes",
            "app",
            "capture",
            "checkpoint",
            "config",
            "context",
            "decoder",
            "durable",
            "emulator",
            "event",
            "health",
            "http",
            "message",
            "pretty",
            "receiver",
            "redrive",
            "replay",
            "route",
            "secret",
            "settings",
            "shutdown",
            "simulator",
            "sink",
            "status",
            "systemd",
            "telemetry",
        ],
    ),
    (
        "config",
        &[
            "ack",
            "checkpoint",
            "decoder",
            "duplicates",
            "durable",
            "event",
            "health",
            "http",
            "otlp",
            "receiver",
            "replay",
            "route",
            "secret",
            "settings",
            "sink",
            "telemetry",
        ],
    ),
    ("context", &[]),
    ("decoder", &["context"]),
    (
        "dispatcher",
        &["ack", "context", "duplicates", "message", "route", "sink"],
    ),
    (
        "duplicates",
        &["causes", "durable", "event", "message", "settings"],
    ),
    ("durable", &[]),
    ("emulator", &[]),
    ("event", &[]),
    ("health", &["event", "settings", "standing"]),
    (
        "http",
        &["event", "health", "settings", "standing", "status"],
    ),
    (
        "message",
        &[
            "capture", "context", "decoder", "event", "settings", "trace",
        ],
    ),
    ("metrics", &["context", "dispatcher", "sink", "standing"]),
    (
        "otlp",
        &[
            "causes", "event", "secret", "settings", "sink", "standing", "tls", "trace",
        ],
    ),
    (
        "partition",
        &[
            "causes",
            "ack",
            "backoff",
            "budget",
            "checkpoint",
            "decoder",
            "dispatcher",
            "event",
            "message",
            "receiver",
            "replay",
            "shutdown",
            "sink",
            "standing",
            "trace",
        ],
    ),
    ("pretty", &["context", "decoder", "event", "message"]),
    (
        "receiver",
        &[
            "causes", "backoff", "budget", "event", "secret", "standing", "tls",
        ],
    ),
    (
        "redrive",
        &[
            "ack", "backoff", "causes", "decoder", "durable", "event", "message", "shutdown",
            "sink",
        ],
    ),
    ("replay", &["event", "receiver"]),
    (
        "route",
        &["context", "event", "message", "settings", "sink"],
    ),
    ("secret", &["durable"]),
    ("settings", &["durable", "secret"]),
    ("shutdown", &[]),
    ("simulator", &["receiver"]),
    (
        "sink",
        &[
            "causes", "ack", "backoff", "context", "event", "message", "pretty", "secret",
            "settings", "tls", "trace",
        ],
    ),
    ("standing", &["event"]),
    ("status", &["health", "sink", "standing"]),
    ("systemd", &["health", "shutdown"]),
    ("telemetry", &["settings"]),
    ("tls", &["durable"]),
    ("trace", &["event"]),
];

/// Files of which only tests are made, and what they may name beside what their module may: a proof that two
/// sides agree knows both.
const PROOFS: &[(&str, &[&str])] = &[("simulator/decoded.rs", &["context", "decoder"])];

/// Crates that only some modules may name, and who may.
const EDGES: &[(&str, &[&str])] = &[
    ("apache_avro", &["capture"]),
    ("fe2o3_amqp", &["emulator", "receiver", "simulator"]),
    ("fe2o3_amqp_ws", &["receiver"]),
    ("axum", &["http"]),
    ("hyper", &["http"]),
    ("hyper_util", &["http", "receiver"]),
    ("tokio_tungstenite", &["emulator"]),
    ("serde_amqp", &["emulator", "receiver", "simulator"]),
    ("azure_core", &["receiver"]),
    ("azure_identity", &["receiver"]),
    ("procfs", &["metrics"]),
    ("prometheus_client", &["metrics", "sink"]),
    ("opentelemetry", &["otlp"]),
    ("opentelemetry_http", &["otlp"]),
    ("opentelemetry_otlp", &["otlp"]),
    ("opentelemetry_sdk", &["otlp"]),
    ("reqwest", &["otlp", "receiver", "sink"]),
    ("tokio_rustls", &["otlp", "receiver", "sink", "tls"]),
    ("sd_notify", &["systemd"]),
    ("signal_hook", &["shutdown"]),
    ("x509_parser", &["receiver"]),
];

/// What the pure modules must not name: no runtime, no clock, no input or output.
const PURE: &[&str] = &[
    "ack", "budget", "context", "decoder", "health", "replay", "route", "standing", "status",
    "trace",
];
/// Single files of which the same is true.
const PURE_FILES: &[&str] = &["duplicates/window.rs", "http/probe.rs", "sink/lanes.rs"];
/// What only the driver of the AMQP machine may name.
const DRIVERS: &[&str] = &[
    "tokio",
    "Instant::now",
    "std::fs",
    "std::net",
    "std::thread",
    "fastrand",
];
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::io",
    "std::time::",
    "std::thread",
    "OffsetDateTime::now",
];

/// Every source file of a module, as (module, path, text without its tests).
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(&root).unwrap();
                let module = relative
                    .iter()
                    .next()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .trim_end_matches(".rs");
                let text = fs::read_to_string(&path).unwrap();
                let code = text
                    .split("#[cfg(test)]\nmod tests")
                    .next()
                    .unwrap()
                    .to_owned();
                found.push((module.to_owned(), path.clone(), code));
            }
        }
    }
    found
}

/// The lines of `text` that are code, not comment.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

/// The modules that `text` names as `crate::NAME`, also inside `use crate::{a, b::C}`.
fn named(text: &str) -> BTreeSet<String> {
    let text: String = code(text).collect::<Vec<_>>().join("\n");
    let mut names = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let name = |part: &str| -> String {
            part.trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let top_level = group.split(|c: char| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                c == ',' && depth == 0
            });
            let end = top_level.take_while(|part| !part.starts_with(';'));
            names.extend(end.map(name).filter(|name| !name.is_empty()));
        } else {
            names.insert(name(rest));
        }
    }
    names
}

#[test]
fn every_module_is_in_the_table() {
    let known: BTreeSet<&str> = ARROWS
        .iter()
        .map(|(module, _)| *module)
        .chain(["lib", "main"])
        .collect();
    for (module, path, _) in sources() {
        assert!(
            known.contains(module.as_str()),
            "{}: add `{module}` to ARROWS",
            path.display()
        );
    }
}

#[test]
fn a_module_names_only_what_its_arrows_allow() {
    let modules: BTreeSet<&str> = ARROWS.iter().map(|(module, _)| *module).collect();
    for (module, path, text) in sources() {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        for name in named(&text)
            .iter()
            .filter(|name| modules.contains(name.as_str()) && **name != module)
        {
            let is_proven = PROOFS
                .iter()
                .any(|(file, more)| path.ends_with(file) && more.contains(&name.as_str()));
            assert!(
                is_proven || allowed.contains(&name.as_str()),
                "{}: {module} must not name {name}",
                path.display()
            );
        }
    }
}

#[test]
fn only_the_edges_name_the_crates_of_the_edges() {
    for (module, path, text) in sources() {
        for (krate, allowed) in EDGES {
            let is_named = code(&text).any(|line| line.contains(&format!("{krate}::")));
            assert!(
                !is_named || allowed.contains(&module.as_str()),
                "{}: must not name {krate}",
                path.display()
            );
        }
    }
}

#[test]
fn thinking_knows_no_runtime_no_clock_and_no_io() {
    for (module, path, text) in sources() {
        let is_pure_file = PURE_FILES.iter().any(|file| path.ends_with(file));
        if !PURE.contains(&module.as_str()) && !is_pure_file {
            continue;
        }
        for word in IMPURE {
            assert!(
                !code(&text).any(|line| line.contains(word)),
                "{}: pure, names {word}",
                path.display()
            );
        }
    }
}

#[test]
fn the_amqp_machine_has_no_stream_no_clock_and_no_task() {
    let mut seen = 0;
    for (_, path, text) in sources() {
        let place = path.to_str().unwrap();
        let is_driver = place.ends_with("engine/driver.rs") || place.contains("engine/tests/");
        if !place.contains("receiver/engine/") || is_driver {
            continue;
        }
        seen += 1;
        for word in DRIVERS {
            assert!(
                !code(&text).any(|line| line.contains(word)),
                "{place}: driven from outside, names {word}"
            );
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn every_file_says_what_it_is_for() {
    for (_, path, text) in sources() {
        assert!(
            text.starts_with("//! "),
            "{}: open it with //!",
            path.display()
        );
    }
}
