//! High availability as an endpoint that stands alone tells it: it is its own set of one (drp-api.md 12.9).

use std::sync::Arc;

use axum::{
    extract::State,
    http::{Method, StatusCode, Uri},
};
use formwork_api::{ApiError, ClusterState};
use serde_json::{Value, json};

use super::{
    answer::{self, Handled},
    request::{Authenticated, Path},
    route::{Body, Route},
    system,
};
use crate::endpoint::Endpoint;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = reads();
    routes.extend(changes());
    routes
}

fn reads() -> Vec<Route> {
    let told = [
        Route::get("/system/consensus/id", "get_consensus_id", id)
            .tells("Returns the id of the host in its set."),
        Route::get("/system/consensus/leader", "get_consensus_leader", leader)
            .tells("Returns where the leader is."),
        Route::get("/system/consensus/active", "get_consensus_active", leader)
            .tells("Returns where the active host is."),
        Route::get("/system/consensus/peers", "get_consensus_peers", peers)
            .tells("Lists the hosts of the set."),
        Route::get("/system/consensus/state", "get_consensus_state", state)
            .tells("Returns the state of this host."),
        Route::get("/system/consensus/fullstate", "get_consensus_full_state", full_state)
            .tells("Returns all that is known."),
        Route::get("/system/consensus/introduction", "get_consensus_introduction", introduction)
            .tells("Returns what a new host needs.")
            .refuses(&[409]),
    ];
    told.map(|route| route.answers(200, Body::any())).into()
}

fn changes() -> Vec<Route> {
    vec![
        Route::post("/system/consensus/failOverSafe", "post_consensus_fail_over_safe", not_here)
            .tells("Tells whether another host may take over.")
            .takes(Body::Ignored)
            .answers(200, Body::any())
            .refuses(&[409, 501]),
        Route::post("/system/consensus/enroll", "post_consensus_enroll", not_here)
            .tells("Joins a set of hosts.")
            .takes(Body::any())
            .answers(200, Body::any())
            .refuses(&[400, 409, 501]),
        Route::delete("/system/consensus/node/{id}", "delete_consensus_node", remove_node)
            .tells("Removes a host from the set.")
            .answers(204, Body::Nothing)
            .refuses(&[404, 409]),
        Route::post("/system/active", "post_system_active", active)
            .tells("Makes this host the active one.")
            .takes(Body::Ignored)
            .answers(204, Body::Nothing)
            .refuses(&[409]),
        Route::post("/system/passive", "post_system_passive", not_here)
            .tells("Makes this host a passive one.")
            .takes(Body::Ignored)
            .answers(204, Body::Nothing)
            .refuses(&[409, 501]),
    ]
}

async fn id(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("info", "get", "")?;
    answer::json(StatusCode::OK, &system::describe(&endpoint).ha_consensus_id)
}

async fn leader(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("info", "get", "")?;
    answer::json(StatusCode::OK, &endpoint.api_url())
}

/// Returns what the endpoint tells of itself as the one host of its set.
fn node(endpoint: &Endpoint) -> Value {
    json!({
        "ConsensusID": system::describe(endpoint).ha_consensus_id,
        "VirtInterface": "", "VirtInterfaceScript": "", "ConsensusAddr": "",
        "ApiUrl": endpoint.api_url(), "Passive": false, "Observer": false,
    })
}

async fn peers(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("info", "get", "")?;
    answer::json(StatusCode::OK, &json!([node(&endpoint)]))
}

/// Returns the part of the state that all hosts of a set would share.
fn shared(endpoint: &Endpoint) -> Value {
    let shared = ClusterState { ha_id: endpoint.id.clone(), ..ClusterState::default() };
    let mut value = serde_json::to_value(shared).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.remove("Nodes");
        members.insert(String::from("ActiveUri"), endpoint.api_url().into());
    }
    value
}

fn whole(endpoint: &Endpoint) -> Value {
    let mut value = shared(endpoint);
    if let (Some(members), Value::Object(own)) = (value.as_object_mut(), node(endpoint)) {
        members.extend(own);
    }
    value
}

async fn state(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("info", "get", "")?;
    answer::json(StatusCode::OK, &whole(&endpoint))
}

async fn full_state(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("system", "replicate", "")?;
    answer::json(StatusCode::OK, &whole(&endpoint))
}

async fn introduction(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
) -> Handled {
    caller.require("system", "replicate", "")?;
    answer::json(StatusCode::OK, &shared(&endpoint))
}

/// The endpoint is active already: it is alone.
async fn active(Authenticated(caller): Authenticated) -> Handled {
    caller.require("system", "active", "")?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

async fn not_here(Authenticated(caller): Authenticated, method: Method, uri: Uri) -> Handled {
    let action = if uri.path().ends_with("passive") { "passive" } else { "replicate" };
    caller.require("system", action, "")?;
    let message = "this endpoint stands alone: it cannot be one of several hosts yet";
    Err(ApiError::new(501, method.as_str(), message).about("system", "consensus").into())
}

async fn remove_node(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
) -> Handled {
    caller.require("system", "replicate", "")?;
    if id == system::describe(&endpoint).ha_consensus_id {
        let message = "the endpoint is the only host of its set and cannot be removed from it";
        return Err(ApiError::new(409, "DELETE", message).about("system", &id).into());
    }
    Err(ApiError::not_found("DELETE", "nodes", &id).into())
}
