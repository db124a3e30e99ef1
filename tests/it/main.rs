//! The program as a user meets it: the real binary as a child process, against the embedded hub over
//! real sockets. Each module is about one thing that users rely on.

/// `decode`: files in, documents out, exit codes.
mod decode;
/// `demo`: the first thing a newcomer types.
mod demo;
/// One sentence and an exit code for each thing that is commonly wrong.
mod failures;
/// What is printed of the events of a hub: completeness, order, positions, formats.
mod listen;
/// The hub goes away and comes back.
mod reconnect;
/// `run`: configuration, routes, signals.
mod run;
/// What the tests share: a hub, a child process, bounded waiting.
mod world;
