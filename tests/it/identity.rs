//! Identities of Microsoft Entra ID that the options of a command name.

use crate::certificate::Registered;
use crate::entra::{World, az, borrowed, given, path_with};
use crate::world::{Ended, Program, command, file};

/// Runs `listen` for one event of the hub of the world, with these options and variables.
fn listen(world: &World, options: &[&str], variables: &[(&str, &str)]) -> Ended {
    let namespace = format!("localhost:{}", world.terminator.address.port());
    let fixed = [
        "listen",
        "--from",
        "earliest",
        "--events",
        "1",
        "--hub",
        "dataverse-events",
        "--namespace",
        &namespace,
    ];
    let mut listen = command(fixed.into_iter().chain(options.iter().copied()));
    let ours = world.variables();
    listen.envs(borrowed(&ours)).envs(variables.iter().copied());
    Program::start(&mut listen).wait()
}

#[track_caller]
fn reads(ended: &Ended) {
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.len(), 1);
}

#[test]
fn whoever_has_logged_in_with_az_listens_without_a_connection_string() {
    let world = World::start(given);
    let az = az();
    let path = path_with(&az);
    // That of the environment does not count then.
    let variables = [
        ("PATH", path.as_str()),
        ("EVENTHUB_CONNECTION_STRING", "hunter2"),
    ];
    reads(&listen(&world, &["--credential", "azure_cli"], &variables));
}

#[test]
fn whoever_has_logged_in_with_az_posts_to_a_hub() {
    let world = World::start(given);
    let az = az();
    let namespace = format!("localhost:{}", world.terminator.address.port());
    let mut simulate = command(["simulate", "--count", "2", "--hub", "dataverse-events"]);
    simulate.args(["--namespace", &namespace, "--credential", "azure_cli"]);
    let ours = world.variables();
    simulate.envs(borrowed(&ours)).env("PATH", path_with(&az));
    let ended = Program::start(&mut simulate).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stderr.contains("posted 2 events"), "{}", ended.stderr);
}

#[test]
fn an_app_registration_is_named_by_options_or_by_the_variables_of_microsofts_clients() {
    let world = World::start(given);
    let registered = Registered::one();
    let (certificate, secret) = (file(&registered.pem), file("hunter2\n"));
    let certificate = certificate.path.to_str().unwrap();
    let secret = secret.path.to_str().unwrap();
    let ids = [("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "client")];
    let options = ["--tenant-id", "tenant", "--client-id", "client"];
    let asked = |before: usize| {
        let requests = world.issuer.wait_for(|requests| requests.len() > before);
        let request = requests.last().unwrap().clone();
        assert_eq!(request.target, "/tenant/oauth2/v2.0/token");
        assert!(request.text().contains("client_id=client"), "{request:?}");
        (requests.len(), request)
    };
    let by_secret = ["--credential", "client_secret"];
    let by_certificate = ["--credential", "client_certificate"];

    let file = ["--client-secret-file", secret];
    let given = [&by_secret[..], &options, &file].concat();
    reads(&listen(&world, &given, &[]));
    let (count, request) = asked(0);
    assert!(request.text().contains("client_secret=hunter2"));

    let variables = [&ids[..], &[("AZURE_CLIENT_SECRET", "hunter3")]].concat();
    reads(&listen(&world, &by_secret, &variables));
    let (count, request) = asked(count);
    assert!(request.text().contains("client_secret=hunter3"));

    let file = ["--client-certificate-file", certificate];
    let given = [&by_certificate[..], &options, &file].concat();
    reads(&listen(&world, &given, &[]));
    let (count, request) = asked(count);
    assert!(registered.claims(&request).is_some(), "{request:?}");

    let path = [("AZURE_CLIENT_CERTIFICATE_PATH", certificate)];
    reads(&listen(
        &world,
        &by_certificate,
        &[&ids[..], &path].concat(),
    ));
    let (_, request) = asked(count);
    assert!(registered.claims(&request).is_some(), "{request:?}");
}

#[test]
fn what_is_wrong_in_the_options_of_an_identity_is_told_by_their_names() {
    let world = World::start(given);
    let check = |options: &[&str], code: i32, expected: &[&str]| {
        let ended = listen(&world, options, &[]);
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        for expected in expected {
            assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        }
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    };
    check(&[], 64, &["--credential <KIND>"]);
    check(
        &["--credential", "client_secret"],
        64,
        &["--client-secret-file is missing; give it, or set AZURE_CLIENT_SECRET"],
    );
    check(
        &["--credential", "client_certificate"],
        64,
        &[
            "--client-certificate-file is missing; give a path",
            "--tenant-id is missing",
            "--client-id is missing",
        ],
    );
    check(
        &[
            "--credential",
            "client_secret",
            "--client-secret-file",
            "/none",
        ],
        66,
        &["cannot read /none: No such file or directory"],
    );
    check(
        &["--credential", "azure_cli", "--client-id", "client"],
        64,
        &["--client-id is of no use with this credential"],
    );
    check(
        &[
            "--credential",
            "azure_cli",
            "--connection-string-file",
            "/none",
        ],
        64,
        &["--connection-string-file is of no use beside --namespace and --credential"],
    );
    let pfx = file("");
    std::fs::write(&pfx.path, b"\x30\x82\x09\xd7").unwrap();
    let path = pfx.path.to_str().unwrap();
    check(
        &[
            "--credential",
            "client_certificate",
            "--tenant-id",
            "t",
            "--client-id",
            "c",
            "--client-certificate-file",
            path,
        ],
        64,
        &[
            "--client-certificate-file",
            "is no PEM file; make one of a PKCS #12 file",
        ],
    );
}
