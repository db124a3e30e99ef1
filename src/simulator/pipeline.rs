//! The context that a step of the pipeline gets of an operation: who, when, as part of what.
//!
//! Spec: "Understand the execution context" and "Asynchronous service in Microsoft Dataverse", and the
//! regularities of published payloads: a system job sees the main operation as its parent, with what
//! the caller sent, and time in whole seconds.

use time::Duration;

use super::contract::{
    Bag, Context, Date, Entity, EntityReference, EntityState, Guid, Mode, Stage, Text, Value,
};
use super::operations::Operation;
use super::world::{User, World};

/// The step of Dataverse itself whose name a synchronous parent shows.
const OBJECT_MODEL: Guid = Guid(0x63cd_bb1b_ea3e_db11_86a7_000a_3a54_73e8);

/// One of so many operations about columns is too large to be told in full: about 1 in 60 of all.
const TRUNCATED_ONE_IN: u32 = 40;

/// A context and whether it was cut to a size.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) context: Context,
    pub(crate) is_truncated: bool,
}

/// The context that the endpoint's step gets of `operation`.
pub(crate) fn execute(operation: Operation, world: &mut World) -> Execution {
    let is_too_large = operation.is_about_columns() && world.dice.u32(0..TRUNCATED_ONE_IN) == 0;
    let is_synchronous = world.dice.u8(0..40) == 0;
    let mut context = if is_synchronous {
        synchronous(operation, world)
    } else {
        asynchronous(operation, world)
    };
    if is_too_large {
        truncate(&mut context);
    }
    Execution {
        context,
        is_truncated: is_too_large,
    }
}

/// What Dataverse leaves out of a message over its size limit: these four, all at once.
fn truncate(context: &mut Context) {
    context.parent_context = None;
    context.input_parameters.clear();
    context.pre_entity_images.clear();
    context.post_entity_images.clear();
}

/// The usual case: a system job, some seconds after the operation.
fn asynchronous(operation: Operation, world: &mut World) -> Context {
    let step = world.step(operation.message_name, operation.table_name);
    let job = Job {
        user: world.caller.clone(),
        operation_id: world.sequential_guid(),
        request_id: world.random_guid(),
        correlation_id: world.random_guid(),
        created_on: Date::Unspecified(world.now()),
        mode: Mode::Asynchronous,
        owning_extension: EntityReference::new("sdkmessageprocessingstep", step),
    };
    let causes = causes(&job, world);
    let depth = 1 + causes.as_ref().map_or(0, |cause| cause.depth);
    job.context(operation, depth, causes, world)
}

/// A custom plug-in that posts within the operation: milliseconds, and its step by name.
fn synchronous(operation: Operation, world: &mut World) -> Context {
    let step = world.step(operation.message_name, operation.table_name);
    let name = format!(
        "HubPoster: {} of {}",
        operation.message_name, operation.table_name
    );
    let request = world.random_guid();
    let milliseconds = Duration::milliseconds(world.dice.i64(0..1_000));
    let job = Job {
        user: world.caller.clone(),
        operation_id: request,
        request_id: request,
        correlation_id: world.random_guid(),
        created_on: Date::Utc(world.now().saturating_add(milliseconds)),
        mode: Mode::Synchronous,
        owning_extension: EntityReference::new("sdkmessageprocessingstep", step).named(name),
    };
    let mut context = job.context(operation, 1, None, world);
    if let Some(parent) = &mut context.parent_context {
        parent.owning_extension = EntityReference::new("sdkmessageprocessingstep", OBJECT_MODEL)
            .named("ObjectModel Implementation");
    }
    context
}

/// What the contexts of one chain have in common.
struct Job {
    user: User,
    operation_id: Guid,
    request_id: Guid,
    correlation_id: Guid,
    created_on: Date,
    mode: Mode,
    owning_extension: EntityReference,
}

impl Job {
    /// The step's context, with the main operation above it and above that what caused it.
    fn context(
        &self,
        operation: Operation,
        depth: u32,
        causes: Option<Box<Context>>,
        world: &mut World,
    ) -> Context {
        let mut main = self.bare(Stage::MainOperation, depth, world);
        main.message_name = operation.message_name;
        main.primary_entity_name = operation.table_name;
        main.primary_entity_id = operation.row;
        let mut context = main.clone();

        main.input_parameters = self.as_sent(operation.sent, operation.message_name);
        main.shared_variables = caller_variables(operation.message_name, world);
        main.parent_context = causes;

        let registered = |name, image: Option<Entity>| image.map(|image| (name, image));
        let is_job = self.mode == Mode::Asynchronous;
        let name_image = operation.name_image.filter(|_| is_job);
        context.stage = Stage::PostOperation;
        context.input_parameters = operation.input;
        context.output_parameters = operation.output;
        context.shared_variables = step_variables(world);
        context
            .pre_entity_images
            .extend(registered("PreImage", operation.pre_image));
        context
            .post_entity_images
            .extend(registered("PostImage", operation.post_image));
        context
            .post_entity_images
            .extend(registered("AsynchronousStepPrimaryName", name_image));
        context.parent_context = Some(Box::new(main));
        context
    }

    /// A context of this chain that tells of nothing yet.
    fn bare(&self, stage: Stage, depth: u32, world: &World) -> Context {
        Context {
            layout: world.organization.layout,
            business_unit_id: self.user.business_unit.id,
            correlation_id: self.correlation_id,
            depth,
            initiating_user_agent: Some(self.user.agent.into()),
            initiating_user_azure_id: Guid::ZERO,
            initiating_user_id: self.user.reference.id,
            input_parameters: Vec::new(),
            is_in_transaction: self.mode == Mode::Synchronous,
            message_name: "",
            mode: self.mode,
            operation_created_on: self.created_on,
            operation_id: self.operation_id,
            organization_id: world.organization.id,
            organization_name: world.organization.name.clone().into(),
            output_parameters: Vec::new(),
            owning_extension: self.owning_extension.clone(),
            parent_context: None,
            post_entity_images: Vec::new(),
            pre_entity_images: Vec::new(),
            primary_entity_id: Guid::ZERO,
            primary_entity_name: "none",
            request_id: self.request_id,
            shared_variables: Vec::new(),
            stage,
            user_azure_id: self.user.azure_id,
            user_id: self.user.reference.id,
        }
    }

    /// What callers add of their own: a browser its app, a service client the state of the row.
    fn as_sent(&self, mut parameters: Bag, message_name: &str) -> Bag {
        let is_browser = self.user.agent.starts_with("Mozilla");
        let is_client = self.user.agent.contains("DataverseSvcClient");
        for (_, value) in &mut parameters {
            if let (Value::Entity(entity), true) = (value, is_client) {
                let state = [EntityState::Changed, EntityState::Created];
                entity.entity_state = Some(state[usize::from(message_name == "Create")]);
            }
        }
        if matches!(message_name, "Create" | "Update") {
            parameters.push(("SuppressDuplicateDetection", Value::Bool(!is_browser)));
        }
        if is_browser {
            parameters.push(("x-ms-app-name", Value::Text("msdynce_saleshub".into())));
        }
        parameters
    }
}

/// What the operation is part of: mostly nothing, sometimes a chain of up to three.
fn causes(job: &Job, world: &mut World) -> Option<Box<Context>> {
    let count = match world.dice.u8(0..100) {
        0..70 => 0,
        70..88 => 1,
        88..96 => 2,
        _ => 3,
    };
    (1..=count).fold(None, |cause, depth| {
        let mut context = job.bare(Stage::MainOperation, depth, world);
        let kind = world.pick(&[qualify_lead as Cause, execute_workflow, onboard_customer]);
        kind(&mut context, world);
        context.parent_context = cause;
        Some(Box::new(context))
    })
}

type Cause = fn(&mut Context, &mut World);

fn qualify_lead(context: &mut Context, world: &mut World) {
    let place = world.row_of("lead");
    let lead = world.rows[place].reference();
    context.message_name = "QualifyLead";
    context.primary_entity_name = "lead";
    context.primary_entity_id = lead.id;
    context.input_parameters = vec![
        ("LeadId", Value::EntityReference(lead)),
        ("CreateAccount", Value::Bool(true)),
        ("CreateContact", Value::Bool(true)),
        ("CreateOpportunity", Value::Bool(world.dice.bool())),
        ("Status", Value::Choice(3)),
    ];
}

fn execute_workflow(context: &mut Context, world: &mut World) {
    let place = world.row();
    context.message_name = "ExecuteWorkflow";
    context.primary_entity_name = "workflow";
    context.primary_entity_id = world.step("ExecuteWorkflow", "workflow");
    context.input_parameters = vec![
        ("EntityId", Value::Guid(world.rows[place].id)),
        ("WorkflowId", Value::Guid(context.primary_entity_id)),
    ];
}

fn onboard_customer(context: &mut Context, world: &mut World) {
    let place = world.row_of("account");
    context.message_name = "cr123_OnboardCustomer";
    context.input_parameters = vec![
        (
            "Customer",
            Value::EntityReference(world.rows[place].reference()),
        ),
        (
            "Packages",
            Value::Texts(vec!["starter".into(), "support/24x7".into()]),
        ),
    ];
}

fn caller_variables(message_name: &str, world: &mut World) -> Bag {
    let mut variables = vec![
        ("IsAutoTransact", Value::Bool(true)),
        ("AcceptLang", Value::Text("".into())),
    ];
    if message_name == "Create" {
        variables.push(("DefaultsAddedFlag", Value::Bool(true)));
    }
    if message_name == "Update" && world.chance(20) {
        let changed = vec![
            ("feedback", "Update"),
            ("incident", "Update"),
            ("contact", "Update"),
        ];
        variables.push(("ChangedEntityTypes", Value::Pairs(changed)));
    }
    variables
}

/// A caller may tag what it does, and the tag goes with it.
fn step_variables(world: &mut World) -> Bag {
    let mut variables = vec![("IsAutoTransact", Value::Bool(true))];
    if world.chance(10) {
        let tag: Text = world
            .pick(&["nightly-import", "migration/2025", "Überprüfung"])
            .into();
        variables.push(("tag", Value::Text(tag)));
    }
    variables
}
