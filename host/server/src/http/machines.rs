//! The routes of machines beyond the standard ones (drp-api.md 7.8, 12.6).

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use formwork_api::Whoami;
use formwork_model::{Machine, Record};

use super::{
    answer::{self, Handled},
    objects::{self, UPDATE},
    request::{Authenticated, Json, Target},
    route::{Body, Route},
};
use crate::{commands::machines, endpoint::Endpoint, simulation};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/machines/{key}/plan", "plan_machine", plan)
            .tells("Tells what a change of a machine would bring about. Nothing is written.")
            .takes(Body::any())
            .answers(200, Body::any())
            .refuses(&[400, 404, 422])
            .about(Machine::KIND),
        Route::post("/whoami", "fill_whoami", whoami)
            .tells("Tells a machine which object it is.")
            .takes(Body::json::<Whoami>())
            .answers(200, Body::json::<Whoami>())
            .refuses(&[400]),
    ]
}

/// Tells what a change of a machine would bring about; nothing is written. The body has the members to change.
async fn plan(target: Target, body: Json) -> Handled {
    let (object, _) = objects::permitted(&target, &target.endpoint.snapshot(), UPDATE)?;
    target.require(UPDATE, &object.key())?;
    let members: serde_json::Map<String, serde_json::Value> = body.read("machines", &object.key())?;
    let plan = simulation::plan(&target.endpoint, &object.key(), &members).await?;
    answer::json(StatusCode::OK, &plan)
}

async fn whoami(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    body: Json,
) -> Handled {
    let asked: Whoami = body.read_without_nulls("whoami", "")?;
    answer::json(StatusCode::OK, &machines::whoami(&endpoint, &caller, asked).await?)
}
