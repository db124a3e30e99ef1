//! The trail that an opening leaves: which of its steps is under way, how long each took, and what became
//! known in it. Whoever checks a hub follows it; everybody else leaves none.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// A step of the way to the events of a hub, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A token is made, or given by Microsoft Entra ID.
    Credential,
    /// The name of the namespace, of its endpoint or of the proxy becomes addresses.
    NameResolution,
    /// One of them takes a connection.
    Tcp,
    /// The proxy opens a tunnel.
    Proxy,
    /// TLS, and who vouches for the server.
    Tls,
    /// A WebSocket is opened.
    WebSocket,
    /// AMQP is spoken.
    Amqp,
    /// `$cbs` takes the token.
    Token,
    /// `$management` knows the hub.
    EventHub,
    /// `$management` knows a partition.
    Partition,
    /// The clock here against the service's.
    Clock,
    /// The hub has the consumer group.
    ConsumerGroup,
    /// A link to a partition is attached.
    Attach,
}

/// As a person reads it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credential => "credential",
            Self::NameResolution => "name resolution",
            Self::Tcp => "TCP",
            Self::Proxy => "proxy",
            Self::Tls => "TLS",
            Self::WebSocket => "WebSocket",
            Self::Amqp => "AMQP",
            Self::Token => "token",
            Self::EventHub => "event hub",
            Self::Partition => "partition",
            Self::Clock => "clock",
            Self::ConsumerGroup => "consumer group",
            Self::Attach => "attach",
        })
    }
}

/// A step that was taken, or was not got over.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) step: Step,
    pub(crate) took: Duration,
    /// What became known in it, as a fragment; often nothing.
    pub(crate) fact: String,
}

/// Who hears of each step that was taken.
type Follower<'a> = &'a mut (dyn FnMut(Taken) + Send);

/// The steps of one opening. One that nobody follows costs nothing.
#[derive(Default)]
pub(crate) struct Trail<'a> {
    follower: Option<Follower<'a>>,
    under_way: Option<(Step, Instant, String)>,
}

impl<'a> Trail<'a> {
    /// Nobody follows.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// `follower` hears of each step that was taken.
    pub(crate) fn followed_by(follower: Follower<'a>) -> Self {
        Self {
            follower: Some(follower),
            under_way: None,
        }
    }

    /// True where somebody follows.
    pub(crate) fn is_followed(&self) -> bool {
        self.follower.is_some()
    }

    /// A step begins, and the one before it was taken.
    pub(crate) fn begin(&mut self, step: Step) {
        if self.is_followed() {
            self.end();
            self.under_way = Some((step, Instant::now(), String::new()));
        }
    }

    /// Something became known in the step that is under way.
    pub(crate) fn note(&mut self, fact: impl FnOnce() -> String) {
        if let Some((_, _, known)) = &mut self.under_way {
            *known = fact();
        }
    }

    /// The step that is under way was taken.
    pub(crate) fn end(&mut self) {
        if let Some(taken) = self.stop()
            && let Some(follower) = &mut self.follower
        {
            follower(taken);
        }
    }

    /// The step that is under way, which nobody was told of: where the opening failed, that is where.
    pub(crate) fn stop(&mut self) -> Option<Taken> {
        let (step, since, fact) = self.under_way.take()?;
        Some(Taken {
            step,
            took: since.elapsed(),
            fact,
        })
    }
}

impl fmt::Debug for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail")
            .field("under_way", &self.under_way)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_follows_hears_of_each_step_that_was_taken_and_not_of_the_one_that_failed() {
        let mut heard = Vec::new();
        let mut follower = |taken: Taken| heard.push((taken.step, taken.fact));
        let mut trail = Trail::followed_by(&mut follower);
        trail.note(|| "too early".to_owned());
        trail.begin(Step::NameResolution);
        trail.note(|| "::1".to_owned());
        trail.begin(Step::Tcp);
        trail.begin(Step::Tls);
        trail.note(|| "a certificate".to_owned());
        let failed = trail.stop().unwrap();
        trail.end();
        assert_eq!(
            (failed.step, failed.fact.as_str()),
            (Step::Tls, "a certificate")
        );
        assert_eq!(
            heard,
            [
                (Step::NameResolution, "::1".to_owned()),
                (Step::Tcp, String::new())
            ]
        );
    }

    #[test]
    fn a_trail_that_nobody_follows_is_none() {
        let mut trail = Trail::none();
        trail.begin(Step::Tcp);
        trail.note(|| unreachable!("nobody wants to know"));
        assert!(trail.stop().is_none());
    }
}
