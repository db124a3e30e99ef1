//! Receiving, against the hub in the box and over real sockets, with the faults that a hub can have.
#![cfg(feature = "emulator")]

mod between;

/// Everything that every engine must do, for one of them. To add a file: its line here.
macro_rules! suite {
    ($name:ident, $engine:expr) => {
        mod $name {
            use dataverse_listener::receiver::Engine;

            const ENGINE: Engine = $engine;

            include!("suite.rs");
            include!("faults.rs");
            include!("lost.rs");
            include!("owners.rs");
            include!("misbehaviour.rs");
            include!("transports.rs");
            include!("checkup.rs");
            include!("secrets.rs");
            include!("storm.rs");
            include!("peers.rs");
            include!("budget.rs");
            include!("standing.rs");
            include!("at_hand.rs");
        }
    };
}

suite!(own, Engine::Own);
suite!(fe2o3, Engine::Fe2o3);
