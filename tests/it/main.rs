//! The program as a user meets it: the real binary as a child process, against the embedded hub over
//! real sockets. Each module is about one thing that users rely on.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

/// App registrations that prove themselves with a certificate.
#[cfg(feature = "emulator")]
mod certificate;
/// `checkpoint`: what people can see and change of a store that no daemon uses.
mod checkpoint;
/// What is said of a configuration that is wrong.
mod config;
/// `schema config`: the schema and the reader of the configuration know the same.
mod config_schema;
/// `decode`: files in, documents out, exit codes.
mod decode;
/// `decode`: which files the arguments name, and files of Event Hubs Capture.
mod decode_files;
/// `decode`: a change column by column, and what is said of a body and why.
mod decode_shown;
/// `demo`: the first thing a newcomer types.
#[cfg(feature = "emulator")]
mod demo;
/// `doctor`: what it finds, and its exit codes.
#[cfg(feature = "emulator")]
mod doctor;
/// Posts that come twice, and a restart between them.
#[cfg(feature = "emulator")]
mod duplicates;
/// `emulator`: a hub in a process of its own, and what it is told to do wrong.
#[cfg(feature = "emulator")]
mod emulator;
/// Hubs that are opened by an identity of Microsoft Entra ID.
#[cfg(feature = "emulator")]
mod entra;
/// The examples of `config/`.
mod examples;
/// One sentence and an exit code for each thing that is commonly wrong.
#[cfg(feature = "emulator")]
mod failures;
/// The sink `file`: completeness, order, full disks, crashes.
#[cfg(feature = "emulator")]
mod file;
/// Events of others in the hub, and bodies that cost more than is taken.
#[cfg(feature = "emulator")]
mod foreign;
/// The hub or the daemon is stopped in the middle of its work, and goes on later.
#[cfg(feature = "emulator")]
mod frozen;
/// A web server that keeps what it is asked and answers as a test says.
#[cfg(feature = "emulator")]
mod http;
/// The HTTP listener of the daemon: probes, `health`, `status`.
#[cfg(feature = "emulator")]
mod http_listener;
/// An event hub in this process.
#[cfg(feature = "emulator")]
mod hub;
/// Identities of Microsoft Entra ID that the options of a command name.
#[cfg(feature = "emulator")]
mod identity;
/// What is printed of the events of a hub: completeness, order, positions, formats.
#[cfg(feature = "emulator")]
mod listen;
/// What is logged, and what never is.
#[cfg(feature = "emulator")]
mod log;
/// Manual pages and completions.
mod man;
/// Spans and measurements, as a collector gets them.
#[cfg(feature = "emulator")]
mod otlp;
/// `check --print`: what is in force, and no secret in it.
mod print;
/// The hub goes away and comes back.
#[cfg(feature = "emulator")]
mod reconnect;
/// `redrive`: dead letters out of a file, to the real sink, and on from where it was stopped.
mod redrive;
/// The configuration is read again while the daemon runs.
#[cfg(feature = "emulator")]
mod reload;
/// `replay`: a stretch of the hub once more, beside the daemon.
#[cfg(feature = "emulator")]
mod replay;
/// A daemon goes on where the last one stopped, or where somebody has set it.
#[cfg(feature = "emulator")]
mod resume;
/// `run`: routes, variables, signals.
#[cfg(feature = "emulator")]
mod run;
/// The schemas that are printed describe what is printed.
#[cfg(feature = "emulator")]
mod schema;
/// SIGTERM in every state.
#[cfg(feature = "emulator")]
mod signals;
/// What the service manager is told.
#[cfg(all(feature = "emulator", target_os = "linux"))]
mod systemd;
/// AMQP over TLS, as every real namespace has it.
#[cfg(feature = "emulator")]
mod tls;
/// `run` with a webhook: servers that fail in every way.
#[cfg(feature = "emulator")]
mod webhook;
/// What the tests share: child processes, files, bounded waiting.
mod world;
