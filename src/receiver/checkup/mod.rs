//! A hub, checked step by step: everything that a reader of it would do before its first event, by the code
//! that a reader does it with, and told one by one.
//!
//! The first connection goes the whole way to `$management`; then each partition gets a link of its own, as a
//! reader's would be, but without an owner level and without credit: it takes nothing from anybody.

mod cure;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::claim::{TOKEN_AGE, TOKEN_LIFE};
use super::engines::Connection;
use super::error::ReceiverError;
use super::opening::look;
use super::seam::Failure;
use super::trail::{Step, Trail};
use super::{
    Config, Credential, EventHub, Extent, TransportKind, describe_hub, describe_partition,
};
use crate::event::PartitionId;

/// How many partitions are tried at a time.
const AT_ONCE: usize = 4;

/// A step, and what came of it.
#[derive(Debug)]
pub struct Finding {
    /// Which step it is.
    pub step: Step,
    /// The partition, where the step is about one.
    pub partition: Option<PartitionId>,
    /// How long it took.
    pub took: Duration,
    /// What became known, as a fragment; often nothing.
    pub fact: String,
    /// What the partition holds, where that was asked.
    pub extent: Option<Extent>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a step ended.
#[derive(Debug)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// A reader would fail there as well.
    Failed {
        /// What a reader would fail with.
        error: ReceiverError,
        /// What is wrong, in a sentence without its dot.
        cause: String,
        /// What to do, in a sentence without its dot.
        cure: String,
    },
    /// It was not tried.
    Skipped {
        /// Why not, in a sentence without its dot.
        why: String,
    },
}

impl EventHub {
    /// Tries one step after the other, and tells what came of each as soon as that is known. Steps that cannot
    /// be tried are told as well. Each is bounded in time.
    ///
    /// It takes no partition from anybody: where a reader has an owner level, it is refused.
    pub async fn checkup(&self, tell: &mut (dyn FnMut(Finding) + Send)) {
        let modest = Config {
            owner_level: None,
            ..Config::clone(&self.config)
        };
        let checkup = Checkup {
            owner_level: self.config.owner_level,
            config: modest,
            tell,
        };
        checkup.walk().await;
    }
}

struct Checkup<'a> {
    config: Config,
    /// The owner level that a reader would ask with.
    owner_level: Option<i64>,
    tell: &'a mut (dyn FnMut(Finding) + Send),
}

/// What came of a link to a partition.
struct Attached {
    partition: PartitionId,
    took: Duration,
    result: Result<(), ReceiverError>,
}

impl Checkup<'_> {
    async fn walk(mut self) {
        let Some(mut connection) = self.open().await else {
            return;
        };
        let partitions = self.event_hub(&mut connection).await;
        if let Some(partitions) = &partitions {
            self.extents(&mut connection, partitions).await;
        }
        connection.close().await;
        if let Some(partitions) = partitions {
            self.attach(&partitions).await;
        }
    }

    /// The way from a name to a connection that has the claim.
    async fn open(&mut self) -> Option<Connection> {
        let Self { config, tell, .. } = self;
        let mut follow = |taken: super::trail::Taken| {
            let finding = Finding {
                fact: taken.fact,
                ..passed(taken.step, taken.took)
            };
            tell(finding);
        };
        let mut trail = Trail::followed_by(&mut follow);
        let failure = match Connection::open_along(config, &mut trail).await {
            Ok(connection) => {
                trail.end();
                return Some(connection);
            }
            Err(failure) => failure,
        };
        // There is always one: the first thing that is done begins the first step.
        let taken = trail.stop()?;
        let error = judged(config, failure, None);
        let finding = self.failed(taken.step, taken.took, error);
        (self.tell)(Finding {
            fact: taken.fact,
            ..finding
        });
        self.skip_behind(taken.step);
        None
    }

    async fn event_hub(&mut self, connection: &mut Connection) -> Option<Vec<PartitionId>> {
        let since = Instant::now();
        let asked = connection.partition_ids(&self.config.event_hub).await;
        match asked {
            Ok(ids) => {
                let partitions = super::in_order(&ids);
                let fact = match partitions.len() {
                    1 => "1 partition".to_owned(),
                    several => format!("{several} partitions"),
                };
                (self.tell)(Finding {
                    fact,
                    ..passed(Step::EventHub, since.elapsed())
                });
                Some(partitions)
            }
            Err(failure) => {
                let error = judged(&self.config, failure, None);
                let finding = self.failed(Step::EventHub, since.elapsed(), error);
                (self.tell)(finding);
                self.skip_behind(Step::EventHub);
                None
            }
        }
    }

    /// What each partition holds; and from the first answer, what the service's clock says.
    async fn extents(&mut self, connection: &mut Connection, partitions: &[PartitionId]) {
        let mut clock = None;
        let mut is_lost = false;
        for partition in partitions {
            let about = |finding| Finding {
                partition: Some(partition.clone()),
                ..finding
            };
            if is_lost {
                let why = "the connection was lost before";
                (self.tell)(about(skipped(Step::Partition, why)));
                continue;
            }
            let (since, before) = (Instant::now(), OffsetDateTime::now_utc());
            let asked = connection.extent(&self.config.event_hub, partition).await;
            let took = since.elapsed();
            let finding = match asked {
                Ok(extent) => {
                    let here = before + took / 2;
                    clock = clock.or_else(|| Some((took, extent.asked? - here)));
                    Finding {
                        fact: extent.to_string(),
                        extent: Some(extent),
                        ..passed(Step::Partition, took)
                    }
                }
                Err(failure) => {
                    is_lost =
                        !matches!(failure, Failure::Condition { .. } | Failure::Answer { .. });
                    let error = judged(&self.config, failure, Some(partition));
                    self.failed(Step::Partition, took, error)
                }
            };
            (self.tell)(about(finding));
        }
        let finding = match clock {
            None => skipped(Step::Clock, "the service has not said what time it is"),
            Some((took, ahead)) => self.clock(took, ahead),
        };
        (self.tell)(finding);
    }

    /// The clock of the service is so much `ahead` of the one here.
    fn clock(&self, took: Duration, ahead: time::Duration) -> Finding {
        let fact = skew(ahead);
        let is_signed = matches!(
            self.config.connection_string.credential(),
            Credential::SharedAccessKey { .. }
        );
        // Tokens are signed by the clock here: one that is this late lets them end before they are renewed.
        if !is_signed || ahead < TOKEN_LIFE - TOKEN_AGE {
            return Finding {
                fact,
                ..passed(Step::Clock, took)
            };
        }
        let error = ReceiverError::Unauthorized {
            object: describe_hub(&self.config),
            reason: format!("{fact}, so that tokens end before they are renewed"),
        };
        self.failed(Step::Clock, took, error)
    }

    /// A link to each partition. The first one tells of the consumer group as well.
    async fn attach(&mut self, partitions: &[PartitionId]) {
        let Some((first, others)) = partitions.split_first() else {
            return;
        };
        let attached = attach(&self.config, first.clone()).await;
        let Some(attached) = self.consumer_group(attached) else {
            return;
        };
        let is_refused = matches!(attached.result, Err(ReceiverError::Unauthorized { .. }));
        self.tell_attached(attached);
        if is_refused {
            for partition in others {
                let why = format!("it would be refused as partition {first} was");
                (self.tell)(Finding {
                    partition: Some(partition.clone()),
                    ..skipped(Step::Attach, why)
                });
            }
            return;
        }
        let config = self.config.clone();
        let attempts = others.iter().cloned();
        let attempts = attempts.map(|partition| attach(&config, partition));
        let mut attempts = stream::iter(attempts).buffered(AT_ONCE);
        while let Some(attached) = attempts.next().await {
            self.tell_attached(attached);
        }
    }

    /// Tells what a link to a partition that is there says of the consumer group, and gives the link back unless
    /// that is all it says.
    fn consumer_group(&mut self, attached: Attached) -> Option<Attached> {
        let Attached {
            partition,
            took,
            result,
        } = attached;
        let finding = match &result {
            Err(ReceiverError::NotFound { .. }) => {
                let finding = self.failed(Step::ConsumerGroup, took, result.err()?);
                (self.tell)(finding);
                self.skip_behind(Step::ConsumerGroup);
                return None;
            }
            Ok(()) | Err(ReceiverError::Stolen { .. } | ReceiverError::Quota { .. }) => Finding {
                fact: self.config.consumer_group.clone(),
                ..passed(Step::ConsumerGroup, took)
            },
            Err(_) => {
                let why =
                    format!("no link to partition {partition} came about, which would have told");
                skipped(Step::ConsumerGroup, why)
            }
        };
        (self.tell)(finding);
        Some(Attached {
            partition,
            took,
            result,
        })
    }

    fn tell_attached(&mut self, attached: Attached) {
        let Attached {
            partition,
            took,
            result,
        } = attached;
        let finding = match (result, self.owner_level) {
            (Ok(()), _) => passed(Step::Attach, took),
            (Err(ReceiverError::Stolen { .. }), Some(level)) => {
                let why = format!(
                    "a reader with an owner level holds it, and is left alone; a daemon asks with {level}, \
                     which takes it from an equal or a lower one"
                );
                skipped(Step::Attach, why)
            }
            (Err(error), _) => self.failed(Step::Attach, took, error),
        };
        (self.tell)(Finding {
            partition: Some(partition),
            ..finding
        });
    }

    fn failed(&self, step: Step, took: Duration, error: ReceiverError) -> Finding {
        let (cause, cure) = cure::of(step, &error, &self.config);
        Finding {
            outcome: Outcome::Failed { error, cause, cure },
            ..passed(step, took)
        }
    }

    /// Tells of the steps that come after one that failed.
    fn skip_behind(&mut self, failed: Step) {
        let plan = plan(&self.config);
        let behind = plan.into_iter().skip_while(|step| *step != failed).skip(1);
        for step in behind {
            (self.tell)(skipped(step, format!("{failed} has failed")));
        }
    }
}

/// The steps to come, each once.
fn plan(config: &Config) -> Vec<Step> {
    let target = &config.connection_string;
    let transport = &config.transport;
    let of_the_way = [
        (Step::Credential, true),
        (Step::NameResolution, true),
        (Step::Tcp, true),
        (Step::Proxy, transport.has_proxy(target)),
        (Step::Tls, !target.is_emulator()),
        (Step::WebSocket, transport.kind == TransportKind::Websocket),
    ];
    let way = of_the_way
        .into_iter()
        .filter_map(|(step, is_taken)| is_taken.then_some(step));
    way.chain([
        Step::Amqp,
        Step::Token,
        Step::EventHub,
        Step::Partition,
        Step::Clock,
        Step::ConsumerGroup,
        Step::Attach,
    ])
    .collect()
}

fn passed(step: Step, took: Duration) -> Finding {
    Finding {
        step,
        partition: None,
        took,
        fact: String::new(),
        extent: None,
        outcome: Outcome::Passed,
    }
}

fn skipped(step: Step, why: impl Into<String>) -> Finding {
    Finding {
        outcome: Outcome::Skipped { why: why.into() },
        ..passed(step, Duration::ZERO)
    }
}

fn judged(config: &Config, failure: Failure, partition: Option<&PartitionId>) -> ReceiverError {
    let object = match partition {
        Some(partition) => describe_partition(config, partition),
        None => describe_hub(config),
    };
    ReceiverError::judge(failure, &object, &config.address())
}

/// Attaches and detaches, over a connection of its own as a reader does.
async fn attach(config: &Config, partition: PartitionId) -> Attached {
    let since = Instant::now();
    let result = look(config, &partition).await;
    let took = since.elapsed();
    let result = result.map_err(|failure| judged(config, failure, Some(&partition)));
    Attached {
        partition,
        took,
        result,
    }
}

/// How far the clock here is from the service's, which is so much `ahead`.
fn skew(ahead: time::Duration) -> String {
    let apart = Duration::from_secs(ahead.unsigned_abs().as_secs());
    match ahead.whole_seconds() {
        -1..=1 => "as the service's".to_owned(),
        2.. => format!("{} behind the service's", humantime::format_duration(apart)),
        _ => format!(
            "{} ahead of the service's",
            humantime::format_duration(apart)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::StartPosition;
    use super::*;

    fn config(more: &str) -> Config {
        let text = format!("Endpoint=sb://ns.example/;{more};EntityPath=h");
        let target = text.parse().unwrap();
        Config::new(target, None, "$Default", StartPosition::Latest).unwrap()
    }

    #[test]
    fn a_clock_that_lets_tokens_end_too_early_fails_and_any_other_does_not() {
        let check = |more: &str, ahead: i64, expected: &str, is_failed: bool| {
            let checkup = Checkup {
                config: config(more),
                owner_level: None,
                tell: &mut |_| (),
            };
            let finding = checkup.clock(Duration::ZERO, time::Duration::seconds(ahead));
            match finding.outcome {
                Outcome::Failed { cause, cure, .. } => {
                    assert!(is_failed && cause.contains(expected), "{cause}");
                    assert!(cure.contains("clock"), "{cure}");
                }
                _ => assert_eq!((finding.fact.as_str(), is_failed), (expected, false)),
            }
        };
        let key = "SharedAccessKeyName=n;SharedAccessKey=k";
        check(key, 1, "as the service's", false);
        check(key, 899, "14m 59s behind the service's", false);
        check(key, 900, "15m behind the service's", true);
        check(key, -7200, "2h ahead of the service's", false);
        let given = "SharedAccessSignature=SharedAccessSignature sr=x&sig=y&se=1";
        check(given, 7200, "2h behind the service's", false);
    }
}
