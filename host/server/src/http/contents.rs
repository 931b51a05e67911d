//! Content bundles and components (drp-api.md 11.4).

use axum::http::{Method, StatusCode};
use formwork_api::ApiError;
use formwork_model::{Content, ContentSummary, InstalledContent, Record};

use super::{
    answer::{self, Handled},
    request::{Raw, Target, keeps_numbers},
    route::{Body, OF_CHANGE, OF_ONE, Route, Shape},
};
use crate::{
    commands::contents::{self, Installation},
    commit::internal,
    content::read_bytes,
};

/// The largest bundle, in bytes.
const MAX_BUNDLE_BYTES: usize = 64 << 20;

pub(super) fn routes() -> Vec<Route> {
    let one = "/contents/{key}";
    vec![
        Route::get("/contents", "list_contents", list)
            .tells("Lists all layers of content.")
            .answers(200, Body::json::<Vec<ContentSummary>>()),
        Route::post("/contents", "create_content", install)
            .tells("Installs a bundle.")
            .query(REPLACE)
            .takes(Body::json::<Content>())
            .up_to(MAX_BUNDLE_BYTES)
            .answers(201, Body::json::<ContentSummary>())
            .refuses(&[400, 409, 422]),
        Route::get(one, "get_content", show)
            .tells("Returns a bundle.")
            .answers(200, Body::json::<Content>())
            .answers(304, Body::Nothing)
            .refuses(OF_ONE),
        Route::put(one, "upload_content", install)
            .tells("Replaces a bundle; puts back what the bundle BackingStore has.")
            .query(REPLACE)
            .takes(Body::json::<Content>())
            .up_to(MAX_BUNDLE_BYTES)
            .answers(200, Body::json::<ContentSummary>())
            .refuses(OF_CHANGE),
        Route::delete(one, "delete_content", remove)
            .tells("Removes a bundle.")
            .answers(204, Body::Nothing)
            .refuses(&[404, 409]),
        Route::get("/components/{key}", "get_component", component)
            .tells("Returns the bytes of a component by their digest.")
            .answers(200, Body::Bytes)
            .refuses(OF_ONE),
    ]
    .into_iter()
    .map(|route| route.about(InstalledContent::KIND))
    .collect()
}

/// What an installation does with objects that are in its way.
const REPLACE: &[(&str, Shape, &str)] =
    &[("replaceWritable", Shape::Flag, "Objects of the same keys that were made by hand give way.")];

async fn list(target: Target) -> Handled {
    target.require("list", "")?;
    answer::json(StatusCode::OK, &contents::list(&target.endpoint))
}

async fn show(target: Target) -> Handled {
    target.require("get", &target.id)?;
    answer::json(StatusCode::OK, &contents::show(&target.endpoint, &target.caller, &target.id)?)
}

/// Installs a bundle by POST, and puts another in the place of an installed one by PUT.
///
/// The body is JSON or YAML as the tools of the ecosystem write it, whatever its media type says (drp-behaviour.md 7.2).
async fn install(target: Target, body: Raw) -> Handled {
    let is_put = target.method == Method::PUT;
    // Before the work of reading it.
    target.require(if is_put { "update" } else { "create" }, "")?;
    let Target { endpoint, caller, method, id, query, .. } = target;
    // YAML has numbers where the same words are no JSON.
    if body.0.trim_ascii_start().starts_with(b"{") {
        keeps_numbers(&body.0, &method)?;
    }
    let read = tokio::task::spawn_blocking(move || formwork_packs::parse_content(&body.0)).await;
    let content = read.map_err(|error| internal(&error))?.map_err(|error| {
        ApiError::new(400, method.as_str(), format!("not a content bundle: {error}")).about("contents", "")
    })?;
    let (replacing, status) = if is_put { (Some(id), StatusCode::OK) } else { (None, StatusCode::CREATED) };
    let how = Installation { replacing, replace_writable: query.is("replaceWritable") };
    answer::json(status, &contents::install(&endpoint, &caller, content, how).await?)
}

async fn remove(target: Target) -> Handled {
    contents::remove(&target.endpoint, &target.caller, target.id).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Gives an agent the bytes of a component that one of its jobs runs.
async fn component(target: Target) -> Handled {
    // Agents may have components, but not all that is in the content around them.
    if !target.caller.may("components", "get", &target.id) {
        target.require("get", &target.id)?;
    }
    let bytes = read_bytes(&target.endpoint.library, &target.id).await;
    let bytes = bytes.ok_or_else(|| ApiError::not_found("GET", "components", &target.id))?;
    Ok(answer::bytes(StatusCode::OK, bytes.to_vec()))
}
