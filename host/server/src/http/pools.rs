//! What is in pools, and how it goes from one to the other (drp-api.md 13).

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use axum::{extract::State, http::StatusCode};
use formwork_api::ApiError;
use formwork_core::pools::{self, Instead, Operation, PoolResult, Wanted};
use formwork_model::{Cluster, Machine, Pool, Record, ResourceBroker, parse_duration};
use formwork_store::Snapshot;
use serde::Deserialize;

use super::{
    answer::{self, Handled},
    list, objects,
    request::{Authenticated, Json, Target},
    route::{Body, OF_CHANGE, Route, Shape},
};
use crate::{
    commands::pools::{Call, carry_out},
    endpoint::Endpoint,
};

/// The type of what is in pools.
const MACHINES: &str = "machines";

/// The words of the four transitions.
const TRANSITIONS: &[(&str, &str, Operation)] = &[
    ("addMachines", "add", Operation::Add),
    ("removeMachines", "remove", Operation::Remove),
    ("allocateMachines", "allocate", Operation::Allocate),
    ("releaseMachines", "release", Operation::Release),
];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::get("/pools/{key}/status", "get_pool_status", status)
            .tells("Lists the machines of a pool by their status.")
            .answers(200, Body::json::<BTreeMap<String, Vec<PoolResult>>>())
            .about(Pool::KIND),
        Route::get("/pools-active", "list_active_pools", active)
            .tells("Lists the names of pools that have machines.")
            .answers(200, Body::json::<BTreeSet<String>>()),
    ];
    routes.extend(TRANSITIONS.iter().map(|(word, name, operation)| {
        let handler = async |target: Target, body: Json| transit(target, body, word, *operation).await;
        Route::post(format!("/pools/{{key}}/{word}"), format!("post_pool_{name}_machines"), handler)
            .tells("Puts machines through a transition of a pool: as many as are asked for, or none.")
            .query(&[
                ("force", Shape::Flag, "Status and allocation do not count."),
                ("source-pool", Shape::Text, "Where machines that are added come from."),
            ])
            .takes(Body::any())
            .answers(200, Body::json::<Vec<PoolResult>>())
            .refuses(OF_CHANGE)
            .about(Pool::KIND)
    }));
    routes.extend([Machine::KIND, Cluster::KIND, ResourceBroker::KIND].map(|kind| {
        let (_, name) = kind.words();
        let path = format!("/{}/{{key}}/releaseToPool", kind.prefix);
        Route::post(path, format!("post_{name}_release_to_pool"), release)
            .tells(format!("Gives a {} back to the pool that it was allocated from.", kind.noun))
            .takes(Body::Ignored)
            .answers(200, Body::json::<Vec<PoolResult>>())
            .refuses(&[404, 409, 422])
            .about(kind)
    }));
    routes
}

async fn status(target: Target) -> Handled {
    if !target.caller.sees(target.kind.prefix, &target.id) {
        return Err(target.not_found().into());
    }
    target.require("get", &target.id)?;
    let mut found = pools::status(&target.endpoint.snapshot(), &target.id);
    for machines in found.values_mut() {
        machines.retain(|machine| target.caller.sees(MACHINES, &machine.uuid));
    }
    found.retain(|_, machines| !machines.is_empty());
    answer::json(StatusCode::OK, &found)
}

async fn active(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("pools", "list", "")?;
    let mut found = pools::active(&endpoint.snapshot(), |uuid| caller.sees(MACHINES, uuid));
    found.retain(|pool| caller.sees(Pool::KIND.prefix, pool));
    answer::json(StatusCode::OK, &found)
}

/// The body of a transition; what it leaves out is as if it were not there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    #[serde(rename = "pool/count")]
    count: Option<usize>,
    #[serde(rename = "pool/minimum")]
    minimum: Option<usize>,
    #[serde(rename = "pool/all-machines")]
    all: bool,
    #[serde(rename = "pool/machine-list")]
    machines: Option<Vec<String>>,
    #[serde(rename = "pool/filter")]
    filters: Option<Vec<String>>,
    #[serde(rename = "pool/wait-timeout")]
    wait: Option<serde_json::Value>,
    #[serde(flatten)]
    instead: Instead,
}

async fn transit(target: Target, body: Json, word: &'static str, operation: Operation) -> Handled {
    let (prefix, id) = (target.kind.prefix, target.id.clone());
    if !target.caller.sees(prefix, &id) {
        return Err(target.not_found().into());
    }
    let body: Asked = body.read(prefix, &id)?;
    let snapshot = target.endpoint.snapshot();
    let source = match target.query.value("source-pool").filter(|source| !source.is_empty()) {
        Some(source) => source.to_owned(),
        None => pools::parent(&snapshot, &id),
    };
    target.require(&format!("action:{word}"), &id)?;
    if operation == Operation::Add {
        target.require("action:removeMachines", &source)?;
    }
    let wait = waited(&target, body.wait.as_ref())?;
    let force = target.query.is("force");
    let wanted = Wanted { operation, pool: id, source, force, instead: body.instead };
    let candidates = candidates(
        &target.about(Machine::KIND),
        &snapshot,
        (body.machines.as_deref(), body.filters.as_deref().unwrap_or_default()),
        wanted.from(),
    )?;
    let named = body.machines.as_ref().map_or(1, Vec::len);
    let count = if body.all { candidates.len().max(1) } else { body.count.unwrap_or(named) };
    let minimum = body.minimum.unwrap_or(if body.all { 0 } else { count });
    let call = Call { kind: Machine::KIND, wanted, candidates, count, minimum, wait };
    answer::json(StatusCode::OK, &carry_out(&target.endpoint, &target.caller, call).await?)
}

/// Reads how long the caller waits: seconds as a number or a text, or a duration.
fn waited(target: &Target, wait: Option<&serde_json::Value>) -> Result<Duration, ApiError> {
    let text = match wait {
        None | Some(serde_json::Value::Null) => return Ok(Duration::ZERO),
        Some(serde_json::Value::String(text)) if text.is_empty() => return Ok(Duration::ZERO),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    parse_duration(&text, Duration::from_secs(1)).ok_or_else(|| {
        let message = format!("pool/wait-timeout: `{text}` is no duration\nhint: 30, 30s, 5m");
        ApiError::new(400, target.method.as_str(), message).about(target.kind.prefix, &target.id)
    })
}

/// Returns the keys of the machines of a pool that a call names and that the caller can see.
fn candidates(
    machines: &Target,
    snapshot: &Snapshot,
    (named, filters): (Option<&[String]>, &[String]),
    pool: &str,
) -> Result<Vec<String>, ApiError> {
    let Some(named) = named else {
        let own = [("Pool", pool)];
        let pairs = filters.iter().map(|filter| filter.split_once('=').unwrap_or((filter, "")));
        return list::keys(machines, snapshot, own.into_iter().chain(pairs));
    };
    let pairs = filters.iter().map(|filter| filter.split_once('=').unwrap_or((filter, "")));
    let matching: Option<HashSet<String>> = match filters {
        [] => None,
        _ => Some(list::keys(machines, snapshot, pairs)?.into_iter().collect()),
    };
    let mut found = Vec::new();
    for id in named {
        let (object, _) = objects::permitted_named(machines, snapshot, id, "get")?;
        let key = object.key();
        if matching.as_ref().is_none_or(|matching| matching.contains(&key)) && !found.contains(&key) {
            found.push(key);
        }
    }
    Ok(found)
}

/// Gives a machine back to the pool that it was allocated from; its own agent may do that.
async fn release(target: Target) -> Handled {
    let (object, _) = objects::permitted(&target, &target.endpoint.snapshot(), "update:/PoolAllocated")?;
    let key = object.key();
    let pool = Machine::of(object.as_ref()).map(|machine| machine.pool.clone()).unwrap_or_default();
    let wanted = Wanted {
        operation: Operation::Release,
        pool,
        source: String::new(),
        force: target.query.is("force"),
        instead: Instead::default(),
    };
    let call =
        Call { kind: target.kind, wanted, candidates: vec![key], count: 1, minimum: 1, wait: Duration::ZERO };
    answer::json(StatusCode::OK, &carry_out(&target.endpoint, &target.caller, call).await?)
}
