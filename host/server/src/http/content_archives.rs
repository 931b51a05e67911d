//! Updates of content that are put together first (drp-api.md 14.3).

use std::sync::Arc;

use axum::{
    extract::{Request as HttpRequest, State},
    http::StatusCode,
};
use formwork_api::ApiError;
use formwork_model::Content;

use super::{
    answer::{self, Handled},
    blobs as upload,
    packs::wanted,
    providers::OF_PACK,
    request::{Authenticated, Json, Path, Query},
    route::{Body, OF_CHANGE, OF_ONE, Route, Shape},
};
use crate::{
    blobs::{Kind, Request},
    commands::contents::updates::{self, CommitOperation, ContentArchiveView, StagedItem, UpdateResponse},
    endpoint::Endpoint,
};

pub(super) fn routes() -> Vec<Route> {
    let update = Body::json::<UpdateResponse>();
    vec![
        Route::get("/content_archives", "list_content_archives", list)
            .tells("Lists the bundles that came in archives.")
            .answers(200, Body::json::<Vec<ContentArchiveView>>()),
        Route::get("/content_archives/sources", "list_content_archive_sources", sources)
            .tells("Lists the archives that are kept.")
            .answers(200, Body::json::<Vec<String>>()),
        Route::delete("/content_archives/update", "cancel_content_update", cancel)
            .tells("Ends the update that is under way; nothing of it comes into use.")
            .answers(200, update)
            .refuses(OF_ONE),
        Route::post("/content_archives/update/start", "start_content_archive_update", start)
            .tells("Starts an update; there is one at a time.")
            .takes(Body::Ignored)
            .answers(201, update)
            .refuses(&[409]),
        Route::get("/content_archives/update/status", "get_update_status", status)
            .tells("Returns the update that is under way.")
            .answers(200, update)
            .refuses(OF_ONE),
        Route::post("/content_archives/update/{key}/add", "add_staged_item", add)
            .tells("Adds a bundle, an archive with bundles, a pack or a component to an update.")
            .query(&[("name", Shape::Text, "The name of a bare component.")])
            .query(OF_PACK)
            .takes(Body::either::<Content>())
            .streamed()
            .answers(201, Body::json::<Vec<StagedItem>>())
            .refuses(&[400, 404, 409, 422]),
        Route::post("/content_archives/update/{key}/commit", "commit_update", commit)
            .tells("Does all of what is asked with an update, or nothing.")
            .takes(Body::json::<Vec<CommitOperation>>())
            .answers(200, Body::json::<Vec<CommitOperation>>())
            .refuses(OF_CHANGE),
    ]
}

async fn list(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    answer::json(StatusCode::OK, &updates::list(&endpoint, &caller)?)
}

async fn sources(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    answer::json(StatusCode::OK, &updates::sources(&endpoint, &caller).await?)
}

async fn start(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    answer::json(StatusCode::CREATED, &updates::start(&endpoint, &caller)?)
}

async fn status(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    answer::json(StatusCode::OK, &updates::status(&endpoint, &caller)?)
}

async fn cancel(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    answer::json(StatusCode::OK, &updates::cancel(&endpoint, &caller)?)
}

/// Takes what is added to disk first, whatever it is and however it is sent.
async fn add(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(token): Path<String>,
    request: HttpRequest,
) -> Handled {
    let place = updates::place(&endpoint, &caller, &token)?;
    let wanted = wanted(&Query::parse(request.uri().query().unwrap_or_default()))?;
    let about = Request { kind: Kind::Staged, path: place.clone(), caller: caller.clone(), method: "POST" };
    upload::taken(&endpoint, &about, request).await?;
    let items = updates::add(&endpoint, &caller, (&token, &place), wanted).await?;
    answer::json(StatusCode::CREATED, &items)
}

async fn commit(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(token): Path<String>,
    body: Json,
) -> Handled {
    let operations: Option<Vec<CommitOperation>> = match &body.value {
        serde_json::Value::Object(members) if members.is_empty() => None,
        _ => body.read("content_archives", "")?,
    };
    let operations =
        operations.ok_or_else(|| ApiError::new(400, "POST", "the body is no list of operations"))?;
    updates::commit(&endpoint, &caller, &token, operations.clone()).await?;
    answer::json(StatusCode::OK, &operations)
}
