//! The last lines of the log (drp-api.md 12.8).

use axum::http::StatusCode;

use formwork_api::Line;

use super::{
    answer::{self, Handled},
    request::Authenticated,
    route::{Body, Route},
};
use crate::log_ring;

pub(super) fn routes() -> Vec<Route> {
    let list = Route::get("/logs", "get_logs", list)
        .tells("Returns the last 1000 lines of the log, oldest first.")
        .answers(200, Body::json::<Vec<Line>>());
    vec![list]
}

async fn list(Authenticated(caller): Authenticated) -> Handled {
    caller.require("logs", "get", "")?;
    answer::json(StatusCode::OK, &log_ring::lines())
}
