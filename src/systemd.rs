//! What the service manager is told, where there is one: the notification protocol of systemd, sd_notify(3).
//!
//! | message | when |
//! |---|---|
//! | `READY=1` | every partition has had its link |
//! | `STATUS=` | what it does and how far behind it is, when that is another text than before |
//! | `EXTEND_TIMEOUT_USEC=` | until then, while no partition is stuck: a hub that is away is waited for. At the stop: as long as it may drain |
//! | `WATCHDOG=1` | twice in the time that `WATCHDOG_USEC` gives, while no partition is stuck: progress is meant, and not that the process runs |
//! | `RELOADING=1`, `READY=1` | while the configuration is read again, after SIGHUP |
//! | `STOPPING=1` | it was asked to stop |
//!
//! Without `NOTIFY_SOCKET` in the environment nobody is told anything. A manager that does not listen is told of in
//! the log, once, and is no reason to end.

mod socket;
mod status;

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use sd_notify::NotifyState;
use time::OffsetDateTime;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::health::Report;
use crate::shutdown::Shutdown;
use socket::Socket;

/// The status is said no more often than this.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// While it starts the manager waits so long for the next word, or as long as its own configuration says.
const NEXT_WORD: Duration = Duration::from_secs(30);
/// What the end takes after the grace period.
const AFTER_GRACE: Duration = Duration::from_secs(5);

/// How far the process has come, as the manager sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Ready,
    /// It reads its configuration again.
    Reloading,
    Stopping,
}

/// What is said, and what was.
#[derive(Debug)]
struct Telling<'a, R> {
    socket: Socket,
    report: R,
    shutdown: &'a Shutdown,
    is: Stage,
    /// Behind `is` where a message was not taken: then it is said again.
    told: Stage,
    shown: String,
}

/// What can happen next.
enum Turn {
    Comes(Stage),
    Reload,
    /// That is done, so often.
    Reloaded(u64),
    Ping,
    Look,
}

/// Tells the service manager how the process does until it ends; `ready` is cancelled when every partition has had its
/// link.
pub(crate) async fn keep_telling<R: Fn() -> Report>(
    report: R,
    shutdown: &Shutdown,
    ready: CancellationToken,
) -> Infallible {
    let Some(socket) = Socket::of_environment() else {
        return pending().await;
    };
    let mut reload = shutdown.reload();
    let mut reloaded = shutdown.reloaded();
    let mut looks = every(STATUS_EVERY);
    let within = sd_notify::watchdog_enabled().filter(|within| !within.is_zero());
    let mut pings = within.map(|within| every((within / 2).max(Duration::from_millis(1))));
    let mut telling = Telling {
        socket,
        report,
        shutdown,
        is: Stage::Starting,
        told: Stage::Starting,
        shown: String::new(),
    };
    loop {
        let is = telling.is;
        let turn = tokio::select! {
            // Whoever stops is not ready any more.
            biased;
            () = shutdown.stopped(), if is != Stage::Stopping => Turn::Comes(Stage::Stopping),
            () = ready.cancelled(), if is == Stage::Starting => Turn::Comes(Stage::Ready),
            Ok(()) = reload.changed() => Turn::Reload,
            Ok(()) = reloaded.changed() => Turn::Reloaded(*reloaded.borrow()),
            () = next(&mut pings) => Turn::Ping,
            _ = looks.tick() => Turn::Look,
        };
        telling.take(turn).await;
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn next(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => pending().await,
    }
}

impl<R: Fn() -> Report> Telling<'_, R> {
    async fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Comes(stage) => self.is = stage,
            // Before it was ready it would look as if it had been.
            Turn::Reload if self.is == Stage::Ready => self.is = Stage::Reloading,
            Turn::Reload => {}
            Turn::Reloaded(times) => {
                let is_last = times == *self.shutdown.reload().borrow();
                if self.is == Stage::Reloading && is_last {
                    self.is = Stage::Ready;
                }
            }
            Turn::Ping => return self.ping().await,
            Turn::Look => self.look().await,
        }
        self.catch_up().await;
    }

    /// Says what the manager does not know yet.
    async fn catch_up(&mut self) {
        let is_taken = match self.is {
            is if is == self.told => return,
            Stage::Starting => return,
            Stage::Ready => {
                let status = self.status();
                let is_taken = self.ready(&status).await;
                if is_taken {
                    self.shown = status;
                }
                is_taken
            }
            Stage::Reloading => self.reloading().await,
            Stage::Stopping => {
                let drained = micros(self.shutdown.grace() + AFTER_GRACE);
                let said = [
                    NotifyState::Stopping,
                    NotifyState::ExtendTimeoutUsec(drained),
                ];
                self.socket.send(&said).await && {
                    self.look().await;
                    true
                }
            }
        };
        if is_taken {
            self.told = self.is;
        }
    }

    async fn ready(&mut self, status: &str) -> bool {
        let said = [NotifyState::Ready, NotifyState::Status(status)];
        self.socket.send(&said).await
    }

    async fn reloading(&mut self) -> bool {
        // Since 253 systemd wants to know when; a clock that cannot be read keeps nobody from reloading.
        let said = match NotifyState::monotonic_usec_now() {
            Ok(now) => vec![NotifyState::Reloading, now],
            Err(_) => vec![NotifyState::Reloading],
        };
        self.socket.send(&said).await
    }

    /// A partition that is stuck needs a new process: then the watchdog is not kept off.
    async fn ping(&mut self) {
        if (self.report)().is_live() {
            self.socket.send(&[NotifyState::Watchdog]).await;
        }
    }

    async fn look(&mut self) {
        let report = (self.report)();
        let status = status::of(&report, OffsetDateTime::now_utc());
        let mut said = Vec::new();
        if status != self.shown {
            said.push(NotifyState::Status(&status));
        }
        if self.is == Stage::Starting && report.is_live() {
            said.push(NotifyState::ExtendTimeoutUsec(micros(NEXT_WORD)));
        }
        if !said.is_empty() && self.socket.send(&said).await {
            self.shown = status;
        }
    }

    fn status(&self) -> String {
        status::of(&(self.report)(), OffsetDateTime::now_utc())
    }
}

/// So many microseconds; the protocol knows no more than an hour of them.
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
