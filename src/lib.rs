//! The map of dataverse-listener: a daemon that receives Dataverse execution contexts from Azure Event
//! Hubs, decodes them and delivers them to sinks.
//!
//! # The way of an event
//!
//! ```text
//! Event Hubs ──AMQP──> receiver ──Event──> partition ──Message──> dispatcher ──Delivery──> sinks
//!                      a link and a        decodes, and           routes name              a queue and
//!                      connection for      moves the              the sinks                a worker each
//!                      each partition      checkpoint
//! ```
//!
//! 1. A [`receiver`] gets events of one partition in their order, and reconnects by itself.
//! 2. The [`partition`] loop takes one when its window has room ([`ack`]), lets [`decoder`] read the
//!    body into a [`context`], and makes a [`message`] of both. Another's JSON, or what cannot be decoded, is a
//!    message too.
//! 3. The [`dispatcher`] gives the message to the sinks that the [`route`]s name.
//! 4. Each [`sink`] has a queue and a worker, which tries until the message is accepted.
//! 5. When every sink has accepted it, the partition moves its [`checkpoint`], but never past an event
//!    that is still open.
//!
//! # The modules, in reading order
//!
//! | module | what it is |
//! |---|---|
//! | [`app`] | from a configuration to a running daemon, and to another configuration: who talks to whom |
//! | [`partition`] | the loop: receive, decode, dispatch, complete, checkpoint |
//! | [`ack`] | which events may be checkpointed, and whether more may be received |
//! | [`budget`] | bytes that all partitions may hold together |
//! | [`trace`] | the trace that an event is part of, and whoever follows it |
//! | [`otlp`] | spans and measurements, for a collector of OpenTelemetry |
//! | [`metrics`] | what Prometheus is told of all this |
//! | [`standing`] | how each partition stands: what was received and delivered, how far behind, how its link does |
//! | [`health`] | whether every partition makes progress, told from how they stand |
//! | [`event`] | what Event Hubs hands over |
//! | [`receiver`] | connection strings, tokens, AMQP: the only product code that receives over it; [`receiver::engine`] is the connection as a machine |
//! | [`context`] | what Dataverse says, as plain values, and the document made of it |
//! | [`decoder`] | bytes to contexts: one file for each format |
//! | [`message`] | an event with its context: what sinks are given |
//! | [`route`], [`dispatcher`] | which message goes where |
//! | [`duplicates`] | which messages came before, where somebody asks |
//! | [`sink`] | where messages go: one file for each kind |
//! | [`checkpoint`] | how far each partition was delivered |
//! | [`redrive`] | dead letters, delivered once more |
//! | [`replay`] | a stretch of the hub, read once more |
//! | [`capture`] | events that Event Hubs Capture left in files |
//! | [`pretty`] | a message as a person reads it |
//! | [`http`], [`status`] | probes and the state of the daemon for whoever asks while it runs, and who asks |
//! | [`config`], [`settings`] | the configuration: gathered, and read key by key |
//! | [`cli`] | the commands: one file for each |
//! | [`systemd`] | what the service manager is told |
//! | [`backoff`], [`causes`], [`durable`], [`secret`], [`shutdown`], [`telemetry`], [`tls`] | one small thing each |
#![cfg_attr(
    feature = "emulator",
    doc = "| [`emulator`] | the other side of the wire: an event hub in the box |"
)]
#![cfg_attr(
    feature = "emulator",
    doc = "| [`simulator`] | a Dataverse that posts made-up contexts |"
)]
//!
//! # What is deliberately absent
//!
//! `tests/modules.rs` holds the arrows between the modules and checks the first three of these.
//!
//! - [`decoder`], [`context`], [`route`], [`ack`], [`budget`], [`standing`], [`health`] and [`status`] know no runtime, no clock,
//!   no input or output.
//! - Only `receiver`, `emulator` and `simulator` know AMQP.
//! - The emulator names nothing of ours, and the simulator neither the decoder nor the context: an
//!   encoder and a decoder with one author's mistake in common would agree.
//! - Only [`partition`] moves a checkpoint. A message that a sink let go of is not delivered: see
//!   [`sink::Delivery`].
//! - No queue without a bound. What a partition may have in flight is counted in events and in bytes, and the
//!   bytes of all partitions together have a bound too; the queues of the sinks have room for just that.
//! - No secret in a log, an error or `Debug`: see [`secret::Secret`].

#![expect(
    rustdoc::private_intra_doc_links,
    reason = "the map is for those who read the source: cargo doc --document-private-items"
)]

mod ack;
mod app;
mod backoff;
pub mod budget;
mod capture;
mod causes;
mod checkpoint;
pub mod cli;
mod config;
pub mod context;
pub mod decoder;
mod dispatcher;
mod duplicates;
mod durable;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod event;
mod health;
mod http;
mod message;
mod metrics;
mod otlp;
mod partition;
mod pretty;
pub mod receiver;
mod redrive;
mod replay;
mod route;
pub mod secret;
mod settings;
mod shutdown;
#[cfg(feature = "emulator")]
pub mod simulator;
mod sink;
pub mod standing;
mod status;
mod systemd;
mod telemetry;
mod tls;
mod trace;
