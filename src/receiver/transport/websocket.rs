//! AMQP in the messages of a WebSocket, where only port 443 is let through.
//!
//! Spec: AMQP WebSocket Binding 1.0 (OASIS), which has the sub-protocol `amqp`; the path is the one that
//! the AMQP protocol guide for Azure Event Hubs names.

use std::io;

use fe2o3_amqp_ws::native::TokioWebSocketStream;
use fe2o3_amqp_ws::tungstenite::protocol::WebSocketConfig;
use fe2o3_amqp_ws::tungstenite::{self, http};
use fe2o3_amqp_ws::{Error, WebSocketStream};

use super::address::Address;
use super::{Stream, WEBSOCKET_PORT, within};

/// Where the service has its WebSockets.
const PATH: &str = "/$servicebus/websocket";
/// The most that one WebSocket message may hold, many AMQP frames as it may be: it is read whole.
const MAX_MESSAGE_SIZE: usize = 4 * 1024 * 1024;
/// One read from the socket takes in at most this; a buffer of it stays with every connection.
const READ_BUFFER: usize = 64 * 1024;

/// Opens a WebSocket on a stream to `host`, encrypted or not.
pub(super) async fn open(
    host: &Address,
    stream: Box<dyn Stream>,
) -> io::Result<WebSocketStream<TokioWebSocketStream<Box<dyn Stream>>>> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE_SIZE))
        .max_frame_size(Some(MAX_MESSAGE_SIZE));
    let url = url(host);
    let opened = WebSocketStream::connect_with_stream_and_config(&url, stream, Some(config));
    within("WebSocket handshake", async {
        opened.await.map_err(|error| told(&error))
    })
    .await
}

/// TLS, where there is any, is none of its business: the scheme says `ws` for either.
fn url(host: &Address) -> String {
    let authority = host.to_string();
    let usual = format!(":{WEBSOCKET_PORT}");
    let authority = authority.strip_suffix(&usual).unwrap_or(&authority);
    format!("ws://{authority}{PATH}")
}

fn told(error: &Error) -> io::Error {
    let text = match error {
        Error::Tungstenite(tungstenite::Error::Http(response)) => of_status(response.status()),
        Error::Tungstenite(tungstenite::Error::Io(error)) => {
            return io::Error::new(
                error.kind(),
                format!("no answer to the WebSocket handshake: {error}"),
            );
        }
        Error::Tungstenite(tungstenite::Error::Protocol(error)) => format!(
            "the WebSocket handshake failed: {error}; what answers there is not Event Hubs, or something \
             between does not let WebSockets through"
        ),
        error => format!("the WebSocket handshake failed: {error}"),
    };
    io::Error::other(text)
}

fn of_status(status: http::StatusCode) -> String {
    format!(
        "it answers the WebSocket handshake with HTTP {}; what answers there is not Event Hubs, or something \
         between does not let WebSockets through",
        status.as_u16()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_stands_in_the_url_unless_it_is_the_usual_one() {
        let check = |host, port, expected: &str| {
            assert_eq!(url(&Address::new(host, port)), expected);
        };
        check("ns.example", 443, "ws://ns.example/$servicebus/websocket");
        check(
            "ns.example",
            5672,
            "ws://ns.example:5672/$servicebus/websocket",
        );
        check("::1", 8443, "ws://[::1]:8443/$servicebus/websocket");
    }
}
