//! What only alerts have (drp-api.md 14.1).

use axum::http::StatusCode;
use formwork_model::{Alert, Record};
use serde_json::json;

use super::{
    answer::Handled,
    objects,
    request::Target,
    route::{Body, OF_ONE, Route},
};
use crate::commands::{objects::Change, patch};

pub(super) fn routes() -> Vec<Route> {
    let acknowledge = Route::post("/alerts/{key}/acknowledge", "post_alert_ack", acknowledge)
        .tells("Notes that the caller has seen an alert.")
        .takes(Body::Ignored)
        .answers(200, Body::Object(Alert::KIND))
        .refuses(OF_ONE);
    vec![acknowledge.about(Alert::KIND)]
}

/// Notes that the caller has seen an alert. Doing so again changes nothing.
async fn acknowledge(target: Target) -> Handled {
    let seen = json!([{"op": "replace", "path": "/Acknowledged", "value": true}]);
    let operations = patch::parse(&seen, target.kind.prefix, &target.id)?;
    objects::written(StatusCode::OK, &objects::update(&target, Change::Patch(operations)).await?)
}
