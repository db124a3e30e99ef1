//! The AMQP engine of our own: AMQP 1.0 as a receiver speaks it.
//!
//! `machine` is the connection without a stream, a clock or a task; what it tells is in `happening`, and it is made
//! of `frame`, `sasl`, `session`, `link`, `receiving`, `sending`, `transfer`, `partial`, `requests`, `message`. `driver` runs it over
//! any stream.
//!
//! It knows nothing of Event Hubs. It is public for the programs that measure it and that try it with other
//! servers.

mod driver;
pub(super) mod event;
mod fault;
mod frame;
mod happening;
mod link;
mod machine;
mod mailbox;
mod message;
mod partial;
mod receiving;
mod requests;
mod sasl;
mod sending;
mod serial;
mod session;
mod slots;
mod transfer;

pub use driver::Running;
pub use event::event;
pub use fault::{Cause, Fault};
pub use happening::{Delivery, Happening, LinkId, SessionId};
pub use machine::{Machine, Options};
pub use message::{ApplicationProperties, Body, Message};
pub use requests::{NodeId, RequestId};
pub use sasl::Identity;

#[cfg(test)]
mod tests;
