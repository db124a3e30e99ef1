//! Receiving, against the hub in the box and over real sockets, with the faults that a hub can have.
#![cfg(feature = "emulator")]

mod between;

mod own {
    use dataverse_listener::receiver::Engine;

    const ENGINE: Engine = Engine::Own;

    include!("suite.rs");
    include!("faults.rs");
    include!("lost.rs");
    include!("owners.rs");
    include!("misbehaviour.rs");
    include!("transports.rs");
    include!("secrets.rs");
}

mod fe2o3 {
    use dataverse_listener::receiver::Engine;

    const ENGINE: Engine = Engine::Fe2o3;

    include!("suite.rs");
    include!("faults.rs");
    include!("lost.rs");
    include!("owners.rs");
    include!("misbehaviour.rs");
    include!("transports.rs");
    include!("secrets.rs");
}
