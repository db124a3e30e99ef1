//! AMQP in WebSockets: what opens one, and how everything else is turned away.

use dataverse_listener::emulator::Emulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{soon, start};

const OPENING: &str = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn ask(emulator: &Emulator, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// What is answered up to an empty line.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = soon(stream.read_u8()).await.unwrap();
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn the_sub_protocol_that_means_amqp_is_chosen_with_a_slash_behind_the_path_or_without() {
    let emulator = start().await;
    for (path, wish, expected) in [
        ("/$servicebus/websocket", "amqp", "amqp"),
        ("/$servicebus/websocket/", "AMQPWSB10", "AMQPWSB10"),
        (
            "/$servicebus/websocket",
            "mqtt, AMQPWSB10,amqp",
            "AMQPWSB10",
        ),
    ] {
        let headers = format!("{OPENING}Sec-WebSocket-Protocol: {wish}\r\n");
        let head = head(&mut ask(&emulator, path, &headers).await).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // The key and its answer of RFC 6455, section 1.3.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        let chosen = format!("sec-websocket-protocol: {expected}\r\n");
        assert!(head.contains(&chosen), "{head}");
    }
}

#[tokio::test]
async fn what_is_no_web_socket_for_amqp_is_told_so_and_hung_up_on() {
    let emulator = start().await;
    let amqp = "Sec-WebSocket-Protocol: amqp\r\n";
    for (path, headers, expected) in [
        ("/", format!("{OPENING}{amqp}"), "404"),
        (
            "/$servicebus/websocket/x",
            format!("{OPENING}{amqp}"),
            "404",
        ),
        ("/$servicebus/websocket", OPENING.to_owned(), "400"),
        (
            "/$servicebus/websocket",
            format!("{OPENING}Sec-WebSocket-Protocol: mqtt\r\n"),
            "400",
        ),
        ("/$servicebus/websocket", amqp.to_owned(), "400"),
        ("/$servicebus/websocket", "no header\r\n".to_owned(), "400"),
    ] {
        let mut answer = String::new();
        let mut stream = ask(&emulator, path, &headers).await;
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        let expected = format!("HTTP/1.1 {expected} ");
        assert!(answer.starts_with(&expected), "{path}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
    assert_eq!(emulator.open_connections(), 0);
}

#[tokio::test]
async fn a_text_ends_a_web_socket_and_amqp_may_come_in_pieces() {
    let emulator = start().await;
    let headers = format!("{OPENING}Sec-WebSocket-Protocol: amqp\r\n");
    let mut stream = ask(&emulator, "/$servicebus/websocket", &headers).await;
    head(&mut stream).await;
    // Masked with zeros, as a client must (RFC 6455, section 5.3): "AMQP", nothing, and the rest of it.
    for piece in [&b"AMQP"[..], b"", b"\x03\x01\x00\x00"] {
        let length = 0x80 | u8::try_from(piece.len()).unwrap();
        stream.write_all(&[0x82, length, 0, 0, 0, 0]).await.unwrap();
        stream.write_all(piece).await.unwrap();
    }
    let mut header = [0; 10];
    soon(stream.read_exact(&mut header)).await.unwrap();
    // A whole binary message, of whatever length.
    assert_eq!(
        (header[0], &header[2..]),
        (0x82, &b"AMQP\x03\x01\x00\x00"[..])
    );
    stream.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    let mut rest = Vec::new();
    // Whether the end is a reset is chance.
    drop(soon(stream.read_to_end(&mut rest)).await);
}
