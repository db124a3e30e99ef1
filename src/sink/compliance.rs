//! What every kind of sink must do, checked the same way for each. Its tests call [`check`].

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Body, DeadLetter, Delivery, OnRefusal, Orders, Parse, QueueLimit, Receipt, Settled, Shipment,
    SinkConfig, queue,
};
use crate::ack::{Limit, Window};
use crate::message::{Message, samples};
use crate::settings::Settings;

/// A sink under test, and what lies behind it.
pub(super) struct Subject {
    /// The sink, as its settings made it.
    pub config: Box<dyn SinkConfig>,
    /// The bodies that have arrived so far, in their order, without what separates them.
    pub arrived: Box<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>,
}

/// The settings that `toml` and `body` make, of which nothing may be wrong.
#[track_caller]
pub(super) fn parsed(parse: Parse, body: Body, toml: &str) -> Box<dyn SinkConfig> {
    let body = body.to_possible_value().unwrap();
    let toml = format!("body = \"{}\"\n{toml}", body.get_name());
    let file = config::File::from_str(&toml, config::FileFormat::Toml);
    let table = config::Config::builder().add_source(file).build().unwrap();
    let (config, mistakes) = parse(Settings::new("sink[0]", table.try_deserialize().unwrap()));
    assert_eq!(mistakes, [], "{toml}");
    config
}

/// Checks that a kind of sink takes every body, reports what it refuses, takes dead letters, survives a
/// burst and finishes when it is closed. `subject` makes a sink with that body, with nothing behind it yet.
pub(super) async fn check(subject: impl Fn(Body) -> Subject + Sync) {
    for body in Body::value_variants() {
        assert_delivers(subject(*body), *body, 3, QueueLimit::default()).await;
        assert_delivers(subject(*body), *body, 0, QueueLimit::default()).await;
    }
    assert_refusal_is_reported(subject(Body::Context)).await;
    assert_dead_letter_keeps_its_reason(subject(Body::Message)).await;
    let narrow = QueueLimit {
        events: 16,
        bytes: 4096,
    };
    assert_delivers(subject(Body::Message), Body::Message, 1000, narrow).await;
}

/// Nothing here takes this long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

async fn assert_delivers(subject: Subject, body: Body, count: usize, limit: QueueLimit) {
    let deliveries = Deliveries::of(count, |_| samples::context("Create", "account"));
    let expected: Vec<Vec<u8>> = deliveries
        .waiting
        .iter()
        .map(|delivery| text(body, delivery))
        .collect();
    let outcomes = deliveries
        .pass(subject.config, limit, OnRefusal::Hold)
        .await;
    assert_eq!((subject.arrived)(), expected, "{body:?}");
    assert_eq!(outcomes.len(), count);
}

async fn assert_refusal_is_reported(subject: Subject) {
    let deliveries = Deliveries::of(3, |number| match number {
        1 => samples::message("?"),
        _ => samples::context("Create", "account"),
    });
    let expected = [0, 2].map(|index| text(Body::Context, &deliveries.waiting[index]));
    let (dead_letters, mut refused) = queue(
        "dead letters",
        QueueLimit::default(),
        OnRefusal::Hold,
        orders(),
    );
    let collect = async {
        let mut seen = Vec::new();
        while let Some(delivery) = refused.deliveries.recv().await {
            let dead = delivery.dead_letter().unwrap();
            seen.push((
                delivery.message().event.sequence_number.0,
                dead.reason.clone(),
            ));
            delivery.accept();
        }
        seen
    };
    let pass = deliveries.pass(
        subject.config,
        QueueLimit::default(),
        OnRefusal::DeadLetter(dead_letters),
    );
    let (outcomes, seen) = tokio::join!(pass, collect);
    assert_eq!((subject.arrived)(), expected);
    assert_eq!(outcomes.len(), 3);
    let [(1, reason)] = &seen[..] else {
        panic!("one was to be refused, not {seen:?}");
    };
    assert!(reason.contains("could not be decoded"), "{reason}");
}

async fn assert_dead_letter_keeps_its_reason(subject: Subject) {
    let mut deliveries = Deliveries::of(1, |_| samples::message("?"));
    let dead = DeadLetter {
        sink: Some("broken".into()),
        reason: "the server answered 422".to_owned(),
        time: OffsetDateTime::UNIX_EPOCH,
    };
    let delivery = deliveries.waiting.remove(0);
    deliveries.waiting.push(delivery.into_dead_letter(dead));
    deliveries
        .pass(subject.config, QueueLimit::default(), OnRefusal::Hold)
        .await;
    let arrived = (subject.arrived)();
    let document: serde_json::Value = serde_json::from_slice(&arrived[0]).unwrap();
    assert_eq!(document["dead_letter"]["reason"], "the server answered 422");
    assert_eq!(document["dead_letter"]["body"], "Pw==");
}

/// Deliveries that wait to be passed to a sink.
struct Deliveries {
    waiting: Vec<Delivery>,
    settled: mpsc::Receiver<Settled>,
}

impl Deliveries {
    /// So many, numbered from 0 on.
    fn of(count: usize, message: impl Fn(usize) -> Message) -> Self {
        let (settle, settled) = mpsc::channel(count.max(1));
        let mut window = Window::new(Limit {
            events: count,
            bytes: usize::MAX,
        });
        let number = |index: usize| {
            let mut message = message(index);
            message.event.sequence_number.0 = i64::try_from(index).unwrap();
            let ticket = window.begin(message.event.position(), 0);
            let receipt = Receipt::new(1, ticket, settle.clone());
            Delivery::new(Arc::new(Shipment { message, receipt }))
        };
        Self {
            waiting: (0..count).map(number).collect(),
            settled,
        }
    }

    /// Passes them through a sink until that has finished; each must have been accepted.
    async fn pass(
        mut self,
        sink: Box<dyn SinkConfig>,
        limit: QueueLimit,
        on_refusal: OnRefusal,
    ) -> Vec<Settled> {
        let (handle, queue) = queue("tested", limit, on_refusal, orders());
        let worker = sink.start(queue).unwrap();
        for delivery in self.waiting {
            tokio::time::timeout(PATIENCE, handle.send(delivery))
                .await
                .unwrap();
        }
        drop(handle);
        let ended = tokio::time::timeout(PATIENCE, worker).await;
        ended
            .expect("it finishes when it is closed")
            .unwrap()
            .unwrap();
        let mut outcomes = Vec::new();
        while let Some(settled) = self.settled.recv().await {
            assert!(matches!(settled, Settled::Accepted(_)), "{settled:?}");
            outcomes.push(settled);
        }
        outcomes
    }
}

/// A delivery that nobody waits for.
pub(super) fn delivery(message: Message) -> Delivery {
    let mut window = Window::new(Limit {
        events: 1,
        bytes: 1,
    });
    let receipt = Receipt::new(
        1,
        window.begin(message.event.position(), 0),
        mpsc::channel(1).0,
    );
    Delivery::new(Arc::new(Shipment { message, receipt }))
}

fn orders() -> Orders {
    Orders {
        force: CancellationToken::new(),
        reopen: watch::channel(0).1,
    }
}

fn text(body: Body, delivery: &Delivery) -> Vec<u8> {
    let mut text = Vec::new();
    body.render(delivery, &mut text).unwrap();
    text
}
