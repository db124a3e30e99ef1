//! Access: tokens, keys, and what is refused without them.

use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::types::messaging::{AmqpValue, ApplicationProperties, Body, Message, Properties};
use fe2o3_amqp::types::primitives::{SimpleValue, Value};
use fe2o3_amqp::{Receiver, Sender};

use crate::client::*;

/// Signed by SAS_KEY_VALUE for sb://localhost/hub until 2100.
const GOOD: &str = "SharedAccessSignature sr=sb%3A%2F%2Flocalhost%2Fhub&sig=6iidfCnIh6tUt0Ee1yAtRUALQTcyVLlc%2FdjSCNa1mFM%3D&se=4102444800&skn=RootManageSharedAccessKey";
/// The same until 2023.
const EXPIRED: &str = "SharedAccessSignature sr=sb%3A%2F%2Flocalhost%2Feh1&sig=bXwnzzxeV2PFlM%2BGaXaWproC2URqPYHFIhvxuIqXTAA%3D&se=1700000000&skn=RootManageSharedAccessKey";
const SAS: &str = "servicebus.windows.net:sastoken";

/// A pair of links to `$cbs` or `$management`.
struct Node {
    sender: Sender,
    receiver: Receiver,
}

impl Node {
    async fn attach(client: &mut Client, name: &str) -> Self {
        let session = client.session().await;
        let sender = soon(Sender::attach(session, "requests", name))
            .await
            .unwrap();
        let receiver = Receiver::builder()
            .name("responses")
            .source(name)
            .target("me")
            .credit_mode(CreditMode::Auto(10))
            .auto_accept(true);
        let receiver = soon(receiver.attach(session)).await.unwrap();
        Self { sender, receiver }
    }

    async fn ask(&mut self, properties: &[(&str, &str)], body: &str) -> Event {
        let mut asked = ApplicationProperties::builder();
        for (name, value) in properties {
            asked = asked.insert(*name, *value);
        }
        let request = Message::builder()
            .properties(
                Properties::builder()
                    .message_id(7_u64)
                    .reply_to("me")
                    .build(),
            )
            .application_properties(asked.build())
            .value(Value::String(body.to_owned()))
            .build();
        soon(self.sender.send(request)).await.unwrap();
        next(&mut self.receiver).await
    }

    async fn put(&mut self, kind: &str, name: &str, token: &str) -> (i32, String) {
        let properties = [("operation", "put-token"), ("type", kind), ("name", name)];
        status(&self.ask(&properties, token).await)
    }
}

fn status(response: &Event) -> (i32, String) {
    let properties = &response.application_properties.as_ref().unwrap().0;
    match (
        properties.get("status-code"),
        properties.get("status-description"),
    ) {
        (Some(SimpleValue::Int(code)), Some(SimpleValue::String(text))) => (*code, text.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_opens_the_hub_and_nothing_else_does() {
    let emulator = start().await;
    fill(&emulator, 0, 1);
    let mut client = Client::anonymous(&emulator).await;
    let refused = client.receive(Attach::default()).await.unwrap_err();
    let (condition, description) = refusal(&refused);
    assert_eq!(condition, "amqp:unauthorized-access");
    assert!(description.starts_with("Unauthorized access. 'Listen' claim(s) are required"));
    assert!(client.sender("hub").await.is_err());

    let mut cbs = Node::attach(&mut client, "$cbs").await;
    for (kind, name, token, code, text) in [
        (
            SAS,
            "sb://localhost/eh1",
            EXPIRED,
            401,
            "ExpiredToken: The token is expired.",
        ),
        (
            SAS,
            "sb://localhost/hub",
            &GOOD.replace("4102444800", "4102444801"),
            401,
            "InvalidSignature: The token has an invalid signature.",
        ),
        (
            SAS,
            "sb://localhost/other",
            GOOD,
            401,
            "InvalidAudience: The token was issued for another audience.",
        ),
        (
            "jwt",
            "sb://localhost/hub",
            "eyJ",
            401,
            "UnsupportedToken: This hub takes shared access signatures only, no Entra ID tokens.",
        ),
        (SAS, "amqps://LOCALHOST:5671/Hub/", GOOD, 202, "Accepted"),
    ] {
        assert!(client.receive(Attach::default()).await.is_err());
        assert_eq!(
            cbs.put(kind, name, token).await,
            (code, text.to_owned()),
            "{name}"
        );
    }
    let mut receiver = client.receive(Attach::default()).await.unwrap();
    assert_eq!(next_number(&mut receiver).await, 0);
}

#[tokio::test]
async fn a_connection_has_one_pair_of_cbs_links() {
    let emulator = start().await;
    let mut client = Client::anonymous(&emulator).await;
    let cbs = Node::attach(&mut client, "$cbs").await;
    let session = client.session().await;
    let second = soon(Sender::attach(session, "second", "$cbs"))
        .await
        .unwrap_err();
    assert!(format!("{second:?}").contains("NotAllowed"), "{second:?}");
    soon(cbs.sender.close()).await.unwrap();
    soon(cbs.receiver.close()).await.unwrap();
    Node::attach(&mut client, "$cbs").await;
}

#[tokio::test]
async fn a_wrong_key_does_not_pass_sasl() {
    let emulator = start().await;
    for (name, key) in [
        ("RootManageSharedAccessKey", "wrong"),
        ("wrong", "SAS_KEY_VALUE"),
    ] {
        assert!(Client::with(&emulator, name, key).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn management_tells_about_hub_and_partitions() {
    let emulator = start().await;
    fill(&emulator, 1, 3);
    let mut client = Client::connect(&emulator).await;
    let mut management = Node::attach(&mut client, "$management").await;
    let read = |name, kind| {
        [
            ("operation", "READ"),
            ("name", name),
            ("type", kind),
            ("partition", "1"),
        ]
    };
    let hub = management
        .ask(&read("HUB", "com.microsoft:eventhub"), "")
        .await;
    assert_eq!(status(&hub).0, 200);
    assert_eq!(field(&hub, "name"), Some(Value::String("hub".into())));
    assert!(matches!(field(&hub, "partition_ids"), Some(Value::Array(ids)) if ids.0.len() == 2));
    let partition = management
        .ask(&read("hub", "com.microsoft:partition"), "")
        .await;
    assert_eq!(
        field(&partition, "last_enqueued_sequence_number"),
        Some(Value::Long(2))
    );
    assert_eq!(
        field(&partition, "is_partition_empty"),
        Some(Value::Bool(false))
    );
    let missing = management
        .ask(&read("other", "com.microsoft:eventhub"), "")
        .await;
    assert_eq!(status(&missing).0, 404);
    let mut wrong = read("hub", "com.microsoft:partition");
    wrong[3].1 = "9";
    assert_eq!(status(&management.ask(&wrong, "").await).0, 404);
}

fn field(response: &Event, name: &str) -> Option<Value> {
    match &response.body {
        Body::Value(AmqpValue(Value::Map(map))) => map.get(&Value::String(name.into())).cloned(),
        other => panic!("{other:?}"),
    }
}
