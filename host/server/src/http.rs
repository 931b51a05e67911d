//! The routes of the API. A handler parses, calls and maps; nothing is decided here.

mod actions;
mod answer;
mod contents;
mod jobs;
mod machines;
mod objects;
mod openapi;
mod packs;
mod params;
mod plugins;
mod request;
mod system;
mod users;
mod websocket;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, http::Method, response::IntoResponse};
use formwork_api::{ApiError, BASE_PATH};
use formwork_model::{KINDS, Kind, is_internal};
use tower_http::catch_panic::CatchPanicLayer;

use self::answer::Failure;
pub(crate) use self::{system::LocalAddress, websocket::word as change_word};
use crate::endpoint::Endpoint;

/// The largest body of a request that is no bundle, in bytes.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Types whose routes are not those of an object: see `contents`, `packs` and `system`.
const NOT_GENERIC: &[&str] = &["contents", "packs", "preferences"];

/// Tells whether a type has the standard routes.
fn is_generic(kind: &Kind) -> bool {
    !NOT_GENERIC.contains(&kind.prefix) && !is_internal(kind.prefix)
}

/// Returns all routes of the API.
pub(crate) fn routes(endpoint: Arc<Endpoint>) -> Router {
    let mut api = Router::new()
        .merge(actions::system_routes())
        .merge(contents::routes())
        .merge(jobs::routes())
        .merge(machines::routes())
        .merge(packs::routes())
        .merge(plugins::routes())
        .merge(system::routes())
        .merge(users::routes())
        .merge(websocket::routes());
    for kind in KINDS.iter().filter(|kind| is_generic(kind)) {
        api = api.merge(objects::routes(kind)).merge(actions::routes(kind));
    }
    Router::new()
        .nest(BASE_PATH, api)
        .fallback(|method: Method, uri: axum::http::Uri| async move {
            Failure::from(ApiError::new(404, method.as_str(), format!("no route {}", uri.path())))
        })
        .method_not_allowed_fallback(|method: Method, uri: axum::http::Uri| async move {
            let message = format!("{} does not take {method}", uri.path());
            Failure::from(ApiError::new(405, method.as_str(), message))
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Failure::from(ApiError::new(500, "INTERNAL", "the handler failed")).into_response()
        }))
        .with_state(endpoint)
}

#[cfg(test)]
mod tests;
