//! What signals ask of the process. SIGTERM or SIGINT: stop, grace period, force. SIGHUP: go on anew, and read the
//! configuration again.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Tells every part of the process to stop, and later to give up waiting. Clones share one state.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    stop: CancellationToken,
    force: CancellationToken,
    grace: Duration,
    stopped_at: Arc<OnceLock<Instant>>,
    /// Counts how often files were to be opened anew.
    reopen: watch::Sender<u64>,
    /// Counts how often the configuration was to be read again.
    reload: watch::Sender<u64>,
    /// How many of those times are done with.
    reloaded: watch::Sender<u64>,
}

impl Shutdown {
    /// Nothing is asked yet; draining may take `grace`.
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            stop: CancellationToken::new(),
            force: CancellationToken::new(),
            grace,
            stopped_at: Arc::default(),
            reopen: watch::Sender::new(0),
            reload: watch::Sender::new(0),
            reloaded: watch::Sender::new(0),
        }
    }

    /// Lets the first SIGTERM or SIGINT stop the process and the second one force it.
    ///
    /// # Errors
    /// When the signals cannot be registered.
    pub(crate) fn on_signals(&self) -> io::Result<()> {
        self.listen(&[SIGTERM, SIGINT])
    }

    /// The same for a daemon, or what works like one: SIGHUP lets it open its files anew and try again
    /// what was paused.
    ///
    /// # Errors
    /// When the signals cannot be registered.
    pub(crate) fn on_signals_of_a_daemon(&self) -> io::Result<()> {
        self.listen(&[SIGTERM, SIGINT, SIGHUP])
    }

    fn listen(&self, signals: &[i32]) -> io::Result<()> {
        let mut signals = Signals::new(signals)?;
        let shutdown = self.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    shutdown.on_signal(signal);
                }
            })?;
        Ok(())
    }

    fn on_signal(&self, signal: i32) {
        let name = signal_hook::low_level::signal_name(signal).unwrap_or("signal");
        if signal == SIGHUP {
            tracing::info!("SIGHUP: opening files anew, and trying again what was paused");
            self.reopen_all();
            self.reload.send_modify(|times| *times += 1);
        } else if self.stop.is_cancelled() {
            tracing::warn!("{name} again: stopping without waiting for deliveries");
            self.force.cancel();
        } else {
            tracing::info!("{name}: stopping; once more to stop at once");
            self.stop();
        }
    }

    /// Asks everything to stop. The grace period begins.
    pub(crate) fn stop(&self) {
        self.stopped_at.get_or_init(Instant::now);
        self.stop.cancel();
    }

    /// How long draining may take after the stop.
    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }

    /// True once something has asked to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// True once waiting was cut short by a second signal.
    pub(crate) fn is_forced(&self) -> bool {
        self.force.is_cancelled()
    }

    /// Completes when something asks to stop.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// A token that is cancelled when something asks to stop, for those who know no more of a shutdown.
    #[cfg(feature = "emulator")]
    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Changes whenever files are to be opened anew and what was paused is to be tried again.
    pub(crate) fn reopen(&self) -> watch::Receiver<u64> {
        self.reopen.subscribe()
    }

    /// Has files opened anew, and what was paused tried again.
    pub(crate) fn reopen_all(&self) {
        self.reopen.send_modify(|times| *times += 1);
    }

    /// Changes whenever the configuration is to be read again.
    pub(crate) fn reload(&self) -> watch::Receiver<u64> {
        self.reload.subscribe()
    }

    /// The configuration was read again, as often as it was wanted.
    pub(crate) fn has_reloaded(&self, times: u64) {
        self.reloaded.send_replace(times);
    }

    /// Changes whenever the configuration was read again: how many of the times that it was wanted are done with.
    pub(crate) fn reloaded(&self) -> watch::Receiver<u64> {
        self.reloaded.subscribe()
    }

    /// A token that is cancelled when nothing shall be waited for any longer.
    pub(crate) fn force_token(&self) -> CancellationToken {
        self.force.clone()
    }

    /// Completes when draining has had its time: the grace period since the stop, or force.
    pub(crate) async fn expired(&self) {
        self.stop.cancelled().await;
        let deadline = *self.stopped_at.get_or_init(Instant::now) + self.grace;
        tokio::select! {
            () = self.force.cancelled() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn draining_ends_with_the_grace_period_however_often_it_is_waited_for() {
        let shutdown = Shutdown::new(Duration::from_secs(10));
        let before = Instant::now();
        shutdown.stop();
        shutdown.expired().await;
        shutdown.expired().await;
        assert_eq!(before.elapsed(), Duration::from_secs(10));
        assert!(!shutdown.is_forced());
    }

    #[test]
    fn a_hangup_stops_nothing() {
        let shutdown = Shutdown::new(Duration::from_secs(10));
        let (reopen, reload) = (shutdown.reopen(), shutdown.reload());
        shutdown.on_signal(SIGHUP);
        assert!(reopen.has_changed().unwrap() && reload.has_changed().unwrap());
        assert!(!shutdown.is_stopped());
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_signal_ends_the_drain_at_once() {
        let shutdown = Shutdown::new(Duration::from_secs(10));
        shutdown.on_signal(SIGTERM);
        assert!(shutdown.is_stopped() && !shutdown.is_forced());
        shutdown.on_signal(SIGTERM);
        let before = Instant::now();
        shutdown.expired().await;
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert!(shutdown.is_forced());
    }
}
