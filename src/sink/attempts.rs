//! How long attempts to deliver take.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

/// How long the attempts of a sink took, in seconds.
#[derive(Debug)]
pub(super) struct Attempts(Histogram);

/// From a write that the page cache takes to a server at the end of its time.
const BOUNDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

impl Default for Attempts {
    fn default() -> Self {
        Self(Histogram::new(BOUNDS))
    }
}

impl Attempts {
    /// One more that took so long.
    pub(super) fn add(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }

    /// All of them.
    pub(super) fn histogram(&self) -> &Histogram {
        &self.0
    }
}
