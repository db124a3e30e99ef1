//! The JSON Schema describes every document, and would notice if it did not.

use dataverse_listener::context::SCHEMA;
use serde_json::{Value, json};

use super::corpus::decodable;
use super::decoded;

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn every_document_is_as_the_schema_says() {
    let validator = validator();
    for name in decodable() {
        let document = serde_json::to_value(decoded(&name).document(false)).unwrap();
        if let Err(error) = validator.validate(&document) {
            panic!("{name}: {error} at {}", error.instance_path());
        }
    }
}

#[test]
fn what_is_no_document_is_refused() {
    let validator = validator();
    let check = |path: &str, value: Value, is_valid: bool| {
        let mut document = json!({
            "@format": "json", "@truncated": false, "MessageName": "Update", "Depth": 1,
            "UserId": "6420f0cc-916b-ee11-9ae6-000d3a688809", "OperationCreatedOn": "2023-10-15T19:34:06Z",
            "InputParameters": {"Target": {"@type": "Entity", "Attributes": {"revenue": {"@type": "Money", "Value": 1.5}}}},
            "ParentContext": {"@type": "RemoteExecutionContext", "Depth": 1},
        });
        assert!(
            validator.is_valid(&document),
            "the document before the change"
        );
        *document.pointer_mut(path).unwrap() = value;
        assert_eq!(
            validator.is_valid(&document),
            is_valid,
            "{path}: {document}"
        );
    };
    check("/Depth", Value::Null, true);
    check("/Depth", json!("1"), false);
    check("/@format", json!("yaml"), false);
    check(
        "/UserId",
        json!("6420F0CC-916B-EE11-9AE6-000D3A688809"),
        false,
    );
    check("/OperationCreatedOn", json!("/Date(1)/"), false);
    check("/ParentContext/Depth", json!(true), false);
    check("/ParentContext/@type", json!("Entity"), false);
    check("/InputParameters", json!([]), false);
    check("/InputParameters/Target/Attributes", json!([]), false);
    check(
        "/InputParameters/Target/Attributes/revenue/Value",
        json!("1.5"),
        false,
    );
    check(
        "/InputParameters/Target/Attributes/revenue/@type",
        json!("Other"),
        true,
    );
}
