//! Uploads of plugin providers (drp-api.md 11.5).

use std::sync::Arc;

use axum::{
    extract::{Request as HttpRequest, State},
    http::StatusCode,
};

use super::{
    answer::{self, Handled},
    blobs as upload,
    packs::wanted,
    request::{Authenticated, Path, Query},
    route::{Body, Route, Shape},
};
use crate::{
    blobs::{Kind, Request},
    commands::providers::{self, PluginProviderUploadInfo},
    commit::internal,
    endpoint::Endpoint,
    packs::Upload,
    random,
};

/// What the sender of a pack may say of it where it is not answered before it is in use.
pub(super) const OF_PACK: &[(&str, Shape, &str)] = &[
    (
        "grant",
        Shape::Text,
        "Consents to a line of what a component asks for; `all` to everything. Can be repeated.",
    ),
    ("allow-downgrade", Shape::Flag, "An older version may replace the one in use."),
    ("replaceWritable", Shape::Flag, "Objects of the same keys that were made by hand give way."),
];

pub(super) fn routes() -> Vec<Route> {
    let upload = Route::post("/plugin_providers/{key}", "upload_plugin_provider", receive)
        .tells("Makes a provider of a component, or of the pack of one.")
        .query(OF_PACK)
        .takes(Body::File)
        .streamed()
        .answers(201, Body::json::<PluginProviderUploadInfo>())
        .refuses(&[400, 409, 422]);
    vec![upload]
}

/// Takes a component, or the pack of one.
async fn receive(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(name): Path<String>,
    request: HttpRequest,
) -> Handled {
    caller.require("plugin_providers", "create", &name)?;
    let mut wanted = wanted(&Query::parse(request.uri().query().unwrap_or_default()))?;
    // An upload of this kind replaces what is there, whichever is older.
    wanted.downgrade = true;
    let place = random::uuid();
    let about = Request { kind: Kind::Staged, path: place.clone(), caller: caller.clone(), method: "POST" };
    upload::taken(&endpoint, &about, request).await?;
    let file = endpoint.updates.file(&place);
    let received = tokio::task::spawn_blocking(move || Upload::adopt(file)).await;
    let received = received.map_err(|error| internal(&error))?.map_err(|error| internal(&error))?;
    let info = providers::upload(&endpoint, &caller, &name, received, wanted).await?;
    answer::json(StatusCode::CREATED, &info)
}
