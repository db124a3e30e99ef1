//! The credential in force: the one that was given, or what its file says by now.
//!
//! All connections to a hub share one, so that a file is looked at, and trouble with it told, once for
//! all of them.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::connection_string::{ConnectionString, Credential};
use super::sas;
use crate::secret::Secret;

/// How often a connection looks whether the file has changed.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// What was looked at so lately need not be looked at again.
const FRESH: Duration = Duration::from_millis(9_500);
/// The same when a connection is made, which may be because the secret has changed.
const FRESH_AT_OPENING: Duration = Duration::from_millis(200);
/// Nobody waits longer for the file: what it says by then is taken over when it is looked at again.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// A credential that may change while it is used.
pub(super) struct Current {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    credential: Credential,
    /// How many came before it.
    version: u64,
    /// What the file said when it was read last and could be used.
    text: Option<Secret>,
    looked: Option<Instant>,
    /// The file is being read: a file system may keep us waiting, and is not asked twice.
    reading: Option<JoinHandle<io::Result<Secret>>>,
    /// What is the matter with the file, so that it is told once.
    trouble: Option<String>,
    /// What was told of the credential's end.
    told: Option<Left>,
}

/// How long a signature is good for yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    Long,
    LessThanADay,
    LessThanAnHour,
}

impl Current {
    /// One that stays as it is.
    pub(super) fn given(credential: Credential) -> Self {
        Self::new(None, credential, None)
    }

    /// One that was read as `text` from a file.
    pub(super) fn in_file(file: PathBuf, credential: Credential, text: Secret) -> Self {
        Self::new(Some(file), credential, Some(text))
    }

    fn new(file: Option<PathBuf>, credential: Credential, text: Option<Secret>) -> Self {
        let state = State {
            credential,
            version: 0,
            text,
            looked: None,
            reading: None,
            trouble: None,
            told: None,
        };
        Self {
            file,
            state: Mutex::new(state),
        }
    }

    /// The credential, and its number among all that there were.
    pub(super) fn credential(&self) -> (Credential, u64) {
        let state = self.state();
        (state.credential.clone(), state.version)
    }

    /// Its number among all that there were.
    pub(super) fn version(&self) -> u64 {
        self.state().version
    }

    /// True where something can come of looking at it again.
    pub(super) fn is_watched(&self) -> bool {
        self.file.is_some()
            || matches!(
                self.state().credential,
                Credential::SharedAccessSignature(_)
            )
    }

    /// Looks at it because a connection is made.
    pub(super) async fn look_at_opening(&self, target: &ConnectionString, event_hub: &str) {
        self.look_unless(FRESH_AT_OPENING, target, event_hub).await;
    }

    /// Looks at the file, where there is one, and takes over what it says; tells of a coming end.
    pub(super) async fn look(&self, target: &ConnectionString, event_hub: &str) {
        self.look_unless(FRESH, target, event_hub).await;
    }

    async fn look_unless(&self, fresh: Duration, target: &ConnectionString, event_hub: &str) {
        if let Some(file) = &self.file
            && self.begins_to_read(file, fresh)
        {
            let read = timeout(READ_LIMIT, poll_fn(|cx| self.poll_read(cx))).await;
            let read = read.unwrap_or_else(|_| self.state().reading.as_ref().map(|_| late()));
            if let Some(read) = read {
                let read = read.map_err(|error| format!("it cannot be read: {error}"));
                self.take_over(read, target, event_hub);
            }
        }
        self.tell_end(OffsetDateTime::now_utc());
    }

    /// Begins to read the file, unless it is being read already. False where that was done so lately that there is
    /// nothing to wait for.
    fn begins_to_read(&self, file: &Path, fresh: Duration) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        if state.looked.is_some_and(|looked| now < looked + fresh) {
            return false;
        }
        state.looked = Some(now);
        state.reading.get_or_insert_with(|| {
            let file = file.to_owned();
            tokio::task::spawn_blocking(move || Secret::from_file(&file))
        });
        true
    }

    /// What the file says, as soon as it was read; none for all but one of those who wait for it.
    fn poll_read(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Secret>>> {
        let mut state = self.state();
        let Some(reading) = &mut state.reading else {
            return Poll::Ready(None);
        };
        let read = std::task::ready!(Pin::new(reading).poll(cx));
        state.reading = None;
        Poll::Ready(Some(read.unwrap_or_else(|error| Err(error.into()))))
    }

    /// Takes over what the file says, unless it is of no use: that is told once.
    fn take_over(&self, read: Result<Secret, String>, target: &ConnectionString, event_hub: &str) {
        let file = self
            .file
            .as_deref()
            .unwrap_or_else(|| Path::new(""))
            .display();
        let mut state = self.state();
        let read = read.and_then(|text| {
            let is_known = state.text.as_ref() == Some(&text);
            let credential = (!is_known).then(|| other(&text, target, event_hub));
            Ok((text, credential.transpose()?))
        });
        let (text, credential) = match read {
            Ok(read) => read,
            Err(trouble) => {
                if state.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(
                        %file,
                        "the secret of event hub {event_hub:?} is kept as it was: its file is of no use: {trouble}"
                    );
                    state.trouble = Some(trouble);
                }
                return;
            }
        };
        state.trouble = None;
        state.text = Some(text);
        if let Some(credential) = credential.filter(|credential| *credential != state.credential) {
            state.credential = credential;
            state.version += 1;
            state.told = None;
            tracing::info!(%file, "the secret of event hub {event_hub:?} has changed");
        }
    }

    /// Takes over the credential of `new`, which somebody has given in the place of `target`. False where it is of no
    /// use there, or where one of them is in a file or an identity: then somebody else looks after it, or nobody can.
    pub(super) fn replace(
        &self,
        new: &ConnectionString,
        target: &ConnectionString,
        event_hub: &str,
    ) -> bool {
        let is_given = |string: &ConnectionString| {
            string.current().file.is_none() && !matches!(string.credential(), Credential::Entra(_))
        };
        if !is_given(new) || !is_given(target) {
            return false;
        }
        let Ok(credential) = judge(new, target, event_hub) else {
            return false;
        };
        let mut state = self.state();
        if credential != state.credential {
            state.credential = credential;
            state.version += 1;
            state.told = None;
            tracing::info!("the secret of event hub {event_hub:?} has changed");
        }
        true
    }

    /// Tells when a signature ends, and again when the end is near.
    fn tell_end(&self, now: OffsetDateTime) {
        let mut state = self.state();
        let Credential::SharedAccessSignature(token) = &state.credential else {
            return;
        };
        let Some(end) = sas::expiry(token) else {
            return;
        };
        let left = Left::of(end - now);
        if state.told.is_some_and(|told| told >= left) {
            return;
        }
        state.told = Some(left);
        let end = end.format(&Rfc3339).unwrap_or_default();
        match left {
            Left::Long => tracing::info!("the SharedAccessSignature expires {end}"),
            Left::LessThanADay => {
                tracing::warn!("the SharedAccessSignature expires {end}, in less than a day");
            }
            Left::LessThanAnHour => {
                tracing::warn!("the SharedAccessSignature expires {end}, in less than an hour");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn late() -> io::Result<Secret> {
    let text = format!("no end of it within {} s", READ_LIMIT.as_secs());
    Err(io::Error::new(io::ErrorKind::TimedOut, text))
}

impl Left {
    fn of(left: time::Duration) -> Self {
        match left {
            left if left < time::Duration::HOUR => Self::LessThanAnHour,
            left if left < time::Duration::DAY => Self::LessThanADay,
            _ => Self::Long,
        }
    }
}

/// Connection strings are the same when they were given alike; what has become of them is beside the point.
impl PartialEq for Current {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

impl Eq for Current {}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// The credential in a text that is to take the place of `target`, or why it cannot.
fn other(text: &Secret, target: &ConnectionString, event_hub: &str) -> Result<Credential, String> {
    if let Credential::Entra(identity) = target.credential() {
        return identity.with_secret(text).map(Credential::Entra);
    }
    let text: Result<ConnectionString, _> = text.reveal().trim().parse();
    let new = text.map_err(|error| error.to_string())?;
    judge(&new, target, event_hub)
}

/// The credential of one that is to take the place of `target`, or why it cannot.
fn judge(
    new: &ConnectionString,
    target: &ConnectionString,
    event_hub: &str,
) -> Result<Credential, String> {
    let is_same_place = new.namespace().eq_ignore_ascii_case(target.namespace())
        && new.port() == target.port()
        && new.is_emulator() == target.is_emulator();
    if !is_same_place {
        return Err("it names another namespace, which takes a restart".to_owned());
    }
    if new.event_hub_or(Some(event_hub)).is_err() {
        return Err("it names another event hub, which takes a restart".to_owned());
    }
    Ok(new.credential().clone())
}

#[cfg(test)]
mod tests;
