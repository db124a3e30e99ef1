//! The sink against a server on a socket: what it sends, and what it makes of what comes back.

mod answers;
mod configuration;
/// The server that the integration tests use too.
#[path = "../../../tests/it/http.rs"]
mod http;
mod identity;
mod requests;
mod secure;

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::*;
use crate::ack::{Limit, Window};
use crate::causes::Causes;
use crate::event::{Offset, Position, SequenceNumber};
use crate::message::{Message, samples};
use crate::sink::{DeadLetter, Receipt, Shipment};
use http::{Answer, Request, Server};

/// The table of a sink with this text.
pub(super) fn table(toml: &str) -> Settings {
    let file = config::File::from_str(toml, config::FileFormat::Toml);
    let built = config::Config::builder().add_source(file).build().unwrap();
    Settings::new("sink[0]", built.cache)
}

fn endpoint(toml: &str) -> Endpoint {
    let (webhook, mistakes) = read(table(toml));
    assert!(mistakes.is_empty(), "{mistakes:?}");
    Endpoint::new(webhook).unwrap()
}

fn delivery(message: Message) -> Delivery {
    let mut window = Window::new(Limit {
        events: 1,
        bytes: 1,
    });
    let position = Position {
        sequence_number: SequenceNumber(0),
        offset: Offset::new("0"),
    };
    let (settle, _) = mpsc::channel(1);
    let receipt = Receipt::new(1, window.begin(position, 0), settle);
    Delivery::new(Arc::new(Shipment { message, receipt }))
}

fn dead_letter(message: Message, sink: Option<&str>) -> Delivery {
    delivery(message).into_dead_letter(DeadLetter {
        sink: sink.map(Into::into),
        reason: "the server answered 422".to_owned(),
        time: OffsetDateTime::UNIX_EPOCH,
    })
}

/// A context of an asynchronous step, as it comes: `operation` tells it from others.
fn update(operation: &str) -> Message {
    samples::message(&format!(
        r#"{{"MessageName":"Update","PrimaryEntityName":"account","InputParameters":[{{"key":"Target","value":{{"__type":"Entity:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts","Attributes":[],"Id":"6420f0cc-916b-ee11-9ae6-000d3a688809","LogicalName":"account"}}}}],"Mode":1,"CorrelationId":"11111111-1111-1111-1111-111111111111","OperationId":"{operation}","OperationCreatedOn":"\/Date(1700000000000+0000)\/","OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73","OrganizationName":"contoso","PrimaryEntityId":"6420f0cc-916b-ee11-9ae6-000d3a688809"}}"#
    ))
}

const OPERATION: &str = "5c34e7a0-3d6a-ee11-9ae7-000d3a688809";
const OTHER_OPERATION: &str = "6d34e7a0-3d6a-ee11-9ae7-000d3a688809";

/// Posts one batch with these settings to a server that accepts it; the request that it got.
async fn post(toml: &str, batch: &[Delivery]) -> Request {
    let server = Server::start(|_, _| Answer::status(204));
    let toml = format!("url = \"{}\"\n{toml}", server.url("/in"));
    endpoint(&toml).attempt(batch).await.unwrap();
    let [request] = server
        .wait_for(|requests| !requests.is_empty())
        .try_into()
        .unwrap();
    request
}

/// What is said of an attempt that fails.
async fn failure(endpoint: &Endpoint) -> String {
    let batch = [delivery(update(OPERATION))];
    let error = endpoint.attempt(&batch).await.unwrap_err();
    Causes(&error).to_string()
}
