//! The embedded event hub, seen through a stock AMQP client and through a bare socket.
//!
//! - `receiving`: positions, epochs, credit, groups, what an event carries
//! - `sending`: single events, batches, keys, sizes, retention
//! - `access`: tokens, keys, what is refused
//! - `faults`: what a test can do to the hub, and stopping and starting it
//! - `websocket`: what opens one, what does not
//! - `garbage`: what a peer may send without harm
#![cfg(feature = "emulator")]
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so does what it calls"
)]
#![expect(
    clippy::future_not_send,
    reason = "every test runs on a thread of its own"
)]

mod access;
mod client;
mod faults;
mod garbage;
mod receiving;
mod sending;
mod websocket;
