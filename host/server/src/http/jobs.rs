//! The routes of jobs beyond the standard ones (drp-api.md 9).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use formwork_api::ApiError;
use formwork_core::{
    jobs::{Answer, Scope},
    preferences,
};
use formwork_model::{Job, JobAction, JobState, Machine, Record, parse_duration};

use super::{
    answer::{self, Handled},
    objects,
    request::{Json, Raw, Target},
    route::{Body, OF_ONE, Route, Shape},
};
use crate::{
    auth,
    commands::{
        jobs::{create_job, purge as purge_jobs},
        objects::decode,
    },
    commit::internal,
    download, render,
};

/// The most bytes of a log that one answer has.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// The most bytes that the grants of one call may take.
const MAX_USED_BYTES: usize = 256 << 10;

pub(super) fn routes() -> Vec<Route> {
    let log = "/jobs/{key}/log";
    vec![
        Route::post("/jobs", "create_job", create)
            .tells("Asks for the next job of a machine: a new one, one that goes on, or none for now.")
            .query(&[(
                "run",
                Shape::Flag,
                "A new job comes running, so that the agent need not begin it (Formwork's own).",
            )])
            .takes(Body::Object(Job::KIND))
            .answers(201, Body::Object(Job::KIND))
            .answers(202, Body::Object(Job::KIND))
            .answers(204, Body::Nothing)
            .refuses(&[400, 409, 422]),
        Route::delete("/jobs", "purge_jobs", purge)
            .tells("Removes jobs that nothing keeps.")
            .query(&[
                ("dryrun", Shape::Flag, "Only tell which would go."),
                (
                    "machine",
                    Shape::Text,
                    "Only jobs of this machine; `missing` stands for those that are gone.",
                ),
                ("jobsToKeep", Shape::Count, "So many of the newest jobs of each machine stay."),
                ("completeJobsPurgedAfter", Shape::Text, "A finished job stays so long."),
                ("failedJobsPurgedAfter", Shape::Text, "A failed job stays so long."),
            ])
            .answers(200, Body::Objects(Job::KIND))
            .refuses(&[400]),
        Route::get("/jobs/{key}/actions", "get_job_actions", actions)
            .tells("Renders what an agent does for a job.")
            .query(&[("os", Shape::Text, "The operating system of the agent, as Go names it.")])
            .answers(200, Body::json::<Vec<JobAction>>())
            .refuses(&[404, 422]),
        Route::get("/jobs/{key}/archive", "get_job_log_archive", archive)
            .tells("Returns the log of a job as a string.")
            .answers(200, Body::json::<String>())
            .refuses(OF_ONE),
        Route::get(log, "get_job_log", self::log)
            .head("head_job_log")
            .tells("Returns the log of a job, or a part of it.")
            .answers(200, Body::Bytes)
            .answers(206, Body::Bytes)
            .refuses(&[404, 416]),
        Route::put(log, "put_job_log", append)
            .tells("Appends to the log of a job.")
            .takes(Body::Bytes)
            .answers(204, Body::Nothing)
            .refuses(OF_ONE),
        Route::post("/jobs/{key}/grants", "post_job_grants", used)
            .tells("Counts grants of its component that a call of a job used, each line once.")
            .takes(Body::json::<Vec<String>>())
            .up_to(MAX_USED_BYTES)
            .answers(204, Body::Nothing)
            .refuses(&[400, 404]),
    ]
    .into_iter()
    .map(|route| route.about(Job::KIND))
    .collect()
}

/// Gives an agent its next job: 201 for a new one, 202 for one that goes on, 204 for none.
async fn create(target: Target, body: Json) -> Handled {
    let asked = decode(target.kind, target.method.as_str(), "", body.value)?;
    let mut request = asked.as_any().downcast_ref::<Job>().cloned().unwrap_or_default();
    // The body's own is ignored (drp-api.md 9.2).
    request.state = if target.query.is("run") { JobState::Running } else { JobState::Created };
    if !sees_subject(&target, &request.machine) {
        let message = format!("Machine {} does not exist", request.machine);
        return Err(ApiError::invalid(target.kind.prefix, &request.uuid, vec![message]).into());
    }
    target.require("create", &request.machine)?;
    match create_job(&target.endpoint, &target.caller.principal, request).await? {
        Answer::Nothing => Ok(answer::empty(StatusCode::NO_CONTENT)),
        Answer::Resumed(job) => answer::json(StatusCode::ACCEPTED, &with_token(&target, *job)),
        Answer::Created(job) => answer::json(StatusCode::CREATED, &with_token(&target, *job)),
    }
}

/// Puts the token of a job into the answer, and nowhere else: who may have a token of the machine could ask as the machine.
fn with_token(target: &Target, mut job: Job) -> Job {
    let snapshot = target.endpoint.snapshot();
    let prefix =
        Machine::find(&snapshot, &job.machine).map_or(Machine::KIND.prefix, |found| found.kind().prefix);
    if !job.extra_claims.is_empty() && target.caller.may(prefix, "token", &job.machine) {
        job.token = auth::job_token(&target.endpoint, &snapshot, &job);
    }
    job
}

/// Tells whether a caller sees what a job is about: a machine, or what goes through tasks as one. What is gone counts as a
/// machine.
fn sees_subject(target: &Target, uuid: &str) -> bool {
    let subject = Machine::find(&target.endpoint.snapshot(), uuid);
    let kind = subject.map_or(Machine::KIND, |subject| subject.kind());
    target.caller.sees(kind.prefix, uuid)
}

/// Finds a job for a caller who may do something to the jobs of its machine.
fn job(target: &Target, action: &str) -> Result<Arc<Job>, ApiError> {
    let (object, _) = objects::permitted(target, &target.endpoint.snapshot(), action)?;
    object.into_any().downcast().map_err(|_| target.not_found())
}

async fn actions(target: Target) -> Handled {
    let job = job(&target, "actions")?;
    let snapshot = target.endpoint.snapshot();
    let actions = render::job_actions(&target.endpoint, &snapshot, &job, target.query.value("os"))
        .map_err(|messages| ApiError::invalid("jobs", &target.id, messages))?;
    answer::json(StatusCode::OK, &actions)
}

/// Answers with the log, or a part of it; one that was put away cannot be read any more.
async fn log(target: Target, headers: HeaderMap) -> Handled {
    let job = job(&target, "log")?;
    if job.archived {
        let message = "the log was put away with its job and is not here any more";
        return Err(ApiError::new(404, target.method.as_str(), message).about("jobs", &job.uuid).into());
    }
    let ranges = headers.get(header::RANGE);
    let opened = target.endpoint.logs.open_log(&job.uuid).await;
    let (log, length) = opened.map_err(|error| internal(&error))?;
    let mut response = download::of_file(log, length, ranges);
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    Ok(response)
}

/// Answers with the log as a JSON string.
async fn archive(target: Target) -> Handled {
    let job = job(&target, "log")?;
    let read = target.endpoint.logs.read(&job.uuid, 0, MAX_ANSWER_BYTES).await;
    let bytes = read.map_err(|error| internal(&error))?;
    answer::json(StatusCode::OK, &String::from_utf8_lossy(&bytes))
}

/// Removes the jobs that neither the preferences nor what the query says in their place keep.
async fn purge(target: Target) -> Handled {
    let query = &target.query;
    let wrong = |name: &str, text: &str, what: &str| {
        let message = format!("{name}: `{text}` is not {what}");
        ApiError::new(400, "DELETE", message).about("jobs", "")
    };
    let mut rules = preferences::retention(&target.endpoint.snapshot());
    if let Some(text) = query.value("jobsToKeep") {
        rules.keep = Some(text.parse().map_err(|_| wrong("jobsToKeep", text, "a number of jobs"))?);
    }
    for (name, after) in [
        ("completeJobsPurgedAfter", &mut rules.complete_after),
        ("failedJobsPurgedAfter", &mut rules.failed_after),
    ] {
        if let Some(text) = query.value(name) {
            let parsed = parse_duration(text, Duration::from_secs(1));
            *after = Some(parsed.ok_or_else(|| wrong(name, text, "a duration; as 600, 10m, 30d or never"))?);
        }
    }
    let scope = match query.value("machine") {
        None | Some("") => Scope::All,
        Some("missing") => Scope::Missing,
        Some(machine) => Scope::Machine(machine.to_owned()),
    };
    let caller = &target.caller;
    let may = |job: &Job| {
        caller.may("jobs", "delete", &job.machine)
            && caller.sees("jobs", &job.uuid)
            && sees_subject(&target, &job.machine)
    };
    if let Scope::Machine(machine) = &scope {
        target.require("delete", machine)?;
    }
    let (only_tell, principal) = (query.is("dryrun"), target.caller.principal.clone());
    let gone = purge_jobs(&target.endpoint, &principal, (rules, scope), only_tell, may).await?;
    answer::json(StatusCode::OK, &gone)
}

async fn append(target: Target, Raw(bytes): Raw) -> Handled {
    let job = job(&target, "log")?;
    target.endpoint.append_log(&job.uuid, &bytes).await.map_err(|error| internal(&error))?;
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
