//! What the daemon tells of itself, in the text formats that Prometheus and its kin read.
//!
//! Nothing is kept here, and nothing is done here when an event passes: each time that somebody asks, it is read how the
//! partitions stand, what dispatcher and sinks have counted, and what the system knows of the process. No service is
//! asked. What has no value is left out, rather than told as 0.
//!
//! Labels have few values: names out of the configuration, numbers of partitions, and closed sets. Nothing of an event is
//! one.

mod family;
mod form;
mod partitions;
mod passing;
mod process;
mod sinks;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use time::OffsetDateTime;

use crate::dispatcher::Tally;
use crate::sink::Gauge;
use crate::standing::Standings;

pub(crate) use form::Form;
use partitions::Partitions;
use process::Process;

/// What every name begins with that is not of the process.
const PREFIX: &str = "dataverse_listener";

/// Everything that is told of this process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    dispatching: Arc<Dispatching>,
}

/// What there is to tell of the dispatcher and its sinks, once there are any. It stays when they have ended.
#[derive(Debug, Default)]
struct Dispatching(Mutex<Option<(Tally, Vec<Gauge>)>>);

impl Metrics {
    /// Those of the partitions that `standings` has or will have.
    pub(crate) fn new(standings: Arc<Standings>) -> Self {
        Self::at(standings, OffsetDateTime::now_utc)
    }

    /// The same, with this clock.
    fn at(standings: Arc<Standings>, clock: fn() -> OffsetDateTime) -> Self {
        let mut registry = Registry::default();
        let dispatching = Arc::<Dispatching>::default();
        let ours = registry.sub_registry_with_prefix(PREFIX);
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("os", std::env::consts::OS),
            ("arch", std::env::consts::ARCH),
        ];
        ours.register("build", "The program", Info::new(build));
        ours.register_collector(Box::new(Partitions { standings, clock }));
        ours.register_collector(Box::new(Arc::clone(&dispatching)));
        registry.register_collector(Box::new(Process::myself()));
        Self {
            registry,
            dispatching,
        }
    }

    /// From now on these are told of the dispatcher and its sinks.
    pub(crate) fn follow(&self, tally: Tally, sinks: Vec<Gauge>) {
        *self.dispatching.lock() = Some((tally, sinks));
    }

    /// Those that are told of, once there are any.
    pub(crate) fn followed(&self) -> Option<(Tally, Vec<Gauge>)> {
        self.dispatching.lock().clone()
    }

    /// All of them as they are now, in one of the formats.
    ///
    /// # Errors
    /// When a value has no form as text: a fault of this program.
    pub(crate) fn encode(&self, form: Form) -> Result<String, fmt::Error> {
        let mut text = String::new();
        match form {
            Form::OpenMetrics => text::encode(&mut text, &self.registry)?,
            Form::Prometheus => prometheus_text::encode(&mut text, &self.registry)?,
        }
        Ok(text)
    }
}

impl Dispatching {
    fn lock(&self) -> MutexGuard<'_, Option<(Tally, Vec<Gauge>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Dispatching {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let following = self.lock().clone();
        match following {
            Some((tally, gauges)) => {
                passing::encode(&tally, &mut encoder)?;
                sinks::encode(&gauges, &mut encoder)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;
    use std::time::Duration;

    use time::macros::datetime;
    use tokio::sync::{mpsc, watch};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::ack::{Limit, Window};
    use crate::dispatcher::{Dispatched, Dispatcher, Plan};
    use crate::duplicates::Duplicates;
    use crate::event::{Offset, PartitionId, Position, SequenceNumber, Source};
    use crate::message::samples;
    use crate::route::Routes;
    use crate::sink::{
        self, Delivery, DeliveryError, OnRefusal, Orders, Progress, QueueLimit, Receipt, Sink,
    };
    use crate::standing::{InFlight, LastEnqueued, LossKind, Mark, Standing};

    const NOW: OffsetDateTime = datetime!(2026-01-31 12:00 UTC);

    /// Events come half a second apart, the first of them a minute ago.
    fn mark(number: i64) -> Mark {
        Mark {
            sequence_number: SequenceNumber(number),
            enqueued_time: NOW - Duration::from_secs(60)
                + Duration::from_millis(500) * number as u32,
        }
    }

    fn standing(partition: &str) -> Arc<Standing> {
        let source = Source {
            namespace: "contoso.servicebus.windows.net".to_owned(),
            event_hub: "events".to_owned(),
            consumer_group: "$Default".to_owned(),
        };
        let standing = Standing::new(Arc::new(source), PartitionId::new(partition), NOW);
        Arc::new(standing)
    }

    /// One partition that is read and has been lost twice, and one that nothing is known of.
    fn standings() -> Arc<Standings> {
        let (busy, idle) = (standing("0"), standing("1"));
        busy.waits(LossKind::Stolen, "another reader", NOW);
        busy.waits(LossKind::Stolen, "another reader", NOW);
        busy.attached(NOW);
        let last = LastEnqueued {
            mark: mark(9),
            as_of: NOW,
        };
        for number in 0..7 {
            busy.received(mark(number), Some(last));
        }
        busy.delivered(mark(4), Some(mark(5)), NOW);
        busy.holds(InFlight {
            events: 2,
            bytes: 3000,
        });
        busy.checkpointed(true);
        busy.checkpointed(false);
        // Read anew since: the one before is not told beside it.
        let before = standing("0");
        before.received(mark(1), None);
        let all = Standings::default();
        [before, busy, idle]
            .into_iter()
            .for_each(|one| all.add(one));
        Arc::new(all)
    }

    /// Fails once, and refuses nothing.
    struct Moody {
        has_failed: bool,
    }

    impl Sink for Moody {
        async fn deliver(&mut self, messages: &[Delivery]) -> Progress {
            if !std::mem::replace(&mut self.has_failed, true) {
                let error = DeliveryError::Unavailable(io::Error::other("full"));
                return Progress {
                    accepted: 0,
                    error: Some(error),
                };
            }
            Progress {
                accepted: messages.len(),
                error: None,
            }
        }
    }

    /// What is told of those partitions, and of a sink that has got three of five events.
    async fn metrics() -> Metrics {
        let metrics = Metrics::at(standings(), || NOW);
        let orders = Orders {
            force: CancellationToken::new(),
            reopen: watch::channel(0).1,
        };
        let name = "the \"crm\" \\ one";
        let limit = QueueLimit::default();
        let (handle, queue) = sink::queue(name, limit, OnRefusal::Skip, orders);
        let gauge = handle.gauge("moody");
        let worker = sink::spawn(Moody { has_failed: false }, queue);
        let plan = Plan {
            routes: Routes::new(&[], &[name, "dead letters"], Some("dead letters")),
            counts: vec![Arc::clone(&handle.counts)],
            sinks: vec![handle],
            on_undeliverable: OnRefusal::Skip,
            closed: Vec::new(),
        };
        let dispatcher = Dispatcher::new(plan, Arc::new(Duplicates::open(None)));
        metrics.follow(dispatcher.tally(), vec![gauge]);
        let limit = Limit {
            events: 10,
            bytes: 1 << 20,
        };
        let (mut window, (settle, mut settled)) = (Window::new(limit), mpsc::channel(10));
        let bodies = [
            r#"{"MessageName":"Create"}"#,
            r#"{"MessageName":"Update"}"#,
            r#"{"MessageName":"Delete"}"#,
            "<a",
            "?",
        ];
        for body in bodies {
            let position = Position {
                sequence_number: SequenceNumber(0),
                offset: Offset::new("0"),
            };
            let ticket = window.begin(position, 1);
            let dispatched = dispatcher.dispatch(
                samples::message(body),
                Receipt::new(1, ticket, settle.clone()),
            );
            assert!(matches!(dispatched, Dispatched::Done), "{dispatched:?}");
        }
        for _ in bodies {
            settled.recv().await.unwrap();
        }
        drop(dispatcher);
        worker.await.unwrap().unwrap();
        metrics
    }

    /// What is told by all machines alike, at any time.
    fn steady(text: &str) -> String {
        let is_steady = |line: &&str| !line.contains("process_") && !line.contains("_build");
        let lines = text.lines().filter(is_steady);
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_format_is_told_to_the_letter() {
        let metrics = metrics().await;
        let mut wrong = String::new();
        for (form, file, expected) in [
            (
                Form::Prometheus,
                "expected.prometheus",
                include_str!("../../tests/metrics/expected.prometheus"),
            ),
            (
                Form::OpenMetrics,
                "expected.openmetrics",
                include_str!("../../tests/metrics/expected.openmetrics"),
            ),
        ] {
            let text = metrics.encode(form).unwrap();
            let version = env!("CARGO_PKG_VERSION");
            let build = format!("dataverse_listener_build_info{{version=\"{version}\",");
            assert!(text.contains(&build), "{text}");
            let steady = steady(&text);
            if steady != expected {
                wrong += &format!("tests/metrics/{file} is not\n{steady}");
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    #[test]
    fn the_process_tells_what_it_takes_by_the_names_that_others_use() {
        let text = Metrics::new(Arc::default())
            .encode(Form::Prometheus)
            .unwrap();
        let value = |name: &str| -> f64 {
            let samples = text
                .lines()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let values: Vec<f64> = samples.map(|value| value.parse().unwrap()).collect();
            assert_eq!(values.len(), 1, "{name} in {text}");
            values[0]
        };
        let now = OffsetDateTime::now_utc().unix_timestamp() as f64;
        let age = now - value("process_start_time_seconds");
        assert!((-60.0..86_400.0).contains(&age), "{age}");
        assert!(value("process_cpu_seconds_total") < age + 60.0);
        let (resident, all) = (
            value("process_resident_memory_bytes"),
            value("process_virtual_memory_bytes"),
        );
        assert!(resident > 1e6 && resident < all, "{resident} {all}");
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_open_fds") < value("process_max_fds"));
    }

    /// The names of all samples, as Prometheus stores them, with `text` in its own format.
    fn names(text: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for line in text.lines() {
            match line
                .strip_prefix("# TYPE ")
                .and_then(|line| line.split_once(' '))
            {
                Some((name, "histogram")) => {
                    names.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")));
                }
                Some((name, _)) => {
                    names.insert(name.to_owned());
                }
                None => {}
            }
        }
        names
    }

    /// The words of a text that look like names of metrics of ours.
    fn named(text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let is_ours = |word: &&str| {
            ["dataverse_listener_", "process_"]
                .iter()
                .any(|prefix| word.starts_with(prefix))
        };
        words.filter(is_ours).map(str::to_owned).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_readme_lists_what_is_told_and_nothing_else() {
        let told = metrics().await.encode(Form::Prometheus).unwrap();
        let readme = include_str!("../../README.md");
        let (_, section) = readme.split_once("\n### Metrics\n").unwrap();
        let (section, _) = section.split_once("\n### ").unwrap();
        let listed = named(section);
        let told: BTreeSet<String> = names(&told)
            .into_iter()
            .filter(|name| !name.ends_with("_bucket") && !name.ends_with("_sum"))
            .map(|name| name.trim_end_matches("_count").to_owned())
            .collect();
        assert_eq!(listed, told);
    }

    /// Every text under a key `expr`, wherever it is.
    fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => {
                for (key, value) in members {
                    match value {
                        serde_json::Value::String(text) if key == "expr" => {
                            found.push(text.clone());
                        }
                        _ => expressions(value, found),
                    }
                }
            }
            serde_json::Value::Array(items) => {
                items.iter().for_each(|item| expressions(item, found));
            }
            _ => {}
        }
    }

    /// The words of an expression in PromQL that stand where the name of a metric can.
    fn metrics_of(expression: &str) -> BTreeSet<String> {
        let mut rest = String::new();
        // Neither what is in braces, nor texts, nor durations and labels that an aggregation names.
        let mut depth = 0;
        for c in expression.chars() {
            depth += i32::from(matches!(c, '{' | '[')) - i32::from(matches!(c, '}' | ']'));
            rest.push(if depth > 0 || matches!(c, '}' | ']') {
                ' '
            } else {
                c
            });
        }
        let mut words = BTreeSet::new();
        let mut is_labels = false;
        for part in rest.split_inclusive(['(', ')', ',', ' ']) {
            let word = part.trim_matches(['(', ')', ',', ' ']);
            let is_number = word.starts_with(|c: char| c.is_ascii_digit());
            let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic());
            if matches!(word, "by" | "on" | "ignoring" | "without" | "group_left") {
                is_labels = true;
            } else if is_word && !is_number && !is_labels && !part.ends_with('(') {
                words.insert(word.to_owned());
            }
            if part.ends_with(')') {
                is_labels = false;
            }
        }
        for operator in ["and", "or", "unless", "sum", "max", "count"] {
            words.remove(operator);
        }
        words
    }

    #[tokio::test(start_paused = true)]
    async fn the_dashboard_and_the_alerts_ask_for_what_is_told() {
        let told = names(&metrics().await.encode(Form::Prometheus).unwrap());
        let dashboard = include_str!("../../config/grafana-dashboard.json");
        let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
        let alerts = include_str!("../../config/prometheus-alerts.yml");
        let mut asked = Vec::new();
        expressions(&dashboard, &mut asked);
        assert!(asked.len() > 15, "{}", asked.len());
        let before = asked.len();
        asked.extend(alerts.lines().filter_map(|line| {
            let (_, expression) = line.split_once("expr: ")?;
            Some(expression.to_owned())
        }));
        assert!(asked.len() > before + 5, "{}", asked.len() - before);
        for expression in &asked {
            let words = metrics_of(expression);
            assert!(!words.is_empty(), "{expression}");
            for word in words {
                // What Prometheus itself says of a scrape.
                assert!(
                    word == "up" || told.contains(&word),
                    "{word} of {expression}"
                );
            }
        }
        let queries = named(&dashboard.to_string());
        assert!(queries.is_subset(&told), "{:?}", queries.difference(&told));
    }

    #[test]
    fn a_name_is_told_from_what_stands_around_it() {
        for (expression, expected) in [
            ("up == 0", vec!["up"]),
            (
                "sum by (sink) (rate(a_total{sink=~\"$sink\"}[5m])) > 0 and on (sink) b_c == 1",
                vec!["a_total", "b_c"],
            ),
            ("time() - max(d_seconds) without (e)", vec!["d_seconds"]),
            (
                "histogram_quantile(0.99, sum by (le, sink) (rate(f_bucket[$__rate_interval])))",
                vec!["f_bucket"],
            ),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(metrics_of(expression), expected, "{expression}");
        }
    }
}
