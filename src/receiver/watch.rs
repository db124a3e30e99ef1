//! Tells a partition without new events from one whose events do not come: the first looks just like the second.
//!
//! Whoever has heard nothing for a while asks the service for the last event that it has. Where that should have
//! come, the link is stuck, whatever the heartbeats of its connection say. A connection has one link, so a new
//! connection is a new session and a new link as well; where that does not help again and again, only a new
//! process is left.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// The service is asked after such a silence, and after one of twice that where there was nothing new.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// What was enqueued while the service was asked comes within this.
const ON_ITS_WAY: Duration = Duration::from_secs(10);
/// So many links may be stuck, one after the other, before it is given up.
const MOST_STUCK: u32 = 3;

/// Watches over one partition.
#[derive(Debug)]
pub(super) struct Watch {
    alarm: Option<Pin<Box<Sleep>>>,
    patience: Duration,
    is_heard: bool,
    is_suspected: bool,
    /// Links that were stuck since an event came.
    stuck: u32,
}

/// What to think of a silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was to come, or it is still on its way.
    Fine,
    /// Another link may do better.
    Stuck,
    /// Several others have not.
    Hopeless,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            alarm: None,
            patience: FIRST,
            is_heard: false,
            is_suspected: false,
            stuck: 0,
        }
    }
}

impl Watch {
    /// A link was attached.
    pub(super) fn attached(&mut self) {
        *self = Self {
            stuck: self.stuck,
            ..Self::default()
        };
    }

    /// An event came. Called for each of them, so that it does not so much as look at the clock.
    pub(super) fn heard(&mut self) {
        self.is_heard = true;
        self.stuck = 0;
    }

    /// Completes when nothing was heard for a while. Cancel-safe.
    pub(super) async fn quiet(&mut self) {
        loop {
            let alarm = self
                .alarm
                .get_or_insert_with(|| Box::pin(sleep(self.patience)));
            poll_fn(|cx| alarm.as_mut().poll(cx)).await;
            self.alarm = None;
            if !std::mem::take(&mut self.is_heard) {
                return;
            }
            self.patience = FIRST;
            self.is_suspected = false;
        }
    }

    /// The service was asked, and has so many events that have not come.
    pub(super) fn judge(&mut self, behind: u64) -> Verdict {
        if behind == 0 {
            self.patience = (self.patience * 2).clamp(FIRST, LONGEST);
            self.is_suspected = false;
            return Verdict::Fine;
        }
        if !std::mem::replace(&mut self.is_suspected, true) {
            self.patience = ON_ITS_WAY;
            return Verdict::Fine;
        }
        self.stuck += 1;
        match self.stuck < MOST_STUCK {
            true => Verdict::Stuck,
            false => Verdict::Hopeless,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    async fn silence(watch: &mut Watch) -> u64 {
        let begun = Instant::now();
        watch.quiet().await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_partition_is_asked_about_less_and_less_often() {
        let mut watch = Watch::default();
        let mut silences = Vec::new();
        for _ in 0..7 {
            silences.push(silence(&mut watch).await);
            assert_eq!(watch.judge(0), Verdict::Fine);
        }
        assert_eq!(silences, [60, 120, 240, 480, 900, 900, 900]);
        watch.heard();
        assert_eq!(silence(&mut watch).await, 900 + 60);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_soon_is_stuck_and_at_last_hopeless() {
        let mut watch = Watch::default();
        for verdict in [Verdict::Stuck, Verdict::Stuck, Verdict::Hopeless] {
            assert_eq!(silence(&mut watch).await, 60);
            assert_eq!(watch.judge(5), Verdict::Fine);
            assert_eq!(silence(&mut watch).await, 10);
            assert_eq!(watch.judge(5), verdict);
            watch.attached();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_clears_every_suspicion() {
        let mut watch = Watch::default();
        for _ in 0..10 {
            silence(&mut watch).await;
            assert_eq!(watch.judge(1), Verdict::Fine);
            watch.heard();
        }
    }
}
