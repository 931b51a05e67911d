//! Work orders in workflow mode: the machine goes through a workflow, and the order follows it (drp-api.md 14.5).
//!
//! The order gives its machine the pipeline, the workflow and the context of the blueprint, and its params and profiles apply
//! before those of the machine as long as it runs. The jobs are those of the machine. What a failure of a task means that
//! neither `task-retry` nor an error handler mends, `OnFailure` says: `stop` fails the order, `pause` waits for somebody who
//! makes the machine runnable again, `continue` goes on behind the task, `retry` tries it again as `task-retry` does.

use formwork_model::{
    Blueprint, Job, JobState, Machine, Objects, ObjectsExt, Pipeline, PipelinePhaseRecord, Timestamp,
    WorkOrder, Workflow,
};

use super::waits;
use crate::{
    Refusal,
    batches::BATCH,
    machine::{self, Change, pipeline},
    pools,
};

/// The mode of orders that have their machine go through a workflow.
pub const MODE: &str = "workflow";

/// The member of a machine's meta that names the order whose workflow it goes through. Only the endpoint writes it.
pub const ORDER: &str = "work-order";

/// The member of a machine's meta that says that it takes work orders again once the workflow is over. Only the endpoint
/// writes it.
pub const RETURNS: &str = "work-order-mode";

/// The member of a workflow's meta that says which phase of a pipeline it is.
const PHASE: &str = "pipeline-phase";

/// How often `retry` has a task tried again that says nothing itself.
const RETRIES: u32 = 3;

/// How a work order is run again (drp-api.md 14.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// From the task that failed.
    #[default]
    Retry,
    /// From the task behind the one that failed.
    Continue,
    /// From the beginning of its workflow.
    FromStart,
}

/// What becomes of a machine and its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    /// The machine, when it changed.
    pub machine: Option<Machine>,
    /// The work order, when it changed.
    pub order: Option<WorkOrder>,
}

/// Returns what must be there for an order in workflow mode to be made: its workflow, and the pipeline where there is one.
pub(super) fn missing(objects: &(impl Objects + ?Sized), blueprint: &Blueprint) -> Option<String> {
    let (workflow, pipeline) = (entry(blueprint), &blueprint.pipeline);
    if objects.get::<Workflow>(workflow).is_none() {
        return Some(format!("Workflow {workflow} does not exist"));
    }
    let is_lost = !pipeline.is_empty() && objects.get::<Pipeline>(pipeline).is_none();
    is_lost.then(|| format!("Pipeline {pipeline} does not exist"))
}

/// Returns the workflow that orders of a blueprint begin with.
fn entry(blueprint: &Blueprint) -> &str {
    if blueprint.workflow.is_empty() { Blueprint::ENTRY } else { &blueprint.workflow }
}

/// Tells whether a work order waits for its machine to go through its workflow.
#[must_use]
pub fn is_waiting(order: &WorkOrder) -> bool {
    order.mode == MODE && waits(order)
}

/// Tells whether a machine can begin the workflow of an order: it has nothing else to do.
#[must_use]
pub fn is_idle(machine: &Machine) -> bool {
    machine.workflow_complete
        && machine.runnable
        && machine.header.available
        && machine.running_work_orders == 0
        && !pools::is_under_way(&machine.pool_status)
}

/// Returns the work order that runs on a machine in workflow mode.
#[must_use]
pub fn running(objects: &(impl Objects + ?Sized), machine: &Machine) -> Option<std::sync::Arc<WorkOrder>> {
    let order = objects.get::<WorkOrder>(machine.header.meta.get(ORDER)?)?;
    (order.mode == MODE && order.state == "running" && order.machine == machine.uuid).then_some(order)
}

/// Has a machine go through the workflow of an order. What it is given is still to be planned; then [`begun`] is what the
/// machine and the order are.
///
/// # Errors
///
/// The blueprint, its workflow or its pipeline is gone.
pub fn begin(
    objects: &(impl Objects + ?Sized),
    order: &WorkOrder,
    machine: &Machine,
) -> Result<Change, Refusal> {
    let refused = |why: String| Err(Refusal::Conflict(format!("Work order {}: {why}", order.uuid)));
    let Some(blueprint) = objects.get::<Blueprint>(&order.blueprint) else {
        return refused(format!("Blueprint {} does not exist", order.blueprint));
    };
    if let Some(missing) = missing(objects, &blueprint) {
        return refused(missing);
    }
    let mut next = Machine { runnable: true, work_order_mode: false, ..machine.clone() };
    entry(&blueprint).clone_into(&mut next.workflow);
    if !blueprint.pipeline.is_empty() {
        next.pipeline.clone_from(&blueprint.pipeline);
    }
    let mut change = machine::begin_workflow(objects, next);
    let (Change::Ready(planned) | Change::Plan(planned, _)) = &mut change;
    if !order.context.is_empty() {
        planned.context.clone_from(&order.context);
    }
    Ok(change)
}

/// Completes what [`begin`] made of a machine: it and its order know each other. `was` is the machine before it.
#[must_use]
pub fn begun(
    objects: &(impl Objects + ?Sized),
    order: &WorkOrder,
    (was, mut machine): (&Machine, Machine),
    now: Timestamp,
) -> (WorkOrder, Machine) {
    let meta = &mut machine.header.meta;
    meta.insert(ORDER.to_owned(), order.uuid.clone());
    if was.work_order_mode || was.header.meta.contains_key(RETURNS) {
        meta.insert(RETURNS.to_owned(), String::from("true"));
    }
    let mut order = super::begun(order, &machine, now);
    order.runnable = true;
    order.status = String::new();
    order.header.meta.extend(pipeline::noted(&machine));
    note_phase(objects, &mut order, &machine, now);
    (order, machine)
}

/// Lets a machine go from the order whose workflow it went through, for something else.
pub fn release(machine: &mut Machine) {
    machine.header.meta.remove(ORDER);
    machine.header.meta.remove(RETURNS);
}

/// Ends the workflow that a machine went through for an order.
#[must_use]
pub fn stopped(objects: &(impl Objects + ?Sized), machine: &Machine) -> Machine {
    let without = Machine { workflow: String::new(), ..machine.clone() };
    let (Change::Ready(ended) | Change::Plan(ended, _)) = machine::begin_workflow(objects, without);
    returned(*ended)
}

/// Returns a machine whose workflow is over: one that took work orders before does again.
fn returned(mut machine: Machine) -> Machine {
    if machine.header.meta.contains_key(RETURNS) {
        machine::enter_work_order_mode(&mut machine);
    }
    release(&mut machine);
    machine
}

/// Returns what becomes of a machine that has changed, and of the order whose workflow it goes through.
#[must_use]
pub fn follow(
    objects: &(impl Objects + ?Sized),
    machine: &Machine,
    order: Option<&WorkOrder>,
    now: Timestamp,
) -> Followed {
    let moved = machine.workflow_complete.then(|| returned(machine.clone()));
    let Some(old) = order.filter(|order| !order.is_final()) else {
        return Followed { machine: moved, order: None };
    };
    let mut order = WorkOrder {
        current_job: machine.current_job.clone(),
        job_state: machine.job_state.clone(),
        job_exit_state: machine.job_exit_state.clone(),
        job_result_errors: machine.job_result_errors.clone(),
        retry_task_attempt: machine.retry_task_attempt,
        stage: machine.stage.clone(),
        ..old.clone()
    };
    note_phase(objects, &mut order, machine, now);
    if machine.workflow_complete {
        order.state = String::from("finished");
        (order.status, order.runnable) = (String::new(), true);
    } else if machine.runnable {
        if !order.runnable {
            (order.status, order.runnable) = (String::new(), true);
        }
    } else if let Some(task) = given_up(objects, machine) {
        if order.on_failure == "pause" {
            order.runnable = false;
            order.status = format!("task {task} failed; it goes on when the machine is made runnable");
        } else {
            order.state = String::from("failed");
            order.status = format!("task {task} failed");
        }
    }
    if order.is_final() {
        end(&mut order, now);
    }
    Followed { machine: moved, order: (order != *old).then_some(order) }
}

/// Returns the order of a machine that goes through something else now, or is gone.
#[must_use]
pub fn abandoned(order: &WorkOrder, now: Timestamp) -> WorkOrder {
    let mut order = WorkOrder {
        state: String::from("cancelled"),
        status: String::from("its machine was given something else to do, or is gone"),
        ..order.clone()
    };
    end(&mut order, now);
    order
}

fn end(order: &mut WorkOrder, now: Timestamp) {
    order.end_time = now;
    if let Some(open) = order.pipeline_phase.last_mut().filter(|phase| phase.end_time.is_unset()) {
        open.end_time = now;
    }
}

/// Returns the task that a machine has given up at: it failed, and nothing tries it again or mends it.
fn given_up(objects: &(impl Objects + ?Sized), machine: &Machine) -> Option<String> {
    let job = objects.get::<Job>(&machine.current_job)?;
    let is_here = job.state == JobState::Failed && machine.current_task == job.current_index;
    (is_here && job.retry_at.is_unset() && !machine.runnable).then(|| job.task.clone())
}

/// Notes the phase of the pipeline that a machine has come to: what the meta of its workflow says, or else the last word of
/// the workflow's name where that is one. The first is `prepare` unless it says another.
fn note_phase(objects: &(impl Objects + ?Sized), order: &mut WorkOrder, machine: &Machine, now: Timestamp) {
    let said = objects.get::<Workflow>(&machine.workflow);
    let said = said.and_then(|workflow| workflow.header.meta.get(PHASE).cloned());
    let last = || machine.workflow.rsplit('-').next().unwrap_or_default().to_owned();
    let mut phase = said.unwrap_or_else(last);
    if !PipelinePhaseRecord::PHASES.contains(&&*phase) {
        if !order.pipeline_phase.is_empty() {
            return;
        }
        phase = String::from("prepare");
    }
    if order.pipeline_phase.last().is_some_and(|open| open.phase == phase) || machine.workflow_complete {
        return;
    }
    if let Some(open) = order.pipeline_phase.last_mut() {
        open.end_time = now;
    }
    let context = machine.context.clone();
    order.pipeline_phase.push(PipelinePhaseRecord { phase, context, start_time: now, ..Default::default() });
}

/// Returns how often a task of a machine is tried again that says nothing itself.
pub(crate) fn retries(objects: &(impl Objects + ?Sized), machine: &Machine) -> Option<u32> {
    let order = running(objects, machine)?;
    (order.on_failure == "retry").then_some(RETRIES)
}

/// Has a machine go on behind a task that it has given up at, where its order says so.
pub(crate) fn pass_over(objects: &(impl Objects + ?Sized), machine: &mut Machine) {
    if running(objects, machine).is_some_and(|order| order.on_failure == "continue") {
        skip(machine);
    }
}

/// Puts a machine behind the task at which it stands; behind the one that failed where an error handler did.
fn skip(machine: &mut Machine) {
    if let Some(stack) = machine.task_error_stacks.pop() {
        machine.tasks = stack.task_list;
        machine.current_task = stack.current_task;
    }
    machine.current_task += 1;
    machine.retry_task_attempt = 0;
    machine.runnable = true;
}

/// Makes the work order that runs another again. It is still to be begun.
///
/// # Errors
///
/// The other is in task mode, a member of a batch, or neither failed nor paused.
pub fn successor(old: &WorkOrder, uuid: String, now: Timestamp) -> Result<WorkOrder, Refusal> {
    let refused = |why: String| Err(Refusal::Conflict(format!("Work order {} {why}", old.uuid)));
    let another = format!("make another: `work_orders run {} on {}`", old.blueprint, old.machine);
    if old.mode != MODE {
        return refused(format!("is in task mode and is not run again\nhint: {another}"));
    }
    if let Some(batch) = old.header.meta.get(BATCH) {
        return refused(format!(
            "belongs to a batch\nhint: restart what failed in it: `batches restart {batch}`"
        ));
    }
    let is_paused = old.state == "running" && !old.runnable;
    if old.state != "failed" && !is_paused {
        let hint = if old.is_final() { another } else { String::from("let it end, or cancel it first") };
        let state = &old.state;
        return refused(format!(
            "is {state}: only one that failed or is paused can be run again\nhint: {hint}"
        ));
    }
    let mut order = WorkOrder {
        uuid,
        machine: old.machine.clone(),
        blueprint: old.blueprint.clone(),
        mode: old.mode.clone(),
        on_failure: old.on_failure.clone(),
        context: old.context.clone(),
        profiles: old.profiles.clone(),
        params: old.params.clone(),
        predecessor: old.uuid.clone(),
        create_time: now,
        ..WorkOrder::default()
    };
    order.header.meta.clone_from(&old.header.meta);
    Ok(order)
}

/// Returns a paused work order that another runs again.
#[must_use]
pub fn superseded(old: &WorkOrder, successor: &str, now: Timestamp) -> WorkOrder {
    let status = format!("it was paused; work order {successor} runs it again");
    let mut order = WorkOrder { state: String::from("failed"), status, ..old.clone() };
    end(&mut order, now);
    order
}

/// Puts a machine where a work order is run again. From the start it only must be free; what it begins then, [`begin`] says.
///
/// # Errors
///
/// It has begun something else since, or does not stand any more where the order failed.
pub fn resumed(
    objects: &(impl Objects + ?Sized),
    machine: &Machine,
    old: &WorkOrder,
    how: Restart,
) -> Result<Machine, Refusal> {
    let stands = machine.header.meta.get(ORDER) == Some(&old.uuid)
        && machine.current_job == old.current_job
        && given_up(objects, machine).is_some();
    let is_free = machine.workflow_complete && machine.running_work_orders == 0;
    if !(stands || how == Restart::FromStart && is_free) {
        let hint = if how == Restart::FromStart { "let it end that first" } else { "restart it from-start" };
        let message = format!(
            "Machine {} has gone on since work order {} stopped\nhint: {hint}",
            machine.uuid, old.uuid
        );
        return Err(Refusal::Conflict(message));
    }
    let mut next = machine.clone();
    match how {
        Restart::Retry => (next.runnable, next.retry_task_attempt) = (true, 0),
        Restart::Continue => skip(&mut next),
        Restart::FromStart => {}
    }
    Ok(next)
}

#[cfg(test)]
mod tests;
