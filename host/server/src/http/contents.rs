//! Content bundles and components (drp-api.md 11.4).

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, State},
    http::{Response, StatusCode},
    routing::get,
};
use formwork_api::ApiError;
use formwork_model::Content;
use serde_json::Value;

use super::{
    answer,
    request::{Authenticated, Json},
};
use crate::{auth::Caller, commands::contents, endpoint::Endpoint};

/// The largest bundle, in bytes.
const MAX_BUNDLE_BYTES: usize = 64 << 20;

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new()
        .route("/contents", get(list).post(install))
        .route("/contents/{name}", get(show).put(replace).delete(remove))
        .route("/components/{digest}", get(component))
        .layer(DefaultBodyLimit::max(MAX_BUNDLE_BYTES))
}

async fn list(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Response<Body> {
    match caller.require("contents", "list", "") {
        Ok(()) => answer::json(StatusCode::OK, &contents::list(&endpoint)),
        Err(error) => answer::error(&error),
    }
}

async fn show(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    Authenticated(caller): Authenticated,
) -> Response<Body> {
    match caller.require("contents", "get", &name).and_then(|()| contents::show(&endpoint, &name)) {
        Ok(content) => answer::json(StatusCode::OK, &content),
        Err(error) => answer::error(&error),
    }
}

async fn install(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Json(body): Json,
) -> Response<Body> {
    put(&endpoint, &caller, body, None).await
}

async fn replace(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    Authenticated(caller): Authenticated,
    Json(body): Json,
) -> Response<Body> {
    put(&endpoint, &caller, body, Some(name)).await
}

async fn put(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    body: Value,
    replacing: Option<String>,
) -> Response<Body> {
    let (method, status) =
        if replacing.is_some() { ("PUT", StatusCode::OK) } else { ("POST", StatusCode::CREATED) };
    let content = match serde_json::from_value::<Content>(body) {
        Ok(content) => content,
        Err(error) => {
            let message = format!("not a content bundle: {error}");
            return answer::error(&ApiError::new(400, method, message).about("contents", ""));
        }
    };
    match contents::install(endpoint, caller, content, replacing).await {
        Ok(summary) => answer::json(status, &summary),
        Err(error) => answer::error(&error),
    }
}

async fn remove(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    Authenticated(caller): Authenticated,
) -> Response<Body> {
    match contents::remove(&endpoint, &caller, name).await {
        Ok(()) => answer::empty(StatusCode::NO_CONTENT),
        Err(error) => answer::error(&error),
    }
}

/// Gives an agent the bytes of a component that one of its jobs runs.
async fn component(
    State(endpoint): State<Arc<Endpoint>>,
    Path(digest): Path<String>,
    Authenticated(caller): Authenticated,
) -> Response<Body> {
    if let Err(error) = caller.require("contents", "get", &digest) {
        return answer::error(&error);
    }
    match endpoint.library.bytes(&digest) {
        Some(bytes) => answer::bytes(StatusCode::OK, bytes.to_vec()),
        None => answer::error(&ApiError::not_found("GET", "components", &digest)),
    }
}
