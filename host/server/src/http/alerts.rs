//! What only alerts have (drp-api.md 14.1).

use std::sync::Arc;

use axum::{Extension, Router, http::StatusCode, routing::post};
use formwork_model::{Alert, Record};
use serde_json::json;

use super::{answer::Handled, objects, request::Target};
use crate::{
    commands::{objects::Change, patch},
    endpoint::Endpoint,
};

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new().route("/alerts/{key}/acknowledge", post(acknowledge)).layer(Extension(Alert::KIND))
}

/// Notes that the caller has seen an alert. Doing so again changes nothing.
async fn acknowledge(target: Target) -> Handled {
    let seen = json!([{"op": "replace", "path": "/Acknowledged", "value": true}]);
    let operations = patch::parse(&seen, target.kind.prefix, &target.id)?;
    objects::written(StatusCode::OK, &objects::update(&target, Change::Patch(operations)).await?)
}
