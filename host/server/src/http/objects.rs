//! The standard routes of every object type (drp-api.md 7).

use std::sync::Arc;

use axum::{
    Extension, Router,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use formwork_api::ApiError;
use formwork_model::{Kind, Object, Objects};
use formwork_store::{Committed, Revision, Snapshot};
use json_patch::Patch;

use super::{
    answer::{self, Handled},
    list::{self, Look, Shaper},
    params as param_routes,
    poll::{self, Patience},
    request::{Json, Target},
};
use crate::{
    commands::{
        objects::{self, Change},
        patch,
    },
    endpoint::Endpoint,
    kinds,
};

/// The index by which a machine is found by the address of a network card, and the member that has the addresses.
const CARD: &str = "HardwareAddr";
const CARDS: &str = "HardwareAddrs";

/// Returns the routes of one type.
pub(super) fn routes(kind: &'static Kind) -> Router<Arc<Endpoint>> {
    let prefix = kind.prefix;
    let all = if kind.own_create { get(list::list) } else { get(list::list).post(create) };
    let key = if kind.slashed_key { "{*key}" } else { "{key}" };
    let mut router = Router::new()
        .route(&format!("/{prefix}"), all)
        .route(&format!("/{prefix}/{key}"), get(show).put(replace).patch(change).delete(remove))
        .route(&format!("/meta/{prefix}/{{*key}}"), get(meta).patch(change_meta));
    if kind.bears_params {
        router = router.merge(param_routes::routes(kind));
    }
    router.layer(Extension(kind))
}

/// Finds the object that a request names by its key or by `INDEX:VALUE` of a unique index (drp-api.md 3.3).
pub(super) fn find(target: &Target, snapshot: &Snapshot) -> Result<(Arc<dyn Object>, Revision), ApiError> {
    let stored = native_key(snapshot, target.kind, &target.id)
        .filter(|key| target.caller.sees(target.kind.prefix, key))
        .and_then(|key| snapshot.stored(target.kind.prefix, &key))
        .ok_or_else(|| target.not_found())?;
    Ok((stored.object, stored.revision))
}

/// Returns the key of the object that a text in a URL names.
fn native_key(snapshot: &Snapshot, kind: &'static Kind, id: &str) -> Option<String> {
    if snapshot.stored(kind.prefix, id).is_some() {
        return Some(id.to_owned());
    }
    let (index, value) = id.split_once(':')?;
    if index == "Key" || index == kind.key {
        return Some(kind.canonical_key(value).into_owned());
    }
    // No two machines have the same card (drp-behaviour.md 4.1); its address is in a list of the machine.
    if index == CARD && kind.indexed.contains(&CARDS) {
        return snapshot.by_unique(kind.prefix, CARDS, &value.to_lowercase()).map(|object| object.key());
    }
    if !kind.unique.contains(&index) {
        return None;
    }
    snapshot.by_unique(kind.prefix, index, value).map(|object| object.key())
}

/// Finds the object that a request names, for a caller who may read it.
pub(super) fn readable(
    target: &Target,
    snapshot: &Snapshot,
) -> Result<(Arc<dyn Object>, Revision), ApiError> {
    let (object, revision) = find(target, snapshot)?;
    target.require("get", &kinds::claim_key(object.as_ref()))?;
    Ok((object, revision))
}

/// Changes the object that a request names, and returns it.
pub(super) async fn update(target: &Target, change: Change) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    let key = find(target, &target.endpoint.snapshot())?.0.key();
    objects::update(&target.endpoint, target.request(), key, change).await
}

/// Changes a part of the object that a request names by a JSON Patch, and returns the object.
pub(super) async fn patched(
    target: &Target,
    body: &Json,
    part: fn(Patch) -> Change,
) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    let operations = patch::parse(&body.value, target.kind.prefix, &target.id)?;
    update(target, part(operations)).await
}

/// Answers with an object as a commit left it, or as it was before a commit deleted it.
pub(super) fn written(status: StatusCode, written: &Committed<Arc<dyn Object>>) -> Handled {
    answer::tagged(status, &kinds::shown(written.value.as_ref()), written.revision)
}

/// Answers one object. A request that says which state of it is known waits for another, or learns that there is none.
pub(super) async fn show(target: Target, headers: HeaderMap) -> Handled {
    let seen = poll::readable(&target, &Patience::of(&headers)).await?;
    if !seen.is_new {
        return Ok(answer::written(StatusCode::NOT_MODIFIED, Vec::new(), seen.revision));
    }
    let query = list::query(&target, &seen.snapshot)?;
    let look = Look::new(&seen.snapshot);
    let mut out = Vec::new();
    Shaper::new(&look, target.kind, &query.projection).write(seen.object.as_ref(), &mut out);
    Ok(answer::written(StatusCode::OK, out, seen.revision))
}

async fn create(target: Target, body: Json) -> Handled {
    let object = objects::create(&target.endpoint, target.request(), body.value).await?;
    written(StatusCode::CREATED, &object)
}

async fn replace(target: Target, body: Json) -> Handled {
    let object = update(&target, Change::Put(body.value)).await?;
    written(StatusCode::OK, &object)
}

async fn change(target: Target, body: Json) -> Handled {
    let object = patched(&target, &body, Change::Patch).await?;
    written(StatusCode::OK, &object)
}

async fn remove(target: Target) -> Handled {
    let key = find(&target, &target.endpoint.snapshot())?.0.key();
    let object = objects::delete(&target.endpoint, target.request(), key).await?;
    written(StatusCode::OK, &object)
}

async fn meta(target: Target) -> Handled {
    let (object, _) = readable(&target, &target.endpoint.snapshot())?;
    answer::json(StatusCode::OK, &object.header().meta)
}

async fn change_meta(target: Target, body: Json) -> Handled {
    let object = patched(&target, &body, Change::PatchMeta).await?;
    answer::json(StatusCode::OK, &object.value.header().meta)
}
