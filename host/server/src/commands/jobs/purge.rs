//! Removing jobs that nothing keeps any more (drp-api.md 9.9).

use std::{collections::HashSet, sync::Arc};

use formwork_api::ApiError;
use formwork_core::jobs::{Retention, Scope, expired};
use formwork_model::{Job, Record};
use tokio::task::spawn_blocking;

use crate::{
    commit::{commit, internal},
    endpoint::Endpoint,
};

/// Most jobs that one transaction removes: whoever else wants to write waits for no more than these.
const AT_ONCE: usize = 500;

/// Removes the jobs that the rules let go, with their logs, and returns them. With `only_tell` nothing is removed.
///
/// What the caller may not delete stays: `may_delete` is asked about each job.
pub(crate) async fn purge(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    (rules, scope): (Retention, Scope),
    only_tell: bool,
    may_delete: impl Fn(&Job) -> bool,
) -> Result<Vec<Arc<Job>>, ApiError> {
    let (snapshot, now) = (endpoint.snapshot(), endpoint.now());
    let found = spawn_blocking(move || expired(&snapshot, rules, &scope, now)).await;
    let mut gone = found.map_err(|error| internal(&error))?;
    gone.retain(|job| may_delete(job));
    if only_tell {
        return Ok(gone);
    }
    let mut removed = Vec::with_capacity(gone.len());
    for jobs in gone.chunks(AT_ONCE) {
        let keys = jobs.iter().map(|job| job.uuid.clone()).collect();
        // Whoever asked may go away meanwhile; no job goes without its log for that.
        let taken = tokio::spawn(remove(Arc::clone(endpoint), principal.to_owned(), keys));
        let taken = taken.await.map_err(|error| internal(&error))??;
        removed.extend(jobs.iter().filter(|job| taken.contains(&job.uuid)).cloned());
    }
    Ok(removed)
}

/// Removes jobs and then their logs, and returns the jobs that were still there. What the endpoint does not come to because
/// it is killed in between, it does when it starts again.
async fn remove(
    endpoint: Arc<Endpoint>,
    principal: String,
    keys: Vec<String>,
) -> Result<HashSet<String>, ApiError> {
    let taken = commit(&endpoint, &principal, move |work| {
        let mut taken = HashSet::with_capacity(keys.len());
        for key in &keys {
            // Somebody may have been first.
            if work.tx.delete(Job::KIND.prefix, key).is_some() {
                taken.insert(key.clone());
            }
        }
        Ok(taken)
    });
    let taken = taken.await?;
    if let Err(error) = endpoint.logs.remove(taken.iter().map(String::as_str)).await {
        tracing::warn!(jobs = taken.len(), %error, "failed to remove the logs of jobs");
    }
    Ok(taken)
}
