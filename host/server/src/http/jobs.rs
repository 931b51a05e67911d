//! The routes of jobs beyond the standard ones (drp-api.md 9).

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, Method, Response, StatusCode, header},
    routing::get,
};
use formwork_api::ApiError;
use formwork_core::jobs::Answer;
use formwork_model::{Job, JobAction, Object, ObjectsExt};
use serde_json::Value;

use super::{
    answer,
    request::{Authenticated, Query},
};
use crate::{
    auth::Caller,
    commands::{jobs::create_job, objects::decode},
    commit::internal,
    endpoint::Endpoint,
    render,
};

/// The most bytes of a log that one answer has.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new().route("/jobs/{uuid}/actions", get(actions)).route("/jobs/{uuid}/log", get(log).put(append))
}

/// Gives an agent its next job: 201 for a new one, 202 for one that goes on, 204 for none.
pub(super) async fn create(endpoint: &Arc<Endpoint>, caller: Caller, body: Value) -> Response<Body> {
    let asked = decode(Job::default().kind(), body)
        .map(|object| object.as_any().downcast_ref::<Job>().cloned().unwrap_or_default());
    let outcome = match asked {
        Ok(request) => match caller.require("jobs", "create", &request.machine) {
            Ok(()) => create_job(endpoint, &caller.principal, request).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    match outcome {
        Ok(Answer::Nothing) => answer::empty(StatusCode::NO_CONTENT),
        Ok(Answer::Resumed(job)) => answer::json(StatusCode::ACCEPTED, &job),
        Ok(Answer::Created(job)) => answer::json(StatusCode::CREATED, &job),
        Err(error) => answer::error(&error),
    }
}

fn job(
    endpoint: &Endpoint,
    caller: &Caller,
    uuid: &str,
    action: &str,
    method: &Method,
) -> Result<Arc<Job>, ApiError> {
    let job = endpoint
        .snapshot()
        .get::<Job>(uuid)
        .ok_or_else(|| ApiError::not_found(method.as_str(), "jobs", uuid))?;
    caller.require("jobs", action, &job.machine)?;
    Ok(job)
}

async fn actions(
    State(endpoint): State<Arc<Endpoint>>,
    method: Method,
    Path(uuid): Path<String>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Response<Body> {
    let rendered: Result<Vec<JobAction>, ApiError> = job(&endpoint, &caller, &uuid, "actions", &method)
        .and_then(|job| {
            render::job_actions(&endpoint, &endpoint.snapshot(), &job, query.value("os"))
                .map_err(|messages| ApiError::invalid("jobs", &uuid, messages))
        });
    match rendered {
        Ok(actions) => answer::json(StatusCode::OK, &actions),
        Err(error) => answer::error(&error),
    }
}

async fn log(
    State(endpoint): State<Arc<Endpoint>>,
    method: Method,
    Path(uuid): Path<String>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
) -> Response<Body> {
    if let Err(error) = job(&endpoint, &caller, &uuid, "log", &method) {
        return answer::error(&error);
    }
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(byte_range);
    let (from, length) = range.unwrap_or((0, MAX_ANSWER_BYTES));
    match endpoint.logs.read(&uuid, from, length.min(MAX_ANSWER_BYTES)).await {
        Ok(bytes) => {
            let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
            answer::bytes(status, bytes)
        }
        Err(error) => answer::error(&internal(&error)),
    }
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

async fn append(
    State(endpoint): State<Arc<Endpoint>>,
    method: Method,
    Path(uuid): Path<String>,
    Authenticated(caller): Authenticated,
    bytes: Bytes,
) -> Response<Body> {
    if let Err(error) = job(&endpoint, &caller, &uuid, "log", &method) {
        return answer::error(&error);
    }
    match endpoint.logs.append(&uuid, &bytes).await {
        Ok(()) => answer::empty(StatusCode::NO_CONTENT),
        Err(error) => answer::error(&internal(&error)),
    }
}
