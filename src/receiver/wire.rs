//! The stream an engine reads from and writes to, held on a leash: it can be cut at any moment, and it
//! stops reading while too much lies unread behind it.
//!
//! Cutting ends every wait of the engine, for reads then end and writes fail. Stopping bounds what a
//! peer can pile up in the engine's queues, whatever it makes of its credit.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::seam::Failure;
use crate::budget::Hold;

/// The holder's end of the leash.
#[derive(Debug, Clone)]
pub(crate) struct Leash(Arc<State>);

/// The engine's end: the stream itself.
#[derive(Debug)]
pub(crate) struct Leashed<S> {
    stream: S,
    leash: Leash,
}

#[derive(Debug)]
struct State {
    cut: AtomicBool,
    cause: Mutex<Option<Failure>>,
    /// Bytes read that the holder has not seen as events.
    unread: Hold,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Leash {
    /// Ties a stream; reading stops while there is no room for more unread bytes.
    pub(crate) fn tie<S>(stream: S, unread: Hold) -> (Self, Leashed<S>) {
        let leash = Self(Arc::new(State {
            cut: AtomicBool::new(false),
            cause: Mutex::new(None),
            unread,
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        }));
        (leash.clone(), Leashed { stream, leash })
    }

    /// Ends the stream for the engine. Whatever waits on it wakes up.
    pub(crate) fn cut(&self) {
        self.0.cut.store(true, Ordering::SeqCst);
        self.0.reader.wake();
        self.0.writer.wake();
    }

    /// Ends the stream and leaves word why, for whoever finds it ended.
    pub(crate) fn cut_because(&self, cause: Failure) {
        self.cause().get_or_insert(cause);
        self.cut();
    }

    /// Why the stream was cut, told once.
    pub(crate) fn take_cause(&self) -> Option<Failure> {
        self.cause().take()
    }

    /// The holder took an event of about this size.
    pub(crate) fn took(&self, size: usize) {
        if self.0.unread.give_back(size) {
            self.0.reader.wake();
        }
    }

    /// The holder finds the engine's queue empty: nothing is unread, whatever the sizes added up to.
    pub(crate) fn took_all(&self) {
        if self.0.unread.give_back_all() {
            self.0.reader.wake();
        }
    }

    fn is_cut(&self) -> bool {
        self.0.cut.load(Ordering::SeqCst)
    }

    fn is_full(&self) -> bool {
        !self.0.unread.has_room()
    }

    fn cause(&self) -> std::sync::MutexGuard<'_, Option<Failure>> {
        self.0
            .cause
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Leashed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Registered before looking, so that a cut or a release in between is not missed.
        self.leash.0.reader.register(cx.waker());
        if self.leash.is_cut() {
            return Poll::Ready(Ok(()));
        }
        if self.leash.is_full() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.leash.0.unread.take(buf.filled().len() - before);
        poll
    }
}

impl<S: AsyncWrite + Unpin> Leashed<S> {
    fn write<T>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.leash.0.writer.register(cx.waker());
        if self.leash.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        poll(Pin::new(&mut self.stream), cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Leashed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn tied(bound: usize) -> (Leash, Leashed<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(1 << 20);
        let (leash, stream) = Leash::tie(near, Hold::alone(bound));
        (leash, stream, far)
    }

    /// The bytes that come at once, or none where the reader would wait.
    async fn read_now(stream: &mut Leashed<DuplexStream>, space: usize) -> Option<usize> {
        let mut bytes = vec![0; space];
        let mut buf = ReadBuf::new(&mut bytes);
        poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut *stream).poll_read(cx, &mut buf) {
                Poll::Ready(_) => Some(buf.filled().len()),
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn a_cut_wakes_a_waiting_reader_and_ends_it() {
        let (leash, mut stream, _far) = tied(100);
        let reader = async { stream.read_u8().await.expect_err("the end").kind() };
        let cutter = async { leash.cut() };
        let (kind, ()) = tokio::join!(reader, cutter);
        assert_eq!(kind, io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_cut_wakes_a_waiting_writer_and_fails_it() {
        let (near, _far) = duplex(1);
        let (leash, mut stream) = Leash::tie(near, Hold::alone(100));
        let (result, ()) = tokio::join!(stream.write_all(b"abc"), async { leash.cut() });
        assert_eq!(result.expect_err("cut").kind(), io::ErrorKind::BrokenPipe);
        assert!(stream.flush().await.is_err() && stream.shutdown().await.is_err());
    }

    #[tokio::test]
    async fn reading_stops_at_the_bound_and_goes_on_once_events_were_taken() {
        let (leash, mut stream, mut far) = tied(100);
        far.write_all(&[0; 1_000]).await.unwrap();
        assert_eq!(read_now(&mut stream, 60).await, Some(60));
        assert_eq!(read_now(&mut stream, 60).await, Some(60));
        assert_eq!(read_now(&mut stream, 60).await, None);
        leash.took(10);
        assert_eq!(read_now(&mut stream, 60).await, None);
        leash.took(30);
        assert_eq!(read_now(&mut stream, 30).await, Some(30));
        leash.took_all();
        assert_eq!(read_now(&mut stream, 100).await, Some(100));
        assert_eq!(read_now(&mut stream, 1).await, None);
    }

    #[tokio::test]
    async fn a_reader_stopped_at_the_bound_wakes_up_when_there_is_room() {
        let (leash, mut stream, mut far) = tied(10);
        far.write_all(&[7; 20]).await.unwrap();
        let mut bytes = [0; 20];
        let taker = async {
            while leash.is_full() {
                leash.took(4);
                tokio::task::yield_now().await;
            }
        };
        let reader = async {
            for byte in &mut bytes {
                *byte = stream.read_u8().await.unwrap();
                if leash.is_full() {
                    leash.took_all();
                }
            }
        };
        tokio::join!(reader, taker);
        assert_eq!(bytes, [7; 20]);
    }

    #[tokio::test]
    async fn taking_more_than_was_read_does_not_underflow() {
        let (leash, mut stream, mut far) = tied(10);
        leash.took(1_000);
        far.write_all(&[0; 20]).await.unwrap();
        assert_eq!(read_now(&mut stream, 20).await, Some(20));
        assert_eq!(read_now(&mut stream, 20).await, None);
    }

    #[tokio::test]
    async fn the_first_cause_of_a_cut_is_told_once() {
        let (leash, _stream, _far) = tied(10);
        leash.cut_because(Failure::lost("first"));
        leash.cut_because(Failure::lost("second"));
        assert!(
            matches!(leash.take_cause(), Some(Failure::Lost { reason, .. }) if reason == "first")
        );
        assert!(leash.take_cause().is_none());
    }
}
