//! The engine of our own behind the seam: Event Hubs over `engine`.

mod connection;
mod failure;
mod link;

pub(crate) use connection::Connection;
pub(crate) use link::Link;
