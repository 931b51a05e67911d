//! Removing jobs that nothing keeps any more (drp-api.md 9.9).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::jobs::{Retention, Scope, expired};
use formwork_model::{Job, Objects, Record};
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
        let keys: Vec<String> = jobs.iter().map(|job| job.uuid.clone()).collect();
        let taken = commit(endpoint, principal, move |work| {
            let mut taken = Vec::with_capacity(keys.len());
            for key in &keys {
                // Somebody may have been first.
                if work.tx.find(Job::KIND.prefix, key).is_some() {
                    work.tx.delete(Job::KIND.prefix, key);
                    taken.push(key.clone());
                }
            }
            Ok(taken)
        });
        let taken = taken.await?;
        endpoint.logs.remove(taken.iter().map(String::as_str)).await;
        removed.extend(jobs.iter().filter(|job| taken.contains(&job.uuid)).cloned());
    }
    Ok(removed)
}
