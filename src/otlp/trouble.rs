//! What is lost on the way to the collector, told without filling the log.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use reqwest::Url;

use crate::sink::Told;

/// The failures since an export last worked, and what was lost since the start.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Host and port: the rest of the URL is nobody's business.
    collector: String,
    failures: AtomicU64,
    lost: AtomicU64,
    told: Told,
    told_over: Told,
    told_full: Told,
}

impl Trouble {
    /// Nothing has failed yet.
    pub(super) fn new(endpoint: &Url) -> Self {
        let host = endpoint.host_str().unwrap_or_default();
        Self {
            collector: match endpoint.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            },
            failures: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            told: Told::default(),
            told_over: Told::default(),
            told_full: Told::default(),
        }
    }

    /// A request failed; it may be made again.
    pub(super) fn failed(&self, reason: &dyn fmt::Display) {
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        let spans_lost = self.lost.load(Relaxed);
        let collector = &*self.collector;
        if self.told.is_time() {
            tracing::warn!(collector, %reason, failures, spans_lost, "telemetry not exported; events are delivered all the same");
        } else {
            tracing::debug!(collector, %reason, failures, spans_lost, "telemetry not exported");
        }
    }

    /// A request was taken.
    pub(super) fn over(&self) {
        let failures = self.failures.swap(0, Relaxed);
        if failures == 0 {
            return;
        }
        let spans_lost = self.lost.load(Relaxed);
        let collector = &*self.collector;
        if self.told_over.is_time() {
            tracing::info!(collector, failures, spans_lost, "exporting telemetry again");
        } else {
            tracing::debug!(collector, failures, spans_lost, "exporting telemetry again");
        }
    }

    /// So many spans could not be exported.
    pub(super) fn lost(&self, spans: usize) {
        self.lost.fetch_add(spans as u64, Relaxed);
    }

    /// Nothing more is exported: tells what was lost of all that was to be.
    pub(super) fn ended(&self) {
        let spans_lost = self.lost.load(Relaxed);
        if spans_lost > 0 {
            let collector = &*self.collector;
            tracing::warn!(collector, spans_lost, "spans lost since the start");
        }
    }

    /// How many were lost.
    #[cfg(test)]
    pub(super) fn lost_so_far(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// A span found no room in the queue.
    pub(super) fn full(&self) {
        let spans_lost = self.lost.fetch_add(1, Relaxed) + 1;
        if self.told_full.is_time() {
            let collector = &*self.collector;
            tracing::warn!(
                collector,
                spans_lost,
                "spans lost: more come than the collector takes; a lower sample in [otlp] makes fewer"
            );
        }
    }
}
