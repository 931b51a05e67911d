//! What is in pools (drp-api.md 13.2).

use std::sync::Arc;

use axum::{Extension, Router, extract::State, http::StatusCode, routing::get};
use formwork_core::pools;
use formwork_model::{Pool, Record};

use super::{
    answer::{self, Handled},
    request::{Authenticated, Target},
};
use crate::endpoint::Endpoint;

/// The type of what is in pools.
const MACHINES: &str = "machines";

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new()
        .route("/pools/{key}/status", get(status))
        .layer(Extension(Pool::KIND))
        .route("/pools-active", get(active))
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
