//! Where the service manager listens: a datagram socket in the file system or in the abstract name space.

use std::ffi::{OsStr, OsString};
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

/// A manager that takes a message takes it at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// The socket that `NOTIFY_SOCKET` names.
#[derive(Debug)]
pub(super) struct Socket {
    name: OsString,
    has_failed: bool,
}

impl Socket {
    /// None where the environment names none. The variable stays: a program that is started from here says nothing.
    pub(super) fn of_environment() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        Some(Self {
            name,
            has_failed: false,
        })
    }

    /// Sends one message, with a line for each state; false where it was not taken, of which the log tells once.
    pub(super) async fn send(&mut self, states: &[NotifyState<'_>]) -> bool {
        let lines: String = states.iter().map(|state| format!("{state}\n")).collect();
        let sent = tokio::time::timeout(PATIENCE, send(&self.name, lines.as_bytes())).await;
        let error = match sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(()) => return true,
            Err(error) => error,
        };
        if !self.has_failed {
            self.has_failed = true;
            tracing::warn!(%error, socket = %self.name.display(), "the service manager is not told how the process does");
        }
        false
    }
}

/// Connects anew each time, as sd_notify(3) does: a manager may be replaced. It is waited for without blocking the
/// thread, which has other things to do.
async fn send(name: &OsStr, message: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address(name)?)?;
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UnixDatagram::from_std(socket)?;
    // A datagram is sent whole or not at all.
    socket.send(message).await.map(drop)
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "NOTIFY_SOCKET must begin with / or @",
        )),
    }
}
