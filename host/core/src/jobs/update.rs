//! What a change of a job's state does to the job and its machine (drp-api.md 9.3, 9.7).

use formwork_model::{
    ExitState, Job, JobState, Machine, Objects, ObjectsExt, TaskStack, Timestamp, WorkOrder, Workflow,
};
use serde_json::Value;

use super::{Moved, Subject, limits, mirror};
use crate::{
    Refusal,
    plan::{DEFAULT_COMPONENT, Decision, FailureReport},
    work_orders::workflow,
};

/// A job and what it moved, to be saved together.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The job.
    pub job: Job,
    /// The machine or the work order, when it changed.
    pub moved: Option<Moved>,
}

/// Returns what a job belongs to, as it is stored; nothing when that is gone.
#[must_use]
pub fn subject_of(objects: &(impl Objects + ?Sized), job: &Job) -> Option<Subject> {
    let (_, machine) = Machine::with_uuid(objects, &job.machine)?;
    if job.work_order.is_empty() {
        return Some(Subject::of(&machine, None));
    }
    let order = objects.get::<WorkOrder>(&job.work_order)?;
    Some(Subject::of(&machine, Some(&order)))
}

/// Returns what a workflow component must be asked before [`update`] can fail a job: `None` for other changes.
#[must_use]
pub fn failure_report(objects: &(impl Objects + ?Sized), old: &Job, new: &Job) -> Option<FailureReport> {
    if new.state != JobState::Failed || old.state.is_final() {
        return None;
    }
    let subject = subject_of(objects, old)?;
    let of_task = |name: &str| subject.param(objects, name)?.get(&old.task).cloned();
    let handlers =
        of_task("task-error-handlers").and_then(|list| list.as_array().cloned()).unwrap_or_default();
    let machine = &subject.machine;
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
            .and_then(|count| u32::try_from(count).ok())
            .or_else(|| workflow::retries(objects, machine)),
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
    if old.state == new.state {
        if old.state.is_final() && old.exit_state != new.exit_state {
            return Err(Refusal::Conflict(format!("job {} is {} and final", old.uuid, old.state.as_str())));
        }
        return Ok(Ended { job: new, moved: None });
    }
    if !allowed(old.state, new.state) {
        return Err(Refusal::Conflict(format!(
            "job {} cannot go from {} to {}",
            old.uuid,
            old.state.as_str(),
            new.state.as_str()
        )));
    }
    let Some(before) = subject_of(objects, old) else {
        settle(old, &mut new, now);
        return Ok(Ended { job: new, moved: None });
    };
    if before.machine.current_job != old.uuid {
        let of = match before.order() {
            "" => format!("machine {}", before.machine.uuid),
            order => format!("work order {order}"),
        };
        return Err(Refusal::Conflict(format!("job {} is not the current job of {of}", old.uuid)));
    }
    limits::count_reboot(objects, &before, old, &mut new);
    settle(old, &mut new, now);
    let mut subject = before.clone();
    match new.state {
        JobState::Finished => {
            subject.machine.retry_task_attempt = 0;
            if subject.param(objects, "task-single-step") == Some(Value::Bool(true)) {
                subject.machine.runnable = false;
            }
        }
        JobState::Failed => {
            fail(&mut subject.machine, &mut new, decision, now);
            if !subject.machine.runnable && new.retry_at.is_unset() {
                subject.fail_order(&new.task, now);
                if before.machine.current_task == new.current_index {
                    workflow::pass_over(objects, &mut subject.machine);
                }
            }
        }
        // Nothing else keeps the agent from asking for it again at once.
        JobState::Incomplete if new.exit_state == ExitState::Complete => subject.hold_order(&new.task),
        _ => {}
    }
    mirror(&mut subject.machine, &new);
    Ok(Ended { job: new, moved: subject.moved(&before, now) })
}

fn allowed(from: JobState, to: JobState) -> bool {
    match from {
        JobState::Created => matches!(to, JobState::Running | JobState::Failed),
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
        // Who sent the machine back while the task ran wants it to go on from there.
        Decision::Advance if machine.current_task != job.current_index => machine.runnable = true,
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

/// Tells whether the time of a retry has come. A clock that was set back behind the failure cannot measure the pause, which is
/// over then: nobody is to wait for years.
#[must_use]
pub fn is_due((failed, at): (Timestamp, Timestamp), now: Timestamp) -> bool {
    !(failed..at).contains(&now)
}

/// Makes a machine or a work order runnable again when the time of its retry has come; `None` when that is not owed any more.
#[must_use]
pub fn retry_due(objects: &(impl Objects + ?Sized), job: &Job, now: Timestamp) -> Option<Moved> {
    let before = subject_of(objects, job)?;
    let machine = &before.machine;
    let owed = job.state == JobState::Failed
        && !job.retry_at.is_unset()
        && machine.current_job == job.uuid
        && machine.current_task == job.current_index
        && !machine.runnable
        && machine.retry_task_attempt > 0;
    if !owed || !is_due((job.end_time, job.retry_at), now) {
        return None;
    }
    let mut subject = before.clone();
    subject.machine.runnable = true;
    subject.moved(&before, now)
}

/// Moves a machine or a work order past the place of its current job, which is deleted: what that job finished is not done again.
/// `None` when nothing moves.
#[must_use]
pub fn deleted(objects: &(impl Objects + ?Sized), job: &Job, now: Timestamp) -> Option<Moved> {
    let before = subject_of(objects, job)?;
    let machine = &before.machine;
    let is_at_place = machine.current_job == job.uuid
        && !machine.job_state.is_empty()
        && (job.current_index..job.next_index).contains(&machine.current_task);
    if job.state != JobState::Finished || !is_at_place {
        return None;
    }
    let mut subject = before.clone();
    subject.machine.current_task = job.next_index;
    subject.moved(&before, now)
}

/// Fails the current job of something whose list was replaced or ended, without any other effect.
#[must_use]
pub fn fail_unfinished(objects: &(impl Objects + ?Sized), current_job: &str, now: Timestamp) -> Option<Job> {
    let job = objects.get::<Job>(current_job)?;
    (!job.state.is_final()).then(|| Job {
        state: JobState::Failed,
        exit_state: ExitState::Failed,
        end_time: now,
        ..job.as_ref().clone()
    })
}
