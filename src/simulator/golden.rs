//! Proof of the two writers: messages of the corpus, told in our types, give the bytes of the genuine
//! .NET serializers in `tests/data/corpus/features`.

use time::OffsetDateTime;
use time::macros::datetime;

use super::contract::{
    Bag, Context, Date, Decimal, Entity, EntityCollection, EntityReference, EntityRole,
    EntityState, Guid, Layout, Mode, Relationship, Stage, Value,
};
use super::{json, xml};

const ROW: Guid = Guid(0x6420_f0cc_916b_ee11_9ae6_000d_3a68_8809);
const USER: Guid = Guid(0xc787_7889_0f5f_ee11_8def_000d_3adb_ef1f);
const OPERATION: Guid = Guid(0x1ecf_6213_9296_4772_b37c_c091_38dd_0d59);
const JOB_CREATED: OffsetDateTime = datetime!(2023-10-15 19:34:06 UTC);

macro_rules! check {
    ($name:literal, $context:expr) => {
        let context = $context;
        let written = String::from_utf8(json::write(&context)).unwrap();
        let genuine = include_str!(concat!("../../tests/data/corpus/features/", $name, ".json"));
        assert_eq!(written, genuine, "JSON");
        let written = String::from_utf8(xml::write(&context)).unwrap();
        let genuine = include_str!(concat!("../../tests/data/corpus/features/", $name, ".xml"));
        assert_eq!(written, genuine, "XML");
    };
}

#[test]
fn a_create_has_the_genuine_bytes() {
    let mut account = Entity::new("account", ROW, created_account());
    account.formatted_values = vec![
        ("numberofemployees", Some("321".into())),
        ("revenue", Some("€100.00".into())),
        ("createdon", Some("2023-10-15T21:34:05+02:00".into())),
    ];
    let image = vec![("name", text("Contoso")), ("accountid", Value::Guid(ROW))];
    let mut context = message("Create", "account", vec![target(account)]);
    context
        .input_parameters
        .push(("SuppressDuplicateDetection", Value::Bool(false)));
    context.output_parameters = vec![("id", Value::Guid(ROW))];
    context.post_entity_images = vec![(
        "AsynchronousStepPrimaryName",
        Entity::new("account", ROW, image),
    )];
    check!("a01-create-account", context);
}

#[test]
fn an_update_with_images_has_the_genuine_bytes() {
    let birthdate = Date::Utc(datetime!(1980-02-29 00:00 UTC));
    let parent = EntityReference::new("account", small(7)).named("Fabrikam & Sons");
    let changed = vec![
        ("contactid", Value::Guid(ROW)),
        ("telephone1", text("1111")),
        ("birthdate", Value::Date(birthdate)),
        ("parentcustomerid", Value::EntityReference(parent)),
    ];
    let mut post = Entity::new("contact", ROW, vec![("telephone1", text("1111"))]);
    post.entity_state = Some(EntityState::Changed);
    let before = vec![
        ("telephone1", text("0000")),
        ("fullname", text("Anna-Maija Mäkelä")),
    ];
    let mut pre = Entity::new("contact", ROW, before);
    pre.formatted_values = vec![("parentcustomerid", None)];
    pre.row_version = Some("5948260".into());

    let contact = Entity::new("contact", ROW, changed);
    let mut context = message("Update", "contact", vec![target(contact)]);
    context.layout = Layout::BeforeAzureIds;
    context.is_in_transaction = true;
    context.mode = Mode::Synchronous;
    context.operation_created_on = Date::Utc(datetime!(2018-05-31 09:05:30.151 UTC));
    context.post_entity_images = vec![("PostImage", post)];
    context.pre_entity_images = vec![("PreImage", pre)];
    check!("a02-update-contact-images", context);
}

#[test]
fn a_parent_has_the_genuine_bytes() {
    let state = |number| ("statecode", Value::Choice(number));
    let table = "new_customactivity";
    let moniker = EntityReference::new(table, ROW);
    let parent = message(
        "Update",
        table,
        vec![
            ("EntityMoniker", Value::EntityReference(moniker)),
            ("State", Value::Choice(3)),
            ("Status", Value::Choice(-1)),
        ],
    );
    let changed = vec![state(3), ("statuscode", Value::Choice(4))];
    let mut context = message(
        "Update",
        table,
        vec![target(Entity::new(table, ROW, changed))],
    );
    context.parent_context = Some(Box::new(Context {
        stage: Stage::MainOperation,
        ..parent
    }));
    check!("a05-setstate-with-parent", context);
}

#[test]
fn an_associate_has_the_genuine_bytes() {
    let related = vec![
        EntityReference::new("contact", small(1)),
        EntityReference::new("contact", small(2)).named("Second"),
    ];
    let relationship = relationship("account_contact_nn", Some(EntityRole::Referenced));
    let parameters = vec![
        (
            "Target",
            Value::EntityReference(EntityReference::new("account", ROW)),
        ),
        ("Relationship", Value::Relationship(relationship)),
        ("RelatedEntities", Value::EntityReferenceCollection(related)),
    ];
    check!("a06-associate", message("Associate", "none", parameters));
}

#[test]
fn escapes_have_the_genuine_bytes() {
    let strings = [
        "a\tb\nc\rd\r\ne",
        "\\n\\t",
        "\\\n",
        "\\\\\t",
        "\n",
        "\t",
        "\r",
        "\u{85}\u{2028}",
        "/",
        "\"\\\"",
    ];
    let keys = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"];
    let pairs = || keys.into_iter().zip(strings);
    let attributes = pairs().map(|(key, string)| (key, text(string))).collect();
    let mut account = Entity::new("account", ROW, attributes);
    account.formatted_values = pairs()
        .map(|(key, string)| (key, Some(string.into())))
        .collect();
    let array = strings.into_iter().map(Into::into).collect();
    let mut context = message("new_EscapesLegacy", "none", vec![target(account)]);
    context.primary_entity_id = Guid::ZERO;
    context.input_parameters.push(("arr", Value::Texts(array)));
    context
        .input_parameters
        .push(("all", Value::Text(strings.concat().into())));
    check!("a19-strings-escapes-legacy", context);
}

#[test]
fn related_rows_and_alternate_keys_have_the_genuine_bytes() {
    let task = |subject| Entity::new("task", Guid::ZERO, vec![("subject", text(subject))]);
    let mut child = Entity::new("contact", Guid::ZERO, vec![("lastname", text("Child"))]);
    let tasks = vec![task("t1"), task("t2")];
    child.related_entities = vec![(relationship("Contact_Tasks", None), rows(tasks, "task"))];

    let mut parent = EntityReference::new("account", Guid::ZERO);
    parent.key_attributes = vec![("accountnumber", text("A-2"))];
    parent.row_version = Some("99".into());
    let attributes = vec![
        ("name", text("Parent")),
        ("parentaccountid", Value::EntityReference(parent)),
    ];
    let mut account = Entity::new("account", Guid::ZERO, attributes);
    account.entity_state = Some(EntityState::Created);
    account.key_attributes = vec![
        ("accountnumber", text("A-1")),
        ("new_n", Value::Int(7)),
        (
            "new_ref",
            Value::EntityReference(EntityReference::new("contact", small(3))),
        ),
    ];
    let contacts = relationship("contact_customer_accounts", Some(EntityRole::Referenced));
    let none = EntityCollection {
        entities: Vec::new(),
        entity_name: None,
    };
    account.related_entities = vec![
        (contacts, rows(vec![child], "contact")),
        (
            relationship("Account_Tasks", Some(EntityRole::Referencing)),
            none,
        ),
    ];
    account.row_version = Some("1".into());

    let mut context = message("Create", "account", vec![target(account)]);
    context.layout = Layout::Current;
    check!("a26-deep-create", context);
}

#[test]
fn activity_parties_have_the_genuine_bytes() {
    let reference = |table, id| Value::EntityReference(EntityReference::new(table, id));
    let sender = EntityReference::new("contact", small(6)).named("Some Contact");
    let sender = vec![
        ("activitypartyid", Value::Guid(small(5))),
        ("partyid", Value::EntityReference(sender)),
        ("participationtypemask", Value::Choice(1)),
        ("ispartydeleted", Value::Bool(false)),
    ];
    let mut sender = Entity::new("activityparty", small(5), sender);
    sender.formatted_values = vec![("participationtypemask", Some("Sender".into()))];
    sender.row_version = Some("1415".into());
    let party = |key, value| Entity::new("activityparty", Guid::ZERO, vec![(key, value)]);
    let to = vec![
        party("partyid", reference("account", small(7))),
        party("addressused", text("a@b.example")),
    ];
    let attributes = vec![
        ("subject", text("RE: <hello>")),
        (
            "from",
            Value::EntityCollection(rows(vec![sender], "activityparty")),
        ),
        ("to", Value::Entities(to)),
        ("cc", Value::Entities(Vec::new())),
        (
            "bcc",
            Value::EntityCollection(rows(Vec::new(), "activityparty")),
        ),
    ];
    let email = Entity::new("email", ROW, attributes);
    let mut context = message("Create", "email", vec![target(email)]);
    context.layout = Layout::Current;
    check!("a27-activity-parties", context);
}

#[test]
fn several_rows_and_their_ids_have_the_genuine_bytes() {
    let table = "cr1a2_projecttask";
    let duration = Decimal {
        digits: 150,
        scale: 2,
    };
    let one = vec![
        ("cr1a2_name", text("one")),
        ("cr1a2_duration", Value::Decimal(duration)),
    ];
    let entities = vec![
        Entity::new(table, small(1), one),
        Entity::new(table, small(2), vec![("cr1a2_name", text("two"))]),
        Entity::new(table, small(3), Vec::new()),
    ];
    let targets = Value::EntityCollection(rows(entities, table));
    let mut context = message("CreateMultiple", table, vec![("Targets", targets)]);
    context.layout = Layout::Current;
    context.primary_entity_id = Guid::ZERO;
    context.output_parameters = vec![("Ids", Value::Guids(vec![small(1), small(2), small(3)]))];
    check!("a28-createmultiple", context);
}

fn created_account() -> Bag {
    let owner = EntityReference::new("systemuser", USER);
    let decimal = |digits, scale| Value::Decimal(Decimal { digits, scale });
    let created = Date::Utc(datetime!(2023-10-15 19:34:05 UTC));
    vec![
        ("accountid", Value::Guid(ROW)),
        ("name", text("Contoso")),
        (
            "revenue",
            Value::Money(Decimal {
                digits: 100,
                scale: 0,
            }),
        ),
        ("exchangerate", decimal(10_000_000_000, 10)),
        ("numberofemployees", Value::Int(321)),
        ("creditonhold", Value::Bool(false)),
        ("industrycode", Value::Choice(342_490_000)),
        (
            "shko_choices",
            Value::Choices(vec![342_490_001, 342_490_002]),
        ),
        ("ownerid", Value::EntityReference(owner)),
        ("modifiedonbehalfby", Value::Null),
        ("createdon", Value::Date(created)),
        ("address1_latitude", Value::Double(60.1699)),
        ("shko_decimal", decimal(1012, 2)),
        ("versionnumber", Value::Long(5_948_260)),
        ("description", text("line one\nline two\ttabbed")),
        ("processid", Value::Guid(Guid::ZERO)),
    ]
}

/// What all messages of the corpus' first folder have in common.
fn message(message_name: &'static str, table: &'static str, input_parameters: Bag) -> Context {
    let step = Guid(0xbd7c_6a7e_916b_ee11_9ae6_0022_4899_8a0a);
    Context {
        layout: Layout::BeforeUserAgent,
        business_unit_id: Guid(0xd580_7889_0f5f_ee11_8def_000d_3adb_ef1f),
        correlation_id: Guid(0xb594_0787_bdf1_4d42_89aa_671b_a512_a488),
        depth: 1,
        initiating_user_agent: Some("App.exe (DataverseSvcClient:1.1.0.11)".into()),
        initiating_user_azure_id: Guid::ZERO,
        initiating_user_id: USER,
        input_parameters,
        is_in_transaction: false,
        message_name,
        mode: Mode::Asynchronous,
        operation_created_on: Date::Unspecified(JOB_CREATED),
        operation_id: OPERATION,
        organization_id: Guid(0xb015_df52_a05f_ee11_a382_000d_3a64_db73),
        organization_name: "unqb015df52a05fee11a382000d3a64d".into(),
        output_parameters: Vec::new(),
        owning_extension: EntityReference::new("sdkmessageprocessingstep", step),
        parent_context: None,
        post_entity_images: Vec::new(),
        pre_entity_images: Vec::new(),
        primary_entity_id: ROW,
        primary_entity_name: table,
        request_id: OPERATION,
        shared_variables: vec![("IsAutoTransact", Value::Bool(true))],
        stage: Stage::PostOperation,
        user_azure_id: Guid(0x3d28_0606_3712_4759_b6b9_7302_f8d1_a3b0),
        user_id: USER,
    }
}

fn target(entity: Entity) -> (&'static str, Value) {
    ("Target", Value::Entity(Box::new(entity)))
}

fn relationship(schema_name: &'static str, role: Option<EntityRole>) -> Relationship {
    Relationship {
        primary_entity_role: role,
        schema_name,
    }
}

fn rows(entities: Vec<Entity>, entity_name: &'static str) -> EntityCollection {
    EntityCollection {
        entities,
        entity_name: Some(entity_name),
    }
}

fn text(text: &'static str) -> Value {
    Value::Text(text.into())
}

/// The small guids of the corpus.
fn small(number: u128) -> Guid {
    Guid(0x4000_8000_0000_0000_0000 | number)
}
