//! The program as a user meets it: the real binary as a child process, against the embedded hub over
//! real sockets. Each module is about one thing that users rely on.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

/// What is said of a configuration that is wrong.
mod config;
/// `decode`: files in, documents out, exit codes.
mod decode;
/// `demo`: the first thing a newcomer types.
#[cfg(feature = "emulator")]
mod demo;
/// One sentence and an exit code for each thing that is commonly wrong.
#[cfg(feature = "emulator")]
mod failures;
/// An event hub in this process.
#[cfg(feature = "emulator")]
mod hub;
/// What is printed of the events of a hub: completeness, order, positions, formats.
#[cfg(feature = "emulator")]
mod listen;
/// The hub goes away and comes back.
#[cfg(feature = "emulator")]
mod reconnect;
/// `run`: routes, variables, signals.
#[cfg(feature = "emulator")]
mod run;
/// The schemas that are printed describe what is printed.
#[cfg(feature = "emulator")]
mod schema;
/// AMQP over TLS, as every real namespace has it.
#[cfg(feature = "emulator")]
mod tls;
/// What the tests share: child processes, files, bounded waiting.
mod world;
