//! Payloads that were published: real ones, so facts about them stand for facts about Dataverse.

use dataverse_listener::context::ExecutionContext;

use super::decoded;

pub(crate) fn context(name: &str) -> ExecutionContext<'static> {
    let decoded = decoded(name);
    assert_eq!(decoded.notes, [], "{name}");
    Box::leak(Box::new(decoded)).context()
}

fn changes(context: ExecutionContext<'_>) -> Vec<&str> {
    context
        .changed_columns()
        .map(|column| column.name)
        .collect()
}

#[test]
fn a_create_has_its_row_its_name_and_its_parent() {
    let context = context("public/async-create-alltypes-2020.json");
    assert_eq!(context.message_name(), Some("Create"));
    assert_eq!(context.primary_entity_name(), Some("albxrm_alltypes"));
    assert_eq!(
        (context.stage(), context.mode(), context.depth()),
        (Some(40), Some(1), Some(1))
    );
    assert_eq!(
        context.row_id(),
        Some("44bfc2a7-903e-eb11-a813-000d3ad9c2e1")
    );
    assert_eq!(context.row_name(), Some("Test Betim"));
    assert_eq!(
        context.operation_created_on().unwrap().as_str(),
        "2020-12-15T04:47:38Z"
    );
    assert_eq!(context.parent_context().unwrap().stage(), Some(30));
    assert!(!context.is_truncated());
    let row = context.target().unwrap().entity().unwrap();
    assert_eq!(
        row.attribute("albxrm_float")
            .unwrap()
            .as_number()
            .unwrap()
            .as_str(),
        "2365.12"
    );
    assert_eq!(
        row.attribute("exchangerate")
            .unwrap()
            .as_number()
            .unwrap()
            .as_str(),
        "1.0000000000"
    );
    assert!(row.attribute("modifiedonbehalfby").unwrap().is_null());
    assert_eq!(
        row.attribute("createdon").unwrap().as_str(),
        Some("2020-12-15T04:47:38Z")
    );
    assert_eq!(
        row.formatted_values()
            .unwrap()
            .get("statecode")
            .unwrap()
            .as_str(),
        Some("Active")
    );
}

#[test]
fn an_update_has_its_changed_columns_without_the_rows_own_id() {
    let context = context("public/msdocs-async-update-agentstatus-2024.json");
    assert_eq!(context.message_name(), Some("Update"));
    assert_eq!(
        context.organization_id(),
        Some("66aa66aa-bb77-cc88-dd99-00ee00ee00ee")
    );
    assert_eq!(
        context.user_id(),
        Some("d89254ff-9438-ef11-a315-000d3a5a54dc")
    );
    assert_eq!(
        context.row_id(),
        Some("00aa00aa-bb11-cc22-dd33-44ee44ee44ee")
    );
    let changes = changes(context);
    assert_eq!(changes.len(), 12, "{changes:?}");
    assert_eq!(changes[..2], ["modifiedby", "msdyn_isagentloggedin"]);
    assert!(!changes.contains(&"msdyn_agentstatusid"));
}

#[test]
fn a_shifted_operation_created_on_agrees_with_modifiedon() {
    let context = context("public/msdocs-webhook-async-update-contact.json");
    let row = context.target().unwrap().entity().unwrap();
    let modified = row
        .attribute("modifiedon")
        .unwrap()
        .as_date_time()
        .unwrap()
        .instant()
        .unwrap();
    let created = context.operation_created_on().unwrap().instant().unwrap();
    assert!(
        (created - modified).abs() < time::Duration::minutes(1),
        "{created} {modified}"
    );
    assert_eq!(row.attribute("firstname").unwrap().as_str(), Some("James"));
}

#[test]
fn an_older_layout_after_a_byte_order_mark_decodes() {
    let context = context("public/webhook-sync-update-account-2018-bom.json");
    assert_eq!(
        (context.message_name(), context.mode()),
        (Some("Update"), Some(0))
    );
    assert_eq!(context.primary_entity_name(), Some("account"));
    assert!(changes(context).contains(&"telephone1"));
    assert!(context.members().get("InitiatingUserAgent").is_none());
}
