//! What a person sees.

use serde_json::json;

use super::*;

fn status() -> Status {
    let partition = |hub: &str, id: &str| {
        json!({
            "namespace": "ns", "event_hub": hub, "consumer_group": "$Default", "partition": id,
            "received": 1_234_567, "completed": 1_234_000, "last_enqueued": 1_234_567,
            "last_enqueued_as_of": "1970-01-01T00:10:00Z", "behind": 567, "seconds_behind": 3.2,
            "oldest": "1970-01-01T00:09:57Z", "progressed": "1970-01-01T00:09:59.5Z",
            "link": "attached", "since": "1970-01-01T00:05:00Z", "reconnects": 2,
            "last_loss": null, "verdict": "held", "remark": "held up by a sink",
        })
    };
    let mut lost = partition("b", "0");
    for name in [
        "received",
        "completed",
        "behind",
        "seconds_behind",
        "progressed",
    ] {
        lost[name] = json!(null);
    }
    lost["link"] = json!("waiting");
    lost["remark"] = json!("no link for 9 s: \u{1b}[31mgone");
    let sink = json!({
        "name": "crm", "type": "webhook", "state": "probing", "delivered": 1_234_000,
        "failed_attempts": 12, "retried": 11, "dead_lettered": 1, "skipped": 0,
        "queue": {"events": 567, "events_limit": 100_000, "bytes": 1_258_291, "bytes_limit": 33_554_432},
        "last_failure": {"reason": "the server answered 503", "at": "1970-01-01T00:09:58Z"},
    });
    let status = json!({
        "version": "1.2.3", "started_at": "1970-01-01T00:00:00Z", "as_of": "1970-01-01T00:10:00Z",
        "phase": "running", "live": true, "ready": false, "behind": null,
        "partitions": [partition("a", "0"), partition("a", "1"), lost],
        "sinks": [sink],
        "totals": {"received": 1_234_567, "foreign": 6, "undecodable": 1, "unrouted": 2, "duplicates": 3,
                   "dead_lettered": 4, "skipped": 5},
        "something_new": true,
    });
    serde_json::from_value(status).unwrap()
}

#[test]
fn a_person_reads_partitions_of_each_hub_and_sinks() {
    let expected = r#"00:10:00  dataverse-listener 1.2.3, running, up 10 min, not known how far behind: not every partition is being read

"a" of ns as $Default
PARTITION  BEHIND  OLDEST   RECEIVED  COMPLETED       LAST   PROGRESS  LINK                RECONNECTS  STATE
0             567   3.2 s  1,234,567  1,234,000  1,234,567  0.5 s ago  attached for 5 min           2  held up by a sink
1             567   3.2 s  1,234,567  1,234,000  1,234,567  0.5 s ago  attached for 5 min           2  held up by a sink

"b" of ns as $Default
PARTITION  BEHIND  OLDEST  RECEIVED  COMPLETED       LAST  PROGRESS  LINK               RECONNECTS  STATE
0               -       -         -          -  1,234,567         -  waiting for 5 min           2  no link for 9 s: \u{1b}[31mgone

SINK  TYPE     STATE    DELIVERED  WAITING                BYTES  FAILED  RETRIED  DEAD LETTERS  SKIPPED  LAST FAILURE
crm   webhook  probing  1,234,000      567  1.2 MiB of 32.0 MiB      12       11             1        0  2.0 s ago: the server answered 503

1,234,567 received, 6 foreign, 1 undecodable, 2 unrouted, 3 duplicates, 4 dead letters, 5 skipped
"#;
    let shown = tables(&status());
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn a_daemon_without_anything_yet_is_shown_too() {
    let status = Status {
        phase: "starting".into(),
        behind: None,
        partitions: Vec::new(),
        sinks: Vec::new(),
        ..status()
    };
    let shown = tables(&status);
    let expected =
        "00:10:00  dataverse-listener 1.2.3, starting, up 10 min, not known how far behind\n\n";
    assert!(shown.starts_with(expected), "{shown}");
}
