//! The last lines of the log (drp-api.md 12.8).

use std::sync::Arc;

use axum::{Router, http::StatusCode, routing::get};

use super::{
    answer::{self, Handled},
    request::Authenticated,
};
use crate::{endpoint::Endpoint, log_ring};

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new().route("/logs", get(list))
}

async fn list(Authenticated(caller): Authenticated) -> Handled {
    caller.require("logs", "get", "")?;
    answer::json(StatusCode::OK, &log_ring::lines())
}
