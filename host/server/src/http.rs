//! The routes of the API. A handler parses, calls and maps; nothing is decided here.

mod answer;
mod contents;
mod jobs;
mod machines;
mod objects;
mod openapi;
mod params;
mod request;
mod system;
mod users;
mod websocket;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, http::Method};
use formwork_api::{ApiError, BASE_PATH};
use formwork_model::KINDS;
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::system::LocalAddress;
use crate::endpoint::Endpoint;

/// The largest body of a request that is no bundle, in bytes.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Types whose routes are not those of an object: see `contents` and `system`.
const NOT_GENERIC: &[&str] = &["contents", "preferences"];

/// Returns all routes of the API.
pub(crate) fn routes(endpoint: Arc<Endpoint>) -> Router {
    let mut api = Router::new()
        .merge(contents::routes())
        .merge(jobs::routes())
        .merge(machines::routes())
        .merge(system::routes())
        .merge(users::routes())
        .merge(websocket::routes());
    for kind in KINDS.iter().filter(|kind| !NOT_GENERIC.contains(&kind.prefix)) {
        api = api.merge(objects::routes(kind));
    }
    Router::new()
        .nest(BASE_PATH, api)
        .fallback(|method: Method, uri: axum::http::Uri| async move {
            answer::error(&ApiError::new(404, method.as_str(), format!("no route {}", uri.path())))
        })
        .method_not_allowed_fallback(|method: Method, uri: axum::http::Uri| async move {
            answer::error(&ApiError::new(
                405,
                method.as_str(),
                format!("{} does not take {method}", uri.path()),
            ))
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            answer::error(&ApiError::new(500, "INTERNAL", "the handler failed"))
        }))
        .with_state(endpoint)
}
