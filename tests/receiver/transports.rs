// The ways to a hub; `main.rs` includes it once for each engine, behind `suite.rs`.

use std::error::Error as _;

use dataverse_listener::receiver::{Authorities, Proxy, ProxyCredential, TransportKind};
use dataverse_listener::secret::Secret;

use crate::between::{Authority, Gateway, HttpProxy};

/// What the portal would show for a namespace at this host.
fn namespace(host: &str) -> String {
    format!(
        "Endpoint=sb://{host}/;SharedAccessKeyName=RootManageSharedAccessKey;\
         SharedAccessKey=SAS_KEY_VALUE;EntityPath=dataverse-events"
    )
}

fn hub_by(connection_string: &str, transport: Transport) -> EventHub {
    EventHub::new(Config {
        transport,
        ..config(connection_string)
    })
}

fn trusting(authority: &Authority) -> Transport {
    Transport {
        authorities: Some(Authorities::from_file(authority.path()).expect("a certificate")),
        proxy: Proxy::None,
        ..Transport::default()
    }
}

fn asking(proxy: &HttpProxy) -> Proxy {
    proxy.url().parse().expect("a proxy")
}

/// Reads events of more than a frame and more than a buffer, each once and in order.
async fn reads(world: &World, hub: &EventHub) {
    for number in 0..20_usize {
        let body = vec![b'x'; number * 10_000];
        world.emulator.append_body(0, &body).expect("a partition");
    }
    let mut receiver = hub.receiver(PartitionId::new("0"), StartPosition::Earliest);
    for number in 0..20_usize {
        let event = next(&mut receiver).await;
        assert_eq!(event.body.bytes().len(), number * 10_000);
    }
    receiver.close().await;
}

/// Why the partitions of a hub cannot be had, with all its causes.
async fn refusal(hub: &EventHub) -> String {
    let error = patiently(hub.partitions()).await.expect_err("no way there");
    assert_eq!(error.retry(), Retry::Now);
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn tls_of_an_authority_of_ones_own_is_trusted() {
    let (world, authority) = (World::start().await, Authority::new());
    let gateway = Gateway::start(&authority, "localhost", world.emulator.address()).await;
    let there = namespace(&format!("localhost:{}", gateway.address().port()));
    reads(&world, &hub_by(&there, trusting(&authority))).await;
}

#[tokio::test]
async fn tls_of_an_unknown_authority_is_refused_and_the_cure_named() {
    let (world, authority) = (World::start().await, Authority::new());
    let gateway = Gateway::start(&authority, "localhost", world.emulator.address()).await;
    let port = gateway.address().port();
    let there = namespace(&format!("localhost:{port}"));
    for kind in [TransportKind::Amqp, TransportKind::Websocket] {
        let transport = Transport {
            kind,
            ..trusting(&Authority::new())
        };
        assert_eq!(
            refusal(&hub_by(&there, transport)).await,
            format!(
                "localhost:{port} cannot be reached: its certificate was issued by nobody who is trusted \
                 here; name the file of its authority in ca_file (--ca-file) or in the variable \
                 SSL_CERT_FILE"
            )
        );
    }
    assert_eq!(world.emulator.open_connections(), 0);
}

#[tokio::test]
async fn a_web_socket_carries_amqp_with_tls_and_without() {
    let (world, authority) = (World::start().await, Authority::new());
    let gateway = Gateway::start(&authority, "localhost", world.emulator.address()).await;
    let there = namespace(&format!("localhost:{}", gateway.address().port()));
    let transport = Transport {
        kind: TransportKind::Websocket,
        ..trusting(&authority)
    };
    reads(&world, &hub_by(&there, transport.clone())).await;
    let world = World::start().await;
    let there = world.emulator.connection_string();
    reads(&world, &hub_by(&there, transport)).await;
}

#[tokio::test]
async fn a_web_socket_that_is_cut_is_opened_anew() {
    let world = World::start().await;
    let transport = Transport {
        kind: TransportKind::Websocket,
        ..Transport::default()
    };
    let hub = hub_by(&world.emulator.connection_string(), transport);
    let mut receiver = hub.receiver(PartitionId::new("0"), StartPosition::Earliest);
    world.append(0..3);
    expect(&mut receiver, 0..3).await;
    world.emulator.drop_connections();
    world.append(3..6);
    expect(&mut receiver, 3..6).await;
    world
        .emulator
        .close_connections("amqp:connection:forced", "The hub is tired.");
    world.append(6..9);
    expect(&mut receiver, 6..9).await;
    receiver.close().await;
    world.until_connections(0).await;
}

#[tokio::test]
async fn what_answers_without_a_web_socket_is_told() {
    let world = World::start().await;
    let port = world.emulator.address().port();
    let web = HttpProxy::answering(|_| Err("HTTP/1.1 403 Forbidden\r\n\r\n".to_owned())).await;
    let mut transport = Transport {
        kind: TransportKind::Websocket,
        endpoint: Some(web.url().parse().expect("an address")),
        ..Transport::default()
    };
    let hub = hub_by(&world.emulator.connection_string(), transport.clone());
    let said = refusal(&hub).await;
    assert!(
        said.contains("cannot be reached: it answers the WebSocket handshake with HTTP 403; "),
        "{said}"
    );
    assert_eq!(web.asked(), ["GET /$servicebus/websocket HTTP/1.1"]);
    // Plain AMQP, as an emulator that knows no WebSockets speaks it.
    let silent = HttpProxy::answering(|_| Err("AMQP\x03\x01\0\0".to_owned())).await;
    transport.endpoint = Some(silent.url().parse().expect("an address"));
    let hub = hub_by(&world.emulator.connection_string(), transport);
    let said = refusal(&hub).await;
    assert!(said.contains("the WebSocket handshake failed: "), "{said}");
    assert!(!said.contains(&port.to_string()), "{said}");
}

#[tokio::test]
async fn an_endpoint_is_dialled_and_the_namespace_spoken_to() {
    let (world, authority) = (World::start().await, Authority::new());
    let gateway = Gateway::start(&authority, "ns.example", world.emulator.address()).await;
    let transport = Transport {
        endpoint: Some(gateway.address().to_string().parse().expect("an address")),
        ..trusting(&authority)
    };
    reads(&world, &hub_by(&namespace("ns.example"), transport.clone())).await;
    let other = hub_by(&namespace("other.example"), transport);
    let said = refusal(&other).await;
    let there = format!("{} cannot be reached: ", gateway.address());
    assert!(said.starts_with(&there), "{said}");
    assert!(said.contains("other.example"), "{said}");
}

#[tokio::test]
async fn a_proxy_tunnels_amqp_and_web_sockets_and_resolves_their_names() {
    let authority = Authority::new();
    for (kind, port) in [(TransportKind::Amqp, 5671), (TransportKind::Websocket, 443)] {
        let world = World::start().await;
        let gateway = Gateway::start(&authority, "ns.example", world.emulator.address()).await;
        let proxy = HttpProxy::start(gateway.address(), None).await;
        let transport = Transport {
            kind,
            proxy: asking(&proxy),
            ..trusting(&authority)
        };
        reads(&world, &hub_by(&namespace("ns.example"), transport)).await;
        assert_eq!(
            proxy.asked(),
            [format!("CONNECT ns.example:{port} HTTP/1.1")]
        );
    }
}

#[tokio::test]
async fn a_proxy_that_wants_to_know_who_asks_is_told() {
    let world = World::start().await;
    // "Aladdin" and "open sesame", as RFC 7617 has it.
    let wanted = "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    let proxy = HttpProxy::start(world.emulator.address(), Some(wanted)).await;
    let there = world.emulator.connection_string();
    let by = |password: Option<&str>| {
        let named = asking(&proxy);
        let proxy = match password {
            None => named,
            Some(password) => {
                let credential = ProxyCredential::new("Aladdin", &Secret::new(password));
                let told = named.with_credential(credential.expect("a name"));
                told.expect("a proxy")
            }
        };
        hub_by(
            &there,
            Transport {
                proxy,
                ..Transport::default()
            },
        )
    };
    reads(&world, &by(Some("open sesame"))).await;
    let name = proxy.url().replace("http://", "the proxy ");
    let said = refusal(&by(None)).await;
    assert!(
        said.ends_with(&format!(
            "{name} wants a user and a password (HTTP 407); give proxy_user, and proxy_password or \
             proxy_password_file"
        )),
        "{said}"
    );
    let wrong = by(Some("hunter2"));
    let said = refusal(&wrong).await;
    assert!(
        said.ends_with(&format!(
            "{name} refuses the user or the password (HTTP 407)"
        )),
        "{said}"
    );
    assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_says_why() {
    let by = |proxy: Proxy| {
        let transport = Transport {
            proxy,
            ..Transport::default()
        };
        hub_by(&namespace("ns.example"), transport)
    };
    for (answer, expected) in [
        (
            "HTTP/1.1 403 Filtered\r\nContent-Type: text/html\r\n\r\n<html>",
            "does not allow a tunnel to ns.example:5671 (HTTP 403); many proxies let only port 443 through, \
             which transport = \"websocket\" takes",
        ),
        (
            "HTTP/1.0 502 Bad Gateway\r\n\r\n",
            "opens no tunnel to ns.example:5671 (HTTP 502)",
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            "opens no tunnel: its answer is not one of HTTP",
        ),
        ("", "opens no tunnel: it hung up"),
    ] {
        let proxy = HttpProxy::answering(move |_| Err(answer.to_owned())).await;
        let name = proxy.url().replace("http://", "the proxy ");
        assert_eq!(
            refusal(&by(asking(&proxy))).await,
            format!("ns.example:5671 cannot be reached: {name} {expected}")
        );
    }
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = gone.local_addr().expect("an address");
    drop(gone);
    let proxy = format!("http://{address}").parse().expect("a proxy");
    let said = refusal(&by(proxy)).await;
    let expected = format!("the proxy {address} cannot be reached: Connection refused");
    assert!(said.contains(&expected), "{said}");
}
