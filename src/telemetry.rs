//! Log lines on standard error: one line each, for people and for journald.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging to standard error at `filter`: a level (`info`), or targets with levels
/// (`warn,dataverse_listener=debug`).
///
/// # Errors
/// When `filter` cannot be read, or logging was started before.
pub(crate) fn start(filter: &str) -> Result<(), TelemetryError> {
    let targets = targets(filter).ok_or(TelemetryError::Filter)?;
    // journald and container runtimes stamp each line themselves; a person wants the time.
    let is_stamped = std::env::var_os("JOURNAL_STREAM").is_some();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false);
    let registry = tracing_subscriber::registry().with(targets);
    if is_stamped {
        registry.with(layer.without_time()).try_init()
    } else {
        registry.with(layer).try_init()
    }
    .map_err(TelemetryError::Started)
}

/// The filter that a text stands for. A lone word is a level, never a target: a misspelt level would
/// silence everything.
fn targets(filter: &str) -> Option<Targets> {
    let is_level = |text: &str| !text.is_empty() && text.parse::<LevelFilter>().is_ok();
    let is_known = |part: &str| match part.split_once('=') {
        Some((_, level)) => is_level(level),
        None => is_level(part),
    };
    filter
        .split(',')
        .all(is_known)
        .then(|| filter.parse().ok())?
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The filter is not a level nor a list of targets with levels.
    #[error("that is no log level; give error, warn, info, debug or trace")]
    Filter,
    /// Logging was started before.
    #[error("logging was started before")]
    Started(#[source] tracing_subscriber::util::TryInitError),
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
            ("inof", false),
            ("warn,dataverse_listener", false),
            ("dataverse_listener=loud", false),
            ("", false),
        ] {
            assert_eq!(targets(filter).is_some(), is_known, "{filter:?}");
        }
    }
}
