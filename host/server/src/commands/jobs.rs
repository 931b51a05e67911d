//! Jobs: the heart of an agent's life, around the rules of `core` (drp-api.md 9).

mod purge;

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::jobs::{self, Answer};
use formwork_model::{Job, Machine, Objects, ObjectsExt, WorkOrder};

use crate::{
    commit::{Stop, commit, refused},
    content::keep_component,
    endpoint::Endpoint,
    kinds::{change_job, put_moved},
    plugins, random,
};

pub(crate) use purge::purge;

/// Decides which job an agent gets, and saves it.
pub(crate) async fn create_job(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    request: Job,
) -> Result<Answer, ApiError> {
    if !request.uuid.is_empty() && uuid::Uuid::try_parse(&request.uuid).is_err() {
        return Err(ApiError::invalid(
            "jobs",
            &request.uuid,
            vec![format!("Invalid Uuid `{}`", request.uuid)],
        ));
    }
    if let Some(answer) = plugins::resumed(endpoint, principal, &request).await? {
        return Ok(answer);
    }
    let library = Arc::clone(&endpoint.library);
    let answer = commit(endpoint, principal, move |work| {
        let (_, machine) = Machine::with_uuid(&*work.tx, &request.machine).ok_or_else(|| {
            let message = format!("Machine {} does not exist", request.machine);
            ApiError::invalid("jobs", &request.uuid, vec![message])
        })?;
        if work.tx.find("jobs", &request.uuid).is_some() {
            return again(&*work.tx, &request);
        }
        let order = order_of(&*work.tx, &request)?;
        let subject = (machine.as_ref(), order.as_deref());
        let step = jobs::create(&*work.tx, subject, &request, work.now, &mut random::uuid)
            .map_err(|refusal| refused("jobs", "", refusal))?;
        for mut job in step.jobs {
            if work.tx.find("jobs", &job.uuid).is_none() {
                keep_component(&library, &*work.tx, &mut job);
            }
            job.header.set_errors(Vec::new());
            work.put_unchecked(Box::new(job))?;
        }
        if let Some(moved) = step.moved {
            put_moved(work, moved)?;
        }
        Ok(as_stored(&*work.tx, step.answer))
    })
    .await?;
    plugins::acted(endpoint, principal, answer).await
}

/// Returns the work order that a job is asked for; nothing for one of the machine's own list.
fn order_of(objects: &impl Objects, request: &Job) -> Result<Option<Arc<WorkOrder>>, Stop> {
    if request.work_order.is_empty() {
        return Ok(None);
    }
    let order = objects.get::<WorkOrder>(&request.work_order);
    let message = || format!("Work order {} does not exist", request.work_order);
    Ok(Some(order.ok_or_else(|| ApiError::invalid("jobs", &request.uuid, vec![message()]))?))
}

/// Answers with a job as it is stored: with its component, and with what is known of every stored object.
fn as_stored(objects: &impl Objects, answer: Answer) -> Answer {
    let stored = |job: Box<Job>| match objects.get::<Job>(&job.uuid) {
        Some(stored) => Box::new(stored.as_ref().clone()),
        None => job,
    };
    match answer {
        Answer::Nothing => Answer::Nothing,
        Answer::Resumed(job) => Answer::Resumed(stored(job)),
        Answer::Created(job) => Answer::Created(stored(job)),
    }
}

/// Answers an agent that asks again with the UUID of a job that it was given already, because the first answer
/// did not reach it.
fn again(objects: &impl Objects, request: &Job) -> Result<Answer, Stop> {
    match objects.get::<Job>(&request.uuid) {
        Some(job) if job.machine == request.machine && job.current && !job.state.is_final() => {
            Ok(Answer::Created(Box::new(job.as_ref().clone())))
        }
        _ => Err(ApiError::new(409, "CREATE", "already exists").about("jobs", &request.uuid).into()),
    }
}

/// Changes a job on the server's own account.
pub(crate) async fn update_job(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    uuid: &str,
    alter: impl Fn(&mut Job) + Clone + Send + Sync + 'static,
) -> Result<Job, ApiError> {
    let uuid = uuid.to_owned();
    commit(endpoint, principal, move |work| {
        let old = work.tx.find("jobs", &uuid).ok_or_else(|| ApiError::not_found("PATCH", "jobs", &uuid))?;
        let mut job = old.as_any().downcast_ref::<Job>().cloned().unwrap_or_default();
        alter(&mut job);
        let stored = change_job(work, &old, &job)?;
        Ok(stored.as_any().downcast_ref::<Job>().cloned().unwrap_or_default())
    })
    .await
}
