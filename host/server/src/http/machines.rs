//! The routes of machines beyond the standard ones (drp-api.md 7.8, 12.6).

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use formwork_api::{UserToken, Whoami};
use formwork_model::{Machine, Record};

use super::{
    answer::{self, Handled},
    objects,
    request::{Authenticated, Json, Target},
    system, users,
};
use crate::{auth, commands::machines, endpoint::Endpoint, simulation};

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new()
        .route("/machines/{uuid}/token", get(token))
        .route("/machines/{uuid}/plan", post(plan))
        .layer(Extension(Machine::KIND))
        .route("/whoami", post(whoami))
}

async fn token(target: Target) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (object, _) = objects::find(&target, &snapshot)?;
    target.require("token", &object.key())?;
    let seconds = users::lifetime(&target.query)?;
    let machine = object.as_any().downcast_ref::<Machine>().cloned().unwrap_or_default();
    let token = auth::machine_token(&target.endpoint, &snapshot, &machine, seconds);
    target.caller.audit("token", ("machines", &machine.uuid), "a token was made");
    answer::json(StatusCode::OK, &UserToken { token, info: system::describe(&target.endpoint) })
}

/// Tells what a change of a machine would bring about; nothing is written. The body has the members to change.
async fn plan(target: Target, body: Json) -> Handled {
    let (object, _) = objects::find(&target, &target.endpoint.snapshot())?;
    target.require("update", &object.key())?;
    let members: serde_json::Map<String, serde_json::Value> = body.read("machines", &object.key())?;
    let plan = simulation::plan(&target.endpoint, &object.key(), &members).await?;
    answer::json(StatusCode::OK, &plan)
}

async fn whoami(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    body: Json,
) -> Handled {
    let asked: Whoami = body.read("whoami", "")?;
    answer::json(StatusCode::OK, &machines::whoami(&endpoint, &caller, asked).await?)
}
