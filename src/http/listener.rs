//! The listener: sockets, connections, and what one client may take of them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::Watched;
use super::config::{Config, Listen};
use super::router::router;

/// So many connections are open at once; one more ends the oldest. So clients that hang keep no probe away.
const CONNECTIONS: usize = 32;
/// How long a client may take for the head of its request.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last, which is one request and its answer.
const EXCHANGE: Duration = Duration::from_secs(30);
/// The head of a request is no larger, in bytes.
const LARGEST_HEAD: usize = 16 << 10;
/// After a connection could not be accepted, for want of descriptors perhaps.
const REST: Duration = Duration::from_secs(1);
/// That is told no more often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A listener whose socket is open.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A connection that was accepted.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The file of a Unix socket; dropped, it is removed, unless it is somebody else's by now.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

/// Opens the socket where the configuration wants it; none where it wants none, or where nobody has asked for the
/// one that is not possible.
///
/// # Errors
/// When the socket that is asked for cannot be opened.
pub(crate) async fn listen(config: &Config) -> io::Result<Option<Listener>> {
    let address = &config.listen;
    let bound = match address {
        Listen::Nowhere => return Ok(None),
        Listen::Tcp(address) => TcpListener::bind(address).await.map(Socket::Tcp),
        Listen::Unix(path) => bind(path).await,
    };
    match bound {
        Ok(socket) => {
            tracing::info!(address = socket.address(), "http listener");
            Ok(Some(Listener { socket }))
        }
        Err(error) if !config.is_given => {
            tracing::warn!(%address, %error, "no http listener: set listen in [http] to another address, or to \"none\"");
            Ok(None)
        }
        Err(error) => {
            let reason =
                format!("{error}; set listen in [http] to another address, or to \"none\"");
            Err(io::Error::new(error.kind(), reason))
        }
    }
}

/// Opens a Unix socket for its owner and group. The file of a process that is gone is replaced.
async fn bind(path: &Path) -> io::Result<Socket> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let reason = "there is a file that is no socket";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
        }
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
            }
            Ok(_) => {
                let reason = "another process listens there";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, reason));
            }
            Err(error) => return Err(error),
        },
        // What keeps it from being looked at keeps it from being opened, too.
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    let found = fs::symlink_metadata(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        id: (found.dev(), found.ino()),
    };
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(Socket::Unix(listener, file))
}

impl Listener {
    /// Where it is, with the port that the system has chosen.
    #[cfg(test)]
    pub(super) fn address(&self) -> String {
        self.socket.address()
    }

    /// Answers for as long as somebody waits for it. Dropped, it ends every connection.
    pub(crate) async fn serve(self, daemon: Arc<dyn Watched>) -> Infallible {
        let mut connections = Connections::new(router(daemon));
        let mut told: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                Some(_) = connections.open.join_next() => continue,
            };
            let error = match accepted {
                Ok(Stream::Tcp(stream)) => {
                    connections.serve(stream);
                    continue;
                }
                Ok(Stream::Unix(stream)) => {
                    connections.serve(stream);
                    continue;
                }
                Err(error) if is_of_one_client(&error) => continue,
                Err(error) => error,
            };
            if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
                tracing::warn!(%error, "http connection not accepted");
                told = Some(Instant::now());
            }
            tokio::time::sleep(REST).await;
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

impl Socket {
    fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |address| address.to_string()),
            Self::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(listener) => Stream::Tcp(listener.accept().await?.0),
            Self::Unix(listener, _) => Stream::Unix(listener.accept().await?.0),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.id)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "socket not removed");
        }
    }
}

/// The connections that are open.
struct Connections {
    pages: Router,
    open: JoinSet<()>,
    /// The same, the oldest first.
    ages: VecDeque<AbortHandle>,
}

impl Connections {
    fn new(pages: Router) -> Self {
        Self {
            pages,
            open: JoinSet::new(),
            ages: VecDeque::new(),
        }
    }

    fn serve(&mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        self.ages.retain(|connection| !connection.is_finished());
        if self.ages.len() >= CONNECTIONS
            && let Some(oldest) = self.ages.pop_front()
        {
            oldest.abort();
        }
        let exchanged = exchange(stream, self.pages.clone());
        self.ages.push_back(self.open.spawn(exchanged));
    }
}

/// One request and its answer. What goes wrong is the client's, and changes nothing.
pub(super) async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin + Send, pages: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false);
    let exchanged = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages));
    match timeout(EXCHANGE, exchanged).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "http connection failed"),
        Err(_) => tracing::debug!("http connection ended: it took too long"),
    }
}
