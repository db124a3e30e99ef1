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
/// So often, one time after the other, the service may be too busy to say whether a link is stuck.
const MOST_PUT_OFF: u32 = 5;
/// The most that is left out of a wait. A namespace is asked 50 questions a second at the most, and partitions that
/// were attached together and are idle together would all be asked about at once.
const IMPATIENCE: f64 = 0.1;

/// Watches over one partition.
#[derive(Debug)]
pub(super) struct Watch {
    alarm: Option<Pin<Box<Sleep>>>,
    patience: Duration,
    is_heard: bool,
    is_suspected: bool,
    /// Links that were stuck since an event came.
    stuck: u32,
    /// How often the service was too busy to be asked, one time after the other.
    put_off: u32,
    /// The part of each wait that is left out.
    impatience: f64,
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
            put_off: 0,
            impatience: 0.0,
        }
    }
}

impl Watch {
    /// One whose waits are shorter than others' by chance, which is drawn evenly from 0 to 1.
    pub(super) fn impatient_by(random: f64) -> Self {
        Self {
            impatience: IMPATIENCE * random.clamp(0.0, 1.0),
            ..Self::default()
        }
    }

    /// A link was attached.
    pub(super) fn attached(&mut self) {
        *self = Self {
            stuck: self.stuck,
            impatience: self.impatience,
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
            let patience = self.patience.mul_f64(1.0 - self.impatience);
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(patience)));
            poll_fn(|cx| alarm.as_mut().poll(cx)).await;
            self.alarm = None;
            if !std::mem::take(&mut self.is_heard) {
                return;
            }
            self.patience = FIRST;
            self.is_suspected = false;
            self.put_off = 0;
        }
    }

    /// The service was too busy to say what it has. True where it may be asked again, after as long a wait.
    pub(super) fn puts_off(&mut self) -> bool {
        self.put_off += 1;
        self.put_off < MOST_PUT_OFF
    }

    /// The service was asked, and has so many events that have not come.
    pub(super) fn judge(&mut self, behind: u64) -> Verdict {
        self.put_off = 0;
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
    async fn chance_makes_a_wait_shorter_by_a_tenth_at_the_most() {
        for (random, expected) in [(0.0, 60), (0.5, 57), (1.0, 54)] {
            let mut watch = Watch::impatient_by(random);
            assert_eq!(silence(&mut watch).await, expected);
            watch.attached();
            assert_eq!(
                silence(&mut watch).await,
                expected,
                "the same on every link"
            );
        }
    }

    #[test]
    fn a_busy_service_is_put_up_with_for_a_while() {
        let mut watch = Watch::default();
        let put_off = |watch: &mut Watch| (0..).take_while(|_| watch.puts_off()).count();
        assert_eq!(put_off(&mut watch), 4);
        watch.judge(0);
        assert_eq!(put_off(&mut watch), 4, "it has answered");
        watch.attached();
        assert_eq!(put_off(&mut watch), 4, "the link is another one");
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
