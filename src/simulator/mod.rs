//! The simulated Dataverse of `simulate` and `demo`: tells what happens in a fictitious organization
//! and posts it to a hub, as a service endpoint of the type Event Hub would.
//!
//! Spec: "Azure integration" and "Work with Microsoft Dataverse event data in your Azure Event Hub
//! solution" of Microsoft's documentation. The writers share nothing with the decoder.

mod contract;
mod custom_apis;
mod formatted;
mod json;
mod markup;
mod operations;
mod pipeline;
mod post;
mod posts;
mod row;
mod sender;
mod story;
mod tables;
mod values;
mod words;
mod world;
mod xml;

#[cfg(test)]
mod decoded;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use post::{Post, PropertyValue};
pub use story::Story;

use self::posts::Posts;
use self::sender::Sender;
use crate::receiver::{ConnectionString, ReceiverError, Transport};

/// How many events to post where neither a number nor files are given.
pub const DEFAULT_COUNT: u64 = 10;

/// The story that is told where no other is asked for.
pub const DEFAULT_SEED: u64 = 0;

/// How the bodies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As `DataContractJsonSerializer` does.
    Json,
    /// As `DataContractSerializer` does: text XML.
    Xml,
    /// Some one way, some the other.
    Mixed,
}

/// Where to post to.
#[derive(Debug, Clone)]
pub struct Hub {
    /// The namespace and a credential that may send. Its own `EntityPath` is not looked at here.
    pub connection_string: ConnectionString,
    /// The hub's name.
    pub event_hub: String,
    /// How it is reached.
    pub transport: Transport,
}

/// What to post, and how fast.
#[derive(Debug, Clone)]
pub struct Options {
    /// So many events. Without a number: each file once, and the story without end.
    /// More than there are files: they are posted again from the first one on.
    pub count: Option<u64>,
    /// So many events per second on the average, without a number as fast as the hub takes them.
    pub rate: Option<f64>,
    /// Which story is told.
    pub seed: u64,
    /// How the story is written.
    pub format: Format,
    /// When the story starts; without, at the moment that makes the bytes depend on the seed alone.
    pub start: Option<OffsetDateTime>,
    /// Bodies to post as they are, instead of a story. Their bytes are not looked into.
    pub files: Vec<PathBuf>,
    /// The partition to post to. Dataverse names none, and the hub chooses.
    pub partition: Option<String>,
}

impl Default for Options {
    /// An endless story in both formats, as fast as the hub takes it.
    fn default() -> Self {
        Self {
            count: None,
            rate: None,
            seed: DEFAULT_SEED,
            format: Format::Mixed,
            start: None,
            files: Vec::new(),
            partition: None,
        }
    }
}

/// What the hub has accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events.
    pub posted: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// Why posting ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The user asked for a rate that cannot be kept.
    #[error("a rate of {rate} events per second is not possible")]
    Rate {
        /// What was asked for.
        rate: f64,
    },
    /// A file to post cannot be read: its owner must act. Nothing was posted.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any hub takes. Nothing was posted.
    #[error("{} is larger than {limit} bytes, the most that a hub takes", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The hub turned one event down, for what it is or for now.
    #[error("the hub rejected an event after {posted} accepted ones: {reason}")]
    Rejected {
        /// Events accepted before it.
        posted: u64,
        /// The hub's words.
        reason: String,
    },
    /// The hub cannot be posted to, or no longer.
    #[error("posting ended after {posted} accepted events and {unanswered} unanswered ones")]
    Hub {
        /// Events accepted before.
        posted: u64,
        /// Events sent of which nobody knows.
        unanswered: usize,
        /// What happened to the connection.
        #[source]
        source: ReceiverError,
    },
}

/// Posts to `hub` until `options` are fulfilled or `shutdown` is cancelled, and waits for the answers.
///
/// # Errors
/// The first failure: nothing is tried again.
pub async fn simulate(
    hub: Hub,
    options: Options,
    shutdown: CancellationToken,
) -> Result<Summary, SimulateError> {
    let interval = interval(options.rate)?;
    let posts = Posts::gather(&options).await?;
    let sender = tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(Summary::default()),
        attached = Sender::attach(hub, options.partition.as_deref()) => attached?,
    };
    let start = Instant::now();
    post_all(posts, Pace { start, interval }, sender, &shutdown).await
}

async fn post_all(
    posts: Posts,
    pace: Pace,
    mut sender: Sender,
    shutdown: &CancellationToken,
) -> Result<Summary, SimulateError> {
    for (number, post) in posts.enumerate() {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            sent = post_one(post, pace.moment_of(number), &mut sender) => sent?,
        }
    }
    sender.finish().await
}

async fn post_one(
    post: Post,
    moment: Option<Instant>,
    sender: &mut Sender,
) -> Result<(), SimulateError> {
    if let Some(moment) = moment {
        sender.wait_until(moment).await?;
    }
    sender.send(post).await
}

/// Seconds from one event to the next.
fn interval(rate: Option<f64>) -> Result<Option<f64>, SimulateError> {
    let Some(rate) = rate else { return Ok(None) };
    let interval = 1.0 / rate;
    if interval.is_finite() && interval > 0.0 {
        Ok(Some(interval))
    } else {
        Err(SimulateError::Rate { rate })
    }
}

/// When each event is due: evenly, and what was late is caught up.
#[derive(Debug)]
struct Pace {
    start: Instant,
    interval: Option<f64>,
}

impl Pace {
    /// `None`: at once. A moment out of reach counts as a year from the start.
    fn moment_of(&self, number: usize) -> Option<Instant> {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        let seconds = self.interval? * number as f64;
        let away = Duration::try_from_secs_f64(seconds).map_or(YEAR, |away| away.min(YEAR));
        Some(self.start + away)
    }
}

#[cfg(test)]
mod pace_tests {
    use super::*;

    #[test]
    fn events_are_due_evenly() {
        let start = Instant::now();
        let check = |rate, number, expected: Option<Duration>| {
            let pace = Pace {
                start,
                interval: interval(rate).unwrap(),
            };
            assert_eq!(
                pace.moment_of(number),
                expected.map(|away| start + away),
                "{rate:?}"
            );
        };
        check(None, 7, None);
        check(Some(4.0), 0, Some(Duration::ZERO));
        check(Some(4.0), 6, Some(Duration::from_millis(1_500)));
        check(Some(0.1), 3, Some(Duration::from_secs(30)));
        check(Some(1e-300), 3, Some(Duration::from_secs(31_536_000)));
    }

    #[test]
    fn a_rate_that_is_no_positive_number_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = interval(Some(rate)).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("a rate of {rate} events per second is not possible")
            );
        }
    }
}
