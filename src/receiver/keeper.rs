//! A task that keeps something of a connection up, and ends with it.

use std::future::Future;

use tokio::task::AbortHandle;

/// The task of a connection that keeps its claim fresh. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Keeper(AbortHandle);

impl Keeper {
    /// Starts it.
    #[expect(
        clippy::disallowed_methods,
        reason = "owned by the connection, and aborted with it"
    )]
    pub(super) fn start(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
