//! What a daemon that is measured has around it: an event hub with events in it, and a server that
//! accepts every request.
//!
//! `surroundings BODY EVENTS` puts so many events with the body of a file into each of four partitions,
//! prints the hub's connection string and the server's URL, and serves until its standard input ends.
//! Started by `benches/deliver` and `benches/peers`.
#![expect(
    clippy::print_stdout,
    reason = "what it prints is what it is asked for"
)]

use std::convert::Infallible;
use std::error::Error;
use std::io::Read;

use dataverse_listener::emulator::{Emulator, Options};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

const PARTITIONS: u16 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [body, events] = arguments.as_slice() else {
        println!("usage: surroundings BODY EVENTS; see benches/deliver");
        return Ok(());
    };
    let (body, events) = (std::fs::read(body)?, events.parse::<u32>()?);
    let runtime = tokio::runtime::Runtime::new()?;
    let hub = runtime.block_on(Emulator::start(Options {
        partitions: PARTITIONS,
        retention_bytes: usize::MAX,
        ..Options::default()
    }))?;
    for partition in 0..PARTITIONS {
        for _ in 0..events {
            hub.append_body(partition, &body)?;
        }
    }
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    runtime.spawn(serve(listener));
    println!("{}\nhttp://{address}/", hub.connection_string());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).ok();
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(accept));
        #[expect(clippy::disallowed_methods, reason = "one task for each connection")]
        tokio::spawn(async move { connection.await.ok() });
    }
}

async fn accept(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    // To its end, or the connection cannot be used again.
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
