//! Receives from any AMQP 1.0 server with the engine alone: to try it with servers that share no code with
//! it, and to measure it.
//!
//!     receive ADDRESS:PORT NODE COUNT [CREDIT]
//!
//! A `{}` in NODE stands for the numbers from 0 to LINKS - 1 (environment, 1): so many links are attached, on one
//! connection. AMQP_USER and AMQP_PASSWORD are sent by SASL PLAIN, where they are set. SETTLED=0 lets the
//! server wait for a word on each message. REATTACH=N attaches each link anew after N messages, as RENEW says: when
//! the `link` was detached (the default), its `session` ended, or its `connection` closed, which then is its own.
//! EXHAUST=1 grants credit only when all that was granted is used up, and not when half of it is. TELL=1 says
//! when a link is attached. EVENTS=1 makes an event of each message, as the receiver does. WHOLE=1 reads the
//! partitions with the receiver itself, supervised and kept within its bounds, each over a connection of its own: of an
//! event hub then, the numbers being its partitions.
//! Says how many messages came and how large they were, with a sum of their bodies, and what that cost.
#![expect(
    clippy::print_stdout,
    reason = "what it prints is what it is asked for"
)]

use std::alloc::System;
use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use dataverse_listener::budget::Hold;
use dataverse_listener::event::{Event, PartitionId};
use dataverse_listener::receiver::engine::{
    Body, Cause, Delivery, Identity, LinkId, Message, Options, Running, SessionId, event,
};
use dataverse_listener::receiver::{Config, EventHub, Receiver, ReceiverError, StartPosition};
use dataverse_listener::secret::Secret;
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp::types::messaging::{Source, Target, TargetArchetype};
use fe2o3_amqp::types::performatives::Attach;
use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::net::TcpStream;
use tokio::sync::Notify;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// While so many bytes lie unread, no more is read.
const BOUND: usize = 16 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, node, count, rest @ ..] = arguments.as_slice() else {
        println!(
            "usage: receive ADDRESS:PORT NODE COUNT [CREDIT]; see benches/engines and tests/amqp/run"
        );
        return Ok(());
    };
    let credit = rest.first().map_or(Ok(1000), |credit| credit.parse())?;
    let plan = Plan {
        address: address.clone(),
        node: node.clone(),
        count: count.parse()?,
        credit,
        reattach: variable("REATTACH")?.unwrap_or(u64::MAX),
        renewed: match env::var("RENEW").as_deref() {
            Err(_) | Ok("link") => Renewed::Link,
            Ok("session") => Renewed::Session,
            Ok("connection") => Renewed::Connection,
            Ok(other) => return Err(format!("RENEW={other}: link, session or connection").into()),
        },
        is_exhausted: variable("EXHAUST")? == Some(1),
        is_whole: variable("WHOLE")? == Some(1),
        makes_events: variable("EVENTS")? == Some(1),
        is_told: variable("TELL")? == Some(1),
        is_settled: variable("SETTLED")? != Some(0),
    };
    let links = variable("LINKS")?.unwrap_or(1);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(receive(&plan, links))
}

fn variable(name: &str) -> Result<Option<u64>, std::num::ParseIntError> {
    env::var(name).ok().map(|text| text.parse()).transpose()
}

/// What is to be done on each link.
struct Plan {
    address: String,
    node: String,
    count: u64,
    credit: u32,
    reattach: u64,
    renewed: Renewed,
    is_exhausted: bool,
    is_told: bool,
    is_whole: bool,
    makes_events: bool,
    is_settled: bool,
}

/// What goes with a link that is attached anew.
#[derive(PartialEq)]
enum Renewed {
    Link,
    Session,
    Connection,
}

/// What came.
#[derive(Default)]
struct Seen {
    messages: u64,
    bytes: u64,
    sum: u64,
}

impl Seen {
    fn take(&mut self, body: &[u8]) {
        self.messages += 1;
        self.bytes += body.len() as u64;
        let ends = [body.first(), body.last()].into_iter().flatten();
        self.sum += ends.map(|byte| u64::from(*byte)).sum::<u64>();
    }

    fn take_event(&mut self, event: &Event) {
        self.take(event.body.bytes());
        std::hint::black_box(event);
    }
}

/// What came on all links, and what that cost.
#[derive(Default)]
struct Total {
    seen: Mutex<Seen>,
    /// When the first message came.
    start: OnceLock<(Instant, Duration, Region<'static, System>)>,
    is_done: Notify,
}

impl Total {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first call counts.
    fn begin(&self) {
        self.start
            .get_or_init(|| (Instant::now(), cpu(), Region::new(ALLOCATOR)));
    }

    fn report(&self) {
        if let Some((wall, used, region)) = self.start.get() {
            report(&self.lock(), wall.elapsed(), cpu() - *used, region);
        }
    }
}

async fn receive(plan: &Plan, links: u64) -> Result<(), Box<dyn Error>> {
    if plan.is_whole {
        return receive_whole(plan, links).await;
    }
    let mut carriers = Vec::new();
    for number in 0..links {
        let shared = carriers.first().map(Arc::clone);
        carriers.push(match shared {
            Some(shared) if plan.renewed != Renewed::Connection => shared,
            _ => Arc::new(
                Carrier::open(plan, &number.to_string())
                    .await
                    .map_err(told)?,
            ),
        });
    }
    let total = Total::default();
    let readers = (0..links)
        .zip(&carriers)
        .map(|(number, carrier)| read(Arc::clone(carrier), plan, number, &total));
    tokio::select! {
        results = futures_util::future::join_all(readers) => {
            results.into_iter().collect::<Result<Vec<()>, Cause>>().map_err(told)?;
            return Err("every link has ended".into());
        }
        () = total.is_done.notified() => {}
    }
    total.report();
    for carrier in carriers {
        carrier.running.close().await;
    }
    Ok(())
}

/// Reads partitions of an event hub as the daemon does.
async fn receive_whole(plan: &Plan, links: u64) -> Result<(), Box<dyn Error>> {
    let opened = format!(
        "Endpoint=sb://{};SharedAccessKeyName=name;SharedAccessKey=key;UseDevelopmentEmulator=true",
        plan.address
    );
    let (event_hub, _) = plan.node.split_once('/').ok_or("NODE names no hub")?;
    let start = StartPosition::Earliest;
    let config = Config {
        prefetch_events: plan.credit,
        ..Config::new(opened.parse()?, Some(event_hub), "$Default", start.clone())?
    };
    let hub = EventHub::new(config);
    let total = Total::default();
    let readers = (0..links).map(|number| {
        let receiver = hub.receiver(PartitionId::new(&number.to_string()), start.clone());
        read_whole(receiver, plan, &total)
    });
    tokio::select! {
        results = futures_util::future::join_all(readers) => {
            results.into_iter().collect::<Result<Vec<()>, _>>()?;
        }
        () = total.is_done.notified() => {}
    }
    total.report();
    Ok(())
}

async fn read_whole(
    mut receiver: Receiver,
    plan: &Plan,
    total: &Total,
) -> Result<(), ReceiverError> {
    loop {
        let first = receiver.receive().await?;
        total.begin();
        let mut seen = total.lock();
        seen.take_event(&first);
        while let Some(event) = receiver.try_receive()? {
            seen.take_event(&event);
        }
        if seen.messages >= plan.count {
            total.is_done.notify_one();
        }
    }
}

/// A session, on a connection.
struct Carrier {
    running: Running,
    session: SessionId,
}

impl Carrier {
    async fn open(plan: &Plan, name: &str) -> Result<Self, Cause> {
        let failed = |error: std::io::Error| Cause::Io(error.kind(), error.to_string());
        let stream = TcpStream::connect(&plan.address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let identity = match (env::var("AMQP_USER"), env::var("AMQP_PASSWORD")) {
            (Ok(user), Ok(password)) => Identity::Plain {
                user,
                password: Secret::new(password),
            },
            _ => Identity::Anonymous,
        };
        let options = Options {
            container_id: format!("receive-{}-{name}", std::process::id()),
            hostname: "localhost".to_owned(),
            identity,
        };
        let running = Running::start(stream, options, Hold::alone(BOUND));
        running.opened().await?;
        let session = running.begin().await?;
        Ok(Self { running, session })
    }
}

fn report(total: &Seen, wall: Duration, used: Duration, region: &Region<'_, System>) {
    let events = total.messages as f64;
    let change = region.change();
    println!(
        "{} messages, {} bytes, sum {}; {:.0} events/s, {:.2} us/event, {:.2} allocations/event, \
         {} MiB resident at most",
        total.messages,
        total.bytes,
        total.sum,
        events / wall.as_secs_f64(),
        used.as_secs_f64() * 1e6 / events,
        (change.allocations + change.reallocations) as f64 / events,
        most_resident().map_or_else(|| "?".to_owned(), |kibibytes| (kibibytes >> 10).to_string()),
    );
}

/// The most memory that this process has had, in KiB.
fn most_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let most = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    most.split_whitespace().next()?.parse().ok()
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn told(cause: Cause) -> String {
    format!("{cause:?}")
}

async fn read(
    mut carrier: Arc<Carrier>,
    plan: &Plan,
    number: u64,
    total: &Total,
) -> Result<(), Cause> {
    let partition = PartitionId::new(&number.to_string());
    let made_of = plan.makes_events.then_some(&partition);
    let (mut session, mut life) = (carrier.session, 0);
    loop {
        life += 1;
        let running = &carrier.running;
        let link = attach(running, session, plan, number, life).await?;
        if plan.is_told {
            println!("attached");
        }
        let mut queue = VecDeque::new();
        let (mut left, mut ahead) = (plan.reattach, 0);
        while left > 0 {
            // Never more than is still to be taken on this link.
            let most = u64::from(plan.credit).min(left) as u32;
            let least = if plan.is_exhausted { 0 } else { most / 2 };
            if ahead <= least {
                running.grant(link, most, queue.len());
                ahead = most;
            }
            running.receive(link, &mut queue).await?;
            total.begin();
            let count = queue.len() as u64;
            let mut seen = total.lock();
            while let Some(delivery) = queue.pop_front() {
                take(running, &delivery, made_of, &mut seen);
            }
            left = left.saturating_sub(count);
            ahead = ahead.saturating_sub(count as u32);
            if seen.messages >= plan.count {
                total.is_done.notify_one();
            }
        }
        running.detach(link);
        match plan.renewed {
            Renewed::Link => {}
            Renewed::Session => {
                running.end(session);
                session = running.begin().await?;
            }
            Renewed::Connection => {
                running.close().await;
                carrier = Arc::new(Carrier::open(plan, &format!("{number}-{life}")).await?);
                session = carrier.session;
            }
        }
    }
}

/// Reads a message; makes an event of it where it is told of which partition.
fn take(running: &Running, delivery: &Delivery, made_of: Option<&PartitionId>, seen: &mut Seen) {
    running.took(delivery);
    let Ok(message) = Message::read(delivery.message.clone()) else {
        return;
    };
    if let Some(partition) = made_of {
        if let Some(made) = event(partition, message) {
            seen.take_event(&made);
        }
        return;
    }
    std::hint::black_box((
        message.sequence_number(),
        message.offset(),
        message.enqueued_time(),
        message.partition_key(),
        message.content_type(),
    ));
    if let Body::Data(body) | Body::Value(body) = message.body() {
        seen.take(&body);
    }
}

async fn attach(
    running: &Running,
    session: SessionId,
    plan: &Plan,
    number: u64,
    life: u64,
) -> Result<LinkId, Cause> {
    let node = plan.node.replace("{}", &number.to_string());
    let attach = Attach {
        name: format!("receive-{number}-{life}"),
        handle: 0.into(),
        role: Role::Receiver,
        snd_settle_mode: match plan.is_settled {
            true => SenderSettleMode::Settled,
            false => SenderSettleMode::Unsettled,
        },
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(Box::new(Source::builder().address(node).build())),
        target: Some(Box::new(TargetArchetype::Target(
            Target::builder().address("receive").build(),
        ))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: None,
        max_message_size: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    };
    running.attach(session, attach).await
}
