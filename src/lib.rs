//! The map of dataverse-listener: a daemon that receives Dataverse execution contexts from Azure Event Hubs.

pub mod backoff;
pub mod context;
pub mod decoder;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod event;
pub mod receiver;
pub mod secret;
#[cfg(feature = "emulator")]
pub mod simulator;
