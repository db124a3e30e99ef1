//! The machine, driven over a stream.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use fe2o3_amqp::types::performatives::Flow;
use tokio::io::{
    self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::budget::Hold;
use crate::receiver::engine::{Cause, Running};

const PATIENCE: Duration = Duration::from_secs(20);

fn options() -> Options {
    Options {
        container_id: "here".to_owned(),
        hostname: "there".to_owned(),
        identity: Identity::Anonymous,
    }
}

/// A peer that answers whatever it is asked, and sends events of this size for as long as it has credit; each
/// begins with its number. Counts how many it could send on the link attached last.
async fn serve(mut stream: DuplexStream, size: usize, sent: Arc<AtomicUsize>) -> io::Result<()> {
    let mut peer = Peer::open(Some(1000));
    let mut heard = Vec::new();
    let mut seen = 0;
    loop {
        stream.write_all(&peer.bytes.split()).await?;
        if stream.read_buf(&mut heard).await? == 0 {
            return Ok(());
        }
        for (code, channel, body) in whole_frames(&heard).split_off(seen) {
            seen += 1;
            match code {
                0x11 => peer.begin(channel),
                0x12 => {
                    let attach: Attach = serde_amqp::from_slice(&body).unwrap();
                    let (_, link) = attach.name.split_once('-').unwrap();
                    peer.attach(channel, link.parse().unwrap(), true);
                    sent.store(0, Ordering::SeqCst);
                }
                0x13 => {
                    let flow: Flow = serde_amqp::from_slice(&body).unwrap();
                    let first = sent.load(Ordering::SeqCst) as u32;
                    for id in first..first + granted(&flow, first) {
                        let mut payload = id.to_be_bytes().to_vec();
                        payload.resize(size.max(4), 0);
                        peer.transfer(&Sent {
                            session: channel,
                            id,
                            payload,
                            ..Sent::default()
                        });
                        stream.write_all(&peer.bytes.split()).await?;
                        sent.fetch_add(1, Ordering::SeqCst);
                    }
                }
                0x16 => peer.detach(channel, 0, None),
                0x17 => peer.end(channel, None),
                0x18 => peer.close(None),
                _ => {}
            }
        }
    }
}

fn granted(flow: &Flow, sent: u32) -> u32 {
    let Some((count, credit)) = flow.delivery_count.zip(flow.link_credit) else {
        return 0;
    };
    // The peer began to count just before the end of all numbers.
    count
        .wrapping_add(credit)
        .wrapping_sub((u32::MAX - 1).wrapping_add(sent))
}

/// The frames that have come whole.
fn whole_frames(heard: &[u8]) -> Vec<(u8, u16, Vec<u8>)> {
    let mut end = 0;
    while let Some(head) = heard[end..].first_chunk::<8>() {
        let size = match head.starts_with(b"AMQP") {
            true => 8,
            false => u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize,
        };
        if heard.len() < end + size {
            break;
        }
        end += size;
    }
    frames(&heard[..end])
}

struct Driven {
    running: Running,
    link: LinkId,
    sent: Arc<AtomicUsize>,
    peer: JoinHandle<io::Result<()>>,
}

/// An attached link over a wire that holds so many bytes, with a peer that sends events of this size.
async fn driven(wire: usize, size: usize, bound: usize) -> Driven {
    let (near, far) = duplex(wire);
    let sent = Arc::new(AtomicUsize::new(0));
    #[expect(clippy::disallowed_methods, reason = "the other side, in a test")]
    let peer = tokio::spawn(serve(far, size, Arc::clone(&sent)));
    let running = Running::start(near, options(), Hold::alone(bound));
    running.opened().await.unwrap();
    let session = running.begin().await.unwrap();
    let link = running.attach(session, attach(0, 0)).await.unwrap();
    Driven {
        running,
        link,
        sent,
        peer,
    }
}

/// Takes so many events, which must be those from `first` on.
async fn take(
    driven: &Driven,
    queue: &mut VecDeque<super::super::Delivery>,
    first: u32,
    count: u32,
) {
    for number in first..first + count {
        if queue.is_empty() {
            driven.running.receive(driven.link, queue).await.unwrap();
        }
        let delivery = queue.pop_front().unwrap();
        driven.running.took(&delivery);
        assert_eq!(delivery.message[..4], number.to_be_bytes());
    }
}

#[tokio::test]
async fn a_wire_that_takes_one_byte_at_a_time_is_slow_and_nothing_else() {
    let driven = driven(1, 300, 1 << 20).await;
    driven.running.grant(driven.link, 20, 0);
    let mut queue = VecDeque::new();
    timeout(PATIENCE, take(&driven, &mut queue, 0, 20))
        .await
        .unwrap();
    timeout(PATIENCE, driven.running.close()).await.unwrap();
    driven.peer.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_receive_that_is_dropped_again_and_again_loses_nothing() {
    let driven = driven(1000, 10, 1 << 20).await;
    let mut queue = VecDeque::new();
    for round in 0..200 {
        driven.running.grant(driven.link, 10, queue.len());
        // Polled once, and dropped, whatever it had to say.
        for _ in 0..round % 4 {
            let mut receive = pin!(driven.running.receive(driven.link, &mut queue));
            let polled = futures_util::poll!(receive.as_mut());
            if polled.is_ready() {
                break;
            }
        }
        take(&driven, &mut queue, round * 10, 10).await;
    }
}

/// How many were sent when no more could be.
async fn standstill(sent: &AtomicUsize) -> usize {
    let mut before = usize::MAX;
    let sent = || sent.load(Ordering::SeqCst);
    timeout(PATIENCE, async {
        while sent() != before || sent() == 0 {
            before = sent();
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
        }
    })
    .await
    .unwrap();
    before
}

#[tokio::test]
async fn what_lies_unread_on_a_link_that_is_over_takes_no_room() {
    for ending in ["detach", "end"] {
        let mut driven = driven(64 * 1024, 10_000, 100_000).await;
        driven.running.grant(driven.link, 200, 0);
        assert!(standstill(&driven.sent).await < 200);
        let mut session = driven.link.session;
        match ending {
            "detach" => driven.running.detach(driven.link),
            _ => {
                driven.running.end(session);
                session = driven.running.begin().await.unwrap();
            }
        }
        let name = attach(session.index() as u16, 0);
        let again = driven.running.attach(session, name);
        driven.link = timeout(PATIENCE, again).await.unwrap().unwrap();
        driven.running.grant(driven.link, 100, 0);
        let mut queue = VecDeque::new();
        timeout(PATIENCE, take(&driven, &mut queue, 0, 100))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_not_read_ahead_of_without_end() {
    let driven = driven(64 * 1024, 10_000, 100_000).await;
    driven.running.grant(driven.link, 10_000, 0);
    let before = standstill(&driven.sent).await;
    // The bound, one read, and what the wire holds.
    let most = 100_000 + 256 * 1024 + 64 * 1024;
    assert!(before * 10_000 <= most, "{before}");
    let mut queue = VecDeque::new();
    timeout(PATIENCE, take(&driven, &mut queue, 0, 500))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_not_listened_to_for_want_of_room_is_not_held_for_silent() {
    let driven = driven(64 * 1024, 10_000, 100_000).await;
    driven.running.grant(driven.link, 200, 0);
    sleep(Duration::from_secs(3600)).await;
    assert!(driven.sent.load(Ordering::SeqCst) < 200);
    let mut queue = VecDeque::new();
    timeout(PATIENCE, take(&driven, &mut queue, 0, 200))
        .await
        .unwrap();
    // Once there is room again it has as long as ever to say something.
    let begun = Instant::now();
    let over = driven.running.receive(driven.link, &mut queue).await;
    assert!(matches!(over, Err(Cause::Silence)), "{over:?}");
    assert_eq!(begun.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_kept_awake_though_nobody_reads() {
    let (near, mut far) = duplex(1 << 16);
    let _running = Running::start(near, options(), Hold::alone(1000));
    far.write_all(&Peer::open(Some(2000)).bytes).await.unwrap();
    let mut heard = Vec::new();
    let start = Instant::now();
    let mut beats = 0;
    while beats < 5 {
        far.read_buf(&mut heard).await.unwrap();
        beats = whole_frames(&heard)
            .iter()
            .filter(|frame| frame.2.is_empty())
            .count();
    }
    let took = start.elapsed();
    assert!(
        took >= Duration::from_secs(5) && took < Duration::from_millis(5_100),
        "{took:?}"
    );
}

/// Counts how often it is asked to be read from.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_plays_dead_is_waited_for_without_work_and_not_for_ever() {
    let (near, far) = duplex(1 << 16);
    let asked = Arc::new(AtomicUsize::new(0));
    let running = Running::start(
        Counted(near, Arc::clone(&asked)),
        options(),
        Hold::alone(1000),
    );
    let start = Instant::now();
    let (opened, ()) = tokio::join!(running.opened(), async {
        // Whoever says goodbye meanwhile does not spin either.
        sleep(Duration::from_secs(30)).await;
        assert!(asked.load(Ordering::SeqCst) < 10);
    });
    assert!(matches!(opened, Err(Cause::Silence)), "{opened:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    assert!(asked.load(Ordering::SeqCst) < 20);
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_to_a_peer_that_plays_dead_costs_no_work() {
    let (near, mut far) = duplex(1 << 16);
    let asked = Arc::new(AtomicUsize::new(0));
    let running = Running::start(
        Counted(near, Arc::clone(&asked)),
        options(),
        Hold::alone(1000),
    );
    far.write_all(&Peer::open(None).bytes).await.unwrap();
    running.opened().await.unwrap();
    let before = asked.load(Ordering::SeqCst);
    let closed = timeout(Duration::from_secs(59), running.close()).await;
    assert!(closed.is_err(), "nobody has answered");
    assert!(asked.load(Ordering::SeqCst) - before < 10);
}

#[tokio::test]
async fn a_dropped_connection_is_cut_and_its_waiters_are_told() {
    let (near, mut far) = duplex(1 << 16);
    let running = Running::start(near, options(), Hold::alone(1000));
    let mut heard = Vec::new();
    let (opened, read) = tokio::join!(running.opened(), async {
        far.read_buf(&mut heard).await.unwrap();
        running.cut();
        timeout(PATIENCE, far.read_to_end(&mut heard)).await
    });
    assert!(matches!(opened, Err(Cause::Asked)), "{opened:?}");
    read.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_that_ends_or_fails_is_told_as_it_is() {
    let (near, mut far) = duplex(1 << 16);
    let running = Running::start(near, options(), Hold::alone(1000));
    far.write_all(&Peer::open(None).bytes).await.unwrap();
    running.opened().await.unwrap();
    drop(far);
    let begun = running.begin().await;
    assert!(
        matches!(begun, Err(Cause::Dropped | Cause::Io(..))),
        "{begun:?}"
    );
}
