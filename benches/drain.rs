//! The bare receiver, to measure what decoding and delivering add: `drain EVENTS` reads so many events
//! of the hub in `EVENTHUB_CONNECTION_STRING`, from the oldest of each partition on, and ends.
#![expect(
    clippy::print_stdout,
    reason = "what it prints is what it is asked for"
)]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dataverse_listener::receiver::{Config, EventHub, Receiver, ReceiverError, StartPosition};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Ok(events) = arguments.concat().parse::<u64>() else {
        println!("usage: drain EVENTS; see benches/deliver");
        return Ok(());
    };
    let connection_string = std::env::var("EVENTHUB_CONNECTION_STRING")?.parse()?;
    let config = Config::new(connection_string, None, "$Default", StartPosition::Earliest)?;
    tokio::runtime::Runtime::new()?.block_on(drain(EventHub::new(config), events))
}

async fn drain(hub: EventHub, events: u64) -> Result<(), Box<dyn Error>> {
    let seen = Arc::new(AtomicU64::new(0));
    let mut readers = tokio::task::JoinSet::new();
    for partition in hub.partitions().await? {
        let receiver = hub.receiver(partition, StartPosition::Earliest);
        readers.spawn(read(receiver, Arc::clone(&seen), events));
    }
    // The reader that sees the last event is the first to end.
    if let Some(ended) = readers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn read(
    mut receiver: Receiver,
    seen: Arc<AtomicU64>,
    events: u64,
) -> Result<(), ReceiverError> {
    loop {
        receiver.receive().await?;
        if seen.fetch_add(1, Relaxed) + 1 == events {
            return Ok(());
        }
    }
}
