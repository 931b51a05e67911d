//! Releases that are kept to be upgraded to (drp-api.md 14.4). Running an upgrade is not here yet.

use std::sync::Arc;

use axum::{
    extract::{Request as HttpRequest, State},
    http::StatusCode,
};
use formwork_api::ApiError;
use formwork_model::{Profile, Record, Values};
use serde_json::json;

use super::{
    answer::{self, Handled},
    blobs as upload,
    request::Authenticated,
    route::{Body, OF_ONE, Route},
};
use crate::{
    auth::Caller,
    blobs::{self, BlobInfo, Kind, Request},
    endpoint::Endpoint,
    files::sum_of,
};

/// The name of the one file that is kept.
const RELEASE: &str = "release";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/system/upgrade", "system_update", at_once)
            .tells("Upgrades the endpoint to a release at once.")
            .takes(Body::File)
            .streamed()
            .answers(202, Body::json::<BlobInfo>())
            .refuses(&[400, 409, 501]),
        Route::post("/system/upgrade/stage", "system_update_stage", stage)
            .tells("Keeps a release to be upgraded to.")
            .takes(Body::File)
            .streamed()
            .answers(201, Body::json::<BlobInfo>())
            .refuses(&[400, 409]),
        Route::delete("/system/upgrade/stage", "system_update_unstage", unstage)
            .tells("Removes the release that is kept.")
            .answers(204, Body::Nothing)
            .refuses(&[404, 409]),
        Route::post("/system/upgrade/exec", "system_update_exec", run)
            .tells("Upgrades the endpoint to the release that is kept.")
            .takes(Body::Ignored)
            .answers(202, Body::Nothing)
            .answers(204, Body::Nothing)
            .refuses(&[404, 409, 501]),
        Route::post("/system/upgrade/run", "system_update_run", run)
            .tells("Upgrades all hosts of the endpoint to the release that is kept.")
            .takes(Body::Ignored)
            .answers(202, Body::Nothing)
            .answers(204, Body::Nothing)
            .refuses(&[404, 409, 501]),
        Route::get("/system/upgrade/status", "system_status", status)
            .tells("Tells how an upgrade stands.")
            .answers(200, Body::Object(Profile::KIND))
            .refuses(OF_ONE),
    ]
}

fn about(caller: Caller, method: &'static str) -> Request {
    Request { kind: Kind::Releases, path: String::from(RELEASE), caller, method }
}

fn not_here() -> ApiError {
    let message =
        "this endpoint cannot upgrade itself yet\nhint: stop it, replace the program, and start it again";
    ApiError::new(501, "POST", message).about("system", "upgrade")
}

async fn at_once(Authenticated(caller): Authenticated) -> Handled {
    caller.require("system", "upgrade", "")?;
    Err(not_here().into())
}

async fn stage(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    request: HttpRequest,
) -> Handled {
    upload::write(endpoint, about(caller, "POST"), request).await
}

async fn unstage(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    blobs::remove(&endpoint, &about(caller, "DELETE")).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// There is nothing to do when the program that runs is the one that is staged.
async fn run(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    let (_, staged) = blobs::read(&endpoint, &about(caller, "POST")).await?;
    let program = endpoint.options.worker.clone();
    let own = tokio::task::spawn_blocking(move || sum_of(&mut std::fs::File::open(program)?)).await;
    match own {
        Ok(Ok(own)) if own == staged => Ok(answer::empty(StatusCode::NO_CONTENT)),
        _ => Err(not_here().into()),
    }
}

async fn status(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("system", "upgrade", "")?;
    let staged = blobs::read(&endpoint, &about(caller, "GET")).await.ok();
    let params: Values = match staged {
        Some((blob, sum)) => [
            (String::from("upgrade/state"), json!("staged")),
            (String::from("upgrade/size"), json!(blob.size)),
            (String::from("upgrade/sha256"), json!(sum)),
        ]
        .into(),
        None => [(String::from("upgrade/state"), json!("idle"))].into(),
    };
    let told = Profile { name: String::from("upgrade-status"), params: params.into(), ..Profile::default() };
    answer::json(StatusCode::OK, &told)
}
