//! Log lines on standard error or in the journal: for people, for programs, for journald. What is logged, and how, may
//! change while the process runs.

mod journal;

use std::fmt;
use std::io::{self, IsTerminal};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, reload};

use crate::settings::{Mistake, Settings};

/// What is logged, and how: the `[log]` table, or the options of the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// What is logged; none where nothing is said.
    pub level: Option<Filter>,
    /// How it is written; none where nothing is said.
    pub format: Option<Format>,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// journald where standard error goes to the journal of systemd, else text
    #[default]
    Auto,
    /// A line for a person
    Text,
    /// A line of JSON
    Json,
    /// Fields of the journal of systemd; text where there is none
    Journald,
}

/// What is logged: a level (`info`), or levels of targets, which are the modules of the program
/// (`info,dataverse_listener::receiver=debug`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter(Targets);

// The levels of a filter are equal or not.
impl Eq for Filter {}

/// A text that is no [`Filter`].
#[derive(Debug, thiserror::Error)]
#[error(
    "that is no log level; give error, warn, info, debug or trace, or levels of targets, such as info,dataverse_listener::receiver=debug"
)]
pub(crate) struct FilterError;

impl FromStr for Filter {
    type Err = FilterError;

    /// A lone word is a level, never a target: a misspelt level would silence everything.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let is_level = |text: &str| !text.is_empty() && text.parse::<LevelFilter>().is_ok();
        let is_known = |part: &str| match part.split_once('=') {
            Some((_, level)) => is_level(level),
            None => is_level(part),
        };
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if !parts.iter().all(|part| is_known(part)) {
            return Err(FilterError);
        }
        let targets = parts.join(",").parse().map_err(|_| FilterError)?;
        Ok(Self(targets))
    }
}

/// What the daemon logs where nobody says otherwise.
pub(crate) const LEVEL: &str = "info";

impl Config {
    /// Reads the `[log]` table.
    pub(crate) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let config = Self {
            level: settings.parsed("level"),
            format: settings.choice("format"),
        };
        settings.in_force("level", &LEVEL.to_owned());
        settings.in_force("format", &"auto".to_owned());
        (config, settings.finish())
    }

    /// What this says, and `other` where it says nothing.
    fn or(&self, other: &Self) -> Self {
        Self {
            level: self.level.clone().or_else(|| other.level.clone()),
            format: self.format.or(other.format),
        }
    }
}

/// The subscriber that lines are written of.
type Filtered = Layered<reload::Layer<Targets, Registry>, Registry>;
/// What writes them.
type Lines<S> = Box<dyn Layer<S> + Send + Sync>;

/// The log of the process.
pub(crate) struct Telemetry {
    /// What the command line says, which wins.
    given: Config,
    /// What counts where nobody says anything.
    default: Config,
    filter: reload::Handle<Targets, Registry>,
    lines: reload::Handle<Lines<Filtered>, Filtered>,
    in_force: Mutex<Config>,
}

impl Telemetry {
    /// Starts logging as `given` says, and where that says nothing at the level `default`.
    ///
    /// # Errors
    /// When `default` is no filter, or logging was started before.
    pub(crate) fn start(given: Config, default: &str) -> Result<Self, TelemetryError> {
        let default = Config {
            level: Some(default.parse()?),
            format: Some(Format::Auto),
        };
        let in_force = given.or(&default);
        let targets = in_force.level.clone().map(|Filter(targets)| targets);
        let (filter, handle) = reload::Layer::new(targets.unwrap_or_default());
        let (lines, is_missing) = lines(in_force.format.unwrap_or_default());
        let (lines, lines_handle) = reload::Layer::new(lines);
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init()?;
        tell_missing(is_missing);
        Ok(Self {
            given,
            default,
            filter: handle,
            lines: lines_handle,
            in_force: Mutex::new(in_force),
        })
    }

    /// True where programs read what comes to standard error, and want each line in its form: JSON, or the journal.
    pub(crate) fn is_for_programs(&self) -> bool {
        let in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let is_asked_for = matches!(in_force.format, Some(Format::Json | Format::Journald));
        is_asked_for || journal::is_standard_error()
    }

    /// Logs from now on as `config` says, where the command line says nothing else. True where that changes
    /// anything.
    ///
    /// # Errors
    /// When logging was ended, or a thread has ended in a panic while it logged.
    pub(crate) fn apply(&self, config: &Config) -> Result<bool, TelemetryError> {
        let wanted = self.given.or(&config.or(&self.default));
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        if *in_force == wanted {
            return Ok(false);
        }
        if in_force.format != wanted.format {
            let (lines, is_missing) = lines(wanted.format.unwrap_or_default());
            self.lines.reload(lines)?;
            tell_missing(is_missing);
        }
        if let Some(Filter(targets)) = wanted.level.clone() {
            self.filter.reload(targets)?;
        }
        *in_force = wanted;
        Ok(true)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

/// What writes lines in this format, and whether the journal was asked for in vain.
fn lines<S>(format: Format) -> (Lines<S>, bool)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_journal = journal::is_standard_error();
    match format {
        Format::Json => return (json(io::stderr).boxed(), false),
        Format::Journald => {}
        Format::Auto if is_journal => {}
        Format::Auto | Format::Text => return (text(is_journal), false),
    }
    match journal::layer() {
        Ok(layer) => (layer.boxed(), false),
        Err(_) => (text(is_journal), format == Format::Journald),
    }
}

fn tell_missing(is_missing: bool) {
    if is_missing {
        tracing::warn!("the journal of systemd is not there: logging text to standard error");
    }
}

/// Lines for people: the journal stamps each itself, and wants its level in front.
fn text<S>(is_journal: bool) -> Lines<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if is_journal {
        return journal::prefixed(io::stderr).boxed();
    }
    let is_coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    layer()
        .with_writer(io::stderr)
        .with_ansi(is_coloured)
        .with_target(false)
        .boxed()
}

/// Lines for programs. The spans of others are left out: they have no names that last.
fn json<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer)
}

/// Why logging did not start, or did not change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The filter is not a level nor a list of targets with levels.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Logging was started before.
    #[error("logging was started before")]
    Started(#[from] TryInitError),
    /// Logging has ended.
    #[error("logging cannot be changed")]
    Change(#[from] reload::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_no_filter() {
        for (filter, is_known) in [
            ("info", true),
            ("TRACE", true),
            ("off", true),
            ("warn,dataverse_listener=debug", true),
            ("info, dataverse_listener::receiver=debug", true),
            ("inof", false),
            ("warn,dataverse_listener", false),
            ("dataverse_listener=loud", false),
            ("", false),
        ] {
            assert_eq!(filter.parse::<Filter>().is_ok(), is_known, "{filter:?}");
        }
    }

    #[test]
    fn a_filter_names_modules() {
        use tracing::Level;
        let Filter(targets) = "info,dataverse_listener::receiver=debug".parse().unwrap();
        for (target, level, is_logged) in [
            ("dataverse_listener::receiver::claim", Level::DEBUG, true),
            ("dataverse_listener::receiver", Level::TRACE, false),
            ("dataverse_listener::sink", Level::INFO, true),
            ("dataverse_listener::sink", Level::DEBUG, false),
        ] {
            assert_eq!(
                targets.would_enable(target, &level),
                is_logged,
                "{target} {level}"
            );
        }
    }

    #[test]
    fn the_log_table_is_read_with_all_its_mistakes() {
        for (toml, expected) in [
            ("", None),
            ("level = \"debug\"\nformat = \"json\"", None),
            (
                "level = \"inof\"",
                Some("log.level: that is no log level; give error"),
            ),
            (
                "format = \"xml\"",
                Some("log.format: must be one of auto, text, json, journald"),
            ),
            (
                "levle = \"info\"",
                Some("log.levle: unknown key; did you mean \"level\"?"),
            ),
        ] {
            let (_, mistakes) = Config::read(Settings::of_toml("log", toml));
            let said = mistakes.first().map(ToString::to_string);
            let is_said = said
                .as_deref()
                .zip(expected)
                .map(|(said, part)| said.starts_with(part));
            assert_eq!(said.is_some(), expected.is_some(), "{toml}: {said:?}");
            assert!(is_said.unwrap_or(true), "{toml}: {said:?}");
        }
    }

    #[test]
    fn what_is_given_wins_over_the_file_and_that_over_the_default() {
        let config = |level: Option<&str>, format| Config {
            level: level.map(|level| level.parse().unwrap()),
            format,
        };
        let given = config(Some("warn"), None);
        let file = config(Some("debug"), Some(Format::Json));
        let default = config(Some("info"), Some(Format::Auto));
        assert_eq!(
            given.or(&file.or(&default)),
            config(Some("warn"), Some(Format::Json))
        );
        assert_eq!(Config::default().or(&default), default);
    }

    #[test]
    fn a_line_of_json_has_the_names_that_are_documented() {
        let written = std::sync::Arc::new(Mutex::new(Vec::new()));
        let copy = std::sync::Arc::clone(&written);
        let writer = move || Copied(std::sync::Arc::clone(&copy));
        let subscriber = tracing_subscriber::registry().with(json(writer));
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("somebody else's", key = "left out").entered();
            tracing::warn!(sink = "crm", failures = 2, "delivery failed");
        });
        let line = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let names: Vec<&str> = line
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let expected = [
            "failures",
            "level",
            "message",
            "sink",
            "target",
            "timestamp",
        ];
        assert_eq!(sorted, expected, "{line}");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["target"], "dataverse_listener::telemetry::tests");
        assert_eq!(line["message"], "delivery failed");
        assert_eq!(
            (&line["sink"], &line["failures"]),
            (&"crm".into(), &2.into())
        );
    }

    /// Keeps what is written.
    struct Copied(std::sync::Arc<Mutex<Vec<u8>>>);

    impl io::Write for Copied {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
