//! The schemas that are printed describe what is printed.

use serde_json::Value;

use crate::hub::Hub;
use crate::world::{Program, command};

fn validator(document: &str) -> jsonschema::Validator {
    let ended = Program::start(&mut command(["schema", document])).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let schema: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn every_message_is_as_the_schema_says() {
    let hub = Hub::start(2);
    let folder = tempfile::tempdir().unwrap();
    let undecodable = folder.path().join("body");
    std::fs::write(&undecodable, "no context").unwrap();
    let foreign = folder.path().join("foreign");
    std::fs::write(&foreign, "[{\"id\": 1}]").unwrap();
    hub.simulate(["--count", "198"]);
    hub.simulate([undecodable.to_str().unwrap(), foreign.to_str().unwrap()]);
    let (messages, contexts) = (validator("message"), validator("context"));
    let documents = hub
        .program(["listen", "--from", "earliest", "--events", "200"])
        .documents(200);
    for document in &documents {
        if let Err(error) = messages.validate(document) {
            panic!("{error} at {}", error.instance_path());
        }
        if let Some(context) = document.get("context") {
            assert!(contexts.is_valid(context));
        }
    }
    for member in ["undecodable", "foreign"] {
        let having = documents
            .iter()
            .filter(|document| document.get(member).is_some());
        assert_eq!(having.count(), 1, "{member}");
    }
}

#[test]
fn a_message_without_a_valid_context_is_refused() {
    let hub = Hub::start(1);
    hub.simulate(["--count", "1"]);
    let mut document = hub
        .program(["listen", "--from", "earliest", "--events", "1"])
        .documents(1)
        .remove(0);
    let messages = validator("message");
    assert!(messages.is_valid(&document));
    document["context"]["Depth"] = "deep".into();
    assert!(
        !messages.is_valid(&document),
        "the bundled schema of the context counts"
    );
}
