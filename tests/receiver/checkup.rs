// A hub, checked step by step. `main.rs` includes it behind `transports.rs`, once for each engine.

use dataverse_listener::receiver::{Endpoint, Finding, Outcome, Step};

async fn findings(hub: &EventHub) -> Vec<Finding> {
    let mut findings = Vec::new();
    patiently(hub.checkup(&mut |finding| findings.push(finding))).await;
    findings
}

/// Each step with its partition, and how it ended.
fn shown(findings: &[Finding]) -> Vec<String> {
    let shown = |finding: &Finding| {
        let verdict = match finding.outcome {
            Outcome::Passed => "ok",
            Outcome::Failed { .. } => "failed",
            Outcome::Skipped { .. } => "skipped",
        };
        let partition = finding.partition.as_ref();
        let partition = partition.map_or_else(String::new, |partition| format!(" {partition}"));
        format!("{}{partition}: {verdict}", finding.step)
    };
    findings.iter().map(shown).collect()
}

/// Checks a hub of which one step fails: with these words, all before it well, and none behind it tried.
async fn fails(hub: &EventHub, step: Step, cause: &str, cure: &str) -> Finding {
    let mut findings = findings(hub).await;
    let failed: Vec<usize> = (0..findings.len())
        .filter(|index| matches!(findings[*index].outcome, Outcome::Failed { .. }))
        .collect();
    let [index] = failed[..] else {
        panic!("{findings:#?}");
    };
    let is_tried = |finding: &Finding| matches!(finding.outcome, Outcome::Passed);
    assert!(findings[..index].iter().all(is_tried), "{findings:#?}");
    assert!(!findings[index + 1..].iter().any(is_tried), "{findings:#?}");
    let failed = findings.swap_remove(index);
    assert_eq!(failed.step, step, "{failed:#?}");
    says(&failed, cause, cure);
    failed
}

#[track_caller]
fn says(failed: &Finding, expected_cause: &str, expected_cure: &str) {
    let Outcome::Failed { cause, cure, .. } = &failed.outcome else {
        panic!("{failed:#?}");
    };
    assert!(cause.contains(expected_cause), "{failed:#?}");
    assert!(cure.contains(expected_cure), "{failed:#?}");
    let all = format!("{failed:?}");
    for secret in ["SAS_KEY_VALUE", "hunter2", "sig="] {
        assert!(!all.contains(secret), "{all}");
    }
}

/// What the portal would show of a namespace at a port of this machine that nobody serves.
fn nobody(listener: TcpListener) -> String {
    let port = listener.local_addr().expect("an address").port();
    namespace(&format!("127.0.0.1:{port}"))
}

#[tokio::test]
async fn a_hub_that_is_well_passes_every_step_and_is_left_as_it_was() {
    let world = World::with(Options {
        partitions: 2,
        ..Options::default()
    })
    .await;
    world.append(0..3);
    let findings = findings(&world.hub()).await;
    assert_eq!(
        shown(&findings),
        [
            "credential: ok",
            "name resolution: ok",
            "TCP: ok",
            "AMQP: ok",
            "token: ok",
            "event hub: ok",
            "partition 0: ok",
            "partition 1: ok",
            "clock: ok",
            "consumer group: ok",
            "attach 0: ok",
            "attach 1: ok",
        ]
    );
    let fact = |index: usize| findings[index].fact.as_str();
    assert_eq!(fact(0), "a key of the policy RootManageSharedAccessKey");
    assert_eq!(fact(2), world.emulator.address().to_string());
    assert_eq!(fact(5), "2 partitions");
    assert!(fact(6).starts_with("events 0 to 2, the last at 20"), "{}", fact(6));
    assert_eq!(fact(7), "empty");
    let extent = findings[6].extent.as_ref().expect("it was asked");
    assert_eq!(extent.first.0, 0);
    assert!(findings[7].extent.as_ref().is_some_and(|extent| extent.last.is_none()));
    world.until_connections(0).await;
    expect(&mut world.receiver("earliest"), 0..3).await;
}

#[tokio::test]
async fn every_step_of_a_long_way_is_told_and_whose_certificate_it_was() {
    let (world, authority) = (World::start().await, Authority::new());
    let gateway = Gateway::start(&authority, "ns.example", world.emulator.address()).await;
    let proxy = HttpProxy::start(gateway.address(), None).await;
    let transport = Transport {
        kind: TransportKind::Websocket,
        proxy: asking(&proxy),
        ..trusting(&authority)
    };
    let findings = findings(&hub_by(&namespace("ns.example"), transport)).await;
    let steps = shown(&findings);
    assert_eq!(
        steps[1..7],
        [
            "name resolution: ok",
            "TCP: ok",
            "proxy: ok",
            "TLS: ok",
            "WebSocket: ok",
            "AMQP: ok",
        ]
    );
    assert!(steps.iter().all(|step| step.ends_with(": ok")), "{steps:?}");
    let tunnel = format!(
        "to ns.example:443 by {}",
        proxy.url().replace("http://", "the proxy ")
    );
    assert_eq!(findings[3].fact, tunnel);
    let shown = &findings[4].fact;
    assert!(shown.starts_with("TLS 1.3, certificate of CN="), "{shown}");
    assert!(shown.contains(", issued by CN="), "{shown}");
    assert!(shown.contains(", good until "), "{shown}");
}

#[tokio::test]
async fn a_name_without_an_address_and_a_port_without_a_server_are_told_apart() {
    let direct = Transport {
        proxy: Proxy::None,
        ..Transport::default()
    };
    let hub = hub_by(&namespace("nobody.invalid"), direct.clone());
    let failed = fails(&hub, Step::NameResolution, "", "is spelt right").await;
    assert_eq!(failed.fact, "nobody.invalid");
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let there = nobody(gone);
    let hub = hub_by(&there, direct);
    fails(&hub, Step::Tcp, "refused", "nothing listens there").await;
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_is_given_up_at_the_step_where_it_should_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let there = namespace(&format!("127.0.0.1:{port}"));
    let direct = Transport {
        proxy: Proxy::None,
        ..Transport::default()
    };
    let plain = format!("{there};UseDevelopmentEmulator=true");
    let websocket = Transport {
        kind: TransportKind::Websocket,
        ..direct.clone()
    };
    for (there, transport, step, cause, cure) in [
        (&there, &direct, Step::Tls, "within 10 s", "speaks TLS"),
        (&plain, &direct, Step::Amqp, "within 20 s", "whether Event Hubs answers there"),
        (&plain, &websocket, Step::WebSocket, "within 10 s", "lets WebSockets through"),
    ] {
        let hub = hub_by(there, transport.clone());
        let failed = fails(&hub, step, cause, cure).await;
        assert!(failed.took >= Duration::from_secs(10), "{failed:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_is_of_another_is_shown() {
    let (world, authority) = (World::start().await, Authority::new());
    let gateway = Gateway::start(&authority, "ns.example", world.emulator.address()).await;
    let endpoint: Endpoint = gateway.address().to_string().parse().expect("an address");
    let by = |host: &str, authority: &Authority| {
        let transport = Transport {
            endpoint: Some(endpoint.clone()),
            ..trusting(authority)
        };
        hub_by(&namespace(host), transport)
    };
    let (stranger, other) = (Authority::new(), "other.example");
    for (hub, cause, cure) in [
        (by("ns.example", &stranger), "nobody who is trusted here", "--ca-file"),
        (by(other, &authority), other, "the host in Endpoint"),
    ] {
        let failed = fails(&hub, Step::Tls, cause, cure).await;
        assert!(failed.fact.contains("issued by CN="), "{failed:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_who_asks_is_told_without_the_password() {
    let world = World::start().await;
    let wanted = "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    let proxy = HttpProxy::start(world.emulator.address(), Some(wanted)).await;
    let wrong = ProxyCredential::new("Aladdin", &Secret::new("hunter2")).expect("a name");
    for (proxy, cause, cure) in [
        (
            asking(&proxy).with_credential(wrong).expect("a proxy"),
            "refuses the user or the password (HTTP 407)",
            "--proxy-password-file",
        ),
        (
            asking(&proxy),
            "wants a user and a password (HTTP 407)",
            "give proxy_user",
        ),
    ] {
        let transport = Transport {
            proxy,
            ..Transport::default()
        };
        let hub = hub_by(&world.emulator.connection_string(), transport);
        fails(&hub, Step::Proxy, cause, cure).await;
    }
}

#[tokio::test]
async fn a_credential_that_is_refused_is_told_with_what_it_takes() {
    let world = World::start().await;
    let right = world.emulator.connection_string();
    let wrong = right.replace("SAS_KEY_VALUE", "hunter2");
    let hub = hub_by(&wrong, Transport::default());
    let cure = "the key does not fit the policy \"RootManageSharedAccessKey\"";
    fails(&hub, Step::Token, "InvalidSignature", cure).await;
    let key = "SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE";
    for (end, step, cause) in [
        (1_000_000_000_i64, Step::Credential, "expired 2001-09-09T01:46:40Z"),
        (4_000_000_000, Step::Token, "InvalidSignature"),
    ] {
        let token = format!("SharedAccessSignature sr=sb%3A%2F%2Fx&sig=hunter2&se={end}&skn=x");
        let given = right.replace(key, &format!("SharedAccessSignature={token}"));
        let hub = hub_by(&given, Transport::default());
        let failed = fails(&hub, step, cause, "have a new signature made").await;
        if step == Step::Credential {
            let fact = "a given SharedAccessSignature, good until 2001-09-09T01:46:40Z";
            assert_eq!(failed.fact, fact);
        }
    }
    world.until_connections(0).await;
}

#[tokio::test]
async fn a_hub_and_a_consumer_group_that_are_not_there_are_told_apart() {
    let world = World::start().await;
    let there = world.emulator.connection_string();
    let hub = hub_by(&there.replace("dataverse-events", "nothere"), Transport::default());
    fails(&hub, Step::EventHub, "\"nothere\"", "is spelt as in the portal").await;
    let hub = EventHub::new(Config {
        consumer_group: "nobody".to_owned(),
        ..config(&there)
    });
    let cure = "make the consumer group \"nobody\"";
    fails(&hub, Step::ConsumerGroup, "(consumer group \"nobody\") does not exist", cure).await;
    world.emulator.throttle_management();
    fails(&world.hub(), Step::EventHub, "ServerBusy", "throughput units").await;
    world.until_connections(0).await;
}

#[tokio::test]
async fn a_key_that_may_only_send_is_told_which_claim_it_lacks() {
    let world = World::with(Options {
        partitions: 2,
        ..Options::default()
    })
    .await;
    world.emulator.withhold_listen();
    let findings = findings(&world.hub()).await;
    let steps = shown(&findings);
    assert_eq!(
        steps[steps.len() - 5..],
        [
            "partition 1: ok",
            "clock: ok",
            "consumer group: skipped",
            "attach 0: failed",
            "attach 1: skipped",
        ]
    );
    let failed = &findings[findings.len() - 2];
    says(failed, "'Listen' claim(s) are required", "the claim Listen");
}

#[tokio::test]
async fn a_reader_with_an_owner_level_is_told_and_left_alone() {
    let world = World::with(Options {
        partitions: 2,
        ..Options::default()
    })
    .await;
    world.append(0..1);
    let mut owner = world.receiver_with(Some(3));
    expect(&mut owner, 0..1).await;
    let findings_without = findings(&world.hub()).await;
    let steps = shown(&findings_without);
    let end = ["consumer group: ok", "attach 0: failed", "attach 1: ok"];
    assert_eq!(steps[steps.len() - 3..], end);
    let failed = &findings_without[steps.len() - 2];
    says(failed, "epoch of '3'", "another consumer group");
    // A daemon with a level would take it; whoever only looks does not.
    let same = EventHub::new(Config {
        owner_level: Some(3),
        ..config(&world.emulator.connection_string())
    });
    let findings_with = findings(&same).await;
    let left_alone = &findings_with[steps.len() - 2];
    let Outcome::Skipped { why } = &left_alone.outcome else {
        panic!("{left_alone:?}");
    };
    assert!(why.contains("a daemon asks with 3"), "{why}");
    world.append(1..2);
    expect(&mut owner, 1..2).await;
    world.until_connections(1).await;
}

#[tokio::test]
async fn the_quota_of_readers_is_told_with_their_names() {
    let world = World::with(Options {
        partitions: 1,
        ..Options::default()
    })
    .await;
    let mut readers: Vec<Receiver> = (0..5).map(|_| world.receiver("earliest")).collect();
    for reader in &mut readers {
        patiently(reader.attach()).await.expect("a link");
    }
    let findings = findings(&world.hub()).await;
    let last = findings.last().expect("some");
    says(last, "dataverse-listener-0-", "end one of these readers");
    world.until_connections(5).await;
}
