//! `demo`: the whole way in one process, over real AMQP: a hub, a simulated Dataverse, and the listener.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use time::OffsetDateTime;

use super::exit::{Exit, Failure};
use super::listen::{self, GRACE, sentence};
use super::simulate::{self, rate};
use super::{say, shutdown_on_signals};
use crate::app::{App, AtStart};
use crate::emulator::{Emulator, Options};
use crate::receiver::{ConnectionString, StartPosition};
use crate::shutdown::Shutdown;
use crate::{simulator, sink};

/// See it at work: an event hub in this process, simulated Dataverse events, and the listener
///
/// Starts an event hub on a free port of this machine, posts execution contexts to it as Dataverse
/// would, listens to it over AMQP and prints every event. Ctrl-C ends it.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Which events are made up: the same seed, the same bytes
    #[arg(long, value_name = "S", default_value_t = simulator::DEFAULT_SEED)]
    seed: u64,

    /// The format of the made-up bodies
    #[arg(long, value_name = "FORMAT", default_value = "mixed")]
    bodies: simulator::Format,

    /// How many events are posted a second
    #[arg(long, value_name = "R/s", default_value = "5", value_parser = rate)]
    rate: f64,

    /// How an event is printed
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    format: sink::StdoutFormat,

    /// End after that many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
}

impl Demo {
    pub(super) async fn execute(self) -> Result<Exit, Failure> {
        let shutdown = shutdown_on_signals(GRACE)?;
        let emulator = Emulator::start(Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..Options::default()
        })
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, "start the event hub", &error))?;
        say(&format!(
            "event hub at {}: {}",
            emulator.address(),
            emulator.connection_string()
        ));
        say(&format!(
            "posting {} events a second to it; Ctrl-C stops this",
            self.rate
        ));
        let outcome = self.listen(&emulator.connection_string(), &shutdown).await;
        emulator.stop().await;
        outcome
    }

    /// Posts and prints until the wanted number is printed, or somebody stops it.
    async fn listen(self, connection_string: &str, shutdown: &Shutdown) -> Result<Exit, Failure> {
        let connection_string: ConnectionString = connection_string.parse().map_err(
            |error: crate::receiver::ConnectionStringError| {
                Failure::new(Exit::Software, "listen", &error)
            },
        )?;
        let hub =
            listen::receiver_config(connection_string, None, "$Default", StartPosition::Earliest)?;
        let options = simulator::Options {
            count: None,
            rate: Some(self.rate),
            seed: self.seed,
            format: self.bodies,
            start: Some(OffsetDateTime::now_utc()),
            files: Vec::new(),
            partition: None,
        };
        let posting = simulator::simulate(
            simulator::Hub {
                connection_string: hub.connection_string.clone(),
                event_hub: hub.event_hub.clone(),
                transport: hub.transport.clone(),
            },
            options,
            shutdown.stop_token(),
        );
        let config = listen::config(hub, Vec::new(), self.format, self.events);
        let listening = App::new(config, AtStart::Fail, shutdown.clone()).run(|_| ());
        // Either one ending ends the other: a closed output stops the listener, which stops the posting.
        let posting = async {
            let posted = posting.await;
            shutdown.stop();
            posted
        };
        let (listened, posted) = tokio::join!(listening, posting);
        let summary = listened.map_err(|error| Failure::of_app("listen", &error))?;
        posted.map_err(|error| simulate::failure(&error))?;
        if summary.closed_sink.is_none() || self.events.is_some() {
            say(&sentence(&summary));
        }
        Ok(Exit::Fine)
    }
}
