//! Receives events and does nothing with them: what receiving alone costs, beside what delivering does.
//!
//! `cargo bench --bench drain -- N` reads N events of the hub that EVENTHUB_CONNECTION_STRING names, from
//! the beginning. `benches/measure deliver` calls it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement ends where something is not as it must be, and prints what it found"
)]

use std::time::Instant;

use dataverse_listener::receiver::{Config, EventHub, StartPosition};

fn main() {
    // Cargo passes `--bench` to what it runs as a benchmark.
    let count = std::env::args().filter_map(|word| word.parse::<usize>().ok());
    let Some(count) = count.collect::<Vec<_>>().pop() else {
        println!("give the number of events: cargo bench --bench drain -- N");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let begun = Instant::now();
    runtime.block_on(drain(count));
    let seconds = begun.elapsed().as_secs_f64();
    // Counts are far below where a f64 is no longer exact.
    let events = f64::from(u32::try_from(count).unwrap());
    println!("{:.0} events/s", events / seconds);
}

async fn drain(count: usize) {
    let text = std::env::var("EVENTHUB_CONNECTION_STRING").unwrap();
    let connection_string = text.parse().unwrap();
    let config = Config::new(connection_string, None, "$Default", StartPosition::Earliest).unwrap();
    let hub = EventHub::new(config);
    let (sender, mut received) = tokio::sync::mpsc::channel(1024);
    let mut tasks = tokio::task::JoinSet::new();
    for partition in hub.partitions().await.unwrap() {
        let mut receiver = hub.receiver(partition, StartPosition::Earliest);
        let sender = sender.clone();
        tasks.spawn(async move {
            while let Ok(event) = receiver.receive().await {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
    }
    let mut events = Vec::new();
    let mut seen = 0;
    while seen < count {
        seen += received.recv_many(&mut events, 256).await;
        events.clear();
    }
}
