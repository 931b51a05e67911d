//! The routes of the API. A handler parses, calls and maps; nothing is decided here.

mod actions;
mod alerts;
mod answer;
mod blobs;
mod bootenvs;
mod contents;
mod edges;
mod indexes;
mod interfaces;
mod jobs;
mod list;
mod logs;
mod machines;
mod objects;
mod openapi;
mod packs;
mod params;
mod plugins;
mod poll;
mod pools;
mod render;
mod request;
mod system;
mod users;
mod websocket;
mod whocan;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, http::Method, response::IntoResponse};
use formwork_api::{ApiError, BASE_PATH};
use formwork_model::{KINDS, Kind, Surface};
use tower_http::catch_panic::CatchPanicLayer;

use self::answer::Failure;
pub(crate) use self::{request::PeerAddress, system::LocalAddress};
use crate::endpoint::Endpoint;

/// The largest body of a request that is no bundle, in bytes.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Tells whether a type has the standard routes; others have their own, see `contents`, `packs` and `system`.
fn is_generic(kind: &Kind) -> bool {
    kind.surface == Surface::Generic
}

/// Returns all routes of the API.
pub(crate) fn routes(endpoint: Arc<Endpoint>) -> Router {
    let mut api = Router::new()
        .merge(actions::system_routes())
        .merge(alerts::routes())
        .merge(blobs::routes())
        .merge(bootenvs::routes())
        .merge(contents::routes())
        .merge(indexes::routes())
        .merge(interfaces::routes())
        .merge(jobs::routes())
        .merge(logs::routes())
        .merge(machines::routes())
        .merge(packs::routes())
        .merge(plugins::routes())
        .merge(pools::routes())
        .merge(render::routes())
        .merge(system::routes())
        .merge(users::routes())
        .merge(websocket::routes())
        .merge(whocan::routes());
    for kind in KINDS.iter().filter(|kind| is_generic(kind)) {
        api = api.merge(objects::routes(kind)).merge(actions::routes(kind));
    }
    let own_id = format!("/{}", endpoint.id);
    let local = Router::new()
        .nest(BASE_PATH, api)
        .fallback(|method: Method, uri: axum::http::Uri| async move {
            Failure::from(ApiError::new(404, method.as_str(), format!("no route {}", uri.path())))
        })
        .method_not_allowed_fallback(|method: Method, uri: axum::http::Uri| async move {
            let message = format!("{} does not take {method}", uri.path());
            Failure::from(ApiError::new(405, method.as_str(), message))
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn(edges::receive))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Failure::from(ApiError::new(500, "INTERNAL", "the handler failed")).into_response()
        }))
        .with_state(endpoint);
    // A client that goes through a manager names the endpoint first, also when it is this one (drp-api.md 1.1).
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if own_id.chars().skip(1).all(is_plain) { local.clone().nest_service(&own_id, local) } else { local }
}

#[cfg(test)]
mod tests;
