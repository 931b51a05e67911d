//! What a workflow component is asked and what it may answer (design, part 4).
//!
//! The component decides the list; the rules here hold for every component: names must exist, the list is
//! bounded, and what has begun stays as it is.

use formwork_model::{Machine, Objects, ObjectsExt, Stage, Task, Workflow};

/// The component that plans when a workflow names none.
pub const DEFAULT_COMPONENT: &str = "core/classic";

/// The longest task list that is accepted from a component.
pub const MAX_ENTRIES: usize = 10_000;

/// A stage, as a component sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedStage {
    /// Its name.
    pub name: String,
    /// Its boot environment; empty for any.
    pub boot_env: String,
    /// Its task entries.
    pub tasks: Vec<String>,
}

/// A task with what goes before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedTask {
    /// Its name.
    pub name: String,
    /// The tasks that go before it.
    pub prerequisites: Vec<String>,
}

/// The question for a task list. Two equal questions have the same answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanRequest {
    /// The component to ask, as `PACK/COMPONENT`.
    pub component: String,
    /// The workflow; empty when a bare stage is planned.
    pub workflow: String,
    /// The stages in order.
    pub stages: Vec<PlannedStage>,
    /// All tasks that the stages name, with those that go before them.
    pub tasks: Vec<PlannedTask>,
    /// The UUID of the machine.
    pub uuid: String,
    /// The name of the machine.
    pub machine: String,
    /// The boot environment that the machine is in.
    pub boot_env: String,
    /// The stage that the machine is in.
    pub stage: String,
}

/// Makes the question for the list of a machine's workflow.
#[must_use]
pub fn for_workflow(objects: &(impl Objects + ?Sized), machine: &Machine) -> PlanRequest {
    let workflow = objects.get::<Workflow>(&machine.workflow);
    let stages = workflow.as_ref().map(|workflow| workflow.stages.clone()).unwrap_or_default();
    let component = workflow.map(|workflow| workflow.component.clone()).unwrap_or_default();
    request(objects, machine, &stages, component)
}

/// Makes the question for the list of a machine's stage, without a workflow.
#[must_use]
pub fn for_stage(objects: &(impl Objects + ?Sized), machine: &Machine) -> PlanRequest {
    request(objects, machine, std::slice::from_ref(&machine.stage), String::new())
}

fn request(
    objects: &(impl Objects + ?Sized),
    machine: &Machine,
    stages: &[String],
    component: String,
) -> PlanRequest {
    let stages: Vec<PlannedStage> = stages
        .iter()
        .map(|name| match objects.get::<Stage>(name) {
            Some(stage) => PlannedStage {
                name: name.clone(),
                boot_env: stage.boot_env.clone(),
                tasks: stage.tasks.clone(),
            },
            None => PlannedStage { name: name.clone(), ..PlannedStage::default() },
        })
        .collect();
    PlanRequest {
        component: if component.is_empty() { DEFAULT_COMPONENT.to_owned() } else { component },
        workflow: machine.workflow.clone(),
        tasks: tasks(objects, &stages),
        stages,
        uuid: machine.uuid.clone(),
        machine: machine.name.clone(),
        boot_env: machine.boot_env.clone(),
        stage: machine.stage.clone(),
    }
}

/// Returns the tasks that stages name and, transitively, those that go before them.
fn tasks(objects: &(impl Objects + ?Sized), stages: &[PlannedStage]) -> Vec<PlannedTask> {
    let mut found: Vec<PlannedTask> = Vec::new();
    let mut waiting: Vec<String> =
        stages.iter().rev().flat_map(|stage| stage.tasks.iter().rev().cloned()).collect();
    while let Some(name) = waiting.pop() {
        if found.iter().any(|task| task.name == name) {
            continue;
        }
        if let Some(task) = objects.get::<Task>(&name) {
            waiting.extend(task.prerequisites.iter().cloned());
            found.push(PlannedTask { name, prerequisites: task.prerequisites.clone() });
        }
    }
    found
}

/// What a workflow component is told about a job that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureReport {
    /// The component to ask, as `PACK/COMPONENT`.
    pub component: String,
    /// The task that failed.
    pub task: String,
    /// How often it was tried again already.
    pub attempt: u32,
    /// How often it may be tried again; the param `task-retry`.
    pub retries: Option<u32>,
    /// What runs when it fails for good; the param `task-error-handlers`.
    pub handlers: Vec<String>,
    /// 1 while an error handler runs, else 0.
    pub error_depth: u32,
}

/// What happens after a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The machine goes on as if the job had finished.
    Advance,
    /// The task runs again after so many milliseconds.
    RetryAfterMillis(u64),
    /// Another list runs first, then the task again.
    Divert(Vec<String>),
    /// The machine waits for an operator; the text says why.
    Stop(String),
}
