//! Jobs: who asked for one decides what it is about; an agent only says how it goes (drp-api.md 9.3).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::jobs;
use formwork_model::{Job, Object};
use futures_util::future::{BoxFuture, FutureExt};

use super::{Behaviour, pair, put_moved};
use crate::{
    auth::Caller,
    commands::objects::Request,
    commit::{Stop, Work, refused},
    endpoint::Endpoint,
};

/// How jobs behave.
pub(super) struct Jobs;

impl Behaviour for Jobs {
    fn change(
        &self,
        work: &mut Work<'_>,
        _request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        change(work, old, new)
    }

    /// A job that runs on a machine that is still there stays.
    fn may_delete(&self, work: &Work<'_>, _caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
        let Some(job) = object.as_any().downcast_ref::<Job>() else { return Ok(()) };
        let subject = jobs::subject_of(&*work.tx, job);
        if job.state.is_final() || subject.is_none_or(|subject| subject.current_job() != job.uuid) {
            return Ok(());
        }
        let message = format!("job {} is the current job of machine {} and not ended", job.uuid, job.machine);
        Err(ApiError::new(409, "DELETE", message).about(object.kind().prefix, &job.uuid).into())
    }

    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object, _force: bool) -> Result<(), Stop> {
        let Some(job) = object.as_any().downcast_ref::<Job>() else { return Ok(()) };
        jobs::deleted(&*work.tx, job, work.now).map_or(Ok(()), |moved| put_moved(work, moved))
    }

    fn deleted<'a>(&'a self, endpoint: &'a Endpoint, object: &'a dyn Object) -> BoxFuture<'a, ()> {
        async move {
            if let Err(error) = endpoint.logs.remove([object.key().as_str()]).await {
                tracing::warn!(job = object.key(), %error, "failed to remove the log of a job");
            }
        }
        .boxed()
    }

    /// A job is covered by claims for its machine.
    fn claim_key(&self, object: &dyn Object) -> String {
        object.as_any().downcast_ref::<Job>().map_or_else(|| object.key(), |job| job.machine.clone())
    }

    fn claim_key_of_missing<'a>(&self, _key: &'a str) -> Option<&'a str> {
        None
    }
}

/// Decides and stores a change of a job: its end moves the machine on.
pub(crate) fn change(
    work: &mut Work<'_>,
    old: &Arc<dyn Object>,
    new: &dyn Object,
) -> Result<Arc<dyn Object>, Stop> {
    let Some((before, wanted)) = pair::<Job>(old.as_ref(), new) else { return work.put(new.boxed()) };
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
        .map_err(|refusal| refused(old.kind().prefix, &before.uuid, refusal))?;
    if let Some(moved) = ended.moved {
        put_moved(work, moved)?;
    }
    work.put_unchecked(Box::new(ended.job))
}
