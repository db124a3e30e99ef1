//! What the story and the writers must keep to, looked at with other people's parsers.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use serde_json::Value as Json;
use time::macros::datetime;

use super::contract::{Context, Date, EntityReference, Guid, Layout, Mode, Stage, Value};
use super::{Format, Post, PropertyValue, Story, json, xml};

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
const GENERIC: &str = "http://schemas.datacontract.org/2004/07/System.Collections.Generic";

#[test]
fn the_same_seed_tells_the_same_story() {
    let tell = |seed, format| Story::new(seed, format).take(100).collect::<Vec<_>>();
    assert_eq!(tell(7, Format::Mixed), tell(7, Format::Mixed));
    assert_ne!(tell(7, Format::Mixed), tell(8, Format::Mixed));
    assert_ne!(tell(7, Format::Json), tell(7, Format::Xml));
}

#[test]
fn a_story_can_start_at_another_time() {
    let start = datetime!(2026-11-23 01:30:00.5 UTC);
    let post = Story::starting_at(start, 7, Format::Json).next().unwrap();
    let created_on = parse(&post)["OperationCreatedOn"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        created_on.starts_with("/Date(17953974") && created_on.ends_with("000+0000)/"),
        "{created_on}"
    );
}

#[test]
fn every_kind_of_message_occurs() {
    let mut messages = BTreeMap::new();
    for post in story(Format::Json) {
        *messages
            .entry(text_of(&parse(&post)["MessageName"]))
            .or_insert(0) += 1;
    }
    for name in [
        "Assign",
        "Associate",
        "Create",
        "CreateMultiple",
        "Delete",
        "Disassociate",
        "SetState",
        "Update",
        "UpdateMultiple",
        "Upsert",
        "cr123_SyncInventory",
        "new_ScoreCustomer",
        "new_SendReminder",
    ] {
        assert!(messages.contains_key(name), "{name} in {messages:?}");
    }
}

#[test]
fn about_one_in_sixty_is_truncated_and_says_so() {
    let flag = ("MessageMaxSizeExceeded", PropertyValue::Flag(true));
    let mut truncated = 0;
    for post in Story::new(1, Format::Json).take(2_000) {
        let context = parse(&post);
        let is_empty = |name: &str| context[name].as_array().unwrap().is_empty();
        if post.properties.contains(&flag) {
            truncated += 1;
            assert!(is_empty("InputParameters") && context["ParentContext"].is_null());
            assert!(is_empty("PreEntityImages") && is_empty("PostEntityImages"));
        } else {
            assert!(!is_empty("InputParameters") && context["ParentContext"].is_object());
        }
    }
    assert!((15..=52).contains(&truncated), "{truncated} of 2000");
}

#[test]
fn the_bodies_have_believable_sizes() {
    let mut sizes: Vec<usize> = story(Format::Json).map(|post| post.body.len()).collect();
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2];
    assert!((4_000..9_000).contains(&median), "median {median}");
    assert!(
        sizes[sizes.len() - 1] < 64_000,
        "largest {}",
        sizes[sizes.len() - 1]
    );
}

#[test]
fn every_json_body_has_the_shape_of_the_contract() {
    for post in story(Format::Json) {
        let body = body_of(&post);
        assert!(!body.contains("://"), "an unescaped slash: {body}");
        let context = parse(&post);
        check_context(&context, 0);
        check_members(&context);
    }
}

/// Regularities of the real payloads, at every level of the chain of parents.
fn check_context(context: &Json, level: usize) {
    let is_job = context["Mode"] == 1;
    assert_eq!(context["Stage"], if level == 0 { 40 } else { 30 });
    assert_eq!(context["IsInTransaction"], !is_job);
    assert_eq!(context["OperationId"] == context["RequestId"], !is_job);
    assert_eq!(context["SecondaryEntityName"], "none");
    assert_eq!(context["OwningExtension"]["Name"].is_null(), is_job);
    let created_on = context["OperationCreatedOn"].as_str().unwrap();
    assert_eq!(created_on.ends_with("000+0000)/"), is_job, "{created_on}");
    if context["PrimaryEntityName"] == "none" || context["MessageName"] == "CreateMultiple" {
        assert_eq!(context["PrimaryEntityId"], Guid::ZERO.to_string());
    }
    assert!(level <= 4, "too many parents");
    let parent = &context["ParentContext"];
    if parent.is_object() {
        assert_eq!(parent["CorrelationId"], context["CorrelationId"]);
        assert!(parent["Depth"].as_u64() <= context["Depth"].as_u64());
        check_context(parent, level + 1);
    }
}

/// Alphabetical members, `__type` before them, bags as lists of key and value.
fn check_members(json: &Json) {
    match json {
        Json::Array(items) => items.iter().for_each(check_members),
        Json::Object(members) => {
            assert!(!members.contains_key("__type") || members["__type"].is_string());
            members.values().for_each(check_members);
        }
        _ => {}
    }
}

#[test]
fn json_members_are_in_alphabetical_order_after_the_type() {
    for post in story(Format::Json) {
        for names in member_names(body_of(&post)) {
            let rest = names.strip_prefix(&["__type"][..]).unwrap_or(&names);
            assert!(rest.is_sorted() && !rest.contains(&"__type"), "{names:?}");
        }
    }
}

/// The names of the members of every object, in their order: serde_json would sort them.
fn member_names(body: &str) -> Vec<Vec<&str>> {
    let (mut open, mut done, mut rest) = (Vec::new(), Vec::new(), body);
    while let Some(at) = rest.find(['{', '}', '"']) {
        let (token, after) = rest[at..].split_at(1);
        rest = after;
        match token {
            "{" => open.push(Vec::new()),
            "}" => done.extend(open.pop()),
            _ => {
                let end = end_of_string(rest);
                if rest[end + 1..].starts_with(':') {
                    open.last_mut().unwrap().push(&rest[..end]);
                }
                rest = &rest[end + 1..];
            }
        }
    }
    assert!(open.is_empty());
    done
}

fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    text.bytes()
        .position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })
        .unwrap()
}

#[test]
fn every_xml_body_is_well_formed_and_in_known_namespaces() {
    for post in story(Format::Xml) {
        let body = body_of(&post);
        assert!(body.starts_with(&format!("<RemoteExecutionContext xmlns=\"{CONTRACTS}\"")));
        for (namespace, name, _) in elements(body) {
            match name.as_str() {
                "key" | "value" => assert_eq!(namespace, GENERIC, "{name}"),
                "KeyValuePairOfstringEntitygUGIFE1S" | "Attributes" | "MessageName" => {
                    assert_eq!(namespace, CONTRACTS, "{name}");
                }
                _ => assert!(namespace.starts_with("http://schemas."), "{name}"),
            }
        }
    }
}

#[test]
fn both_formats_tell_the_same() {
    for (json, xml) in story(Format::Json).zip(story(Format::Xml)) {
        let elements = elements(body_of(&xml));
        for name in [
            "MessageName",
            "PrimaryEntityName",
            "PrimaryEntityId",
            "OperationId",
            "CorrelationId",
            "OrganizationName",
            "UserId",
        ] {
            let told = elements.iter().filter(|(_, element, _)| element == name);
            let told: Vec<_> = told.map(|(_, _, text)| text.as_str()).collect();
            assert_eq!(
                told,
                texts_after(&format!("\"{name}\":\""), body_of(&json)),
                "{name}"
            );
        }
        let keys = elements
            .iter()
            .filter(|(_, name, text)| name == "key" && !text.is_empty());
        let keys: Vec<_> = keys.map(|(_, _, key)| key.as_str()).collect();
        assert_eq!(keys, texts_after("\"key\":\"", body_of(&json)));
        let without_type = |post: &Post| {
            post.properties
                .iter()
                .filter(|(name, _)| *name != "ContentType")
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(without_type(&json), without_type(&xml));
    }
}

/// The strings that follow each `start` in a JSON body.
fn texts_after<'a>(start: &str, body: &'a str) -> Vec<&'a str> {
    let rests = body.split(start).skip(1);
    rests.map(|rest| &rest[..end_of_string(rest)]).collect()
}

#[test]
fn the_properties_are_those_of_an_event_hub_endpoint() {
    const CLAIMS: &str = "http://schemas.microsoft.com/xrm/2011/Claims/";
    for seed in 0..6 {
        let post = Story::new(seed, Format::Mixed).next().unwrap();
        let names: BTreeSet<_> = post
            .properties
            .iter()
            .map(|(name, _)| name.trim_start_matches(CLAIMS))
            .collect();
        for name in [
            "Organization",
            "User",
            "InitiatingUser",
            "EntityLogicalName",
            "RequestName",
            "ContentType",
            "CorrelationId",
        ] {
            assert!(names.contains(name), "{name}");
        }
        let body = body_of(&post);
        assert_eq!(
            names.contains("InitiatingUserAgent"),
            body.contains("InitiatingUserAgent")
        );
        for (name, value) in &post.properties {
            check_property(name.trim_start_matches(CLAIMS), value, body);
        }
    }
}

fn check_property(name: &str, value: &PropertyValue, body: &str) {
    match (name, value) {
        ("User" | "InitiatingUser", PropertyValue::Null) => {}
        ("Organization", PropertyValue::Text(host)) => assert_eq!(*host, host.to_lowercase()),
        ("ContentType", PropertyValue::Text(content_type)) => {
            let is_json = body.starts_with('{');
            assert_eq!(
                content_type,
                if is_json {
                    "application/json"
                } else {
                    "application/xml"
                }
            );
        }
        ("CorrelationId", PropertyValue::Text(id)) => {
            let guid = id
                .strip_prefix('{')
                .and_then(|id| id.strip_suffix('}'))
                .unwrap();
            assert!(body.contains(guid), "{id}");
        }
        (_, PropertyValue::Text(text)) => {
            assert!(
                body.replace("\\/", "/").contains(text.as_str()),
                "{name}: {text}"
            );
        }
        (_, other) => assert_eq!(
            (name, other),
            ("MessageMaxSizeExceeded", &PropertyValue::Flag(true))
        ),
    }
}

proptest! {
    #[test]
    fn any_text_comes_back_from_json(text in any::<String>()) {
        let context: Json = serde_json::from_slice(&json::write(&saying(text.clone()))).unwrap();
        prop_assert_eq!(&context["InputParameters"][0]["value"], &Json::String(text));
    }

    #[test]
    fn any_text_that_xml_can_hold_comes_back_from_it(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]*") {
        let body = String::from_utf8(xml::write(&saying(text.clone()))).unwrap();
        let elements = elements(&body);
        let told = elements.iter().find(|(_, name, _)| name == "value").unwrap();
        prop_assert_eq!(&told.2, &text);
    }
}

/// A context with one parameter.
fn saying(text: String) -> Context {
    Context {
        layout: Layout::Current,
        business_unit_id: Guid::ZERO,
        correlation_id: Guid::ZERO,
        depth: 1,
        initiating_user_agent: None,
        initiating_user_azure_id: Guid::ZERO,
        initiating_user_id: Guid::ZERO,
        input_parameters: vec![("Text", Value::Text(text.into()))],
        is_in_transaction: false,
        message_name: "new_Say",
        mode: Mode::Asynchronous,
        operation_created_on: Date::Unspecified(datetime!(2025-01-01 00:00 UTC)),
        operation_id: Guid::ZERO,
        organization_id: Guid::ZERO,
        organization_name: "org".into(),
        output_parameters: Vec::new(),
        owning_extension: EntityReference::new("sdkmessageprocessingstep", Guid::ZERO),
        parent_context: None,
        post_entity_images: Vec::new(),
        pre_entity_images: Vec::new(),
        primary_entity_id: Guid::ZERO,
        primary_entity_name: "none",
        request_id: Guid::ZERO,
        shared_variables: Vec::new(),
        stage: Stage::PostOperation,
        user_azure_id: Guid::ZERO,
        user_id: Guid::ZERO,
    }
}

/// Five hundred events of one seed, and some of others.
fn story(format: Format) -> impl Iterator<Item = Post> {
    let others = (1..6).flat_map(move |seed| Story::new(seed, format).take(20));
    Story::new(42, format).take(500).chain(others)
}

fn body_of(post: &Post) -> &str {
    std::str::from_utf8(&post.body).unwrap()
}

fn parse(post: &Post) -> Json {
    serde_json::from_slice(&post.body).unwrap()
}

fn text_of(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// Namespace, name and own text of every element, in the order in which they start.
fn elements(body: &str) -> Vec<(String, String, String)> {
    let mut reader = NsReader::from_str(body);
    reader.config_mut().check_end_names = true;
    reader.config_mut().expand_empty_elements = true;
    let (mut elements, mut open) = (Vec::new(), Vec::new());
    loop {
        let (resolved, event) = reader.read_resolved_event().unwrap();
        let namespace = match resolved {
            ResolveResult::Bound(namespace) => namespace.0.to_owned(),
            _ => String::new(),
        };
        match event {
            Event::Start(tag) => {
                assert!(tag.attributes().all(|attribute| attribute.is_ok()));
                let name = tag.local_name().as_ref().to_owned();
                open.push(elements.len());
                elements.push((namespace, name, String::new()));
            }
            Event::End(_) => drop(open.pop()),
            Event::Text(text) => elements[open[open.len() - 1]].2.push_str(&text),
            Event::GeneralRef(name) => {
                let character = match &*name {
                    "lt" => "<",
                    "gt" => ">",
                    "amp" => "&",
                    "#xD" => "\r",
                    other => panic!("&{other};"),
                };
                elements[open[open.len() - 1]].2.push_str(character);
            }
            Event::Eof => return elements,
            other => panic!("{other:?}"),
        }
    }
}
