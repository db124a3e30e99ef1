//! Which row an operation was about, what it is called and what changed.

use dataverse_listener::context::{ExecutionContext, Target};
use dataverse_listener::decoder::{Hint, decode};

use super::published::context;

const ID: &str = "6420f0cc-916b-ee11-9ae6-000d3a688809";
const ZERO: &str = "00000000-0000-0000-0000-000000000000";

/// A context with these members beside its message name.
fn with(members: &str) -> ExecutionContext<'static> {
    let body = format!(r#"{{"MessageName":"Update",{members}}}"#);
    let decoded = decode(body.as_bytes(), Hint::default()).unwrap();
    Box::leak(Box::new(decoded)).context()
}

/// The member `InputParameters` with a row as its target.
fn target(id: &str, attributes: &str) -> String {
    let hint = "Entity:http://schemas.microsoft.com/xrm/2011/Contracts";
    format!(
        r#""InputParameters":[{{"key":"Target","value":{{"__type":"{hint}","Id":"{id}","Attributes":[{attributes}]}}}}]"#
    )
}

#[test]
fn a_row_id_is_looked_for_where_it_may_be() {
    let check = |members: &str, expected| assert_eq!(with(members).row_id(), expected, "{members}");
    let other = ID.replace("64", "65");
    check(
        &format!(r#""PrimaryEntityId":"{ID}",{}"#, target(&other, "")),
        Some(ID),
    );
    check(
        &format!(r#""PrimaryEntityId":"{ZERO}",{}"#, target(ID, "")),
        Some(ID),
    );
    check(&target(ID, ""), Some(ID));
    check(
        &format!(
            r#"{},"OutputParameters":[{{"key":"id","value":"{ID}"}}]"#,
            target(ZERO, "")
        ),
        Some(ID),
    );
    check(&target(ZERO, ""), None);
    check(r#""Depth":1"#, None);
}

#[test]
fn a_row_name_is_looked_for_where_it_may_be() {
    let check =
        |members: &str, expected| assert_eq!(with(members).row_name(), expected, "{members}");
    let image = |attributes: &str| {
        format!(
            r#"{},"PostEntityImages":[{{"key":"AsynchronousStepPrimaryName","value":{{"Id":"{ID}","Attributes":[{attributes}]}}}}]"#,
            target(ID, r#"{"key":"subject","value":"From the target"}"#)
        )
    };
    let id = format!(r#"{{"key":"new_thingid","value":"{ID}"}}"#);
    check(
        &image(&format!(
            r#"{id},{{"key":"new_label","value":"From the image"}}"#
        )),
        Some("From the image"),
    );
    check(&image(&id), Some("From the target"));
    check(&target(ID, r#"{"key":"fullname","value":null}"#), None);
    check(&target(ID, r#"{"key":"name","value":""}"#), None);
}

#[test]
fn a_column_that_the_pre_image_shows_unchanged_is_no_change() {
    let columns = r#"{"key":"a","value":1},{"key":"b","value":null},{"key":"c","value":"x"}"#;
    let image = r#"{"key":"a","value":1},{"key":"b","value":"old"}"#;
    let context = with(&format!(
        r#"{},"PreEntityImages":[{{"key":"pre","value":{{"Attributes":[{image}]}}}}]"#,
        target(ID, columns)
    ));
    let changes: Vec<_> = context.changed_columns().collect();
    assert_eq!(
        changes.iter().map(|change| change.name).collect::<Vec<_>>(),
        ["b", "c"]
    );
    assert_eq!(changes[0].old.and_then(|old| old.as_str()), Some("old"));
    assert!(changes[0].new.is_null());
    assert!(changes[1].old.is_none());
}

#[test]
fn a_number_in_another_scale_and_a_date_in_another_zone_are_no_change() {
    let money = |digits: &str| {
        format!(
            r#"{{"__type":"Money:http://schemas.microsoft.com/xrm/2011/Contracts","Value":{digits}}}"#
        )
    };
    let image = [
        r#"{"key":"rate","value":1.5000000000}"#.to_owned(),
        format!(r#"{{"key":"limit","value":{}}}"#, money("5000.0000")),
        format!(r#"{{"key":"amounts","value":[{}]}}"#, money("1.00")),
        format!(r#"{{"key":"discount","value":{}}}"#, money("10.0000")),
        r#"{"key":"when","value":"/Date(1731053106000)/"}"#.to_owned(),
        r#"{"key":"later","value":"/Date(1731053106000)/"}"#.to_owned(),
    ];
    let columns = [
        r#"{"key":"rate","value":1.5}"#.to_owned(),
        format!(r#"{{"key":"limit","value":{}}}"#, money("5000")),
        format!(r#"{{"key":"amounts","value":[{}]}}"#, money("1")),
        format!(r#"{{"key":"discount","value":{}}}"#, money("100")),
        r#"{"key":"when","value":"/Date(1731053106000+0000)/"}"#.to_owned(),
        r#"{"key":"later","value":"/Date(1731053106001+0200)/"}"#.to_owned(),
    ];
    assert_eq!(changed(&columns, &image), ["discount", "later"]);
}

/// The names of the columns that are others than in the image.
fn changed(columns: &[String], image: &[String]) -> Vec<String> {
    let context = with(&format!(
        r#"{},"PreEntityImages":[{{"key":"pre","value":{{"Attributes":[{}]}}}}]"#,
        target(ID, &columns.join(",")),
        image.join(",")
    ));
    let changed = context.changed_columns();
    changed.map(|column| column.name.to_owned()).collect()
}

#[test]
fn a_reference_to_the_same_row_is_no_change_whatever_it_is_called() {
    let reference = |key: &str, id: &str, name: &str| {
        let hint = "EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts";
        format!(
            r#"{{"key":"{key}","value":{{"__type":"{hint}","Id":"{id}","LogicalName":"account","Name":{name}}}}}"#
        )
    };
    let other = ID.replace("64", "65");
    let columns = [
        reference("same", ID, "null"),
        reference("other", &other, "null"),
        reference("by_key", ZERO, "null"),
    ];
    let image = [
        reference("same", ID, r#""Contoso""#),
        reference("other", ID, r#""Contoso""#),
        reference("by_key", ZERO, r#""Contoso""#),
    ];
    assert_eq!(changed(&columns, &image), ["other", "by_key"]);
}

#[test]
fn a_delete_names_its_row_by_a_reference_and_its_image() {
    for name in ["features/a03-delete.json", "features/a03-delete.xml"] {
        let context = context(name);
        assert!(
            matches!(context.target(), Some(Target::Reference(_))),
            "{name}"
        );
        assert_eq!(context.row_name(), Some("Gone"), "{name}");
        assert_eq!(context.changed_columns().count(), 0, "{name}");
    }
}

#[test]
fn a_row_without_a_primary_id_is_named_by_the_target() {
    for name in ["features/a06-associate.json", "features/a06-associate.xml"] {
        assert_eq!(
            context(name).row_id(),
            Some("6420f0cc-916b-ee11-9ae6-000d3a688809"),
            "{name}"
        );
    }
    for name in [
        "features/a28-createmultiple.json",
        "features/a28-createmultiple.xml",
    ] {
        let context = context(name);
        assert!(context.targets().count() > 1, "{name}");
        assert!(
            context.targets().all(|row| row.logical_name().is_some()),
            "{name}"
        );
    }
}

#[test]
fn an_old_value_comes_from_the_pre_image() {
    for name in [
        "features/a02-update-contact-images.json",
        "features/a02-update-contact-images.xml",
    ] {
        let context = context(name);
        let changed: Vec<_> = context
            .changed_columns()
            .filter(|column| column.old.is_some())
            .collect();
        assert!(!changed.is_empty(), "{name}");
        assert!(
            changed.iter().all(|column| column.old != Some(column.new)),
            "{name}"
        );
        assert!(context.post_entity_images().count() > 0, "{name}");
    }
}
