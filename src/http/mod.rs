//! HTTP beside the daemon: probes, its status, and whoever asks for them.
//!
//! The listener is for this machine, an orchestrator and a scrape: it reads nothing but the request's head, tells no
//! record data and no secret, and bounds what a client may take of it. What it tells comes from [`Watched`], which
//! asks nobody and waits for nothing.

mod client;
mod config;
mod endpoint;
mod listener;
mod probe;
mod router;

use std::fmt;

use crate::health::Report;
use crate::status::Status;

pub(crate) use client::{AskError, ask};
pub(crate) use config::Config;
pub(crate) use endpoint::Endpoint;
pub(crate) use listener::listen;

/// Whoever is asked how it does. Each answer must be quick: a probe waits for it.
pub(crate) trait Watched: Send + Sync + 'static {
    /// What to think of every partition.
    fn report(&self) -> Report;

    /// How everything stands, as a document.
    fn status(&self) -> Status;

    /// The text of its metrics in the form that a value of `Accept` asks for, with the content type of that.
    ///
    /// # Errors
    /// When a value has no form as text: a fault of this program.
    fn metrics(&self, accept: Option<&str>) -> Result<(&'static str, String), fmt::Error>;
}

#[cfg(test)]
mod tests;
