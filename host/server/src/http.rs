//! The routes of the API. A handler parses, calls and maps; nothing is decided here.

mod actions;
mod alerts;
mod answer;
mod blobs;
mod boot;
mod bootenvs;
mod certificates;
mod connections;
mod consensus;
mod content_archives;
mod contents;
mod debug;
mod dynamic;
mod edges;
mod form;
mod indexes;
mod interfaces;
mod jobs;
mod list;
mod lives;
mod logs;
mod machines;
mod numbers;
mod objects;
mod openapi;
mod packs;
mod params;
mod plugins;
mod poll;
mod pools;
mod providers;
mod pubkey;
mod render;
mod request;
mod route;
mod secrets;
mod signed_urls;
mod subnets;
mod system;
mod upgrade;
mod users;
mod webhooks;
mod websocket;
mod whocan;
mod work_orders;
mod zones;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
};
use formwork_api::{ApiError, BASE_PATH};
use formwork_model::{KINDS, Kind, Objects, Surface, built_in, declared_kind};

use self::route::Route;
pub(crate) use self::{answer::Failure, request::Query};
use crate::endpoint::Endpoint;

/// The largest body of a request that is no bundle, in bytes.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Tells whether a type has the standard routes; others have their own, see `contents`, `packs` and `system`.
fn is_generic(kind: &Kind) -> bool {
    kind.surface == Surface::Generic
}

/// Finds a type that has the standard routes: one of ours, or one that is declared among these objects.
fn known_kind(objects: &impl Objects, prefix: &str) -> Option<&'static Kind> {
    match built_in(prefix) {
        Some(kind) => Some(kind).filter(|kind| is_generic(kind)),
        None => declared_kind(objects, prefix),
    }
}

async fn no_route(method: Method, uri: Uri) -> Failure {
    Failure::from(ApiError::new(404, method.as_str(), format!("no route {}", uri.path())))
}

async fn no_method(method: Method, uri: Uri) -> Failure {
    let message = format!("{} does not take {method}", uri.path());
    Failure::from(ApiError::new(405, method.as_str(), message))
}

/// Describes all routes of the API, those of declared types left out.
fn all() -> Vec<Route> {
    let kinds = KINDS.iter().copied().filter(|kind| is_generic(kind));
    let of_kinds = kinds.flat_map(|kind| objects::routes(kind).into_iter().chain(actions::routes(kind)));
    let own = [
        actions::system_routes(),
        alerts::routes(),
        blobs::routes(),
        bootenvs::routes(),
        certificates::routes(),
        connections::routes(),
        boot::routes(),
        consensus::routes(),
        content_archives::routes(),
        contents::routes(),
        debug::routes(),
        indexes::routes(),
        interfaces::routes(),
        jobs::routes(),
        lives::routes(),
        logs::routes(),
        machines::routes(),
        objects::meta_routes(),
        packs::routes(),
        plugins::routes(),
        pools::routes(),
        providers::routes(),
        pubkey::group_routes(),
        render::routes(),
        signed_urls::routes(),
        subnets::routes(),
        system::routes(),
        upgrade::routes(),
        users::routes(),
        webhooks::routes(),
        websocket::routes(),
        whocan::routes(),
        work_orders::routes(),
        zones::routes(),
    ];
    of_kinds.chain(own.into_iter().flatten()).collect()
}

/// Returns all routes of the API.
pub(crate) fn routes(endpoint: Arc<Endpoint>) -> Router {
    let api = route::router(all());
    let own_id = format!("/{}", endpoint.id);
    let local = Router::new()
        .nest(BASE_PATH, api)
        .fallback_service(dynamic::service(&endpoint))
        .method_not_allowed_fallback(no_method)
        .route("/", axum::routing::get(system::front))
        .route("/swagger.json", axum::routing::get(system::document))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&endpoint), edges::around))
        .with_state(endpoint);
    // A client that goes through a manager names the endpoint first, also when it is this one (drp-api.md 1.1).
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let begins = own_id.chars().nth(1).is_some_and(|c| c.is_ascii_alphanumeric());
    if begins && own_id.chars().skip(1).all(is_plain) {
        local.clone().nest_service(&own_id, local)
    } else {
        local
    }
}

#[cfg(test)]
mod tests;
