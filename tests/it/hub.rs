//! An event hub in this process, and programs that use it.

use dataverse_listener::emulator::{Emulator, Log, Options};

use crate::world::{Program, command};

/// An event hub in this process.
pub(crate) struct Hub {
    runtime: tokio::runtime::Runtime,
    emulator: Option<Emulator>,
    partitions: u16,
}

impl Hub {
    pub(crate) fn start(partitions: u16) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            partitions,
            ..Options::default()
        };
        let emulator = runtime.block_on(Emulator::start(options)).unwrap();
        Self {
            runtime,
            emulator: Some(emulator),
            partitions,
        }
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        self.emulator.as_ref().unwrap()
    }

    /// Runs something to its end on this hub's runtime.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Runs something beside the hub for as long as there is the hub.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    pub(crate) fn connection_string(&self) -> String {
        self.emulator().connection_string()
    }

    /// Stops the hub, does something without it, and starts one with the same events at the same port.
    pub(crate) fn restart(&mut self, meanwhile: impl FnOnce()) {
        self.replace(meanwhile, Some);
    }

    /// The same, but the new hub knows nothing of the old one.
    pub(crate) fn recreate(&mut self, meanwhile: impl FnOnce()) {
        self.replace(meanwhile, |_| None);
    }

    fn replace(&mut self, meanwhile: impl FnOnce(), keep: impl FnOnce(Log) -> Option<Log>) {
        let stopped = self.emulator.take().unwrap();
        let listen = stopped.address();
        let log = self.runtime.block_on(stopped.stop());
        meanwhile();
        let options = Options {
            listen,
            partitions: self.partitions,
            log: keep(log),
            ..Options::default()
        };
        self.emulator = Some(self.runtime.block_on(Emulator::start(options)).unwrap());
    }

    /// The program with this hub in its environment.
    pub(crate) fn program<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        Program::start(
            command(arguments).env("EVENTHUB_CONNECTION_STRING", self.connection_string()),
        )
    }

    /// Runs `simulate` with these arguments to its end.
    pub(crate) fn simulate<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) {
        let ended = self
            .program(["simulate"].into_iter().chain(arguments))
            .wait();
        assert!(ended.status.success(), "{}", ended.stderr);
    }
}
