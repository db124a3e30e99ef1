//! A status as tables for a person.

use time::{Duration, OffsetDateTime};

use super::super::columns::columns;
use super::super::printable;
use super::amounts::{UNKNOWN, clock, lasting, number, size};
use crate::status::{Partition, Sink, Status};

const PARTITION: [&str; 10] = [
    "PARTITION",
    "BEHIND",
    "OLDEST",
    "RECEIVED",
    "COMPLETED",
    "LAST",
    "PROGRESS",
    "LINK",
    "RECONNECTS",
    "STATE",
];
const NUMBERS_OF_A_PARTITION: [usize; 7] = [1, 2, 3, 4, 5, 6, 8];

const SINK: [&str; 11] = [
    "SINK",
    "TYPE",
    "STATE",
    "DELIVERED",
    "WAITING",
    "BYTES",
    "FAILED",
    "RETRIED",
    "DEAD LETTERS",
    "SKIPPED",
    "LAST FAILURE",
];
const NUMBERS_OF_A_SINK: [usize; 7] = [3, 4, 5, 6, 7, 8, 9];

/// All of it, with what matters most first.
pub(super) fn tables(status: &Status) -> String {
    let mut text = head(status);
    let mut rest = status.partitions.as_slice();
    while let Some(first) = rest.first() {
        let hub = |one: &Partition| {
            let Partition {
                namespace,
                event_hub,
                consumer_group,
                ..
            } = one;
            [namespace, event_hub, consumer_group].map(String::clone)
        };
        let count = rest.iter().take_while(|one| hub(one) == hub(first)).count();
        let (of_this, others) = rest.split_at(count);
        let [namespace, event_hub, consumer_group] = hub(first).map(|name| printable(&name));
        text.push_str(&format!(
            "\n\"{event_hub}\" of {namespace} as {consumer_group}\n"
        ));
        let mut rows = vec![PARTITION.map(str::to_owned)];
        rows.extend(of_this.iter().map(|one| partition(one, status.as_of)));
        text.push_str(&columns(&rows, &NUMBERS_OF_A_PARTITION));
        rest = others;
    }
    if !status.sinks.is_empty() {
        let mut rows = vec![SINK.map(str::to_owned)];
        rows.extend(status.sinks.iter().map(|one| sink(one, status.as_of)));
        text.push('\n');
        text.push_str(&columns(&rows, &NUMBERS_OF_A_SINK));
    }
    text.push_str(&totals(status));
    text
}

fn head(status: &Status) -> String {
    let health = match (status.live, status.ready) {
        (false, _) => "a partition is stuck",
        (true, false) if status.phase == "running" => "not every partition is being read",
        _ => "",
    };
    let mut text = format!(
        "{}  dataverse-listener {}, {}, up {}",
        clock(status.as_of),
        printable(&status.version),
        printable(&status.phase),
        lasting(status.as_of - status.started_at),
    );
    match status.behind {
        Some(1) => text.push_str(", 1 event behind"),
        Some(events) => text.push_str(&format!(", {} events behind", number(events))),
        None => text.push_str(", not known how far behind"),
    }
    if !health.is_empty() {
        text.push_str(": ");
        text.push_str(health);
    }
    text.push('\n');
    text
}

fn partition(one: &Partition, now: OffsetDateTime) -> [String; 10] {
    [
        printable(&one.partition),
        or_unknown(one.behind, number),
        or_unknown(one.seconds_behind, |seconds| {
            lasting(Duration::seconds_f64(seconds))
        }),
        or_unknown(one.received, number),
        or_unknown(one.completed, number),
        or_unknown(one.last_enqueued, number),
        or_unknown(one.progressed, |time| ago(time, now)),
        format!("{} for {}", printable(&one.link), lasting(now - one.since)),
        number(one.reconnects),
        printable(&one.remark),
    ]
}

fn sink(one: &Sink, now: OffsetDateTime) -> [String; 11] {
    let failure = one.last_failure.as_ref();
    [
        printable(&one.name),
        printable(&one.kind),
        printable(&one.state),
        number(one.delivered),
        number(one.queue.events),
        format!(
            "{} of {}",
            size(one.queue.bytes),
            size(one.queue.bytes_limit)
        ),
        number(one.failed_attempts),
        number(one.retried),
        number(one.dead_lettered),
        number(one.skipped),
        failure.map_or_else(
            || UNKNOWN.to_owned(),
            |failure| format!("{}: {}", ago(failure.at, now), printable(&failure.reason)),
        ),
    ]
}

fn totals(status: &Status) -> String {
    let totals = &status.totals;
    let counts = [
        (totals.received, "received"),
        (totals.foreign, "foreign"),
        (totals.undecodable, "undecodable"),
        (totals.unrouted, "unrouted"),
        (totals.duplicates, "duplicates"),
        (totals.dead_lettered, "dead letters"),
        (totals.skipped, "skipped"),
    ];
    let counts = counts.map(|(count, name)| format!("{} {name}", number(count)));
    format!("\n{}\n", counts.join(", "))
}

fn ago(time: OffsetDateTime, now: OffsetDateTime) -> String {
    format!("{} ago", lasting(now - time))
}

fn or_unknown<T>(value: Option<T>, shown: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), shown)
}

#[cfg(test)]
mod tests;
