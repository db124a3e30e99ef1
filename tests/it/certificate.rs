//! App registrations that prove themselves with a certificate, to a server of the test's own that checks it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, PublicKeyData};
use serde_json::Value;
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::crypto::ring::default_provider;

use crate::entra::{World, borrowed, given, now};
use crate::http::Request;
use crate::tls::Proxy;
use crate::world::{File, daemon, file};

/// Keys of the tests' own, which open nothing.
const ONE: &str = include_str!("../data/keys/one.pem");
const ANOTHER: &str = include_str!("../data/keys/another.pem");

/// A certificate of an app registration, and its private key.
pub(crate) struct Registered {
    pair: KeyPair,
    pub(crate) pem: String,
}

impl Registered {
    pub(crate) fn one() -> Self {
        Self::of(ONE)
    }

    fn of(key: &str) -> Self {
        let pair = KeyPair::from_pkcs8_pem_and_sign_algo(key, &PKCS_RSA_SHA256).unwrap();
        let params = CertificateParams::new([]).unwrap();
        let certificate = params.self_signed(&pair).unwrap();
        Self {
            pem: format!("{}{key}", certificate.pem()),
            pair,
        }
    }

    /// The claims of the assertion in a request, where this key has signed it.
    pub(crate) fn claims(&self, request: &Request) -> Option<Value> {
        let (_, rest) = request.text().split_once("client_assertion=").unwrap();
        let assertion = rest.split('&').next().unwrap();
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let part = |text: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
        };
        assert_eq!(part(header)["alg"], "PS256");
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let known = default_provider().signature_verification_algorithms.mapping;
        let scheme = SignatureScheme::RSA_PSS_SHA256;
        let (_, algorithms) = known.iter().find(|(known, _)| *known == scheme).unwrap();
        let is_signed = algorithms.iter().any(|algorithm| {
            let verified =
                algorithm.verify_signature(self.pair.der_bytes(), signed.as_bytes(), &signature);
            verified.is_ok()
        });
        is_signed.then(|| part(claims))
    }
}

fn keys(certificate: &File) -> String {
    format!(
        "credential = \"client_certificate\"\ntenant_id = \"tenant\"\nclient_id = \"client\"\n\
         client_certificate_file = {:?}\n",
        certificate.path
    )
}

#[test]
fn a_certificate_opens_a_hub_and_so_does_the_one_that_takes_its_place() {
    let (one, another) = (Arc::new(Registered::of(ONE)), Registered::of(ANOTHER));
    let world = World::start(given);
    let certificate = file(&one.pem);
    let config = world.config(&keys(&certificate));
    let program = daemon(&config, &borrowed(&world.variables()));
    assert_eq!(program.documents(1).len(), 1);
    let requests = world.issuer.wait_for(|requests| requests.len() >= 2);
    assert_eq!(requests[0].target, "/tenant/oauth2/v2.0/token");
    for part in [
        "client_id=client",
        "grant_type=client_credentials",
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
        "scope=https%3A%2F%2Feventhubs.azure.net%2F%2F.default",
    ] {
        assert!(requests[0].text().contains(part), "{:?}", requests[0]);
    }
    let claims: Vec<Value> = requests
        .iter()
        .map(|request| one.claims(request).unwrap())
        .collect();
    let port = world.issuer.address().port();
    let endpoint = format!("https://localhost:{port}/tenant/oauth2/v2.0/token");
    assert_eq!(claims[0]["aud"], endpoint.as_str());
    assert_eq!(claims[0]["iss"], "client");
    assert_eq!(claims[0]["sub"], "client");
    let (from, end) = (claims[0]["nbf"].as_i64(), claims[0]["exp"].as_i64());
    assert!(from <= Some(now()) && Some(now()) < end && end <= Some(now() + 600));
    assert_eq!(claims[0]["jti"].as_str().unwrap().len(), 36);
    assert_ne!(claims[0]["jti"], claims[1]["jti"]);

    std::fs::write(&certificate.path, &another.pem).unwrap();
    // A connection that is made anew looks at the file at once.
    world.hub.emulator().drop_connections();
    world
        .issuer
        .wait_for(|requests| requests.iter().any(|r| another.claims(r).is_some()));
    world.hub.simulate(["--count", "1"]);
    assert_eq!(program.documents(1).len(), 1);
    program.signal("TERM");
    let ended = program.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let said = "the secret of event hub \"dataverse-events\" has changed";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert!(!ended.stderr.contains("MII"), "{}", ended.stderr);
}

#[test]
fn a_certificate_file_that_is_of_no_use_is_told_at_the_start() {
    let world = World::start(given);
    let one = Registered::one().pem;
    let check = |content: &str, expected: &str| {
        let certificate = file(content);
        let config = world.config(&keys(&certificate));
        let ended = daemon(&config, &borrowed(&world.variables())).wait();
        assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
        let path = certificate.path.display();
        let said = format!("hub[0].client_certificate_file: {path} {expected}");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        assert!(!ended.stderr.contains("MII"), "{}", ended.stderr);
    };
    check("", "holds no private key in PEM form");
    check(
        &one.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        "holds an encrypted private key; take the passphrase off by: openssl pkey -in FILE.pem",
    );
    check(
        &one.replace(ONE, ANOTHER),
        "holds no certificate that belongs to its private key",
    );
}

#[test]
fn the_proxy_and_the_authority_of_a_hub_count_for_its_tokens_too() {
    let world = World::start(given);
    let wanted = "Basic dXNlcjpodW50ZXIy";
    let header = "Proxy-Authorization: Basic dXNlcjpodW50ZXIy";
    let proxy = Proxy::believing(&world.hub, header);
    let certificate = file(&Registered::one().pem);
    let password = file("hunter2");
    let keys = format!(
        "{}ca_file = {:?}\nproxy = {:?}\nproxy_user = \"user\"\nproxy_password_file = {:?}\n",
        keys(&certificate),
        world.authorities.path,
        proxy.url,
        password.path
    );
    let [authority, _] = world.variables();
    let config = world.config(&keys);
    let variables = [authority, ("DATAVERSE_LISTENER_LOG", "trace".to_owned())];
    let program = daemon(&config, &borrowed(&variables));
    assert_eq!(program.documents(1).len(), 1);
    program.signal("TERM");
    let ended = program.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    // Of the password, of the key, of the assertion, and of the token.
    for secret in ["hunter2", wanted, "MII", "eyJ", "c2ln"] {
        let line = ended.stderr.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
    let asked = proxy.asked();
    for port in [
        world.issuer.address().port(),
        world.terminator.address.port(),
    ] {
        let line = format!("CONNECT localhost:{port} HTTP/1.1");
        assert!(asked.contains(&line), "{asked:?}");
    }
    let connects = asked.iter().filter(|line| line.starts_with("CONNECT"));
    let told = asked
        .iter()
        .filter(|line| line.eq_ignore_ascii_case(header));
    assert_eq!(connects.count(), told.count(), "{asked:?}");
}

#[test]
fn whoever_gives_tokens_may_be_vouched_for_by_the_system_where_the_hub_is_not() {
    let world = World::start(given);
    let certificate = file(&Registered::one().pem);
    let ca_file = &world.terminator.authority;
    let config = world.config(&format!("{}ca_file = {ca_file:?}\n", keys(&certificate)));
    let program = daemon(&config, &borrowed(&world.variables()));
    assert_eq!(program.documents(1).len(), 1);
}

#[test]
fn the_proxies_of_the_environment_count_for_tokens_unless_they_are_not_wanted() {
    let world = World::start(given);
    let proxy = Proxy::believing(&world.hub, "nothing");
    let certificate = file(&Registered::one().pem);
    let keys = keys(&certificate);
    let mut variables = world.variables().to_vec();
    variables.push(("HTTPS_PROXY", proxy.url.clone()));
    let config = world.config(&keys);
    let mut program = daemon(&config, &borrowed(&variables));
    let name = proxy.url.trim_start_matches("http://");
    program.says(&format!("(asked by the proxy {name} of the environment"));
    drop(program);
    let port = world.issuer.address().port();
    assert!(
        proxy
            .asked()
            .contains(&format!("CONNECT localhost:{port} HTTP/1.1"))
    );
    let before = proxy.asked().len();

    let without = world.config(&format!("{keys}proxy = \"none\"\n"));
    let program = daemon(&without, &borrowed(&variables));
    assert_eq!(program.documents(1).len(), 1);
    drop(program);
    variables.push(("NO_PROXY", "localhost".to_owned()));
    let program = daemon(&config, &borrowed(&variables));
    assert_eq!(program.documents(1).len(), 1);
    assert_eq!(proxy.asked().len(), before);
}
