//! The examples of `config/`: each is a configuration, and what repeats something says the same.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::world::{Program, command, json_of_toml};

/// A file of the source tree.
fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every configuration that users are shown.
pub(crate) fn examples() -> Vec<PathBuf> {
    let entries = fs::read_dir(source("config")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_configuration = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    };
    let examples: Vec<PathBuf> = paths.filter(is_configuration).collect();
    assert!(examples.len() > 3, "{examples:?}");
    examples
}

/// A directory with the secrets that they name, as systemd and containers have one.
pub(crate) fn secrets() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let opened =
        "Endpoint=sb://ns.example;SharedAccessKeyName=k;SharedAccessKey=hunter2;EntityPath=e\n";
    for name in ["eventhub", "secret_eventhub"] {
        fs::write(folder.path().join(name), opened).unwrap();
    }
    folder
}

#[test]
fn every_example_is_sound() {
    let secrets = secrets();
    for path in examples() {
        let arguments = ["check", "--config", path.to_str().unwrap()];
        let mut check = command(arguments);
        check.env("CREDENTIALS_DIRECTORY", secrets.path());
        let ended = Program::start(&mut check).wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    }
}

#[test]
fn the_pod_has_the_configuration_of_the_sidecar() {
    let manifest = fs::read_to_string(source("config/kubernetes.yaml")).unwrap();
    let (_, rest) = manifest.split_once("  config.toml: |\n").unwrap();
    let (block, _) = rest.split_once("\n---\n").unwrap();
    let lines: Vec<&str> = block.lines().map(str::trim).collect();
    let sidecar = fs::read_to_string(source("config/sidecar.toml")).unwrap();
    assert_eq!(json_of_toml(&lines.join("\n")), json_of_toml(&sidecar));
}

#[test]
fn the_image_is_built_with_the_oldest_toolchain_and_has_the_version_of_the_program() {
    let dockerfile = fs::read_to_string(source("Dockerfile")).unwrap();
    for (name, expected) in [
        ("RUST_VERSION", env!("CARGO_PKG_RUST_VERSION")),
        ("VERSION", env!("CARGO_PKG_VERSION")),
    ] {
        let argument = format!("ARG {name}={expected}");
        assert!(
            dockerfile.lines().any(|line| line == argument),
            "{argument}"
        );
    }
    let description = env!("CARGO_PKG_DESCRIPTION");
    let label = format!("org.opencontainers.image.description=\"{description}\"");
    assert!(dockerfile.contains(&label), "{label}");
}
