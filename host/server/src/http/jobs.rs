//! The routes of jobs beyond the standard ones (drp-api.md 9).

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::DefaultBodyLimit,
    http::{HeaderMap, StatusCode, header},
    routing::{get, post},
};
use formwork_api::ApiError;
use formwork_core::jobs::Answer;
use formwork_model::{Job, ObjectsExt, Record};
use serde_json::Value;

use super::{
    answer::{self, Handled},
    request::{Json, Target},
};
use crate::{
    commands::{jobs::create_job, objects::decode},
    commit::internal,
    endpoint::Endpoint,
    render,
};

/// The most bytes of a log that one answer has.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// The most bytes that the grants of one call may take.
const MAX_USED_BYTES: usize = 256 << 10;

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new()
        .route("/jobs/{uuid}/actions", get(actions))
        .route("/jobs/{uuid}/log", get(log).put(append))
        .route("/jobs/{uuid}/grants", post(used).layer(DefaultBodyLimit::max(MAX_USED_BYTES)))
        .layer(Extension(Job::KIND))
}

/// Gives an agent its next job: 201 for a new one, 202 for one that goes on, 204 for none.
pub(super) async fn create(target: &Target, body: Value) -> Handled {
    let asked = decode(target.kind, body)?;
    let request = asked.as_any().downcast_ref::<Job>().cloned().unwrap_or_default();
    target.require("create", &request.machine)?;
    match create_job(&target.endpoint, &target.caller.principal, request).await? {
        Answer::Nothing => Ok(answer::empty(StatusCode::NO_CONTENT)),
        Answer::Resumed(job) => answer::json(StatusCode::ACCEPTED, &job),
        Answer::Created(job) => answer::json(StatusCode::CREATED, &job),
    }
}

/// Finds a job for a caller who may do something to the jobs of its machine.
fn job(target: &Target, action: &str) -> Result<Arc<Job>, ApiError> {
    let job = target.endpoint.snapshot().get::<Job>(&target.id).ok_or_else(|| target.not_found())?;
    target.require(action, &job.machine)?;
    Ok(job)
}

async fn actions(target: Target) -> Handled {
    let job = job(&target, "actions")?;
    let snapshot = target.endpoint.snapshot();
    let actions = render::job_actions(&target.endpoint, &snapshot, &job, target.query.value("os"))
        .map_err(|messages| ApiError::invalid("jobs", &target.id, messages))?;
    answer::json(StatusCode::OK, &actions)
}

async fn log(target: Target, headers: HeaderMap) -> Handled {
    let job = job(&target, "log")?;
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(byte_range);
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let (from, length) = range.unwrap_or((0, MAX_ANSWER_BYTES));
    let read = target.endpoint.logs.read(&job.uuid, from, length.min(MAX_ANSWER_BYTES)).await;
    Ok(answer::bytes(status, read.map_err(|error| internal(&error))?))
}

/// Reads `bytes=FROM-` and `bytes=FROM-TO` as offset and length.
fn byte_range(text: &str) -> Option<(u64, u64)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let from: u64 = from.parse().ok()?;
    if to.is_empty() {
        return Some((from, u64::MAX));
    }
    let to: u64 = to.parse().ok()?;
    Some((from, to.checked_sub(from)?.saturating_add(1)))
}

async fn append(target: Target, bytes: Bytes) -> Handled {
    let job = job(&target, "log")?;
    target.endpoint.logs.append(&job.uuid, &bytes).await.map_err(|error| internal(&error))?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Counts the grants of the job's component that a call of an agent used. Whoever may tell the log of a job may tell
/// this; lines that the component was not granted count nothing.
async fn used(target: Target, body: Json) -> Handled {
    let job = job(&target, "log")?;
    let used: BTreeSet<String> = body.read(Job::KIND.prefix, &target.id)?;
    let granted = job.component_grants.iter().filter(|line| used.contains(*line));
    target.endpoint.packs.usage.note(&job.component, granted, target.endpoint.now());
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
