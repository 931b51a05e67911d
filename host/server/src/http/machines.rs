//! The routes of machines beyond the standard ones (drp-api.md 7.8, 12.6).

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{Method, Response, StatusCode},
    routing::{get, post},
};
use formwork_api::{ApiError, UserToken, Whoami};
use formwork_model::{Machine, Record};

use super::{
    answer, objects,
    request::{Authenticated, Json, Query},
    system, users,
};
use crate::{auth, commands::machines, endpoint::Endpoint};

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new().route("/machines/{uuid}/token", get(token)).route("/whoami", post(whoami))
}

async fn token(
    State(endpoint): State<Arc<Endpoint>>,
    method: Method,
    Path(id): Path<String>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Response<Body> {
    let snapshot = endpoint.snapshot();
    let made = (|| {
        let (object, _) = objects::find(&snapshot, Machine::KIND, &id, &method)?;
        caller.require("machines", "token", &object.key())?;
        let seconds = users::lifetime(&query)?;
        let machine = object.as_any().downcast_ref::<Machine>().cloned().unwrap_or_default();
        Ok(UserToken {
            token: auth::machine_token(&endpoint, &snapshot, &machine, seconds),
            info: system::describe(&endpoint),
        })
    })();
    match made {
        Ok(token) => answer::json(StatusCode::OK, &token),
        Err(error) => answer::error(&error),
    }
}

async fn whoami(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Json(body): Json,
) -> Response<Body> {
    let asked = serde_json::from_value::<Whoami>(body)
        .map_err(|error| ApiError::new(400, "POST", error.to_string()).about("whoami", ""));
    let told = match asked {
        Ok(whoami) => machines::whoami(&endpoint, &caller, whoami).await,
        Err(error) => Err(error),
    };
    match told {
        Ok(whoami) => answer::json(StatusCode::OK, &whoami),
        Err(error) => answer::error(&error),
    }
}
