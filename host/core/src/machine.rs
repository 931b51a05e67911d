//! Machines: how they are made, and what a change of stage, workflow or task list does (drp-api.md 7.8).

pub mod pipeline;

use formwork_model::{BootEnv, Machine, MachineFingerprint, Objects, ObjectsExt, Stage};

use crate::{
    Refusal,
    plan::{self, MAX_ENTRIES, PlanRequest},
    preferences,
    tasks::Entry,
};

/// Ids and secrets for a new object, made by the caller.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// A random UUID.
    pub uuid: String,
    /// Sixteen random characters.
    pub secret: String,
}

/// What is to be done with a changed machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is ready to be checked and saved.
    Ready(Box<Machine>),
    /// A component must first say what the task list is; then [`apply_plan`] completes the machine.
    Plan(Box<Machine>, Box<PlanRequest>),
}

/// Fills in what a new machine lacks (drp-api.md 7.8 "Create").
#[must_use]
pub fn create(objects: &(impl Objects + ?Sized), mut machine: Machine, fresh: Fresh) -> Change {
    let or = |value: &mut String, preference: &str| {
        if value.is_empty() {
            *value = preferences::value(objects, preference);
        }
    };
    if machine.uuid.is_empty() {
        machine.uuid = fresh.uuid;
    }
    machine.runnable = true;
    or(&mut machine.stage, "defaultStage");
    if let Some(stage) = objects.get::<Stage>(&machine.stage).filter(|_| machine.boot_env.is_empty()) {
        machine.boot_env.clone_from(&stage.boot_env);
    }
    or(&mut machine.boot_env, "defaultBootEnv");
    or(&mut machine.workflow, "defaultWorkflow");
    if machine.arch.is_empty() {
        machine.arch = String::from("amd64");
    }
    if machine.pool.is_empty() {
        machine.pool = String::from("default");
    }
    machine.pool_status = String::from("Free");
    machine.secret = fresh.secret;
    let flags = machine.header.meta.entry(String::from("feature-flags")).or_default();
    if flags.is_empty() {
        *flags = String::from("change-stage-v2");
    }
    machine.context = base_context(&machine);
    machine.current_job = String::new();
    machine.retry_task_attempt = 0;
    machine.task_error_stacks.clear();
    if !machine.workflow.is_empty() {
        let request = plan::for_workflow(objects, &machine);
        return Change::Plan(Box::new(machine), Box::new(request));
    }
    let stage = objects.get::<Stage>(&machine.stage);
    if stage.is_some_and(|stage| !stage.tasks.is_empty()) {
        let request = plan::for_stage(objects, &machine);
        return Change::Plan(Box::new(machine), Box::new(request));
    }
    let tasks = std::mem::take(&mut machine.tasks);
    restart(&mut machine, tasks);
    Change::Ready(Box::new(machine))
}

/// Puts a component's task list on a machine, from the beginning.
///
/// # Errors
///
/// The list is longer than [`MAX_ENTRIES`]. Names in it are checked when the machine is admitted.
pub fn apply_plan(mut machine: Machine, tasks: Vec<String>) -> Result<Machine, Refusal> {
    if tasks.len() > MAX_ENTRIES {
        return Err(Refusal::invalid(format!(
            "{}: the workflow component answered {} tasks, more than {MAX_ENTRIES}",
            machine.uuid,
            tasks.len()
        )));
    }
    restart(&mut machine, tasks);
    Ok(machine)
}

/// Decides what a change of a machine by a user or an agent does.
///
/// `new` is what the caller wants; members that only the server writes have been put back already. `secret` is
/// a fresh one in case that the old is to be revoked.
///
/// # Errors
///
/// A change of what has begun already, a change of stage or boot environment that the workflow owns, a change
/// of a locked machine, or a list that cannot be.
pub fn change(
    objects: &(impl Objects + ?Sized),
    old: &Machine,
    mut new: Machine,
    rules: &Rules,
) -> Result<Change, Refusal> {
    if old.locked && new.locked && rules.by_user {
        return Err(Refusal::invalid(format!(
            "{}: the machine is locked\nhint: set Locked to false first",
            old.uuid
        )));
    }
    // A change that leaves the secret out is none of it: only a new one revokes the tokens of the machine.
    if new.secret.is_empty() {
        new.secret.clone_from(&old.secret);
    } else if new.secret != old.secret {
        new.secret.clone_from(&rules.fresh_secret);
    }
    if new.work_order_mode != old.work_order_mode {
        return mode_change(old, new);
    }
    if new.workflow != old.workflow {
        return Ok(begin_workflow(objects, new));
    }
    if !new.workflow.is_empty() && !rules.force {
        owned_by_workflow(old, &new)?;
    }
    if new.stage != old.stage && new.workflow.is_empty() {
        return stage_change(objects, old, new, rules.force);
    }
    if new.boot_env != old.boot_env {
        agree_with_stage(objects, &new, rules.force)?;
        new.runnable = false;
    }
    task_change(old, &mut new)?;
    Ok(Change::Ready(Box::new(new)))
}

/// Refuses a boot environment beside the one that the stage is in.
fn agree_with_stage(
    objects: &(impl Objects + ?Sized),
    machine: &Machine,
    force: bool,
) -> Result<(), Refusal> {
    let Some(stage) = objects.get::<Stage>(&machine.stage) else { return Ok(()) };
    if force || stage.boot_env.is_empty() || stage.boot_env == machine.boot_env {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "{}: BootEnv {} contradicts stage {}, which is in {}\nhint: set Stage to one without a boot environment, as `none`",
        machine.uuid, machine.boot_env, stage.name, stage.boot_env
    )))
}

/// Tells whether a change of a machine ends the job that it has: its list begins anew, or there is none any more. What is put
/// behind the task that runs leaves that alone.
#[must_use]
pub fn ends_job(before: &Machine, after: &Machine) -> bool {
    after.workflow != before.workflow
        || after.tasks != before.tasks
            && (after.tasks.is_empty() || after.current_task < before.current_task.max(0))
}

/// Under which rules a machine is changed.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// True when soft checks are waived.
    pub force: bool,
    /// True for users, whom a locked machine refuses; false for its own agent and the server.
    pub by_user: bool,
    /// Sixteen random characters, for when tokens are revoked.
    pub fresh_secret: String,
}

fn base_context(machine: &Machine) -> String {
    machine.header.meta.get("BaseContext").cloned().unwrap_or_default()
}

/// Begins a task list anew.
fn restart(machine: &mut Machine, tasks: Vec<String>) {
    machine.current_task = if tasks.is_empty() { 0 } else { -1 };
    machine.workflow_complete = tasks.is_empty();
    machine.tasks = tasks;
    machine.retry_task_attempt = 0;
    machine.task_error_stacks.clear();
}

/// Begins the workflow of a machine, or ends what it had where it names none.
#[must_use]
pub fn begin_workflow(objects: &(impl Objects + ?Sized), mut new: Machine) -> Change {
    new.context = base_context(&new);
    if new.workflow.is_empty() {
        new.stage = String::from("none");
        restart(&mut new, Vec::new());
        return Change::Ready(Box::new(new));
    }
    let request = plan::for_workflow(objects, &new);
    Change::Plan(Box::new(new), Box::new(request))
}

/// Switches between tasks and work orders (drp-behaviour.md 3.12).
fn mode_change(old: &Machine, mut new: Machine) -> Result<Change, Refusal> {
    let refused =
        |why: &str| Err(Refusal::invalid(format!("{}: WorkOrderMode cannot change: {why}", old.uuid)));
    let same = (&new.workflow, &new.stage, &new.boot_env, &new.tasks, new.current_task)
        == (&old.workflow, &old.stage, &old.boot_env, &old.tasks, old.current_task);
    if !same {
        return refused("Workflow, Stage, BootEnv or Tasks change with it\nhint: change one after the other");
    }
    if !new.work_order_mode {
        return match old.running_work_orders {
            0 => Ok(Change::Ready(Box::new(new))),
            _ => refused("a work order runs"),
        };
    }
    if old.current_task < length(&old.tasks) {
        return refused("tasks are pending\nhint: let the workflow end, or clear Workflow or Tasks first");
    }
    enter_work_order_mode(&mut new);
    Ok(Change::Ready(Box::new(new)))
}

/// Has a machine take work orders, which has no tasks of its own then.
pub(crate) fn enter_work_order_mode(machine: &mut Machine) {
    machine.work_order_mode = true;
    machine.workflow.clear();
    restart(machine, Vec::new());
}

fn owned_by_workflow(old: &Machine, new: &Machine) -> Result<(), Refusal> {
    for (member, before, after) in
        [("Stage", &old.stage, &new.stage), ("BootEnv", &old.boot_env, &new.boot_env)]
    {
        if before != after {
            return Err(Refusal::invalid(format!(
                "{}: {member} cannot change while Workflow {} is set\nhint: change the Workflow instead",
                old.uuid, old.workflow
            )));
        }
    }
    Ok(())
}

fn stage_change(
    objects: &(impl Objects + ?Sized),
    old: &Machine,
    mut new: Machine,
    force: bool,
) -> Result<Change, Refusal> {
    let pending = old.current_task < length(&old.tasks);
    if pending && !force {
        return Err(Refusal::invalid("Can not change stages with pending tasks unless forced"));
    }
    new.context = base_context(&new);
    let stage = objects.get::<Stage>(&new.stage);
    if let Some(boot_env) =
        stage.as_ref().map(|stage| &stage.boot_env).filter(|boot_env| !boot_env.is_empty())
    {
        new.boot_env.clone_from(boot_env);
    }
    if new.boot_env != old.boot_env {
        new.runnable = false;
    }
    let request = plan::for_stage(objects, &new);
    Ok(Change::Plan(Box::new(new), Box::new(request)))
}

/// Checks a change of the list and of the place in it (drp-behaviour.md 3.4).
fn task_change(old: &Machine, new: &mut Machine) -> Result<(), Refusal> {
    if new.tasks != old.tasks {
        let begun = usize::try_from(old.current_task + 1).unwrap_or(0).min(old.tasks.len());
        if new.tasks.len() < begun {
            return Err(Refusal::invalid(
                "Cannot remove tasks that have already executed or are already executing",
            ));
        }
        if new.tasks.iter().zip(&old.tasks).take(begun).any(|(a, b)| a != b) {
            return Err(Refusal::invalid("Cannot change tasks that have already executed or are executing"));
        }
        if !same_future(old, new, begun) {
            return Err(Refusal::invalid(
                "Cannot change tasks of the stages to come; change the Workflow instead",
            ));
        }
        place_in_new_list(old, new);
        return Ok(());
    }
    if new.current_task != old.current_task {
        if new.current_task != -1 {
            return Err(Refusal::invalid(format!(
                "Cannot advance CurrentTask from {} to {} without running jobs",
                old.current_task, new.current_task
            )));
        }
        rewind(old, new);
    }
    Ok(())
}

/// Tells whether everything from the next `stage:` entry on is the same.
fn same_future(old: &Machine, new: &Machine, begun: usize) -> bool {
    fn future(tasks: &[String], begun: usize) -> &[String] {
        let rest = tasks.get(begun..).unwrap_or_default();
        let next = rest.iter().position(|entry| entry.starts_with("stage:")).unwrap_or(rest.len());
        rest.get(next..).unwrap_or_default()
    }
    old.workflow.is_empty() || future(&old.tasks, begun) == future(&new.tasks, begun)
}

fn place_in_new_list(old: &Machine, new: &mut Machine) {
    if old.tasks.is_empty() || old.current_task < 0 {
        new.current_task = if new.tasks.is_empty() { 0 } else { -1 };
    } else if old.current_task >= length(&old.tasks) {
        // The place behind the last entry is where the additions begin.
        new.current_task = length(&old.tasks).min(length(&new.tasks));
    } else {
        new.current_task = old.current_task;
    }
    new.workflow_complete = new.current_task >= length(&new.tasks);
}

/// Goes back to the latest place from which the list needs no other boot environment (drp-behaviour.md 3.3).
fn rewind(old: &Machine, new: &mut Machine) {
    let end = usize::try_from(old.current_task + 1).unwrap_or(0).min(old.tasks.len());
    let begun = old.tasks.get(..end).unwrap_or_default();
    let barrier = begun
        .iter()
        .rposition(|entry| matches!(Entry::parse(entry), Entry::BootEnv(name) if name != old.boot_env))
        .filter(|_| !old.workflow.is_empty());
    new.current_task = barrier.map_or(-1, |index| i64::try_from(index).unwrap_or(-1));
    let kept = barrier.map_or(0, |index| index + 1);
    new.context = begun
        .iter()
        .take(kept)
        .rev()
        .find_map(|entry| match Entry::parse(entry) {
            Entry::Context(name) => Some(name.to_owned()),
            _ => None,
        })
        .unwrap_or_else(|| base_context(old));
    new.workflow_complete = new.tasks.is_empty();
    if new.tasks.is_empty() {
        new.current_task = 0;
    }
    new.retry_task_attempt = 0;
}

pub(crate) fn length(tasks: &[String]) -> i64 {
    i64::try_from(tasks.len()).unwrap_or(i64::MAX)
}

/// Returns the boot environment of a machine, the default one when it names none.
#[must_use]
pub fn boot_env(objects: &(impl Objects + ?Sized), machine: &Machine) -> Option<std::sync::Arc<BootEnv>> {
    if machine.boot_env.is_empty() {
        return objects.get(&preferences::value(objects, "defaultBootEnv"));
    }
    objects.get(&machine.boot_env)
}

/// Takes over a fingerprint that a machine's agent found, member by member where the machine has none.
#[must_use]
pub fn learn_fingerprint(machine: &Machine, found: &MachineFingerprint) -> Option<Machine> {
    (machine.fingerprint == MachineFingerprint::default() && *found != MachineFingerprint::default())
        .then(|| Machine { fingerprint: found.clone(), ..machine.clone() })
}

#[cfg(test)]
pub(crate) mod tests;
