//! Log lines on standard error: one line each, for people and for journald.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged: a level (`info`), or targets with levels (`warn,dataverse_listener=debug`).
pub const DEFAULT_FILTER: &str = "info";

/// Starts logging to standard error at `filter`.
///
/// # Errors
/// When `filter` cannot be read, or logging was started before.
pub fn start(filter: &str) -> Result<(), TelemetryError> {
    let targets: Targets = filter.parse().map_err(TelemetryError::Filter)?;
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

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not a level nor a list of targets with levels.
    #[error("not a log filter; give error, warn, info, debug or trace")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Logging was started before.
    #[error("logging was started before")]
    Started(#[source] tracing_subscriber::util::TryInitError),
}
