//! Hubs that are opened by an identity of Microsoft Entra ID, with tokens of a server of the test's own.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::http::{Answer, Request, Server};
use crate::hub::Hub;
use crate::tls::Terminator;
use crate::world::{File, Program, command, daemon, file};

const CONSOLE: &str =
    "name = \"dataverse-events\"\n[[sink]]\nname = \"console\"\ntype = \"stdout\"\n";
const REGISTRATION: &str = "credential = \"client_secret\"\ntenant_id = \"tenant\"\nclient_id = \"client\"\nclient_secret = \"hunter2\"\n";

/// How long a token lives here, in seconds.
const LIFE: i64 = 3;

/// A hub behind TLS that takes tokens of Entra ID, and whoever gives them.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) terminator: Terminator,
    pub(crate) issuer: Server,
    /// All who vouch for one of them.
    pub(crate) authorities: File,
}

impl World {
    pub(crate) fn start(say: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let hub = Hub::start(1);
        hub.emulator().take_jwt();
        hub.simulate(["--count", "1"]);
        let terminator = Terminator::start(&hub);
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let authority = std::fs::read_to_string(&terminator.authority).unwrap();
        Self {
            authorities: file(&format!("{authority}{}", cert.pem())),
            issuer: Server::start_secure(tls, say),
            terminator,
            hub,
        }
    }

    /// The configuration of a daemon that reads the hub with this identity.
    pub(crate) fn config(&self, identity: &str) -> File {
        let port = self.terminator.address.port();
        file(&format!(
            "[[hub]]\nnamespace = \"localhost:{port}\"\n{identity}{CONSOLE}"
        ))
    }

    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        let port = self.issuer.address().port();
        [
            ("AZURE_AUTHORITY_HOST", format!("https://localhost:{port}")),
            (
                "SSL_CERT_FILE",
                self.authorities.path.to_str().unwrap().to_owned(),
            ),
        ]
    }
}

pub(crate) fn borrowed<'a>(
    variables: &'a [(&'static str, String)],
) -> Vec<(&'static str, &'a str)> {
    let variables = variables.iter();
    variables
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

pub(crate) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

pub(crate) fn token() -> String {
    let claims = format!(
        "{{\"aud\":\"https://eventhubs.azure.net/\",\"exp\":{}}}",
        now() + LIFE
    );
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

fn json(status: u16, body: String) -> Answer {
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer::With(status, headers, body.into_bytes())
}

pub(crate) fn given(_: usize, _: &Request) -> Answer {
    json(
        200,
        format!(
            "{{\"token_type\":\"Bearer\",\"expires_in\":{LIFE},\"access_token\":\"{}\"}}",
            token()
        ),
    )
}

fn refused(_: usize, _: &Request) -> Answer {
    let words = "AADSTS7000215: Invalid client secret provided.\\r\\nTrace ID: 1";
    json(
        401,
        format!(
            "{{\"error\":\"invalid_client\",\"error_description\":\"{words}\",\"error_codes\":[7000215]}}"
        ),
    )
}

#[test]
fn an_app_registration_reads_a_hub_and_goes_on_when_its_token_is_over() {
    let world = World::start(given);
    let variables = world.variables();
    let config = world.config(REGISTRATION);
    let program = daemon(&config, &borrowed(&variables));
    assert_eq!(program.documents(1).len(), 1);
    let requests = world.issuer.wait_for(|requests| requests.len() >= 4);
    assert_eq!(requests[0].target, "/tenant/oauth2/v2.0/token");
    for part in [
        "client_id=client",
        "client_secret=hunter2",
        "grant_type=client_credentials",
        "scope=https%3A%2F%2Feventhubs.azure.net%2F%2F.default",
    ] {
        assert!(requests[0].text().contains(part), "{:?}", requests[0]);
    }
    world.hub.simulate(["--count", "1"]);
    assert_eq!(program.documents(1).len(), 1);
    program.signal("TERM");
    let ended = program.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(!ended.stderr.contains("lost"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("c2ln"), "{}", ended.stderr);
}

#[test]
fn an_identity_that_is_refused_is_told_in_the_words_of_who_refuses_it() {
    let world = World::start(refused);
    let variables = world.variables();
    let ended = daemon(&world.config(REGISTRATION), &borrowed(&variables)).wait();
    assert_eq!(ended.status.code(), Some(77), "{}", ended.stderr);
    let said = "AADSTS7000215: Invalid client secret provided";
    assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_doctor_names_the_identity_and_what_is_wrong_with_it() {
    let diagnosis = |world: &World| {
        let config = world.config(REGISTRATION);
        let path = config.path.to_str().unwrap();
        let mut doctor = command(["doctor", "--config", path]);
        let ended = Program::start(doctor.envs(borrowed(&world.variables()))).wait();
        (ended.status.code(), ended.stdout.join("\n"))
    };
    let (code, said) = diagnosis(&World::start(given));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("an app registration of Microsoft Entra ID"),
        "{said}"
    );
    assert!(said.contains("TLS 1.3, certificate of "), "{said}");
    let (code, said) = diagnosis(&World::start(refused));
    assert_eq!(code, Some(77), "{said}");
    for part in [
        "FAILED   credential",
        "AADSTS7000215",
        "-> the secret is wrong",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn the_daemon_waits_for_whoever_gives_tokens() {
    let world = World::start(|before, request| match before {
        0 => json(503, "{}".to_owned()),
        1 => Answer::Reset,
        _ => given(before, request),
    });
    let variables = world.variables();
    let config = world.config(REGISTRATION);
    let mut program = daemon(&config, &borrowed(&variables));
    program.says("no token from Microsoft Entra ID");
    assert_eq!(program.documents(1).len(), 1);
}

#[test]
fn a_workload_identity_shows_the_token_of_kubernetes() {
    let world = World::start(given);
    let assertion = file("kubernetes-says-so");
    let mut variables = world.variables().to_vec();
    let path = assertion.path.to_str().unwrap().to_owned();
    variables.extend([
        ("AZURE_TENANT_ID", "tenant".to_owned()),
        ("AZURE_CLIENT_ID", "client".to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", path),
    ]);
    let config = world.config("credential = \"workload_identity\"\n");
    assert_eq!(daemon(&config, &borrowed(&variables)).documents(1).len(), 1);
    let requests = world.issuer.wait_for(|requests| !requests.is_empty());
    let text = requests[0].text();
    assert!(
        text.contains("client_assertion=kubernetes-says-so"),
        "{text}"
    );

    let ended = daemon(&config, &[]).wait();
    assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("hub[0].credential: no tenant ID specified"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_managed_identity_asks_its_machine() {
    let world = World::start(given);
    let machine = Server::start(|_, _| {
        let end = now() + LIFE;
        json(
            200,
            format!(
                "{{\"access_token\":\"{}\",\"expires_on\":\"{end}\",\"resource\":\"r\",\"token_type\":\"Bearer\"}}",
                token()
            ),
        )
    });
    let mut variables = world.variables().to_vec();
    variables.extend([
        ("IDENTITY_ENDPOINT", machine.url("/msi/token")),
        ("IDENTITY_HEADER", "header".to_owned()),
    ]);
    let config = world.config("credential = \"managed_identity\"\nclient_id = \"client\"\n");
    assert_eq!(daemon(&config, &borrowed(&variables)).documents(1).len(), 1);
    let requests = machine.wait_for(|requests| !requests.is_empty());
    let target = &requests[0].target;
    assert!(
        target.contains("resource=https%3A%2F%2Feventhubs.azure.net"),
        "{target}"
    );
    assert!(target.contains("client_id=client"), "{target}");
    assert_eq!(world.issuer.connections(), 0);
}

/// A folder with an `az` in it that gives a token.
pub(crate) fn az() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let az = folder.path().join("az");
    let answer = format!(
        "{{\"accessToken\":\"{}\",\"expires_on\":{},\"tokenType\":\"Bearer\"}}",
        token(),
        now() + LIFE
    );
    std::fs::write(&az, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
    std::fs::set_permissions(&az, PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// The variable `PATH` with this folder in it.
pub(crate) fn path_with(folder: &TempDir) -> String {
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", folder.path().display())
}

#[test]
fn whoever_has_logged_in_with_az_reads_a_hub() {
    let world = World::start(given);
    let az = az();
    let mut variables = world.variables().to_vec();
    variables.push(("PATH", path_with(&az)));
    let config = world.config("credential = \"azure_cli\"\n");
    assert_eq!(daemon(&config, &borrowed(&variables)).documents(1).len(), 1);
}
