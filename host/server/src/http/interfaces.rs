//! Network interfaces (drp-api.md 7.14).

use std::sync::Arc;

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use formwork_api::ApiError;

use super::{
    answer::{self, Handled},
    request::Authenticated,
};
use crate::{endpoint::Endpoint, interfaces};

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new().route("/interfaces", get(list)).route("/interfaces/{key}", get(show))
}

async fn list(Authenticated(caller): Authenticated) -> Handled {
    caller.require("interfaces", "list", "")?;
    answer::json(StatusCode::OK, &interfaces::all())
}

async fn show(Authenticated(caller): Authenticated, Path(name): Path<String>) -> Handled {
    caller.require("interfaces", "get", &name)?;
    let found = interfaces::all().into_iter().find(|interface| interface.name == name);
    let missing = || ApiError::new(404, "GET", "No interface").about("interfaces", &name);
    answer::json(StatusCode::OK, &found.ok_or_else(missing)?)
}
