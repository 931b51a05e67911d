//! What a change of a job's state does to the job and its machine (drp-api.md 9.3, 9.7).

use formwork_model::{
    ExitState, Job, JobState, Machine, Objects, ObjectsExt, TaskStack, Timestamp, Workflow,
};
use serde_json::Value;

use super::mirror;
use crate::{
    Refusal, params,
    plan::{DEFAULT_COMPONENT, Decision, FailureReport},
};

/// A job and its machine after a change, to be saved together.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The job.
    pub job: Job,
    /// The machine, when it changed.
    pub machine: Option<Box<Machine>>,
}

/// Returns what a workflow component must be asked before [`update`] can fail a job: `None` for other changes.
#[must_use]
pub fn failure_report(objects: &(impl Objects + ?Sized), old: &Job, new: &Job) -> Option<FailureReport> {
    if new.state != JobState::Failed || old.state.is_final() {
        return None;
    }
    let (_, machine) = Machine::with_uuid(objects, &old.machine)?;
    let of_task = |name: &str| {
        let map = params::resolve(objects, machine.as_ref(), name)?;
        map.get(&old.task).cloned()
    };
    let handlers =
        of_task("task-error-handlers").and_then(|list| list.as_array().cloned()).unwrap_or_default();
    let component = objects
        .get::<Workflow>(&machine.workflow)
        .map(|workflow| workflow.component.clone())
        .unwrap_or_default();
    Some(FailureReport {
        component: if component.is_empty() { DEFAULT_COMPONENT.to_owned() } else { component },
        task: old.task.clone(),
        attempt: u32::try_from(machine.retry_task_attempt).unwrap_or(0),
        retries: of_task("task-retry")
            .and_then(|count| count.as_u64())
            .and_then(|count| u32::try_from(count).ok()),
        handlers: handlers.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        error_depth: u32::try_from(machine.task_error_stacks.len()).unwrap_or(1),
    })
}

/// Decides what a changed state of a job means. `decision` is the component's answer to [`failure_report`].
///
/// # Errors
///
/// A move that is not allowed, or a job that is not its machine's current one.
pub fn update(
    objects: &(impl Objects + ?Sized),
    old: &Job,
    mut new: Job,
    decision: Option<Decision>,
    now: Timestamp,
) -> Result<Ended, Refusal> {
    let machine = Machine::with_uuid(objects, &old.machine).map(|(_, machine)| machine.as_ref().clone());
    if old.state == new.state {
        if old.state.is_final() && old.exit_state != new.exit_state {
            return Err(Refusal::Conflict(format!("job {} is {} and final", old.uuid, old.state.as_str())));
        }
        return Ok(Ended { job: new, machine: None });
    }
    if !allowed(old.state, new.state) {
        return Err(Refusal::Conflict(format!(
            "job {} cannot go from {} to {}",
            old.uuid,
            old.state.as_str(),
            new.state.as_str()
        )));
    }
    let Some(mut machine) = machine else {
        settle(old, &mut new, now);
        return Ok(Ended { job: new, machine: None });
    };
    if machine.current_job != old.uuid {
        return Err(Refusal::Conflict(format!(
            "job {} is not the current job of machine {}",
            old.uuid, machine.uuid
        )));
    }
    settle(old, &mut new, now);
    match new.state {
        JobState::Finished => {
            machine.retry_task_attempt = 0;
            if params::resolve(objects, &machine, "task-single-step") == Some(Value::Bool(true)) {
                machine.runnable = false;
            }
        }
        JobState::Failed => fail(&mut machine, &mut new, decision, now),
        _ => {}
    }
    mirror(&mut machine, &new);
    Ok(Ended { job: new, machine: Some(Box::new(machine)) })
}

fn allowed(from: JobState, to: JobState) -> bool {
    match from {
        JobState::Created => true,
        JobState::Running => matches!(to, JobState::Finished | JobState::Failed | JobState::Incomplete),
        JobState::Incomplete => matches!(to, JobState::Running | JobState::Failed),
        JobState::Finished | JobState::Failed => false,
    }
}

/// Sets the times and the exit state that belong to a state.
fn settle(old: &Job, new: &mut Job, now: Timestamp) {
    match new.state {
        JobState::Running => {
            if old.state == JobState::Created {
                new.start_time = now;
            }
            new.exit_state = ExitState::None;
            new.end_time = Timestamp::default();
        }
        JobState::Finished | JobState::Incomplete => {
            new.end_time = now;
            if new.exit_state == ExitState::None {
                new.exit_state = ExitState::Complete;
            }
        }
        JobState::Failed => {
            new.end_time = now;
            new.exit_state = ExitState::Failed;
        }
        JobState::Created => {}
    }
}

/// Applies what the component decided; without an answer the machine waits for an operator.
fn fail(machine: &mut Machine, job: &mut Job, decision: Option<Decision>, now: Timestamp) {
    machine.runnable = false;
    match decision.unwrap_or_else(|| Decision::Stop(String::new())) {
        Decision::Advance => {
            job.next_index = job.current_index + 1;
            machine.current_task = job.next_index;
            machine.runnable = true;
        }
        Decision::RetryAfterMillis(millis) => {
            machine.retry_task_attempt += 1;
            job.retry_at = now.plus_millis(millis);
        }
        Decision::Divert(tasks) if machine.task_error_stacks.is_empty() && !tasks.is_empty() => {
            machine.task_error_stacks.push(TaskStack {
                current_task: machine.current_task,
                task_list: std::mem::replace(&mut machine.tasks, tasks),
                current_job: job.uuid.clone(),
            });
            machine.current_task = -1;
            machine.runnable = true;
        }
        Decision::Divert(_) => {}
        Decision::Stop(reason) => {
            if !reason.is_empty() && job.result_errors.is_empty() {
                job.result_errors.push(reason);
            }
        }
    }
}

/// Makes a machine runnable again when the time of its retry has come; `None` when that is not owed any more.
#[must_use]
pub fn retry_due(machine: &Machine, job: &Job, now: Timestamp) -> Option<Machine> {
    let owed = job.state == JobState::Failed
        && !job.retry_at.is_unset()
        && machine.current_job == job.uuid
        && machine.current_task == job.current_index
        && !machine.runnable
        && machine.retry_task_attempt > 0;
    (owed && job.retry_at <= now).then(|| Machine { runnable: true, ..machine.clone() })
}

/// Fails the current job of a machine whose list was replaced, without any effect on the machine.
#[must_use]
pub fn fail_unfinished(objects: &(impl Objects + ?Sized), machine: &Machine, now: Timestamp) -> Option<Job> {
    let job = objects.get::<Job>(&machine.current_job)?;
    (!job.state.is_final()).then(|| Job {
        state: JobState::Failed,
        exit_state: ExitState::Failed,
        end_time: now,
        ..job.as_ref().clone()
    })
}
