//! A small client over stock fe2o3-amqp, which shares no code with the emulator's encoder or links.

use std::time::Duration;

use dataverse_listener::emulator::{Emulator, Options};
use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{LinkStateError, ReceiverAttachError, RecvError, SenderAttachError};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{Error, Fields};
use fe2o3_amqp::types::messaging::annotations::OwnedKey;
use fe2o3_amqp::types::messaging::{Body, Message, Source};
use fe2o3_amqp::types::primitives::{Symbol, Value};
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use tokio::net::TcpStream;

pub(crate) const EARLIEST: &str = "amqp.annotation.x-opt-offset > '-1'";
pub(crate) const LATEST: &str = "amqp.annotation.x-opt-offset > '@latest'";

/// Anything that must happen happens within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing must happen to be believed.
const QUIET: Duration = Duration::from_millis(100);

/// A hub named `hub` of two partitions, with the groups `$Default` and `second`.
pub(crate) fn options() -> Options {
    Options {
        hub: "hub".to_owned(),
        partitions: 2,
        consumer_groups: vec!["second".to_owned()],
        ..Options::default()
    }
}

pub(crate) async fn start() -> Emulator {
    Emulator::start(options()).await.unwrap()
}

/// Enqueues `count` events with the bodies `0`, `1`, ... into a partition.
pub(crate) fn fill(emulator: &Emulator, partition: u16, count: usize) {
    for number in 0..count {
        emulator
            .append_body(partition, number.to_string().as_bytes())
            .unwrap();
    }
}

/// Waits for something that must happen.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it happens in time")
}

/// Waits until the hub has become what is asked for.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A connection with a session for each link.
pub(crate) struct Client {
    connection: ConnectionHandle<()>,
    sessions: Vec<SessionHandle<()>>,
}

/// How a receiver attaches.
#[derive(Clone)]
pub(crate) struct Attach<'a> {
    pub(crate) address: &'a str,
    pub(crate) selector: &'a str,
    pub(crate) epoch: Option<Value>,
    pub(crate) credit: CreditMode,
    pub(crate) capability: Option<&'a str>,
}

impl Default for Attach<'_> {
    fn default() -> Self {
        Self {
            address: "hub/ConsumerGroups/$Default/Partitions/0",
            selector: EARLIEST,
            epoch: None,
            credit: CreditMode::Auto(100),
            capability: None,
        }
    }
}

impl Client {
    /// Connects with the hub's key.
    pub(crate) async fn connect(emulator: &Emulator) -> Self {
        Self::with(emulator, "RootManageSharedAccessKey", "SAS_KEY_VALUE")
            .await
            .unwrap()
    }

    /// Connects with any key.
    pub(crate) async fn with(
        emulator: &Emulator,
        name: &str,
        key: &str,
    ) -> Result<Self, fe2o3_amqp::connection::OpenError> {
        let profile = SaslProfile::Plain {
            username: name.to_owned(),
            password: key.to_owned(),
        };
        Self::open(emulator, profile, 65_536).await
    }

    /// Connects without any right.
    pub(crate) async fn anonymous(emulator: &Emulator) -> Self {
        Self::open(emulator, SaslProfile::Anonymous, 65_536)
            .await
            .unwrap()
    }

    pub(crate) async fn open(
        emulator: &Emulator,
        profile: SaslProfile,
        max_frame_size: u32,
    ) -> Result<Self, fe2o3_amqp::connection::OpenError> {
        let stream = TcpStream::connect(emulator.address()).await.unwrap();
        let connection = Connection::builder()
            .container_id("test")
            .hostname("localhost")
            .scheme("amqp")
            .max_frame_size(max_frame_size)
            .sasl_profile(profile)
            .open_with_stream(stream);
        Ok(Self {
            connection: soon(connection).await?,
            sessions: Vec::new(),
        })
    }

    pub(crate) async fn session(&mut self) -> &mut SessionHandle<()> {
        self.session_of(5000).await
    }

    pub(crate) async fn session_of(&mut self, window: u32) -> &mut SessionHandle<()> {
        let builder = Session::builder().incoming_window(window);
        let session = soon(builder.begin(&mut self.connection)).await.unwrap();
        self.sessions.push(session);
        self.sessions.last_mut().unwrap()
    }

    pub(crate) async fn receive(
        &mut self,
        attach: Attach<'_>,
    ) -> Result<Receiver, ReceiverAttachError> {
        self.receive_in(attach, 5000).await
    }

    pub(crate) async fn receive_in(
        &mut self,
        attach: Attach<'_>,
        window: u32,
    ) -> Result<Receiver, ReceiverAttachError> {
        let filter = Described {
            descriptor: Descriptor::Code(0x0000_468C_0000_0004),
            value: Value::String(attach.selector.to_owned()),
        };
        let source = Source::builder()
            .address(attach.address)
            .add_to_filter("apache.org:selector-filter:string", filter)
            .build();
        let mut properties = Fields::new();
        properties.insert(
            "com.microsoft:receiver-name".into(),
            Value::String("test".into()),
        );
        if let Some(epoch) = attach.epoch {
            properties.insert("com.microsoft:epoch".into(), epoch);
        }
        let capabilities = attach.capability.into_iter().map(Symbol::from).collect();
        let session = self.session_of(window).await;
        let builder = Receiver::builder()
            .name("receiver")
            .source(source)
            .properties(properties)
            .set_desired_capabilities(capabilities)
            .credit_mode(attach.credit)
            .auto_accept(true);
        soon(builder.attach(session)).await
    }

    /// A receiver of a partition from the oldest event.
    pub(crate) async fn receiver(&mut self, partition: u16) -> Receiver {
        let address = format!("hub/ConsumerGroups/$Default/Partitions/{partition}");
        let attach = Attach {
            address: &address,
            ..Attach::default()
        };
        self.receive(attach).await.unwrap()
    }

    pub(crate) async fn sender(&mut self, address: &str) -> Result<Sender, SenderAttachError> {
        let session = self.session().await;
        soon(Sender::attach(session, "sender", address)).await
    }

    pub(crate) async fn close(mut self) {
        soon(self.connection.close()).await.unwrap();
    }
}

pub(crate) type Event = Message<Body<Value>>;

pub(crate) async fn next(receiver: &mut Receiver) -> Event {
    soon(receiver.recv::<Body<Value>>())
        .await
        .unwrap()
        .into_message()
}

/// The error that a receiver ends with, whatever it gets before.
pub(crate) async fn failure(receiver: &mut Receiver) -> RecvError {
    loop {
        if let Err(error) = soon(receiver.recv::<Body<Value>>()).await {
            return error;
        }
    }
}

/// The condition and description that the hub ends a receiver with.
pub(crate) async fn detachment(receiver: &mut Receiver) -> (String, String) {
    match failure(receiver).await {
        RecvError::LinkStateError(LinkStateError::RemoteClosedWithError(error)) => texts(&error),
        other => panic!("ended otherwise: {other:?}"),
    }
}

/// True when nothing comes for a while.
pub(crate) async fn is_quiet(receiver: &mut Receiver) -> bool {
    tokio::time::timeout(QUIET, receiver.recv::<Body<Value>>())
        .await
        .is_err()
}

pub(crate) async fn next_number(receiver: &mut Receiver) -> i64 {
    number(&next(receiver).await)
}

pub(crate) fn annotation(event: &Event, name: &str) -> Option<Value> {
    let annotations = event.message_annotations.as_ref()?;
    let key = OwnedKey::Symbol(name.into());
    annotations.0.get(&key).cloned()
}

pub(crate) fn number(event: &Event) -> i64 {
    match annotation(event, "x-opt-sequence-number") {
        Some(Value::Long(number)) => number,
        other => panic!("the sequence number is {other:?}"),
    }
}

/// The data sections of an event, one after the other.
pub(crate) fn body(event: &Event) -> Vec<u8> {
    match &event.body {
        Body::Data(sections) => sections.iter().flat_map(|data| data.0.to_vec()).collect(),
        other => panic!("the body is {other:?}"),
    }
}

/// The condition and description that a link was refused with.
pub(crate) fn refusal(error: &ReceiverAttachError) -> (String, String) {
    match error {
        ReceiverAttachError::RemoteClosedWithError(error) => texts(error),
        other => panic!("refused otherwise: {other:?}"),
    }
}

pub(crate) fn texts(error: &Error) -> (String, String) {
    // A short symbol: its code, its length, its text.
    let condition = serde_amqp::to_vec(&error.condition).unwrap();
    let condition = String::from_utf8(condition[2..].to_vec()).unwrap();
    (condition, error.description.clone().unwrap_or_default())
}
