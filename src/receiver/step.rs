//! How long one step of an exchange may take, and how large what comes may be, whatever the engine.

use std::future::Future;
use std::time::Duration;

use super::seam::Failure;

/// How long the service may take to answer one step: open, begin, attach, a request.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// How long a polite end may take. The crate burns a processor while it waits for it.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// A frame holds at most this, as the service's own frames do.
pub(super) const MAX_FRAME_SIZE: u32 = 64 * 1024;
/// The largest message that any tier of the service takes, in bytes.
pub(super) const MAX_MESSAGE_SIZE: u64 = 20 * 1024 * 1024;

/// Waits for one step of an exchange, and not for ever.
pub(super) async fn step<T, E: Into<Failure>>(
    name: &str,
    work: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, Failure> {
    match tokio::time::timeout(STEP_LIMIT, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Failure::silence(format!(
            "no answer to {name} within {} s",
            STEP_LIMIT.as_secs()
        ))),
    }
}
