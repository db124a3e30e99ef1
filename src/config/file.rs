//! Reads the configuration: the defaults, then the TOML file, then `DATAVERSE_LISTENER__` variables.
//!
//! A variable names a key with `__` between its parts: `DATAVERSE_LISTENER__CHECKPOINT__STORE`. Tables
//! that come several times have their number in it, `DATAVERSE_LISTENER__SINK__1__FORMAT`; without a
//! number the first is meant.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use config::builder::DefaultState;
use config::{ConfigBuilder, FileFormat, Value, ValueKind};

use super::lines::Lines;
use super::{Config, ConfigError, Delivery, decode, hub};
use crate::durable;
use crate::settings::{Effective, Mistake, Settings, VARIABLE};
use crate::{checkpoint, duplicates, health, http, otlp, receiver, route, sink, telemetry};

/// What the names of our variables begin with.
const PREFIX: &str = "DATAVERSE_LISTENER__";

/// Tables that come several times.
const LISTS: [&str; 3] = ["hub", "sink", "route"];

/// No configuration is larger than this, in bytes.
const LARGEST: u64 = 1 << 20;

/// The highest number of such a table that a variable may name.
const MOST: usize = 99;

/// Reads and checks the file at `path`, with the overrides found in `variables`.
///
/// # Errors
/// Every mistake that is found, each with its origin and key, and never a value.
pub(crate) fn load(
    path: &Path,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    load_and_show(path, variables).map(|(config, _)| config)
}

/// The same, with what is in force: every key with the value it was given or its default, and `***` for secrets.
///
/// # Errors
/// As for [`load`].
pub(crate) fn load_and_show(
    path: &Path,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Config, Effective), ConfigError> {
    let mut mistakes = Vec::new();
    let text = read(path, &mut mistakes);
    let root = text
        .as_deref()
        .and_then(|text| merge(path, text, variables, &mut mistakes));
    let config = root.and_then(|root| {
        let root = Settings::new("", root);
        let effective = root.effective();
        Some((gather(root, path, &mut mistakes)?, effective))
    });
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => {
            point_at_lines(&mut mistakes, path, &text.unwrap_or_default());
            Err(ConfigError { mistakes })
        }
    }
}

/// Reads the `[http]` table alone, for whoever asks a running daemon: of the file at `path`, if there is one, and of
/// `variables`. The rest of the file is not looked at, and no secret is read.
///
/// # Errors
/// Every mistake that is found in it, as [`load`] tells them.
pub(crate) fn load_http(
    path: Option<&Path>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<http::Config, ConfigError> {
    load_table(path, variables, "http", http::Config::read)
}

/// Reads the `[log]` table alone, to tell as it says what is wrong with the rest.
///
/// # Errors
/// As for [`load_http`].
pub(crate) fn load_log(
    path: &Path,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<telemetry::Config, ConfigError> {
    load_table(Some(path), variables, "log", telemetry::Config::read)
}

/// Reads one table alone.
fn load_table<T>(
    path: Option<&Path>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    key: &'static str,
    read_table: fn(Settings) -> (T, Vec<Mistake>),
) -> Result<T, ConfigError> {
    let mut mistakes = Vec::new();
    let text = match path {
        Some(path) => read(path, &mut mistakes),
        None => Some(String::new()),
    };
    let path = path.unwrap_or_else(|| Path::new(""));
    let prefix = format!("{PREFIX}{}__", key.to_ascii_uppercase());
    let variables = variables
        .into_iter()
        .filter(|(name, _)| name.to_string_lossy().starts_with(&prefix));
    let root = text
        .as_deref()
        .and_then(|text| merge(path, text, variables, &mut mistakes));
    let table = root.map(|root| {
        let mut root = Settings::new("", root);
        root.set_origin(path.display().to_string());
        let (table, found) = read_table(root.table(key));
        mistakes.extend(found);
        table
    });
    match table {
        Some(table) if mistakes.is_empty() => Ok(table),
        _ => {
            point_at_lines(&mut mistakes, path, &text.unwrap_or_default());
            Err(ConfigError { mistakes })
        }
    }
}

/// The file; none when it cannot be read.
fn read(path: &Path, mistakes: &mut Vec<Mistake>) -> Option<String> {
    let text = durable::read_text(path, LARGEST);
    text.map_err(|error| {
        let origin = path.display().to_string();
        mistakes.push(mistake_in(origin, format!("cannot be read: {error}")));
    })
    .ok()
}

/// Adds its line to every mistake that is in the file.
fn point_at_lines(mistakes: &mut [Mistake], path: &Path, text: &str) {
    let (path, lines) = (path.display().to_string(), Lines::of(text));
    for mistake in mistakes.iter_mut().filter(|m| m.origin == path) {
        if let Some(line) = lines.of_key(&mistake.key) {
            mistake.origin = format!("{path}:{line}");
        }
    }
}

/// The tables of the file, overridden by the variables; none when it is no TOML.
fn merge(
    path: &Path,
    text: &str,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Value> {
    let parsed = config::Config::builder()
        .add_source(config::File::from_str(text, FileFormat::Toml))
        .build()
        .map_err(|error| {
            let origin = path.display().to_string();
            mistakes.push(mistake_in(origin, without_excerpt(&error.to_string())));
        })
        .ok()?;
    let mut builder = config::Config::builder().add_source(parsed);
    for (name, value) in variables {
        builder = with_variable(builder, &name, value, mistakes);
    }
    // Not deserialized: that would forget where each value came from.
    builder.build().map(|merged| merged.cache).ok()
}

/// The parser's message without the excerpt of the file in it, which may show a secret.
fn without_excerpt(message: &str) -> String {
    let is_said = |line: &&str| !line.contains('|') && !line.trim().is_empty();
    let lines: Vec<&str> = message.lines().filter(is_said).map(str::trim).collect();
    lines.join(": ")
}

fn with_variable(
    builder: ConfigBuilder<DefaultState>,
    name: &OsStr,
    value: OsString,
    mistakes: &mut Vec<Mistake>,
) -> ConfigBuilder<DefaultState> {
    let name = name.to_string_lossy();
    let Some(key) = name.strip_prefix(PREFIX) else {
        return builder;
    };
    let origin = format!("{VARIABLE}{name}");
    let Ok(value) = value.into_string() else {
        mistakes.push(mistake_in(origin, "is not UTF-8".to_owned()));
        return builder;
    };
    let value = Value::new(Some(&origin), ValueKind::String(value));
    let overridden = key_of(key).map(|key| builder.clone().set_override(key, value));
    match overridden {
        Ok(Ok(builder)) => builder,
        Ok(Err(_)) => {
            mistakes.push(mistake_in(
                origin,
                "names no key; write it as SECTION__KEY".to_owned(),
            ));
            builder
        }
        Err(reason) => {
            mistakes.push(mistake_in(origin, reason));
            builder
        }
    }
}

fn mistake_in(origin: String, reason: String) -> Mistake {
    Mistake {
        origin,
        key: String::new(),
        reason,
    }
}

/// The key that `SECTION__KEY` or `SECTION__NUMBER__KEY` stands for.
fn key_of(name: &str) -> Result<String, String> {
    let name = name.to_ascii_lowercase();
    let (section, rest) = name
        .split_once("__")
        .ok_or("names no key; write it as SECTION__KEY")?;
    if !LISTS.contains(&section) {
        return Ok(format!("{section}.{}", rest.replace("__", ".")));
    }
    let numbered = rest
        .split_once("__")
        .and_then(|(number, key)| Some((number.parse::<usize>().ok()?, key)));
    let (number, key) = numbered.unwrap_or((0, rest));
    if number > MOST {
        return Err(format!("numbers a table beyond {MOST}"));
    }
    Ok(format!("{section}[{number}].{}", key.replace("__", ".")))
}

fn gather(mut root: Settings, path: &Path, mistakes: &mut Vec<Mistake>) -> Option<Config> {
    root.set_origin(path.display().to_string());
    let fingerprint = root.fingerprint(hub::is_watched);
    let hubs = at_least_one(&mut root, "hub").into_iter().map(hub::read);
    let hubs = sound(hubs, mistakes);
    let (checkpoint, found) = checkpoint::Config::read(root.table("checkpoint"));
    mistakes.extend(found);
    let sinks = at_least_one(&mut root, "sink")
        .into_iter()
        .map(sink::Config::read);
    let sinks = sound(sinks, mistakes);
    refuse_twins(&mut root, &hubs, &sinks);
    let hubs: Vec<_> = hubs.into_iter().map(|(_, hub)| hub).collect();
    let sinks: Vec<_> = sinks.into_iter().map(|(_, sink)| sink).collect();
    let (decode, found) = decode::read(root.table("decode"));
    mistakes.extend(found);
    let (delivery, found) = Delivery::read(root.table("delivery"));
    mistakes.extend(found);
    let names: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
    let (dead_letter, found) = sink::DeadLetterConfig::read(root.table("dead_letter"), &sinks);
    mistakes.extend(found);
    let (duplicates, found) = duplicates::Config::read(root.optional_table("duplicates"));
    mistakes.extend(found);
    let (health, found) = health::Config::read(root.table("health"));
    mistakes.extend(found);
    let (http, found) = http::Config::read(root.table("http"));
    mistakes.extend(found);
    let (otlp, found) = otlp::Config::read(root.optional_table("otlp"));
    mistakes.extend(found);
    let (log, found) = telemetry::Config::read(root.table("log"));
    mistakes.extend(found);
    let mut routes = Vec::new();
    for table in root.tables("route") {
        let (route, found) = route::Config::read(table, &names);
        mistakes.extend(found);
        routes.push(route);
    }
    if let Some(reason) = route::Config::judge(&routes) {
        root.mistake("route", reason);
    }
    if sinks.len() > route::MOST_SINKS {
        root.mistake(
            "sink",
            format!("there can be at most {}", route::MOST_SINKS),
        );
    }
    mistakes.extend(root.finish());
    Some(Config {
        hubs,
        partitions: Vec::new(),
        decode,
        delivery,
        dead_letter,
        duplicates,
        health,
        http,
        otlp,
        checkpoint,
        log,
        sinks,
        routes,
        fingerprint,
        replay: None,
    })
}

/// Those that could be read, each with its number in the configuration.
fn sound<T>(
    tables: impl Iterator<Item = (Option<T>, Vec<Mistake>)>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<(usize, T)> {
    let mut sound = Vec::new();
    for (number, (table, found)) in tables.enumerate() {
        mistakes.extend(found);
        sound.extend(table.map(|table| (number, table)));
    }
    sound
}

fn at_least_one(root: &mut Settings, key: &'static str) -> Vec<Settings> {
    let is_list = root.is_list(key);
    let tables = root.tables(key);
    if tables.is_empty() && is_list {
        root.mistake(
            key,
            format!("is missing; write at least one [[{key}]] table"),
        );
    }
    tables
}

/// Two hubs that are one would be read twice, and have one checkpoint even where their ports differ; two sinks of one name could not be told apart by routes;
/// two that write to one place would write into each other's lines.
fn refuse_twins(
    root: &mut Settings,
    hubs: &[(usize, receiver::Config)],
    sinks: &[(usize, sink::Config)],
) {
    let hubs = hubs.iter().map(|(number, hub)| {
        let namespace = hub.connection_string.namespace().to_lowercase();
        let name = format!(
            "{namespace:?} {:?} {:?}",
            hub.event_hub.to_lowercase(),
            hub.consumer_group.to_lowercase()
        );
        (*number, name)
    });
    if let Some((number, _)) = twin(hubs) {
        let reason = "names the same event hub and consumer group as a table before it";
        root.mistake(&format!("hub[{number}]"), reason);
    }
    let names = sinks
        .iter()
        .map(|(number, sink)| (*number, sink.name.clone()));
    if let Some((number, name)) = twin(names) {
        let reason = format!("two sinks are named \"{name}\"");
        root.mistake(&format!("sink[{number}].name"), reason);
    }
    let places = sinks.iter();
    let places = places.filter_map(|(number, sink)| Some((*number, sink.kind.claim()?)));
    if let Some((number, place)) = twin(places) {
        let reason = format!("two sinks write to {place}; only one can");
        root.mistake(&format!("sink[{number}]"), reason);
    }
}

/// The first of them that has the name of one before it.
fn twin(mut names: impl Iterator<Item = (usize, String)>) -> Option<(usize, String)> {
    let mut seen = HashSet::new();
    names.find(|(_, name)| !seen.insert(name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Result<&str, &str>) {
        assert_eq!(
            key_of(name),
            expected.map(str::to_owned).map_err(str::to_owned),
            "{name}"
        );
    }

    #[test]
    fn a_variable_names_a_key() {
        check("CHECKPOINT__STORE", Ok("checkpoint.store"));
        check("HUB__CONNECTION_STRING", Ok("hub[0].connection_string"));
        check("SINK__1__FORMAT", Ok("sink[1].format"));
        check("SINK__100__FORMAT", Err("numbers a table beyond 99"));
        check("CHECKPOINT", Err("names no key; write it as SECTION__KEY"));
    }

    #[test]
    fn the_examples_are_configurations_and_show_every_kind_of_sink() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("systemd.toml") {
                // Its secret is there when the service runs: tests/it/systemd.rs.
                continue;
            }
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let mistakes = load(&path, []).map_or_else(|error| error.mistakes, |_| Vec::new());
                // The files of their secrets are elsewhere.
                let is_real =
                    |mistake: &&Mistake| !mistake.reason.contains(" cannot be read: No such file");
                assert_eq!(mistakes.iter().find(is_real), None);
            }
        }
        let reference = std::fs::read_to_string(folder.join("dataverse-listener.toml")).unwrap();
        for kind in sink::kinds() {
            assert!(reference.contains(&format!("type = \"{kind}\"")), "{kind}");
        }
    }

    #[test]
    fn the_excerpt_of_a_broken_file_is_left_out() {
        let message = "TOML parse error at line 2, column 9\n  |\n2 | key = \"hunter2\n  |         ^\ninvalid basic string";
        assert_eq!(
            without_excerpt(message),
            "TOML parse error at line 2, column 9: invalid basic string"
        );
    }
}
