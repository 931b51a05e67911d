//! The routes of types that somebody declared (drp-api.md 7.26).
//!
//! Which types there are changes while the endpoint runs, so that they have one set of routes with the type as a variable,
//! behind all others: a path gets here when nothing else answers it, and goes on when its first part is a declared type.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use formwork_api::BASE_PATH;
use formwork_model::declared_kind;

use super::{
    actions, list, objects, params, pubkey,
    route::{Route, router},
};
use crate::endpoint::Endpoint;

/// Returns what answers requests that no other route answers.
pub(super) fn service(endpoint: &Arc<Endpoint>) -> Router {
    Router::new()
        .nest(BASE_PATH, router(routes()))
        .fallback(super::no_route)
        .method_not_allowed_fallback(super::no_method)
        .layer(from_fn_with_state(Arc::clone(endpoint), known_only))
        .with_state(Arc::clone(endpoint))
}

/// Describes the routes to the router. The API's document leaves them out: what their objects hold is declared elsewhere.
fn routes() -> Vec<Route> {
    let (all, one) = ("/{type}", "/{type}/{key}");
    let (all_params, one_param) = ("/{type}/{key}/params", "/{type}/{key}/params/{*param}");
    let (offered, action) = ("/{type}/{key}/actions", "/{type}/{key}/actions/{command}");
    vec![
        Route::get(all, "", list::list),
        Route::post(all, "", objects::create),
        Route::get(one, "", objects::show),
        Route::put(one, "", objects::replace),
        Route::patch(one, "", objects::change),
        Route::delete(one, "", objects::remove),
        Route::get(all_params, "", params::all),
        Route::post(all_params, "", params::replace),
        Route::patch(all_params, "", params::change),
        Route::get(one_param, "", params::one),
        Route::post(one_param, "", params::set),
        Route::delete(one_param, "", params::unset),
        Route::get("/{type}/{key}/pubkey", "", pubkey::of_object),
        Route::get(offered, "", actions::list),
        Route::get(action, "", actions::show),
        Route::post(action, "", actions::act),
    ]
}

/// Lets requests through that are about a type which is declared now, or of which there are objects still.
async fn known_only(State(endpoint): State<Arc<Endpoint>>, request: Request, next: Next) -> Response {
    let below = request.uri().path().strip_prefix(BASE_PATH).and_then(|path| path.strip_prefix('/'));
    let prefix = below.and_then(|path| path.split('/').next());
    if prefix.is_some_and(|prefix| declared_kind(&endpoint.snapshot(), prefix).is_some()) {
        return next.run(request).await;
    }
    super::no_route(request.method().clone(), request.uri().clone()).await.into_response()
}
