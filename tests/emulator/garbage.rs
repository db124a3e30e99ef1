//! What a peer may send without harm to the hub or to its other connections.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::*;

const AMQP: &[u8] = b"AMQP\x00\x01\x00\x00";
const SASL: &[u8] = b"AMQP\x03\x01\x00\x00";
/// open(container-id "x").
const OPEN: &[u8] = &[
    0, 0, 0, 17, 2, 0, 0, 0, 0, 0x53, 0x10, 0xc0, 4, 1, 0xa1, 1, b'x',
];
/// open(container-id "x", idle-time-out 200).
const IMPATIENT: &[u8] = &[
    0, 0, 0, 25, 2, 0, 0, 0, 0, 0x53, 0x10, 0xc0, 12, 5, 0xa1, 1, b'x', 0x40, 0x40, 0x40, 0x70, 0,
    0, 0, 200,
];
/// begin(null, 0, 100, 100) on channel 0.
const BEGIN: &[u8] = &[
    0, 0, 0, 19, 2, 0, 0, 0, 0, 0x53, 0x11, 0xc0, 6, 4, 0x40, 0x43, 0x52, 100, 0x43,
];

/// Sends bytes and reads until the hub closes; nothing must hang.
async fn answer(address: SocketAddr, parts: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The hub may close before it has read everything.
    let _written = stream.write_all(&parts.concat()).await;
    let _shut = stream.shutdown().await;
    let mut answer = Vec::new();
    let _read = soon(stream.read_to_end(&mut answer)).await;
    answer
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(8 + body.len()).unwrap().to_be_bytes();
    [&size[..], &[2, kind, 0, 0], body].concat()
}

fn says(answer: &[u8], text: &str) -> bool {
    answer
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn broken_frames_close_the_connection_with_the_reason() {
    let emulator = start().await;
    let deep = [&[0x00; 30_000][..], &[0x40]].concat();
    let liar = [
        0x00, 0x53, 0x12, 0xd0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    for (broken, condition) in [
        (
            vec![0, 0, 0, 4, 2, 0, 0, 0],
            "amqp:connection:framing-error",
        ),
        (
            vec![0, 0, 0, 0, 0, 0, 0, 0],
            "amqp:connection:framing-error",
        ),
        (
            vec![0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0],
            "amqp:connection:framing-error",
        ),
        (
            vec![0, 1, 0, 1, 2, 0, 0, 0],
            "amqp:connection:framing-error",
        ),
        (
            vec![0, 0, 0, 8, 1, 0, 0, 0],
            "amqp:connection:framing-error",
        ),
        (
            vec![0, 0, 0, 8, 200, 0, 0, 0],
            "amqp:connection:framing-error",
        ),
        (frame(0, &[0x00, 0x53, 0x99, 0x45]), "amqp:decode-error"),
        (frame(0, &[0x00, 0x53, 0x12, 0x45]), "amqp:decode-error"),
        (frame(0, &[0x07]), "amqp:decode-error"),
        (frame(0, &deep), "amqp:decode-error"),
        (frame(0, &liar), "amqp:decode-error"),
        (frame(1, &[0x00, 0x53, 0x40, 0x45]), "amqp:decode-error"),
        (OPEN.to_vec(), "amqp:not-allowed"),
        ([BEGIN, BEGIN].concat(), "amqp:not-allowed"),
    ] {
        let answer = answer(emulator.address(), &[AMQP, OPEN, &broken]).await;
        assert!(
            says(&answer, condition),
            "{condition}: {:02x?}",
            &broken[..broken.len().min(16)]
        );
    }
    until(|| emulator.open_connections() == 0).await;
}

#[tokio::test]
async fn frames_nobody_waits_for_are_let_pass() {
    let emulator = start().await;
    // flow, transfer, detach, disposition and end for links and sessions that are not there.
    for stray in [
        frame(
            0,
            &[
                0x00, 0x53, 0x13, 0xc0, 7, 5, 0x40, 0x43, 0x43, 0x43, 0x52, 9,
            ],
        ),
        frame(0, &[0x00, 0x53, 0x14, 0xc0, 3, 2, 0x43, 0x43]),
        frame(0, &[0x00, 0x53, 0x16, 0xc0, 2, 1, 0x43]),
        frame(0, &[0x00, 0x53, 0x15, 0xc0, 3, 2, 0x41, 0x43]),
        frame(0, &[0x00, 0x53, 0x17, 0xc0, 1, 0]),
        frame(0, &[]),
    ] {
        let close = frame(0, &[0x00, 0x53, 0x18, 0xc0, 1, 0]);
        for begin in [&[][..], BEGIN] {
            let answer = answer(emulator.address(), &[AMQP, OPEN, begin, &stray, &close]).await;
            assert!(
                !says(&answer, "amqp:"),
                "{stray:02x?} {}",
                String::from_utf8_lossy(&answer)
            );
        }
    }
}

#[tokio::test]
async fn other_protocols_are_told_what_is_spoken_here() {
    let emulator = start().await;
    for greeting in [
        b"SSH-2.0-OpenSSH_9.2\r\n".as_slice(),
        b"POST / HTTP/1.1\r\n\r\n",
        b"AMQP\x02\x01\x00\x00",
        &[0x16; 64],
    ] {
        assert_eq!(answer(emulator.address(), &[greeting]).await, SASL);
    }
}

#[tokio::test]
async fn random_bytes_end_their_connection_and_no_other() {
    let emulator = start().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver(0).await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let len = random.usize(..300);
        let noise: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
        let prefixes: [&[&[u8]]; 5] = [&[], &[SASL], &[AMQP], &[AMQP, OPEN], &[AMQP, OPEN, BEGIN]];
        let framed = frame(random.u8(..2), &noise);
        let performative = [&[0x00, 0x53, random.u8(0x10..0x19)][..], &noise].concat();
        for broken in [noise, framed, frame(0, &performative)] {
            let prefix = random.choice(prefixes).unwrap();
            answer(emulator.address(), &[prefix, &[&broken[..]]].concat()).await;
        }
    }
    until(|| emulator.open_connections() == 1 && emulator.open_links() == 1).await;
    fill(&emulator, 0, 1);
    assert_eq!(next_number(&mut receiver).await, 0);
}

#[tokio::test]
async fn an_impatient_peer_hears_from_the_hub() {
    let emulator = start().await;
    let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
    stream.write_all(&[AMQP, IMPATIENT].concat()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(&[0, 0, 0, 8, 2, 0, 0, 0]) {
        soon(stream.read_buf(&mut heard)).await.unwrap();
    }
}
