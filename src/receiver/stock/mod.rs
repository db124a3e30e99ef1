//! The AMQP engine behind the seam: fe2o3-amqp's client, kept in hand.
//!
//! The crate is used in one way only, for what else it offers hangs, spins or loses events: on a
//! socket of our own that can be cut, with a time limit on every exchange, one session per link,
//! pre-settled deliveries, credit by hand, and nothing received after an error.
//!
//! Its decoder recurses without a limit and believes what it is told, so nothing comes in to it that the
//! `guard` has not walked along. Bodies are not decoded by it.

mod connection;
mod event;
mod failure;
mod guard;
mod heartbeat;
mod link;
mod request;

pub(crate) use connection::Connection;
pub(crate) use link::Link;

use std::future::Future;
use std::time::Duration;

use super::seam::Failure;

/// How long the service may take to answer one step: open, begin, attach, a request.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// How long a polite end may take. The crate burns a processor while it waits for it.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// A frame holds at most this, as the service's own frames do.
const MAX_FRAME_SIZE: u32 = 64 * 1024;
/// The largest message that any tier of the service takes, in bytes.
const MAX_MESSAGE_SIZE: u64 = 20 * 1024 * 1024;

/// Waits for one step of an exchange, and not for ever.
async fn step<T, E: Into<Failure>>(
    name: &str,
    work: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, Failure> {
    match tokio::time::timeout(STEP_LIMIT, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Failure::Lost(format!(
            "no answer to {name} within {} s",
            STEP_LIMIT.as_secs()
        ))),
    }
}
