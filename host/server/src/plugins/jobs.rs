//! The entries `action:COMMAND` and `action:PLUGIN:COMMAND` of task lists: the endpoint does them itself, as a job
//! (drp-api.md 9.2).
//!
//! The job is made like any other, in the state `created`; that it is owed is in the saved state. So after a crash in the
//! middle the next one who asks for a job of the machine has the action done again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use formwork_api::ApiError;
use formwork_core::{action_entry, jobs::Answer};
use formwork_model::{ExitState, Job, JobState, Machine, ObjectsExt, Values, WorkOrder};
use serde_json::Value;
use tokio::sync::watch;

use super::actions::{Asked, act};
use crate::{commands::jobs::update_job, endpoint::Endpoint};

/// Jobs whose action is under way in this process. The channel closes at the end.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<String, watch::Receiver<()>>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contains(&self, job: &str) -> bool {
        self.lock().contains_key(job)
    }
}

/// Returns the answer to an agent that asks for a job while the action of its machine's current job is owed, or whose
/// answer to that was lost; `None` when a job is to be made as usual.
pub(crate) async fn resumed(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    request: &Job,
) -> Result<Option<Answer>, ApiError> {
    let snapshot = endpoint.snapshot();
    let current = Machine::with_uuid(&snapshot, &request.machine).and_then(|(_, machine)| {
        let order = snapshot.get::<WorkOrder>(&request.work_order);
        let (context, current_job, runnable) = match &order {
            Some(order) => (&order.context, &order.current_job, order.runnable),
            None => (&machine.context, &machine.current_job, true),
        };
        let job = snapshot.get::<Job>(current_job)?;
        let fits = *context == request.context
            && job.machine == machine.uuid
            && job.work_order == request.work_order;
        let may_run = runnable && machine.runnable && machine.header.available;
        (fits && action_entry(&job.task).is_some()).then_some((job, may_run))
    });
    let Some((job, may_run)) = current else { return Ok(None) };
    let again = request.uuid == job.uuid;
    let left = matches!(job.state, JobState::Created | JobState::Running)
        && may_run
        && !endpoint.plugins.running.contains(&job.uuid);
    if again || left {
        return acted(endpoint, principal, Answer::Created(Box::new(job.as_ref().clone()))).await.map(Some);
    }
    Ok(None)
}

/// Does the action of a job that was handed out, if it is one, and returns the answer for the agent: the finished job, or
/// nothing when it failed.
pub(crate) async fn acted(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    answer: Answer,
) -> Result<Answer, ApiError> {
    let job = match &answer {
        Answer::Created(job) | Answer::Resumed(job) if action_entry(&job.task).is_some() => {
            job.as_ref().clone()
        }
        _ => return Ok(answer),
    };
    if !job.state.is_final() {
        perform(endpoint, principal, &job).await;
    }
    let ended = endpoint.snapshot().get::<Job>(&job.uuid);
    Ok(match ended {
        Some(job) if job.state == JobState::Finished => Answer::Created(Box::new(job.as_ref().clone())),
        _ => Answer::Nothing,
    })
}

/// Does the action of a job, or waits for whoever does it already.
async fn perform(endpoint: &Arc<Endpoint>, principal: &str, job: &Job) {
    let mut ended = {
        let mut running = endpoint.plugins.running.lock();
        if let Some(ended) = running.get(&job.uuid) {
            ended.clone()
        } else {
            let is_over = endpoint.snapshot().get::<Job>(&job.uuid).is_none_or(|job| job.state.is_final());
            if is_over {
                return;
            }
            let (end, ended) = watch::channel(());
            running.insert(job.uuid.clone(), ended.clone());
            let (endpoint, principal, job) = (Arc::clone(endpoint), principal.to_owned(), job.clone());
            // It goes on when the agent that asked for it is gone, as after a power cycle.
            tokio::spawn(async move {
                if let Err(error) = run(&endpoint, &principal, &job).await {
                    tracing::warn!(job = job.uuid, %error, "the action of a job could not be brought to its end");
                }
                endpoint.plugins.running.lock().remove(&job.uuid);
                drop(end);
            });
            ended
        }
    };
    // The channel carries nothing: that it closes is the message.
    while ended.changed().await.is_ok() {}
}

/// Does the action of a job from its start to its end.
async fn run(endpoint: &Arc<Endpoint>, principal: &str, job: &Job) -> Result<(), ApiError> {
    update_job(endpoint, principal, &job.uuid, |job| job.state = JobState::Running).await?;
    let (plugin, command) = action_entry(&job.task).unwrap_or_default();
    say(endpoint, job, &format!("action `{command}`")).await;
    let asked = Asked {
        subject: Machine::find(&endpoint.snapshot(), &job.machine),
        plugin: plugin.map(str::to_owned),
        command: command.to_owned(),
        params: Values::new(),
        principal: principal.to_owned(),
        job: Some(job.uuid.clone()),
    };
    let (state, exit, errors) = match act(endpoint, asked).await {
        Ok(Value::Null) => (JobState::Finished, ExitState::Complete, Vec::new()),
        Ok(result) => {
            say(endpoint, job, &result.to_string()).await;
            (JobState::Finished, ExitState::Complete, Vec::new())
        }
        Err(error) => {
            say(endpoint, job, &format!("failed: {}", error.messages.join("\n"))).await;
            (JobState::Failed, ExitState::Failed, error.messages)
        }
    };
    update_job(endpoint, principal, &job.uuid, move |job| {
        job.state = state;
        job.exit_state = exit;
        job.result_errors.clone_from(&errors);
    })
    .await
    .map(|_| ())
}

/// Writes a line of the endpoint into the log of a job.
async fn say(endpoint: &Endpoint, job: &Job, words: &str) {
    if let Err(error) = endpoint.append_log(&job.uuid, format!("[endpoint] {words}\n").as_bytes()).await {
        tracing::warn!(job = job.uuid, %error, "a line of a job log is lost");
    }
}
