//! Jobs: the heart of an agent's life, around the rules of `core` (drp-api.md 9).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::jobs::{self, Answer};
use formwork_model::{Job, Machine, Object, Objects, ObjectsExt};

use crate::{
    commit::{Stop, Work, commit, refused},
    content::keep_component,
    endpoint::Endpoint,
    plugins, random,
};

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
        let machine = work.tx.get::<Machine>(&request.machine).ok_or_else(|| {
            let message = format!("Machine {} does not exist", request.machine);
            ApiError::invalid("jobs", &request.uuid, vec![message])
        })?;
        if work.tx.find("jobs", &request.uuid).is_some() {
            return again(&*work.tx, &request);
        }
        let mut step = jobs::create(&*work.tx, &machine, &request, work.now, &mut random::uuid)
            .map_err(|refusal| refused("jobs", "", refusal))?;
        if let Answer::Created(job) = &mut step.answer {
            keep_component(&library, &*work.tx, job);
        }
        for mut job in step.jobs {
            if work.tx.find("jobs", &job.uuid).is_none() {
                keep_component(&library, &*work.tx, &mut job);
            }
            job.header.set_errors(Vec::new());
            work.put_unchecked(Box::new(job))?;
        }
        if let Some(machine) = step.machine {
            work.put_unchecked(machine)?;
        }
        Ok(step.answer)
    })
    .await?;
    plugins::acted(endpoint, principal, answer).await
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

/// Decides and stores a change of a job that a client asked for.
pub(crate) fn change(
    work: &mut Work<'_>,
    old: &Arc<dyn Object>,
    new: &dyn Object,
) -> Result<Arc<dyn Object>, Stop> {
    let pair = (old.as_any().downcast_ref::<Job>(), new.as_any().downcast_ref::<Job>());
    let (Some(before), Some(wanted)) = pair else { return work.put(new.boxed()) };
    // Who asked for the job decides what it is about; an agent only says how it goes.
    let mut wanted = Job {
        state: wanted.state,
        exit_state: wanted.exit_state,
        result_errors: wanted.result_errors.clone(),
        ..before.clone()
    };
    wanted.header.meta.clone_from(&new.header().meta);
    let decision = match jobs::failure_report(&*work.tx, before, &wanted) {
        Some(report) => Some(work.answers.decide(report)?),
        None => None,
    };
    let ended = jobs::update(&*work.tx, before, wanted, decision, work.now)
        .map_err(|refusal| refused("jobs", &before.uuid, refusal))?;
    if let Some(machine) = ended.machine {
        work.put_unchecked(machine)?;
    }
    work.put_unchecked(Box::new(ended.job))
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
        let stored = change(work, &old, &job)?;
        Ok(stored.as_any().downcast_ref::<Job>().cloned().unwrap_or_default())
    })
    .await
}

/// Refuses the deletion of a job that runs on a machine that is still there.
pub(crate) fn may_delete(objects: &impl Objects, object: &dyn Object) -> Result<(), Stop> {
    let Some(job) = object.as_any().downcast_ref::<Job>() else { return Ok(()) };
    let held = !job.state.is_final()
        && objects.get::<Machine>(&job.machine).is_some_and(|machine| machine.current_job == job.uuid);
    if held {
        let message = format!("job {} is the current job of machine {} and not ended", job.uuid, job.machine);
        return Err(ApiError::new(409, "DELETE", message).about("jobs", &job.uuid).into());
    }
    Ok(())
}
