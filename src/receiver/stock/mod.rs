//! The AMQP engine behind the seam: fe2o3-amqp's client, kept in hand.
//!
//! The crate is used in one way only, for what else it offers hangs, spins or loses events: on a
//! socket of our own that can be cut, with a time limit on every exchange, one session per link,
//! pre-settled deliveries, credit by hand, and nothing received after an error.
//!
//! Its decoder recurses without a limit and believes what it is told, so nothing comes in to it that the
//! `guard` has not walked along. Bodies are not decoded by it.

mod connection;
mod event;
mod failure;
mod guard;
mod heartbeat;
mod link;
mod request;

pub(crate) use connection::Connection;
pub(crate) use link::Link;
