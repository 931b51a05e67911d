//! What those who look after the program itself can see of it (drp-api.md 12.5).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
};
use formwork_api::{ApiError, IndexInfo};
use formwork_model::{Kind, Objects, kinds_of};
use formwork_store::Snapshot;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    answer::{self, Handled},
    indexes::indexes,
    is_generic, known_kind,
    request::{Authenticated, Path},
    route::{Body, OF_ONE, Route, Shape},
};
use crate::{commit::internal, download, endpoint::Endpoint};

/// What the system tells of a process, by the name of its file.
const OF_PROCESS: &[&str] = &["io", "limits", "sched", "smaps_rollup", "stat", "status"];

/// What the store has of one type.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
struct Dump {
    /// How many objects there are.
    count: usize,
    /// What they are found by.
    indexes: BTreeMap<String, IndexInfo>,
    /// Their keys, in order; left out where all types are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<String>>,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/debug/{type}", "get_debug", process)
            .tells("Returns what the system tells of the process: io, limits, sched, smaps_rollup, stat or status.")
            .query(&[("seconds", Shape::Count, "Taken, without an effect: nothing here is measured over time.")])
            .answers(200, Body::Bytes)
            .refuses(OF_ONE),
        Route::get("/drp_debug/index", "get_debug_index", all)
            .tells("Tells what the store has of each type.")
            .answers(200, Body::json::<BTreeMap<String, Dump>>()),
        Route::get("/drp_debug/index/{prefix}", "get_debug_index_of_type", of_type)
            .tells("Tells what the store has of a type, with all keys.")
            .answers(200, Body::json::<Dump>())
            .refuses(OF_ONE),
    ]
}

async fn process(
    State(_): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(name): Path<String>,
) -> Handled {
    caller.require("logs", "get", "")?;
    if !OF_PROCESS.contains(&name.as_str()) {
        let message = format!("there is no `{name}` to look at: there are {}", OF_PROCESS.join(", "));
        return Err(ApiError::new(404, "GET", message).about("debug", &name).into());
    }
    let bytes = tokio::fs::read(format!("/proc/self/{name}")).await.map_err(|error| internal(&error))?;
    let mut response = download::of_bytes(bytes, None);
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    Ok(response)
}

async fn all(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("logs", "get", "")?;
    let snapshot = endpoint.snapshot();
    let kinds = kinds_of(&snapshot).into_iter().filter(|kind| is_generic(kind));
    let all: BTreeMap<_, _> = kinds.map(|kind| (kind.prefix, dump(kind, &snapshot))).collect();
    answer::json(StatusCode::OK, &all)
}

async fn of_type(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(prefix): Path<String>,
) -> Handled {
    caller.require("logs", "get", "")?;
    let snapshot = endpoint.snapshot();
    let kind =
        known_kind(&snapshot, &prefix).ok_or_else(|| ApiError::not_found("GET", "drp_debug", &prefix))?;
    let mut keys = Vec::new();
    snapshot.visit(kind.prefix, &mut |object| {
        // The keys of those who are hidden from the caller are hidden here too.
        if caller.sees(kind.prefix, &object.key()) {
            keys.push(object.key());
        }
        true
    });
    answer::json(StatusCode::OK, &Dump { keys: Some(keys), ..dump(kind, &snapshot) })
}

fn dump(kind: &'static Kind, snapshot: &Snapshot) -> Dump {
    Dump { count: snapshot.count(kind.prefix), indexes: indexes(kind, snapshot), keys: None }
}
